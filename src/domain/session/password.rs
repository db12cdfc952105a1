//! How passwords are set: by a one-time link, or with the present one; either ends what the old one opened.
//! Never sees a password: the floor above verifies and hashes them.

use super::{Candidate, end_sessions};
use crate::{
    domain::{
        access::{Allowed, Stopped},
        action::{Asks, ChangePassword, CreatePasswordLink, SetPassword},
        event::{EventKind, Subject},
        id::{Ids, PasswordLinkId, SessionId, UserId},
        identity::{PasswordLink, SessionEnd, User},
        refusal::Refusal,
        state::{Change, Draft},
        tenant::Tenant,
        time::Timestamp,
    },
    limits::PASSWORD_LINK_LIFETIME_SECONDS,
};
use std::sync::Arc;

/// Ends the unused password links of a user.
pub(in crate::domain) fn end_links(draft: &mut Draft, user: UserId) {
    let links: Vec<_> = draft.next().password_links_of(user).cloned().collect();
    for link in links {
        draft.remove(&*link, Subject::Identity(user.uuid()), EventKind::PasswordLinkEnded { user });
    }
}

impl Allowed<'_, ChangePassword, Tenant> {
    /// Sets the caller's own password; her other sessions and the links to set it end.
    ///
    /// # Errors
    /// `WRONG_PASSWORD` when it was changed since the old one was verified; `Forbidden` for keys.
    pub fn change_password(self, verified: &Candidate, password_hash: String) -> Result<Change<Arc<User>>, Stopped> {
        let (old, known) = self.view().oneself()?;
        if known != *verified {
            return Err(Refusal::WrongPassword {}.into());
        }
        let next = User { revision: old.revision + 1, password_hash: Some(password_hash), ..(**old).clone() };
        Ok(self.set(next, self.view().viewer().session()))
    }
}

impl<A: Asks<Tenant>> Allowed<'_, A, Tenant> {
    /// Stores a user's new password, and ends what the old one opened.
    fn set(&self, next: User, but: Option<SessionId>) -> Change<Arc<User>> {
        let id = next.id;
        let mut draft = self.draft();
        let user = draft.put(next, Subject::Identity(id.uuid()), EventKind::PasswordSet { user: id });
        end_links(&mut draft, id);
        end_sessions(&mut draft, id, but, SessionEnd::PasswordSet);
        draft.done(user)
    }
}

impl Allowed<'_, CreatePasswordLink, User> {
    /// Makes a one-time link with which the user sets a password; the older ones end.
    ///
    /// # Errors
    /// `Forbidden` for keys, and for whoever acts as somebody else: who holds a person's link becomes that person.
    pub fn create_password_link(
        self,
        secret_hash: [u8; 32],
        ids: &dyn Ids,
        now: Timestamp,
    ) -> Result<Change<Arc<PasswordLink>>, Stopped> {
        self.must_be_oneself()?;
        let user = self.id;
        let mut draft = self.draft();
        end_links(&mut draft, user);
        let expires_at = now.plus_seconds(PASSWORD_LINK_LIFETIME_SECONDS);
        let link = PasswordLink { id: PasswordLinkId::new(ids), user, secret_hash, expires_at };
        let link = draft.put(link, Subject::Identity(user.uuid()), EventKind::PasswordLinkCreated { user });
        Ok(draft.done(link))
    }
}

impl Allowed<'_, SetPassword, Tenant> {
    /// Sets the password of a link's user, ends the link and all her sessions.
    ///
    /// # Errors
    /// `LINK_NOT_VALID`.
    pub fn set_password(
        self,
        link: PasswordLinkId,
        presented: &[u8; 32],
        password_hash: String,
        now: Timestamp,
    ) -> Result<Change<Arc<User>>, Stopped> {
        let user = self.view().valid_link(link, presented, now)?.user;
        let user = self.state().user(user).ok_or(Refusal::LinkNotValid {})?;
        let next = User { revision: user.revision + 1, password_hash: Some(password_hash), ..(**user).clone() };
        Ok(self.set(next, None))
    }
}
