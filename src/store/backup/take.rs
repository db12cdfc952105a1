//! Takes a backup, also of a server that is running: segments are only ever added to, and what was copied counts
//! only up to its last whole group.
//! Never ends before what was written has been read again, and every hash and key tried.

use super::{BackupError, Held, JOURNAL, MANIFEST, Manifest, Part, VERSION, keyring, read_through};
use crate::{
    domain::{id::TenantId, time::Timestamp},
    store::{
        disk::{Disk, FileDisk, UNFINISHED, create_directory, put_file, sync_directory_of},
        journal::{self, JournalReader, Survey, segments, survey},
        keys::Keys,
        lock,
        machine::Progress,
    },
};
use std::{
    fs::OpenOptions,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use uuid::Uuid;

/// Where a backup goes.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// A directory that is empty or holds an earlier backup of the same log.
    pub backup: &'a Path,
    /// A directory for the keys, elsewhere; none when they are saved in another way.
    pub keys: Option<&'a Path>,
}

/// A backup that was taken and verified.
#[derive(Clone, Debug)]
pub struct Taken {
    /// What it holds.
    pub manifest: Manifest,
    /// How many bytes of segments were copied this time.
    pub bytes_copied: u64,
}

/// Takes a backup of a data directory at the last whole group that lies there now.
///
/// # Errors
/// [`BackupError`]; an earlier backup in the same directory stays good.
pub fn take(data: &Path, target: Target<'_>, now: Timestamp, progress: &dyn Progress) -> Result<Taken, BackupError> {
    lock::look(data)?;
    if let Some(keys) = target.keys {
        apart(target.backup, keys)?;
    }
    let earlier = earlier(target.backup)?;
    let own = data.join(JOURNAL);
    let copying = Copying {
        source: FileDisk::read_only(&own).map_err(BackupError::file(&own))?,
        data: own,
        backup: target.backup,
        journal: target.backup.join(JOURNAL),
        progress,
    };
    create_directory(&copying.journal).map_err(BackupError::file(&copying.journal))?;
    let names = copying.names()?;
    copying.remove_what_is_not_ours(earlier.as_ref(), &names)?;
    let bytes_copied = copying.segments(earlier.as_ref(), &names)?;
    // After the journal: whoever has a record had a key before.
    let own = data.join("keys");
    let keys = match target.keys {
        Some(keys) => keyring::mirror(&own, keys).map(|()| keys)?,
        None => &own,
    };
    let manifest = copying.verified(keys, now)?;
    let text = serde_json::to_vec_pretty(&manifest)
        .map_err(|source| BackupError::Manifest { path: target.backup.join(MANIFEST), source })?;
    put_file(&target.backup.join(MANIFEST), &[&text, b"\n"]).map_err(BackupError::file(target.backup))?;
    Ok(Taken { manifest, bytes_copied })
}

/// Refuses to put the keys beside what they open.
fn apart(backup: &Path, keys: &Path) -> Result<(), BackupError> {
    let whole = |path: &Path| -> Result<PathBuf, BackupError> {
        create_directory(path).map_err(BackupError::file(path))?;
        path.canonicalize().map_err(BackupError::file(path))
    };
    let (at, beside) = (whole(backup)?, whole(keys)?);
    if at.starts_with(&beside) || beside.starts_with(&at) {
        return Err(BackupError::Together { backup: backup.to_path_buf(), keys: keys.to_path_buf() });
    }
    Ok(())
}

/// The earlier backup in a directory that may be used for another.
fn earlier(backup: &Path) -> Result<Option<Manifest>, BackupError> {
    create_directory(backup).map_err(BackupError::file(backup))?;
    let entries = std::fs::read_dir(backup).map_err(BackupError::file(backup))?;
    let ours = [JOURNAL, MANIFEST, "manifest.json.temp", "lost+found"];
    for entry in entries {
        let name = entry.map_err(BackupError::file(backup))?.file_name();
        if !ours.iter().any(|known| name == *known) {
            return Err(BackupError::NotABackup(backup.to_path_buf()));
        }
    }
    Manifest::find(backup)
}

struct Copying<'a> {
    source: FileDisk,
    /// The server's journal.
    data: PathBuf,
    backup: &'a Path,
    journal: PathBuf,
    progress: &'a dyn Progress,
}

impl Copying<'_> {
    fn names(&self) -> Result<Vec<String>, BackupError> {
        let listed = segments(&self.source).map_err(BackupError::file(&self.journal))?;
        Ok(listed.into_iter().map(|(_, name)| name).collect())
    }

    /// What an interrupted run left goes; but an earlier backup that this log does not continue stays as it is.
    fn remove_what_is_not_ours(&self, earlier: Option<&Manifest>, names: &[String]) -> Result<(), BackupError> {
        let known = earlier.map(|earlier| earlier.segments.as_slice()).unwrap_or_default();
        if known.iter().any(|part| !names.contains(&part.name)) {
            return Err(BackupError::OtherLog(self.backup.to_path_buf()));
        }
        if let Some(earlier) = earlier {
            self.continues(earlier)?;
        }
        for entry in std::fs::read_dir(&self.journal).map_err(BackupError::file(&self.journal))? {
            let entry = entry.map_err(BackupError::file(&self.journal))?;
            let name = entry.file_name();
            if !names.iter().any(|listed| name == **listed) {
                std::fs::remove_file(entry.path()).map_err(BackupError::file(&entry.path()))?;
            }
        }
        Ok(())
    }

    /// Checks that the log goes on where the earlier backup ended: its last segment holds the hash of all before it.
    fn continues(&self, earlier: &Manifest) -> Result<(), BackupError> {
        let Some(part) = earlier.segments.last() else { return Ok(()) };
        let path = self.data.join(&part.name);
        let refused = || BackupError::file(&path);
        let source = self.source.open(&part.name).map_err(refused())?;
        let found = read_through(&*source, part.bytes, &mut |_| Ok(())).map_err(refused())?;
        if found == (part.bytes, part.sha256) { Ok(()) } else { Err(BackupError::OtherLog(self.backup.to_path_buf())) }
    }

    /// Copies the segments that the earlier backup has not got whole; answers how many bytes these were.
    fn segments(&self, earlier: Option<&Manifest>, names: &[String]) -> Result<u64, BackupError> {
        let known = earlier.map(|earlier| earlier.segments.as_slice()).unwrap_or_default();
        // The last segment of the earlier backup may have grown since; those before it never change.
        let (closed, _) = known.split_at(known.len().saturating_sub(1));
        let mut lengths = vec![];
        for name in names {
            let file = self.source.open(name).map_err(BackupError::file(&self.journal.join(name)))?;
            lengths.push((name, file.length().map_err(BackupError::file(&self.journal.join(name)))?));
        }
        let all = lengths.iter().map(|(_, length)| length).sum();
        let (mut copied, mut reached) = (0_u64, 0_u64);
        for (name, length) in lengths {
            if let Some(part) = closed.iter().find(|part| part.name == *name) {
                if part.bytes != length {
                    let what = format!("the segment has {length} bytes and had {} in the earlier backup", part.bytes);
                    let offset = part.bytes.min(length);
                    let source = journal::OpenError::Damaged { file: name.clone(), offset, what };
                    return Err(BackupError::journal(&self.data)(source));
                }
            } else {
                self.segment(name, length)?;
                copied = copied.saturating_add(length);
            }
            reached = reached.saturating_add(length);
            self.progress.reached(reached, all);
        }
        Ok(copied)
    }

    /// Copies one segment and puts it in place.
    fn segment(&self, name: &str, length: u64) -> Result<(), BackupError> {
        let path = self.journal.join(name);
        let refused = || BackupError::file(&path);
        let source = self.source.open(name).map_err(refused())?;
        let unfinished = self.journal.join(format!("{name}{UNFINISHED}"));
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished).map_err(refused())?;
        read_through(&*source, length, &mut |piece| file.write_all(piece)).map_err(refused())?;
        file.sync_all().map_err(refused())?;
        std::fs::rename(&unfinished, &path).and_then(|()| sync_directory_of(&path)).map_err(refused())
    }

    /// Reads everything that lies in the backup, cuts what is no whole group yet, and tries the keys.
    fn verified(&self, keys: &Path, now: Timestamp) -> Result<Manifest, BackupError> {
        let disk = Arc::new(FileDisk::read_only(&self.journal).map_err(BackupError::file(&self.journal))?);
        let mut samples = keyring::Samples::default();
        let surveyed = survey(&*disk, &mut |replayed| {
            samples.take(replayed);
            Ok(())
        });
        let surveyed = surveyed.map_err(BackupError::journal(&self.journal))?;
        let reader = JournalReader::new(Arc::clone(&disk) as Arc<dyn Disk>);
        let opened = keyring::tried((&Keys::look(keys)?, keys), (&reader, &self.journal), &samples)?;
        let mut parts = vec![];
        for (number, name) in segments(&*disk).map_err(BackupError::file(&self.journal))? {
            let is_newest = number == surveyed.end.segment;
            parts.push(self.part(name, is_newest.then_some(surveyed.end.offset))?);
        }
        let Survey { last, epoch, heads, records, .. } = surveyed;
        let held = |(id, head): (TenantId, crate::store::journal::Head)| Held {
            id,
            records: head.number,
            hash: head.hash,
            key: opened.contains(&id),
        };
        Ok(Manifest {
            format: VERSION,
            countersign: env!("CARGO_PKG_VERSION").to_owned(),
            taken_at: now.to_string(),
            log_epoch: Uuid::from_bytes(epoch).simple().to_string(),
            group: last.group,
            hash: last.hash,
            records,
            segments: parts,
            tenants: heads.into_iter().map(held).collect(),
        })
    }

    /// A segment as the manifest names it; cut to this length where one is given.
    fn part(&self, name: String, cut_at: Option<u64>) -> Result<Part, BackupError> {
        let path = self.journal.join(&name);
        let refused = || BackupError::file(&path);
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(refused())?;
        if let Some(bytes) = cut_at {
            file.set_len(bytes).and_then(|()| file.sync_all()).map_err(refused())?;
        }
        let length = file.metadata().map_err(refused())?.len();
        let (bytes, sha256) = read_through(&file, length, &mut |_| Ok(())).map_err(refused())?;
        Ok(Part { name, bytes, sha256 })
    }
}
