//! Behaviour of the exporter, a module each, against a collector in this process.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod collector;
mod program;

mod configuration;
mod conversation;
mod export;
mod faults;
mod grpc;
mod history;
mod limits;
mod tls;
