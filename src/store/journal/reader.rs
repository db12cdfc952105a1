//! Reads single records back while the writer appends.
//! Never writes, and never answers a record that does not match its own hash.

use super::format::{RECORD_HEADER_BYTES, decode_record, record_length};
use super::{Place, Record, segment};
use super::{base, walk::OpenError};
use crate::limits::JOURNAL_FILES_OPEN_MAX;
use crate::store::disk::{Disk, DiskFile, read_up_to};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Most records are shorter than this and need a single read, in bytes.
const FIRST_READ_BYTES: usize = 2 * 1024;

/// A handle for reading records; clones share their open files.
#[derive(Clone)]
pub struct JournalReader {
    disk: Arc<dyn Disk>,
    open: Arc<Mutex<OpenFiles>>,
}

/// Segment files by number, the one used last in front.
type OpenFiles = VecDeque<(u64, Arc<dyn DiskFile>)>;

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// What lies at the place is no record, or not the one that was written there.
    #[error("the journal is damaged: {file} at offset {offset}: {what}")]
    Damaged {
        /// The segment's file name.
        file: String,
        /// Where the record should begin, in bytes.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// The disk refused.
    #[error("the journal's file {file} cannot be read: {source}")]
    Disk {
        /// The segment's file name.
        file: String,
        /// What the disk answered.
        source: io::Error,
    },
}

impl JournalReader {
    /// Reads from the segments on this disk.
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, open: Arc::default() }
    }

    /// The record at a place that the journal gave out, checked against its own hash. Whether it
    /// is the tenant's and bears the number that was looked for is left to the caller.
    ///
    /// # Errors
    /// [`ReadError`]; both kinds name the file.
    pub fn record(&self, place: Place) -> Result<Record, ReadError> {
        let refused = |source| ReadError::Disk { file: segment::name(place.segment), source };
        let damaged = |what: &str| ReadError::Damaged {
            file: segment::name(place.segment),
            offset: place.offset,
            what: what.to_owned(),
        };
        let file = self.segment(place.segment).map_err(refused)?;
        let mut bytes = vec![0; FIRST_READ_BYTES];
        let mut read = read_up_to(file.as_ref(), &mut bytes, place.offset).map_err(refused)?;
        if read < RECORD_HEADER_BYTES {
            return Err(damaged("the record is cut off"));
        }
        let length = record_length(&bytes).ok_or_else(|| damaged("the record is cut off"))?;
        if length > read {
            // Checked before memory is taken: a damaged length may claim four gigabytes.
            let left = file.length().map_err(refused)?.saturating_sub(place.offset);
            if length as u64 > left {
                return Err(damaged("the record is cut off"));
            }
            bytes.resize(length, 0);
            read = read_up_to(file.as_ref(), &mut bytes, place.offset).map_err(refused)?;
        }
        bytes.truncate(read);
        let (record, _) = decode_record(&bytes).map_err(damaged)?;
        Ok(record)
    }

    /// What stands in place of the history that was cut, if any was.
    ///
    /// # Errors
    /// As [`base::find`].
    pub fn base(&self) -> Result<Option<base::Found>, OpenError> {
        base::find(&*self.disk)
    }

    fn segment(&self, number: u64) -> io::Result<Arc<dyn DiskFile>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let known = open.iter().position(|(segment, _)| *segment == number);
        let entry = match known.and_then(|index| open.remove(index)) {
            Some(entry) => entry,
            None => (number, self.disk.open(&segment::name(number))?),
        };
        let file = Arc::clone(&entry.1);
        open.push_front(entry);
        open.truncate(JOURNAL_FILES_OPEN_MAX);
        Ok(file)
    }
}
