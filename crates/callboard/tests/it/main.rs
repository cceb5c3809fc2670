//! Behaviour of the callboard crate, a module each.

mod broken_caches;
mod costs;
mod current;
mod diagram;
mod findings;
mod mermaid_reads;
mod message_costs;
mod pricing;
mod recording;
mod runs;
