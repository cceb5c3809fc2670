//! What became of the spans: counted by the exporter's thread, read by anybody.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// What an exporter has counted so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportStatistics {
    /// Spans that the collector took.
    pub sent: u64,
    /// Spans that it refused: a 4xx or 5xx answer that is final, or the rest of a partial success.
    pub refused: u64,
    /// Spans let go of because too many waited, or because the time for the last sending was over.
    pub dropped: u64,
    /// Attributes and events of spans that had not ended, let go of because there were too many of them.
    pub parts_dropped: u64,
    /// Requests that were made again.
    pub retries: u64,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// Reads an exporter's statistics, also once the exporter was handed to a manager. Clones read the same.
#[derive(Clone, Debug, Default)]
pub struct StatisticsHandle(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    sent: AtomicU64,
    refused: AtomicU64,
    dropped: AtomicU64,
    parts_dropped: AtomicU64,
    retries: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl StatisticsHandle {
    /// What has been counted so far; in a forked child, since the fork.
    pub fn get(&self) -> ExportStatistics {
        let Shared { sent, refused, dropped, parts_dropped, retries, last_error } = &*self.0;
        ExportStatistics {
            sent: sent.load(Ordering::Relaxed),
            refused: refused.load(Ordering::Relaxed),
            dropped: dropped.load(Ordering::Relaxed),
            parts_dropped: parts_dropped.load(Ordering::Relaxed),
            retries: retries.load(Ordering::Relaxed),
            // In a forked child the lock may be held by a thread that is not there.
            last_error: last_error.try_lock().ok().and_then(|error| error.clone()),
        }
    }

    pub(crate) fn add_sent(&self, spans: u64) {
        self.0.sent.fetch_add(spans, Ordering::Relaxed);
    }

    pub(crate) fn add_refused(&self, spans: u64) {
        self.0.refused.fetch_add(spans, Ordering::Relaxed);
    }

    pub(crate) fn add_dropped(&self, spans: u64) {
        self.0.dropped.fetch_add(spans, Ordering::Relaxed);
    }

    pub(crate) fn add_parts_dropped(&self, parts: u64) {
        self.0.parts_dropped.fetch_add(parts, Ordering::Relaxed);
    }

    pub(crate) fn add_retry(&self) {
        self.0.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_last_error(&self, error: &str) {
        // A reader holds the lock for an instant; in a forked child a thread that is not there may hold it for ever.
        for _ in 0..100 {
            if let Ok(mut last) = self.0.last_error.try_lock() {
                *last = Some(error.to_owned());
                return;
            }
            std::thread::yield_now();
        }
    }

    /// Counts anew, for a forked child.
    pub(crate) fn reset(&self) {
        let Shared { sent, refused, dropped, parts_dropped, retries, last_error } = &*self.0;
        for counter in [sent, refused, dropped, parts_dropped, retries] {
            counter.store(0, Ordering::Relaxed);
        }
        if let Ok(mut last) = last_error.try_lock() {
            *last = None;
        }
    }
}
