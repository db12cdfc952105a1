//! What happened, for whoever may read it: positions in the log, recorded events, and which of them are wanted.
//! Never shows an event that its reader may not read in the version that is the newest when it is delivered, and pushes
//! none that he might not have read when it happened.

mod herald;
mod page;
mod stream;
mod walk;

pub(super) use herald::Heralds;
pub use herald::Seat;
pub use page::{EventPage, EventsAsked};
pub use stream::{Listener, StreamItem};

use super::{App, Failed, Fault, RefusedPage};
use crate::{
    domain::{
        access::{Principal, View},
        action::Action,
        event::{Event, EventKind},
        id::ItemId,
        time::Timestamp,
    },
    store::{Entry, Snapshot},
};
use std::sync::Arc;

/// A position in a tenant's log: behind some events of one commit, and behind all of every commit before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPosition {
    /// Which log it belongs to; another one after a restore.
    pub epoch: [u8; 16],
    /// The commit's number; 0 before the first.
    pub number: u64,
    /// How many of its events lie behind the reader; `u32::MAX` for all.
    pub events: u32,
}

/// A place between two events of a log; ordered as the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Gap {
    number: u64,
    events: u32,
}

/// One event as it was recorded.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The position behind it.
    pub position: LogPosition,
    /// When its commit was accepted.
    pub at: Timestamp,
    /// As whom its commit was made.
    pub principal: Principal,
    /// What was asked.
    pub action: Action,
    /// What happened.
    pub event: Event,
}

/// Says of what happened whether it is wanted.
pub type Kinds = Arc<dyn Fn(&EventKind) -> bool + Send + Sync>;

/// Which events are wanted; every part that is named must hold.
#[derive(Clone, Default)]
pub struct EventFilter {
    /// Of these kinds.
    pub kinds: Option<Kinds>,
    /// Of this item or of one below it, as the items lie now.
    pub within: Option<ItemId>,
    /// Of an item that the viewer follows, or of one below it.
    pub followed: bool,
}

/// Why events cannot be read from where a caller wants to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventsError {
    /// The position is of another log, or lies beyond the end: after a restore, numbers mean something else.
    Expired {
        /// The earliest position that can be read from.
        earliest: LogPosition,
    },
    /// The page cannot be asked for.
    Page(RefusedPage),
    /// As any read.
    Failed(Failed),
}

impl<F: Into<Failed>> From<F> for EventsError {
    fn from(failed: F) -> Self {
        Self::Failed(failed.into())
    }
}

impl From<RefusedPage> for EventsError {
    fn from(refused: RefusedPage) -> Self {
        Self::Page(refused)
    }
}

impl Gap {
    /// Before everything.
    const BEGINNING: Self = Self { number: 0, events: u32::MAX };

    /// Behind everything in a commit.
    const fn behind(number: u64) -> Self {
        Self { number, events: u32::MAX }
    }

    /// How many events of a commit of so many lie before the gap.
    fn events_of(self, number: u64, all: usize) -> usize {
        match number.cmp(&self.number) {
            std::cmp::Ordering::Less => all,
            std::cmp::Ordering::Equal => usize::try_from(self.events).unwrap_or(usize::MAX).min(all),
            std::cmp::Ordering::Greater => 0,
        }
    }

    /// The gap with so many events of a commit before it.
    fn within(number: u64, events: usize) -> Self {
        Self { number, events: u32::try_from(events).unwrap_or(u32::MAX) }
    }
}

impl LogPosition {
    const fn of(epoch: [u8; 16], gap: Gap) -> Self {
        Self { epoch, number: gap.number, events: gap.events }
    }

    const fn gap(self) -> Gap {
        Gap { number: self.number, events: self.events }
    }
}

impl EventFilter {
    fn wants(&self, view: View<'_>, event: &Event) -> bool {
        let item = event.subject.item();
        self.kinds.as_ref().is_none_or(|kinds| kinds(&event.kind))
            && self.within.is_none_or(|top| item.is_some_and(|item| view.is_within(item, top)))
            && (!self.followed || item.is_some_and(|item| view.follows(item)))
    }
}

impl Recorded {
    /// One event of a commit, if it is wanted and the viewer may read it in this version.
    fn readable(
        epoch: [u8; 16],
        snapshot: &Snapshot,
        entry: &Entry,
        index: usize,
        wanted: impl Fn(&Event) -> bool,
    ) -> Option<Self> {
        let event = entry.commit.events.get(index)?;
        if !wanted(event) || !snapshot.view().may_read_event(event) {
            return None;
        }
        Some(Self {
            position: LogPosition::of(epoch, Gap::within(entry.number, index.saturating_add(1))),
            at: entry.at,
            principal: entry.commit.principal,
            action: entry.commit.action,
            event: event.clone(),
        })
    }
}

impl App {
    /// The gap that a caller's position names.
    ///
    /// # Errors
    /// `Expired` when the log has no such position, or no longer.
    fn gap(&self, snapshot: &Snapshot, position: LogPosition) -> Result<Gap, EventsError> {
        let epoch = self.store.epoch();
        let beginning = Gap::behind(self.store.of(snapshot.viewer()).history().begins_behind());
        if position.epoch != epoch || position.number > snapshot.number() || position.gap() < beginning {
            return Err(EventsError::Expired { earliest: LogPosition::of(epoch, beginning) });
        }
        Ok(position.gap())
    }
}
