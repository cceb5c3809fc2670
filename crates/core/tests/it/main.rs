//! Behaviour of the core crate, a module each.
#![expect(clippy::unwrap_used, reason = "what is unexpected in a test fails it")]

mod barriers;
mod histories;
mod isolation;
mod pressure;
mod probe;
mod registration;
mod spans;
