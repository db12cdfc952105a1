//! The index: where the journal's records lie, and the current entities, encrypted. It follows
//! the journal and can be thrown away at any time. The only file that knows sled, with its parts.
//! Never the only copy of anything, never flushed from two threads, and never decides what a
//! value means.

mod open;
mod packed;
mod row;

pub use open::Opened;

use crate::domain::id::{ApiKeyId, TenantId};
use crate::store::journal::{Checkpoint, Head, Place};
use packed::{Entry, Packed, mention_entry, mention_of, place_entry, place_of};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};
use uuid::Uuid;

/// The kind of a value, as its caller numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Space(pub u8);

/// A value to be written: whose, of which kind, its key, and its bytes or none to remove it.
pub type NewValue = (TenantId, Space, Vec<u8>, Option<Vec<u8>>);

/// A value as it was written: its kind, its key and its bytes.
pub type Value = (Space, Vec<u8>, Vec<u8>);

/// In which hour an API key was last used, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// Whose.
    pub tenant: TenantId,
    /// The key.
    pub key: ApiKeyId,
    /// When the hour began.
    pub hour: i64,
}

/// What some groups of the journal change in the index, all or nothing.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The last of those groups.
    pub checkpoint: Checkpoint,
    /// New values, their keys at most 255 bytes long. Of several for one key the last one counts.
    pub values: Vec<NewValue>,
    /// Where the tenants' records lie, by number.
    pub positions: Vec<(TenantId, u64, Place)>,
    /// Which entities the records concern, by number.
    pub mentions: Vec<(TenantId, Uuid, u64)>,
    /// The tenants' new heads.
    pub heads: Vec<(TenantId, Head)>,
    /// How many bytes more the tenants' records take.
    pub grown: Vec<(TenantId, u64)>,
}

impl Batch {
    /// A batch that moves nothing but the checkpoint.
    pub const fn new(checkpoint: Checkpoint) -> Self {
        Self {
            checkpoint,
            values: Vec::new(),
            positions: Vec::new(),
            mentions: Vec::new(),
            heads: Vec::new(),
            grown: Vec::new(),
        }
    }
}

/// From where, and in which direction, numbers are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// Ascending, above this number.
    After(u64),
    /// Descending, below this number.
    Before(u64),
}

/// Why the index could not do what was asked. After `Failed` or `Panicked` drop the index and
/// open it again: sled's errors are sticky.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// sled refused.
    #[error("the index failed: {0}")]
    Failed(String),
    /// sled panicked.
    #[error("the index broke down")]
    Panicked,
    /// A row does not hold what was written to it.
    #[error("the index is damaged: {0}")]
    Damaged(&'static str),
    /// A value's key has more than 255 bytes, or the value more than 500 MB. Nothing was written.
    #[error("a value is too large for the index")]
    TooLarge,
    /// It failed, and is being made anew from the journal.
    #[error("the index is being rebuilt")]
    Rebuilding,
    /// Another process has it open.
    #[error("another process uses the index in {}", .0.display())]
    InUse(PathBuf),
    /// The file system refused.
    #[error("the index's directory cannot be used: {0}")]
    File(#[from] io::Error),
}

/// The index of one server, in one directory.
pub struct Index {
    db: sled::Db,
    directory: PathBuf,
    boot: String,
    /// Whoever reads several packed rows keeps them from being divided meanwhile: sled's iterators are no snapshots.
    packed: RwLock<()>,
}

impl fmt::Debug for Index {
    /// sled's own form prints every row.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Index {
    /// Writes a batch, all or nothing. Only one thread at a time may write. The batch survives
    /// the end of the process only after [`Index::flush`] or [`Index::close`].
    ///
    /// # Errors
    /// [`IndexError`]
    pub fn apply(&self, batch: Batch) -> Result<(), IndexError> {
        let mut rows = sled::Batch::default();
        let mut values = BTreeMap::new();
        for (tenant, space, key, value) in batch.values {
            let key = row::value_key(tenant, space.0, &key).ok_or(IndexError::TooLarge)?;
            values.insert(key, value);
        }
        for (key, value) in values {
            self.stage(&mut rows, &key, value.as_deref())?;
        }
        let mut places: BTreeMap<TenantId, Vec<Entry>> = BTreeMap::new();
        for (tenant, number, place) in batch.positions {
            places.entry(tenant).or_default().push(place_entry(number, place));
        }
        for (tenant, places) in places {
            Packed::places(tenant).add(&self.db, &mut rows, places)?;
        }
        let mut mentions: BTreeMap<TenantId, Vec<Entry>> = BTreeMap::new();
        for (tenant, entity, number) in batch.mentions {
            mentions.entry(tenant).or_default().push(mention_entry(entity, number));
        }
        for (tenant, mentions) in mentions {
            Packed::mentions(tenant).add(&self.db, &mut rows, mentions)?;
        }
        for (tenant, head) in batch.heads {
            rows.insert(row::head_key(tenant), row::encode_head(head));
        }
        for (tenant, grown) in batch.grown {
            let key = row::bytes_key(tenant);
            let before = guarded(|| self.db.get(&key))?.map_or(Some(0), |bytes| row::decode_bytes(&bytes));
            let before = before.ok_or(IndexError::Damaged("how much a tenant has"))?;
            rows.insert(key, before.saturating_add(grown).to_be_bytes().to_vec());
        }
        let checkpoint = row::encode_checkpoint(batch.checkpoint, &self.boot);
        rows.insert(row::checkpoint_key(), checkpoint);
        let _alone = self.packed.write().unwrap_or_else(PoisonError::into_inner);
        guarded(|| self.db.apply_batch(rows))
    }

    /// Stages the chunks of a value, and the removal of those that only its predecessor had.
    fn stage(&self, rows: &mut sled::Batch, key: &[u8], value: Option<&[u8]>) -> Result<(), IndexError> {
        let before = guarded(|| self.db.get(row::chunk_key(key, 0)))?;
        let before = before.and_then(|first| row::chunk_count(&first)).unwrap_or(0);
        let chunks = match value {
            Some(value) => row::chunks(value).ok_or(IndexError::TooLarge)?,
            None => Vec::new(),
        };
        let mut next = 0_u16;
        for chunk in chunks {
            rows.insert(row::chunk_key(key, next), chunk);
            next = next.saturating_add(1);
        }
        for chunk in next..before {
            rows.remove(row::chunk_key(key, chunk));
        }
        Ok(())
    }

    /// Every value of a tenant, by space and key. The caller sees to it that the tenant is not
    /// written meanwhile: sled's iterators are no snapshots.
    ///
    /// # Errors
    /// [`IndexError`]
    pub fn load(&self, tenant: TenantId) -> Result<Vec<Value>, IndexError> {
        let mut values = Vec::new();
        let mut rows = self.db.scan_prefix(row::values_prefix(tenant));
        while let Some((key, first)) = guarded(|| rows.next().transpose())? {
            let named = row::ValueKey::decode(&key).ok_or(IndexError::Damaged("a value's key"))?;
            let count = row::chunk_count(&first).filter(|_| named.chunk == 0);
            let count = count.ok_or(IndexError::Damaged("a value without its first chunk"))?;
            let mut value = first.get(2..).unwrap_or_default().to_vec();
            for chunk in 1..count {
                let (next, bytes) = guarded(|| rows.next().transpose())?
                    .ok_or(IndexError::Damaged("a value without its last chunk"))?;
                let same = row::ValueKey::decode(&next)
                    .is_some_and(|next| (next.space, next.name, next.chunk) == (named.space, named.name, chunk));
                if !same {
                    return Err(IndexError::Damaged("a value without one of its chunks"));
                }
                value.extend_from_slice(&bytes);
            }
            values.push((Space(named.space), named.name.to_vec(), value));
        }
        Ok(values)
    }

    /// Where a record of a tenant lies; none when the index has not come so far.
    ///
    /// # Errors
    /// [`IndexError`]
    pub fn place(&self, tenant: TenantId, number: u64) -> Result<Option<Place>, IndexError> {
        let places = self.places_between(tenant, number, number, 1)?;
        Ok(places.first().map(|(_, place)| *place))
    }

    /// The numbers and places of a tenant's records above a number, ascending, at most `limit`.
    ///
    /// # Errors
    /// [`IndexError`]
    pub fn places(&self, tenant: TenantId, after: u64, limit: usize) -> Result<Vec<(u64, Place)>, IndexError> {
        match after.checked_add(1) {
            Some(first) => self.places_between(tenant, first, u64::MAX, limit),
            None => Ok(Vec::new()),
        }
    }

    fn places_between(
        &self,
        tenant: TenantId,
        first: u64,
        last: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Place)>, IndexError> {
        let nowhere = Place { segment: 0, offset: 0 };
        let range = (place_entry(first, nowhere), place_entry(last, nowhere));
        let _together = self.packed.read().unwrap_or_else(PoisonError::into_inner);
        Ok(Packed::places(tenant).ascending(&self.db, range, limit)?.iter().map(place_of).collect())
    }

    /// The numbers of a tenant's records that concern an entity, at most `limit`.
    ///
    /// # Errors
    /// [`IndexError`]
    pub fn mentions(
        &self,
        tenant: TenantId,
        entity: Uuid,
        from: Numbers,
        limit: usize,
    ) -> Result<Vec<u64>, IndexError> {
        let bounds = match from {
            Numbers::After(number) => number.checked_add(1).map(|first| (first, u64::MAX)),
            Numbers::Before(number) => number.checked_sub(1).map(|last| (0, last)),
        };
        let Some((first, last)) = bounds else {
            return Ok(Vec::new());
        };
        let range = (mention_entry(entity, first), mention_entry(entity, last));
        let _together = self.packed.read().unwrap_or_else(PoisonError::into_inner);
        let mentions = match from {
            Numbers::After(_) => Packed::mentions(tenant).ascending(&self.db, range, limit),
            Numbers::Before(_) => Packed::mentions(tenant).descending(&self.db, range, limit),
        };
        Ok(mentions?.iter().map(mention_of).collect())
    }

    /// The head of a tenant at the checkpoint; [`Head::NONE`] where it has no record.
    ///
    /// # Errors
    /// [`IndexError`]
    pub fn head(&self, tenant: TenantId) -> Result<Head, IndexError> {
        let key = row::head_key(tenant);
        match guarded(|| self.db.get(&key))? {
            Some(value) => {
                let head = row::decode_head(&key, &value).map(|(_, head)| head);
                head.ok_or(IndexError::Damaged("a tenant's head"))
            }
            None => Ok(Head::NONE),
        }
    }

    /// The head of every tenant at the checkpoint.
    ///
    /// # Errors
    /// [`IndexError`]
    pub fn heads(&self) -> Result<BTreeMap<TenantId, Head>, IndexError> {
        let mut heads = BTreeMap::new();
        let mut rows = self.db.scan_prefix(row::heads_prefix());
        while let Some((key, value)) = guarded(|| rows.next().transpose())? {
            let head = row::decode_head(&key, &value);
            let (tenant, head) = head.ok_or(IndexError::Damaged("a tenant's head"))?;
            heads.insert(tenant, head);
        }
        Ok(heads)
    }

    /// How many bytes every tenant's records take in the journal, up to the checkpoint.
    ///
    /// # Errors
    /// [`IndexError`]
    pub fn bytes(&self) -> Result<BTreeMap<TenantId, u64>, IndexError> {
        let mut found = BTreeMap::new();
        let mut rows = self.db.scan_prefix(row::bytes_prefix());
        while let Some((key, value)) = guarded(|| rows.next().transpose())? {
            let entry = row::tenant_of(&key).zip(row::decode_bytes(&value));
            let (tenant, bytes) = entry.ok_or(IndexError::Damaged("how much a tenant has"))?;
            found.insert(tenant, bytes);
        }
        Ok(found)
    }

    /// Notes when keys were last used: what no journal holds. Only from the thread that writes.
    ///
    /// # Errors
    /// [`IndexError`]
    pub fn note(&self, uses: impl Iterator<Item = KeyUse>) -> Result<(), IndexError> {
        let mut rows = sled::Batch::default();
        for KeyUse { tenant, key, hour } in uses {
            rows.insert(row::use_key(tenant, key), hour.to_be_bytes().to_vec());
        }
        guarded(|| self.db.apply_batch(rows))
    }

    /// When a tenant's keys were last used, as far as that was noted.
    ///
    /// # Errors
    /// [`IndexError`]
    pub fn uses(&self, tenant: TenantId) -> Result<Vec<KeyUse>, IndexError> {
        let mut uses = Vec::new();
        let mut rows = self.db.scan_prefix(row::uses_prefix(tenant));
        while let Some((key, value)) = guarded(|| rows.next().transpose())? {
            let (key, hour) = row::decode_use(&key, &value).ok_or(IndexError::Damaged("a key's last use"))?;
            uses.push(KeyUse { tenant, key, hour });
        }
        Ok(uses)
    }

    /// Hands everything to the operating system: it survives the end of the process, though not
    /// a loss of power. Only from the thread that writes.
    ///
    /// # Errors
    /// [`IndexError`]
    pub fn flush(&self) -> Result<(), IndexError> {
        guarded(|| self.db.flush()).map(|_| ())
    }
}

/// sled panics on damage that it does not expect; a broken index must not end the server.
fn guarded<T>(call: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, IndexError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(IndexError::Failed(error.to_string())),
        Err(_) => Err(IndexError::Panicked),
    }
}
