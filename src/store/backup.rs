//! Backups: the journal up to one position and a manifest in one directory, the keys in another.
//! Never takes the lock of a running server, and never puts a key beside what it opens.

mod keyring;
mod restore;
mod take;

pub use restore::Restore;
pub use take::{Taken, Target, take};

use super::{
    disk::{DiskFile, read_up_to},
    journal::{self, Hash},
    keys::KeysError,
    lock::LockError,
};
use crate::domain::id::TenantId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    io,
    path::{Path, PathBuf},
};

// # Format, version 1
//
// A backup is a directory:
//    manifest.json    a `Manifest`; written last, so that it is true whenever it is there
//    journal/         segments under their names. A later backup into the same directory adds segments and makes the
//                     newest one longer, never shorter: of each file the first `bytes` bytes count.
// The keys are a directory of their own, with the files of `keys/` as they are: `ID.key` for each tenant that has not
// been erased, `ID.erased` for each that has, `NAME.secret` for the server's secrets.
const VERSION: u32 = 1;

const MANIFEST: &str = "manifest.json";
const JOURNAL: &str = "journal";

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The version of the backup's format.
    pub format: u32,
    /// Which version of Countersign took it.
    pub countersign: String,
    /// When it was taken, in RFC 3339.
    pub taken_at: String,
    /// The epoch of the log at its position.
    pub log_epoch: String,
    /// The last group in it.
    pub group: u64,
    /// That group's hash, which follows from everything before it.
    pub hash: Hash,
    /// How many records it holds.
    pub records: u64,
    /// The segments, in their order.
    pub segments: Vec<Part>,
    /// The tenants that have a record in it.
    pub tenants: Vec<Held>,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// Its name in `journal/`.
    pub name: String,
    /// How many of its bytes count, from the beginning.
    pub bytes: u64,
    /// The SHA-256 of these.
    pub sha256: Hash,
}

/// One tenant of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// The tenant.
    pub id: TenantId,
    /// How many records it has, which is the number of its newest one.
    pub records: u64,
    /// The hash of that record.
    pub hash: Hash,
    /// Whether its key was there; without one it had been erased.
    pub key: bool,
}

/// Why a backup was not taken, or not restored; each says what to do, or which file is damaged.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A journal is damaged: the server's, or the backup's.
    #[error("in {}: {source}", directory.display())]
    Journal {
        /// The journal's directory.
        directory: PathBuf,
        /// What is wrong.
        source: journal::OpenError,
    },
    /// A record cannot be read.
    #[error("in {}: {source}", directory.display())]
    Record {
        /// The journal's directory.
        directory: PathBuf,
        /// What is wrong.
        source: journal::ReadError,
    },
    /// A key is damaged.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The directory holds something else.
    #[error("{} is not empty and holds no backup; name an empty directory, or the one of an earlier backup", .0.display())]
    NotABackup(PathBuf),
    /// There is no manifest.
    #[error("{} holds no backup: its {MANIFEST} is missing", .0.display())]
    NoManifest(PathBuf),
    /// The manifest cannot be read.
    #[error("the manifest {} cannot be read: {source}", path.display())]
    Manifest {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A later version took the backup.
    #[error("the backup in {} has format {found}, and this version knows up to {VERSION}; use a later version", directory.display())]
    Newer {
        /// Which backup.
        directory: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The earlier backup does not continue into this log.
    #[error("{} holds a backup that this log does not continue: another server's, one from before a restore or before the log was compacted, or of records that this server has lost; name another directory", .0.display())]
    OtherLog(PathBuf),
    /// The directory for the keys holds something else.
    #[error("{} holds other files than the keys of this server; name another directory for the keys", .0.display())]
    OtherKeys(PathBuf),
    /// The keys of an earlier backup know that a tenant was erased which this server serves.
    #[error("{} says that the organisation {tenant} was erased, and this server, restored from older keys, has its key again; suspend and erase it here too, or name another directory for the keys", directory.display())]
    ErasedThere {
        /// Where the keys should go.
        directory: PathBuf,
        /// Whose key.
        tenant: TenantId,
    },
    /// The keys would lie beside what they open.
    #[error("the keys go to another place than the backup: {} and {} are one inside the other", backup.display(), keys.display())]
    Together {
        /// Where the backup goes.
        backup: PathBuf,
        /// Where the keys should go.
        keys: PathBuf,
    },
    /// A tenant's key is missing.
    #[error("{} has no key for the organisation {tenant}, which is in the backup; name the keys that were saved with it", directory.display())]
    KeyMissing {
        /// Where the keys are.
        directory: PathBuf,
        /// Whose key.
        tenant: TenantId,
    },
    /// A tenant's key is not the one that its records were encrypted with.
    #[error("the key in {} does not open the records of the organisation {tenant}; name the keys that were saved with the backup", directory.display())]
    KeyWrong {
        /// Where the keys are.
        directory: PathBuf,
        /// Whose key.
        tenant: TenantId,
    },
    /// Something is there already.
    #[error("{} is not empty; restore into a new directory", .0.display())]
    NotEmpty(PathBuf),
    /// The log of what was restored could not go on.
    #[error("the restored log cannot be continued: {0}")]
    Append(#[from] journal::AppendError),
    /// The machine gave no randomness.
    #[error("the operating system gave no randomness")]
    Randomness,
    /// The file system refused.
    #[error("{} cannot be used: {source}", path.display())]
    File {
        /// Which file or directory.
        path: PathBuf,
        /// What the file system answered.
        source: io::Error,
    },
}

impl BackupError {
    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { path, source }
    }

    fn journal(directory: &Path) -> impl FnOnce(journal::OpenError) -> Self {
        let directory = directory.to_path_buf();
        move |source| Self::Journal { directory, source }
    }
}

impl Manifest {
    /// Reads the manifest of a backup.
    ///
    /// # Errors
    /// `NoManifest`, `Manifest`, `Newer`, `File`.
    pub fn read(backup: &Path) -> Result<Self, BackupError> {
        Self::find(backup)?.ok_or_else(|| BackupError::NoManifest(backup.to_path_buf()))
    }

    /// The manifest in a directory; none where there is none.
    fn find(backup: &Path) -> Result<Option<Self>, BackupError> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let path = backup.join(MANIFEST);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(BackupError::File { path, source }),
        };
        let unread = |source| BackupError::Manifest { path: path.clone(), source };
        // The version first: a later format may have other fields.
        let Version { format } = serde_json::from_slice(&text).map_err(unread)?;
        if format != VERSION {
            return Err(BackupError::Newer { directory: backup.to_path_buf(), found: format });
        }
        serde_json::from_slice(&text).map(Some).map_err(unread)
    }

    /// How many bytes of segments it holds.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|part| part.bytes).sum()
    }
}

/// How much is read and written at once, in bytes.
const COPY_BYTES: usize = 1024 * 1024;

/// Hands the first bytes of a file on, in pieces, and answers how many there were and their digest.
fn read_through(
    file: &dyn DiskFile,
    bytes: u64,
    take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<(u64, Hash)> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; COPY_BYTES];
    let mut read = 0_u64;
    while read < bytes {
        let wanted = usize::try_from(bytes - read).unwrap_or(COPY_BYTES).min(COPY_BYTES);
        let piece = buffer.get_mut(..wanted).unwrap_or_default();
        let length = read_up_to(file, piece, read)?;
        let piece = piece.get(..length).unwrap_or_default();
        if piece.is_empty() {
            break;
        }
        digest.update(piece);
        take(piece)?;
        read += length as u64;
    }
    Ok((read, Hash::from_bytes(digest.finalize().into())))
}
