//! The manager: it makes runs, and hands what happens in them to the registered providers.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::given::Attributes;
use crate::handle::Span;
use crate::id::{IdSource, RandomIds};
use crate::parent::RemoteParent;
use crate::pipeline::{Pipeline, PipelineConfig, ProviderId, Statistics};
use crate::provider::{ProcessorFactory, TelemetryProvider};
use crate::time::{Clock, RunClock, SystemClock};
use crate::value::Text;

/// How long a provider's deregistration waits for what was recorded before it.
const DEREGISTER_TIMEOUT: Duration = Duration::from_secs(5);

/// The name of a workflow that was given none.
pub const DEFAULT_WORKFLOW_NAME: &str = "AG2 Workflow";

/// Makes runs, and hands what happens in them to the registered providers. Clones are the same manager.
#[derive(Clone)]
pub struct InstrumentationManager {
    inner: Arc<Inner>,
}

struct Inner {
    pipeline: Arc<Pipeline>,
    ids: Arc<dyn IdSource>,
    clock: Arc<dyn Clock>,
}

impl Drop for Inner {
    /// What was recorded is still delivered, in the background; [`InstrumentationManager::shutdown`] waits for it.
    fn drop(&mut self) {
        self.pipeline.stop();
    }
}

/// How a manager is made: what is not set has its default.
pub struct ManagerConfig {
    /// The pipeline's bounds and pace.
    pub pipeline: PipelineConfig,
    /// What changes records before providers see them.
    pub processors: ProcessorFactory,
    /// Where ids come from.
    pub ids: Arc<dyn IdSource>,
    /// What tells the time.
    pub clock: Arc<dyn Clock>,
}

impl Default for ManagerConfig {
    fn default() -> Self {
        Self {
            pipeline: PipelineConfig::default(),
            processors: Arc::new(Vec::new),
            ids: Arc::new(RandomIds),
            clock: Arc::new(SystemClock),
        }
    }
}

impl InstrumentationManager {
    /// A manager made as `config` says, without providers.
    pub fn new(config: ManagerConfig) -> Self {
        let pipeline = Pipeline::new(config.pipeline, config.processors);
        Self { inner: Arc::new(Inner { pipeline, ids: config.ids, clock: config.clock }) }
    }

    /// Hands everything recorded from now on to `provider` too.
    pub fn register(&self, provider: Box<dyn TelemetryProvider>) -> ProviderId {
        self.inner.pipeline.register(provider)
    }

    /// Hands nothing more to the provider; it gets what was recorded before, and shuts down. False: it was not registered.
    pub fn deregister(&self, provider: ProviderId) -> bool {
        self.inner.pipeline.deregister(provider, DEREGISTER_TIMEOUT)
    }

    /// Starts a run: a new trace whose root is the WORKFLOW span returned. Its end ends every span still open in the run.
    pub fn start_run(&self, name: impl Into<Text>, attributes: impl Attributes) -> Span {
        self.start_run_within(None, name, attributes)
    }

    /// As [`start_run`](Self::start_run), in the trace of another program's span, which is the root's parent.
    pub fn start_run_within(
        &self,
        parent: Option<RemoteParent>,
        name: impl Into<Text>,
        attributes: impl Attributes,
    ) -> Span {
        let Inner { pipeline, ids, clock } = self.inner.as_ref();
        let clock = RunClock::start(clock.clone());
        Span::start_run(pipeline, ids, clock, parent, name.into(), attributes)
    }

    /// Waits until every provider has passed on what was recorded so far; false when `timeout` passed before.
    pub fn flush(&self, timeout: Duration) -> bool {
        self.inner.pipeline.flush(timeout)
    }

    /// As [`flush`](Self::flush), at the end of a part of the program. A provider that is not done in time is given up: this
    /// and [`shutdown_or_give_up`](Self::shutdown_or_give_up) do not wait for it again until it has caught up.
    pub fn flush_or_give_up(&self, timeout: Duration) -> bool {
        self.inner.pipeline.flush_or_give_up(timeout)
    }

    /// Waits until this provider was handed what was recorded so far; false when `timeout` passed before. On one of
    /// callboard's own threads it does not wait.
    pub fn wait_delivered(&self, provider: ProviderId, timeout: Duration) -> bool {
        self.inner.pipeline.wait_delivered(provider, timeout)
    }

    /// Delivers what is left and shuts the providers down; nothing is recorded afterwards. False when `timeout` passed
    /// before all had finished; they go on in the background.
    pub fn shutdown(&self, timeout: Duration) -> bool {
        self.inner.pipeline.shutdown(timeout)
    }

    /// As [`shutdown`](Self::shutdown), at the end of the program. A provider that
    /// [`flush_or_give_up`](Self::flush_or_give_up) has given up is not waited for.
    pub fn shutdown_or_give_up(&self, timeout: Duration) -> bool {
        self.inner.pipeline.shutdown_or_give_up(timeout)
    }

    /// What was recorded, delivered and dropped so far.
    pub fn statistics(&self) -> Statistics {
        self.inner.pipeline.statistics()
    }

    #[cfg(test)]
    pub(crate) fn pipeline(&self) -> &Arc<Pipeline> {
        &self.inner.pipeline
    }

    /// A reference that does not keep the manager alive.
    pub fn downgrade(&self) -> WeakManager {
        WeakManager(Arc::downgrade(&self.inner))
    }

    /// Whether the two are the same manager.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

/// A manager that may be gone.
#[derive(Clone)]
pub struct WeakManager(Weak<Inner>);

impl WeakManager {
    /// The manager, while it exists.
    pub fn upgrade(&self) -> Option<InstrumentationManager> {
        self.0.upgrade().map(|inner| InstrumentationManager { inner })
    }
}
