//! Entering, changing and deleting people.
//! Never gives anybody more than the giver has, and never leaves a tenant without somebody to administer it.

use super::{ApiKey, Group, KeyOwner, SessionEnd, Standing, User, normal_email};
use crate::{
    domain::{
        access::{Allowed, Denied, Stopped, SystemActor},
        action::{CreateUser, DeleteUsers, UpdateUser, UpdateUsers},
        event::{EventKind, Subject},
        id::{Ids, UserId},
        refusal::Refusal,
        session,
        state::{Change, Draft},
        tenant::Tenant,
        text::{Name, is_unsafe},
        time::Timestamp,
    },
    limits::{EMAIL_BYTES_MAX, USER_ROWS_MAX},
};
use std::sync::Arc;

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
    pub(super) fn may_give(&self, standing: Standing) -> Result<(), Denied> {
        let caller = self.caller()?;
        let may = match standing {
            Standing::Member | Standing::GovernanceManager | Standing::Administrator => caller.administers(),
            Standing::PlatformOperator => caller.operates(),
        };
        if may { Ok(()) } else { Err(Denied::Forbidden("platform operator")) }
    }

    /// What outlives a key, or a session in which somebody acts as another, must not be made in it: ending it would
    /// not end what it did.
    pub(in crate::domain) fn must_be_oneself(&self) -> Result<(), Denied> {
        let caller = self.caller()?;
        if caller.key.is_some() {
            return Err(Denied::Forbidden("to be a person, not a key"));
        }
        if caller.impersonator.is_some() {
            return Err(Denied::Forbidden("to be yourself, not to act as somebody else"));
        }
        Ok(())
    }
}

impl<'s> Allowed<'s, CreateUser, Tenant> {
    /// The person who is there already as she would be entered: entering her again would be refused for nothing.
    pub fn user_as_asked(&self, new: &NewUser) -> Option<&'s Arc<User>> {
        let known = self.state().user_by_email(&normal_email(&new.email))?;
        (known.active && known.name == new.name && known.standing == new.standing).then_some(known)
    }

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
        let user = User {
            id,
            revision: 1,
            name,
            email,
            password_hash: None,
            standing,
            active: true,
            created_at: now,
            deleted_at: None,
        };
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
        one_must_stay(&draft, old)?;
        if standing < old.standing && self.caller()?.user_id() == Some(old.id) {
            return Err(Refusal::NotYourself {}.into());
        }
        if !active {
            session::end_sessions(&mut draft, old.id, None, SessionEnd::Disabled);
        }
        Ok(draft.done(user))
    }
}

impl UserChange {
    /// Whether a person is as this change would make her.
    pub fn is_done(&self, user: &User) -> bool {
        let same = self.name.as_ref().is_none_or(|name| *name == user.name);
        same && self.standing.is_none_or(|standing| standing == user.standing)
            && self.active.is_none_or(|active| active == user.active)
    }
}

impl Allowed<'_, UpdateUsers, Tenant> {
    /// Checks that a batch is one that can be decided in one turn.
    ///
    /// # Errors
    /// `TOO_MANY_ROWS`.
    pub const fn rows_must_fit(&self, rows: usize) -> Result<(), Refusal> {
        if rows > USER_ROWS_MAX { Err(Refusal::TooManyRows { rows, most: USER_ROWS_MAX }) } else { Ok(()) }
    }
}

impl Allowed<'_, DeleteUsers, User> {
    /// Deletes a person: her sessions, links and keys end, her groups lose her, and her name stays where she did
    /// something.
    ///
    /// # Errors
    /// `NOT_YOURSELF`, `LAST_ADMINISTRATOR`; `Forbidden` for a standing that the caller cannot take.
    pub fn delete_user(self, now: Timestamp) -> Result<Change<Arc<User>>, Stopped> {
        let old = &**self.record();
        self.may_give(old.standing)?;
        let caller = self.caller()?;
        if caller.user_id() == Some(old.id) || caller.impersonator.is_some_and(|by| by.id == old.id) {
            return Err(Refusal::NotYourself {}.into());
        }
        let next = User {
            revision: old.revision + 1,
            email: String::new(),
            password_hash: None,
            active: false,
            deleted_at: Some(now),
            ..old.clone()
        };
        let mut draft = self.draft();
        let told = EventKind::UserDeleted { user: old.id, name: old.name.clone() };
        let user = draft.put(next, Subject::Identity(old.id.uuid()), told);
        one_must_stay(&draft, old)?;
        session::end_sessions(&mut draft, old.id, None, SessionEnd::Deleted);
        session::end_links(&mut draft, old.id);
        leave_groups(&mut draft, old.id);
        revoke_keys(&mut draft, old.id, now);
        Ok(draft.done(user))
    }
}

/// Takes a person out of every group.
fn leave_groups(draft: &mut Draft, user: UserId) {
    let groups: Vec<_> = draft.next().listed_in(user).collect();
    for group in groups {
        let Some(group) = draft.next().group(group).cloned() else { continue };
        let mut next = Group { revision: group.revision + 1, ..(*group).clone() };
        next.members.remove(&user);
        let told = EventKind::GroupUpdated {
            group: group.id,
            name: group.name.clone(),
            added: vec![],
            removed: vec![user],
            added_groups: vec![],
            removed_groups: vec![],
        };
        draft.follow(SystemActor::Consequence, next, Subject::Identity(group.id.uuid()), told);
    }
}

/// Ends the keys of a person.
fn revoke_keys(draft: &mut Draft, user: UserId, now: Timestamp) {
    let owned = |key: &&Arc<ApiKey>| key.owner == KeyOwner::User(user) && key.revoked_at.is_none();
    let keys: Vec<_> = draft.next().tables.api_keys.values().filter(owned).cloned().collect();
    for key in keys {
        let told = EventKind::ApiKeyRevoked { key: key.id, name: key.name.clone() };
        let next = ApiKey { revoked_at: Some(now), ..(*key).clone() };
        draft.follow(SystemActor::Consequence, next, Subject::Identity(key.id.uuid()), told);
    }
}

/// # Errors
/// `LAST_ADMINISTRATOR` when a change of this person left nobody to look after the tenant.
fn one_must_stay(draft: &Draft, old: &User) -> Result<(), Refusal> {
    if administers(old) && !draft.next().tables.users.values().any(|user| administers(user)) {
        return Err(Refusal::LastAdministrator {});
    }
    Ok(())
}

/// Whether a user can look after a tenant, or after the platform.
fn administers(user: &User) -> bool {
    user.active && matches!(user.standing, Standing::Administrator | Standing::PlatformOperator)
}
