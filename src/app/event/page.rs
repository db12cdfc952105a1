//! Pages of what happened: the polling twin of the stream, and the timelines of the tenant and of each object.
//! Never leaves a gap: a page that has read as much as it may ends with a cursor to go on from.

use super::{App, EventFilter, EventsError, Gap, LogPosition, Recorded, walk::Walk};
use crate::{
    app::PageRequest,
    domain::{event::Event, time::Timestamp},
    limits::EVENT_PAGE_COMMITS_MAX,
    store::{Entry, Snapshot},
};
use uuid::Uuid;

/// Which events, in which order, and which page of them.
#[derive(Clone, Default)]
pub struct EventsAsked {
    /// Only of these objects: each must be mentioned.
    pub of: Vec<Uuid>,
    /// Only these.
    pub filter: EventFilter,
    /// Only of commits of this person or key.
    pub actor: Option<Uuid>,
    /// Only of commits accepted at or after this moment.
    pub since: Option<Timestamp>,
    /// Only of commits accepted before this moment.
    pub until: Option<Timestamp>,
    /// Oldest first instead of newest first.
    pub oldest_first: bool,
    /// The first so many events.
    pub first: Option<i32>,
    /// The last so many events.
    pub last: Option<i32>,
    /// Events after this one in the order of the list.
    pub after: Option<LogPosition>,
    /// Events before this one in the order of the list.
    pub before: Option<LogPosition>,
}

/// One page of events.
#[derive(Clone, Debug, Default)]
pub struct EventPage {
    /// The events, in the order of the list.
    pub rows: Vec<Recorded>,
    /// Whether there may be events after the page.
    pub has_next: bool,
    /// Whether there may be events before the page.
    pub has_previous: bool,
    /// Go on before this.
    pub start: Option<LogPosition>,
    /// Go on after this; beyond the last row where what follows was read and is not for the viewer.
    pub end: Option<LogPosition>,
}

/// The gap before the event that a position is behind.
const fn in_front_of(gap: Gap) -> Gap {
    Gap { number: gap.number, events: gap.events.saturating_sub(1) }
}

impl EventsAsked {
    fn wants(&self, snapshot: &Snapshot, entry: &Entry, event: &Event) -> bool {
        let mentioned = || event.subject.mentions();
        self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at < until)
            && self.actor.is_none_or(|actor| entry.commit.principal.is_by(actor))
            && (self.of.is_empty() || self.of.iter().all(|object| mentioned().contains(object)))
            && self.filter.wants(snapshot.view(), event)
    }
}

impl App {
    /// One page of what happened, as far as the viewer may read it in this version.
    ///
    /// # Errors
    /// `Expired` for a cursor that this log does not have, `Page` for a size that is not allowed, or a fault.
    pub async fn events(&self, snapshot: &Snapshot, asked: &EventsAsked) -> Result<EventPage, EventsError> {
        let (size, backward) = PageRequest { first: asked.first, last: asked.last, ..Default::default() }.size()?;
        let gap = |position: Option<LogPosition>| position.map(|position| self.gap(snapshot, position)).transpose();
        let (after, before) = (gap(asked.after)?, gap(asked.before)?);
        let (low, high) =
            if asked.oldest_first { (after, before.map(in_front_of)) } else { (before, after.map(in_front_of)) };
        // Nothing that came after the version that the whole answer shows.
        let (low, high) = (low.unwrap_or(Gap::BEGINNING), high.unwrap_or(Gap::behind(snapshot.number())));
        let ascending = asked.oldest_first != backward;
        let from = if ascending { low } else { high };
        let history = self.store.of(snapshot.viewer()).history();
        let mut walk = Walk::new(history, asked.of.first().copied(), ascending, from, EVENT_PAGE_COMMITS_MAX);
        let (mut rows, mut more) = (vec![], false);
        while let Some((entry, index)) = walk.next().await? {
            let place = Gap::within(entry.number, index);
            if if ascending { place >= high } else { place < low } {
                break;
            }
            let wanted = |event: &Event| asked.wants(snapshot, &entry, event);
            let Some(row) = Recorded::readable(self.store.epoch(), snapshot, &entry, index, wanted) else { continue };
            if rows.len() == size {
                more = true;
                break;
            }
            rows.push(row);
        }
        let spent = walk.is_spent();
        let full = rows.len() == size && (more || size == 0);
        let reached = if ascending {
            walk.at().min(high)
        } else {
            // The cursor of the oldest event that was read.
            let Gap { number, events } = walk.at().max(low);
            Gap { number, events: events.saturating_add(1) }
        };
        let reached = (!full).then_some(LogPosition::of(self.store.epoch(), reached));
        Ok(page(rows, reached, more || spent, backward, asked))
    }
}

/// The page of rows that were found in the order of the walk.
fn page(
    mut rows: Vec<Recorded>,
    reached: Option<LogPosition>,
    more: bool,
    backward: bool,
    asked: &EventsAsked,
) -> EventPage {
    if backward {
        rows.reverse();
        let start = reached.or(rows.first().map(|row| row.position));
        let end = rows.last().map(|row| row.position);
        return EventPage { has_next: asked.before.is_some(), has_previous: more, start, end, rows };
    }
    let start = rows.first().map(|row| row.position);
    let end = reached.or(rows.last().map(|row| row.position));
    EventPage { has_next: more, has_previous: asked.after.is_some(), start, end, rows }
}
