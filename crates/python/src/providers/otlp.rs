//! `OpenTelemetryProvider`.
use callboard::TelemetryProvider;
use pyo3::prelude::*;
/// Placeholder until the exporter lands.
#[pyclass(module = "callboard", subclass, frozen, weakref)]
pub(crate) struct OpenTelemetryProvider {}
#[pymethods]
impl OpenTelemetryProvider {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyAny>, _kwargs: Option<&Bound<'_, PyAny>>) -> Self { Self {} }
}
struct Nothing;
impl TelemetryProvider for Nothing {
    fn name(&self) -> &str { "otlp" }
    fn on_records(&mut self, _: &[callboard::Record]) -> callboard::ProviderResult { Ok(()) }
}
impl OpenTelemetryProvider {
    pub(crate) fn sink(&self) -> Box<dyn TelemetryProvider> { Box::new(Nothing) }
}
