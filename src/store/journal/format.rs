//! The journal's format: how segments, groups and records lie in bytes. It never changes; a
//! second format would be a second version number in the segment's header.
//! Never touches a disk.

use super::{Hash, Record};
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

// # Format, version 1
//
// A journal is a directory of segments. A segment is named by the number of its first group, in
// 16 decimal digits: `0000000000000001.journal`. It is a header followed by groups without gaps.
// A group holds the records that were made durable together, in the order of their acceptance.
// All integers are little-endian. Times are signed milliseconds since 1970-01-01T00:00:00Z.
// Hashes are SHA-256. Tenants are the 16 bytes of a UUID.
//
// Segment header, 100 bytes
//    0   8  magic, "CSJOURNL"
//    8   4  format version, 1
//   12  16  log epoch: random, the same in every segment until a restore begins another
//   28   8  number of the segment's first group
//   36  32  hash of the group before that; zero when there is none
//   68  32  hash of bytes 0..68; every later format keeps these bytes and their hash, so that it
//           can be told from damage
//
// Group, 96 bytes and its body
//    0   8  magic, "CSGROUP\n"
//    8   8  group number, from 1 without gaps through all segments
//   16   4  length of the body
//   20   4  number of records in the body (0: the group only seals what stands before it)
//   24   8  time at which the group was written
//   32  32  hash of the group before it; zero for group 1
//   64  32  hash of bytes 0..64 and the body
//   96      body: the records without gaps
//
// Record, 100 bytes and its payload
//    0   4  length of the payload
//    4  16  tenant
//   20   8  the tenant's sequence number, from 1 without gaps
//   28   8  time at which the command was accepted
//   36  32  hash of the tenant's record before it; zero for number 1
//   68  32  hash of: the previous hash (36..68), tenant (4..20), number (20..28), time (28..36),
//           payload. It names neither file nor position, so that a tenant's chain can be
//           verified anywhere.
//  100      payload: ciphertext; its first byte is the cipher's version

/// The length of a segment's header, in bytes.
pub(super) const SEGMENT_HEADER_BYTES: usize = 100;
/// The length of a group's header, in bytes.
pub(super) const GROUP_HEADER_BYTES: usize = 96;
/// The length of a record without its payload, in bytes.
pub(in crate::store) const RECORD_HEADER_BYTES: usize = 100;

const SEGMENT_MAGIC: [u8; 8] = *b"CSJOURNL";
const GROUP_MAGIC: [u8; 8] = *b"CSGROUP\n";
const VERSION: u32 = 1;

/// How many bytes a record takes, by the length of its payload.
pub(in crate::store) const fn record_bytes(payload: usize) -> u64 {
    (RECORD_HEADER_BYTES as u64).saturating_add(payload as u64)
}

/// The hash that links a record into its tenant's chain; needs nothing but the chain itself.
pub fn record_hash(previous: Hash, tenant: TenantId, number: u64, at: Timestamp, payload: &[u8]) -> Hash {
    let mut digest = Sha256::new();
    digest.update(previous.bytes());
    digest.update(tenant.uuid().as_bytes());
    digest.update(number.to_le_bytes());
    digest.update(at.milliseconds().to_le_bytes());
    digest.update(payload);
    Hash::from_bytes(digest.finalize().into())
}

/// Why a segment's header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// What is wrong with it.
    Damaged(&'static str),
    /// It is sound, and another version wrote it.
    Newer { found: u32, known: u32 },
}

/// What stands at the beginning of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) epoch: [u8; 16],
    pub(super) first_group: u64,
    pub(super) previous: Hash,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        bytes.extend_from_slice(&SEGMENT_MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.epoch);
        bytes.extend_from_slice(&self.first_group.to_le_bytes());
        bytes.extend_from_slice(&self.previous.bytes());
        let hash = hash_of(&[&bytes]);
        bytes.extend_from_slice(&hash.bytes());
        bytes
    }

    /// Reads a header; the error says what is wrong with it.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Unread> {
        let (header, version) = Self::fields(bytes).map_err(Unread::Damaged)?;
        if version == VERSION { Ok(header) } else { Err(Unread::Newer { found: version, known: VERSION }) }
    }

    /// The header and its version.
    fn fields(bytes: &[u8]) -> Result<(Self, u32), &'static str> {
        let (covered, hash) = bytes.split_at_checked(68).ok_or("the segment's header is cut off")?;
        let mut fields = Fields(covered);
        let short = "the segment's header is cut off";
        if fields.take::<8>() != Some(SEGMENT_MAGIC) {
            return Err("this is not a segment of a journal");
        }
        let version = u32::from_le_bytes(fields.take().ok_or(short)?);
        let header = Self {
            epoch: fields.take().ok_or(short)?,
            first_group: u64::from_le_bytes(fields.take().ok_or(short)?),
            previous: Hash::from_bytes(fields.take().ok_or(short)?),
        };
        let expected = Fields(hash).take::<32>().ok_or(short)?;
        if hash_of(&[covered]).bytes() != expected {
            return Err("the segment's header does not match its hash");
        }
        Ok((header, version))
    }
}

/// What stands at the beginning of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupHeader {
    pub(super) number: u64,
    pub(super) body_bytes: u32,
    pub(super) records: u32,
    pub(super) at: Timestamp,
    pub(super) previous: Hash,
    pub(super) hash: Hash,
}

impl GroupHeader {
    /// The header of a new group, with its hash.
    pub(super) fn seal(
        number: u64,
        records: u32,
        at: Timestamp,
        previous: Hash,
        body: &[u8],
    ) -> Option<(Self, Vec<u8>)> {
        let body_bytes = u32::try_from(body.len()).ok()?;
        let mut bytes = Vec::with_capacity(GROUP_HEADER_BYTES.saturating_add(body.len()));
        bytes.extend_from_slice(&GROUP_MAGIC);
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&body_bytes.to_le_bytes());
        bytes.extend_from_slice(&records.to_le_bytes());
        bytes.extend_from_slice(&at.milliseconds().to_le_bytes());
        bytes.extend_from_slice(&previous.bytes());
        let hash = hash_of(&[&bytes, body]);
        bytes.extend_from_slice(&hash.bytes());
        bytes.extend_from_slice(body);
        Some((Self { number, body_bytes, records, at, previous, hash }, bytes))
    }

    /// Reads the fields without judging them; none when the magic is missing.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        if fields.take::<8>()? != GROUP_MAGIC {
            return None;
        }
        Some(Self {
            number: u64::from_le_bytes(fields.take()?),
            body_bytes: u32::from_le_bytes(fields.take()?),
            records: u32::from_le_bytes(fields.take()?),
            at: Timestamp::from_milliseconds(i64::from_le_bytes(fields.take()?)),
            previous: Hash::from_bytes(fields.take()?),
            hash: Hash::from_bytes(fields.take()?),
        })
    }

    /// The length of the group with its header, in bytes.
    pub(super) fn length(&self) -> u64 {
        u64::from(self.body_bytes).saturating_add(GROUP_HEADER_BYTES as u64)
    }

    /// Whether a whole group with a matching hash begins at the beginning of these bytes.
    pub(super) fn whole(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let header = Self::decode(bytes)?;
        let length = usize::try_from(header.length()).ok()?;
        let body = bytes.get(GROUP_HEADER_BYTES..length)?;
        let matches = hash_of(&[bytes.get(..64)?, body]) == header.hash;
        matches.then_some((header, body))
    }
}

/// The offset of the first whole group in these bytes, and its header.
pub(super) fn find_group(bytes: &[u8]) -> Option<(usize, GroupHeader)> {
    (0..bytes.len()).find_map(|offset| {
        let rest = bytes.get(offset..)?;
        // Cheap first: a hash is taken only where the magic stands.
        rest.starts_with(&GROUP_MAGIC).then_some(())?;
        let (header, _) = GroupHeader::whole(rest)?;
        Some((offset, header))
    })
}

/// Appends a record to a group's body.
///
/// None when the payload exceeds what its length field can hold.
pub(in crate::store) fn encode_record(
    body: &mut Vec<u8>,
    record: (TenantId, u64, Timestamp),
    previous: Hash,
    payload: &[u8],
) -> Option<Hash> {
    let (tenant, number, at) = record;
    let length = u32::try_from(payload.len()).ok()?;
    let hash = record_hash(previous, tenant, number, at, payload);
    body.extend_from_slice(&length.to_le_bytes());
    body.extend_from_slice(tenant.uuid().as_bytes());
    body.extend_from_slice(&number.to_le_bytes());
    body.extend_from_slice(&at.milliseconds().to_le_bytes());
    body.extend_from_slice(&previous.bytes());
    body.extend_from_slice(&hash.bytes());
    body.extend_from_slice(payload);
    Some(hash)
}

/// The length in bytes of the record, its payload included, whose beginning this is.
pub(in crate::store) fn record_length(bytes: &[u8]) -> Option<usize> {
    let payload = u32::from_le_bytes(Fields(bytes).take()?);
    usize::try_from(payload).ok()?.checked_add(RECORD_HEADER_BYTES)
}

/// Reads the record at the beginning of these bytes and checks it against its own hash. Answers
/// it with its length in bytes.
pub(in crate::store) fn decode_record(bytes: &[u8]) -> Result<(Record, usize), &'static str> {
    let short = "the record is cut off";
    let length = record_length(bytes).ok_or(short)?;
    let whole = bytes.get(..length).ok_or(short)?;
    let (header, payload) = whole.split_at_checked(RECORD_HEADER_BYTES).ok_or(short)?;
    let mut fields = Fields(header);
    fields.take::<4>().ok_or(short)?;
    let record = Record {
        tenant: TenantId::from_uuid(Uuid::from_bytes(fields.take().ok_or(short)?)),
        number: u64::from_le_bytes(fields.take().ok_or(short)?),
        at: Timestamp::from_milliseconds(i64::from_le_bytes(fields.take().ok_or(short)?)),
        previous: Hash::from_bytes(fields.take().ok_or(short)?),
        hash: Hash::from_bytes(fields.take().ok_or(short)?),
        payload: payload.to_vec(),
    };
    let Record { tenant, number, at, previous, .. } = record;
    if record_hash(previous, tenant, number, at, payload) != record.hash {
        return Err("the record does not match its hash");
    }
    Ok((record, length))
}

fn hash_of(parts: &[&[u8]]) -> Hash {
    let mut digest = Sha256::new();
    parts.iter().for_each(|part| digest.update(part));
    Hash::from_bytes(digest.finalize().into())
}

/// Takes fields of known length from the front.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    pub(super) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }
}
