//! What a run begins in, where another program said so: in the environment, or in a `traceparent` that it was handed.

use std::sync::atomic::{AtomicBool, Ordering};

use callboard_core::RemoteParent;

const VARIABLE: &str = "TRACEPARENT";

/// OpenTelemetry's choice of what is read of, and told to, other programs.
const PROPAGATORS: &str = "OTEL_PROPAGATORS";

/// Which propagator a `traceparent` is of.
const TRACE_CONTEXT: &str = "tracecontext";

/// The parent that a run was given, or else the environment's. What is no `traceparent` is none, which is said once.
pub(crate) fn of_run(given: Option<&str>) -> Option<RemoteParent> {
    match given {
        Some(given) => read(given),
        None => read(&from_environment()?),
    }
}

fn from_environment() -> Option<String> {
    let set = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let parent = set(VARIABLE)?;
    let is_chosen = |chosen: String| chosen.split(',').any(|name| name.trim() == TRACE_CONTEXT);
    set(PROPAGATORS).is_none_or(is_chosen).then_some(parent)
}

fn read(text: &str) -> Option<RemoteParent> {
    static TOLD: AtomicBool = AtomicBool::new(false);
    let parent = text.parse();
    if let Err(error) = &parent
        && !TOLD.swap(true, Ordering::Relaxed)
    {
        log::warn!(target: "callboard", "the run begins a trace of its own: {error}");
    }
    parent.ok()
}
