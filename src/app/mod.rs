//! Operations: one function for each thing that a caller can ask for.
//! Never decides by itself: a rule does, on a permission; never speaks GraphQL or HTTP.

mod deployment;
mod event;
pub mod fixture;
mod governance;
mod infrastructure;
mod item;
mod page;
pub mod registry;
mod seen;
mod sign_off;
mod source;

pub use crate::store::{Committed, Failed, Fault};
pub use event::{EventFilter, EventPage, EventsAsked, EventsError, Kinds, LogPosition, Recorded, StreamItem};
pub use governance::instance_rules;
pub use item::Create;
pub use page::{Cursor, Page, PageRequest, RefusedPage};
pub use registry::{ItemFilter, ItemOrder, SourceFilter};
pub use seen::Seen;
pub use sign_off::{Task, my_review_tasks};

use crate::{
    domain::{
        access::Viewer,
        receipt::{Idempotency, Outcome},
    },
    store::{Snapshot, Store, Turn},
};
use std::sync::Arc;

/// The application: everything that can be asked, over one store. Clones share it.
#[derive(Clone)]
pub struct App {
    store: Store,
}

/// Who asks, and under which idempotency key.
#[derive(Clone)]
pub struct Call {
    /// Who asks.
    pub viewer: Arc<Viewer>,
    /// How a repeated command is recognised.
    pub idempotency: Option<Idempotency>,
}

impl App {
    /// The application over an open store.
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// The store, for those who open, close and watch it.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Has the writer decide a command of this caller, once for each idempotency key.
    async fn write<R: Outcome + Send + 'static>(
        &self,
        call: &Call,
        command: impl FnOnce(&mut Turn<'_>) -> Result<R, Failed> + Send + 'static,
    ) -> Result<Committed<R>, Failed> {
        self.store.of(&call.viewer).write(call.idempotency.clone(), command).await
    }

    /// The newest version of the viewer's tenant: one answer shows one version.
    ///
    /// # Errors
    /// A fault when the tenant cannot be loaded, `Unauthenticated` when the viewer no longer stands.
    pub async fn snapshot(&self, viewer: &Arc<Viewer>) -> Result<Snapshot, Failed> {
        let snapshot = self.store.of(viewer).read().await?;
        snapshot.view().caller()?;
        Ok(snapshot)
    }
}
