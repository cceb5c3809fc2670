//! `callboard._native`: the native half of the Python package. It converts and delegates; the package documents.
//!
//! The only crate that knows PyO3. In reading order:
//!
//! - [`manager`] and [`span`]: the handles through which a Python program records.
//! - [`current`]: which span is current, in a `contextvars.ContextVar`; [`activation`]: one made current elsewhere.
//! - [`frame`]: the generator that a frame is of.
//! - [`variable`]: variables of a context; [`watch`]: a program's function, watched; [`attempt`]: several tried in turn.
//! - [`given`]: what a program passes to a call that records, read where it lies; [`arguments`]: numbers that have a range.
//! - [`content`]: how much of messages is recorded, and with what taken out.
//! - [`value`], [`history`], [`kinds`] and [`known`]: Python's objects as the core's values, and back.
//! - [`providers`]: the built-in providers; [`adapter`]: one that a user wrote in Python.
//! - [`exception`]: the program's exceptions; [`guard`]: what code that is not ours may raise, or be caught in.
//! - [`lifecycle`]: exit, forks and logging; [`exit`]: the program's own threads at the interpreter's end.
//! - [`otel`]: the OpenTelemetry API's own context; [`parent`]: the span of another program that a run begins in.

mod activation;
mod adapter;
mod ag2;
mod arguments;
mod content;
mod current;
mod exception;
mod exit;
mod frame;
mod given;
mod guard;
mod history;
mod kinds;
mod known;
mod lifecycle;
mod manager;
mod otel;
mod parent;
mod providers;
mod span;
mod value;
mod variable;
mod watch;

use pyo3::prelude::*;

#[pymodule(gil_used = true)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    lifecycle::refuse_subinterpreters()?;
    lifecycle::install_logging();
    current::make_variable(module.py())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<manager::InstrumentationManager>()?;
    module.add_class::<span::SpanContext>()?;
    module.add_class::<activation::Activation>()?;
    module.add_class::<history::Messages>()?;
    module.add_class::<content::ContentPolicy>()?;
    module.add_class::<watch::Switch>()?;
    module.add_class::<watch::Watch>()?;
    module.add_class::<watch::Waiting>()?;
    ag2::add_classes(module)?;
    providers::add_classes(module)?;
    module.add_function(wrap_pyfunction!(current::look_at_current_span, module)?)?;
    module.add_function(wrap_pyfunction!(current::ask_generators, module)?)?;
    module.add_function(wrap_pyfunction!(frame::generator_of, module)?)?;
    module.add_function(wrap_pyfunction!(otel::with_current_span, module)?)?;
    module.add_function(wrap_pyfunction!(span::clock_ns, module)?)?;
    module.add_function(wrap_pyfunction!(kinds::set_kind_classes, module)?)?;
    module.add_function(wrap_pyfunction!(lifecycle::shutdown_all, module)?)?;
    module.add_function(wrap_pyfunction!(lifecycle::flush_all, module)?)?;
    module.add_function(wrap_pyfunction!(lifecycle::before_fork, module)?)?;
    module.add_function(wrap_pyfunction!(lifecycle::after_fork_in_parent, module)?)?;
    module.add_function(wrap_pyfunction!(lifecycle::after_fork_in_child, module)?)
}
