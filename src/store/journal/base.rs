//! The base: what stands in place of the history that was cut. It holds where the chains stood, and every record
//! of every tenant as it was then, encrypted under the tenant's key, signed as a whole.
//! Never half there: it appears under its name only when all of it is durable.

use super::format::Fields;
use super::walk::{OpenError, Unreplayed};
use super::{Checkpoint, Hash, Head};
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;
use crate::store::disk::{Disk, DiskFile, read_up_to};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use uuid::Uuid;

// # Format, version 1
//
// A journal has at most one base, in the file `base`. The first segment after it begins with the group after the
// base's; segments before that are remains. Integers, times, hashes and tenants are as in segments.
//
//    0   8  magic, "CSJRBASE"
//    8   4  format version, 1
//   12  16  log epoch
//   28   8  number of the last group that was cut
//   36  32  its hash
//   68   8  time of the newest record that was cut
//   76   8  length of the heads, in bytes
//   84   8  length of the values, in bytes
//   92  32  hash of the values
//  124  32  Ed25519 public key of the server that cut
//  156  64  its signature over: "countersign base\n", bytes 0..156, the heads
//  220      heads, by tenant: tenant (16), number (8), hash (32) of its newest record that was cut, and the peaks (32
//           each) of the Merkle tree (RFC 9162) over its records up to that, largest first: one for each bit that is
//           set in the number
//           values: tenant (16), kind (1), id (16), length (4), and the bytes that the index holds: ciphertext, whose
//           first byte is the cipher's version

/// The name of the base's file.
pub(super) const FILE: &str = "base";
/// Its name while it is being written.
pub(super) const UNFINISHED: &str = "base.temp";

const MAGIC: [u8; 8] = *b"CSJRBASE";
const VERSION: u32 = 1;
const SIGNED: &[u8] = b"countersign base\n";
const HEADER_BYTES: usize = 220;
const COVERED_BYTES: usize = 156;
const VALUE_HEADER_BYTES: usize = 37;

/// How much is read or written at once, in bytes.
const BUFFER_BYTES: usize = 1024 * 1024;

/// A record as it stood when the history before it was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Whose record.
    pub tenant: TenantId,
    /// The number of its kind.
    pub kind: u8,
    /// Its id.
    pub id: Uuid,
    /// Its bytes as the index holds them, encrypted.
    pub sealed: Vec<u8>,
}

/// Where a journal begins whose older history was cut.
#[derive(Clone, Debug)]
pub struct Base {
    /// The log to which it belongs.
    pub epoch: [u8; 16],
    /// The last group that was cut; what follows begins behind it.
    pub checkpoint: Checkpoint,
    /// The newest record that was cut, of every tenant.
    pub heads: BTreeMap<TenantId, Head>,
    /// For each of them the roots of the perfect trees of the Merkle tree over the tenant's records up to there, the
    /// largest first: what an audit goes on from.
    pub peaks: BTreeMap<TenantId, Vec<Hash>>,
    /// When the newest of these was accepted.
    pub at: Timestamp,
    /// The Ed25519 key under which all of this is signed.
    pub signed_by: [u8; 32],
}

/// A base that was found, and its file.
pub struct Found {
    /// What it says.
    pub base: Base,
    file: Arc<dyn DiskFile>,
    values: Values,
}

/// Where the values lie, and what they hash to.
struct Values {
    begin: u64,
    bytes: u64,
    hash: Hash,
}

/// Reads the base of a journal: its header and heads, and that they are signed by the key that the header names;
/// whether that is the right one is left to the caller. None where nothing was cut.
///
/// # Errors
/// `Damaged` when it is not what was signed, `Newer` when a later version wrote it.
pub fn find(disk: &dyn Disk) -> Result<Option<Found>, OpenError> {
    let file = match disk.open(FILE) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut header = [0; HEADER_BYTES];
    let read = read_up_to(file.as_ref(), &mut header, 0)?;
    let header = header.get(..read).unwrap_or_default();
    let Fixed { base, heads, values } = Fixed::decode(header)?;
    let begin = heads.saturating_add(HEADER_BYTES as u64);
    // Checked before memory is taken: a damaged count may claim anything.
    if begin.checked_add(values.bytes) != Some(file.length()?) {
        return Err(damaged(0, "the base's length is not what its header says"));
    }
    let mut bytes = vec![0; usize::try_from(begin).map_err(io::Error::other)?.saturating_sub(HEADER_BYTES)];
    read_up_to(file.as_ref(), &mut bytes, HEADER_BYTES as u64)?;
    if !is_signed(header, &bytes) {
        return Err(damaged(0, "the base's header and heads do not match their signature"));
    }
    let (mut heads, mut peaks, mut fields) = (BTreeMap::new(), BTreeMap::new(), Fields(&bytes));
    while !fields.0.is_empty() {
        let head = decode_head(&mut fields);
        let (tenant, head, roots) = head.ok_or_else(|| damaged(HEADER_BYTES as u64, "the base's heads are cut off"))?;
        heads.insert(tenant, head);
        peaks.insert(tenant, roots);
    }
    Ok(Some(Found { base: Base { heads, peaks, ..base }, file, values: Values { begin, ..values } }))
}

/// The header's fields.
struct Fixed {
    /// Without its heads and peaks.
    base: Base,
    /// How long they are, in bytes.
    heads: u64,
    /// Without their beginning.
    values: Values,
}

impl Fixed {
    fn decode(header: &[u8]) -> Result<Self, OpenError> {
        let short = || damaged(0, "the base's header is cut off");
        let mut fields = Fields(header);
        if fields.take::<8>().ok_or_else(short)? != MAGIC {
            return Err(damaged(0, "this is not the base of a journal"));
        }
        let version = u32::from_le_bytes(fields.take().ok_or_else(short)?);
        if version != VERSION {
            return Err(OpenError::Newer { file: FILE.to_owned(), found: version, known: VERSION });
        }
        let epoch = fields.take().ok_or_else(short)?;
        let group = u64::from_le_bytes(fields.take().ok_or_else(short)?);
        let hash = Hash::from_bytes(fields.take().ok_or_else(short)?);
        let at = Timestamp::from_milliseconds(i64::from_le_bytes(fields.take().ok_or_else(short)?));
        let heads = u64::from_le_bytes(fields.take().ok_or_else(short)?);
        let bytes = u64::from_le_bytes(fields.take().ok_or_else(short)?);
        let values = Values { begin: 0, bytes, hash: Hash::from_bytes(fields.take().ok_or_else(short)?) };
        let signed_by = fields.take().ok_or_else(short)?;
        fields.take::<64>().ok_or_else(short)?;
        let checkpoint = Checkpoint::behind(group, hash);
        let base = Base { epoch, checkpoint, heads: BTreeMap::new(), peaks: BTreeMap::new(), at, signed_by };
        Ok(Self { base, heads, values })
    }
}

/// Whether the header bears the signature of its own key, for itself and these heads.
fn is_signed(header: &[u8], heads: &[u8]) -> bool {
    let Some((covered, signature)) = header.split_at_checked(COVERED_BYTES) else { return false };
    let key = covered.last_chunk().and_then(|key| VerifyingKey::from_bytes(key).ok());
    let signature = Signature::from_slice(signature).ok();
    key.zip(signature)
        .is_some_and(|(key, signature)| key.verify_strict(&[SIGNED, covered, heads].concat(), &signature).is_ok())
}

impl Found {
    /// Hands out every value. They are the base's only if all of them are, which the end tells: after an error drop
    /// what was handed out.
    ///
    /// # Errors
    /// `Damaged` when they are not what was signed, `Replay` when `seen` refuses.
    pub fn values(&self, seen: &mut dyn FnMut(Kept) -> Result<(), Unreplayed>) -> Result<(), OpenError> {
        let (mut digest, mut held) = (Sha256::new(), Vec::new());
        let (mut offset, mut left) = (self.values.begin, self.values.bytes);
        let cut = |offset: u64| damaged(offset, "a value of the base is cut off");
        let mut taken = 0_usize;
        loop {
            // Whole values first; then more bytes, for the one that is not whole.
            while let Some((kept, length)) = decode_value(held.get(taken..).unwrap_or_default()) {
                seen(kept).map_err(OpenError::Replay)?;
                taken = taken.saturating_add(length);
            }
            held.drain(..taken);
            taken = 0;
            if left == 0 {
                break;
            }
            let before = held.len();
            let more = usize::try_from(left).unwrap_or(usize::MAX).min(BUFFER_BYTES);
            held.resize(before.saturating_add(more), 0);
            let into = held.get_mut(before..).unwrap_or_default();
            if read_up_to(self.file.as_ref(), into, offset)? < more {
                return Err(cut(offset));
            }
            digest.update(into);
            offset = offset.saturating_add(more as u64);
            left = left.saturating_sub(more as u64);
        }
        if !held.is_empty() {
            return Err(cut(offset.saturating_sub(held.len() as u64)));
        }
        if digest.finalize().as_slice() != self.values.hash.bytes() {
            return Err(damaged(self.values.begin, "the base's values do not match their hash"));
        }
        Ok(())
    }
}

/// A base that is being written.
pub struct Draft<'d> {
    disk: &'d dyn Disk,
    file: Arc<dyn DiskFile>,
    base: Base,
    heads: Vec<u8>,
    digest: Sha256,
    buffer: Vec<u8>,
    begin: u64,
    end: u64,
}

impl<'d> Draft<'d> {
    /// Begins a base beside the one that may be there.
    ///
    /// # Errors
    /// What the disk answers.
    pub fn begin(disk: &'d dyn Disk, base: Base) -> io::Result<Self> {
        remove_unfinished(disk)?;
        let file = disk.create(UNFINISHED)?;
        let heads = encode_heads(&base);
        let begin = (heads.len() as u64).saturating_add(HEADER_BYTES as u64);
        Ok(Self { disk, file, base, heads, digest: Sha256::new(), buffer: Vec::new(), begin, end: begin })
    }

    /// Adds a record.
    ///
    /// # Errors
    /// What the disk answers; also when the record is larger than 4 GB.
    pub fn keep(&mut self, kept: &Kept) -> io::Result<()> {
        let length = u32::try_from(kept.sealed.len()).map_err(io::Error::other)?;
        self.buffer.extend_from_slice(kept.tenant.uuid().as_bytes());
        self.buffer.push(kept.kind);
        self.buffer.extend_from_slice(kept.id.as_bytes());
        self.buffer.extend_from_slice(&length.to_le_bytes());
        self.buffer.extend_from_slice(&kept.sealed);
        if self.buffer.len() >= BUFFER_BYTES { self.write_out() } else { Ok(()) }
    }

    fn write_out(&mut self) -> io::Result<()> {
        self.file.write_at(&self.buffer, self.end)?;
        self.digest.update(&self.buffer);
        self.end = self.end.saturating_add(self.buffer.len() as u64);
        self.buffer.clear();
        Ok(())
    }

    /// Signs it and puts it in place, durably: from here on the journal begins with it.
    ///
    /// # Errors
    /// What the disk answers; then the journal begins with this base, or where it began before.
    pub fn finish(mut self, key: &SigningKey) -> io::Result<()> {
        self.write_out()?;
        let Self { disk, file, base, heads, digest, begin, end, .. } = self;
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&base.epoch);
        header.extend_from_slice(&base.checkpoint.group.to_le_bytes());
        header.extend_from_slice(&base.checkpoint.hash.bytes());
        header.extend_from_slice(&base.at.milliseconds().to_le_bytes());
        header.extend_from_slice(&(heads.len() as u64).to_le_bytes());
        header.extend_from_slice(&end.saturating_sub(begin).to_le_bytes());
        header.extend_from_slice(&digest.finalize());
        header.extend_from_slice(key.verifying_key().as_bytes());
        let signature = key.sign(&[SIGNED, &header, &heads].concat());
        header.extend_from_slice(&signature.to_bytes());
        file.write_at(&header, 0)?;
        file.write_at(&heads, HEADER_BYTES as u64)?;
        file.sync_data()?;
        disk.rename(UNFINISHED, FILE)?;
        disk.sync_directory()
    }
}

/// Removes what a crash left of a base that was being written.
pub(super) fn remove_unfinished(disk: &dyn Disk) -> io::Result<()> {
    match disk.remove(UNFINISHED) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn encode_heads(base: &Base) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (tenant, head) in &base.heads {
        bytes.extend_from_slice(tenant.uuid().as_bytes());
        bytes.extend_from_slice(&head.number.to_le_bytes());
        bytes.extend_from_slice(&head.hash.bytes());
        let peaks = base.peaks.get(tenant).into_iter().flatten();
        peaks.for_each(|peak| bytes.extend_from_slice(&peak.bytes()));
    }
    bytes
}

fn decode_head(fields: &mut Fields<'_>) -> Option<(TenantId, Head, Vec<Hash>)> {
    let tenant = TenantId::from_uuid(Uuid::from_bytes(fields.take()?));
    let number = u64::from_le_bytes(fields.take()?);
    let hash = Hash::from_bytes(fields.take()?);
    let peaks = (0..number.count_ones()).map(|_| fields.take().map(Hash::from_bytes)).collect::<Option<_>>()?;
    Some((tenant, Head { number, hash }, peaks))
}

/// The value at the beginning of these bytes, and its length with its header; none when it is not whole.
fn decode_value(bytes: &[u8]) -> Option<(Kept, usize)> {
    let mut fields = Fields(bytes);
    let tenant = TenantId::from_uuid(Uuid::from_bytes(fields.take()?));
    let [kind] = fields.take()?;
    let id = Uuid::from_bytes(fields.take()?);
    let length = usize::try_from(u32::from_le_bytes(fields.take()?)).ok()?;
    let end = VALUE_HEADER_BYTES.checked_add(length)?;
    let sealed = bytes.get(VALUE_HEADER_BYTES..end)?.to_vec();
    Some((Kept { tenant, kind, id, sealed }, end))
}

fn damaged(offset: u64, what: &str) -> OpenError {
    OpenError::Damaged { file: FILE.to_owned(), offset, what: what.to_owned() }
}
