//! Where the spans that are open belong.

use callboard_core::id::IdMap;
use callboard_core::{SpanHead, SpanId, SpanKind};

use super::MOST_KEPT;

/// The place of each open span that has one. A span is where its parent is, or at a place that it opens itself.
pub(super) struct Places<P> {
    of: IdMap<SpanId, P>,
}

impl<P> Default for Places<P> {
    fn default() -> Self {
        Self { of: IdMap::default() }
    }
}

impl<P: Clone> Places<P> {
    /// Whether no further span can be kept.
    pub(super) fn is_full(&self) -> bool {
        self.of.len() >= MOST_KEPT
    }

    /// Keeps the place of a span that starts, given its parent's; returns it.
    pub(super) fn start(
        &mut self,
        span: &SpanHead,
        place: impl FnOnce(Option<P>) -> Option<P>,
    ) -> Option<P> {
        let around = span.parent_span_id.filter(|_| !span.is_root());
        let place = place(around.and_then(|parent| self.of.get(&parent).cloned()));
        if let Some(place) = place.clone().filter(|_| !self.is_full()) {
            self.of.insert(span.span_id, place);
        }
        place
    }

    /// The place of a span that is open.
    pub(super) fn of(&self, span: &SpanHead) -> Option<P> {
        self.of.get(&span.span_id).cloned()
    }

    /// Lets go of a span that has ended.
    pub(super) fn end(&mut self, span: &SpanHead) {
        self.of.remove(&span.span_id);
    }
}

/// Whether a span is a chat, of two agents or of a group.
pub(super) fn is_chat(span: &SpanHead) -> bool {
    matches!(span.kind, SpanKind::Chat | SpanKind::GroupChat)
}
