//! A span of another program that a run begins in: the run is a part of that span's trace.
//!
//! Programs name it to each other by a `traceparent`, in the form of W3C's Trace Context.

use std::fmt;
use std::str::FromStr;

use crate::id::{SpanId, TraceId};

/// A span elsewhere, by its ids. Its text form is a `traceparent` of a trace that is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RemoteParent {
    /// The trace that it is in.
    pub trace_id: TraceId,
    /// Its id.
    pub span_id: SpanId,
}

/// A text that is no `traceparent`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no traceparent: it has the form 00-{{trace id}}-{{span id}}-{{flags}}, in lower-case hex digits"
)]
pub struct ParseParentError {
    text: String,
}

impl FromStr for RemoteParent {
    type Err = ParseParentError;

    /// Reads a `traceparent`. Its flags are read past: whether a run is recorded is its own program's matter.
    fn from_str(text: &str) -> Result<Self, ParseParentError> {
        parse(text.trim()).ok_or_else(|| ParseParentError { text: text.chars().take(80).collect() })
    }
}

impl fmt::Display for RemoteParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-01", self.trace_id, self.span_id)
    }
}

fn parse(text: &str) -> Option<RemoteParent> {
    let mut parts = text.split('-');
    let version = hex(parts.next()?, 2)?;
    let trace_id = hex(parts.next()?, 32)?.parse().ok()?;
    let span_id = hex(parts.next()?, 16)?.parse().ok()?;
    hex(parts.next()?, 2)?;
    // A later version may say more; this one does not.
    let is_known = version != "ff" && (version != "00" || parts.next().is_none());
    is_known.then_some(RemoteParent { trace_id, span_id })
}

fn hex(part: &str, digits: usize) -> Option<&str> {
    let is_hex = part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (is_hex && part.len() == digits).then_some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    fn check(text: &str, expected: Option<&str>) {
        let read = text.parse::<RemoteParent>().ok().map(|parent| parent.to_string());
        assert_eq!(read.as_deref(), expected, "{text}");
    }

    #[test]
    fn what_is_a_traceparent() {
        let sampled = format!("00-{TRACE}-b7ad6b7169203331-01");
        check(&sampled, Some(&sampled));
        check(&format!("00-{TRACE}-b7ad6b7169203331-00"), Some(&sampled));
        check(&format!("  {sampled}\n"), Some(&sampled));
        check(&format!("cc-{TRACE}-b7ad6b7169203331-01"), Some(&sampled));
        check(&format!("cc-{TRACE}-b7ad6b7169203331-01-and-more"), Some(&sampled));
    }

    #[test]
    fn what_is_none() {
        check("", None);
        check("00", None);
        check(&format!("00-{TRACE}-b7ad6b7169203331"), None);
        check(&format!("00-{TRACE}-b7ad6b7169203331-01-more"), None);
        check(&format!("00-{TRACE}-b7ad6b7169203331-1"), None);
        check(&format!("00-{TRACE}-b7ad6b716920333-01"), None);
        check(&format!("00-{TRACE}-0000000000000000-01"), None);
        check(&format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)), None);
        check(&format!("00-{}-b7ad6b7169203331-01", TRACE.to_uppercase()), None);
        check(&format!("ff-{TRACE}-b7ad6b7169203331-01"), None);
        check(&format!("00-{TRACE}-b7ad6b716920333ä-01"), None);
    }
}
