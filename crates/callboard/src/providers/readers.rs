//! How one reads one's own writes: before a provider is read, it is handed what its reader recorded.

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use callboard_core::Delivery;
use callboard_core::fork::{self, HeldOff};

/// How long a reader waits at the most; then it reads what there is.
const WAIT_AT_MOST: Duration = Duration::from_secs(5);

/// What a provider is owed, by each manager that it is registered with.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    owed: Mutex<Vec<Delivery>>,
}

impl Deliveries {
    /// Makes readers wait for this one too.
    pub(crate) fn add(&self, delivery: Delivery) {
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        owed.retain(|earlier| !earlier.is_over());
        owed.push(delivery);
    }

    /// What the provider keeps, with everything in it that was recorded so far, for which it waits a bounded time.
    pub(crate) fn read<'a, T>(&self, kept: &'a Mutex<T>) -> Reading<'a, T> {
        self.wait();
        let no_fork = fork::hold_off();
        let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        Reading { kept, _no_fork: no_fork }
    }

    fn wait(&self) {
        let owed = {
            let _no_fork = fork::hold_off();
            self.owed.lock().unwrap_or_else(PoisonError::into_inner).clone()
        };
        let deadline = Instant::now() + WAIT_AT_MOST;
        for delivery in owed {
            delivery.wait(deadline.saturating_duration_since(Instant::now()));
        }
    }
}

/// What a provider keeps, while it is read. A fork waits for that: a child goes on with a copy, and would find it locked.
pub(crate) struct Reading<'a, T> {
    kept: MutexGuard<'a, T>,
    _no_fork: HeldOff,
}

impl<T> Deref for Reading<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.kept
    }
}
