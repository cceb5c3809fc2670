//! Behaviour of the callboard crate, a module each.
