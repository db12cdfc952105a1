//! How records and commits become bytes: MessagePack with field names, behind a version byte.
//! Never positional: a reader of another version skips what it does not know and defaults what is missing.

use crate::domain::{
    access::Principal,
    action::Action,
    event::Event,
    record::{Decode, Encode, Kind, Record},
    state::Write,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_bytes::ByteBuf;
use uuid::Uuid;

/// The only encoding there is so far.
const VERSION: u8 = 1;

/// Bytes that are not what they should be, or a value that cannot be encoded.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The version byte is unknown: a later version wrote it.
    #[error(
        "its encoding has format {0}, and this version knows up to {VERSION}; use the version that wrote it, or a later one"
    )]
    Newer(u8),
    /// There is not even a version byte.
    #[error("the record is empty")]
    Empty,
    /// The kind's number is unknown: a later version wrote it.
    #[error(
        "the record is of kind {0}, which this version does not know; use the version that wrote it, or a later one"
    )]
    Kind(u8),
    /// MessagePack could not be read.
    #[error("the record cannot be read: {0}")]
    Read(#[from] rmp_serde::decode::Error),
    /// MessagePack could not be written.
    #[error("the record cannot be written: {0}")]
    Write(#[from] rmp_serde::encode::Error),
}

/// The payload of one record of the journal: what one command did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Commit {
    /// As whom.
    pub principal: Principal,
    /// What was asked.
    pub action: Action,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// What was stored and removed, each as the bytes that the index holds too.
    pub writes: Vec<EncodedWrite>,
}

/// One stored or removed record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EncodedWrite {
    /// The number of its kind.
    pub kind: u8,
    /// Its id.
    pub id: Uuid,
    /// Its bytes; none when it was removed.
    pub bytes: Option<ByteBuf>,
}

struct Named;

impl Encode for Named {
    type Error = CodecError;

    fn encode<T: Serialize>(self, value: &T) -> Result<Vec<u8>, CodecError> {
        encode(value)
    }
}

struct NamedBytes<'b>(&'b [u8]);

impl Decode for NamedBytes<'_> {
    type Error = CodecError;

    fn decode<T: DeserializeOwned>(self) -> Result<T, CodecError> {
        decode(self.0)
    }
}

/// The bytes of a value.
///
/// # Errors
/// `Write` when MessagePack cannot hold it.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = vec![VERSION];
    rmp_serde::encode::write_named(&mut bytes, value)?;
    Ok(bytes)
}

/// The value of some bytes.
///
/// # Errors
/// `Version` or `Read` when they are not such a value.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => Ok(rmp_serde::from_slice(rest)?),
        Some((version, _)) => Err(CodecError::Newer(*version)),
        None => Err(CodecError::Empty),
    }
}

impl EncodedWrite {
    /// Encodes a write; once, for journal and index alike.
    ///
    /// # Errors
    /// `Write` when MessagePack cannot hold the record.
    pub fn of(write: &Write) -> Result<Self, CodecError> {
        match write {
            Write::Put(record) => {
                let bytes = record.encode(Named)?;
                Ok(Self { kind: record.kind().number(), id: record.uuid(), bytes: Some(ByteBuf::from(bytes)) })
            }
            Write::Remove(kind, id) => Ok(Self { kind: kind.number(), id: *id, bytes: None }),
        }
    }
}

/// A stored record from its kind's number and its bytes.
///
/// # Errors
/// See [`CodecError`].
pub fn record(kind: u8, bytes: &[u8]) -> Result<Record, CodecError> {
    let kind = Kind::of_number(kind).ok_or(CodecError::Kind(kind))?;
    Record::decode(kind, NamedBytes(bytes))
}
