//! The provider that draws who said what to whom, as a Mermaid sequence diagram.
//!
//! Names and messages are untrusted, and may hold anything: `escape.rs` makes of them what Mermaid's parser reads back as
//! the same text, and never as its own syntax. Plain words stay as they are.
//!
//! ```text
//! AGENT_SEND_MSG ─▶ label (one short line) ─▶ Transcript, by run ─▶ fold, shorten ─▶ escape ─▶ text
//! NESTED_CHAT, REPLY in a tool ─▶ Exchanges ──┘
//! ```

mod diagram;
mod escape;
mod exchange;
mod label;
mod transcript;

use std::fmt::Write as _;
use std::sync::Arc;

use callboard_core::{
    Delivery, Placement, ProviderResult, Record, Respawn, TelemetryProvider, Text,
};

pub use self::diagram::DiagramOptions;
pub use self::transcript::Interaction;
use self::transcript::Transcript;
use crate::providers::page::escape_html;
use crate::providers::readers::{Kept, Reading};
use crate::providers::runs::RunFilter;

/// How a diagram provider is made: what is not set has its default.
#[derive(Clone, Debug)]
pub struct MermaidConfig {
    /// The most messages that are kept, within 64 MiB; the oldest go first, and a note in the diagram tells how many are
    /// gone. Default: 100,000, which hold about 20 MB.
    pub kept_messages: usize,
    /// What [`MermaidDiagramProvider::generate_sequence_diagram`] draws. Default: every message, one line each.
    pub diagram: DiagramOptions,
}

impl Default for MermaidConfig {
    fn default() -> Self {
        Self { kept_messages: 100_000, diagram: DiagramOptions::default() }
    }
}

/// Draws every message that one agent sends to another and that is not silent, and each agent that another one asks by a
/// tool. Clones share what they were told: register one and read another.
///
/// A diagram is one run's: the run that is named, or else the one that began last. Up to 10,000 runs are kept apart, within the
/// bounds of [`MermaidConfig::kept_messages`].
///
/// Reading first waits, for five seconds at the most, until what the reader recorded has arrived.
///
/// ```
/// use callboard::{EventKind, MermaidDiagramProvider, keys};
///
/// let manager = callboard::manager();
/// let diagram = MermaidDiagramProvider::default();
/// manager.register(Box::new(diagram.clone()));
///
/// let run = manager.start_run("My Workflow", []);
/// run.record_event(
///     EventKind::AgentSendMsg,
///     [
///         (keys::AGENT_SENDER.into(), "jack".into()),
///         (keys::AGENT_RECIPIENT.into(), "emma".into()),
///         (keys::MESSAGE.into(), "Tell me a joke.".into()),
///         (keys::SILENT.into(), false.into()),
///     ],
/// );
/// assert_eq!(
///     diagram.generate_sequence_diagram(),
///     "sequenceDiagram\n    participant jack\n    participant emma\n    jack->>emma: Tell me a joke."
/// );
/// ```
#[derive(Clone, Debug)]
pub struct MermaidDiagramProvider {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    transcript: Kept<Transcript>,
    options: DiagramOptions,
}

impl Default for MermaidDiagramProvider {
    fn default() -> Self {
        Self::new(MermaidConfig::default())
    }
}

impl MermaidDiagramProvider {
    /// A provider made as `config` says.
    pub fn new(config: MermaidConfig) -> Self {
        let transcript = Kept::new(Transcript::new(config.kept_messages));
        Self { shared: Arc::new(Shared { transcript, options: config.diagram }) }
    }

    /// The diagram of the run that began last, as the provider's configuration says. Its lines are joined by a newline, with
    /// none at the end.
    ///
    /// Mermaid draws texts of up to 50,000 characters unless its `maxTextSize` is raised: for a long conversation see
    /// [`DiagramOptions::max_messages`].
    pub fn generate_sequence_diagram(&self) -> String {
        self.draw(&self.shared.options)
    }

    /// The diagram of the run that began last, as `options` say.
    pub fn draw(&self, options: &DiagramOptions) -> String {
        let said = self.read().of_last_run();
        diagram::draw(said, options)
    }

    /// The diagram of a run, as `options` say: `&span` for the run of any span, or a trace id. None where the run is not known:
    /// nothing of it has come to this provider, or it is no longer kept.
    pub fn draw_run(&self, run: impl Into<RunFilter>, options: &DiagramOptions) -> Option<String> {
        let said = self.read().of(run.into())?;
        Some(diagram::draw(said, options))
    }

    /// How many runs are no longer kept, with their messages.
    pub fn runs_dropped(&self) -> u64 {
        self.read().runs_dropped()
    }

    /// Every message of every run, in order of time.
    pub fn interactions(&self) -> Vec<Interaction> {
        self.read().all()
    }

    /// Every message of a run, in order of time. None where the run is not known.
    pub fn interactions_of_run(&self, run: impl Into<RunFilter>) -> Option<Vec<Interaction>> {
        self.read().of(run.into()).map(|said| said.interactions)
    }

    /// The agents that take part in any run, in the order in which a diagram has them.
    pub fn participants(&self) -> Vec<Text> {
        diagram::participants(&self.interactions())
    }

    /// The diagram as an HTML fragment, for a page that has loaded Mermaid. Without it, it shows as text.
    pub fn to_html(&self) -> String {
        let mut html = String::new();
        let diagram = self.generate_sequence_diagram();
        let _ = write!(html, "<pre class=\"mermaid\">{}</pre>", escape_html(&diagram));
        html
    }

    /// The transcript, with everything in it that the caller recorded.
    fn read(&self) -> Reading<'_, Transcript> {
        self.shared.transcript.read()
    }
}

impl TelemetryProvider for MermaidDiagramProvider {
    fn name(&self) -> &str {
        "MermaidDiagramProvider"
    }

    fn registered(&mut self, delivery: Delivery) {
        self.shared.transcript.owe(delivery);
    }

    fn on_records(&mut self, batch: &[Record]) -> ProviderResult {
        let mut transcript = self.shared.transcript.write();
        for record in batch {
            transcript.enter(record);
        }
        Ok(())
    }

    fn placement(&self) -> Placement {
        Placement::Inline
    }

    fn respawn(&self) -> Option<Respawn> {
        let provider = self.clone();
        Some(Arc::new(move || Box::new(provider.clone())))
    }
}
