//! The only handle to data: one viewer's, and so one tenant's.
//! Never names a tenant by argument, and never answers before what it answers is durable.

use super::{
    Store,
    fault::{Failed, Fault},
    index::{Index, IndexError, Numbers},
    journal::{ReadError, Record},
    keys::KeysError,
    open::decode_record,
    queue::{Job, Settled, Work},
    slot::{Entry, Slot, Snapshot, Version},
    turn::Turn,
};
use crate::domain::{
    access::Viewer,
    id::{ApiKeyId, TenantId},
    receipt::{self, Idempotency, Outcome},
    tenant::Quota,
    time::Timestamp,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, atomic::Ordering},
};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

/// What one viewer may reach: her tenant's state, its history, and the writer.
#[derive(Clone)]
pub struct Data {
    pub(super) store: Store,
    pub(super) viewer: Arc<Viewer>,
}

/// A durable outcome.
pub struct Committed<R> {
    /// What the command answers.
    pub outcome: R,
    /// The state after the command's group.
    pub snapshot: Snapshot,
    /// The number of the command's commit, or of the newest before it when it changed nothing.
    pub number: u64,
}

impl<R> Committed<R> {
    /// The same with another outcome.
    pub fn map<U>(self, map: impl FnOnce(R) -> U) -> Committed<U> {
        Committed { outcome: map(self.outcome), snapshot: self.snapshot, number: self.number }
    }
}

impl Data {
    /// The newest version; loaded first when nobody has used the tenant for a while.
    ///
    /// # Errors
    /// `Unreadable` when it cannot be loaded, `Stopping` when the server stops.
    pub async fn read(&self) -> Result<Snapshot, Fault> {
        let slot = self.slot();
        slot.touch(self.store.inner.clock.now());
        Ok(Snapshot::new(self.version(&slot).await?, Arc::clone(&self.viewer)))
    }

    async fn version(&self, slot: &Slot) -> Result<Arc<Version>, Fault> {
        if let Some(version) = slot.version.load_full() {
            return Ok(version);
        }
        let (waiter, arrived) = oneshot::channel();
        self.store.inner.queue.call(Work::Need(self.viewer.tenant(), waiter));
        arrived.await.map_err(|_| Fault::Stopping)?
    }

    fn slot(&self) -> Arc<Slot> {
        self.store.inner.slots.slot(self.viewer.tenant())
    }

    /// Has a command decided by the writer; answers once its group is durable.
    /// With `asked`, a command that was done before is not done again, and answers what it answered.
    ///
    /// # Errors
    /// Whatever the command answers, also only once the group on which it rests is durable; or a fault.
    pub async fn write<R>(
        &self,
        asked: Option<Idempotency>,
        command: impl FnOnce(&mut Turn<'_>) -> Result<R, Failed> + Send + 'static,
    ) -> Result<Committed<R>, Failed>
    where
        R: Outcome + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let viewer = Arc::clone(&self.viewer);
        let decide = Box::new(move |turn: &mut Turn<'_>| {
            let decided = catch_unwind(AssertUnwindSafe(|| once(turn, asked.as_ref(), command)));
            let decided = match decided {
                Ok(decided) => decided,
                Err(why) => {
                    // It did nothing, whatever becomes of the writer.
                    answer.send(Err(Fault::Panicked.into())).ok();
                    resume_unwind(why)
                }
            };
            let stands = decided.is_ok();
            let settle = Box::new(move |settled: Settled| {
                let outcome = match settled {
                    Settled::Failed(fault) => Err(fault.into()),
                    Settled::Refused(refusal) => Err(refusal.into()),
                    Settled::Durable { version, number } => {
                        decided.map(|outcome| Committed { outcome, snapshot: Snapshot::new(version, viewer), number })
                    }
                };
                // Whoever has gone away needs no answer: the command stands all the same.
                answer.send(outcome).ok();
            });
            (stands, settle as _)
        });
        let job = Job { viewer: Arc::clone(&self.viewer), decide };
        self.store.inner.queue.push(self.viewer.tenant(), job)?;
        answered.await.unwrap_or_else(|_| {
            // The writer itself is gone, with a panic or at the end: of what it was about nobody knows.
            let fault = if self.store.is_stopped() { Fault::OutcomeUnknown } else { Fault::Stopping };
            Err(fault.into())
        })
    }

    /// Waits for the tenant's head to move; register before reading, or a wake-up is lost.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.slot().head.subscribe()
    }

    /// The tenant's past.
    pub fn history(&self) -> History {
        History { store: self.store.clone(), viewer: Arc::clone(&self.viewer), slot: self.slot() }
    }
}

/// Runs a command, or recalls what it did.
fn once<R: Outcome>(
    turn: &mut Turn<'_>,
    asked: Option<&Idempotency>,
    command: impl FnOnce(&mut Turn<'_>) -> Result<R, Failed>,
) -> Result<R, Failed> {
    let Some(asked) = asked else { return command(turn) };
    if let Some(outcome) = receipt::recall(turn.view(), asked, turn.now())? {
        return Ok(outcome);
    }
    let outcome = command(turn)?;
    if let (Some(ids), Some(action)) = (outcome.ids(), turn.landed.first().map(|landed| landed.action)) {
        let remembered = receipt::remember(turn.view(), action, asked, ids, turn.now());
        turn.stage(remembered)?;
    }
    Ok(outcome)
}

/// A tenant's past: every commit, in order. Whoever reads it filters by what the viewer may see.
#[derive(Clone)]
pub struct History {
    pub(super) store: Store,
    pub(super) viewer: Arc<Viewer>,
    pub(super) slot: Arc<Slot>,
}

impl History {
    /// The commits after `number`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// `Unreadable` when the journal or the index cannot be read.
    pub async fn after(&self, number: u64, limit: usize) -> Result<Vec<Arc<Entry>>, Fault> {
        let number = number.max(self.begins_behind());
        if self.newest() <= number {
            return Ok(vec![]);
        }
        // The tail is read first: what it does not hold, the index does.
        let tail = self.slot.tail_after(number);
        if tail.first().is_some_and(|first| first.number == number + 1) {
            return Ok(tail.into_iter().take(limit).collect());
        }
        let this = self.clone();
        let older = blocking(move || {
            let places = this.index(|index| index.places(this.viewer.tenant(), number, limit));
            places?.into_iter().map(|(number, place)| this.entry(number, place)).collect()
        });
        let mut entries: Vec<Arc<Entry>> = older.await?;
        let last = entries.last().map_or(number, |entry| entry.number);
        entries.extend(tail.into_iter().filter(|entry| entry.number > last));
        entries.truncate(limit);
        Ok(entries)
    }

    /// The commits that concern an entity, newest first, before `number` (none: from the newest), at most `limit`.
    ///
    /// # Errors
    /// `Unreadable` when the journal or the index cannot be read.
    pub async fn of(&self, entity: Uuid, before: Option<u64>, limit: usize) -> Result<Vec<Arc<Entry>>, Fault> {
        let before = before.unwrap_or(u64::MAX);
        let tail = self.slot.tail_after(0);
        let begin = tail.first().map_or(u64::MAX, |first| first.number);
        let newest = tail.into_iter().rev().filter(|entry| entry.number < before && entry.mentions(entity));
        let mut entries: Vec<Arc<Entry>> = newest.take(limit).collect();
        if entries.len() < limit {
            let (this, missing) = (self.clone(), limit - entries.len());
            let older = blocking(move || {
                let from = Numbers::Before(before.min(begin));
                let numbers = this.index(|index| index.mentions(this.viewer.tenant(), entity, from, missing));
                // What was cut may still be named by an index that is older than the cut.
                let cut = this.begins_behind();
                let numbers = numbers?.into_iter().filter(|number| *number > cut);
                numbers.map(|number| this.numbered(number)).collect::<Result<Vec<_>, _>>()
            });
            entries.extend(older.await?);
        }
        Ok(entries)
    }

    /// The commits that concern an entity, oldest first, after `number`, at most `limit`.
    ///
    /// # Errors
    /// `Unreadable` when the journal or the index cannot be read.
    pub async fn of_after(&self, entity: Uuid, number: u64, limit: usize) -> Result<Vec<Arc<Entry>>, Fault> {
        // The tail is read first: what it does not hold, the index does.
        let tail = self.slot.tail_after(0);
        let begin = tail.first().map_or(u64::MAX, |first| first.number);
        let mut entries: Vec<Arc<Entry>> = vec![];
        let number = number.max(self.begins_behind());
        if number.saturating_add(1) < begin {
            let this = self.clone();
            let older = blocking(move || {
                let tenant = this.viewer.tenant();
                let numbers = this.index(|index| index.mentions(tenant, entity, Numbers::After(number), limit));
                let numbers = numbers?.into_iter().filter(|number| *number < begin);
                numbers.map(|number| this.numbered(number)).collect::<Result<Vec<_>, _>>()
            });
            entries = older.await?;
        }
        entries.extend(tail.into_iter().filter(|entry| entry.number > number && entry.mentions(entity)));
        entries.truncate(limit);
        Ok(entries)
    }

    /// The commits before `number` (none: from the newest), newest first, at most `limit`.
    ///
    /// # Errors
    /// `Unreadable` when the journal or the index cannot be read.
    pub async fn before(&self, number: Option<u64>, limit: usize) -> Result<Vec<Arc<Entry>>, Fault> {
        let below = number.unwrap_or(u64::MAX).min(self.newest().saturating_add(1));
        let from = below.saturating_sub(1).saturating_sub(u64::try_from(limit).unwrap_or(u64::MAX));
        let mut entries = self.after(from, limit).await?;
        entries.retain(|entry| entry.number < below);
        entries.reverse();
        Ok(entries)
    }

    /// The number of the newest commit that was cut; 0 while all of history is there.
    pub fn begins_behind(&self) -> u64 {
        self.store.inner.begins_behind.get(&self.viewer.tenant()).copied().unwrap_or(0)
    }

    /// The number of the newest commit that is visible.
    pub fn newest(&self) -> u64 {
        // A version is shown, and its command answered, a moment before the waiting readers are woken.
        let shown = self.slot.version.load().as_ref().map_or(0, |version| version.number);
        shown.max(*self.slot.head.borrow())
    }

    fn numbered(&self, number: u64) -> Result<Arc<Entry>, Fault> {
        let place = self.index(|index| index.place(self.viewer.tenant(), number))?;
        self.entry(number, place.ok_or(Fault::Unreadable)?)
    }

    /// Asks the index; one that fails is replaced.
    fn index<T>(&self, ask: impl FnOnce(&Index) -> Result<T, IndexError>) -> Result<T, Fault> {
        let current = &self.store.inner.index;
        current.index().and_then(|index| ask(&index)).map_err(|error| {
            current.doubt(&error);
            Fault::Rebuilding
        })
    }

    fn entry(&self, number: u64, place: super::journal::Place) -> Result<Arc<Entry>, Fault> {
        let record = self.store.inner.reader.record(place);
        let named = |record: &Record| record.tenant == self.viewer.tenant() && record.number == number;
        let record = match record {
            Ok(record) if named(&record) => record,
            // Nothing lies there, or another record: the index names the wrong place, or the journal is damaged, which
            // rebuilding the index brings to light.
            Ok(_) | Err(ReadError::Damaged { .. }) => {
                return self.index(|_| Err(IndexError::Damaged("a record's place")));
            }
            Err(error @ ReadError::Disk { .. }) => return Err(unreadable(error)),
        };
        let commit = decode_record(&self.store.inner.keys, &record).map_err(unreadable)?;
        let commit = commit.ok_or(Fault::Unreadable)?;
        Ok(Arc::new(Entry { number, at: record.at, commit }))
    }
}

fn unreadable(error: impl std::fmt::Display) -> Fault {
    tracing::error!(%error, "the past cannot be read");
    Fault::Unreadable
}

/// Reads the disk off the runtime's threads.
pub(super) async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(read).await.unwrap_or(Err(Fault::Panicked))
}

impl Store {
    /// What a viewer may reach.
    pub fn of(&self, viewer: &Arc<Viewer>) -> Data {
        Data { store: self.clone(), viewer: Arc::clone(viewer) }
    }

    /// Erases a tenant: destroys its key, so that nothing of it can be read any more, here or in any copy of the
    /// journal, and drops what is in memory. The chains of the journal still verify. Erasing it again does nothing.
    ///
    /// # Errors
    /// When the key file cannot be removed; then erasing must be repeated.
    pub fn erase(&self, tenant: TenantId) -> Result<(), KeysError> {
        self.inner.keys.erase(tenant)?;
        self.inner.uses.forget(tenant);
        self.inner.queue.call(Work::Forget(tenant));
        Ok(())
    }

    /// Says what the platform's directory allows a tenant, as of a revision of its entry; an older one changes nothing.
    pub fn allow(&self, tenant: TenantId, revision: u64, quota: Quota) {
        self.inner.accounts.account(tenant).allow(revision, quota);
    }

    /// What a tenant is allowed.
    pub fn quota(&self, tenant: TenantId) -> Quota {
        self.inner.accounts.account(tenant).quota()
    }

    /// How many bytes a tenant's records take in the journal.
    pub fn bytes(&self, tenant: TenantId) -> u64 {
        self.inner.accounts.account(tenant).bytes()
    }

    /// Notes that a key is used now.
    pub fn note_use(&self, tenant: TenantId, key: ApiKeyId) {
        self.inner.uses.note(tenant, key, self.inner.clock.now());
    }

    /// The hour in which a key was last used; none when it never was, or when that was lost with an index. Known of
    /// tenants that were read.
    pub fn last_use(&self, tenant: TenantId, key: ApiKeyId) -> Option<Timestamp> {
        self.inner.uses.of(tenant, key)
    }

    /// How many tenants' states are in memory.
    pub fn loaded_tenants(&self) -> usize {
        self.inner.slots.all().iter().filter(|(_, slot)| slot.version.load().is_some()).count()
    }

    /// Whether writing stopped after a failed sync: an operator has to restart the server.
    pub fn is_stopped(&self) -> bool {
        self.inner.stopped.load(Ordering::Acquire)
    }

    /// Whether the index failed and was not rebuilt yet.
    pub fn is_rebuilding(&self) -> bool {
        self.inner.broken.load(Ordering::Acquire) || self.inner.index.is_doubted()
    }
}
