//! A batch: records on their way to the lanes, and the memory that they take.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::record::Record;

/// Records on their way to the lanes; shared by them. They count as held while the batch exists.
pub(crate) struct Batch {
    pub(crate) records: Vec<Record>,
    /// The number of the last entry that it was made of.
    pub(crate) through: u64,
    pub(crate) bytes: usize,
    held_bytes: Arc<AtomicUsize>,
}

impl Batch {
    /// A batch that holds `bytes` from now on.
    pub(crate) fn new(
        records: Vec<Record>,
        through: u64,
        bytes: usize,
        held_bytes: Arc<AtomicUsize>,
    ) -> Self {
        held_bytes.fetch_add(bytes, Ordering::Relaxed);
        Self { records, through, bytes, held_bytes }
    }

    /// The same records without the message bodies, and how many of these there were.
    pub(crate) fn without_bodies(&self) -> (Self, usize) {
        let mut records = self.records.clone();
        let bodies = records.iter_mut().map(Record::drop_bodies).sum();
        let bytes = records.iter().map(Record::size_bytes).sum();
        (Self::new(records, self.through, bytes, self.held_bytes.clone()), bodies)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.held_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
