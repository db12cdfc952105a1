//! A signed checkpoint: where the log and every tenant's chain stood at a moment, kept elsewhere. A log that was
//! rewritten as a whole verifies by itself; it does not contain a checkpoint that was signed before.
//! Never holds anything of a tenant but its id, a count and two hashes.

use super::AuditError;
use crate::{domain::id::TenantId, store::journal::Hash};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use uuid::Uuid;

// # Format, version 1
//
// A JSON object with the fields of `SignedCheckpoint`. The signature is Ed25519 (RFC 8032) over these lines, each
// ended by a line feed:
//
//    countersign checkpoint 1
//    epoch EPOCH
//    group NUMBER HASH
//    at TIME
//    tenant ID RECORDS HEAD ROOT       one for each tenant, by id
//
// Hashes and the epoch are hexadecimal, the key and the signature base64, the time is RFC 3339. ROOT is the Merkle tree hash of
// RFC 9162, SHA-256, over the hashes of the tenant's records in their order.
const VERSION: u32 = 1;

/// Where the log stood, and whoever says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedCheckpoint {
    /// The version of the checkpoint's format.
    pub format: u32,
    /// The epoch of the log.
    pub log_epoch: String,
    /// The last group.
    pub group: u64,
    /// Its hash, which follows from everything before it.
    pub hash: Hash,
    /// When it was signed, in RFC 3339.
    pub at: String,
    /// Every tenant that has a record.
    pub tenants: Vec<Standing>,
    /// The Ed25519 key of the server that signed.
    pub public_key: String,
    /// Its signature.
    pub signature: String,
}

/// Where a tenant's chain stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Standing {
    /// The tenant.
    pub tenant: TenantId,
    /// How many records it had.
    pub records: u64,
    /// The hash of the newest one.
    pub head: Hash,
    /// The root of the Merkle tree over all of them.
    pub root: Hash,
}

impl SignedCheckpoint {
    /// Signs where the log stands.
    pub(super) fn sign(
        log_epoch: [u8; 16],
        (group, hash): (u64, Hash),
        at: String,
        tenants: Vec<Standing>,
        key: &SigningKey,
    ) -> Self {
        let public_key = BASE64.encode(key.verifying_key().to_bytes());
        let log_epoch = Uuid::from_bytes(log_epoch).simple().to_string();
        let unsigned =
            Self { format: VERSION, log_epoch, group, hash, at, tenants, public_key, signature: String::new() };
        let signature = BASE64.encode(key.sign(unsigned.text().as_bytes()).to_bytes());
        Self { signature, ..unsigned }
    }

    /// What is signed.
    fn text(&self) -> String {
        let Self { log_epoch, group, hash, at, .. } = self;
        let mut text = format!("countersign checkpoint {VERSION}\nepoch {log_epoch}\ngroup {group} {hash}\nat {at}\n");
        for Standing { tenant, records, head, root } in &self.tenants {
            // Writing to a text cannot fail.
            writeln!(text, "tenant {tenant} {records} {head} {root}").ok();
        }
        text
    }

    /// Checks the signature, and that the key is the one that is trusted.
    ///
    /// # Errors
    /// `Signature`, `Key`, `Newer`.
    pub fn check(&self, trusted: &[u8; 32]) -> Result<(), AuditError> {
        if self.format != VERSION {
            return Err(AuditError::Newer { found: self.format, known: VERSION });
        }
        if self.public_key != BASE64.encode(trusted) {
            let trusted = BASE64.encode(trusted);
            return Err(AuditError::Key { named: self.public_key.clone(), trusted });
        }
        let key = VerifyingKey::from_bytes(trusted).map_err(|_| AuditError::Signature)?;
        let signature = BASE64.decode(&self.signature).map_err(|_| AuditError::Signature)?;
        let signature = <[u8; 64]>::try_from(signature.as_slice()).map_err(|_| AuditError::Signature)?;
        key.verify_strict(self.text().as_bytes(), &Signature::from_bytes(&signature)).map_err(|_| AuditError::Signature)
    }

    /// Where a tenant stood.
    pub(super) fn of(&self, tenant: TenantId) -> Option<&Standing> {
        self.tenants.iter().find(|standing| standing.tenant == tenant)
    }
}
