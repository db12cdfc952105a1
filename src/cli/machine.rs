//! The machine's clock, ids, limits and signals: the only place that reads them.
//! Never lent to `domain`, which takes the time and ids as parameters.

use crate::{
    domain::{
        id::Ids,
        time::{Clock, Timestamp},
    },
    limits::{CONNECTIONS_MIN, DESCRIPTORS_KEPT},
    store::Machine,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::signal::unix::{Signal, SignalKind, signal};
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

/// How many connections this process may have, by the descriptors that the system allows it; the soft limit is raised
/// as far as they can be used and the hard one allows.
///
/// # Errors
/// When it allows too few.
pub(super) fn connections_max(asked: u32) -> Result<usize, String> {
    let asked = usize::try_from(asked).unwrap_or(usize::MAX);
    let useful = u64::try_from(asked.saturating_add(DESCRIPTORS_KEPT)).unwrap_or(u64::MAX);
    let before = getrlimit(Resource::Nofile);
    let wanted = useful.min(before.maximum.unwrap_or(useful));
    let mut allowed = before.current.unwrap_or(useful);
    if allowed < wanted && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..before }).is_ok() {
        allowed = wanted;
    }
    let rest = usize::try_from(allowed).unwrap_or(usize::MAX).saturating_sub(DESCRIPTORS_KEPT);
    if rest < CONNECTIONS_MIN {
        let least = DESCRIPTORS_KEPT + CONNECTIONS_MIN;
        return Err(format!(
            "the system allows this process {allowed} open files, and a server needs {least} at least: \
             raise the limit (ulimit -n, or LimitNOFILE= of its systemd unit)"
        ));
    }
    Ok(rest.min(asked))
}

/// Resolves whenever the process is asked to look at its files again (SIGHUP), from this call on.
///
/// # Errors
/// The operating system's, when it takes no handler.
pub(super) fn asked_to_look() -> io::Result<Signal> {
    signal(SignalKind::hangup())
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
