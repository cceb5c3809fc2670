//! The providers that show a run: what it cost, and who said what to whom.

pub mod cost;
pub mod mermaid;
pub(crate) mod page;
mod readers;
pub(crate) mod runs;

pub use self::cost::CostTrackerProvider;
pub use self::mermaid::MermaidDiagramProvider;
pub use self::runs::RunFilter;
