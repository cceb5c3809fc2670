//! Telemetry for teams of LLM agents: what each did, what it cost, and the diagram of who said what.
//!
//! A program records into a [`Span`] of a run; providers receive what was recorded, on callboard's own threads.
//!
//! ```
//! use callboard::{CostTrackerProvider, EventKind, MermaidDiagramProvider, SpanKind, keys};
//!
//! let manager = callboard::manager();
//! let (costs, diagram) = (CostTrackerProvider::default(), MermaidDiagramProvider::default());
//! manager.register(Box::new(costs.clone()));
//! manager.register(Box::new(diagram.clone()));
//!
//! let run = manager.start_run("Joke", [("workflow.id".into(), "123".into())]);
//! let chat = run.start_child(SpanKind::Chat, [(keys::AGENT_SENDER.into(), "jack".into())]);
//! // … the agents talk, and the program records what they do …
//! chat.record_event(EventKind::Cost, [(keys::COST.into(), 0.25.into())]);
//! chat.end();
//! run.end();
//!
//! assert_eq!(costs.total_cost(), 0.25);
//! assert_eq!(diagram.generate_sequence_diagram(), "sequenceDiagram");
//! ```
//!
//! The current span follows the program: [`Span::enter`] makes a span current on a thread, [`Span::within`] in an async task,
//! and [`current_span`] finds it again. `examples/three_agents.rs` shows both.
//!
//! In reading order:
//!
//! - [`manager()`] and [`manager_config`] make an [`InstrumentationManager`] that prices model calls.
//! - [`CostTrackerProvider`] adds up costs: by agent, by model, by chat. See [`providers::cost`] for how a price is found.
//! - [`MermaidDiagramProvider`] draws who said what to whom.
//! - [`RunFilter`] names one of several runs to these two: `&span`, or a trace id.
//! - [`detectors`] find what goes wrong in a team: two agents going in circles, the same tool call again and again.
//! - `otlp`, with the feature of that name, is the exporter to any OpenTelemetry collector; the feature `grpc` adds that
//!   protocol to HTTP.
//! - [`core`](callboard_core) has everything else, and is re-exported whole: the trait [`TelemetryProvider`] for a provider of
//!   your own first of all.
//!
//! This crate knows no protobuf, no SQL, no HTTP and no Python.

pub mod detectors;
pub mod providers;
mod said;

use std::sync::Arc;

pub use callboard_core::*;
#[cfg(feature = "otlp")]
pub use callboard_otlp as otlp;

pub use self::detectors::Detectors;
pub use self::providers::cost::{
    CostSummary, CostTrackerConfig, MessageCost, Money, Prices, PricesError, Pricing, Share,
    Unpriced,
};
pub use self::providers::mermaid::{DiagramOptions, Interaction, MermaidConfig};
pub use self::providers::{CostTrackerProvider, MermaidDiagramProvider, RunFilter};
pub use self::said::said_bytes;

/// A manager that prices model calls by the price table.
pub fn manager() -> InstrumentationManager {
    InstrumentationManager::new(manager_config(Prices::default()))
}

/// How a manager is made that prices model calls at `prices`.
///
/// ```no_run
/// use callboard::{InstrumentationManager, ManagerConfig, PipelineConfig, Prices};
///
/// let prices = match std::env::var_os("CALLBOARD_PRICES") {
///     Some(path) => Prices::load(path)?,
///     None => Prices::default(),
/// };
/// let manager = InstrumentationManager::new(ManagerConfig {
///     pipeline: PipelineConfig { queue_bytes: 16 << 20, ..PipelineConfig::default() },
///     ..callboard::manager_config(prices)
/// });
/// # Ok::<(), callboard::PricesError>(())
/// ```
pub fn manager_config(prices: Prices) -> ManagerConfig {
    ManagerConfig {
        processors: Arc::new(move || {
            vec![Box::new(Pricing::new(prices.clone())), Box::<Detectors>::default()]
        }),
        ..ManagerConfig::default()
    }
}

/// The programs in the README and on the page of providers are tested as the documentation's are.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../../README.md")]
    struct Readme;
    #[doc = include_str!("../../../docs/providers.md")]
    struct Providers;
}
