//! The keys of the tenants and the server's named secrets, one file each, readable by the owner
//! only. Erasing a tenant is removing its key; a mark stays, which outlives restores.
//! Never prints a key, and never puts one into the journal, the index or an export.

use crate::domain::id::TenantId;
use crate::store::disk::{UNFINISHED, create_directory, put_file, sync_directory_of};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};
use uuid::Uuid;
use zeroize::{Zeroize, Zeroizing};

// # Format of a key file, version 1
//
//    0   1  version, 1
//    1   8  first bytes of the SHA-256 of the rest, so that a damaged key is told from wrong data
//           (every later format keeps these two)
//    9      the key: 32 bytes for a tenant, any number for a named secret
//
// Beside them lies `ID.erased` for each tenant that was erased. It is empty: its name is all that counts, and it is
// stronger than a key of the same tenant, which a crash or an older copy of the keys may have left.
const VERSION: u8 = 1;

const ERASED: &str = ".erased";
const KEY: &str = ".key";
const SECRET: &str = ".secret";

/// The key under which everything of one tenant is encrypted: 256 bits.
#[derive(Clone)]
pub struct TenantKey(Zeroizing<[u8; 32]>);

impl TenantKey {
    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TenantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TenantKey(redacted)")
    }
}

/// Why a key could not be read, made or erased.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A key file does not hold what was written to it.
    #[error("the key file {} is damaged; restore it from a backup of the keys", .0.display())]
    Damaged(PathBuf),
    /// A later version wrote the key file.
    #[error(
        "the key file {} has format {found}, and this version knows up to {VERSION}; use the version that wrote it, or a later one",
        path.display()
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: u8,
    },
    /// The tenant was erased: it gets no key again.
    #[error("the organisation {0} was erased, and does not come back")]
    Erased(TenantId),
    /// A secret's name is empty or holds something else than `a-z`, `0-9` and `-`.
    #[error("{0:?} is no name for a secret")]
    Name(String),
    /// The machine gave no randomness.
    #[error("the operating system gave no randomness: {0}")]
    Randomness(getrandom::Error),
    /// The file system refused.
    #[error("the key file {} cannot be used: {source}", path.display())]
    File {
        /// Which file or directory.
        path: PathBuf,
        /// What the file system answered.
        source: io::Error,
    },
}

/// All keys of one server.
pub struct Keys {
    directory: PathBuf,
    tenants: RwLock<BTreeMap<TenantId, TenantKey>>,
    erased: RwLock<BTreeSet<TenantId>>,
    /// Held while a file is made or removed, so that each is made once.
    changing: Mutex<()>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Keys {
    /// Opens the directory of the keys, makes it where it is missing, closes it to everyone but
    /// its owner, reads the tenants' keys, and destroys those that an interrupted erasure left.
    ///
    /// # Errors
    /// [`KeysError`]
    pub fn open(directory: &Path) -> Result<Self, KeysError> {
        let refused = |source| KeysError::File { path: directory.to_path_buf(), source };
        create_directory(directory).map_err(refused)?;
        std::fs::set_permissions(directory, Permissions::from_mode(0o700)).map_err(refused)?;
        for name in names(directory).map_err(refused)? {
            if name.ends_with(UNFINISHED) {
                std::fs::remove_file(directory.join(name)).map_err(refused)?;
            }
        }
        let keys = Self::look(directory)?;
        let erased = keys.erased.read().unwrap_or_else(PoisonError::into_inner).clone();
        erased.into_iter().try_for_each(|tenant| keys.erase(tenant))?;
        Ok(keys)
    }

    /// Reads the tenants' keys and changes nothing: another process may own the directory.
    ///
    /// # Errors
    /// [`KeysError`]
    pub fn look(directory: &Path) -> Result<Self, KeysError> {
        let refused = |source| KeysError::File { path: directory.to_path_buf(), source };
        let names = names(directory).map_err(refused)?;
        let erased: BTreeSet<TenantId> = names.iter().filter_map(|name| erased_in(name)).collect();
        let mut tenants = BTreeMap::new();
        for name in names {
            if let Some(tenant) = tenant_of(&name).filter(|tenant| !erased.contains(tenant)) {
                tenants.insert(tenant, read_key_file(&directory.join(name))?);
            }
        }
        Ok(Self {
            directory: directory.to_path_buf(),
            tenants: RwLock::new(tenants),
            erased: RwLock::new(erased),
            changing: Mutex::new(()),
        })
    }

    /// The tenant's key; none when it was never made or has been erased.
    pub fn key(&self, tenant: TenantId) -> Option<TenantKey> {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(&tenant).cloned()
    }

    /// Whether the tenant was erased, here or where these keys come from.
    pub fn is_erased(&self, tenant: TenantId) -> bool {
        self.erased.read().unwrap_or_else(PoisonError::into_inner).contains(&tenant)
    }

    fn must_not_be_erased(&self, tenant: TenantId) -> Result<(), KeysError> {
        if self.is_erased(tenant) { Err(KeysError::Erased(tenant)) } else { Ok(()) }
    }

    /// Makes the tenant's key, durably; a second call answers the same key.
    ///
    /// # Errors
    /// [`KeysError`], `Erased` too; the key does not exist then.
    pub fn create(&self, tenant: TenantId) -> Result<TenantKey, KeysError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = self.key(tenant) {
            return Ok(key);
        }
        self.must_not_be_erased(tenant)?;
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut_slice()).map_err(KeysError::Randomness)?;
        self.write(&tenant_file(tenant), key.as_slice())?;
        let key = TenantKey(key);
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        tenants.insert(tenant, key.clone());
        Ok(key)
    }

    /// Takes a key over that was made elsewhere, durably. Answers whether it is the tenant's key now: another one that
    /// is there stays.
    ///
    /// # Errors
    /// [`KeysError`], `Erased` too; then nothing was changed.
    pub fn adopt(&self, tenant: TenantId, key: &TenantKey) -> Result<bool, KeysError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.key(tenant) {
            return Ok(known.bytes() == key.bytes());
        }
        self.must_not_be_erased(tenant)?;
        self.write(&tenant_file(tenant), key.bytes())?;
        self.tenants.write().unwrap_or_else(PoisonError::into_inner).insert(tenant, key.clone());
        Ok(true)
    }

    /// Copies the tenant's key to a file, for its owner only; no file is made for a tenant without one.
    ///
    /// # Errors
    /// [`KeysError`]
    pub fn copy_out(&self, tenant: TenantId, to: &Path) -> Result<(), KeysError> {
        self.key(tenant).map_or(Ok(()), |key| write(to, key.bytes()))
    }

    /// Destroys the tenant's key, durably: nothing of the tenant can be read any more. Erasing it again does nothing.
    /// The mark is there before the key goes, so that no crash leaves neither; where both are, the key does not count.
    ///
    /// # Errors
    /// [`KeysError::File`]; then the key may still be on the disk, and erasing must be repeated.
    pub fn erase(&self, tenant: TenantId) -> Result<(), KeysError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.tenants.write().unwrap_or_else(PoisonError::into_inner).remove(&tenant);
        if !self.is_erased(tenant) {
            let mark = self.directory.join(erased_file(tenant));
            put_file(&mark, &[]).map_err(|source| KeysError::File { path: mark, source })?;
            self.erased.write().unwrap_or_else(PoisonError::into_inner).insert(tenant);
        }
        let path = self.directory.join(tenant_file(tenant));
        let erased =
            overwrite(&path).and_then(|()| std::fs::remove_file(&path)).and_then(|()| sync_directory_of(&path));
        match erased {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(KeysError::File { path, source }),
            Ok(()) => Ok(()),
        }
    }

    /// The secret with this name; made and stored when it is asked for the first time.
    ///
    /// # Errors
    /// [`KeysError`]
    pub fn secret(&self, name: &str, make: impl FnOnce() -> Vec<u8>) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        let file = secret_file(name)?;
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(secret) = read(&self.directory.join(&file))? {
            return Ok(secret);
        }
        let secret = Zeroizing::new(make());
        self.write(&file, &secret)?;
        Ok(secret)
    }

    /// Stores another secret under this name, durably, in place of the one that was there.
    ///
    /// # Errors
    /// [`KeysError`]; the old one is there then.
    pub fn replace(&self, name: &str, secret: &[u8]) -> Result<(), KeysError> {
        let file = secret_file(name)?;
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(&file, secret)
    }

    /// Puts a file in place so that it is there whole and durably, or not at all.
    fn write(&self, name: &str, secret: &[u8]) -> Result<(), KeysError> {
        write(&self.directory.join(name), secret)
    }
}

fn write(path: &Path, secret: &[u8]) -> Result<(), KeysError> {
    let written = put_file(path, &[&[VERSION], &checksum(secret), secret]);
    written.map_err(|source| KeysError::File { path: path.to_path_buf(), source })
}

/// The names of the files in a directory.
fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = std::fs::read_dir(directory)?;
    // A name that is no text is none of ours.
    Ok(entries
        .collect::<io::Result<Vec<_>>>()?
        .into_iter()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect())
}

/// A tenant's key in a file.
pub(super) fn read_key_file(path: &Path) -> Result<TenantKey, KeysError> {
    let key = read(path)?.ok_or_else(|| KeysError::Damaged(path.to_path_buf()))?;
    let key = <[u8; 32]>::try_from(key.as_slice()).map_err(|_| KeysError::Damaged(path.to_path_buf()))?;
    Ok(TenantKey(Zeroizing::new(key)))
}

fn secret_file(name: &str) -> Result<String, KeysError> {
    if !is_secret_name(name) {
        return Err(KeysError::Name(name.to_owned()));
    }
    Ok(format!("{name}{SECRET}"))
}

fn tenant_file(tenant: TenantId) -> String {
    format!("{tenant}{KEY}")
}

/// The name of the mark of a tenant that was erased.
fn erased_file(tenant: TenantId) -> String {
    format!("{tenant}{ERASED}")
}

/// Whose mark a file of this name is, if it is one.
pub(super) fn erased_in(file: &str) -> Option<TenantId> {
    identified(file, ERASED)
}

/// Whether a file of this name holds a secret of the server.
pub(super) fn is_secret_file(name: &str) -> bool {
    name.strip_suffix(SECRET).is_some_and(is_secret_name)
}

fn is_secret_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty() && name.chars().all(plain)
}

/// Whose key a file of this name holds, if it holds one.
pub(super) fn tenant_of(file: &str) -> Option<TenantId> {
    identified(file, KEY)
}

fn identified(file: &str, ending: &str) -> Option<TenantId> {
    let uuid = Uuid::try_parse(file.strip_suffix(ending)?).ok()?;
    Some(TenantId::from_uuid(uuid))
}

/// The secret in a file; none when there is no such file.
fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, KeysError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(KeysError::File { path: path.to_path_buf(), source });
        }
    };
    let parts = bytes.split_first().and_then(|(version, rest)| {
        let (sum, secret) = rest.split_first_chunk::<8>()?;
        (*sum == checksum(secret)).then_some((*version, secret))
    });
    match parts {
        Some((VERSION, secret)) => Ok(Some(Zeroizing::new(secret.to_vec()))),
        Some((found, _)) if found > VERSION => Err(KeysError::Newer { path: path.to_path_buf(), found }),
        Some(_) | None => Err(KeysError::Damaged(path.to_path_buf())),
    }
}

fn checksum(secret: &[u8]) -> [u8; 8] {
    let mut digest: [u8; 32] = Sha256::digest(secret).into();
    let first = digest.first_chunk().copied().unwrap_or_default();
    digest.zeroize();
    first
}

/// Where the disk writes in place, this removes the key from it; elsewhere it costs nothing.
fn overwrite(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    file.write_all(&vec![0; length])?;
    file.sync_all()
}
