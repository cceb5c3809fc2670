//! The queue as the program's threads write it: pages that are used again and again.
//!
//! Recording must not allocate memory that another thread frees: that costs the program more than all the rest. So what
//! is recorded is laid into the pages, in little space, and the pipeline's thread makes records of it, on its own account:
//!
//! ```text
//! entries     started(3)      changed(1)  event(2)    ended(0)      how many attributes each has
//! attributes  a, b, c,        d,          e, f                      of all entries, in order
//! ```

use super::sheet::Sheet;
use crate::event::EventKind;
use crate::given::{MOST_LAID_BYTES, Recordable};
use crate::id::SpanId;
use crate::record::Record;
use crate::span::{EndedBy, SpanKind, Status};
use crate::time::UnixNanos;
use crate::value::{Attribute, Key, Text};

/// What a queue calls a run.
pub(crate) type RunNumber = u32;

/// Which span an entry is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpanReference {
    pub(crate) run: RunNumber,
    pub(crate) span_id: SpanId,
}

/// What happened to a span; its attributes lie beside it.
pub(crate) enum Happening {
    Started {
        parent: Option<SpanId>,
        kind: SpanKind,
    },
    Changed,
    /// It became known how it goes.
    Went(Status),
    Event {
        kind: EventKind,
    },
    Ended(EndedBy),
    /// Nobody can ask for it any more.
    Released,
}

impl Happening {
    fn parent(&self) -> Option<SpanId> {
        if let Self::Started { parent, .. } = self { *parent } else { None }
    }

    /// Whether providers are told of it.
    pub(crate) fn is_record(&self) -> bool {
        !matches!(self, Self::Went(_) | Self::Released)
    }
}

/// What happened to a span, as it is taken out.
pub(crate) struct Entry {
    pub(crate) span: SpanReference,
    pub(crate) time_unix_ns: UnixNanos,
    pub(crate) happening: Happening,
}

/// The most attributes that one happening may have; those beyond are left out.
const MOST_ATTRIBUTES: usize = u16::MAX as usize;

/// See the module's documentation.
#[derive(Default)]
pub(crate) struct Buffers {
    /// Those up to `current` are in use, in order; the others wait for their turn.
    pages: Vec<Page>,
    current: usize,
    /// How many records come of the entries, changes in a row counted one by one.
    records: u64,
    /// What the entries take as records.
    pub(crate) bytes: usize,
    /// How many pages were in use when they were last drained; it falls by and by.
    pages_of_late: usize,
}

/// So much of the buffers as is got at a time. A buffer in one piece would be moved each time that it grows.
struct Page {
    slots: Vec<Slot>,
    attributes: Sheet,
    /// Of the slots that have one, in order.
    own_kinds: Vec<Text>,
    statuses: Vec<Status>,
}

/// An entry in its page.
#[derive(Clone)]
struct Slot {
    span_id: SpanId,
    time_unix_ns: UnixNanos,
    /// Of a start alone.
    parent: Option<SpanId>,
    run: RunNumber,
    attribute_count: u16,
    form: Form,
}

/// What an entry is. Kinds have their place among those that callboard knows; a program's own lie beside the slots.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Started(Option<u8>),
    Changed,
    Went,
    Event(Option<u8>),
    Ended(EndedBy),
    Released,
}

/// So many bytes of the allocator's own go with what a record has beside itself.
const ALLOCATED_WITH: usize = 48;

/// Makes the attributes of a happening ready for the queue; about how many bytes both take once they are a record, or as
/// long as they lie there where they become none.
pub(crate) fn prepare<V: Recordable>(attributes: &mut [(Key, V)], is_record: bool) -> usize {
    let sizes = attributes.iter_mut().map(|(_, value)| {
        value.prepare();
        size_of::<Key>() + value.size_bytes()
    });
    let own = if is_record { size_of::<Record>() + ALLOCATED_WITH } else { size_of::<Slot>() };
    own + sizes.sum::<usize>()
}

impl Buffers {
    pub(crate) fn is_empty(&self) -> bool {
        self.pages.first().is_none_or(|page| page.slots.is_empty())
    }

    /// What they hold: as records what lies in them, and all pages but the first, which is always there.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes + self.pages.len().saturating_sub(1) * Page::BYTES
    }

    /// How many empty pages at the most to keep, so that a bound of so many bytes leaves room for what is in them.
    pub(crate) fn most_kept(bound_bytes: usize) -> usize {
        (bound_bytes / 16 / Page::BYTES).clamp(1, Page::MOST_KEPT)
    }

    /// How many records come of them, changes in a row counted one by one.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// Lays down the attributes of what is pushed next; says how many these are.
    pub(crate) fn lay<V: Recordable>(&mut self, attributes: &mut [(Key, V)]) -> u16 {
        let count = attributes.len().min(MOST_ATTRIBUTES);
        self.page_for(count).attributes.append(&mut attributes[..count]);
        count as u16
    }

    /// Lays down what happened to a span, behind its attributes.
    #[inline]
    pub(crate) fn push(
        &mut self,
        span: SpanReference,
        time_unix_ns: UnixNanos,
        happening: Happening,
        attribute_count: u16,
    ) {
        self.records += u64::from(happening.is_record());
        let page = &mut self.pages[self.current];
        let parent = happening.parent();
        let form = match happening {
            Happening::Started { kind, .. } => Form::Started(page.lay_kind(kind.into_place())),
            Happening::Changed => Form::Changed,
            Happening::Went(status) => {
                page.statuses.push(status);
                Form::Went
            }
            Happening::Event { kind } => Form::Event(page.lay_kind(kind.into_place())),
            Happening::Ended(ended_by) => Form::Ended(ended_by),
            Happening::Released => Form::Released,
        };
        let SpanReference { run, span_id } = span;
        page.slots.push(Slot { span_id, time_unix_ns, parent, run, attribute_count, form });
    }

    #[inline]
    fn page_for(&mut self, attributes: usize) -> &mut Page {
        if self.pages.get(self.current).is_none_or(|page| !page.has_room(attributes)) {
            self.turn_page();
        }
        &mut self.pages[self.current]
    }

    #[cold]
    fn turn_page(&mut self) {
        self.current += usize::from(!self.pages.is_empty());
        if self.current == self.pages.len() {
            self.pages.push(Page::new());
        }
    }

    /// Takes the entries out, each with its attributes. The buffers are empty afterwards and keep some room: at the most
    /// so many pages.
    pub(crate) fn drain(&mut self, most_kept: usize, mut each: impl FnMut(Entry, Vec<Attribute>)) {
        for page in &mut self.pages {
            page.drain(&mut each);
        }
        self.pages.retain(Page::is_of_usual_size);
        self.make_ready(most_kept);
        (self.current, self.records, self.bytes) = (0, 0, 0);
    }

    /// Keeps pages for what is to come, several times as many as were used of late. Memory that is new takes the system's
    /// time when it is first written, which had better be this thread's than the program's.
    fn make_ready(&mut self, most_kept: usize) {
        let used = self.current + 1;
        self.pages_of_late = used.max(self.pages_of_late - self.pages_of_late.div_ceil(16));
        let wanted = (4 * self.pages_of_late).min(most_kept);
        self.pages.truncate(wanted);
        while used > 1 && self.pages.len() < wanted {
            self.pages.push(Page::touched());
        }
    }

    /// Forgets what was used of late; the buffers are empty.
    pub(crate) fn let_go(&mut self) {
        self.pages_of_late = 0;
        self.pages.truncate(1);
    }

    /// What was set on a span, at its start and since, and is yet to be taken out.
    pub(crate) fn attributes_of(&self, span: SpanReference) -> Vec<Attribute> {
        let mut found = Vec::new();
        for page in &self.pages {
            let mut attributes = page.attributes.iter();
            for slot in &page.slots {
                let own = attributes.by_ref().take(slot.attribute_count.into());
                let was_set = matches!(slot.form, Form::Started(_) | Form::Changed);
                if was_set && slot.span() == span {
                    found.extend(own);
                } else {
                    own.for_each(drop);
                }
            }
        }
        found
    }
}

impl Page {
    const SLOTS: usize = 1024;
    const ATTRIBUTES: usize = 2 * Self::SLOTS;
    const TEXT_BYTES: usize = 64 * Self::SLOTS;
    /// What one of the usual size takes.
    const BYTES: usize = Self::SLOTS * size_of::<Slot>()
        + Self::ATTRIBUTES * size_of::<Attribute>()
        + Self::TEXT_BYTES;
    /// How many empty ones are kept.
    const MOST_KEPT: usize = 32;

    fn new() -> Self {
        Self {
            slots: Vec::with_capacity(Self::SLOTS),
            attributes: Sheet::with_capacity(Self::ATTRIBUTES, Self::TEXT_BYTES),
            own_kinds: Vec::new(),
            statuses: Vec::new(),
        }
    }

    /// One whose memory has been written.
    fn touched() -> Self {
        let mut page = Self::new();
        page.slots.extend(std::iter::repeat_n(Slot::BLANK, Self::SLOTS));
        page.slots.clear();
        page.attributes.touch();
        page
    }

    /// Whether these many attributes can be added; an empty page takes any number.
    fn has_room(&self, attributes: usize) -> bool {
        let fits = self.attributes.len() + attributes <= Self::ATTRIBUTES
            && self.attributes.text_bytes() + attributes * MOST_LAID_BYTES <= Self::TEXT_BYTES;
        self.slots.len() < Self::SLOTS && (fits || self.slots.is_empty())
    }

    fn is_of_usual_size(&self) -> bool {
        self.attributes.is_within(Self::ATTRIBUTES, Self::TEXT_BYTES)
    }

    #[inline]
    fn lay_kind(&mut self, place: Result<u8, Box<Text>>) -> Option<u8> {
        match place {
            Ok(known) => Some(known),
            Err(own) => {
                self.own_kinds.push(*own);
                None
            }
        }
    }

    fn drain(&mut self, each: &mut impl FnMut(Entry, Vec<Attribute>)) {
        let (mut own_kinds, mut statuses) = (self.own_kinds.drain(..), self.statuses.drain(..));
        let slots = self.slots.drain(..);
        self.attributes.drain(|attributes| {
            for slot in slots {
                let Slot { span_id, time_unix_ns, parent, run, attribute_count, form } = slot;
                let mut own_kind = || own_kinds.next().unwrap_or_default();
                let happening = match form {
                    Form::Started(place) => {
                        let kind = SpanKind::at(place)
                            .unwrap_or_else(|| SpanKind::Custom(own_kind().into()));
                        Happening::Started { parent, kind }
                    }
                    Form::Changed => Happening::Changed,
                    Form::Went => Happening::Went(statuses.next().unwrap_or_default()),
                    Form::Event(place) => {
                        let kind = EventKind::at(place)
                            .unwrap_or_else(|| EventKind::Custom(own_kind().into()));
                        Happening::Event { kind }
                    }
                    Form::Ended(ended_by) => Happening::Ended(ended_by),
                    Form::Released => Happening::Released,
                };
                let mut own = Vec::with_capacity(attribute_count.into());
                own.extend(attributes.take(attribute_count.into()));
                let span = SpanReference { run, span_id };
                each(Entry { span, time_unix_ns, happening }, own);
            }
        });
    }
}

impl Slot {
    const BLANK: Self = Self {
        span_id: SpanId::from_int(1),
        time_unix_ns: 0,
        parent: None,
        run: 0,
        attribute_count: 0,
        form: Form::Released,
    };

    fn span(&self) -> SpanReference {
        SpanReference { run: self.run, span_id: self.span_id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::given::Given;
    use crate::value::Value;

    const SPAN: SpanReference = SpanReference { run: 3, span_id: SpanId::from_int(5) };

    fn push(buffers: &mut Buffers, happening: Happening, mut attributes: Vec<(Key, Given<'_>)>) {
        prepare(&mut attributes, true);
        let count = buffers.lay(&mut attributes);
        buffers.push(SPAN, 7, happening, count);
    }

    #[test]
    fn entries_come_back_with_what_is_theirs() {
        let parent = Some(SpanId::from_int(9));
        let mut buffers = Buffers::default();
        let (own_span, own_event) =
            (SpanKind::from_value("mine"), EventKind::from_value("mine too"));
        push(&mut buffers, Happening::Started { parent, kind: own_span.clone() }, vec![]);
        push(&mut buffers, Happening::Went(Status::Ok), vec![]);
        push(
            &mut buffers,
            Happening::Event { kind: EventKind::Cost },
            vec![("a".into(), 1.into())],
        );
        push(&mut buffers, Happening::Event { kind: own_event.clone() }, vec![]);
        push(&mut buffers, Happening::Started { parent: None, kind: SpanKind::Workflow }, vec![]);
        push(&mut buffers, Happening::Ended(EndedBy::Dropped), vec![]);
        push(&mut buffers, Happening::Released, vec![]);
        assert_eq!(buffers.records(), 5);

        let mut entries = Vec::new();
        buffers.drain(Page::MOST_KEPT, |entry, attributes| {
            assert!(entry.span == SPAN && entry.time_unix_ns == 7);
            entries.push((entry.happening, attributes));
        });
        assert!(buffers.is_empty());
        assert!(matches!(&entries[..], [
            (Happening::Started { parent: of, kind: span }, _),
            (Happening::Went(Status::Ok), _),
            (Happening::Event { kind: EventKind::Cost }, cost),
            (Happening::Event { kind: event }, _),
            (Happening::Started { parent: None, kind: SpanKind::Workflow }, _),
            (Happening::Ended(EndedBy::Dropped), _),
            (Happening::Released, _),
        ] if *of == parent && *span == own_span && *event == own_event
            && *cost == [("a".into(), Value::Int(1))]));
    }

    #[test]
    fn pages_follow_one_another_and_are_used_again() {
        let mut buffers = Buffers::default();
        for round in 0..3 {
            let entries = 5 * Page::SLOTS as i64;
            for number in 0..entries {
                let text = "x".repeat(usize::try_from(number % 2000).unwrap_or_default());
                let attributes =
                    vec![("number".into(), number.into()), ("text".into(), text.into())];
                push(&mut buffers, Happening::Changed, attributes);
            }
            let set = buffers.attributes_of(SPAN);
            let mut next = 0;
            buffers.drain(Page::MOST_KEPT, |_, attributes| {
                assert_eq!(attributes[0].1, Value::Int(next));
                assert_eq!(attributes[1].1.as_str().map(str::len), Some(next as usize % 2000));
                assert_eq!(attributes, set[2 * next as usize..][..2]);
                next += 1;
            });
            assert_eq!(next, entries, "in round {round}");
        }
        assert!(buffers.pages.len() <= Page::MOST_KEPT);
        for _ in 0..200 {
            push(&mut buffers, Happening::Changed, vec![]);
            buffers.drain(Page::MOST_KEPT, |_, _| {});
        }
        assert_eq!(buffers.pages.len(), 4, "a burst is forgotten by and by");
        buffers.let_go();
        assert_eq!(buffers.pages.len(), 1);
    }

    #[test]
    fn what_waits_counts_as_records_and_with_its_pages() {
        let mut buffers = Buffers::default();
        for number in 0..5 * Page::SLOTS as i64 {
            let mut attributes: Vec<(Key, Given<'_>)> = vec![("number".into(), number.into())];
            buffers.bytes += prepare(&mut attributes, true);
            let count = buffers.lay(&mut attributes);
            buffers.push(SPAN, 7, Happening::Changed, count);
        }
        assert_eq!(buffers.pages.len(), 5);
        assert_eq!(buffers.held_bytes(), buffers.bytes + 4 * Page::BYTES);
        buffers.drain(Buffers::most_kept(64 << 20), |_, _| {});
        assert_eq!((buffers.pages.len(), buffers.held_bytes()), (20, 19 * Page::BYTES));
        buffers.drain(Buffers::most_kept(1 << 20), |_, _| {});
        assert_eq!(
            (buffers.pages.len(), buffers.held_bytes()),
            (1, 0),
            "little is left of a small bound"
        );
    }

    #[test]
    fn a_happening_with_more_than_a_page_holds_has_its_own() {
        let mut buffers = Buffers::default();
        let many = |count: i64| (0..count).map(|n| ("n".into(), Given::from(n))).collect();
        for count in [1, 10_000, 2, MOST_ATTRIBUTES as i64 + 1] {
            push(&mut buffers, Happening::Changed, many(count));
        }
        let mut counts = Vec::new();
        buffers.drain(Page::MOST_KEPT, |_, attributes| counts.push(attributes.len()));
        assert_eq!(counts, [1, 10_000, 2, MOST_ATTRIBUTES]);
        assert!(buffers.pages.iter().all(Page::is_of_usual_size), "an outsized page is let go of");
    }
}
