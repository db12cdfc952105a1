//! What a command sees while it has the writer: the newest state, with all that its group has staged.
//! Never touches a disk or a clock: the time and the ids of a command are fixed when its turn begins.

use super::fault::{Failed, Fault};
use crate::domain::{
    access::{View, Viewer},
    id::Ids,
    state::{Change, Landed, State},
    time::Timestamp,
};

/// One command's turn.
pub struct Turn<'w> {
    pub(super) state: State,
    pub(super) viewer: &'w Viewer,
    pub(super) now: Timestamp,
    pub(super) ids: &'w dyn Ids,
    pub(super) landed: Vec<Landed>,
}

impl Turn<'_> {
    /// The newest state through the caller's eyes.
    pub fn view(&self) -> View<'_> {
        View::new(&self.state, self.viewer)
    }

    /// The time of this command.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// New ids for this command.
    pub const fn ids(&self) -> &dyn Ids {
        self.ids
    }

    /// Makes a change part of the command: it becomes durable with all else that the command stages, or nothing does.
    ///
    /// # Errors
    /// `Overtaken` when the command drafted two changes from the same state: the second would undo the first.
    pub fn stage<T>(&mut self, change: Change<T>) -> Result<T, Failed> {
        let (landed, outcome) = change.land(&mut self.state).map_err(|_| Fault::Overtaken)?;
        // A command that found everything as it should be leaves no record.
        if !landed.writes.is_empty() || !landed.events.is_empty() {
            self.landed.push(landed);
        }
        Ok(outcome)
    }
}
