//! The keys of a backup: copied file by file, and tried on the records that they are to open.
//! Never writes into a directory that holds the keys of another server.

use super::BackupError;
use crate::domain::id::TenantId;
use crate::store::behind::opened;
use crate::store::disk::{create_directory, put_file, sync_directory_of};
use crate::store::journal::{JournalReader, Kept, Place, Replayed};
use crate::store::keys::{Keys, erased_in, is_secret_file, tenant_of};
use crate::store::open::decode_record;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use zeroize::Zeroizing;

/// The names of the key files in a directory, and whether there is anything else.
fn keys_in(directory: &Path) -> Result<(BTreeSet<String>, bool), BackupError> {
    let refused = |source| BackupError::File { path: directory.to_path_buf(), source };
    let (mut names, mut others) = (BTreeSet::new(), false);
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((names, false)),
        entries => entries.map_err(refused)?,
    };
    for entry in entries {
        match entry.map_err(refused)?.file_name().into_string() {
            Ok(name) if tenant_of(&name).is_some() || erased_in(&name).is_some() || is_secret_file(&name) => {
                names.insert(name);
            }
            Ok(name) if name == "lost+found" || name.ends_with(".temp") => {}
            Ok(_) | Err(_) => others = true,
        }
    }
    Ok((names, others))
}

/// The tenants among these files that were erased.
fn erased_among(names: &BTreeSet<String>) -> BTreeSet<TenantId> {
    names.iter().filter_map(|name| erased_in(name)).collect()
}

/// Makes a directory hold the keys of a server, which may be running: new ones are added, and the key of a tenant
/// that has been erased since is removed, or the erasure would not last. Its mark comes there, and stays.
pub(super) fn mirror(from: &Path, to: &Path) -> Result<(), BackupError> {
    let (mut ours, _) = keys_in(from)?;
    let erased = erased_among(&ours);
    // A server that is just erasing a tenant may have its key still.
    ours.retain(|name| !tenant_of(name).is_some_and(|tenant| erased.contains(&tenant)));
    let (known, others) = keys_in(to)?;
    // A secret that both have tells one server from another.
    let (mut same, mut different) = (0, 0);
    for name in known.intersection(&ours).filter(|name| is_secret_file(name)) {
        let counted = if read(&from.join(name))? == read(&to.join(name))? { &mut same } else { &mut different };
        *counted += 1;
    }
    if others || different > 0 || (same == 0 && !known.is_empty()) {
        return Err(BackupError::OtherKeys(to.to_path_buf()));
    }
    let served = |tenant: &&TenantId| ours.iter().any(|name| tenant_of(name) == Some(**tenant));
    if let Some(tenant) = erased_among(&known).iter().find(served) {
        return Err(BackupError::ErasedThere { directory: to.to_path_buf(), tenant: *tenant });
    }
    // The marks come first by their names' order: a run that ends in between has brought the erasure, if not all keys.
    copy(from, to, &ours)?;
    for gone in known.difference(&ours).filter(|name| erased_in(name).is_none()) {
        let path = to.join(gone);
        std::fs::remove_file(&path).and_then(|()| sync_directory_of(&path)).map_err(BackupError::file(&path))?;
    }
    Ok(())
}

/// Copies the server's secrets, the keys of these tenants, and the marks of those that were erased.
pub(super) fn copy_for(from: &Path, to: &Path, tenants: &[TenantId]) -> Result<(), BackupError> {
    let (found, _) = keys_in(from)?;
    let wanted = |name: &String| tenant_of(name).is_none_or(|tenant| tenants.contains(&tenant));
    copy(from, to, &found.into_iter().filter(wanted).collect())
}

fn copy(from: &Path, to: &Path, names: &BTreeSet<String>) -> Result<(), BackupError> {
    create_directory(to).map_err(BackupError::file(to))?;
    for name in names {
        let (source, target) = (from.join(name), to.join(name));
        let key = read(&source)?;
        if !std::fs::read(&target).is_ok_and(|held| Zeroizing::new(held) == key) {
            put_file(&target, &[&key]).map_err(BackupError::file(&target))?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, BackupError> {
    std::fs::read(path).map(Zeroizing::new).map_err(BackupError::file(path))
}

/// One thing to try each tenant's key on: its first record, or else one that the base holds.
#[derive(Default)]
pub(super) struct Samples {
    records: BTreeMap<TenantId, Place>,
    kept: BTreeMap<TenantId, Kept>,
}

impl Samples {
    /// Takes what is the first of its tenant.
    pub(super) fn take(&mut self, replayed: Replayed) {
        match replayed {
            Replayed::Record { place, record } => {
                self.records.entry(record.tenant).or_insert(place);
            }
            Replayed::Kept(kept) => {
                self.kept.entry(kept.tenant).or_insert(kept);
            }
            Replayed::Base(_) | Replayed::Group(_) => {}
        }
    }
}

/// Tries every key on what its tenant has; answers the tenants that have one.
pub(super) fn tried(
    (keys, directory): (&Keys, &Path),
    (reader, journal): (&JournalReader, &Path),
    samples: &Samples,
) -> Result<BTreeSet<TenantId>, BackupError> {
    let mut tenants = BTreeSet::new();
    let wrong = |tenant| BackupError::KeyWrong { directory: directory.to_path_buf(), tenant };
    for (tenant, kept) in &samples.kept {
        if opened(keys, kept).map_err(|_| wrong(*tenant))?.is_some() {
            tenants.insert(*tenant);
        }
    }
    for (tenant, place) in &samples.records {
        let unread = |source| BackupError::Record { directory: journal.to_path_buf(), source };
        let record = reader.record(*place).map_err(unread)?;
        if decode_record(keys, &record).map_err(|_| wrong(*tenant))?.is_some() {
            tenants.insert(*tenant);
        }
    }
    Ok(tenants)
}
