//! How much is worked on at a time. Past that a request waits a moment for its turn, and past that it hears 503 and
//! when to come again: what is accepted is answered in time.
//! Never counts whether the server is there (`/healthz`, `/readyz`), and never who asks: quotas do.

use super::fault::Fault;
use crate::limits::{
    BODIES_BYTES_MAX, BODY_BYTES_FREE, REQUEST_WAITING_MILLISECONDS_MAX, REQUESTS_RUNNING_MAX, REQUESTS_WAITING_MAX,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// How much is worked on at a time.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many requests are executed.
    pub running_max: usize,
    /// How many more wait for their turn.
    pub waiting_max: usize,
    /// How much memory larger bodies may take, in bytes.
    pub bodies_bytes_max: usize,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            running_max: REQUESTS_RUNNING_MAX,
            waiting_max: REQUESTS_WAITING_MAX,
            bodies_bytes_max: BODIES_BYTES_MAX,
        }
    }
}

/// Where requests wait for their turn.
pub(super) struct Turns {
    running: Arc<Semaphore>,
    waiting: Semaphore,
    bodies: Arc<Semaphore>,
}

impl Turns {
    pub(super) fn new(load: Load) -> Self {
        Self {
            running: Arc::new(Semaphore::new(load.running_max)),
            waiting: Semaphore::new(load.waiting_max),
            bodies: Arc::new(Semaphore::new(load.bodies_bytes_max)),
        }
    }

    /// Waits for the turn of a request, which it has until the answer is dropped.
    ///
    /// # Errors
    /// `UNAVAILABLE` when too many wait, or this one waited too long.
    pub(super) async fn turn(&self) -> Result<OwnedSemaphorePermit, Fault> {
        if let Ok(turn) = Arc::clone(&self.running).try_acquire_owned() {
            return Ok(turn);
        }
        let _waiting = self.waiting.try_acquire().map_err(|_| overloaded())?;
        let limit = Duration::from_millis(REQUEST_WAITING_MILLISECONDS_MAX);
        match timeout(limit, Arc::clone(&self.running).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(overloaded()),
        }
    }

    /// Room for the body of a request, as it arrives.
    pub(super) fn room(&self) -> Room {
        Room { bodies: Arc::clone(&self.bodies), held: None, bytes: 0 }
    }
}

/// What one body takes of the memory for bodies, until it is dropped.
pub(super) struct Room {
    bodies: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Room {
    /// Takes room for so many bytes more.
    ///
    /// # Errors
    /// `UNAVAILABLE` when other bodies have it all: waiting for it would hold what has arrived already.
    pub(super) fn take(&mut self, more: usize) -> Result<(), Fault> {
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        self.bytes = self.bytes.saturating_add(more);
        let wanted = self.bytes.saturating_sub(BODY_BYTES_FREE).saturating_sub(held);
        let wanted = u32::try_from(wanted).map_err(|_| overloaded())?;
        if wanted == 0 {
            return Ok(());
        }
        let taken = Arc::clone(&self.bodies).try_acquire_many_owned(wanted).map_err(|_| overloaded())?;
        match &mut self.held {
            Some(held) => held.merge(taken),
            None => self.held = Some(taken),
        }
        Ok(())
    }
}

fn overloaded() -> Fault {
    Fault::unavailable("The server has as much to do as it takes on. Ask again in a moment; nothing was done.")
}
