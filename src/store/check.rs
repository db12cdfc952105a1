//! What must hold of every store, checked over its bytes: for tests, and for whoever doubts a data directory.
//! Never changes a byte, and never runs while a server uses the directory.

use super::{
    behind, codec,
    index::Index,
    journal::{FileJournal, Kept, Record, Replayed, Settings, record_bytes},
    keys::Keys,
    lock::Lock,
    machine::{OpenDisk, boot_id, file_disk},
    open::{OpenError, decode_record},
};
use crate::domain::{
    id::TenantId,
    state::{State, Write},
};
use std::{collections::BTreeMap, path::Path};
use uuid::Uuid;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// How many records the journal holds.
    pub records: u64,
    /// How many events they tell of.
    pub events: u64,
    /// What does not hold, each in a sentence.
    pub problems: Vec<String>,
}

/// What the journal holds of a tenant.
#[derive(Default)]
struct Journalled {
    /// The number of its newest record.
    number: u64,
    /// How many bytes its records take.
    bytes: u64,
    /// They, by kind and id, as bytes.
    contents: BTreeMap<(u8, Uuid), Vec<u8>>,
}

/// Checks that both chains of the journal verify, that every change has its event, that every record can be read,
/// and that the index of a cleanly stopped server holds exactly what the journal says, and counts its bytes.
///
/// # Errors
/// When the directory cannot be opened at all, or the journal is damaged.
pub fn check(directory: &Path) -> Result<Checked, OpenError> {
    check_on(directory, &file_disk(), &boot_id())
}

/// The same, of a store whose journal lies on a disk of its own; `boot` is the machine's.
///
/// # Errors
/// As [`check`].
pub fn check_on(directory: &Path, journal: &OpenDisk, boot: &str) -> Result<Checked, OpenError> {
    let _lock = Lock::take(directory)?;
    let keys = Keys::open(&directory.join("keys"))?;
    let disk = journal(&directory.join("journal"))?;
    let mut checked = Checked::default();
    let mut tenants: BTreeMap<TenantId, Journalled> = BTreeMap::new();
    FileJournal::open(disk, Settings::new([0; 16]), None, &mut |replayed| {
        match replayed {
            Replayed::Kept(kept) => checked.kept(&keys, &kept, &mut tenants),
            Replayed::Base(known) => {
                for (tenant, head) in known.heads {
                    tenants.entry(tenant).or_default().number = head.number;
                }
            }
            Replayed::Record { record, .. } => checked.record(&keys, &record, &mut tenants),
            Replayed::Group(_) => {}
        }
        Ok(())
    })?;
    let index = Index::open(&directory.join("index"), boot)?;
    if index.checkpoint.is_none() && checked.records > 0 {
        checked.problems.push("the index has no checkpoint after a clean stop".to_owned());
    }
    // Without its key a tenant was erased: its chain verifies, and there is nothing to compare.
    let counted = index.index.bytes()?;
    for (tenant, journalled) in tenants.iter().filter(|(tenant, _)| keys.key(**tenant).is_some()) {
        checked.tenant(&index.index, &keys, *tenant, journalled);
        let (counted, bytes) = (counted.get(tenant).copied().unwrap_or(0), journalled.bytes);
        if counted != bytes {
            checked
                .problems
                .push(format!("tenant {tenant}: the index counts {counted} bytes, the journal has {bytes}"));
        }
    }
    index.index.close()?;
    Ok(checked)
}

impl Checked {
    fn kept(&mut self, keys: &Keys, kept: &Kept, tenants: &mut BTreeMap<TenantId, Journalled>) {
        match behind::opened(keys, kept) {
            Ok(Some(bytes)) => {
                let journalled = tenants.entry(kept.tenant).or_default();
                journalled.bytes += kept.sealed.len() as u64;
                journalled.contents.insert((kept.kind, kept.id), bytes);
            }
            Ok(None) => {}
            Err(error) => self.problems.push(format!("the base, tenant {}: {error}", kept.tenant)),
        }
    }

    fn record(&mut self, keys: &Keys, record: &Record, tenants: &mut BTreeMap<TenantId, Journalled>) {
        self.records += 1;
        let Journalled { number, bytes, contents } = tenants.entry(record.tenant).or_default();
        *number = record.number;
        *bytes += record_bytes(record.payload.len());
        let commit = match decode_record(keys, record) {
            Ok(Some(commit)) => commit,
            Ok(None) => return,
            Err(error) => return self.problems.push(error.to_string()),
        };
        self.events += commit.events.len() as u64;
        if commit.events.is_empty() {
            self.problems.push(format!("record {} of tenant {} has no event", record.number, record.tenant));
        }
        for write in commit.writes {
            match write.bytes {
                None => {
                    contents.remove(&(write.kind, write.id));
                }
                Some(bytes) => {
                    if let Err(error) = codec::record(write.kind, &bytes) {
                        self.problems.push(format!("record {} of tenant {}: {error}", record.number, record.tenant));
                    }
                    contents.insert((write.kind, write.id), bytes.into_vec());
                }
            }
        }
    }

    fn tenant(&mut self, index: &Index, keys: &Keys, tenant: TenantId, journalled: &Journalled) {
        let loaded = match behind::load(index, keys, tenant, journalled.number) {
            Ok(version) => version.state,
            Err(error) => return self.problems.push(format!("tenant {tenant} cannot be loaded: {error}")),
        };
        let mut replayed = State::empty(tenant);
        for ((kind, _), bytes) in &journalled.contents {
            match codec::record(*kind, bytes) {
                Ok(record) => replayed.restore(Write::Put(record)),
                Err(error) => self.problems.push(format!("tenant {tenant}: {error}")),
            }
        }
        let shown = |state: &State| {
            let records = state.records().map(|record| ((record.kind(), record.uuid()), format!("{record:?}")));
            records.collect::<BTreeMap<_, _>>()
        };
        let (indexed, journalled) = (shown(&loaded), shown(&replayed));
        for (at, record) in &journalled {
            if indexed.get(at) != Some(record) {
                self.problems.push(format!("tenant {tenant}: the index differs from the journal at {at:?}"));
            }
        }
        let extra = indexed.keys().filter(|at| !journalled.contains_key(at));
        self.problems.extend(extra.map(|at| format!("tenant {tenant}: the index holds {at:?}, the journal does not")));
    }
}
