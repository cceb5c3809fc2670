//! The queue as the program's threads write it: pages that are used again and again.
//!
//! Recording must not allocate memory that another thread frees: that costs the program more than all the rest. So what
//! is recorded is laid into the pages as it is, and the pipeline's thread makes records of it, on its own account:
//!
//! ```text
//! entries     started(3)      changed(1)  event(2)    ended(0)      how many attributes each has
//! attributes  a, b, c,        d,          e, f                      of all entries, in order
//! ```

use crate::event::EventKind;
use crate::id::SpanId;
use crate::span::{EndedBy, SpanKind, Status};
use crate::time::UnixNanos;
use crate::value::{Attribute, attributes_size_bytes};

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
    Went(Box<Status>),
    Event {
        kind: EventKind,
    },
    Ended(EndedBy),
    /// Nobody can ask for it any more.
    Released,
}

/// The attributes that a happening has.
pub(crate) enum Particulars {
    None,
    One(Attribute),
    Many(Vec<Attribute>),
}

impl Particulars {
    pub(crate) fn as_mut_slice(&mut self) -> &mut [Attribute] {
        match self {
            Self::None => &mut [],
            Self::One(attribute) => std::slice::from_mut(attribute),
            Self::Many(attributes) => attributes,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(_) => 1,
            Self::Many(attributes) => attributes.len(),
        }
    }
}

impl Happening {
    /// Whether providers are told of it.
    pub(crate) fn is_record(&self) -> bool {
        !matches!(self, Self::Went(_) | Self::Released)
    }
}

pub(crate) struct Entry {
    pub(crate) span: SpanReference,
    attribute_count: u32,
    pub(crate) time_unix_ns: UnixNanos,
    pub(crate) happening: Happening,
}

/// See the module's documentation.
#[derive(Default)]
pub(crate) struct Buffers {
    /// Those up to `current` are in use, in order; the others wait for their turn.
    pages: Vec<Page>,
    current: usize,
    /// How many records come of the entries, changes in a row counted one by one.
    records: u64,
    pub(crate) bytes: usize,
}

/// So much of the buffers as is got at a time. A buffer in one piece would be moved each time that it grows.
struct Page {
    entries: Vec<Entry>,
    attributes: Vec<Attribute>,
}

/// About how many bytes a happening and its attributes take in the queue.
pub(crate) fn size_bytes(attributes: &[Attribute]) -> usize {
    size_of::<Entry>() + attributes_size_bytes(attributes)
}

impl Buffers {
    pub(crate) fn is_empty(&self) -> bool {
        self.pages.first().is_none_or(|page| page.entries.is_empty())
    }

    /// How many records come of them, changes in a row counted one by one.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// Lays down what happened to a span. The memory of a list of attributes stays behind, for its owner to free.
    pub(crate) fn push(
        &mut self,
        span: SpanReference,
        time_unix_ns: UnixNanos,
        happening: Happening,
        particulars: Particulars,
    ) {
        self.records += u64::from(happening.is_record());
        let attribute_count = particulars.len() as u32;
        let page = self.page_for(particulars.len());
        match particulars {
            Particulars::None => {}
            Particulars::One(attribute) => page.attributes.push(attribute),
            Particulars::Many(mut attributes) => page.attributes.append(&mut attributes),
        }
        page.entries.push(Entry { span, attribute_count, time_unix_ns, happening });
    }

    fn page_for(&mut self, attributes: usize) -> &mut Page {
        if self.pages.get(self.current).is_some_and(|page| !page.has_room(attributes)) {
            self.current += 1;
        }
        if self.current == self.pages.len() {
            self.pages.push(Page::new());
        }
        &mut self.pages[self.current]
    }

    /// Takes the entries out, each with its attributes. The buffers are empty afterwards and keep some room.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(Entry, Vec<Attribute>)) {
        for page in &mut self.pages {
            let mut attributes = page.attributes.drain(..);
            for entry in page.entries.drain(..) {
                let own = attributes.by_ref().take(entry.attribute_count as usize).collect();
                each(entry, own);
            }
        }
        self.pages.truncate(Page::MOST_KEPT);
        self.pages.retain(Page::is_of_usual_size);
        (self.current, self.records, self.bytes) = (0, 0, 0);
    }

    /// What was set on a span, at its start and since, and is yet to be taken out.
    pub(crate) fn attributes_of(&self, span: SpanReference) -> Vec<Attribute> {
        let mut found = Vec::new();
        for page in &self.pages {
            let mut attributes = page.attributes.as_slice();
            for entry in &page.entries {
                let (own, others) = attributes.split_at(entry.attribute_count as usize);
                let was_set =
                    matches!(entry.happening, Happening::Started { .. } | Happening::Changed);
                if was_set && entry.span == span {
                    found.extend_from_slice(own);
                }
                attributes = others;
            }
        }
        found
    }
}

impl Page {
    const ENTRIES: usize = 256;
    const ATTRIBUTES: usize = 2 * Self::ENTRIES;
    /// How many empty ones are kept.
    const MOST_KEPT: usize = 16;

    fn new() -> Self {
        Self {
            entries: Vec::with_capacity(Self::ENTRIES),
            attributes: Vec::with_capacity(Self::ATTRIBUTES),
        }
    }

    /// Whether these many attributes can be added; an empty page takes any number.
    fn has_room(&self, attributes: usize) -> bool {
        let fits = self.attributes.len() + attributes <= Self::ATTRIBUTES;
        self.entries.len() < Self::ENTRIES && (fits || self.entries.is_empty())
    }

    fn is_of_usual_size(&self) -> bool {
        self.attributes.capacity() == Self::ATTRIBUTES
    }
}
