//! A tenant's place in memory: its newest version, its newest commits, and who waits for more.
//! Never installs or removes a version by itself: the writer's thread alone does.

use super::{codec::Commit, past::Past};
use crate::{
    domain::{
        access::{View, Viewer},
        id::TenantId,
        known::Known,
        state::State,
        time::Timestamp,
    },
    limits::TAIL_COMMITS_MAX,
};
use arc_swap::ArcSwapOption;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};
use tokio::sync::watch;
use uuid::Uuid;

/// A tenant's state after a durable commit.
pub(super) struct Version {
    /// The number of that commit; 0 before the first.
    pub(super) number: u64,
    /// The state.
    pub(super) state: State,
}

/// One version, held by one viewer for as long as it takes to answer.
#[derive(Clone)]
pub struct Snapshot {
    version: Arc<Version>,
    viewer: Arc<Viewer>,
    known: Arc<Known>,
}

impl Snapshot {
    /// A version seen by a viewer of the same tenant.
    pub(super) fn new(version: Arc<Version>, viewer: Arc<Viewer>) -> Self {
        Self { version, viewer, known: Arc::default() }
    }

    /// The state through the viewer's eyes.
    pub fn view(&self) -> View<'_> {
        View::new(&self.version.state, &self.viewer).remembering(&self.known)
    }

    /// How many items there are in it, whoever may read them; deleted ones left out.
    pub fn item_count(&self) -> u64 {
        self.version.state.item_count()
    }

    /// The number of the newest commit in it.
    pub fn number(&self) -> u64 {
        self.version.number
    }

    /// The version itself.
    pub(super) const fn version(&self) -> &Arc<Version> {
        &self.version
    }

    /// Who looks.
    pub fn viewer(&self) -> &Arc<Viewer> {
        &self.viewer
    }
}

/// One commit of a tenant's history.
#[derive(Debug)]
pub struct Entry {
    /// Its number, from 1 without gaps.
    pub number: u64,
    /// When it was accepted.
    pub at: Timestamp,
    /// What it did.
    pub commit: Commit,
}

impl Entry {
    /// Whether one of its events stands in the timeline of this entity.
    pub fn mentions(&self, entity: Uuid) -> bool {
        self.commit.events.iter().any(|event| event.subject.mentions().contains(&entity))
    }
}

/// A tenant's place in memory.
pub(super) struct Slot {
    pub(super) version: ArcSwapOption<Version>,
    /// The newest commit that is durable and visible; readers of events wait for it to change.
    pub(super) head: watch::Sender<u64>,
    /// The newest commit that the index holds.
    pub(super) indexed: AtomicU64,
    /// When the tenant was last read or written, in milliseconds.
    pub(super) touched: AtomicI64,
    tail: Mutex<VecDeque<Arc<Entry>>>,
    /// What is kept of older versions.
    pub(super) past: Past,
}

impl Slot {
    fn new() -> Self {
        Self {
            version: ArcSwapOption::empty(),
            head: watch::Sender::new(0),
            indexed: AtomicU64::new(0),
            touched: AtomicI64::new(0),
            tail: Mutex::default(),
            past: Past::default(),
        }
    }

    pub(super) fn touch(&self, now: Timestamp) {
        self.touched.store(now.milliseconds(), Ordering::Relaxed);
    }

    /// Adds a commit that is durable, and drops what the index can answer for.
    pub(super) fn append(&self, entry: Arc<Entry>) {
        let indexed = self.indexed.load(Ordering::Acquire);
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.push_back(entry);
        while tail.len() > TAIL_COMMITS_MAX && tail.front().is_some_and(|first| first.number <= indexed) {
            tail.pop_front();
        }
    }

    /// The commits in memory that come after `number`, oldest first; the older ones are in the journal.
    pub(super) fn tail_after(&self, number: u64) -> Vec<Arc<Entry>> {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let from = tail.partition_point(|entry| entry.number <= number);
        tail.range(from..).cloned().collect()
    }

    pub(super) fn forget_tail(&self) {
        self.past.forget();
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Every tenant's slot; made when it is first asked for.
#[derive(Default)]
pub(super) struct Slots {
    by_tenant: RwLock<BTreeMap<TenantId, Arc<Slot>>>,
}

impl Slots {
    pub(super) fn slot(&self, tenant: TenantId) -> Arc<Slot> {
        if let Some(slot) = self.by_tenant.read().unwrap_or_else(PoisonError::into_inner).get(&tenant) {
            return Arc::clone(slot);
        }
        let mut slots = self.by_tenant.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(tenant).or_insert_with(|| Arc::new(Slot::new())))
    }

    pub(super) fn all(&self) -> Vec<(TenantId, Arc<Slot>)> {
        let slots = self.by_tenant.read().unwrap_or_else(PoisonError::into_inner);
        slots.iter().map(|(tenant, slot)| (*tenant, Arc::clone(slot))).collect()
    }
}
