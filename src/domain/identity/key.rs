//! Entering source nodes, and making, rotating and ending API keys.
//! Never gives a key more than its maker has, and keeps the hash of a secret only.

use super::{ApiKey, KeyOwner, OldSecret, Scope, SourceNode};
use crate::{
    domain::{
        access::{Allowed, Stopped},
        action::{Asks, CreateApiKey, CreateSourceNode, RevokeApiKey, RotateApiKey},
        event::{EventKind, Subject},
        id::{ApiKeyId, Ids, SourceNodeId},
        refusal::Refusal,
        state::Change,
        tenant::Tenant,
        text::{Name, Slug},
        time::Timestamp,
    },
    limits::KEY_OVERLAP_SECONDS_MAX,
};
use std::{collections::BTreeSet, sync::Arc};

/// What a new source node is made of.
#[derive(Clone, Debug)]
pub struct NewSourceNode {
    /// Its short name.
    pub slug: Slug,
    /// What people call it.
    pub name: Name,
}

/// What a new API key is made of.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// What people call it.
    pub name: Name,
    /// As whom it acts.
    pub owner: KeyOwner,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// SHA-256 of its secret half.
    pub secret_hash: [u8; 32],
}

impl Allowed<'_, CreateSourceNode, Tenant> {
    /// Enters a system that will report source objects.
    ///
    /// # Errors
    /// `ALREADY_EXISTS`.
    pub fn create_source_node(
        self,
        new: NewSourceNode,
        ids: &dyn Ids,
        now: Timestamp,
    ) -> Result<Change<Arc<SourceNode>>, Stopped> {
        if self.state().source_node_by_slug(new.slug.as_str()).is_some() {
            return Err(Refusal::AlreadyExists { what: "source node", name: new.slug.to_string() }.into());
        }
        let id = SourceNodeId::new(ids);
        let told = EventKind::SourceNodeCreated { node: id, name: new.name.clone() };
        let mut draft = self.draft();
        let node = SourceNode { id, slug: new.slug, name: new.name, created_at: now };
        let node = draft.put(node, Subject::Identity(id.uuid()), told);
        Ok(draft.done(node))
    }
}

impl<A: Asks<Tenant>> Allowed<'_, A, Tenant> {
    /// Checks that the owner exists and that the scopes are ones which such an owner can have.
    fn fitting(&self, owner: KeyOwner, scopes: &BTreeSet<Scope>) -> Result<(), Refusal> {
        let path = || "scopes".to_owned();
        if scopes.is_empty() {
            return Err(Refusal::ScopeMissing { path: path() });
        }
        match owner {
            KeyOwner::Node(node) => {
                self.state().source_node(node).ok_or_else(|| Refusal::Unknown { path: "owner.node".to_owned() })?;
                if scopes.contains(&Scope::UserRights) {
                    return Err(Refusal::ScopeNeedsUser { path: path() });
                }
            }
            KeyOwner::User(user) => {
                let user = self.state().user(user).filter(|user| user.active);
                user.ok_or_else(|| Refusal::PersonUnknown { path: "owner.user".to_owned() })?;
                if scopes.contains(&Scope::Sync) || scopes.contains(&Scope::ReadStatus) {
                    return Err(Refusal::ScopeNeedsNode { path: path() });
                }
            }
        }
        Ok(())
    }
}

impl Allowed<'_, CreateApiKey, Tenant> {
    /// Makes an API key; only the hash of its secret is kept.
    ///
    /// # Errors
    /// `UNKNOWN_OBJECT`, `UNKNOWN_PERSON`, `SCOPE_MISSING`, `SCOPE_NEEDS_NODE`, `SCOPE_NEEDS_USER`, `EXPIRY_PAST`;
    /// `Forbidden` for keys, and for the key of a user who has more rights than the caller.
    pub fn create_api_key(self, new: NewApiKey, ids: &dyn Ids, now: Timestamp) -> Result<Change<Arc<ApiKey>>, Stopped> {
        self.must_be_oneself()?;
        self.fitting(new.owner, &new.scopes)?;
        if let KeyOwner::User(user) = new.owner
            && let Some(user) = self.state().user(user)
        {
            self.may_give(user.standing)?;
        }
        if new.expires_at.is_some_and(|end| end <= now) {
            return Err(Refusal::ExpiryPast { path: "expiresAt".to_owned() }.into());
        }
        let id = ApiKeyId::new(ids);
        let told = EventKind::ApiKeyCreated { key: id, name: new.name.clone() };
        let key = ApiKey {
            id,
            name: new.name,
            secret_hash: new.secret_hash,
            owner: new.owner,
            scopes: new.scopes,
            previous: None,
            expires_at: new.expires_at,
            revoked_at: None,
            created_by: self.caller()?.user_id(),
            created_at: now,
        };
        let mut draft = self.draft();
        let key = draft.put(key, Subject::Identity(id.uuid()), told);
        Ok(draft.done(key))
    }
}

impl Allowed<'_, RevokeApiKey, ApiKey> {
    /// Ends an API key at once; ending it again changes nothing.
    ///
    /// # Errors
    /// None of its own.
    pub fn revoke(self, now: Timestamp) -> Result<Change<Arc<ApiKey>>, Stopped> {
        let mut draft = self.draft();
        if self.revoked_at.is_some() {
            return Ok(draft.done(Arc::clone(self.record())));
        }
        let next = ApiKey { revoked_at: Some(now), ..(**self.record()).clone() };
        let told = EventKind::ApiKeyRevoked { key: next.id, name: next.name.clone() };
        let subject = Subject::Identity(next.id.uuid());
        let key = draft.put(next, subject, told);
        Ok(draft.done(key))
    }
}

/// How a key's secret changes.
#[derive(Clone, Copy, Debug)]
pub struct KeyRotation {
    /// SHA-256 of its new secret half.
    pub secret_hash: [u8; 32],
    /// Until when the old secret is good; it ends at once where nothing is named.
    pub old_until: Option<Timestamp>,
}

impl Allowed<'_, RotateApiKey, ApiKey> {
    /// Gives a key another secret; the old one may stay good for a while, and the one before it ends.
    ///
    /// # Errors
    /// `KEY_ENDED`, `EXPIRY_PAST`, `OVERLAP_TOO_LONG`; `Forbidden` for keys, and for the key of a user who has more
    /// rights than the caller.
    pub fn rotate(self, rotation: KeyRotation, now: Timestamp) -> Result<Change<Arc<ApiKey>>, Stopped> {
        self.must_be_oneself()?;
        if let KeyOwner::User(user) = self.owner
            && let Some(user) = self.state().user(user)
        {
            self.may_give(user.standing)?;
        }
        if self.revoked_at.is_some() || self.expires_at.is_some_and(|end| end <= now) {
            return Err(Refusal::KeyEnded {}.into());
        }
        let path = || "previousValidUntil".to_owned();
        if rotation.old_until.is_some_and(|until| until <= now) {
            return Err(Refusal::ExpiryPast { path: path() }.into());
        }
        if rotation.old_until.is_some_and(|until| until > now.plus_seconds(KEY_OVERLAP_SECONDS_MAX)) {
            return Err(Refusal::OverlapTooLong { path: path(), days: KEY_OVERLAP_SECONDS_MAX / 86_400 }.into());
        }
        let previous = rotation.old_until.map(|until| OldSecret { secret_hash: self.secret_hash, until });
        let next = ApiKey { secret_hash: rotation.secret_hash, previous, ..(**self.record()).clone() };
        let told = EventKind::ApiKeyRotated { key: next.id, name: next.name.clone() };
        let subject = Subject::Identity(next.id.uuid());
        let mut draft = self.draft();
        let key = draft.put(next, subject, told);
        Ok(draft.done(key))
    }
}
