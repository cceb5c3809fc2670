//! Records: what providers are handed. A span's records come in their order: started, then changes and events, then ended.

use std::sync::Arc;

use crate::event::EventKind;
use crate::given::Recordable;
use crate::span::{EndedBy, SpanHead, Status};
use crate::time::UnixNanos;
use crate::value::{Attribute, Key, Value, attributes_size_bytes, find};

/// One thing that happened to a span.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Record {
    /// It began; what is known of it stands in its head.
    SpanStarted(Arc<SpanHead>),
    /// More became known of it while it ran.
    SpanChanged(SpanChanged),
    /// Something happened in it.
    Event(Event),
    /// It ended.
    SpanEnded(SpanEnded),
}

/// Attributes that were set on a span while it ran.
#[derive(Clone, Debug)]
pub struct SpanChanged {
    /// The span.
    pub span: Arc<SpanHead>,
    /// What was set, in order; a later value under a key replaces an earlier one.
    pub attributes: Vec<Attribute>,
}

/// A point in time inside a span.
#[derive(Clone, Debug)]
pub struct Event {
    /// The span in which it happened.
    pub span: Arc<SpanHead>,
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub time_unix_ns: UnixNanos,
    /// The particulars.
    pub attributes: Vec<Attribute>,
}

/// The end of a span.
#[derive(Clone, Debug)]
pub struct SpanEnded {
    /// The span.
    pub span: Arc<SpanHead>,
    /// When.
    pub end_unix_ns: UnixNanos,
    /// How it went.
    pub status: Status,
    /// Who ended it.
    pub ended_by: EndedBy,
}

impl Event {
    /// The particular under `key`.
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        find(&self.attributes, key)
    }
}

/// What stands in place of a body that was let go of because a queue was full.
pub const BODY_DROPPED: &str = "[dropped: callboard's queue was full]";

/// A value larger than this is a body: under pressure it goes before structure and cost do.
const BODY_BYTES: usize = 512;

impl Record {
    /// The span that it is about.
    pub fn span(&self) -> &Arc<SpanHead> {
        match self {
            Self::SpanStarted(span) => span,
            Self::SpanChanged(changed) => &changed.span,
            Self::Event(event) => &event.span,
            Self::SpanEnded(ended) => &ended.span,
        }
    }

    /// About how many bytes of memory it holds.
    pub fn size_bytes(&self) -> usize {
        let held = match self {
            Self::SpanStarted(span) => {
                size_of::<SpanHead>() + attributes_size_bytes(&span.attributes)
            }
            Self::SpanChanged(changed) => attributes_size_bytes(&changed.attributes),
            Self::Event(event) => attributes_size_bytes(&event.attributes),
            Self::SpanEnded(_) => 0,
        };
        held + size_of::<Self>()
    }

    /// Puts [`BODY_DROPPED`] in place of every large value; says how many there were.
    pub(crate) fn drop_bodies(&mut self) -> usize {
        match self {
            Self::SpanStarted(span) => {
                let mut attributes = span.attributes.to_vec();
                let dropped = drop_bodies(&mut attributes);
                if dropped > 0 {
                    let (run, kind) = (span.run.clone(), span.kind.clone());
                    *span =
                        Arc::new(SpanHead { run, kind, attributes: attributes.into(), ..**span });
                }
                dropped
            }
            Self::SpanChanged(changed) => drop_bodies(&mut changed.attributes),
            Self::Event(event) => drop_bodies(&mut event.attributes),
            Self::SpanEnded(_) => 0,
        }
    }
}

/// Puts [`BODY_DROPPED`] in place of every large value; says how many there were.
pub(crate) fn drop_bodies<V: Recordable>(attributes: &mut [(Key, V)]) -> usize {
    let is_body = |value: &V| value.is_history() || value.size_bytes() > BODY_BYTES;
    let bodies = attributes.iter_mut().filter(|(_, value)| is_body(value));
    bodies.map(|(_, value)| *value = Value::from(BODY_DROPPED).into()).count()
}
