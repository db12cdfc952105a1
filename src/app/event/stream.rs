//! The live stream of events: one reader for subscriptions of every kind.
//! Never delivers to a viewer who no longer stands, and never holds more than one batch of commits.

use super::{App, EventFilter, EventsError, Failed, Fault, Gap, LogPosition, Recorded, herald::Seat, walk::Walk};
use crate::{
    domain::access::Viewer,
    limits::{EVENT_CHECKPOINT_SECONDS, INDEX_LOOK_MILLISECONDS},
    store::{Entry, History, Reading, Snapshot},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    select,
    task::coop::consume_budget,
    time::{Instant, sleep, sleep_until},
};

/// What a subscriber is told.
#[derive(Clone)]
pub enum StreamItem {
    /// Something happened; with the version in which the viewer may read it.
    Event(Box<Recorded>, Snapshot),
    /// Nothing for this viewer for a while; everything up to here has been read.
    Checkpoint(LogPosition),
}

/// Somebody who listens.
pub struct Listener {
    app: App,
    viewer: Arc<Viewer>,
    filter: EventFilter,
    walk: Walk,
    /// Where it asks who might read what then.
    reading: Option<Reading>,
    history: History,
    seat: Seat,
    silent_until: Instant,
}

fn next_checkpoint() -> Instant {
    Instant::now() + Duration::from_secs(EVENT_CHECKPOINT_SECONDS)
}

impl App {
    /// Listens to what happens after a position, or from now on where none is named: each event once, in order, if the
    /// viewer may read it now and might when it happened. Its seat is one of the viewer's organisation.
    ///
    /// # Errors
    /// `Expired` for a position that this log does not have, `Unauthenticated`, or a fault.
    pub async fn listen(
        &self,
        viewer: &Arc<Viewer>,
        seat: Seat,
        after: Option<LogPosition>,
        filter: EventFilter,
    ) -> Result<Listener, EventsError> {
        let data = self.store.of(viewer);
        let snapshot = self.standing(viewer).await?;
        let reading = after.is_none().then(|| Reading::from(&snapshot));
        let now = || Ok(Gap::behind(snapshot.number()));
        let from = after.map_or_else(now, |after| self.gap(&snapshot, after))?;
        Ok(Listener {
            app: self.clone(),
            viewer: Arc::clone(viewer),
            filter,
            walk: Walk::new(data.history(), None, true, from, usize::MAX),
            reading,
            history: data.history(),
            seat,
            silent_until: next_checkpoint(),
        })
    }
}

impl Listener {
    /// Whose eyes are asked.
    pub const fn viewer(&self) -> &Arc<Viewer> {
        &self.viewer
    }

    /// Waits for what comes next. Nothing comes after an error.
    ///
    /// # Errors
    /// `Unauthenticated` when the viewer no longer stands, or a fault.
    pub async fn next(&mut self) -> Result<StreamItem, Failed> {
        loop {
            // Marked as seen before reading: what is committed meanwhile ends the wait below.
            self.seat.wake.borrow_and_update();
            // What it takes to read is gone while one waits: most wait most of the time.
            if let Some(item) = Box::pin(self.read_on()).await? {
                return Ok(item);
            }
            select! {
                changed = self.seat.wake.changed() => changed.map_err(|_| Fault::Stopping)?,
                () = sleep_until(self.silent_until) => {
                    Box::pin(self.app.standing(&self.viewer)).await?;
                    return Ok(self.checkpoint());
                }
            }
        }
    }

    /// What comes next of what there is by now.
    async fn read_on(&mut self) -> Result<Option<StreamItem>, Failed> {
        while let Some((entry, index)) = self.walked().await? {
            // A long stretch that is not for this viewer must not keep the thread from others.
            consume_budget().await;
            // Asked for each event: nothing is delivered after a right was taken away.
            let snapshot = self.app.standing(&self.viewer).await?;
            let wanted = |event: &_| self.filter.wants(snapshot.view(), event);
            let recorded = Recorded::readable(self.app.store.epoch(), &snapshot, &entry, index, wanted);
            if let Some(recorded) = recorded
                && self.might_read_then(&snapshot, &recorded).await?
            {
                self.silent_until = next_checkpoint();
                return Ok(Some(StreamItem::Event(Box::new(recorded), snapshot)));
            }
            if self.silent_until <= Instant::now() {
                return Ok(Some(self.checkpoint()));
            }
        }
        self.keep_up().await?;
        Ok(None)
    }

    /// Whether the viewer might read an event when it happened: a right that came later does not open what was before.
    async fn might_read_then(&mut self, now: &Snapshot, recorded: &Recorded) -> Result<bool, Failed> {
        let number = recorded.position.number;
        if now.number() == number {
            return Ok(true);
        }
        loop {
            match self.history.as_of(number, &mut self.reading).await {
                Err(Fault::Rebuilding) => self.wait_for_the_index().await?,
                then => return Ok(then?.view().may_read_event(&recorded.event)),
            }
        }
    }

    /// Lets go of the version at which it read, once it has read everything.
    async fn keep_up(&mut self) -> Result<(), Failed> {
        let newest = self.app.store.of(&self.viewer).read().await?;
        if newest.number() <= self.walk.at().number {
            self.reading = Some(Reading::from(&newest));
        }
        Ok(())
    }

    async fn wait_for_the_index(&self) -> Result<(), Failed> {
        sleep(Duration::from_millis(INDEX_LOOK_MILLISECONDS)).await;
        self.app.standing(&self.viewer).await?;
        Ok(())
    }

    /// The next event of the past. While the index is being rebuilt it waits: whoever listens is not sent away.
    async fn walked(&mut self) -> Result<Option<(Arc<Entry>, usize)>, Failed> {
        loop {
            match self.walk.next().await {
                Err(Fault::Rebuilding) => self.wait_for_the_index().await?,
                walked => return Ok(walked?),
            }
        }
    }

    fn checkpoint(&mut self) -> StreamItem {
        self.silent_until = next_checkpoint();
        StreamItem::Checkpoint(LogPosition::of(self.app.store.epoch(), self.walk.at()))
    }
}
