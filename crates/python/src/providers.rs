//! The built-in providers, as Python sees them.

use std::time::Duration;

use callboard_core as core;
use pyo3::prelude::*;

pub(crate) fn make_manager(queue_bytes: Option<usize>, _prices: Option<String>) -> PyResult<core::InstrumentationManager> {
    let mut config = core::ManagerConfig::default();
    if let Some(queue_bytes) = queue_bytes {
        config.pipeline.queue_bytes = queue_bytes;
        config.pipeline.provider_queue_bytes = queue_bytes / 2;
    }
    Ok(core::InstrumentationManager::new(config))
}

pub(crate) fn sink_of(_provider: &Bound<'_, PyAny>) -> Option<Box<dyn core::TelemetryProvider>> {
    None
}

pub(crate) fn attach(_provider: &Bound<'_, PyAny>, _manager: &core::InstrumentationManager, _id: core::ProviderId) {}

pub(crate) fn add_classes(_module: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}
