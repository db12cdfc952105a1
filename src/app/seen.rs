//! A record that its viewer may read, together with the version that it was read in.
//! Never made but by asking for the permission to read.

use crate::{
    domain::{
        access::{Denied, Resource, View},
        record::Entity,
        template::Template,
    },
    store::{Committed, Snapshot},
};
use std::{ops::Deref, sync::Arc};

/// One record, as its viewer may see it.
#[derive(Clone)]
pub struct Seen<T> {
    snapshot: Snapshot,
    record: Arc<T>,
}

impl<T: Entity + Resource> Seen<T> {
    /// The record with this id, if the viewer of the snapshot may read it.
    ///
    /// # Errors
    /// `NotFound` when there is none for her.
    pub fn find(snapshot: &Snapshot, id: T::Id) -> Result<Self, Denied> {
        let record = Arc::clone(snapshot.view().readable::<T>(id)?);
        Ok(Self { snapshot: snapshot.clone(), record })
    }

    /// A record in the version after the commit that answered it.
    ///
    /// # Errors
    /// `NotFound` when the commit took the viewer's right to read it.
    pub fn after(committed: &Committed<Arc<T>>) -> Result<Self, Denied> {
        Self::find(&committed.snapshot, committed.outcome.id())
    }
}

impl<T> Seen<T> {
    /// Records that a view has already opened for reading.
    pub(super) fn all<'s>(
        snapshot: &'s Snapshot,
        readable: impl Iterator<Item = &'s Arc<T>> + 's,
    ) -> impl Iterator<Item = Self> + 's
    where
        T: 's,
    {
        readable.map(|record| Self { snapshot: snapshot.clone(), record: Arc::clone(record) })
    }

    /// The same version's eyes on a record that was made from what they may see.
    pub(super) fn beside<U>(&self, record: U) -> Seen<U> {
        Seen { snapshot: self.snapshot.clone(), record: Arc::new(record) }
    }

    /// The version that it was read in.
    pub const fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// That version through the viewer's eyes.
    pub fn view(&self) -> View<'_> {
        self.snapshot.view()
    }
}

impl Seen<Template> {
    /// The template without the fields that its reader may read on no item.
    pub fn shown(&self) -> Template {
        self.view().shown_template(&self.record).unwrap_or_else(|_| self.record.with_fields(|_| false))
    }
}

impl<T> Deref for Seen<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.record
    }
}
