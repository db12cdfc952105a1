//! Restores a backup: verifies it, puts a data directory together beside where it goes, and moves it into place last.
//! Never writes into a directory that holds anything, and never continues the log under its old epoch.

use super::{BackupError, JOURNAL, Manifest, keyring, read_through};
use crate::{
    domain::{id::TenantId, time::Timestamp},
    store::{
        disk::{Disk, FileDisk, create_directory, sync_directory_of},
        journal::{Checkpoint, FileJournal, JournalReader, Place, Replayed, Settings, verify},
        keys::Keys,
        lock::{RESTORING, write_format},
        machine::Machine,
    },
};
use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// A restore that is under way: dropped before it is finished, it leaves nothing.
#[derive(Debug)]
pub struct Restore {
    data: PathBuf,
    staging: PathBuf,
    manifest: Manifest,
    erased_since: Vec<TenantId>,
    is_finished: bool,
}

impl Restore {
    /// Verifies a backup and its keys, and puts them together as a data directory under a new log epoch. A tenant that
    /// the keys say was erased, however old the backup is, does not come back.
    ///
    /// # Errors
    /// [`BackupError`]; nothing is left behind then.
    pub fn begin(data: &Path, backup: &Path, keys: &Path, machine: &Machine) -> Result<Self, BackupError> {
        must_be_empty(data)?;
        let manifest = Manifest::read(backup)?;
        let erased_since = verified(&manifest, backup, keys, machine)?;
        let mut epoch = [0; 16];
        getrandom::fill(&mut epoch).map_err(|_| BackupError::Randomness)?;

        create_directory(data).map_err(BackupError::file(data))?;
        let staging = data.join(RESTORING);
        // Made only by whoever comes first.
        DirBuilder::new().mode(0o700).create(&staging).map_err(BackupError::file(&staging))?;
        let restore = Self { data: data.to_path_buf(), staging, manifest, erased_since, is_finished: false };
        restore.copy(backup, machine)?;
        keyring::copy_for(keys, &restore.staging.join("keys"), &restore.tenants())?;
        restore.begin_epoch(epoch, machine)?;
        write_format(&restore.staging).map_err(BackupError::file(&restore.staging))?;
        Ok(restore)
    }

    /// The data directory as it will be, for what is done in it before it is in place.
    pub fn directory(&self) -> &Path {
        &self.staging
    }

    /// What is restored.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// When the backup was taken.
    pub fn taken_at(&self) -> Timestamp {
        Timestamp::parse(&self.manifest.taken_at).unwrap_or(Timestamp::from_milliseconds(0))
    }

    /// The tenants of the backup that had not been erased, neither when it was taken nor since.
    pub fn tenants(&self) -> Vec<TenantId> {
        let held = self.manifest.tenants.iter().filter(|held| held.key).map(|held| held.id);
        held.filter(|tenant| !self.erased_since.contains(tenant)).collect()
    }

    /// The tenants of the backup that were erased after it was taken, as the keys say.
    pub fn erased_since(&self) -> &[TenantId] {
        &self.erased_since
    }

    /// Moves the directory into place: what makes it a data directory comes last.
    ///
    /// # Errors
    /// `File`.
    pub fn finish(mut self) -> Result<(), BackupError> {
        for name in [JOURNAL, "keys", "index", "format"] {
            let (from, to) = (self.staging.join(name), self.data.join(name));
            std::fs::rename(&from, &to).and_then(|()| sync_directory_of(&to)).map_err(BackupError::file(&to))?;
        }
        self.is_finished = true;
        std::fs::remove_dir_all(&self.staging)
            .and_then(|()| sync_directory_of(&self.staging))
            .map_err(BackupError::file(&self.staging))
    }

    /// Copies the part of each segment that counts.
    fn copy(&self, backup: &Path, machine: &Machine) -> Result<(), BackupError> {
        let from = backup.join(JOURNAL);
        let source = FileDisk::read_only(&from).map_err(BackupError::file(&from))?;
        let to = self.staging.join(JOURNAL);
        create_directory(&to).map_err(BackupError::file(&to))?;
        let mut reached = 0_u64;
        for part in &self.manifest.segments {
            let path = to.join(&part.name);
            let refused = || BackupError::file(&path);
            let file = source.open(&part.name).map_err(BackupError::file(&from.join(&part.name)))?;
            let mut options = OpenOptions::new();
            let mut copy = options.write(true).create_new(true).mode(0o600).open(&path).map_err(refused())?;
            read_through(&*file, part.bytes, &mut |piece| copy.write_all(piece)).map_err(refused())?;
            copy.sync_all().map_err(refused())?;
            reached = reached.saturating_add(part.bytes);
            machine.progress.reached(reached, self.manifest.bytes());
        }
        File::open(&to).and_then(|directory| directory.sync_all()).map_err(BackupError::file(&to))
    }

    /// Reads what was copied once more, as a server does that starts, and begins the new epoch behind it.
    fn begin_epoch(&self, epoch: [u8; 16], machine: &Machine) -> Result<(), BackupError> {
        let journal = self.staging.join(JOURNAL);
        let disk = (machine.journal)(&journal).map_err(BackupError::file(&journal))?;
        let opened = FileJournal::open(disk, Settings::new(epoch), None, &mut |_| Ok(()));
        let (mut opened, _) = opened.map_err(BackupError::journal(&journal))?;
        Ok(opened.begin_epoch(epoch, machine.clock.now())?)
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        if !self.is_finished {
            // What stays keeps a server from starting here, and says why.
            std::fs::remove_dir_all(&self.staging).ok();
        }
    }
}

fn must_be_empty(data: &Path) -> Result<(), BackupError> {
    let entries = match std::fs::read_dir(data) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(BackupError::file(data))?,
    };
    for entry in entries {
        if entry.map_err(BackupError::file(data))?.file_name() != "lost+found" {
            return Err(BackupError::NotEmpty(data.to_path_buf()));
        }
    }
    Ok(())
}

/// Checks every hash of a backup up to its position, and that each key that belongs to it is there and the right one,
/// but for those that were destroyed since; answers whose.
fn verified(
    manifest: &Manifest,
    backup: &Path,
    directory: &Path,
    machine: &Machine,
) -> Result<Vec<TenantId>, BackupError> {
    let journal = backup.join(JOURNAL);
    let disk = Arc::new(FileDisk::read_only(&journal).map_err(BackupError::file(&journal))?);
    let mut samples = keyring::Samples::default();
    let (all, mut read) = (manifest.bytes(), 0_u64);
    let end = Place { segment: 0, offset: 0 };
    let until = Checkpoint { group: manifest.group, hash: manifest.hash, begin: 0, end };
    let sound = verify(&*disk, until, &mut |replayed| {
        if let Replayed::Group(group) = &replayed {
            read = read.saturating_add(group.bytes());
            machine.progress.reached(read.min(all), all);
        }
        samples.take(replayed);
        Ok(())
    });
    sound.map_err(BackupError::journal(&journal))?;
    let keys = Keys::look(directory)?;
    let reader = JournalReader::new(Arc::clone(&disk) as Arc<dyn Disk>);
    let opened = keyring::tried((&keys, directory), (&reader, &journal), &samples)?;
    let without = manifest.tenants.iter().filter(|held| held.key && !opened.contains(&held.id)).map(|held| held.id);
    let (erased, missing): (Vec<_>, Vec<_>) = without.partition(|tenant| keys.is_erased(*tenant));
    match missing.first() {
        Some(tenant) => Err(BackupError::KeyMissing { directory: directory.to_path_buf(), tenant: *tenant }),
        None => Ok(erased),
    }
}
