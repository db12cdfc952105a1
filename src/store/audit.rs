//! What auditors ask of the log, on a data directory that a server may be using: that it verifies, that it contains
//! what was signed before, and that an entry is in it.
//! Never takes the lock, never changes the journal, and never decrypts an entry.

mod checkpoint;
mod proof;
mod tree;

pub use checkpoint::{SignedCheckpoint, Standing};
pub use proof::Proof;

use super::{
    disk::FileDisk,
    journal::{self, Hash, Record, Replayed, Survey, length, survey},
    keys::{Keys, KeysError},
    lock::{self, LockError},
    machine::Progress,
    signing::signing_key,
};
use crate::domain::id::TenantId;
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};
pub(super) use tree::Tree;

/// Why the log was not found sound, or not asked.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// There is no data directory, or not one of this version.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The journal is damaged, or its disk failed.
    #[error(transparent)]
    Journal(#[from] journal::OpenError),
    /// The server's signing key cannot be read or made.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The file system refused.
    #[error("{} cannot be used: {source}", path.display())]
    File {
        /// Which file or directory.
        path: PathBuf,
        /// What the file system answered.
        source: io::Error,
    },
    /// A later version wrote the checkpoint or the proof.
    #[error(
        "the file has format {found}, and this version knows {known}; use the version that wrote it, or a later one"
    )]
    Newer {
        /// Its format.
        found: u32,
        /// What this version knows.
        known: u32,
    },
    /// The signature is not one of the key that the file names.
    #[error("the checkpoint's signature does not match what it says: it was changed after it was signed")]
    Signature,
    /// Another key signed than the one that is trusted.
    #[error("the checkpoint was signed with the key {named}, and {trusted} is trusted")]
    Key {
        /// Base64 of the key that the file names.
        named: String,
        /// Base64 of the key that is trusted.
        trusted: String,
    },
    /// The log is sound by itself, and another one than was signed.
    #[error("the log does not contain the checkpoint: {0}; it was rewritten, or is another one")]
    Rewritten(String),
    /// The checkpoint was signed before the history that was cut ended.
    #[error("what the checkpoint says was cut from this log by `compact`; verify it on a backup or with the archive")]
    Cut,
    /// There is no such entry up to the checkpoint.
    #[error("record {number} of tenant {tenant} is not under the checkpoint's root")]
    NotIncluded {
        /// Whose record.
        tenant: TenantId,
        /// Its number.
        number: u64,
    },
}

/// A log that was read from its beginning, every hash and both chains checked.
#[derive(Clone, Debug)]
pub struct Audited {
    /// How far it reaches.
    pub survey: Survey,
    /// How many bytes were read.
    pub bytes: u64,
    /// How many groups there are.
    pub groups: u64,
}

/// A data directory whose log is audited.
pub struct Audit {
    disk: FileDisk,
    keys: PathBuf,
}

impl Audit {
    /// Looks at a data directory without taking it.
    ///
    /// # Errors
    /// `Lock` where there is none, `File`.
    pub fn open(data: &Path) -> Result<Self, AuditError> {
        lock::look(data)?;
        let path = data.join("journal");
        let disk = FileDisk::read_only(&path).map_err(|source| AuditError::File { path, source })?;
        Ok(Self { disk, keys: data.join("keys") })
    }

    /// The public half of the key with which this data directory's checkpoints are signed; made when it is asked for
    /// the first time.
    ///
    /// # Errors
    /// `Keys`.
    pub fn public_key(&self) -> Result<[u8; 32], AuditError> {
        Ok(signing_key(&Keys::look(&self.keys)?)?.verifying_key().to_bytes())
    }

    /// Reads the whole log up to its last whole group; with a checkpoint, also checks that the log contains what the
    /// checkpoint says. Its signature is checked elsewhere.
    ///
    /// # Errors
    /// `Journal` names file and offset of the first thing that is wrong; `Rewritten`.
    pub fn verify(
        &self,
        checkpoint: Option<&SignedCheckpoint>,
        progress: &dyn Progress,
    ) -> Result<Audited, AuditError> {
        let mut trees: BTreeMap<TenantId, Tree> = BTreeMap::new();
        let mut before_the_cut = false;
        let (mut wrong, mut met) = (None, checkpoint.is_none_or(|checkpoint| checkpoint.group == 0));
        let audited = self.read(progress, &mut |replayed| match (replayed, checkpoint) {
            (Replayed::Base(base), Some(checkpoint)) => {
                trees = Tree::of_base(base);
                let cut = base.checkpoint;
                met |= cut.group == checkpoint.group;
                if cut.group == checkpoint.group && cut.hash != checkpoint.hash {
                    wrong = Some(format!("group {} has another hash", cut.group));
                }
                before_the_cut = checkpoint.group < cut.group;
                for (tenant, tree) in &trees {
                    let standing = checkpoint.of(*tenant).filter(|standing| standing.records == tree.size());
                    let head = base.heads.get(tenant).map(|head| head.hash);
                    if standing.is_some_and(|standing| Some(standing.head) != head || standing.root != tree.root()) {
                        wrong = Some(format!("record {} of tenant {tenant} has another hash", tree.size()));
                    }
                }
            }
            (Replayed::Record { record, .. }, Some(checkpoint)) => {
                if let Some(standing) = checkpoint.of(record.tenant).filter(|_| wrong.is_none()) {
                    wrong = follow(trees.entry(record.tenant).or_default(), standing, record);
                }
            }
            (Replayed::Group(group), Some(checkpoint)) if group.group == checkpoint.group => {
                met = true;
                if group.hash != checkpoint.hash && wrong.is_none() {
                    wrong = Some(format!("group {} has another hash", group.group));
                }
            }
            (Replayed::Base(_) | Replayed::Kept(_) | Replayed::Record { .. } | Replayed::Group(_), _) => {}
        })?;
        if before_the_cut {
            return Err(AuditError::Cut);
        }
        let short = checkpoint.filter(|_| !met).map(|checkpoint| {
            let last = audited.survey.last.group;
            format!("it ends with group {last}, before group {}", checkpoint.group)
        });
        match wrong.or(short) {
            Some(what) => Err(AuditError::Rewritten(what)),
            None => Ok(audited),
        }
    }

    /// Reads the whole log and signs where it stands, at this time in RFC 3339.
    ///
    /// # Errors
    /// As [`Audit::verify`]; `Keys`.
    pub fn checkpoint(&self, at: String, progress: &dyn Progress) -> Result<SignedCheckpoint, AuditError> {
        self.sign(at, progress, &mut |_| {})
    }

    /// The proof that a tenant's record is part of what a new checkpoint says.
    ///
    /// # Errors
    /// As [`Audit::checkpoint`]; `NotIncluded` when there is no such record.
    pub fn prove(
        &self,
        tenant: TenantId,
        number: u64,
        at: String,
        progress: &dyn Progress,
    ) -> Result<Proof, AuditError> {
        let (mut records, mut wanted): (Vec<Hash>, Option<Record>) = (vec![], None);
        let mut cut = Tree::default();
        let checkpoint = self.sign(at, progress, &mut |replayed| match replayed {
            Replayed::Base(base) => cut = Tree::of_base(base).remove(&tenant).unwrap_or_default(),
            Replayed::Record { record, .. } if record.tenant == tenant => {
                records.push(record.hash);
                if record.number == number {
                    wanted = Some(record.clone());
                }
            }
            Replayed::Record { .. } | Replayed::Kept(_) | Replayed::Group(_) => {}
        })?;
        let proof = wanted.and_then(|record| Proof::new(&record, (&cut, &records), checkpoint));
        proof.ok_or(AuditError::NotIncluded { tenant, number })
    }

    /// Signs where the log stands; all that is read for that goes to `seen`, too.
    fn sign(
        &self,
        at: String,
        progress: &dyn Progress,
        seen: &mut dyn FnMut(&Replayed),
    ) -> Result<SignedCheckpoint, AuditError> {
        let mut trees: BTreeMap<TenantId, Tree> = BTreeMap::new();
        let audited = self.read(progress, &mut |replayed| {
            seen(replayed);
            match replayed {
                Replayed::Base(base) => trees = Tree::of_base(base),
                Replayed::Record { record, .. } => trees.entry(record.tenant).or_default().push(record.hash),
                Replayed::Kept(_) | Replayed::Group(_) => {}
            }
        })?;
        let Survey { last, epoch, heads, .. } = audited.survey;
        let tenants = trees.into_iter().filter_map(|(tenant, tree)| {
            let head = heads.get(&tenant)?;
            Some(Standing { tenant, records: tree.size(), head: head.hash, root: tree.root() })
        });
        let key = signing_key(&Keys::look(&self.keys)?)?;
        Ok(SignedCheckpoint::sign(epoch, (last.group, last.hash), at, tenants.collect(), &key))
    }

    fn read(&self, progress: &dyn Progress, seen: &mut dyn FnMut(&Replayed)) -> Result<Audited, AuditError> {
        let all = length(&self.disk).map_err(journal::OpenError::Disk)?;
        let (mut bytes, mut groups) = (0_u64, 0_u64);
        let survey = survey(&self.disk, &mut |replayed| {
            seen(&replayed);
            if let Replayed::Group(group) = replayed {
                bytes = bytes.saturating_add(group.bytes());
                groups = groups.saturating_add(1);
                progress.reached(bytes, all.max(bytes));
            }
            Ok(())
        })?;
        progress.reached(all, all);
        Ok(Audited { survey, bytes, groups })
    }
}

/// Follows a tenant's records up to where it stood; answers what is not as it was.
fn follow(tree: &mut Tree, standing: &Standing, record: &Record) -> Option<String> {
    if tree.size() >= standing.records {
        return None;
    }
    tree.push(record.hash);
    let reached = tree.size() == standing.records;
    let differs = reached && (record.hash, tree.root()) != (standing.head, standing.root);
    differs.then(|| format!("record {} of tenant {} has another hash", record.number, record.tenant))
}
