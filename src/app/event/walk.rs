//! Walks through a tenant's history event by event, in either direction, a batch of commits at a time.
//! Never filters and never asks who reads: whoever walks does.

use super::{Fault, Gap};
use crate::{
    limits::EVENT_BATCH_COMMITS,
    store::{Entry, History},
};
use std::{collections::VecDeque, sync::Arc};
use uuid::Uuid;

/// A walk; it stands in a gap and can go on when more has happened.
pub(super) struct Walk {
    history: History,
    /// Only commits that concern this entity.
    entity: Option<Uuid>,
    ascending: bool,
    at: Gap,
    batch: VecDeque<Arc<Entry>>,
    /// How many commits it may still read.
    left: usize,
}

impl Walk {
    /// A walk from a gap on, that reads at most `left` commits.
    pub(super) const fn new(history: History, entity: Option<Uuid>, ascending: bool, from: Gap, left: usize) -> Self {
        Self { history, entity, ascending, at: from, batch: VecDeque::new(), left }
    }

    /// Where it stands.
    pub(super) const fn at(&self) -> Gap {
        self.at
    }

    /// Whether it stopped because it has read as much as it may.
    pub(super) fn is_spent(&self) -> bool {
        self.left == 0 && self.batch.is_empty()
    }

    /// The commit and the place in it of the next event; none where history ends for now, or when it is spent.
    ///
    /// # Errors
    /// As the history.
    pub(super) async fn next(&mut self) -> Result<Option<(Arc<Entry>, usize)>, Fault> {
        loop {
            while let Some(entry) = self.batch.front() {
                let (number, all) = (entry.number, entry.commit.events.len());
                let before = self.at.events_of(number, all);
                if self.ascending {
                    if before < all {
                        self.at = Gap::within(number, before + 1);
                        return Ok(Some((Arc::clone(entry), before)));
                    }
                    self.at = Gap::behind(number);
                } else {
                    if let Some(index) = before.checked_sub(1) {
                        self.at = Gap::within(number, index);
                        return Ok(Some((Arc::clone(entry), index)));
                    }
                    self.at = Gap::within(number, 0);
                }
                self.batch.pop_front();
            }
            let limit = EVENT_BATCH_COMMITS.min(self.left);
            let batch = if limit == 0 { vec![] } else { self.read(limit).await? };
            if batch.is_empty() {
                // Whoever waits from here on may wait long, and there are many.
                self.batch = VecDeque::new();
                return Ok(None);
            }
            self.left -= batch.len().min(self.left);
            self.batch = batch.into();
        }
    }

    async fn read(&self, limit: usize) -> Result<Vec<Arc<Entry>>, Fault> {
        let Gap { number, events } = self.at;
        if self.ascending {
            // A commit that lies only partly behind is read again.
            let after = if events == u32::MAX { number } else { number.saturating_sub(1) };
            return match self.entity {
                None => self.history.after(after, limit).await,
                Some(entity) => self.history.of_after(entity, after, limit).await,
            };
        }
        let before = if events == 0 { number } else { number.saturating_add(1) };
        match self.entity {
            None => self.history.before(Some(before), limit).await,
            Some(entity) => self.history.of(entity, Some(before), limit).await,
        }
    }
}
