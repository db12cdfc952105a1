//! The rules, and a tenant's whole state as one immutable value with its indexes.
//! Never reads a clock, a disk or a network, and never waits: time and ids are parameters.

pub mod access;
pub mod action;
pub mod arrival;
pub mod caller;
mod consequences;
pub mod deployment;
pub mod event;
pub mod field;
pub mod founding;
pub mod governance;
pub mod id;
pub mod identity;
mod index;
pub mod infrastructure;
pub mod item;
pub mod known;
pub mod lookup;
pub mod policy;
pub mod receipt;
pub mod record;
pub mod refusal;
pub mod session;
mod sharing;
pub mod sign_off;
pub mod source;
pub mod state;
pub mod template;
pub mod tenant;
pub mod text;
pub mod time;
pub mod workflow;
