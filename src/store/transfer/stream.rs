//! A tenant's history as the command exports it, piece by piece, from the server that goes on meanwhile.
//! Never hands out a key: whoever has the file can read nothing with it.

use super::Header;
use crate::{
    domain::id::TenantId,
    limits::{EVENT_BATCH_COMMITS, EXPORT_PIECE_BYTES, INDEX_LOOK_MILLISECONDS, INDEX_REBUILD_SECONDS_MAX},
    store::{
        Store,
        fault::Fault,
        index::IndexError,
        journal::{Hash, Head, encode_record},
    },
};
use std::time::Duration;

/// An export under way.
pub struct Export {
    store: Store,
    header: Header,
    /// The last record that was handed out; none before the header was.
    reached: Option<Head>,
}

impl Store {
    /// Begins to export a tenant: with everything up to this commit, at least. Whoever asks was allowed to.
    ///
    /// # Errors
    /// `Unreadable` for a tenant of which nothing is there; `Rebuilding` when the index does not come so far in time.
    pub async fn export(&self, tenant: TenantId, number: u64) -> Result<Export, Fault> {
        let look = Duration::from_millis(INDEX_LOOK_MILLISECONDS);
        let looks = INDEX_REBUILD_SECONDS_MAX * 1_000 / INDEX_LOOK_MILLISECONDS;
        for _ in 0..looks {
            match self.inner.index.index().and_then(|index| index.head(tenant)) {
                Ok(head) if head.number >= number.max(1) => {
                    let (records, head, at) = (head.number, head.hash, self.inner.clock.now());
                    let header = Header { tenant, records, head, at };
                    return Ok(Export { store: self.clone(), header, reached: None });
                }
                Ok(_) | Err(IndexError::Rebuilding) => {}
                Err(error) => self.inner.index.doubt(&error),
            }
            // The index is written behind, or made anew.
            tokio::time::sleep(look).await;
        }
        Err(Fault::Rebuilding)
    }
}

impl Export {
    /// The next piece of the file; none at its end. Reads the disk.
    ///
    /// # Errors
    /// `Unreadable` when a record is damaged or does not continue the chain: what was handed out is no export then,
    /// and is refused wherever it is imported.
    pub fn piece(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        let Some(mut reached) = self.reached else {
            self.reached = Some(Head { number: 0, hash: Hash::ZERO });
            return Ok(Some(self.header.encode()));
        };
        if reached.number == self.header.records {
            return Ok(None);
        }
        let mut piece = vec![];
        while reached.number < self.header.records && piece.len() < EXPORT_PIECE_BYTES {
            let places = self.store.inner.index.index();
            let places = places.and_then(|index| index.places(self.header.tenant, reached.number, EVENT_BATCH_COMMITS));
            let places = places.map_err(|error| unreadable(&error))?;
            if places.is_empty() {
                return Err(unreadable(&"a record has no place in the index"));
            }
            for (_, place) in places {
                if reached.number == self.header.records || piece.len() >= EXPORT_PIECE_BYTES {
                    break;
                }
                reached = self.append(reached, place, &mut piece)?;
            }
        }
        if reached.number == self.header.records && reached.hash != self.header.head {
            return Err(unreadable(&"the last record is not the head"));
        }
        self.reached = Some(reached);
        Ok(Some(piece))
    }

    /// Appends the record behind the last one, which lies at `place`.
    fn append(&self, last: Head, place: crate::store::journal::Place, piece: &mut Vec<u8>) -> Result<Head, Fault> {
        let record = self.store.inner.reader.record(place).map_err(|error| unreadable(&error))?;
        let named = (record.tenant, record.number, record.previous);
        if named != (self.header.tenant, last.number + 1, last.hash) {
            return Err(unreadable(&"a record does not continue the chain"));
        }
        let fields = (record.tenant, record.number, record.at);
        let hash = encode_record(piece, fields, record.previous, &record.payload).ok_or(Fault::Unreadable)?;
        Ok(Head { number: record.number, hash })
    }
}

fn unreadable(error: &dyn std::fmt::Display) -> Fault {
    tracing::error!(%error, "an export broke off");
    Fault::Unreadable
}
