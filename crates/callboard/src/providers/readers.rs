//! How one reads one's own writes: before a provider is read, it is handed what its reader recorded.

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use callboard_core::Delivery;
use callboard_core::fork::{self, HeldOff};

/// How long a reader waits at the most; then it reads what there is.
const WAIT_AT_MOST: Duration = Duration::from_secs(5);

/// What a provider keeps of the records that it is handed, and what it is owed by each manager that it is registered with.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    kept: Mutex<T>,
    owed: Mutex<Vec<Delivery>>,
}

impl<T> Kept<T> {
    pub(crate) fn new(kept: T) -> Self {
        Self { kept: Mutex::new(kept), owed: Mutex::default() }
    }

    /// Makes readers wait for this one too.
    pub(crate) fn owe(&self, delivery: Delivery) {
        let mut owed = lock(&self.owed);
        owed.retain(|earlier| !earlier.is_over());
        owed.push(delivery);
    }

    /// What is kept, for the provider to change.
    pub(crate) fn write(&self) -> MutexGuard<'_, T> {
        lock(&self.kept)
    }

    /// What is kept, with everything in it that was recorded so far, for which it waits a bounded time.
    pub(crate) fn read(&self) -> Reading<'_, T> {
        self.wait();
        let no_fork = fork::hold_off();
        Reading { kept: lock(&self.kept), _no_fork: no_fork }
    }

    fn wait(&self) {
        let owed = {
            let _no_fork = fork::hold_off();
            lock(&self.owed).clone()
        };
        let deadline = Instant::now() + WAIT_AT_MOST;
        for delivery in owed {
            delivery.wait(deadline.saturating_duration_since(Instant::now()));
        }
    }
}

/// The lock's content, also after a panic: every change leaves it whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
