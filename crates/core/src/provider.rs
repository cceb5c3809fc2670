//! THE extension point: a provider receives what was recorded and does something with it.

use std::sync::Arc;
use std::time::Duration;

use crate::pipeline::Delivery;
use crate::record::Record;

/// What a provider says when it could not do its work. It is logged once for each provider and counted each time.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ProviderError(Box<str>);

impl ProviderError {
    /// An error with this message: lower case, no full stop, naming the fix where there is one.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into().into_boxed_str())
    }
}

/// What each of a provider's methods returns.
pub type ProviderResult = Result<(), ProviderError>;

/// Makes a provider anew, in a forked child.
pub type Respawn = Arc<dyn Fn() -> Box<dyn TelemetryProvider> + Send + Sync>;

/// On which thread a provider is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// On a thread of its own, behind a bounded queue of its own: right for whatever may wait (network, disk, a lock of
    /// the host's), and for whatever is not known.
    OwnThread,
    /// On the pipeline's thread, between all the others: only for what computes a little and returns.
    Inline,
}

/// Receives what was recorded.
///
/// # Contract
/// - **Threads.** Records come on one of callboard's threads, never on the program's; calls to one provider never
///   overlap. The thread is chosen by [`placement`](Self::placement). Only what is asked at registration
///   ([`registered`](Self::registered), the name, the placement and the like) is asked on the program's thread.
/// - **Order.** Records come in the order in which they were recorded, each once. A span's end may come without its
///   start, if the start was dropped under pressure.
/// - **Waiting.** A provider with a thread of its own may wait as long as it likes. What arrives meanwhile waits in its
///   queue; when that is full, message bodies go first, then whole records, and both are counted.
/// - **Failing.** An error or a panic is logged once and counted; the provider is called again with the next batch, and
///   no other provider notices. Retrying is the provider's own affair.
/// - **Ending.** After [`shutdown`](Self::shutdown) nothing is called any more.
pub trait TelemetryProvider: Send {
    /// What it is called in logs and statistics.
    fn name(&self) -> &str;

    /// Told before any record, once for each manager that it is registered with. A provider with something to read
    /// keeps the `delivery`, so that its readers can wait for what they recorded themselves.
    fn registered(&mut self, _delivery: Delivery) {}

    /// Takes what was recorded since the last call.
    ///
    /// # Errors
    /// When it could not; the records are not offered again.
    fn on_records(&mut self, batch: &[Record]) -> ProviderResult;

    /// Passes on whatever it still holds back. Called when the program asks for a flush, after all that was recorded
    /// before was delivered.
    ///
    /// # Errors
    /// When it could not.
    fn flush(&mut self) -> ProviderResult {
        Ok(())
    }

    /// Called once, after the last record, so that it can pass on what it holds and let go of its resources.
    ///
    /// # Errors
    /// When it could not.
    fn shutdown(&mut self) -> ProviderResult {
        self.flush()
    }

    /// On which thread it wants to be called.
    fn placement(&self) -> Placement {
        Placement::OwnThread
    }

    /// How often [`tick`](Self::tick) is wanted while nothing is recorded; never, unless it says otherwise. Only a
    /// provider with a thread of its own is asked.
    fn tick_interval(&self) -> Option<Duration> {
        None
    }

    /// Whether records may wait for the next tick, so that they come in large batches: right for a provider that gathers
    /// them anyway. They do not wait when somebody waits for them, or when they are many.
    fn is_patient(&self) -> bool {
        false
    }

    /// Does what is due without a record, such as sending a batch that has waited long enough.
    ///
    /// # Errors
    /// When it could not.
    fn tick(&mut self) -> ProviderResult {
        Ok(())
    }

    /// How to make this provider anew in a forked child, where its threads do not exist. Without it the child goes on
    /// without the provider.
    fn respawn(&self) -> Option<Respawn> {
        None
    }
}

/// Changes records before any provider sees them: what all of them must agree on (such as a price) is decided here, once.
/// It is called on the pipeline's thread and must not wait.
pub trait RecordProcessor: Send {
    /// Changes, adds or removes records.
    fn process(&mut self, batch: &mut Vec<Record>);
}

/// Makes the processors of a pipeline, at its start and again in a forked child.
pub type ProcessorFactory = Arc<dyn Fn() -> Vec<Box<dyn RecordProcessor>> + Send + Sync>;
