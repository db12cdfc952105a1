//! Countersign governs AI initiatives from the first idea to production.
//!
//! Five floors, in reading order; each imports only from the floors above it in this list, and the command
//! line stands on top of them.

pub mod limits;

pub mod app;
pub mod domain;
pub mod graphql;
pub mod http;
pub mod store;

pub mod cli;
