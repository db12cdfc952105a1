//! The journal's port: every accepted command is one record, appended durably, in one chain for
//! each tenant. The journal is the truth; everything else the store holds follows from it.
//! Never knows what a payload means (it is encrypted), and the port never assumes a local file.

mod base;
mod cursor;
mod file;
mod format;
mod open;
mod reader;
mod segment;
mod survey;
mod walk;

pub use base::{Base, Draft, Found, Kept, find as base};
pub use file::FileJournal;
pub use format::record_hash;
pub(super) use format::{RECORD_HEADER_BYTES, decode_record, encode_record, record_bytes, record_length};
pub use open::{Known, Opened, Settings};
pub use reader::{JournalReader, ReadError};
pub use segment::cut as cut_segments;
pub use survey::{Survey, segments, survey, survey_newest};
pub use walk::{OpenError, Replayed, Unreplayed, length, length_before, verify};

use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::io;
use std::str::FromStr;

/// A log to which records are appended at the head that the writer has seen.
pub trait Journal: Send {
    /// Appends these entries as one group and answers when all of them are durable, in their order.
    /// Without entries it writes a group that only seals what stands before it.
    ///
    /// # Errors
    /// See [`AppendError`]: all but `Unknown` mean that nothing was written.
    fn append(
        &mut self,
        entries: Vec<Entry>,
        at: Timestamp,
    ) -> impl Future<Output = Result<Vec<Stored>, AppendError>> + Send;
}

/// What is to become a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose chain it continues.
    pub tenant: TenantId,
    /// The tenant's head + 1; the first is 1.
    pub number: u64,
    /// When the command was accepted.
    pub at: Timestamp,
    /// The encrypted bytes.
    pub payload: Vec<u8>,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Where its record can be read again.
    pub place: Place,
    /// The tenant's new head.
    pub hash: Hash,
}

/// A record as it lies in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose chain it belongs to.
    pub tenant: TenantId,
    /// Its number in that chain, from 1 without gaps.
    pub number: u64,
    /// When the command was accepted.
    pub at: Timestamp,
    /// The hash of the tenant's record before it; [`Hash::ZERO`] for the first.
    pub previous: Hash,
    /// Its own hash, see [`record_hash`].
    pub hash: Hash,
    /// The encrypted bytes.
    pub payload: Vec<u8>,
}

/// Where a record, or the end of a group, lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The number of the first group of the segment.
    pub segment: u64,
    /// Bytes from the beginning of the segment.
    pub offset: u64,
}

/// The newest record of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its number; 0 before the first.
    pub number: u64,
    /// Its hash; [`Hash::ZERO`] before the first.
    pub hash: Hash,
}

impl Head {
    /// The head of a tenant that has no record yet.
    pub const NONE: Self = Self { number: 0, hash: Hash::ZERO };
}

/// A group that is known to be durable, and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its number, from 1 without gaps; 0 before the first.
    pub group: u64,
    /// Its hash; [`Hash::ZERO`] before the first.
    pub hash: Hash,
    /// The offset in its segment at which it begins.
    pub begin: u64,
    /// Where it ends.
    pub end: Place,
}

impl Checkpoint {
    /// Behind the last group of a segment, wherever that lay: what follows begins the next one.
    pub(super) const fn behind(group: u64, hash: Hash) -> Self {
        let begin = format::SEGMENT_HEADER_BYTES as u64;
        Self { group, hash, begin, end: Place { segment: group.saturating_add(1), offset: begin } }
    }

    /// How many bytes the group has.
    pub const fn bytes(&self) -> u64 {
        self.end.offset.saturating_sub(self.begin)
    }
}

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What stands before the first link of a chain.
    pub const ZERO: Self = Self([0; 32]);

    /// The digest with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest's bytes.
    pub const fn bytes(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Display for Hash {
    /// 64 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Hash {
    type Err = NoHash;

    /// Reads what a hash displays.
    fn from_str(text: &str) -> Result<Self, NoHash> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(NoHash);
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            let digits = text.get(2 * index..2 * index + 2).ok_or(NoHash)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| NoHash)?;
        }
        Ok(Self(bytes))
    }
}

/// A text is not the 64 hexadecimal digits of a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest has 64 hexadecimal digits")]
pub struct NoHash;

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// Why entries were not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// An entry does not follow the tenant's newest record. Nothing was written.
    #[error("record {number} of tenant {tenant} does not follow its head, {head}")]
    NotTheHead {
        /// Whose entry.
        tenant: TenantId,
        /// The number of the tenant's newest record, entries before this one included.
        head: u64,
        /// The number that the entry bears.
        number: u64,
    },
    /// The group exceeds what its length field can hold. Nothing was written.
    #[error("a group of {bytes} bytes is too large for the journal")]
    TooLarge {
        /// The length of the group's body.
        bytes: u64,
    },
    /// No space is left on the disk. Nothing was written; a later append may succeed.
    #[error("the journal's disk is full: {0}")]
    Full(#[source] io::Error),
    /// The disk refused. Nothing was written; a later append may succeed.
    #[error("the journal's disk refused a write: {0}")]
    Refused(#[source] io::Error),
    /// The disk failed so that nobody knows whether the entries are durable. The journal stops;
    /// what is there after a restart is what happened.
    #[error("the journal's disk failed, and the outcome is unknown: {0}")]
    Unknown(#[source] io::Error),
    /// An earlier append ended with `Unknown`. Nothing was written.
    #[error("the journal has stopped writing after a failure of its disk; restart the server")]
    Stopped,
}
