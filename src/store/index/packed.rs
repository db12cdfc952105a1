//! Small entries of one length, many to a row: sled makes a page of every dozen rows or so, keeps some hundred bytes of
//! memory for each page, and reads all of those when it opens.
//! Never writes: it stages what a batch then writes at once.

use super::{IndexError, guarded, row};
use crate::{domain::id::TenantId, store::journal::Place};
use std::{ops::Bound, slice::Chunks};
use uuid::Uuid;

/// How long an entry is, in bytes.
const LENGTH: usize = 24;

/// How many entries a row holds at most.
const ENTRIES_MAX: usize = 64;

/// An entry; it begins with its key.
pub(super) type Entry = [u8; LENGTH];

/// The entries of one kind of a tenant, in the order of their keys. A row's key is the key of its first entry.
pub(super) struct Packed {
    prefix: Vec<u8>,
    /// How many of an entry's bytes are its key.
    key: usize,
}

/// Where a tenant's record lies: its number is the key.
pub(super) fn place_entry(number: u64, place: Place) -> Entry {
    joined(&[number.to_be_bytes(), place.segment.to_be_bytes(), place.offset.to_be_bytes()])
}

/// The number and the place that an entry says.
pub(super) fn place_of(entry: &Entry) -> (u64, Place) {
    let [number, segment, offset] = parts(entry);
    (number, Place { segment, offset })
}

/// That a record concerns an entity: all of it is the key.
pub(super) fn mention_entry(entity: Uuid, number: u64) -> Entry {
    let (high, low) = entity.as_u64_pair();
    joined(&[high.to_be_bytes(), low.to_be_bytes(), number.to_be_bytes()])
}

/// The number that an entry says.
pub(super) fn mention_of(entry: &Entry) -> u64 {
    let [_, _, number] = parts(entry);
    number
}

fn joined(parts: &[[u8; 8]; 3]) -> Entry {
    let mut entry = [0; LENGTH];
    entry.iter_mut().zip(parts.as_flattened()).for_each(|(byte, part)| *byte = *part);
    entry
}

fn parts(entry: &Entry) -> [u64; 3] {
    let mut parts = [0; 3];
    let bytes = entry.as_chunks().0;
    parts.iter_mut().zip(bytes).for_each(|(part, bytes)| *part = u64::from_be_bytes(*bytes));
    parts
}

impl Packed {
    /// Where a tenant's records lie.
    pub(super) fn places(tenant: TenantId) -> Self {
        Self { prefix: row::places_prefix(tenant), key: 8 }
    }

    /// Which of a tenant's entities its records concern.
    pub(super) fn mentions(tenant: TenantId) -> Self {
        Self { prefix: row::mentions_prefix(tenant), key: LENGTH }
    }

    fn key<'e>(&self, entry: &'e Entry) -> &'e [u8] {
        entry.get(..self.key).unwrap_or(entry)
    }

    fn row_key(&self, entry: &Entry) -> Vec<u8> {
        [&self.prefix, self.key(entry)].concat()
    }

    /// The entries of a row.
    fn entries(&self, key: &[u8], row: &[u8]) -> Result<Vec<Entry>, IndexError> {
        let (entries, rest) = row.as_chunks();
        let begins_with_its_key = entries.first().is_some_and(|first| key.ends_with(self.key(first)));
        if rest.is_empty() && begins_with_its_key { Ok(entries.to_vec()) } else { Err(IndexError::Damaged("a list")) }
    }

    /// Stages new entries; one whose key is there already takes its place.
    pub(super) fn add(&self, db: &sled::Db, rows: &mut sled::Batch, mut entries: Vec<Entry>) -> Result<(), IndexError> {
        // Of several with one key the last one counts.
        entries.sort_by(|one, other| self.key(one).cmp(self.key(other)));
        let mut entries = entries.into_iter().peekable();
        while let Some(first) = entries.peek().map(|first| self.row_key(first)) {
            let row = guarded(|| db.range(self.prefix.clone()..=first.clone()).next_back().transpose())?;
            let mut held = row.map_or(Ok(vec![]), |(key, row)| self.entries(&key, &row))?;
            let behind = (Bound::Excluded(first), Bound::Included(self.end()));
            let next = guarded(|| db.range(behind).next().transpose())?.map(|(key, _)| key);
            let belongs = |entry: &Entry| next.as_ref().is_none_or(|next| *self.row_key(entry) < **next);
            while let Some(entry) = entries.next_if(belongs) {
                match held.binary_search_by(|other| self.key(other).cmp(self.key(&entry))) {
                    Ok(at) => held.iter_mut().skip(at).take(1).for_each(|same| *same = entry),
                    Err(at) => held.insert(at, entry),
                }
            }
            for row in split(&held, next.is_none()) {
                if let Some(first) = row.first() {
                    rows.insert(self.row_key(first), row.as_flattened());
                }
            }
        }
        Ok(())
    }

    /// The entries between two, both included, at most `limit`, the first ones first.
    pub(super) fn ascending(
        &self,
        db: &sled::Db,
        (from, to): (Entry, Entry),
        limit: usize,
    ) -> Result<Vec<Entry>, IndexError> {
        // The row that holds the first one may begin before it.
        let begin = guarded(|| db.range(self.prefix.clone()..=self.row_key(&from)).next_back().transpose())?;
        let begin = begin.map_or_else(|| self.prefix.clone(), |(key, _)| key.to_vec());
        let mut rows = db.range(begin..=self.row_key(&to));
        let mut found = vec![];
        while found.len() < limit
            && let Some((key, row)) = guarded(|| rows.next().transpose())?
        {
            let entries = self.entries(&key, &row)?.into_iter();
            found.extend(entries.filter(|entry| self.lies_between(entry, &from, &to)).take(limit - found.len()));
        }
        Ok(found)
    }

    /// The entries between two, both included, at most `limit`, the last ones first.
    pub(super) fn descending(
        &self,
        db: &sled::Db,
        (from, to): (Entry, Entry),
        limit: usize,
    ) -> Result<Vec<Entry>, IndexError> {
        let mut rows = db.range(self.prefix.clone()..=self.row_key(&to));
        let (mut found, first) = (vec![], self.row_key(&from));
        while found.len() < limit
            && let Some((key, row)) = guarded(|| rows.next_back().transpose())?
        {
            let entries = self.entries(&key, &row)?.into_iter().rev();
            found.extend(entries.filter(|entry| self.lies_between(entry, &from, &to)).take(limit - found.len()));
            if *key <= *first {
                break;
            }
        }
        Ok(found)
    }

    fn lies_between(&self, entry: &Entry, from: &Entry, to: &Entry) -> bool {
        (self.key(from)..=self.key(to)).contains(&self.key(entry))
    }

    /// Behind every row.
    fn end(&self) -> Vec<u8> {
        self.row_key(&[u8::MAX; LENGTH])
    }
}

/// The rows of so many entries. The last row of all is filled up, because ids and numbers grow: what comes next comes
/// behind it. Others are divided evenly, because what comes next may come anywhere.
fn split(entries: &[Entry], is_last: bool) -> Chunks<'_, Entry> {
    let rows = entries.len().div_ceil(ENTRIES_MAX).max(1);
    entries.chunks(if is_last { ENTRIES_MAX } else { entries.len().div_ceil(rows).max(1) })
}
