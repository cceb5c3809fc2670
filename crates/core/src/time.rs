//! Time: a monotonic clock that each run anchors to the wall clock at its start.
//!
//! Within a run durations and order are therefore right even when the machine's clock is set meanwhile.

use std::sync::Arc;
use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970-01-01T00:00:00Z, as OTLP has them.
pub type UnixNanos = u64;

/// What tells the time: the machine's clocks in a program, a fixed one in a test.
pub trait Clock: Send + Sync {
    /// Nanoseconds since some moment of this process; never goes back.
    fn monotonic_ns(&self) -> u64;
    /// The wall clock.
    fn unix_ns(&self) -> UnixNanos;
}

/// The machine's clocks.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

static PROCESS_START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Clock for SystemClock {
    fn monotonic_ns(&self) -> u64 {
        let elapsed = PROCESS_START.elapsed();
        elapsed.as_secs() * 1_000_000_000 + u64::from(elapsed.subsec_nanos())
    }

    fn unix_ns(&self) -> UnixNanos {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|since| u64::try_from(since.as_nanos()).ok())
            .unwrap_or(0)
    }
}

/// The clock of one run: monotonic, anchored to the wall clock when the run began.
#[derive(Clone)]
pub struct RunClock {
    clock: Arc<dyn Clock>,
    unix_anchor_ns: UnixNanos,
    monotonic_anchor_ns: u64,
}

impl RunClock {
    /// Anchors `clock` now.
    pub fn start(clock: Arc<dyn Clock>) -> Self {
        let (unix_anchor_ns, monotonic_anchor_ns) = (clock.unix_ns(), clock.monotonic_ns());
        Self { clock, unix_anchor_ns, monotonic_anchor_ns }
    }

    /// The time in this run.
    pub fn now(&self) -> UnixNanos {
        self.at(self.clock.monotonic_ns())
    }

    /// The time in this run at which the clock's [`Clock::monotonic_ns`] was `monotonic_ns`.
    pub fn at(&self, monotonic_ns: u64) -> UnixNanos {
        if monotonic_ns >= self.monotonic_anchor_ns {
            self.unix_anchor_ns.saturating_add(monotonic_ns - self.monotonic_anchor_ns)
        } else {
            self.unix_anchor_ns.saturating_sub(self.monotonic_anchor_ns - monotonic_ns)
        }
    }
}

impl std::fmt::Debug for RunClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunClock").field("unix_anchor_ns", &self.unix_anchor_ns).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_counts_from_its_anchor_in_both_directions() {
        let run = RunClock {
            clock: Arc::new(SystemClock),
            unix_anchor_ns: 1_000,
            monotonic_anchor_ns: 500,
        };
        assert_eq!(run.at(500), 1_000);
        assert_eq!(run.at(700), 1_200);
        assert_eq!(run.at(400), 900);
    }
}
