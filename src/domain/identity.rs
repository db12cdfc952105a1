//! People, groups, nodes and their credentials as records.
//! Never holds a secret that could be used: passwords and keys are there as hashes only.

mod group;
mod key;
mod membership;
mod rules;

pub use group::{GroupChange, NewGroup};
pub use key::{KeyRotation, NewApiKey, NewSourceNode};
pub use rules::{NewUser, UserChange, parse_email};

use super::{
    access::{Basis, Denied, Principal, Resource, View},
    action::Need,
    id::{ApiKeyId, GroupId, PasswordLinkId, ReceiptId, SessionId, SourceNodeId, UserId},
    text::{Name, Slug},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use subtle::ConstantTimeEq;

/// A person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    /// The person's id.
    pub id: UserId,
    /// Counts changes, from 1.
    pub revision: u64,
    /// What people call her.
    pub name: Name,
    /// Her address, in lower case; one user of the tenant has it.
    pub email: String,
    /// Argon2id in PHC form; none until she set a password.
    pub password_hash: Option<String>,
    /// What she may do beyond her roles.
    pub standing: Standing,
    /// Whether she may sign in and act.
    pub active: bool,
    /// When she was entered.
    pub created_at: Timestamp,
    /// When she was deleted: her name stays, for what she did stays.
    #[serde(default)]
    pub deleted_at: Option<Timestamp>,
}

impl User {
    /// Whether she may act as somebody else: an administrator, as nobody who stands above him.
    pub fn may_impersonate(&self, user: &Self) -> bool {
        self.standing == Standing::Administrator && user.standing <= self.standing && user.id != self.id
    }
}

/// What somebody may do beyond roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Acts through roles.
    Member,
    /// All items, templates, roles and settings of the tenant.
    GovernanceManager,
    /// The same, and its people.
    Administrator,
    /// Creates and suspends tenants, and sees no tenant's content. Only in the platform's own tenant.
    PlatformOperator,
}

/// A set of users.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Group {
    /// The group's id.
    pub id: GroupId,
    /// Counts changes, from 1.
    pub revision: u64,
    /// What people call it; one group of the tenant has this name.
    pub name: Name,
    /// Its members, those of its groups apart.
    pub members: BTreeSet<UserId>,
    /// Groups whose members are members too.
    #[serde(default)]
    pub groups: BTreeSet<GroupId>,
}

/// A system that reports source objects.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SourceNode {
    /// The node's id.
    pub id: SourceNodeId,
    /// Its short name; one node of the tenant has it.
    pub slug: Slug,
    /// What people call it.
    pub name: Name,
    /// When it was entered.
    pub created_at: Timestamp,
}

/// A credential of a machine, or of a user's script.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApiKey {
    /// The key's id, also the first half of what the machine presents.
    pub id: ApiKeyId,
    /// What people call it.
    pub name: Name,
    /// SHA-256 of the secret half.
    #[serde(with = "serde_bytes")]
    pub secret_hash: [u8; 32],
    /// As whom it acts.
    pub owner: KeyOwner,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// The secret before this one, where it is still good.
    #[serde(default)]
    pub previous: Option<OldSecret>,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Who made it.
    pub created_by: Option<UserId>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl ApiKey {
    /// Whether it has not ended by itself at this moment.
    pub fn lasts(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| end > now)
    }

    /// Whether a secret with this hash is good at this moment.
    pub fn accepts(&self, presented: &[u8; 32], now: Timestamp) -> bool {
        let old = self.previous.as_ref();
        same_secret(&self.secret_hash, presented)
            || old.is_some_and(|old| same_secret(&old.secret_hash, presented) && now < old.until)
    }

    /// The next moment at which the key, or one of its secrets, ends by itself.
    pub fn ends(&self, now: Timestamp) -> Option<Timestamp> {
        let old = self.previous.as_ref().map(|old| old.until).filter(|until| *until > now);
        old.into_iter().chain(self.expires_at).min()
    }
}

/// The secret of a key before it was rotated.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OldSecret {
    /// SHA-256 of it.
    #[serde(with = "serde_bytes")]
    pub secret_hash: [u8; 32],
    /// Until when it is good.
    pub until: Timestamp,
}

/// As whom a key acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyOwner {
    /// A source node.
    Node(SourceNodeId),
    /// A user: with the scope `UserRights` it has her rights, but never reviews.
    User(UserId),
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Report the node's source objects.
    Sync,
    /// Read the governance status of the node's source objects.
    ReadStatus,
    /// Ask whether something may be deployed.
    CheckDeployment,
    /// Publish, create and operate deployments.
    Deploy,
    /// Do what its user may do, reviews and confirmations apart.
    UserRights,
}

/// A sign-in that can be refreshed; the record is there until it ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    /// The session's id, also the first half of the refresh token.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// The administrator who acts in it as that user.
    #[serde(default)]
    pub impersonator: Option<UserId>,
    /// SHA-256 of what all its refresh tokens have in common: it tells a used one from an invented one.
    #[serde(with = "serde_bytes")]
    pub family_hash: [u8; 32],
    /// SHA-256 of the secret of the one refresh token that is good now.
    #[serde(with = "serde_bytes")]
    pub secret_hash: [u8; 32],
    /// The refresh token that was used last.
    #[serde(default)]
    pub spent: Option<SpentToken>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was refreshed last.
    #[serde(default)]
    pub refreshed_at: Option<Timestamp>,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

impl Session {
    /// As whom its bearer acts.
    pub const fn principal(&self) -> Principal {
        match self.impersonator {
            None => Principal::User(self.user),
            Some(by) => Principal::Impersonated { user: self.user, by },
        }
    }
}

/// A refresh token that was used.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SpentToken {
    /// SHA-256 of its secret.
    #[serde(with = "serde_bytes")]
    pub secret_hash: [u8; 32],
    /// When it was used.
    pub at: Timestamp,
}

/// Why a session ended that its user did not end. A session that ended is no record any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEnd {
    /// A refresh token came a second time: somebody has a copy of it.
    RefreshTokenReused,
    /// It lasted as long as a session may.
    Expired,
    /// The user set a password.
    PasswordSet,
    /// The user was disabled.
    Disabled,
    /// The user was deleted.
    Deleted,
    /// The user began more sessions than a user may have.
    Displaced,
    /// It came with a backup or an export.
    Brought,
    /// The user, from another session, or an administrator ended it.
    Ended,
}

/// A one-time link with which a person sets a password; the record is there until it is used or ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PasswordLink {
    /// The link's id, also the first half of its token.
    pub id: PasswordLinkId,
    /// Whose password it sets.
    pub user: UserId,
    /// SHA-256 of the secret half of the token.
    #[serde(with = "serde_bytes")]
    pub secret_hash: [u8; 32],
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// The memory of a command that carried an idempotency key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Receipt {
    /// Made from the principal and the key, so that one look-up finds it.
    pub id: ReceiptId,
    /// Whose command it was.
    pub principal: Principal,
    /// SHA-256 of the command's input.
    #[serde(with = "serde_bytes")]
    pub input_digest: [u8; 32],
    /// The ids of the objects that were answered.
    pub outcome: Vec<uuid::Uuid>,
    /// When it was done.
    pub at: Timestamp,
}

/// Everyone who is signed in knows the names of people and groups; administrators change them.
fn named_by_all(need: Need, view: View<'_>, own: bool) -> Result<Basis, Denied> {
    let caller = view.caller()?;
    // A node's key has no business with people.
    if caller.user.is_none() && caller.system.is_none() {
        return Err(Denied::NotFound);
    }
    match need {
        Need::Read => Ok(Basis::SignedIn),
        Need::SelfOrAdminister if own => Ok(Basis::Own),
        Need::Administer | Need::SelfOrAdminister if caller.administers() => Ok(Basis::Standing),
        Need::Administer
        | Need::SelfOrAdminister
        | Need::Write
        | Need::Delete
        | Need::Create(_)
        | Need::Govern
        | Need::Member
        | Need::Sync
        | Need::Manage
        | Need::Operate
        | Need::Deploy
        | Need::AdministerInfrastructure => Err(Denied::Forbidden(need.right())),
    }
}

impl Resource for User {
    fn may(&self, need: Need, view: View<'_>) -> Result<Basis, Denied> {
        // Of whoever was deleted a name remains, and nothing to be done.
        if self.deleted_at.is_some() && need != Need::Read {
            return Err(Denied::NotFound);
        }
        named_by_all(need, view, view.caller()?.person() == Some(self.id))
    }
}

impl Resource for Group {
    fn may(&self, need: Need, view: View<'_>) -> Result<Basis, Denied> {
        named_by_all(need, view, false)
    }
}

impl Resource for SourceNode {
    fn may(&self, need: Need, view: View<'_>) -> Result<Basis, Denied> {
        named_by_all(need, view, false)
    }
}

impl Resource for Session {
    /// A session is its user's own; administrators see it too.
    fn may(&self, need: Need, view: View<'_>) -> Result<Basis, Denied> {
        let caller = view.caller()?;
        let own = caller.person() == Some(self.user);
        if own || caller.administers() { named_by_all(need, view, own) } else { Err(Denied::NotFound) }
    }
}

impl Resource for PasswordLink {
    /// Links are there for administrators only.
    fn may(&self, need: Need, view: View<'_>) -> Result<Basis, Denied> {
        if !view.caller()?.administers() {
            return Err(Denied::NotFound);
        }
        named_by_all(need, view, false)
    }
}

/// What is kept of a secret: its SHA-256. Secrets are 256 random bits, so that nothing slower is needed.
pub fn hash_of_secret(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// Whether two hashes of secrets are the same, in a time that does not depend on where they differ.
pub fn same_secret(kept: &[u8; 32], presented: &[u8; 32]) -> bool {
    kept.ct_eq(presented).into()
}

/// An address as it is stored and looked up: without surrounding space, in lower case.
pub fn normal_email(raw: &str) -> String {
    raw.trim().to_lowercase()
}

impl Resource for ApiKey {
    /// Keys are there for administrators only.
    fn may(&self, need: Need, view: View<'_>) -> Result<Basis, Denied> {
        if !view.caller()?.administers() {
            return Err(Denied::NotFound);
        }
        named_by_all(need, view, false)
    }
}
