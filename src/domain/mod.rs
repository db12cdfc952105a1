//! The rules, and a tenant's whole state as one immutable value with its indexes.
//! Never reads a clock, a disk or a network, and never waits: time and ids are parameters.

pub mod id;
pub mod time;
