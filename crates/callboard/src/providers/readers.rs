//! How one reads one's own writes: before a provider is read, it is handed what its reader recorded.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use callboard_core::Delivery;

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

    /// Waits until the provider has what was recorded so far, for a bounded time.
    pub(crate) fn wait(&self) {
        let owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let deadline = Instant::now() + WAIT_AT_MOST;
        for delivery in owed {
            delivery.wait(deadline.saturating_duration_since(Instant::now()));
        }
    }
}
