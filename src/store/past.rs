//! A tenant as it was: the version after any commit, for whoever has to know who might read what then.
//! Never shown to anybody, and never kept for longer than somebody reads on from it, a few marks of late apart.

use super::{Snapshot, fault::Fault, handle::History, journal, slot::Version, transfer::follow};
use crate::{
    domain::state::{State, Write},
    limits::{EVENT_BATCH_COMMITS, PAST_COMMITS_BETWEEN_MARKS, PAST_MARKS_MAX, REREADERS_MAX, REREADING_SECONDS_MAX},
    store::{behind::opened, codec},
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// What of a tenant's past is in memory.
pub(super) struct Past {
    kept: Mutex<Kept>,
    rereading: Arc<Semaphore>,
}

impl Default for Past {
    fn default() -> Self {
        Self { kept: Mutex::default(), rereading: Arc::new(Semaphore::new(REREADERS_MAX)) }
    }
}

#[derive(Default)]
struct Kept {
    /// Versions that were shown, some commits apart, newest last: whoever was away for a moment begins at one.
    marks: VecDeque<Arc<Version>>,
    /// Versions at which somebody reads.
    read: VecDeque<Weak<Version>>,
}

impl Past {
    /// Keeps a version that is shown, if the last one that was kept is old enough. Only from the writer.
    pub(super) fn mark(&self, version: &Arc<Version>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let due = kept.marks.back().is_none_or(|last| last.number + PAST_COMMITS_BETWEEN_MARKS <= version.number);
        if due {
            kept.marks.push_back(Arc::clone(version));
            if kept.marks.len() > PAST_MARKS_MAX {
                kept.marks.pop_front();
            }
        }
    }

    fn read_at(&self, version: &Arc<Version>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.read.iter().any(|known| known.as_ptr() == Arc::as_ptr(version)) {
            return;
        }
        kept.read.retain(|known| known.strong_count() > 0);
        if kept.read.len() >= PAST_MARKS_MAX {
            kept.read.pop_front();
        }
        kept.read.push_back(Arc::downgrade(version));
    }

    /// The newest version that is known up to this commit.
    fn nearest(&self, number: u64) -> Option<Arc<Version>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.marks.iter().cloned().chain(kept.read.iter().filter_map(Weak::upgrade));
        known.filter(|version| version.number <= number).max_by_key(|version| version.number)
    }

    pub(super) fn forget(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Kept::default();
    }
}

/// Where somebody reads in a tenant's past, so that the next question costs what has happened in between.
pub struct Reading {
    version: Arc<Version>,
    /// Held by whoever had to begin at the beginning: such a version shares nothing with the newest.
    alone: Option<OwnedSemaphorePermit>,
}

impl Reading {
    /// From a version on that is the newest now.
    pub fn from(snapshot: &Snapshot) -> Self {
        Self { version: Arc::clone(snapshot.version()), alone: None }
    }
}

impl History {
    /// The version after a commit, through the eyes of the same person or key, with whatever session she came then.
    /// `reading` moves there.
    ///
    /// # Errors
    /// A fault when the journal cannot be read.
    pub async fn as_of(&self, number: u64, reading: &mut Option<Reading>) -> Result<Snapshot, Fault> {
        let newest = self.slot.version.load_full().filter(|newest| newest.number == number);
        let here = || reading.as_ref().map(|reading| &reading.version).filter(|version| version.number <= number);
        let nearest = self.slot.past.nearest(number).into_iter().chain(here().cloned());
        let mut from = match newest.or_else(|| nearest.max_by_key(|version| version.number)) {
            Some(version) => {
                // Whoever goes on in what he read alone stays alone.
                let own = reading.take().filter(|reading| Arc::ptr_eq(&reading.version, &version));
                let alone = own.and_then(|reading| reading.alone);
                Reading { version, alone }
            }
            None => self.beginning().await?,
        };
        while from.version.number < number {
            from.version = self.forward(&from.version, number).await?;
        }
        self.slot.past.read_at(&from.version);
        let then = Snapshot::new(Arc::clone(&from.version), Arc::new(self.viewer.in_any_session()));
        *reading = Some(from);
        Ok(then)
    }

    /// A version some commits later, at most `until`.
    async fn forward(&self, version: &Version, until: u64) -> Result<Arc<Version>, Fault> {
        let mut next = Version { number: version.number, state: version.state.clone() };
        for entry in self.after(version.number, EVENT_BATCH_COMMITS).await? {
            if entry.number > until {
                break;
            }
            follow(&mut next.state, &entry.commit).map_err(|error| unreadable(&error))?;
            next.number = entry.number;
        }
        if next.number == version.number {
            return Err(unreadable(&"a commit is missing"));
        }
        Ok(Arc::new(next))
    }

    /// The version before the first commit that is there; alone with it, because it is a whole state of its own.
    async fn beginning(&self) -> Result<Reading, Fault> {
        let turn = Arc::clone(&self.slot.past.rereading).acquire_owned();
        let turn = timeout(Duration::from_secs(REREADING_SECONDS_MAX), turn).await;
        let alone = turn.map_err(|_| Fault::Overloaded)?.map_err(|_| Fault::Stopping)?;
        let (this, number) = (self.clone(), self.begins_behind());
        let state = super::handle::blocking(move || if number == 0 { Ok(this.empty()) } else { this.base() }).await?;
        Ok(Reading { version: Arc::new(Version { number, state }), alone: Some(alone) })
    }

    fn empty(&self) -> State {
        State::empty(self.viewer.tenant())
    }

    /// The tenant as the journal's base has it.
    fn base(&self) -> Result<State, Fault> {
        let mut state = self.empty();
        let base = self.store.inner.reader.base().map_err(|error| unreadable(&error))?;
        let base = base.ok_or_else(|| unreadable(&"the base is missing"))?;
        let read = base.values(&mut |kept: journal::Kept| {
            if kept.tenant == self.viewer.tenant()
                && let Some(bytes) = opened(&self.store.inner.keys, &kept)?
            {
                state.restore(Write::Put(codec::record(kept.kind, &bytes)?));
            }
            Ok(())
        });
        read.map_err(|error| unreadable(&error))?;
        Ok(state)
    }
}

fn unreadable(error: &dyn std::fmt::Display) -> Fault {
    tracing::error!(%error, "the past cannot be read");
    Fault::Unreadable
}
