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
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::signal::unix::{SignalKind, signal};
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

/// Resolves when the process is asked to end: from this call on, not only once it is waited for.
///
/// # Errors
/// The operating system's, when it takes no handler.
pub(super) fn asked_to_end() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    })
}
