//! A tenant's whole state as one immutable value, and the draft of its next.
//! Never changes but through a `Draft`, and a draft never lands without its events.

use super::{
    access::SystemActor,
    action::Action,
    event::{Event, EventKind, Subject},
    id::TenantId,
    index::Indexes,
    record::{Entity, Kind, Record, Tables},
    sign_off::SignOff,
    tenant::Tenant,
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use uuid::Uuid;

/// Everything of one tenant, cheap to clone: persistent maps share what did not change.
#[derive(Clone)]
pub struct State {
    tenant: TenantId,
    /// Unique among all states of the process: a change drafted from one cannot land on another.
    moment: u64,
    pub(in crate::domain) tables: Tables,
    pub(in crate::domain) indexes: Indexes,
}

/// A record that a change stores or removes.
#[derive(Clone, Debug)]
pub enum Write {
    /// The record as it is now.
    Put(Record),
    /// The record is gone.
    Remove(Kind, Uuid),
}

/// The next state in the making: what follows from a change is computed from its result.
#[derive(Clone)]
pub struct Draft {
    base: u64,
    next: State,
    action: Action,
    writes: Vec<Write>,
    events: Vec<Event>,
}

/// A finished change: the only thing that the store commits. `T` is what the caller is answered.
pub struct Change<T> {
    draft: Draft,
    outcome: T,
}

/// A change was drafted from a state that is no longer the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overtaken;

/// What a landed change did, for the journal.
pub struct Landed {
    /// What the caller did.
    pub action: Action,
    /// The records to store.
    pub writes: Vec<Write>,
    /// What happened, in order.
    pub events: Vec<Event>,
}

fn next_moment() -> u64 {
    static MOMENTS: AtomicU64 = AtomicU64::new(1);
    MOMENTS.fetch_add(1, Ordering::Relaxed)
}

impl State {
    /// The state of a tenant in which nothing has happened yet.
    pub fn empty(tenant: TenantId) -> Self {
        Self { tenant, moment: next_moment(), tables: Tables::default(), indexes: Indexes::default() }
    }

    /// Stores what the journal or the index holds; the store alone may call this, everything else drafts.
    /// A record weighs least when those that it refers to were restored before it.
    pub fn restore(&mut self, write: Write) {
        self.apply(match write {
            Write::Put(record) => Write::Put(self.shared(record)),
            Write::Remove(kind, uuid) => Write::Remove(kind, uuid),
        });
        self.moment = next_moment();
    }

    /// The tenant whose state this is.
    pub const fn tenant_id(&self) -> TenantId {
        self.tenant
    }

    /// The record with this id.
    pub(in crate::domain) fn find<T: Entity>(&self, id: T::Id) -> Option<&Arc<T>> {
        T::table(self).get(&id)
    }

    /// The tenant's own record; none before it is founded.
    pub fn tenant(&self) -> Option<&Arc<Tenant>> {
        self.find(self.tenant)
    }

    fn apply(&mut self, write: Write) {
        match write {
            Write::Put(record) => {
                let old = self.insert(record.clone());
                self.indexes.replace(old.as_ref(), Some(&record));
            }
            Write::Remove(kind, uuid) => {
                let old = self.take(kind, uuid);
                self.indexes.replace(old.as_ref(), None);
            }
        }
    }
}

impl Draft {
    pub(in crate::domain) fn new(state: &State, action: Action) -> Self {
        Self { base: state.moment, next: state.clone(), action, writes: vec![], events: vec![] }
    }

    /// The state with everything that was put so far.
    pub(in crate::domain) const fn next(&self) -> &State {
        &self.next
    }

    /// Stores a record, by the caller's own doing, and says what happened.
    pub(in crate::domain) fn put<T: Entity>(&mut self, record: T, subject: Subject, event: EventKind) -> Arc<T> {
        self.events.push(Event { by: None, subject, kind: event });
        self.store(record)
    }

    /// Stores a record that follows from the change; the server does it, under a name of its own.
    pub(in crate::domain) fn follow<T: Entity>(
        &mut self,
        by: SystemActor,
        record: T,
        subject: Subject,
        event: EventKind,
    ) -> Arc<T> {
        self.events.push(Event { by: Some(by), subject, kind: event });
        self.store(record)
    }

    /// Stores a record and says all that happened to it; `events` is never empty.
    pub(in crate::domain) fn put_all<T: Entity>(
        &mut self,
        record: T,
        subject: Subject,
        events: Vec<EventKind>,
    ) -> Arc<T> {
        self.events.extend(events.into_iter().map(|kind| Event { by: None, subject, kind }));
        self.store(record)
    }

    /// Stores a record by the caller's doing, or by the server's where a name is given.
    pub(in crate::domain) fn store_by<T: Entity>(
        &mut self,
        by: Option<SystemActor>,
        record: T,
        subject: Subject,
        event: EventKind,
    ) -> Arc<T> {
        self.events.push(Event { by, subject, kind: event });
        self.store(record)
    }

    /// Stores the sign-off of a new item's step: what tells of the item tells of it.
    pub(in crate::domain) fn attach(&mut self, sign_off: SignOff) {
        self.store(sign_off);
    }

    /// Stores records that people see as one thing, with the one event that tells of them.
    pub(in crate::domain) fn put_together(&mut self, records: Vec<Record>, subject: Subject, event: EventKind) {
        self.events.push(Event { by: None, subject, kind: event });
        for record in records {
            let write = Write::Put(record);
            self.next.apply(write.clone());
            self.writes.push(write);
        }
    }

    /// Says one more thing that happened by a change already put.
    pub(in crate::domain) fn tell(&mut self, by: Option<SystemActor>, subject: Subject, event: EventKind) {
        self.events.push(Event { by, subject, kind: event });
    }

    /// Removes a record for good and says so.
    pub(in crate::domain) fn remove<T: Entity>(&mut self, record: &T, subject: Subject, event: EventKind) {
        self.events.push(Event { by: None, subject, kind: event });
        let write = Write::Remove(T::KIND, record.uuid());
        self.next.apply(write.clone());
        self.writes.push(write);
    }

    /// Stores the memory of a command that carried an idempotency key; the one record without an event,
    /// because it is part of how the command was made, not of what happened.
    pub(in crate::domain) fn remember(&mut self, receipt: super::identity::Receipt) {
        self.store(receipt);
    }

    /// Forgets such a memory.
    pub(in crate::domain) fn forget(&mut self, receipt: super::id::ReceiptId) {
        let write = Write::Remove(Kind::Receipt, receipt.uuid());
        self.next.apply(write.clone());
        self.writes.push(write);
    }

    fn store<T: Entity>(&mut self, record: T) -> Arc<T> {
        let record = Arc::new(record);
        let write = Write::Put(Arc::clone(&record).record());
        self.next.apply(write.clone());
        self.writes.push(write);
        record
    }

    /// The change, with what the caller is answered.
    pub(in crate::domain) fn done<T>(self, outcome: T) -> Change<T> {
        Change { draft: self, outcome }
    }
}

impl<T> Change<T> {
    /// The same change with the answer that `map` makes of it.
    pub fn map<U>(self, map: impl FnOnce(T) -> U) -> Change<U> {
        Change { draft: self.draft, outcome: map(self.outcome) }
    }

    /// Makes the change the newest state; the store's turn alone calls this.
    ///
    /// # Errors
    /// `Overtaken` when `state` moved on since the change was drafted: it would undo what came between.
    pub fn land(self, state: &mut State) -> Result<(Landed, T), Overtaken> {
        let Draft { base, mut next, action, writes, events } = self.draft;
        if base != state.moment {
            return Err(Overtaken);
        }
        next.moment = next_moment();
        *state = next;
        Ok((Landed { action, writes, events }, self.outcome))
    }
}
