//! Behaviour of the callboard crate, a module each.

mod costs;
mod diagram;
mod mermaid_reads;
mod pricing;
mod recording;
