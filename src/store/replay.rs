//! Brings an index up to the journal: takes what is replayed and writes it in bounded batches.
//! Never moves the checkpoint before what it covers is in the same batch.

use super::{
    behind::{Follow, Pending},
    codec::Commit,
    index::{Index, IndexError},
    journal::{Checkpoint, Hash, Place, Record, Replayed, Unreplayed, record_bytes},
    keys::Keys,
    open::decode_record,
};

/// What was replayed and is not written yet.
pub(super) struct Replay<'i> {
    index: &'i Index,
    keys: &'i Keys,
    pending: Option<Pending>,
    /// The commits of a group whose end has not come yet.
    waiting: Vec<Follow>,
}

impl<'i> Replay<'i> {
    pub(super) const fn new(index: &'i Index, keys: &'i Keys) -> Self {
        Self { index, keys, pending: None, waiting: vec![] }
    }

    /// Takes the next of what the journal holds.
    pub(super) fn take(&mut self, replayed: Replayed) -> Result<(), Unreplayed> {
        match replayed {
            Replayed::Kept(kept) => {
                // Until the base is whole, an index counts for nothing.
                let begun = || Pending::new(Checkpoint::behind(0, Hash::ZERO));
                let pending = self.pending.get_or_insert_with(begun);
                // Without a key the tenant was erased since.
                if self.keys.key(kept.tenant).is_some() {
                    pending.keep(kept);
                }
            }
            Replayed::Base(known) => {
                let pending = self.pending.get_or_insert_with(|| Pending::new(known.checkpoint));
                pending.stand_at(known.heads);
                pending.reach(known.checkpoint);
            }
            Replayed::Record { place, record } => {
                let commit = decode_record(self.keys, &record)?;
                self.waiting.push(follow(&record, place, commit.as_ref()));
            }
            Replayed::Group(checkpoint) => {
                let pending = self.pending.get_or_insert_with(|| Pending::new(checkpoint));
                self.waiting.drain(..).for_each(|follow| pending.add(follow));
                pending.reach(checkpoint);
            }
        }
        match self.pending.take_if(|pending| pending.is_full()) {
            Some(full) => Ok(full.write(self.index, self.keys).map(|_| ())?),
            None => Ok(()),
        }
    }

    /// Writes the rest.
    pub(super) fn finish(self) -> Result<(), IndexError> {
        self.pending.map_or(Ok(()), |rest| rest.write(self.index, self.keys).map(|_| ()))
    }
}

/// What the index needs of a record; of one whose tenant's key was destroyed only the place is known.
fn follow(record: &Record, place: Place, commit: Option<&Commit>) -> Follow {
    let Record { tenant, number, hash, .. } = *record;
    let bytes = record_bytes(record.payload.len());
    match commit {
        Some(commit) => Follow::of((tenant, number), place, (hash, bytes), commit),
        None => Follow { tenant, number, place, hash, bytes, writes: vec![], mentions: vec![] },
    }
}
