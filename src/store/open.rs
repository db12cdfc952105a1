//! Opening and closing the store: lock, keys, journal, index, and the threads between them.
//! Never shows a tenant before the index holds the journal's tail.

use super::{
    behind::Loader,
    cipher,
    codec::{self, Commit},
    current::{Current, last_holder},
    disk::Disk,
    figures::{Counted, Measured, backup_note},
    follower::{Follower, Source},
    index::{Index, IndexError},
    journal::{self, Checkpoint, FileJournal, Head, JournalReader, Known, Record, Replayed, Settings},
    keys::{Keys, KeysError, TenantKey},
    lock::{self, Lock, LockError},
    machine::Machine,
    queue::Queue,
    quota::Accounts,
    replay::Replay,
    signing::signing_key,
    slot::Slots,
    steps::Steps,
    uses::Uses,
    writer::{Positioned, Writer},
};
use crate::{
    domain::{
        id::{Ids, TenantId},
        time::{Clock, Timestamp},
    },
    limits::INDEX_GROUPS_WAITING_MAX,
};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool, mpsc},
    thread::JoinHandle,
};

/// Why the store could not be opened; each says what to do, or which file is damaged.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory is in use, or not one.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The keys cannot be read.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The journal is damaged, or its disk failed.
    #[error(transparent)]
    Journal(#[from] journal::OpenError),
    /// The index can be neither opened nor rebuilt.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The journal's base was not signed with this server's key.
    #[error(
        "the journal's base was signed with another key than this data directory's; restore `keys` and `journal` from one backup"
    )]
    ForeignBase,
    /// The file system refused.
    #[error("the data directory cannot be used: {0}")]
    File(#[from] io::Error),
    /// The machine gave no randomness.
    #[error("the operating system gave no randomness")]
    Randomness,
}

/// The store of one server; clones share it.
#[derive(Clone)]
pub struct Store {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) slots: Arc<Slots>,
    pub(super) queue: Arc<Queue>,
    pub(super) index: Arc<Current>,
    pub(super) reader: JournalReader,
    /// The number of the newest record that was cut, of every tenant that has one.
    pub(super) begins_behind: BTreeMap<TenantId, u64>,
    pub(super) keys: Arc<Keys>,
    pub(super) clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    pub(super) stopped: Arc<AtomicBool>,
    pub(super) broken: Arc<AtomicBool>,
    pub(super) uses: Arc<Uses>,
    pub(super) accounts: Arc<Accounts>,
    pub(super) counted: Arc<Counted>,
    pub(super) backup_note: PathBuf,
    epoch: [u8; 16],
    threads: Mutex<Vec<JoinHandle<()>>>,
    _lock: Lock,
}

impl Positioned for FileJournal {
    fn position(&self) -> Checkpoint {
        Self::position(self)
    }

    fn at(&self) -> Timestamp {
        Self::at(self)
    }
}

impl Store {
    /// Opens the store in a directory, making it where it is missing; rebuilds the index when it is missing,
    /// older than the journal, or damaged.
    ///
    /// # Errors
    /// See [`OpenError`]. Nothing of the journal is ever changed but an unfinished last group.
    pub fn open(directory: &Path, machine: &Machine) -> Result<Self, OpenError> {
        let (store, steps) = Self::open_in_steps(directory, machine)?;
        *store.inner.threads.lock().unwrap_or_else(PoisonError::into_inner) = steps.start()?;
        Ok(store)
    }

    /// The same without threads: nothing happens in the store but what the steps are told to do.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_in_steps(directory: &Path, machine: &Machine) -> Result<(Self, Steps), OpenError> {
        let lock = Lock::take(directory)?;
        let keys = Arc::new(Keys::open(&directory.join("keys"))?);
        let (journal, index) = open_journal(directory, &keys, machine)?;
        let (heads, accounts) = (numbers(journal.heads()), Accounts::of(index.bytes()?));
        let begins_behind = numbers(journal.begins_behind());
        let (reader, epoch, reached) = (journal.reader(), journal.log_epoch(), journal.position());
        let (measured, counted) = Measured::new(journal);
        let (behind, groups) = mpsc::sync_channel(INDEX_GROUPS_WAITING_MAX);
        let (loader, wanted) = mpsc::channel();
        let inner = Arc::new(Inner {
            slots: Arc::default(),
            queue: Arc::default(),
            index: Arc::new(Current::new(index)),
            reader,
            begins_behind,
            keys,
            clock: Arc::clone(&machine.clock),
            ids: Arc::clone(&machine.ids),
            stopped: Arc::default(),
            broken: Arc::default(),
            uses: Arc::default(),
            accounts: Arc::new(accounts),
            counted,
            backup_note: backup_note(directory),
            epoch,
            threads: Mutex::default(),
            _lock: lock,
        });
        let writer = Writer {
            journal: measured,
            heads,
            slots: Arc::clone(&inner.slots),
            accounts: Arc::clone(&inner.accounts),
            queue: Arc::clone(&inner.queue),
            keys: Arc::clone(&inner.keys),
            clock: Arc::clone(&machine.clock),
            ids: Arc::clone(&machine.ids),
            behind,
            loader,
            stopped: Arc::clone(&inner.stopped),
            tenant_idle_seconds: machine.tenant_idle_seconds,
            parked: BTreeMap::new(),
            unsealed: false,
        };
        let (index, keys, slots) = (Arc::clone(&inner.index), Arc::clone(&inner.keys), Arc::clone(&inner.slots));
        let source = Source {
            disk: (machine.journal)(&directory.join("journal"))?,
            directory: directory.join("index"),
            boot: machine.boot.clone(),
        };
        let (broken, uses) = (Arc::clone(&inner.broken), Arc::clone(&inner.uses));
        let follower = Follower { index, keys, slots, broken, uses, groups, source, reached, pauses: 1 };
        let (index, keys, queue) = (Arc::clone(&inner.index), Arc::clone(&inner.keys), Arc::clone(&inner.queue));
        let loader = Loader { index, keys, queue, uses: Arc::clone(&inner.uses), wanted };
        Ok((Self { inner }, Steps { writer, follower, loader }))
    }

    /// Which log the numbers belong to: another one after a restore, so that old cursors are told from new ones.
    pub fn epoch(&self) -> [u8; 16] {
        self.inner.epoch
    }

    /// The secrets of the server that belong to no tenant.
    pub fn keys(&self) -> &Keys {
        &self.inner.keys
    }

    /// The time, as commands see it.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// New ids, for what is made before a command is decided.
    pub fn ids(&self) -> &Arc<dyn Ids> {
        &self.inner.ids
    }

    /// Answers the commands that wait, takes no more, seals the journal and marks the index clean.
    /// Blocks until all of that is done.
    pub fn close(self) {
        self.stop();
        let threads = std::mem::take(&mut *self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the store broke down");
            }
        }
        let Ok(inner) = last_holder(self.inner) else {
            tracing::warn!("a reader still holds the store; its index stays without its clean mark");
            return;
        };
        let Inner { index, _lock: lock, .. } = inner;
        let closed = last_holder(index).ok().and_then(Current::into_index).map(Index::close);
        if let Some(Err(error)) = closed {
            tracing::warn!(%error, "the index was not closed cleanly; the next start rebuilds what is missing");
        }
        drop(lock);
    }
}

impl Store {
    /// Takes no more commands.
    pub(super) fn stop(&self) {
        self.inner.queue.stop();
    }
}

fn numbers(heads: &BTreeMap<TenantId, Head>) -> BTreeMap<TenantId, u64> {
    heads.iter().map(|(tenant, head)| (*tenant, head.number)).collect()
}

/// Opens both, and brings the index up to the journal's end; an index that fails in that is made anew.
pub(super) fn open_journal(
    directory: &Path,
    keys: &Keys,
    machine: &Machine,
) -> Result<(FileJournal, Index), OpenError> {
    let disk = (machine.journal)(&directory.join("journal"))?;
    check_base(&*disk, keys)?;
    let mut epoch = [0; 16];
    getrandom::fill(&mut epoch).map_err(|_| OpenError::Randomness)?;
    let path = directory.join("index");
    let opened = Index::open(&path, &machine.boot)?;
    let heads = |checkpoint| opened.index.heads().map(|heads| Known { checkpoint, heads });
    let known = opened.checkpoint.map(heads).transpose();
    let why = match known {
        Ok(None) => None,
        Ok(Some(known)) => match catch_up(&disk, epoch, Some(known), &opened.index, keys, machine) {
            Ok((journal, _)) => return Ok((journal, opened.index)),
            Err(error) => Some(of_the_index(error)?),
        },
        Err(error) => Some(error.to_string()),
    };
    let index = match why {
        None => opened.index,
        Some(why) => {
            tracing::warn!(%why, "the index cannot be used and is rebuilt");
            drop(opened.index);
            Index::open_empty(&path, &machine.boot)?
        }
    };
    let (journal, records) = catch_up(&disk, epoch, None, &index, keys, machine)?;
    if records > 0 {
        tracing::info!(records, "the index was rebuilt from the journal");
    }
    Ok((journal, index))
}

/// Makes the index of a data directory anew that no server uses; answers from how many records.
///
/// # Errors
/// See [`OpenError`]. The journal is read only, but for an unfinished last group.
pub fn reindex(directory: &Path, machine: &Machine) -> Result<u64, OpenError> {
    lock::look(directory)?;
    let _lock = Lock::take(directory)?;
    let keys = Keys::open(&directory.join("keys"))?;
    let (index, records) = rebuild_index(directory, &keys, machine)?;
    index.close()?;
    Ok(records)
}

/// Tells an error that another index mends from one of the journal itself.
fn of_the_index(error: journal::OpenError) -> Result<String, journal::OpenError> {
    match error {
        journal::OpenError::CheckpointUnknown { .. } => Ok(error.to_string()),
        journal::OpenError::Replay(why) if why.is::<IndexError>() => Ok(why.to_string()),
        journal::OpenError::Replay(_)
        | journal::OpenError::Damaged { .. }
        | journal::OpenError::Newer { .. }
        | journal::OpenError::Disk(_) => Err(error),
    }
}

/// The base must be this server's own work: whoever writes another one says what everything was.
fn check_base(disk: &dyn Disk, keys: &Keys) -> Result<(), OpenError> {
    let Some(found) = journal::base(disk)? else { return Ok(()) };
    if found.base.signed_by == signing_key(keys)?.verifying_key().to_bytes() {
        return Ok(());
    }
    Err(OpenError::ForeignBase)
}

/// Removes the index and makes it anew from the journal; answers from how many records.
pub(super) fn rebuild_index(directory: &Path, keys: &Keys, machine: &Machine) -> Result<(Index, u64), OpenError> {
    let disk = (machine.journal)(&directory.join("journal"))?;
    check_base(&*disk, keys)?;
    let index = Index::open_empty(&directory.join("index"), &machine.boot)?;
    // The journal is there: no epoch is begun.
    let (_, records) = catch_up(&disk, [0; 16], None, &index, keys, machine)?;
    Ok((index, records))
}

/// Replays the journal after what the index knows, into the index, in bounded batches with their own checkpoints.
fn catch_up(
    disk: &Arc<dyn Disk>,
    epoch: [u8; 16],
    known: Option<Known>,
    index: &Index,
    keys: &Keys,
    machine: &Machine,
) -> Result<(FileJournal, u64), journal::OpenError> {
    let disk = Arc::clone(disk);
    let all = journal::length(&*disk)?;
    let before = match &known {
        Some(known) => journal::length_before(&*disk, known.checkpoint.end)?,
        None => 0,
    };
    let mut read = 0;
    let mut replay = Replay::new(index, keys);
    let settings = Settings { segment_bytes_max: machine.journal_segment_bytes_max, new_epoch: epoch };
    let (journal, opened) = FileJournal::open(disk, settings, known, &mut |replayed| {
        if let Replayed::Group(checkpoint) = &replayed {
            read += checkpoint.bytes();
            machine.progress.reached(read, all.saturating_sub(before));
        }
        replay.take(replayed)
    })?;
    replay.finish().map_err(|error| journal::OpenError::Replay(Box::new(error)))?;
    machine.progress.reached(all.saturating_sub(before), all.saturating_sub(before));
    Ok((journal, opened.records))
}

/// A record of the journal that cannot be read though its key is there.
#[derive(Debug, thiserror::Error)]
#[error("record {number} of tenant {tenant} cannot be read: {why}")]
pub(super) struct NotDecoded {
    tenant: TenantId,
    number: u64,
    why: String,
}

/// What a record did; none when its tenant was erased.
pub(super) fn decode_record(keys: &Keys, record: &Record) -> Result<Option<Commit>, NotDecoded> {
    keys.key(record.tenant).map(|key| decode_with(&key, record)).transpose()
}

/// What a record did, under this key.
pub(super) fn decode_with(key: &TenantKey, record: &Record) -> Result<Commit, NotDecoded> {
    let failed = |why: String| NotDecoded { tenant: record.tenant, number: record.number, why };
    let plain = cipher::open(key, record.tenant, &record.number.to_le_bytes(), &record.payload);
    let plain = plain.map_err(|error| failed(error.to_string()))?;
    codec::decode(&plain).map_err(|error| failed(error.to_string()))
}
