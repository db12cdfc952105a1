//! The data directory belongs to one server at a time, and has a format that the server knows.
//! Never looks into what lies in it.

use crate::store::disk::{create_directory, put_file};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The format of the data directory that this version reads and writes.
const FORMAT: u32 = 1;
const FORMAT_FILE: &str = "format";

/// Where a restore puts a data directory together before it moves it into place.
pub(super) const RESTORING: &str = "restoring";

/// The exclusive right to a data directory; given back when dropped, and when the process is killed.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// Closing the file would not do: a child process that is just being started holds a copy of it until it has become
/// another program, and with the copy the lock.
impl Drop for Lock {
    fn drop(&mut self) {
        self.file.unlock().ok();
    }
}

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("another server uses the data directory {}; stop it first, or choose another directory", .0.display())]
    InUse(PathBuf),
    /// A later version wrote it.
    #[error("the data directory {} has format {found:?}, and this version knows up to {FORMAT}; use the version that wrote it, or a later one", directory.display())]
    Newer {
        /// Which directory.
        directory: PathBuf,
        /// What its `format` file says.
        found: String,
    },
    /// There is data, but nothing says in which format.
    #[error("the data directory {} holds other files but no format file; it is not a data directory, or not all of one", .0.display())]
    NoFormat(PathBuf),
    /// There is no data directory.
    #[error("{} is no data directory; name the one that the server uses", .0.display())]
    NoData(PathBuf),
    /// A restore was begun here and not finished.
    #[error("a restore into {} was not finished; remove everything in it and restore again", .0.display())]
    Unfinished(PathBuf),
    /// The file system refused.
    #[error("the data directory {} cannot be used: {source}", directory.display())]
    File {
        /// Which directory.
        directory: PathBuf,
        /// What the file system answered.
        source: io::Error,
    },
}

impl Lock {
    /// Takes the data directory for this process, making it (0700) where it is missing.
    ///
    /// # Errors
    /// [`LockError`]; each says what to do.
    pub fn take(directory: &Path) -> Result<Self, LockError> {
        let refused = |source| LockError::File { directory: directory.to_path_buf(), source };
        create_directory(directory).map_err(refused)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(directory.join("lock")).map_err(refused)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::InUse(directory.to_path_buf()));
            }
            Err(TryLockError::Error(source)) => return Err(refused(source)),
        }
        let lock = Self { file };
        check_format(directory)?;
        Ok(lock)
    }
}

/// The format file is the first thing that a new data directory gets, so data without it is none
/// of ours.
fn check_format(directory: &Path) -> Result<(), LockError> {
    let refused = |source| LockError::File { directory: directory.to_path_buf(), source };
    if format(directory)? {
        return Ok(());
    }
    // Asked first: a restore that was killed while it moved its files into place has left others beside it.
    if directory.join(RESTORING).try_exists().map_err(refused)? {
        return Err(LockError::Unfinished(directory.to_path_buf()));
    }
    for entry in std::fs::read_dir(directory).map_err(refused)? {
        let name = entry.map_err(refused)?.file_name();
        if name != "lock" && name != "format.temp" && name != "lost+found" {
            return Err(LockError::NoFormat(directory.to_path_buf()));
        }
    }
    write_format(directory).map_err(refused)
}

/// Checks that a directory is a data directory of a known format, and changes nothing.
///
/// # Errors
/// [`LockError`], but for `InUse`.
pub fn look(directory: &Path) -> Result<(), LockError> {
    match format(directory)? {
        true => Ok(()),
        false => Err(LockError::NoData(directory.to_path_buf())),
    }
}

/// Whether the directory has a format file, which must name a known format.
fn format(directory: &Path) -> Result<bool, LockError> {
    match std::fs::read_to_string(directory.join(FORMAT_FILE)) {
        Ok(found) if found.trim() == FORMAT.to_string() => Ok(true),
        Ok(found) => {
            Err(LockError::Newer { directory: directory.to_path_buf(), found: found.trim().chars().take(20).collect() })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(LockError::File { directory: directory.to_path_buf(), source }),
    }
}

/// Makes a directory a data directory; its last file, where others are put in place first.
pub(super) fn write_format(directory: &Path) -> io::Result<()> {
    put_file(&directory.join(FORMAT_FILE), &[format!("{FORMAT}\n").as_bytes()])
}
