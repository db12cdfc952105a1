//! Opens and closes the index, and decides whether what it holds counts.
//! Never repairs: an index that does not open, or that may have lost something, is removed and
//! begun again empty, because the journal holds everything that was in it.

use super::{Index, IndexError, guarded, row};
use crate::limits::INDEX_CACHE_BYTES;
use crate::store::disk::create_directory;
use crate::store::journal::Checkpoint;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::RwLock;
use std::time::Duration;

/// sled's own directory, inside the index's.
const SLED: &str = "sled";
/// Holds the checkpoint row as it was at a clean stop.
const CLEAN: &str = "clean";

/// An index, and how far it can be trusted.
#[derive(Debug)]
pub struct Opened {
    /// The index.
    pub index: Index,
    /// The last group that it holds wholly; without one the index is empty and must be rebuilt.
    pub checkpoint: Option<Checkpoint>,
}

impl Index {
    /// Opens the index in a directory; `boot` names the present boot of the machine. The
    /// checkpoint counts within the boot during which it was written, or after a clean stop:
    /// sled never syncs its file, so that a loss of power may take what it wrote.
    ///
    /// # Errors
    /// [`IndexError::File`] when the directory cannot be used, [`IndexError::InUse`] when another
    /// process uses it. A damaged index is no error.
    pub fn open(directory: &Path, boot: &str) -> Result<Opened, IndexError> {
        create_directory(directory)?;
        let clean = take_clean_mark(directory)?;
        if let Some(db) = open_sled(directory)? {
            // Reading the rows may panic as well when they are damaged.
            let row = guarded(|| {
                let format = db.get(row::format_key())?;
                let known = format.is_some_and(|format| format == row::FORMAT);
                Ok(if known { db.get(row::checkpoint_key())? } else { None })
            });
            let checkpoint = row.ok().flatten().and_then(|row| {
                let (checkpoint, written) = row::decode_checkpoint(&row)?;
                let counts = written == boot.as_bytes() || clean.as_deref() == Some(&row);
                counts.then_some(checkpoint)
            });
            if checkpoint.is_some() {
                let index =
                    Self { db, directory: directory.to_path_buf(), boot: boot.to_owned(), packed: RwLock::default() };
                return Ok(Opened { index, checkpoint });
            }
        }
        Ok(Opened { index: Self::open_empty(directory, boot)?, checkpoint: None })
    }

    /// Removes whatever index lies in the directory, and opens an empty one.
    ///
    /// # Errors
    /// As [`Index::open`], and [`IndexError::Failed`] when even an empty one does not open.
    pub fn open_empty(directory: &Path, boot: &str) -> Result<Self, IndexError> {
        create_directory(directory)?;
        take_clean_mark(directory)?;
        let sled = directory.join(SLED);
        let removed = if sled.is_dir() { std::fs::remove_dir_all(&sled) } else { std::fs::remove_file(&sled) };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        let db = guarded(|| {
            let db = config(directory).open()?;
            db.insert(row::format_key(), &row::FORMAT)?;
            Ok(db)
        })?;
        Ok(Self { db, directory: directory.to_path_buf(), boot: boot.to_owned(), packed: RwLock::default() })
    }

    /// Stops cleanly: what the index holds is made durable and counts after the next boot, too.
    ///
    /// # Errors
    /// [`IndexError`]; then the index counts only within this boot.
    pub fn close(self) -> Result<(), IndexError> {
        let Self { db, directory, .. } = self;
        let checkpoint = guarded(|| {
            db.flush()?;
            db.get(row::checkpoint_key())
        })?;
        drop(db);
        // sled's flush ends at `sync_file_range`, which is no promise.
        sync_files(&directory.join(SLED))?;
        let Some(checkpoint) = checkpoint else {
            return Ok(());
        };
        let unfinished = directory.join("clean.temp");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut mark = options.open(&unfinished)?;
        mark.write_all(&checkpoint)?;
        mark.sync_all()?;
        std::fs::rename(&unfinished, directory.join(CLEAN))?;
        File::open(&directory)?.sync_all()?;
        Ok(())
    }
}

/// Reads the mark of a clean stop and removes it durably, before anything is written.
fn take_clean_mark(directory: &Path) -> io::Result<Option<Vec<u8>>> {
    let path = directory.join(CLEAN);
    match std::fs::read(&path) {
        Ok(mark) => {
            std::fs::remove_file(&path)?;
            File::open(directory)?.sync_all()?;
            Ok(Some(mark))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn config(directory: &Path) -> sled::Config {
    // No flusher thread: flushing from two threads has been seen to hang.
    sled::Config::new().path(directory.join(SLED)).cache_capacity(INDEX_CACHE_BYTES).flush_every_ms(None)
}

/// Opens what is there; none when there is nothing, or nothing that sled can open.
fn open_sled(directory: &Path) -> Result<Option<sled::Db>, IndexError> {
    if !directory.join(SLED).is_dir() {
        return Ok(None);
    }
    for _ in 0..50 {
        match guarded(|| config(directory).open()) {
            Ok(db) => return Ok(Some(db)),
            // sled names this case only in its message. A handle of this process that was just
            // dropped may hold the lock for a moment longer.
            Err(IndexError::Failed(message)) if message.contains("could not acquire lock") => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(_) => return Ok(None),
        }
    }
    Err(IndexError::InUse(directory.to_path_buf()))
}

/// Syncs every file below a directory, and the directories.
fn sync_files(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_files(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(directory)?.sync_all()
}
