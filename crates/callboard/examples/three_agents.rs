//! Three agents talk: Petra plans, Hugo writes in an async task, Clara reviews on a thread of her own.
//!
//! Prints the conversation's diagram and cost, and sends its trace to an OpenTelemetry collector:
//! `http://localhost:4318`, or wherever the `OTEL_EXPORTER_OTLP_*` variables say.
//!
//! ```sh
//! cargo run -p callboard --example three_agents --features otlp
//! ```
#![expect(clippy::print_stdout, reason = "an example shows its results")]

use std::thread;
use std::time::Duration;

use callboard::otlp::config::process_environment;
use callboard::otlp::{ConfigError, ExporterConfig, OpenTelemetryProvider, StatisticsHandle};
use callboard::{
    Attributes, CostTrackerProvider, EventKind, Given, InstrumentationManager, Key,
    MermaidDiagramProvider, Span, SpanKind, current_span, keys,
};

#[tokio::main]
async fn main() -> Result<(), ConfigError> {
    let manager = callboard::manager();
    let costs = CostTrackerProvider::default();
    let diagram = MermaidDiagramProvider::default();
    manager.register(Box::new(costs.clone()));
    manager.register(Box::new(diagram.clone()));
    let exported = export_spans(&manager)?;

    let run = manager.start_run("Haiku", [("workflow.id".into(), "123".into())]);
    run.within(write_haiku()).await;
    run.end();

    println!("{}\n", diagram.generate_sequence_diagram());
    println!("{}", costs.report());
    manager.shutdown(Duration::from_secs(3));
    println!("{} spans sent to the collector", exported.get().sent);
    Ok(())
}

fn export_spans(manager: &InstrumentationManager) -> Result<StatisticsHandle, ConfigError> {
    let config = ExporterConfig { service_name: Some("haiku".into()), ..Default::default() };
    let exporter = OpenTelemetryProvider::new(config.resolve(&process_environment)?);
    let exported = exporter.stats();
    manager.register(Box::new(exporter));
    Ok(exported)
}

/// What Petra does. She knows nothing of telemetry's handles: the current span follows the program.
async fn write_haiku() {
    let haiku = ask_hugo("A haiku about goldfish, please.").await;
    let verdict = ask_clara(&haiku);
    if verdict != "Good." {
        ask_hugo(verdict).await;
    }
}

/// A chat with Hugo, in a task that the runtime may move from thread to thread.
async fn ask_hugo(wish: &'static str) -> String {
    let chat = start_chat("Petra", "Hugo");
    let answer = chat.within(async move {
        say("Petra", "Hugo", wish);
        let haiku = tokio::spawn(reply("Hugo")).await.unwrap_or_default();
        say("Hugo", "Petra", &haiku);
        haiku
    });
    let answer = answer.await;
    chat.end();
    answer
}

/// A chat with Clara, on another thread: it takes the span along.
fn ask_clara(haiku: &str) -> &'static str {
    let chat = start_chat("Petra", "Clara");
    let reviewing = thread::scope(|scope| {
        let review = scope.spawn(|| {
            let _entered = chat.enter();
            say("Petra", "Clara", haiku);
            call_model("Clara", "claude-haiku-4-5", 120, 12);
            say("Clara", "Petra", "Shorter, please.");
            "Shorter, please."
        });
        review.join()
    });
    chat.end();
    reviewing.unwrap_or("Good.")
}

/// The reply of an agent. A spawned task has no current span of its own: the caller's is handed to it here.
fn reply(agent: &'static str) -> impl Future<Output = String> + Send + 'static {
    let span = start_span(SpanKind::Reply, [(keys::AGENT_RECIPIENT.into(), agent.into())]);
    let inner = span.clone();
    inner.within(async move {
        tokio::task::yield_now().await;
        call_model(agent, "gpt-4o-mini", 60, 25);
        span.end();
        "Orange in the bowl / a whole sea is one slow turn / it forgets the turn".to_owned()
    })
}

/// Stands for a call of a model: its tokens are recorded, and callboard knows the price.
fn call_model(agent: &'static str, model: &'static str, input_tokens: i64, output_tokens: i64) {
    let span = start_span(SpanKind::LlmCall, [(keys::LLM_MODEL.into(), model.into())]);
    span.record_event(
        EventKind::Cost,
        [
            (keys::COST_TYPE.into(), "LLM".into()),
            (keys::AGENT_NAME.into(), agent.into()),
            (keys::LLM_MODEL.into(), model.into()),
            (keys::LLM_INPUT_TOKENS.into(), input_tokens.into()),
            (keys::LLM_OUTPUT_TOKENS.into(), output_tokens.into()),
        ],
    );
    span.end();
}

fn start_chat(from: &'static str, to: &'static str) -> Span {
    start_span(SpanKind::Chat, names(from, to))
}

fn start_span(kind: SpanKind, attributes: impl Attributes) -> Span {
    let parent = current_span().expect("main() runs everything within a span");
    parent.start_child(kind, attributes)
}

fn say(from: &'static str, to: &'static str, message: &str) {
    let [sender, recipient] = names(from, to);
    let (message, silent) =
        ((keys::MESSAGE.into(), message.into()), (keys::SILENT.into(), false.into()));
    if let Some(span) = current_span() {
        span.record_event(EventKind::AgentSendMsg, [sender, recipient, message, silent]);
    }
}

fn names(from: &'static str, to: &'static str) -> [(Key, Given<'static>); 2] {
    [(keys::AGENT_SENDER.into(), from.into()), (keys::AGENT_RECIPIENT.into(), to.into())]
}
