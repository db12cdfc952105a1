//! Entering and changing people, groups, source nodes and API keys.
//! Never gives anybody more than the giver has, and never leaves a tenant without somebody to administer it.

use super::{ApiKey, Group, KeyOwner, Scope, SessionEnd, SourceNode, Standing, User, normal_email};
use crate::{
    domain::{
        access::{Allowed, Denied, Stopped},
        action::{
            Asks, CreateApiKey, CreateGroup, CreateSourceNode, CreateUser, RevokeApiKey, UpdateGroup, UpdateUser,
        },
        event::{EventKind, Subject},
        id::{ApiKeyId, GroupId, Ids, SourceNodeId, UserId},
        refusal::Refusal,
        session,
        state::{Change, State},
        tenant::Tenant,
        text::{Name, Slug, is_unsafe},
        time::Timestamp,
    },
    limits::{EMAIL_BYTES_MAX, GROUP_MEMBERS_MAX},
};
use std::{collections::BTreeSet, sync::Arc};

/// What a new user is made of.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// What people call her.
    pub name: Name,
    /// Her address, in any case.
    pub email: String,
    /// What she may do beyond her roles.
    pub standing: Standing,
}

/// What changes of a user; what is not named stays.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// The revision that the caller has read.
    pub expected_revision: u64,
    /// Her new name.
    pub name: Option<Name>,
    /// Her new standing.
    pub standing: Option<Standing>,
    /// Whether she may sign in and act from now on.
    pub active: Option<bool>,
}

/// What a new group is made of.
#[derive(Clone, Debug)]
pub struct NewGroup {
    /// What people call it.
    pub name: Name,
    /// Its first members.
    pub members: Vec<UserId>,
}

/// What changes of a group; what is not named stays.
#[derive(Clone, Debug, Default)]
pub struct GroupChange {
    /// The revision that the caller has read.
    pub expected_revision: u64,
    /// Its new name.
    pub name: Option<Name>,
    /// Who becomes a member.
    pub add: Vec<UserId>,
    /// Who is no longer one; whoever is named in both is not.
    pub remove: Vec<UserId>,
}

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

/// Reads an address at `path` of the input, into the form in which it is stored.
///
/// # Errors
/// `EMAIL_NOT_ALLOWED`.
pub fn parse_email(path: &str, raw: &str) -> Result<String, Refusal> {
    let email = normal_email(raw);
    let odd = |c: char| c.is_whitespace() || c.is_control() || is_unsafe(c) || c == '@';
    let sound = |part: &str| !part.is_empty() && !part.contains(odd);
    let parts = email.split_once('@');
    // Whether the address exists only a message sent to it could tell.
    if email.len() > EMAIL_BYTES_MAX || !parts.is_some_and(|(name, host)| sound(name) && sound(host)) {
        return Err(Refusal::EmailNotAllowed { path: path.to_owned() });
    }
    Ok(email)
}

impl<A, T> Allowed<'_, A, T> {
    /// Whether the caller may give or take this standing: only an operator makes operators.
    fn may_give(&self, standing: Standing) -> Result<(), Denied> {
        let caller = self.caller()?;
        let may = match standing {
            Standing::Member | Standing::GovernanceManager | Standing::Administrator => caller.administers(),
            Standing::PlatformOperator => caller.operates(),
        };
        if may { Ok(()) } else { Err(Denied::Forbidden("platform operator")) }
    }

    /// What outlives a key must not be made by one: revoking it would not end what it did.
    pub(in crate::domain) fn must_be_no_key(&self) -> Result<(), Denied> {
        if self.caller()?.key.is_some() { Err(Denied::Forbidden("to be a person, not a key")) } else { Ok(()) }
    }
}

/// Checks that all of these users exist; `path` is their list in the input.
fn known(state: &State, path: &str, users: &[UserId]) -> Result<(), Refusal> {
    match users.iter().position(|user| state.user(*user).is_none()) {
        Some(n) => Err(Refusal::PersonUnknown { path: format!("{path}.{n}") }),
        None => Ok(()),
    }
}

/// Checks that a group does not grow beyond its bound.
fn few_enough(path: &str, members: usize) -> Result<(), Refusal> {
    if members <= GROUP_MEMBERS_MAX {
        return Ok(());
    }
    Err(Refusal::TooManyValues { path: path.to_owned(), values: members, most: GROUP_MEMBERS_MAX })
}

/// Checks that no other group has this name.
fn free_group_name(state: &State, name: &Name, own: Option<GroupId>) -> Result<(), Refusal> {
    let taken = state.tables.groups.values().any(|group| group.name == *name && Some(group.id) != own);
    if taken { Err(Refusal::AlreadyExists { what: "group", name: name.to_string() }) } else { Ok(()) }
}

impl Allowed<'_, CreateUser, Tenant> {
    /// Enters a person, who cannot sign in until she has set a password with a link.
    ///
    /// # Errors
    /// `EMAIL_NOT_ALLOWED`, `ALREADY_EXISTS`; `Forbidden` for a standing that the caller cannot give.
    pub fn create_user(self, new: NewUser, ids: &dyn Ids, now: Timestamp) -> Result<Change<Arc<User>>, Stopped> {
        let email = parse_email("email", &new.email)?;
        self.may_give(new.standing)?;
        if self.state().user_by_email(&email).is_some() {
            return Err(Refusal::AlreadyExists { what: "user", name: email }.into());
        }
        let id = UserId::new(ids);
        let (name, standing) = (new.name, new.standing);
        let told = EventKind::UserCreated { user: id, name: name.clone(), standing };
        let user = User { id, revision: 1, name, email, password_hash: None, standing, active: true, created_at: now };
        let mut draft = self.draft();
        let user = draft.put(user, Subject::Identity(id.uuid()), told);
        Ok(draft.done(user))
    }
}

impl Allowed<'_, UpdateUser, User> {
    /// Changes a person; disabling her ends her sessions.
    ///
    /// # Errors
    /// `REVISION_CONFLICT`, `NOTHING_TO_SAVE`, `NOT_YOURSELF`, `LAST_ADMINISTRATOR`; `Forbidden` for a standing
    /// that the caller can neither give nor take.
    pub fn update_user(self, change: UserChange) -> Result<Change<Arc<User>>, Stopped> {
        Refusal::unless_at(self.revision, change.expected_revision)?;
        if change.name.is_none() && change.standing.is_none() && change.active.is_none() {
            return Err(Refusal::NothingToSave {}.into());
        }
        let old = &**self.record();
        let name = change.name.unwrap_or_else(|| old.name.clone());
        let (standing, active) = (change.standing.unwrap_or(old.standing), change.active.unwrap_or(old.active));
        if standing != old.standing || active != old.active {
            self.may_give(old.standing)?;
            self.may_give(standing)?;
        }
        if old.active && !active && self.caller()?.user_id() == Some(old.id) {
            return Err(Refusal::NotYourself {}.into());
        }
        let mut draft = self.draft();
        if name == old.name && standing == old.standing && active == old.active {
            return Ok(draft.done(Arc::clone(self.record())));
        }
        let told = EventKind::UserUpdated { user: old.id, name: name.clone(), standing, active };
        let next = User { revision: old.revision + 1, name, standing, active, ..old.clone() };
        let user = draft.put(next, Subject::Identity(old.id.uuid()), told);
        if administers(old) && !draft.next().tables.users.values().any(|user| administers(user)) {
            return Err(Refusal::LastAdministrator {}.into());
        }
        if !active {
            session::end_sessions(&mut draft, old.id, SessionEnd::Disabled);
        }
        Ok(draft.done(user))
    }
}

/// Whether a user can look after a tenant, or after the platform.
fn administers(user: &User) -> bool {
    user.active && matches!(user.standing, Standing::Administrator | Standing::PlatformOperator)
}

impl Allowed<'_, CreateGroup, Tenant> {
    /// Makes a group.
    ///
    /// # Errors
    /// `ALREADY_EXISTS`, `UNKNOWN_PERSON`, `TOO_MANY_VALUES`.
    pub fn create_group(self, new: NewGroup, ids: &dyn Ids) -> Result<Change<Arc<Group>>, Stopped> {
        free_group_name(self.state(), &new.name, None)?;
        few_enough("members", new.members.len())?;
        known(self.state(), "members", &new.members)?;
        let id = GroupId::new(ids);
        let members: BTreeSet<_> = new.members.into_iter().collect();
        let listed = members.iter().copied().collect();
        let told = EventKind::GroupCreated { group: id, name: new.name.clone(), members: listed };
        let mut draft = self.draft();
        let group = Group { id, revision: 1, name: new.name, members };
        let group = draft.put(group, Subject::Identity(id.uuid()), told);
        Ok(draft.done(group))
    }
}

impl Allowed<'_, UpdateGroup, Group> {
    /// Changes a group's name or members. Adding who is in it and removing who is not changes nothing.
    ///
    /// # Errors
    /// `REVISION_CONFLICT`, `NOTHING_TO_SAVE`, `ALREADY_EXISTS`, `UNKNOWN_PERSON`, `TOO_MANY_VALUES`.
    pub fn update_group(self, change: GroupChange) -> Result<Change<Arc<Group>>, Stopped> {
        Refusal::unless_at(self.revision, change.expected_revision)?;
        if change.name.is_none() && change.add.is_empty() && change.remove.is_empty() {
            return Err(Refusal::NothingToSave {}.into());
        }
        let old = &**self.record();
        let name = change.name.unwrap_or_else(|| old.name.clone());
        free_group_name(self.state(), &name, Some(old.id))?;
        known(self.state(), "add", &change.add)?;
        let mut members = old.members.clone();
        members.extend(change.add);
        for user in &change.remove {
            members.remove(user);
        }
        few_enough("add", members.len())?;
        let mut draft = self.draft();
        if name == old.name && members == old.members {
            return Ok(draft.done(Arc::clone(self.record())));
        }
        let added = members.difference(&old.members).copied().collect();
        let removed = old.members.difference(&members).copied().collect();
        let told = EventKind::GroupUpdated { group: old.id, name: name.clone(), added, removed };
        let next = Group { id: old.id, revision: old.revision + 1, name, members };
        let group = draft.put(next, Subject::Identity(old.id.uuid()), told);
        Ok(draft.done(group))
    }
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
        self.must_be_no_key()?;
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
