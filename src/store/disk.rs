//! The journal's disk as a parameter: one flat directory of files, read and written by position.
//! Never buffers and never retries: what fails here failed, and the caller decides what it means.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a file that is being written has behind its name.
pub(super) const UNFINISHED: &str = ".temp";

/// One flat directory. A test replaces it to lose power, tear sectors or run out of space.
pub trait Disk: Send + Sync {
    /// The names of all files, in no particular order.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Makes an empty file, readable and writable by its owner only; fails when the name is taken.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file that exists, for reading and writing.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Removes a file; open handles to it stay readable. Durable after [`Disk::sync_directory`].
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Gives a file another name, replacing what had that name. Durable after [`Disk::sync_directory`].
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Waits until every creation, removal and renaming so far is durable.
    fn sync_directory(&self) -> io::Result<()>;
}

/// One open file. Handles may be shared between one writer and many readers.
pub trait DiskFile: Send + Sync {
    /// Reads at most `bytes.len()` bytes at this offset; 0 means that the file ends here.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all bytes at this offset; after an error any part of them may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// The file's length in bytes.
    fn length(&self) -> io::Result<u64>;

    /// Cuts the file to this length in bytes.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Waits until the bytes and the length are durable. After an error nothing is known about
    /// what was written since the last success, and a second call would not tell either.
    fn sync_data(&self) -> io::Result<()>;
}

/// Reads until `bytes` is full or the file ends; answers how many bytes were read.
///
/// # Errors
/// What the disk answers, interruptions excepted.
pub fn read_up_to(file: &dyn DiskFile, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0_usize;
    while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset.saturating_add(read as u64)) {
            Ok(0) => break,
            Ok(more) => read = read.saturating_add(more),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// A directory of the file system.
#[derive(Debug)]
pub struct FileDisk {
    path: PathBuf,
    directory: File,
    read_only: bool,
}

impl FileDisk {
    /// Opens the directory, making it (0700) and what leads to it where it is missing.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn open(path: &Path) -> io::Result<Self> {
        create_directory(path)?;
        Ok(Self { path: path.to_path_buf(), directory: File::open(path)?, read_only: false })
    }

    /// Opens a directory that is there, and whose files are only read: another process may be writing them, or they
    /// lie on a medium that cannot be written.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn read_only(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_path_buf(), directory: File::open(path)?, read_only: true })
    }
}

impl Disk for FileDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            // A name that is no text is none of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        Ok(Arc::new(options.open(self.path.join(name))?))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        Ok(Arc::new(options.read(true).write(!self.read_only).open(self.path.join(name))?))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.directory.sync_all()
    }
}

impl DiskFile for File {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }
}

/// Puts a file in place, readable by its owner only, so that it is there whole and durably, or not at all.
pub fn put_file(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut unfinished = name.to_owned();
    unfinished.push(UNFINISHED);
    let unfinished = path.with_file_name(unfinished);
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    parts.iter().try_for_each(|part| file.write_all(part))?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    sync_directory_of(path)
}

/// Waits until the creation, renaming or removal of a file is durable.
pub(super) fn sync_directory_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Makes a directory that only its owner may enter (0700), durably; one that exists stays as it is.
pub(super) fn create_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    sync_directory_of(path)
}
