//! Brings a tenant's history into a journal: verified wholly before the first byte is written, and taken up again
//! where it ended when it is interrupted.
//! Never mixes two histories of one tenant, and never makes it reachable: the platform's directory does, afterwards.

use super::{Header, TransferError, follow, read};
use crate::{
    domain::{id::TenantId, state::State, text::Slug},
    limits::{GROUP_COMMANDS_MAX, IMPORT_GROUP_BYTES_MAX},
    store::{
        journal::{Entry, FileJournal, Hash, Head, Journal, Record, Replayed, Settings},
        keys::{Keys, KeysError, TenantKey, read_key_file},
        lock::Lock,
        machine::Machine,
        open::decode_with,
    },
};
use std::{
    fs::File,
    path::{Path, PathBuf},
};

/// A verified export.
pub struct Import {
    path: PathBuf,
    header: Header,
    key: TenantKey,
    slug: Slug,
}

/// What a journal already has of the tenant.
#[derive(Clone, Copy)]
struct Held {
    /// How many of the export's records.
    number: u64,
    /// The hash of the last of these.
    hash: Hash,
}

impl Import {
    /// Reads an export, checks every hash, and decrypts every record.
    ///
    /// # Errors
    /// [`TransferError`]; damage is named with its file and offset.
    pub fn open(path: &Path, key: &Path) -> Result<Self, TransferError> {
        let tenant_key = read_key_file(key)?;
        let wrong = || TransferError::KeyWrong { path: path.to_path_buf(), key: key.to_path_buf() };
        let mut state: Option<State> = None;
        let file = File::open(path).map_err(TransferError::file(path))?;
        let header = read(path, &file, &mut |record| {
            let state = state.get_or_insert_with(|| State::empty(record.tenant));
            let commit = decode_with(&tenant_key, &record).map_err(|_| wrong())?;
            follow(state, &commit).map_err(|_| wrong())
        })?;
        let founded = state.as_ref().and_then(|state| state.tenant()).filter(|tenant| tenant.id == header.tenant);
        let slug = founded.ok_or_else(|| TransferError::NoTenant(path.to_path_buf()))?.slug.clone();
        Ok(Self { path: path.to_path_buf(), header, key: tenant_key, slug })
    }

    /// Whose history it is.
    pub const fn tenant(&self) -> TenantId {
        self.header.tenant
    }

    /// How the tenant was called where it comes from.
    pub const fn slug(&self) -> &Slug {
        &self.slug
    }

    /// How many records it has.
    pub const fn records(&self) -> u64 {
        self.header.records
    }

    /// Puts the key in place and appends the records to a journal, in bounded groups. Those that an interrupted
    /// import of the same history has appended are not appended again.
    ///
    /// # Errors
    /// [`TransferError`]; nothing is reachable then, and importing again goes on.
    pub fn append(&self, data: &Path, machine: &Machine) -> Result<(), TransferError> {
        let tenant = self.header.tenant;
        let _lock = Lock::take(data)?;
        let keys = Keys::open(&data.join("keys"))?;
        let path = data.join("journal");
        let disk = (machine.journal)(&path).map_err(TransferError::file(&path))?;
        let mut held = Held { number: 0, hash: Hash::ZERO };
        let records = self.header.records;
        let mut epoch = [0; 16];
        getrandom::fill(&mut epoch).map_err(KeysError::Randomness)?;
        let (mut journal, _) = FileJournal::open(disk, Settings::new(epoch), None, &mut |replayed| {
            let reached = match replayed {
                Replayed::Record { record: Record { tenant: whose, number, hash, .. }, .. } if whose == tenant => {
                    Some(Held { number, hash })
                }
                Replayed::Base(known) => known.heads.get(&tenant).map(|&Head { number, hash }| Held { number, hash }),
                Replayed::Record { .. } | Replayed::Kept(_) | Replayed::Group(_) => None,
            };
            if let Some(reached) = reached.filter(|reached| reached.number <= records) {
                held = reached;
            }
            Ok(())
        })?;
        if keys.is_erased(tenant) || (held.number > 0 && keys.key(tenant).is_none()) {
            return Err(TransferError::ErasedHere(tenant));
        }
        if !self.continues(held)? {
            return Err(TransferError::Diverged(tenant));
        }
        // Before its first record: records without a key are an erased tenant's.
        if !keys.adopt(tenant, &self.key)? {
            return Err(TransferError::Diverged(tenant));
        }
        self.write(&mut journal, held, machine)
    }

    /// Whether what the journal has of the tenant is a beginning of this export.
    fn continues(&self, held: Held) -> Result<bool, TransferError> {
        let mut found = held.number == 0;
        self.each(&mut |record| {
            found |= (record.number, record.hash) == (held.number, held.hash);
            Ok(())
        })?;
        Ok(found)
    }

    fn write(&self, journal: &mut FileJournal, held: Held, machine: &Machine) -> Result<(), TransferError> {
        let (mut group, mut bytes) = (vec![], 0_usize);
        let mut append = |group: &mut Vec<Entry>| -> Result<(), TransferError> {
            let entries = std::mem::take(group);
            let last = entries.last().map(|entry| entry.number);
            pollster::block_on(journal.append(entries, machine.clock.now()))?;
            machine.progress.reached(last.unwrap_or(0), self.header.records);
            Ok(())
        };
        self.each(&mut |Record { tenant, number, at, payload, .. }| {
            if number <= held.number {
                return Ok(());
            }
            bytes = bytes.saturating_add(payload.len());
            group.push(Entry { tenant, number, at, payload });
            if group.len() >= GROUP_COMMANDS_MAX || bytes >= IMPORT_GROUP_BYTES_MAX {
                bytes = 0;
                append(&mut group)?;
            }
            Ok(())
        })?;
        // The last group also seals what stands before it.
        append(&mut group)?;
        let head = Head { number: self.header.records, hash: self.header.head };
        let reached = journal.heads().get(&self.header.tenant).copied().unwrap_or(Head::NONE);
        // A history that went on here after an import that was not finished is longer.
        if reached.number < head.number || (reached.number == head.number && reached.hash != head.hash) {
            return Err(TransferError::Diverged(self.header.tenant));
        }
        Ok(())
    }

    /// Reads the export once more; it must still be the one that was verified.
    fn each(&self, seen: &mut dyn FnMut(Record) -> Result<(), TransferError>) -> Result<(), TransferError> {
        let file = File::open(&self.path).map_err(TransferError::file(&self.path))?;
        let header = read(&self.path, &file, seen)?;
        if header == self.header {
            return Ok(());
        }
        let what = "the file changed while it was imported".to_owned();
        Err(TransferError::Damaged { path: self.path.clone(), offset: 0, what })
    }
}
