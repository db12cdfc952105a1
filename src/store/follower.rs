//! Keeps the index up with the journal, from behind the writer, and makes it anew when it fails.
//! Never needed for a commit: whatever happens here, the journal goes on.

use super::{
    behind::{Followed, Pending},
    current::Current,
    disk::Disk,
    index::{Index, IndexError},
    journal::{self, Checkpoint, Replayed},
    keys::Keys,
    replay::Replay,
    slot::Slots,
    uses::Uses,
};
use crate::limits::{INDEX_BATCH_MILLISECONDS, INDEX_LOOK_MILLISECONDS, INDEX_REBUILD_PAUSES};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

/// Writes the index behind the writer.
pub(super) struct Follower {
    pub(super) index: Arc<Current>,
    pub(super) keys: Arc<Keys>,
    pub(super) slots: Arc<Slots>,
    /// Set from a failure of the index until it was rebuilt: whoever asks whether the server is ready hears of it.
    pub(super) broken: Arc<AtomicBool>,
    /// When keys were last used.
    pub(super) uses: Arc<Uses>,
    pub(super) groups: Receiver<Followed>,
    /// What an index is made anew from, and where.
    pub(super) source: Source,
    /// The last group that was acknowledged.
    pub(super) reached: Checkpoint,
    /// How many looks are let pass before a rebuild that failed is tried again.
    pub(super) pauses: u32,
}

/// What an index is made anew from, and where.
pub(super) struct Source {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) directory: PathBuf,
    pub(super) boot: String,
}

/// Why an index could not be made anew.
#[derive(Debug, thiserror::Error)]
enum NotRebuilt {
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Journal(#[from] journal::OpenError),
    #[error("somebody still reads the one that failed")]
    Held,
}

impl Follower {
    /// Writes behind until the writer is gone; what it had not written by then is in the last batch.
    pub(super) fn run(mut self) {
        let (patience, look) =
            (Duration::from_millis(INDEX_BATCH_MILLISECONDS), Duration::from_millis(INDEX_LOOK_MILLISECONDS));
        loop {
            match self.groups.recv_timeout(look) {
                Ok(first) => self.batch(first, patience),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.note_uses(),
            }
            self.note_uses();
            if self.index.is_doubted() {
                self.pauses = self.pauses.saturating_sub(1);
                if self.pauses == 0 {
                    self.rebuild();
                }
            }
        }
    }

    /// Writes what waits, as one batch; answers whether anything did.
    pub(super) fn step(&mut self) -> bool {
        let first = self.groups.try_recv();
        first.map(|first| self.batch(first, Duration::ZERO)).is_ok()
    }

    fn batch(&mut self, first: Followed, patience: Duration) {
        let mut pending = Pending::new(first.checkpoint);
        let mut next = Some(first);
        while let Some(group) = next.take() {
            self.reached = group.checkpoint;
            group.commits.into_iter().for_each(|commit| pending.add(commit));
            pending.reach(group.checkpoint);
            if pending.is_full() {
                break;
            }
            next = self.groups.recv_timeout(patience).ok();
        }
        // What is not written now comes from the journal with the rest.
        if self.index.is_doubted() {
            return;
        }
        match self.index.index().and_then(|index| pending.write(&index, &self.keys)) {
            Ok(heads) => self.reach(heads.into_iter().map(|(tenant, head)| (tenant, head.number))),
            Err(error) => {
                self.broken.store(true, Ordering::Release);
                self.index.doubt(&error);
            }
        }
    }

    fn note_uses(&self) {
        if self.index.is_doubted() {
            return;
        }
        if let Err(error) = self.index.index().and_then(|index| self.uses.write(&index)) {
            self.index.doubt(&error);
        }
    }

    fn reach(&self, heads: impl Iterator<Item = (crate::domain::id::TenantId, u64)>) {
        heads.for_each(|(tenant, number)| self.slots.slot(tenant).indexed.store(number, Ordering::Release));
    }

    fn rebuild(&mut self) {
        self.broken.store(true, Ordering::Release);
        match self.rebuilt() {
            Ok(index) => {
                self.uses.all_anew();
                self.index.replace(index);
                self.broken.store(false, Ordering::Release);
                tracing::warn!("the index was rebuilt from the journal");
            }
            Err(error) => {
                tracing::error!(%error, "the index could not be rebuilt; it is tried again");
                self.pauses = INDEX_REBUILD_PAUSES;
            }
        }
    }

    /// Another index, with everything that was acknowledged. The writer goes on meanwhile.
    fn rebuilt(&mut self) -> Result<Index, NotRebuilt> {
        if !self.index.close() {
            return Err(NotRebuilt::Held);
        }
        let Source { disk, directory, boot } = &self.source;
        let index = Index::open_empty(directory, boot)?;
        let until = self.reached;
        let (mut replay, mut meanwhile) = (Replay::new(&index, &self.keys), Pending::new(until));
        let mut reached = until;
        if until.group > 0 {
            journal::verify(&**disk, until, &mut |replayed: Replayed| {
                // The writer must not wait for a line that nobody takes from.
                while let Ok(group) = self.groups.try_recv() {
                    reached = group.checkpoint;
                    group.commits.into_iter().for_each(|commit| meanwhile.add(commit));
                    meanwhile.reach(group.checkpoint);
                }
                replay.take(replayed)
            })?;
        }
        replay.finish()?;
        let heads = meanwhile.write(&index, &self.keys)?;
        self.reached = reached;
        let indexed = index.heads()?;
        self.reach(indexed.into_iter().chain(heads).map(|(tenant, head)| (tenant, head.number)));
        Ok(index)
    }
}
