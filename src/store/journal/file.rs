//! The journal as files: appends groups to the last segment, one write and one sync each.
//! Never tries a failed sync again, and never leaves bytes behind of what it refused.

use super::format::{GROUP_HEADER_BYTES, GroupHeader, SEGMENT_HEADER_BYTES, SegmentHeader, encode_record};
use super::segment::{self, NotBegun};
use super::{AppendError, Checkpoint, Entry, Head, Journal, JournalReader, Place, Stored};
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;
use crate::store::disk::{Disk, DiskFile};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// The journal of one server, in one directory.
pub struct FileJournal {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) segment_bytes_max: u64,
    pub(super) epoch: [u8; 16],
    /// The last segment, to which groups are appended.
    pub(super) file: Arc<dyn DiskFile>,
    /// Where the next group goes, unless it begins a segment.
    pub(super) tail: Place,
    pub(super) last: Checkpoint,
    /// The latest time in the log.
    pub(super) at: Timestamp,
    pub(super) heads: BTreeMap<TenantId, Head>,
    /// The newest record of every tenant that was cut.
    pub(super) begins_behind: BTreeMap<TenantId, Head>,
    pub(super) reader: JournalReader,
    pub(super) stopped: bool,
}

/// A group in memory, before it has a place.
struct Draft {
    body: Vec<u8>,
    /// The offset in the body and the new head, for each entry.
    records: Vec<(u64, TenantId, Head)>,
}

impl Journal for FileJournal {
    async fn append(&mut self, entries: Vec<Entry>, at: Timestamp) -> Result<Vec<Stored>, AppendError> {
        self.write(&entries, at)
    }
}

impl FileJournal {
    /// A handle for reading records.
    pub fn reader(&self) -> JournalReader {
        self.reader.clone()
    }

    /// The last group that is durable; group 0 before the first.
    pub fn position(&self) -> Checkpoint {
        self.last
    }

    /// The latest time in the log, which no later group goes behind.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// What tells this log from another one, and from itself before a restore.
    pub fn log_epoch(&self) -> [u8; 16] {
        self.epoch
    }

    /// The newest record of every tenant.
    pub fn heads(&self) -> &BTreeMap<TenantId, Head> {
        &self.heads
    }

    /// The newest record that was cut, of every tenant that has one: its history begins behind it.
    pub fn begins_behind(&self) -> &BTreeMap<TenantId, Head> {
        &self.begins_behind
    }

    /// Begins another epoch of this log, in a segment of its own: what a restore does first, so
    /// that cursors and caches of the log that went on without it are recognised as foreign.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn begin_epoch(&mut self, epoch: [u8; 16], at: Timestamp) -> Result<(), AppendError> {
        // The sealing group gives the new segment a number, hence a name, of its own.
        self.write(&[], at)?;
        self.begin_segment(epoch)
    }

    fn write(&mut self, entries: &[Entry], at: Timestamp) -> Result<Vec<Stored>, AppendError> {
        if self.stopped {
            return Err(AppendError::Stopped);
        }
        // So that the last group's time is the latest of all: a clock may be set back, and a record that was imported
        // may come from a clock that was ahead.
        let at = entries.iter().map(|entry| entry.at).fold(self.at.max(at), Timestamp::max);
        let draft = self.draft(entries)?;
        let too_large = AppendError::TooLarge { bytes: draft.body.len() as u64 };
        let records = u32::try_from(entries.len()).ok();
        let number = self.last.group.saturating_add(1);
        let sealed = records.and_then(|records| GroupHeader::seal(number, records, at, self.last.hash, &draft.body));
        let Some((header, bytes)) = sealed else {
            return Err(too_large);
        };

        let end = self.tail.offset.saturating_add(header.length());
        let empty = self.tail.offset <= SEGMENT_HEADER_BYTES as u64;
        if end > self.segment_bytes_max && !empty {
            self.begin_segment(self.epoch)?;
        }
        self.write_durably(&bytes)?;

        let begin = self.tail.offset;
        self.tail.offset = begin.saturating_add(header.length());
        self.last = Checkpoint { group: number, hash: header.hash, begin, end: self.tail };
        self.at = at;
        let body = begin.saturating_add(GROUP_HEADER_BYTES as u64);
        let stored = draft.records.into_iter().map(|(offset, tenant, head)| {
            self.heads.insert(tenant, head);
            let offset = body.saturating_add(offset);
            Stored { place: Place { segment: self.tail.segment, offset }, hash: head.hash }
        });
        Ok(stored.collect())
    }

    /// Links the entries into their tenants' chains, refusing what does not follow a head.
    fn draft(&self, entries: &[Entry]) -> Result<Draft, AppendError> {
        let mut draft = Draft { body: Vec::new(), records: Vec::with_capacity(entries.len()) };
        let mut staged: BTreeMap<TenantId, Head> = BTreeMap::new();
        for entry in entries {
            let Entry { tenant, number, at, ref payload } = *entry;
            let known = staged.get(&tenant).or_else(|| self.heads.get(&tenant));
            let head = known.copied().unwrap_or(Head::NONE);
            if head.number.checked_add(1) != Some(number) {
                return Err(AppendError::NotTheHead { tenant, head: head.number, number });
            }
            let offset = draft.body.len() as u64;
            let fields = (tenant, number, at);
            let hash = encode_record(&mut draft.body, fields, head.hash, payload)
                .ok_or(AppendError::TooLarge { bytes: payload.len() as u64 })?;
            let head = Head { number, hash };
            staged.insert(tenant, head);
            draft.records.push((offset, tenant, head));
        }
        Ok(draft)
    }

    /// Puts the bytes at the tail and waits until they are durable.
    fn write_durably(&mut self, bytes: &[u8]) -> Result<(), AppendError> {
        if let Err(error) = self.file.write_at(bytes, self.tail.offset) {
            // Part of the group may have been written. The next group is written only onto a file
            // that durably ends where the last one ended.
            let cut = self.file.truncate(self.tail.offset).and_then(|()| self.file.sync_data());
            return Err(match cut {
                Ok(()) => refusal(error),
                Err(_) => self.stop(error),
            });
        }
        self.file.sync_data().map_err(|error| self.stop(error))
    }

    fn begin_segment(&mut self, epoch: [u8; 16]) -> Result<(), AppendError> {
        let first_group = self.last.group.saturating_add(1);
        let header = SegmentHeader { epoch, first_group, previous: self.last.hash };
        match segment::begin(self.disk.as_ref(), &header) {
            Ok(file) => {
                self.file = file;
                self.tail = Place { segment: first_group, offset: SEGMENT_HEADER_BYTES as u64 };
                self.epoch = epoch;
                Ok(())
            }
            Err(NotBegun::Refused(error)) => Err(refusal(error)),
            Err(NotBegun::Unknown(error)) => Err(self.stop(error)),
        }
    }

    fn stop(&mut self, error: io::Error) -> AppendError {
        self.stopped = true;
        AppendError::Unknown(error)
    }
}

/// What an error means after which nothing of the group is left on the disk.
fn refusal(error: io::Error) -> AppendError {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    if matches!(error.kind(), StorageFull | QuotaExceeded) {
        AppendError::Full(error)
    } else {
        AppendError::Refused(error)
    }
}
