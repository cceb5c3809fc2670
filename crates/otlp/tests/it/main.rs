//! Behaviour of the exporter, a module each, against a collector in this process.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod collector;
mod export;
mod faults;
mod program;
