//! Figures for whoever runs the server: what was written, how long the disk took, how far the index is behind.
//! Never names an organisation, and never loads one to count in it.

use super::{
    Store,
    journal::{AppendError, Checkpoint, Entry, Journal, Stored},
    writer::Positioned,
};
use crate::domain::time::Timestamp;
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::time::Instant;

/// The file in a data directory that says when it was last backed up, by its time.
const BACKED_UP: &str = "backed-up";

/// What the store did since it was opened, and how it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Commits of all organisations.
    pub commits: u64,
    /// Groups of the journal, each one append and one sync.
    pub groups: u64,
    /// Appends that failed.
    pub failures: u64,
    /// How long appending and syncing those groups took, in microseconds.
    pub append_microseconds: u64,
    /// The number of the newest group.
    pub journal_group: u64,
    /// Commits of loaded organisations that the index does not hold yet.
    pub index_lag: u64,
    /// Organisations whose state is in memory.
    pub loaded: u64,
    /// Sign-offs that wait for feedback or a decision, of loaded organisations.
    pub reviews_waiting: u64,
    /// When the last backup was taken, in seconds since 1970; none when there was none.
    pub backed_up_at: Option<u64>,
    /// Whether writing stopped after a failed sync.
    pub is_stopped: bool,
}

/// What the writer's thread counts.
#[derive(Debug, Default)]
pub(super) struct Counted {
    commits: AtomicU64,
    groups: AtomicU64,
    failures: AtomicU64,
    append_microseconds: AtomicU64,
    group: AtomicU64,
}

/// A journal whose appends are counted.
pub(super) struct Measured<J> {
    journal: J,
    counted: Arc<Counted>,
}

impl<J: Positioned> Measured<J> {
    pub(super) fn new(journal: J) -> (Self, Arc<Counted>) {
        let counted = Arc::new(Counted::default());
        counted.group.store(journal.position().group, Ordering::Relaxed);
        (Self { journal, counted: Arc::clone(&counted) }, counted)
    }
}

impl<J: Positioned> Positioned for Measured<J> {
    fn position(&self) -> Checkpoint {
        self.journal.position()
    }

    fn at(&self) -> Timestamp {
        self.journal.at()
    }
}

impl<J: Positioned> Journal for Measured<J> {
    async fn append(&mut self, entries: Vec<Entry>, at: Timestamp) -> Result<Vec<Stored>, AppendError> {
        let (begun, commits) = (Instant::now(), entries.len());
        let stored = self.journal.append(entries, at).await;
        let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let counted = &self.counted;
        if stored.is_ok() {
            counted.commits.fetch_add(u64::try_from(commits).unwrap_or(0), Ordering::Relaxed);
            counted.groups.fetch_add(1, Ordering::Relaxed);
            counted.append_microseconds.fetch_add(took, Ordering::Relaxed);
            counted.group.store(self.journal.position().group, Ordering::Relaxed);
        } else {
            counted.failures.fetch_add(1, Ordering::Relaxed);
        }
        stored
    }
}

/// Notes in a data directory that it was backed up now.
///
/// # Errors
/// The file system's.
pub fn note_backup(data: &Path) -> std::io::Result<()> {
    super::disk::put_file(&data.join(BACKED_UP), &[])
}

/// Where a data directory notes that it was backed up.
pub(super) fn backup_note(data: &Path) -> PathBuf {
    data.join(BACKED_UP)
}

impl Store {
    /// What the store did, and how it stands.
    pub fn figures(&self) -> Figures {
        let counted = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let inner = &self.inner;
        let (mut loaded, mut reviews_waiting, mut index_lag) = (0_u64, 0_u64, 0_u64);
        for (_, slot) in inner.slots.all() {
            let Some(version) = slot.version.load_full() else { continue };
            loaded = loaded.saturating_add(1);
            reviews_waiting = reviews_waiting.saturating_add(version.state.waiting_sign_off_count());
            let behind = version.number.saturating_sub(slot.indexed.load(Ordering::Acquire));
            index_lag = index_lag.saturating_add(behind);
        }
        let modified = std::fs::metadata(&inner.backup_note).and_then(|file| file.modified()).ok();
        let since = modified.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        Figures {
            commits: counted(&inner.counted.commits),
            groups: counted(&inner.counted.groups),
            failures: counted(&inner.counted.failures),
            append_microseconds: counted(&inner.counted.append_microseconds),
            journal_group: counted(&inner.counted.group),
            index_lag,
            loaded,
            reviews_waiting,
            backed_up_at: since.map(|since| since.as_secs()),
            is_stopped: self.is_stopped(),
        }
    }
}
