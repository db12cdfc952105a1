//! The rows of the index: how keys and values lie in sled's one tree.
//! Never touches sled.

use crate::domain::id::{ApiKeyId, TenantId};
use crate::limits::INDEX_VALUE_BYTES_MAX;
use crate::store::journal::{Checkpoint, Hash, Head, Place};
use uuid::Uuid;

// # Rows, format 3
//
// tenant (16) ‖ 0 ‖ space (1) ‖ key length (1) ‖ key ‖ chunk (2)  ->  part of an encrypted value;
//                                                    in chunk 0 the number of chunks (2) precedes
// tenant (16) ‖ 1 ‖ number (8)                -> up to 64 times number (8) ‖ segment (8) ‖ offset (8), ascending;
//                                                the key's number is the first one's
// tenant (16) ‖ 2 ‖ entity (16) ‖ number (8)  -> up to 64 times entity (16) ‖ number (8), ascending: the record mentions
//                                                the entity; the key's are the first ones
// tenant (16) ‖ 3 ‖ API key (16)              -> hour of its last use (8), in milliseconds since 1970
// nil (16) ‖ 0                                -> format (4)
// nil (16) ‖ 1                                -> checkpoint (64) ‖ boot of the machine
// nil (16) ‖ 2 ‖ tenant (16)                  -> head: number (8) ‖ hash (32)
// nil (16) ‖ 3 ‖ tenant (16)                  -> how many bytes its records take in the journal (8)
//
// Integers are big-endian, so that keys are ordered as what they say. No tenant is nil.
pub(super) const FORMAT: [u8; 4] = 3_u32.to_be_bytes();

const VALUES: u8 = 0;
const PLACES: u8 = 1;
const MENTIONS: u8 = 2;
const USES: u8 = 3;

/// How many bytes of a value one row holds: with the number of chunks within the limit.
const CHUNK_BYTES: usize = INDEX_VALUE_BYTES_MAX - 2;

fn key(tenant: TenantId, area: u8, rest: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    key.extend_from_slice(tenant.uuid().as_bytes());
    key.push(area);
    rest.iter().for_each(|part| key.extend_from_slice(part));
    key
}

fn own(area: u8, rest: &[u8]) -> Vec<u8> {
    key(TenantId::from_uuid(Uuid::nil()), area, &[rest])
}

pub(super) fn format_key() -> Vec<u8> {
    own(0, &[])
}

pub(super) fn checkpoint_key() -> Vec<u8> {
    own(1, &[])
}

pub(super) fn heads_prefix() -> Vec<u8> {
    own(2, &[])
}

pub(super) fn head_key(tenant: TenantId) -> Vec<u8> {
    own(2, tenant.uuid().as_bytes())
}

pub(super) fn bytes_prefix() -> Vec<u8> {
    own(3, &[])
}

pub(super) fn bytes_key(tenant: TenantId) -> Vec<u8> {
    own(3, tenant.uuid().as_bytes())
}

pub(super) fn decode_bytes(value: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(value.try_into().ok()?))
}

/// The tenant at the end of a row's key.
pub(super) fn tenant_of(key: &[u8]) -> Option<TenantId> {
    Some(TenantId::from_uuid(Uuid::from_bytes(*key.last_chunk()?)))
}

pub(super) fn values_prefix(tenant: TenantId) -> Vec<u8> {
    key(tenant, VALUES, &[])
}

/// The key of a value without its chunk; none when the caller's key is longer than 255 bytes.
pub(super) fn value_key(tenant: TenantId, space: u8, name: &[u8]) -> Option<Vec<u8>> {
    let length = u8::try_from(name.len()).ok()?;
    Some(key(tenant, VALUES, &[&[space, length], name]))
}

pub(super) fn chunk_key(value_key: &[u8], chunk: u16) -> Vec<u8> {
    [value_key, chunk.to_be_bytes().as_slice()].concat()
}

pub(super) fn places_prefix(tenant: TenantId) -> Vec<u8> {
    key(tenant, PLACES, &[])
}

pub(super) fn mentions_prefix(tenant: TenantId) -> Vec<u8> {
    key(tenant, MENTIONS, &[])
}

pub(super) fn uses_prefix(tenant: TenantId) -> Vec<u8> {
    key(tenant, USES, &[])
}

pub(super) fn use_key(tenant: TenantId, api_key: ApiKeyId) -> Vec<u8> {
    key(tenant, USES, &[api_key.uuid().as_bytes()])
}

pub(super) fn decode_use(key: &[u8], value: &[u8]) -> Option<(ApiKeyId, i64)> {
    let api_key = Uuid::from_bytes(*key.last_chunk()?).into();
    Some((api_key, i64::from_be_bytes(value.try_into().ok()?)))
}

/// The rows of a value; none when it has too many chunks.
pub(super) fn chunks(value: &[u8]) -> Option<Vec<Vec<u8>>> {
    let count = u16::try_from(value.len().div_ceil(CHUNK_BYTES).max(1)).ok()?;
    let mut rows: Vec<Vec<u8>> = value.chunks(CHUNK_BYTES).map(<[u8]>::to_vec).collect();
    if rows.is_empty() {
        rows.push(Vec::new());
    }
    if let Some(first) = rows.first_mut() {
        first.splice(..0, count.to_be_bytes());
    }
    Some(rows)
}

/// How many chunks a value has, by its first row.
pub(super) fn chunk_count(first_row: &[u8]) -> Option<u16> {
    first_row.first_chunk().map(|count| u16::from_be_bytes(*count))
}

/// What the key of a value's row says.
pub(super) struct ValueKey<'k> {
    pub(super) space: u8,
    pub(super) name: &'k [u8],
    pub(super) chunk: u16,
}

impl<'k> ValueKey<'k> {
    pub(super) fn decode(key: &'k [u8]) -> Option<Self> {
        let (_, rest) = key.split_at_checked(17)?;
        let ([space, length], rest) = rest.split_first_chunk::<2>()?;
        let (name, chunk) = rest.split_at_checked(usize::from(*length))?;
        let chunk = u16::from_be_bytes(chunk.try_into().ok()?);
        Some(Self { space: *space, name, chunk })
    }
}

pub(super) fn encode_place(place: Place) -> Vec<u8> {
    [place.segment.to_be_bytes(), place.offset.to_be_bytes()].concat()
}

pub(super) fn decode_place(bytes: &[u8]) -> Option<Place> {
    let (segment, offset) = bytes.split_first_chunk::<8>()?;
    let offset = u64::from_be_bytes(offset.try_into().ok()?);
    Some(Place { segment: u64::from_be_bytes(*segment), offset })
}

pub(super) fn encode_head(head: Head) -> Vec<u8> {
    [head.number.to_be_bytes().as_slice(), head.hash.bytes().as_slice()].concat()
}

/// The tenant and its head, from the row's key and value.
pub(super) fn decode_head(key: &[u8], value: &[u8]) -> Option<(TenantId, Head)> {
    let tenant = tenant_of(key)?;
    let (number, hash) = value.split_first_chunk::<8>()?;
    let hash = Hash::from_bytes(hash.try_into().ok()?);
    Some((tenant, Head { number: u64::from_be_bytes(*number), hash }))
}

pub(super) fn encode_checkpoint(checkpoint: Checkpoint, boot: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    bytes.extend_from_slice(&checkpoint.group.to_be_bytes());
    bytes.extend_from_slice(&checkpoint.hash.bytes());
    bytes.extend_from_slice(&checkpoint.begin.to_be_bytes());
    bytes.extend_from_slice(&encode_place(checkpoint.end));
    bytes.extend_from_slice(boot.as_bytes());
    bytes
}

/// The checkpoint and the boot during which it was written.
pub(super) fn decode_checkpoint(bytes: &[u8]) -> Option<(Checkpoint, &[u8])> {
    let (group, rest) = bytes.split_first_chunk::<8>()?;
    let (hash, rest) = rest.split_first_chunk::<32>()?;
    let (begin, rest) = rest.split_first_chunk::<8>()?;
    let (end, boot) = rest.split_first_chunk::<16>()?;
    let checkpoint = Checkpoint {
        group: u64::from_be_bytes(*group),
        hash: Hash::from_bytes(*hash),
        begin: u64::from_be_bytes(*begin),
        end: decode_place(end)?,
    };
    Some((checkpoint, boot))
}
