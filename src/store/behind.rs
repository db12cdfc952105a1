//! The index, written behind the journal: what was committed, coalesced, in batches with their own checkpoint.
//! Never ahead of the journal, and never needed for a commit: when it fails, the journal goes on.

use super::{
    cipher,
    codec::{self, Commit, EncodedWrite},
    current::Current,
    fault::Fault,
    index::{Batch, Index, IndexError, Space},
    journal::{Checkpoint, Hash, Head, Kept, Place},
    keys::Keys,
    queue::{Queue, Work},
    slot::Version,
    uses::Uses,
};
use crate::{
    domain::{
        id::TenantId,
        state::{State, Write},
    },
    limits::{INDEX_BATCH_BYTES_MAX, INDEX_BATCH_COMMITS_MAX, INDEX_REBUILD_SECONDS_MAX},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, mpsc::Receiver},
    time::Duration,
};
use uuid::Uuid;

/// One durable commit, as the index needs it.
pub(super) struct Follow {
    pub(super) tenant: TenantId,
    pub(super) number: u64,
    pub(super) place: Place,
    pub(super) hash: Hash,
    /// How many bytes its record takes in the journal.
    pub(super) bytes: u64,
    pub(super) writes: Vec<EncodedWrite>,
    pub(super) mentions: Vec<Uuid>,
}

impl Follow {
    /// What the index needs of a commit that lies at `place`.
    pub(super) fn of(
        (tenant, number): (TenantId, u64),
        place: Place,
        (hash, bytes): (Hash, u64),
        commit: &Commit,
    ) -> Self {
        let mut mentions: Vec<Uuid> = commit.events.iter().flat_map(|event| event.subject.mentions()).collect();
        mentions.sort_unstable();
        mentions.dedup();
        Self { tenant, number, place, hash, bytes, writes: commit.writes.clone(), mentions }
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
    /// How many bytes more each tenant's records take.
    grown: BTreeMap<TenantId, u64>,
    batch: Batch,
    commits: usize,
    /// How many bytes of values were added, those that were overtaken since included.
    bytes: usize,
}

impl Pending {
    pub(super) const fn new(checkpoint: Checkpoint) -> Self {
        Self {
            values: BTreeMap::new(),
            heads: BTreeMap::new(),
            grown: BTreeMap::new(),
            batch: Batch::new(checkpoint),
            commits: 0,
            bytes: 0,
        }
    }

    pub(super) fn add(&mut self, follow: Follow) {
        let Follow { tenant, number, place, hash, bytes, writes, mentions } = follow;
        *self.grown.entry(tenant).or_default() += bytes;
        for write in writes {
            self.bytes += write.bytes.as_ref().map_or(0, |bytes| bytes.len());
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
        *self.grown.entry(tenant).or_default() += sealed.len() as u64;
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
        self.commits >= INDEX_BATCH_COMMITS_MAX || self.bytes >= INDEX_BATCH_BYTES_MAX
    }

    /// Writes everything as one batch; answers the tenants' heads in the index.
    pub(super) fn write(self, index: &Index, keys: &Keys) -> Result<BTreeMap<TenantId, Head>, IndexError> {
        let Self { values, heads, grown, mut batch, .. } = self;
        batch.grown = grown.into_iter().collect();
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

/// Why a tenant's state could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotLoaded {
    /// The tenant has no key: it was erased, or the keys are not those of this journal.
    #[error("its key is missing")]
    NoKey,
    /// The index failed, or holds what nobody wrote.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// Reads a tenant's state from the index. The tenant is not being written meanwhile.
pub(super) fn load(index: &Index, keys: &Keys, tenant: TenantId, number: u64) -> Result<Version, NotLoaded> {
    let mut state = State::empty(tenant);
    if number == 0 {
        return Ok(Version { number, state });
    }
    let key = keys.key(tenant).ok_or(NotLoaded::NoKey)?;
    if index.head(tenant)?.number != number {
        return Err(IndexError::Damaged("a tenant's head").into());
    }
    for (space, id, sealed) in index.load(tenant)? {
        let id = Uuid::from_slice(&id).map_err(|_| IndexError::Damaged("a record's id"))?;
        let bytes = cipher::open(&key, tenant, &context(space.0, id), &sealed);
        let bytes = bytes.map_err(|_| IndexError::Damaged("a record's bytes"))?;
        let record = codec::record(space.0, &bytes).map_err(|_| IndexError::Damaged("a record"))?;
        state.restore(Write::Put(record));
    }
    Ok(Version { number, state })
}

/// Loads tenants for the writer, one after another, off its thread.
pub(super) struct Loader {
    pub(super) index: Arc<Current>,
    pub(super) keys: Arc<Keys>,
    pub(super) queue: Arc<Queue>,
    pub(super) uses: Arc<Uses>,
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
        let loaded = self.loaded(tenant, number).map_err(|error| {
            tracing::error!(%tenant, %error, "the tenant cannot be loaded");
            Fault::Unreadable
        });
        self.queue.call(Work::Loaded(tenant, loaded.map(Box::new)));
    }

    /// The tenant's state, from the index that is there or from the next one, should that fail.
    fn loaded(&self, tenant: TenantId, number: u64) -> Result<Version, NotLoaded> {
        let generation = self.index.generation();
        let load = || {
            let index = self.index.index()?;
            self.uses.restore(&index, tenant)?;
            load(&index, &self.keys, tenant, number)
        };
        match load() {
            Err(NotLoaded::Index(error)) => {
                self.index.doubt(&error);
                if self.index.wait_beyond(generation, Duration::from_secs(INDEX_REBUILD_SECONDS_MAX)) {
                    load()
                } else {
                    Err(error.into())
                }
            }
            done => done,
        }
    }
}
