//! The index, written behind the journal: what was committed, coalesced, in batches with their own checkpoint.
//! Never ahead of the journal, and never needed for a commit: when it fails, the journal goes on.

use super::{
    cipher,
    codec::{self, Commit, EncodedWrite},
    fault::Fault,
    index::{Batch, Index, IndexError, Space},
    journal::{Checkpoint, Hash, Head, Kept, Place},
    keys::Keys,
    queue::{Queue, Work},
    slot::{Slots, Version},
};
use crate::{
    domain::{
        id::TenantId,
        state::{State, Write},
    },
    limits::{INDEX_BATCH_COMMITS_MAX, INDEX_BATCH_MILLISECONDS},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::Receiver,
    },
    time::Duration,
};
use uuid::Uuid;

/// One durable commit, as the index needs it.
pub(super) struct Follow {
    pub(super) tenant: TenantId,
    pub(super) number: u64,
    pub(super) place: Place,
    pub(super) hash: Hash,
    pub(super) writes: Vec<EncodedWrite>,
    pub(super) mentions: Vec<Uuid>,
}

impl Follow {
    /// What the index needs of a commit that lies at `place`.
    pub(super) fn of(tenant: TenantId, number: u64, place: Place, hash: Hash, commit: &Commit) -> Self {
        let mut mentions: Vec<Uuid> = commit.events.iter().flat_map(|event| event.subject.mentions()).collect();
        mentions.sort_unstable();
        mentions.dedup();
        Self { tenant, number, place, hash, writes: commit.writes.clone(), mentions }
    }
}

/// The commits of one group, and the group itself.
pub(super) struct Followed {
    pub(super) commits: Vec<Follow>,
    pub(super) checkpoint: Checkpoint,
}

/// What waits to be written: the newest value of each record, and where each commit lies.
pub(super) struct Pending {
    values: BTreeMap<(TenantId, u8, Uuid), Option<Vec<u8>>>,
    heads: BTreeMap<TenantId, Head>,
    batch: Batch,
    commits: usize,
}

impl Pending {
    pub(super) const fn new(checkpoint: Checkpoint) -> Self {
        Self { values: BTreeMap::new(), heads: BTreeMap::new(), batch: Batch::new(checkpoint), commits: 0 }
    }

    pub(super) fn add(&mut self, follow: Follow) {
        let Follow { tenant, number, place, hash, writes, mentions } = follow;
        for write in writes {
            self.values.insert((tenant, write.kind, write.id), write.bytes.map(serde_bytes::ByteBuf::into_vec));
        }
        self.batch.positions.push((tenant, number, place));
        self.batch.mentions.extend(mentions.into_iter().map(|entity| (tenant, entity, number)));
        self.heads.insert(tenant, Head { number, hash });
        self.commits += 1;
    }

    /// Adds a record as the journal's base holds it: it lies nowhere else, and is encrypted already.
    pub(super) fn keep(&mut self, kept: Kept) {
        let Kept { tenant, kind, id, sealed } = kept;
        self.batch.values.push((tenant, Space(kind), id.as_bytes().to_vec(), Some(sealed)));
        self.commits += 1;
    }

    /// Where the chains stood at the base.
    pub(super) fn stand_at(&mut self, heads: BTreeMap<TenantId, Head>) {
        self.heads.extend(heads);
    }

    pub(super) const fn reach(&mut self, checkpoint: Checkpoint) {
        self.batch.checkpoint = checkpoint;
    }

    pub(super) const fn is_full(&self) -> bool {
        self.commits >= INDEX_BATCH_COMMITS_MAX
    }

    /// Writes everything as one batch; answers the tenants' heads in the index.
    pub(super) fn write(self, index: &Index, keys: &Keys) -> Result<BTreeMap<TenantId, Head>, IndexError> {
        let Self { values, heads, mut batch, .. } = self;
        for ((tenant, kind, id), bytes) in values {
            // Without a key the tenant was erased: nothing of it can be read, and nothing is kept.
            let Some(key) = keys.key(tenant) else { continue };
            let sealed = bytes.map(|bytes| cipher::seal(&key, tenant, &context(kind, id), &bytes)).transpose();
            let sealed = sealed.map_err(|_| IndexError::Damaged("the machine gave no randomness"))?;
            batch.values.push((tenant, Space(kind), id.as_bytes().to_vec(), sealed));
        }
        batch.heads = heads.iter().map(|(tenant, head)| (*tenant, *head)).collect();
        index.apply(batch)?;
        Ok(heads)
    }
}

/// What a stored value is, for its encryption: it opens only as that.
fn context(kind: u8, id: Uuid) -> Vec<u8> {
    [&[kind], id.as_bytes().as_slice()].concat()
}

/// The bytes of a record as the base or the index holds it; none when its tenant was erased.
pub(super) fn opened(keys: &Keys, kept: &Kept) -> Result<Option<Vec<u8>>, cipher::NotOpened> {
    let Some(key) = keys.key(kept.tenant) else { return Ok(None) };
    cipher::open(&key, kept.tenant, &context(kept.kind, kept.id), &kept.sealed).map(Some)
}

/// Writes the index behind the writer.
pub(super) struct Follower {
    pub(super) index: Arc<Index>,
    pub(super) keys: Arc<Keys>,
    pub(super) slots: Arc<Slots>,
    /// Set when the index failed: whoever asks whether the server is ready hears of it.
    pub(super) broken: Arc<AtomicBool>,
    pub(super) groups: Receiver<Followed>,
}

impl Follower {
    /// Writes behind until the writer is gone; what it had not written by then is in the last batch.
    pub(super) fn run(self) {
        while let Ok(first) = self.groups.recv() {
            self.batch(first, Duration::from_millis(INDEX_BATCH_MILLISECONDS));
        }
    }

    /// Writes what waits, as one batch; answers whether anything did.
    pub(super) fn step(&self) -> bool {
        let first = self.groups.try_recv();
        first.map(|first| self.batch(first, Duration::ZERO)).is_ok()
    }

    fn batch(&self, first: Followed, patience: Duration) {
        let mut pending = Pending::new(first.checkpoint);
        let mut next = Some(first);
        while let Some(group) = next.take() {
            group.commits.into_iter().for_each(|commit| pending.add(commit));
            pending.reach(group.checkpoint);
            if pending.is_full() {
                break;
            }
            next = self.groups.recv_timeout(patience).ok();
        }
        if self.broken.load(Ordering::Acquire) {
            return;
        }
        match pending.write(&self.index, &self.keys) {
            Ok(heads) => heads
                .into_iter()
                .for_each(|(tenant, head)| self.slots.slot(tenant).indexed.store(head.number, Ordering::Release)),
            Err(error) => {
                // The journal has everything: the next start catches up from the last checkpoint.
                tracing::error!(%error, "the index failed and is not written any more; restart the server");
                self.broken.store(true, Ordering::Release);
            }
        }
    }
}

/// Reads a tenant's state from the index. The tenant is not being written meanwhile.
pub(super) fn load(index: &Index, keys: &Keys, tenant: TenantId, number: u64) -> Result<Version, Fault> {
    let mut state = State::empty(tenant);
    if number == 0 {
        return Ok(Version { number, state });
    }
    let unreadable = |error: &dyn std::fmt::Display| {
        tracing::error!(%tenant, %error, "the tenant cannot be loaded");
        Fault::Unreadable
    };
    let key = keys.key(tenant).ok_or_else(|| unreadable(&"its key is missing"))?;
    for (space, id, sealed) in index.load(tenant).map_err(|error| unreadable(&error))? {
        let id = Uuid::from_slice(&id).map_err(|error| unreadable(&error))?;
        let bytes = cipher::open(&key, tenant, &context(space.0, id), &sealed).map_err(|error| unreadable(&error))?;
        let record = codec::record(space.0, &bytes).map_err(|error| unreadable(&error))?;
        state.restore(Write::Put(record));
    }
    Ok(Version { number, state })
}

/// Loads tenants for the writer, one after another, off its thread.
pub(super) struct Loader {
    pub(super) index: Arc<Index>,
    pub(super) keys: Arc<Keys>,
    pub(super) queue: Arc<Queue>,
    pub(super) wanted: Receiver<(TenantId, u64)>,
}

impl Loader {
    /// Loads until the writer is gone.
    pub(super) fn run(self) {
        while let Ok((tenant, number)) = self.wanted.recv() {
            self.load(tenant, number);
        }
    }

    /// Loads the next tenant; answers whether one was wanted.
    pub(super) fn step(&self) -> bool {
        let next = self.wanted.try_recv();
        next.map(|(tenant, number)| self.load(tenant, number)).is_ok()
    }

    fn load(&self, tenant: TenantId, number: u64) {
        let loaded = load(&self.index, &self.keys, tenant, number);
        self.queue.call(Work::Loaded(tenant, loaded.map(Box::new)));
    }
}
