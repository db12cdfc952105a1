//! What the store asks of the machine, as parameters: time, ids, the journal's disk, and who watches a long start.
//! Never reads a clock itself; a test brings its own of each.

use super::disk::{Disk, FileDisk};
use crate::{
    domain::{id::Ids, time::Clock},
    limits::{JOURNAL_SEGMENT_BYTES_MAX, TENANT_IDLE_SECONDS},
};
use std::{io, path::Path, sync::Arc};

/// Opens the disk on which the journal lies, given its directory.
pub type OpenDisk = Arc<dyn Fn(&Path) -> io::Result<Arc<dyn Disk>> + Send + Sync>;

/// What the store asks of the machine.
#[derive(Clone)]
pub struct Machine {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
    /// After how much idling a tenant's state is let go, in seconds.
    pub tenant_idle_seconds: i64,
    /// Where the journal lies.
    pub journal: OpenDisk,
    /// The size at which another segment of the journal is begun, in bytes.
    pub journal_segment_bytes_max: u64,
    /// Names the present boot: what the index wrote in another one counts only after a clean stop.
    pub boot: String,
    /// Hears how far a start has come.
    pub progress: Arc<dyn Progress>,
}

impl Machine {
    /// The usual bounds and files with this clock and these ids; nobody watches.
    pub fn new(clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self {
            clock,
            ids,
            tenant_idle_seconds: TENANT_IDLE_SECONDS,
            journal: file_disk(),
            journal_segment_bytes_max: JOURNAL_SEGMENT_BYTES_MAX,
            boot: boot_id(),
            progress: Arc::new(Unwatched),
        }
    }
}

/// Whoever waits for a long piece of work and wants to see that it moves.
pub trait Progress: Send + Sync {
    /// So many bytes of so many were read; a last time when both are equal.
    fn reached(&self, bytes: u64, all: u64);
}

/// Nobody watches.
#[derive(Clone, Copy, Debug)]
pub struct Unwatched;

impl Progress for Unwatched {
    fn reached(&self, _: u64, _: u64) {}
}

/// The journal on a directory of the file system.
pub(super) fn file_disk() -> OpenDisk {
    Arc::new(|directory| Ok(Arc::new(FileDisk::open(directory)?)))
}

/// Names the present boot; where the system does not say, no checkpoint survives a crash.
pub(super) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}
