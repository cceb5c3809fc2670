//! The built-in providers, as Python sees them: thin handles that convert what they read.
//!
//! Reading waits until the provider has what its reader recorded; the GIL is released meanwhile.

mod cost;
mod mermaid;
mod otlp;

use callboard::{Prices, TelemetryProvider};
use callboard_core as core;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use self::cost::CostTrackerProvider;
use self::mermaid::MermaidDiagramProvider;
pub(crate) use self::otlp::OpenTelemetryProvider;

/// The environment variable that names a file with prices of the user's own.
const PRICES_VARIABLE: &str = "CALLBOARD_PRICES";

/// Prices from the file, else from the one that the environment names, else from the built-in table.
pub(crate) fn load_prices(prices: Option<String>) -> PyResult<Prices> {
    let path =
        prices.or_else(|| std::env::var(PRICES_VARIABLE).ok().filter(|path| !path.is_empty()));
    match path {
        Some(path) => Prices::load(path).map_err(|error| PyValueError::new_err(error.to_string())),
        None => Ok(Prices::default()),
    }
}

/// A manager that prices model calls at these prices.
pub(crate) fn make_manager(
    queue_bytes: Option<usize>,
    prices: Prices,
) -> core::InstrumentationManager {
    let mut config = callboard::manager_config(prices);
    if let Some(queue_bytes) = queue_bytes {
        config.pipeline.queue_bytes = queue_bytes;
        config.pipeline.provider_queue_bytes = queue_bytes / 2;
    }
    core::InstrumentationManager::new(config)
}

/// What is to be registered for a built-in provider; none for an object of another class.
pub(crate) fn sink_of(provider: &Bound<'_, PyAny>) -> Option<Box<dyn TelemetryProvider>> {
    if let Ok(costs) = provider.cast::<CostTrackerProvider>() {
        return Some(Box::new(costs.get().provider.clone()));
    }
    if let Ok(diagram) = provider.cast::<MermaidDiagramProvider>() {
        return Some(Box::new(diagram.get().provider.clone()));
    }
    provider.cast::<OpenTelemetryProvider>().ok().map(|exporter| exporter.get().sink())
}

pub(crate) fn add_classes(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<CostTrackerProvider>()?;
    module.add_class::<MermaidDiagramProvider>()?;
    module.add_class::<OpenTelemetryProvider>()
}
