//! A proof that one entry is part of what a checkpoint stands for, to be checked without the log and without a key:
//! the record as it lies in the journal, and its path in the tenant's tree.
//! Never shows what the entry says: its payload stays encrypted.

use super::{AuditError, SignedCheckpoint, Tree, tree};
use crate::{
    domain::{id::TenantId, time::Timestamp},
    store::journal::{Hash, Record, record_hash},
};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};

/// The version of the proof's format: a JSON object with the fields of `Proof`.
const VERSION: u32 = 1;

/// One record, and that it is under the root of its tenant in a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Proof {
    /// The version of the proof's format.
    pub format: u32,
    /// Whose record.
    pub tenant: TenantId,
    /// Its number in the tenant's chain, from 1.
    pub number: u64,
    /// When the command was accepted, in milliseconds since 1970.
    pub at_milliseconds: i64,
    /// The hash of the tenant's record before it.
    pub previous: Hash,
    /// Its payload, encrypted, in base64.
    pub payload: String,
    /// The hashes from its leaf to the root, nearest first.
    pub path: Vec<Hash>,
    /// The checkpoint under whose root it is.
    pub checkpoint: SignedCheckpoint,
}

impl Proof {
    /// The proof for one of a tenant's records, whose hashes up to the checkpoint are these.
    pub(super) fn new(record: &Record, (cut, records): (&Tree, &[Hash]), checkpoint: SignedCheckpoint) -> Option<Self> {
        Some(Self {
            format: VERSION,
            tenant: record.tenant,
            number: record.number,
            at_milliseconds: record.at.milliseconds(),
            previous: record.previous,
            payload: BASE64.encode(&record.payload),
            path: tree::path(cut, records, record.number.checked_sub(1)?)?,
            checkpoint,
        })
    }

    /// Checks the checkpoint's signature, and that the record is under its root. Answers when it was accepted.
    ///
    /// # Errors
    /// As [`SignedCheckpoint::check`]; `NotIncluded`.
    pub fn check(&self, trusted: &[u8; 32]) -> Result<Timestamp, AuditError> {
        if self.format != VERSION {
            return Err(AuditError::Newer { found: self.format, known: VERSION });
        }
        self.checkpoint.check(trusted)?;
        let refused = || AuditError::NotIncluded { tenant: self.tenant, number: self.number };
        let standing = self.checkpoint.of(self.tenant).ok_or_else(refused)?;
        let at = Timestamp::from_milliseconds(self.at_milliseconds);
        let payload = BASE64.decode(&self.payload).map_err(|_| refused())?;
        let record = record_hash(self.previous, self.tenant, self.number, at, &payload);
        let index = self.number.checked_sub(1).ok_or_else(refused)?;
        let reached = tree::root(record, index, standing.records, &self.path);
        if reached == Some(standing.root) { Ok(at) } else { Err(refused()) }
    }
}
