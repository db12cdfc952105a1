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
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};
use uuid::{Builder, Uuid, Variant, Version};

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

/// The moment that counted ids carry, in milliseconds since 1970 (the first of January 2026): earlier than any id
/// that [`SystemIds`] makes, so that the two never meet in one directory.
const COUNTED_IDS_MILLISECONDS: u64 = 1_767_225_600_000;

/// Counts from 1, in the shape of UUIDv7.
struct CountedIds(AtomicU64);

impl Ids for CountedIds {
    fn next(&self) -> Uuid {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        Builder::from_u128(u128::from(COUNTED_IDS_MILLISECONDS) << 80 | u128::from(number))
            .with_version(Version::SortRand)
            .with_variant(Variant::RFC4122)
            .into_uuid()
    }
}

/// This machine, for the store.
pub(super) fn machine() -> Machine {
    Machine::new(Arc::new(SystemClock), Arc::new(SystemIds))
}

/// This machine, with ids that are counted: the same operations on two empty directories make the same ids. For a
/// directory that holds nothing yet, and for the demo only: whoever counts knows the next id.
pub(super) fn counting_machine() -> Machine {
    Machine::new(Arc::new(SystemClock), Arc::new(CountedIds(AtomicU64::new(1))))
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
