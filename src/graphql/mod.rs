//! Words: the schema's types, inputs and payloads, and how they are executed.
//! Never holds a rule, and never a way around `app`.

mod access;
mod api_key;
mod call;
mod cost;
mod deployment;
mod error;
mod event;
mod event_kind;
mod governance;
mod id;
mod identity;
mod infrastructure;
mod item;
mod meter;
mod node;
mod page;
mod quota;
mod registry;
mod scalar;
mod schema;
mod session;
mod sign_off;
mod source;
mod subscription;
mod sync;
mod template;
mod tenant;
mod timeline;
mod types;

pub use cost::UnknownField;
pub use meter::Introspection;
pub use schema::{Answered, Api, ApiConnection, Begun, Options, sdl};
