//! Behaviour of the core crate, a module each.
