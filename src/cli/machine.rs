//! The machine's clock, ids and signals: the only place that reads them.
//! Never lent to `domain`, which takes the time and ids as parameters.

use crate::{
    domain::{
        id::Ids,
        time::{Clock, Timestamp},
    },
    store::Machine,
};
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use uuid::Uuid;

/// The machine's wall clock.
struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one clock of the server")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_milliseconds(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// UUIDv7: by time, and in order within one process.
struct SystemIds;

impl Ids for SystemIds {
    #[expect(clippy::disallowed_methods, reason = "the one source of ids of the server")]
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// This machine, for the store.
pub(super) fn machine() -> Machine {
    Machine::new(Arc::new(SystemClock), Arc::new(SystemIds))
}

/// Resolves when the process is asked to end.
pub(super) async fn asked_to_end() {
    let interrupted = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
        }
        // Without the signal's handler only the keyboard ends the server.
        Err(_) => drop(interrupted.await),
    }
}
