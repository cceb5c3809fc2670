//! The model and flow of callboard: what a team of agents did, recorded once and handed to providers.
//!
//! This crate knows no network, SQL, protobuf, HTTP or Python. In reading order:
//!
//! - [`InstrumentationManager`] makes runs; [`Span`] is the handle through which a program records.
//! - [`TelemetryProvider`] is the extension point: it receives [`Record`]s in batches.
//! - [`Value`] is what an attribute holds; [`Context`] is a history of messages, stored once.
//! - [`pipeline`] brings records from the program's threads to the providers, bounded and isolated.
//! - [`testing`] has a provider, a clock and ids for tests.

pub mod current;
pub mod event;
pub mod fork;
pub mod given;
pub mod handle;
pub mod id;
pub mod json;
pub mod keys;
pub mod manager;
pub mod message;
pub mod parent;
pub mod pipeline;
pub mod provider;
pub mod record;
pub mod span;
pub mod testing;
pub mod threads;
pub mod time;
pub mod value;

pub use current::{Entered, Within, current_span};
pub use event::EventKind;
pub use given::{Attributes, Given};
pub use handle::{Span, WeakSpan};
pub use id::{IdSource, SpanId, TraceId};
pub use manager::{DEFAULT_WORKFLOW_NAME, InstrumentationManager, ManagerConfig, WeakManager};
pub use message::{Context, Message};
pub use parent::RemoteParent;
pub use pipeline::{Delivery, PipelineConfig, ProviderId, ProviderStatistics, Statistics};
pub use provider::{
    Placement, ProcessorFactory, ProviderError, ProviderResult, RecordProcessor, Respawn,
    TelemetryProvider,
};
pub use record::{Event, Record, SpanChanged, SpanEnded};
pub use span::{EndedBy, RunHead, SpanHead, SpanKind, Status};
pub use time::{Clock, UnixNanos};
pub use value::{Attribute, Key, Text, Value};
