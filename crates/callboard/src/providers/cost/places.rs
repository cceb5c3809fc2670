//! Where in a run a cost arose: in which chat, and whose it was, found by a span's ancestors.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use callboard_core::{SpanHead, SpanId, SpanKind, Text, TraceId, keys};

use super::books::NAME_CHARACTERS;
use crate::providers::page::cut;

/// So many spans that ended are remembered, for a child that starts after its parent's end.
const ENDED_SPANS: usize = 4096;

/// Where a span stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// The nearest chat around it, or the span itself.
    pub(super) chat: Option<Arc<Chat>>,
    /// The agent that is replying.
    pub(super) agent: Option<Text>,
}

/// A chat of any kind.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Chat {
    pub(super) span: SpanKey,
    /// Who chats; not unique.
    pub(super) title: String,
}

pub(super) type SpanKey = (TraceId, SpanId);

/// The places of the spans that are open.
#[derive(Debug, Default)]
pub(super) struct Places {
    places: HashMap<SpanKey, Place>,
    ended: VecDeque<SpanKey>,
}

impl Places {
    pub(super) fn span_started(&mut self, span: &SpanHead) {
        let mut place = self.of_parent(span);
        if let Some(title) = chat_title(span) {
            place.chat = Some(Arc::new(Chat { span: key(span), title }));
        }
        if span.kind == SpanKind::Reply {
            place.agent = name(span, keys::AGENT_RECIPIENT).or(place.agent);
        }
        self.places.insert(key(span), place);
    }

    pub(super) fn span_ended(&mut self, span: &SpanHead) {
        self.ended.push_back(key(span));
        if self.ended.len() > ENDED_SPANS
            && let Some(oldest) = self.ended.pop_front()
        {
            self.places.remove(&oldest);
        }
    }

    pub(super) fn of(&self, span: &SpanHead) -> Place {
        self.places.get(&key(span)).cloned().unwrap_or_else(|| self.of_parent(span))
    }

    /// The place of the span's parent. What a run began in is none of its own, though it may be a run of this program's.
    fn of_parent(&self, span: &SpanHead) -> Place {
        let parent = span.parent_span_id.filter(|_| !span.is_root());
        let parent = parent.map(|parent| (span.run.trace_id, parent));
        parent.and_then(|parent| self.places.get(&parent)).cloned().unwrap_or_default()
    }
}

fn key(span: &SpanHead) -> SpanKey {
    (span.run.trace_id, span.span_id)
}

pub(super) fn chat_title(span: &SpanHead) -> Option<String> {
    let sender = || name(span, keys::AGENT_SENDER).unwrap_or_else(|| "?".into());
    let recipient = || name(span, keys::AGENT_RECIPIENT).unwrap_or_else(|| "?".into());
    match span.kind {
        SpanKind::Chat => Some(format!("{} → {}", sender(), recipient())),
        SpanKind::NestedChat => Some(format!("{} → {} (nested chat)", sender(), recipient())),
        SpanKind::GroupChat => Some(format!("{} (group chat)", sender())),
        _ => None,
    }
}

fn name(span: &SpanHead, key: &str) -> Option<Text> {
    let name = span.attribute(key)?.as_str()?;
    Some(Text::new(&cut(name, NAME_CHARACTERS)))
}
