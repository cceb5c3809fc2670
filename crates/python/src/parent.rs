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
        None => read(&from_environment(|name| std::env::var(name).ok())?),
    }
}

fn from_environment(env: impl Fn(&str) -> Option<String>) -> Option<String> {
    let set = |name| env(name).filter(|value| !value.trim().is_empty());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(parent: Option<&str>, propagators: Option<&str>, expected: Option<&str>) {
        let env = |name: &str| if name == VARIABLE { parent } else { propagators };
        let found = from_environment(|name| env(name).map(str::to_owned));
        assert_eq!(found.as_deref(), expected);
    }

    #[test]
    fn the_environment_names_a_parent_unless_it_also_says_that_none_is_read() {
        check(None, None, None);
        check(Some(""), None, None);
        check(Some("00-…"), None, Some("00-…"));
        check(Some("00-…"), Some(""), Some("00-…"));
        check(Some("00-…"), Some("baggage, tracecontext"), Some("00-…"));
        check(Some("00-…"), Some("none"), None);
        check(Some("00-…"), Some("b3"), None);
    }
}
