//! Words: the schema's types, inputs and payloads, and how they are executed.
//! Never holds a rule, and never a way around `app`.

mod access;
mod admission;
mod api_key;
mod call;
mod cost;
mod deployment;
mod document;
mod engine;
mod error;
mod event;
mod event_kind;
mod fitting;
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
mod resumption;
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
mod trusted;
mod types;
mod watch;

pub use admission::Refused;
pub use cost::UnknownField;
pub use document::{Admitted, Asked};
pub use meter::{Introspection, UnknownIntrospection};
pub use schema::{Answered, Api, ApiConnection, ApiError, Begun, Options, sdl};
pub use trusted::{TrustedDocument, TrustedDocumentError};
pub use watch::{Operation, Watch, Watcher};
