//! One tenant's whole history in one file, as it lies in the journal: the same file moves it to another server.
//! Never holds a key: that is a file of its own, to be sent another way.

mod export;
mod import;
mod stream;

pub use export::Source;
pub use import::Import;
pub use stream::Export;

use super::{
    codec::{self, CodecError, Commit},
    disk::{DiskFile, read_up_to},
    journal::{self, Hash, RECORD_HEADER_BYTES, Record, decode_record, record_length},
    keys::KeysError,
    lock::LockError,
};
use crate::domain::{
    id::TenantId,
    record::Kind,
    state::{State, Write},
    time::Timestamp,
};
use sha2::{Digest, Sha256};
use std::{io, path::PathBuf};
use uuid::Uuid;

// # Format of an export, version 1
//
// All integers are little-endian, hashes are SHA-256.
//    0   8  magic, "CSEXPORT"
//    8   4  format version, 1
//   12  16  tenant
//   28   8  number of records
//   36  32  hash of the newest record
//   68   8  time of the export, in milliseconds since 1970-01-01T00:00:00Z
//   76  32  hash of bytes 0..76
//  108      the tenant's records from number 1 without gaps, each as in the journal; then the file ends
// The key file is the tenant's file of `keys/`, as it is.
const MAGIC: [u8; 8] = *b"CSEXPORT";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 108;

/// Why a tenant was not exported or imported; each says what to do, or which file is damaged.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The server's journal is damaged.
    #[error(transparent)]
    Journal(#[from] journal::OpenError),
    /// A key is damaged or cannot be written.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A record of the platform's directory cannot be read.
    #[error("record {number} of the platform's directory cannot be read; are these its keys?")]
    Directory {
        /// Which record.
        number: u64,
    },
    /// The tenant has no records, or they cannot be read any more.
    #[error("the organisation {0} was erased: there is nothing to export")]
    Erased(TenantId),
    /// The beginning of its history was cut.
    #[error("the beginning of this organisation's history was cut by `compact`; move it with `backup` and `restore`")]
    Cut(TenantId),
    /// A file would be overwritten.
    #[error("{} is there already; name another file", .0.display())]
    Taken(PathBuf),
    /// The export is damaged, or is none.
    #[error("the export is damaged: {} at offset {offset}: {what}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where the damaged part begins, in bytes.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A later version wrote the export.
    #[error("the export {} has format {found}, and this version knows up to {VERSION}; use a later version", path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The key does not open the records.
    #[error("the key {} does not open the export {}; name the key that was exported with it", key.display(), path.display())]
    KeyWrong {
        /// The export.
        path: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// The history does not tell which organisation it is.
    #[error("the export {} holds no organisation", .0.display())]
    NoTenant(PathBuf),
    /// The tenant was erased on this server.
    #[error("the organisation {0} was erased on this server, and does not come back")]
    ErasedHere(TenantId),
    /// The log has another history of this tenant.
    #[error("this server has another history of the organisation {0}; it cannot be continued with this export")]
    Diverged(TenantId),
    /// The journal took the records no further; importing again goes on where it ended.
    #[error("the records could not be written, import again to go on: {0}")]
    Append(#[from] journal::AppendError),
    /// The file system refused.
    #[error("{} cannot be used: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the file system answered.
        source: io::Error,
    },
}

impl TransferError {
    fn file(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { path, source }
    }
}

/// What stands at the beginning of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    tenant: TenantId,
    records: u64,
    head: Hash,
    at: Timestamp,
}

/// What is wrong with a header: a later version's, or damage.
enum BadHeader {
    Newer(u32),
    Damaged(&'static str),
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(self.tenant.uuid().as_bytes());
        bytes.extend_from_slice(&self.records.to_le_bytes());
        bytes.extend_from_slice(&self.head.bytes());
        bytes.extend_from_slice(&self.at.milliseconds().to_le_bytes());
        let hash: [u8; 32] = Sha256::digest(&bytes).into();
        bytes.extend_from_slice(&hash);
        bytes
    }

    fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, BadHeader> {
        let field = |at: usize, length: usize| bytes.get(at..at + length).unwrap_or_default();
        let number = |at: usize| field(at, 8).try_into().map_or(0, u64::from_le_bytes);
        let hash = |at: usize| field(at, 32).try_into().map_or(Hash::ZERO, Hash::from_bytes);
        if field(0, 8) != MAGIC {
            return Err(BadHeader::Damaged("this is not an export"));
        }
        let found: [u8; 32] = Sha256::digest(field(0, 76)).into();
        if hash(76) != Hash::from_bytes(found) {
            return Err(BadHeader::Damaged("the header does not match its hash"));
        }
        let version = field(8, 4).try_into().map_or(0, u32::from_le_bytes);
        if version != VERSION {
            return Err(BadHeader::Newer(version));
        }
        let at = field(68, 8).try_into().map_or(0, i64::from_le_bytes);
        Ok(Self {
            tenant: Uuid::from_slice(field(12, 16)).unwrap_or_default().into(),
            records: number(28),
            head: hash(36),
            at: Timestamp::from_milliseconds(at),
        })
    }
}

/// Reads an export and checks its hashes and its chain; hands each record to `seen`, whose refusal ends the reading.
fn read(
    path: &std::path::Path,
    file: &dyn DiskFile,
    seen: &mut dyn FnMut(Record) -> Result<(), TransferError>,
) -> Result<Header, TransferError> {
    let refused = || TransferError::file(path);
    let damaged = |offset: u64, what: &str| {
        let (path, what) = (path.to_path_buf(), what.to_owned());
        TransferError::Damaged { path, offset, what }
    };
    let length = file.length().map_err(refused())?;
    let mut bytes = [0; HEADER_BYTES];
    if read_up_to(file, &mut bytes, 0).map_err(refused())? < HEADER_BYTES {
        return Err(damaged(0, "the header is cut off"));
    }
    let header = Header::decode(&bytes).map_err(|bad| match bad {
        BadHeader::Newer(found) => TransferError::Newer { path: path.to_path_buf(), found },
        BadHeader::Damaged(what) => damaged(0, what),
    })?;
    let (mut offset, mut previous) = (HEADER_BYTES as u64, Hash::ZERO);
    for number in 1..=header.records {
        let record = record_at(file, offset, length).map_err(refused())?;
        let (record, bytes) = record.map_err(|what| damaged(offset, what))?;
        if (record.tenant, record.number, record.previous) != (header.tenant, number, previous) {
            return Err(damaged(offset, &format!("record {number} does not continue the chain")));
        }
        previous = record.hash;
        seen(record)?;
        offset = offset.saturating_add(bytes);
    }
    if previous != header.head {
        return Err(damaged(offset, "the last record is not the one that the header names"));
    }
    if offset != length {
        return Err(damaged(offset, "the file holds more than its records"));
    }
    Ok(header)
}

/// The record at an offset, and how many bytes it takes; the inner error says what is wrong with it.
fn record_at(file: &dyn DiskFile, offset: u64, length: u64) -> io::Result<Result<(Record, u64), &'static str>> {
    let short = "the record is cut off";
    let mut begin = [0; RECORD_HEADER_BYTES];
    let read = read_up_to(file, &mut begin, offset)?;
    let Some(wanted) = record_length(begin.get(..read).unwrap_or_default()) else { return Ok(Err(short)) };
    // Checked before memory is taken: a damaged length may claim four gigabytes.
    if wanted as u64 > length.saturating_sub(offset) {
        return Ok(Err(short));
    }
    let mut bytes = vec![0; wanted];
    let read = read_up_to(file, &mut bytes, offset)?;
    bytes.truncate(read);
    Ok(decode_record(&bytes).map(|(record, bytes)| (record, bytes as u64)))
}

/// Lets a state follow a commit.
pub(super) fn follow(state: &mut State, commit: &Commit) -> Result<(), CodecError> {
    for write in &commit.writes {
        let kind = Kind::of_number(write.kind).ok_or(CodecError::Kind(write.kind))?;
        state.restore(match &write.bytes {
            Some(bytes) => Write::Put(codec::record(write.kind, bytes)?),
            None => Write::Remove(kind, write.id),
        });
    }
    Ok(())
}
