//! Signing in, staying signed in, and the one-time links with which people set passwords.
//! Never sees a password or a secret: the floor above verifies them, and what it verified is compared again here.

use super::{
    access::{Allowed, Denied, Stopped, View},
    action::{CreatePasswordLink, RefreshSession, SetPassword, SignIn, SignOut},
    event::{EventKind, Subject},
    id::{Ids, PasswordLinkId, SessionId, UserId},
    identity::{PasswordLink, Session, SessionEnd, User, normal_email, same_secret},
    receipt::Outcome,
    refusal::Refusal,
    state::{Change, Draft},
    tenant::Tenant,
    time::Timestamp,
};
use crate::limits::{
    PASSWORD_CHARACTERS_MAX, PASSWORD_CHARACTERS_MIN, PASSWORD_LINK_LIFETIME_SECONDS, SESSION_LIFETIME_SECONDS,
    SESSIONS_OF_USER_MAX,
};
use std::{fmt, sync::Arc};
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

/// A password that somebody chose, in NFC: the same letters are the same password on every keyboard.
pub struct Password(String);

impl Password {
    /// Reads a new password.
    ///
    /// # Errors
    /// `PASSWORD_NOT_ALLOWED` when it is too short or too long.
    pub fn parse(raw: &str) -> Result<Self, Refusal> {
        let (least, most) = (PASSWORD_CHARACTERS_MIN, PASSWORD_CHARACTERS_MAX);
        let password: String = raw.nfc().collect();
        let characters = password.chars().count();
        if characters < least || characters > most {
            return Err(Refusal::PasswordNotAllowed { least, most });
        }
        Ok(Self(password))
    }

    /// The bytes to be hashed.
    pub const fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(redacted)")
    }
}

/// Whose password a sign-in is checked against, and what it was checked against.
#[derive(Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The user.
    pub user: UserId,
    /// Her password, as Argon2id in PHC form.
    pub password_hash: String,
}

/// The hashes of a refresh token's two secrets.
#[derive(Clone, Copy)]
pub struct RefreshHashes {
    /// Of the half that all tokens of the session share.
    pub family: [u8; 32],
    /// Of the half that is this token's own.
    pub own: [u8; 32],
}

/// What became of a session whose refresh token was presented.
#[derive(Clone, Debug)]
pub enum Refreshed {
    /// It goes on, with a new refresh token.
    Continued(Arc<Session>),
    /// The token had been used before: the session is over.
    Ended,
}

impl Outcome for Refreshed {
    /// Refreshing is never repeated under an idempotency key: its answer is a secret.
    fn ids(&self) -> Option<Vec<Uuid>> {
        None
    }

    fn again(_: &[Uuid], _: View<'_>) -> Result<Self, Denied> {
        Err(Denied::NotFound)
    }
}

impl<'s> View<'s> {
    /// Whom an address may sign in as; for whoever presents a credential only.
    ///
    /// # Errors
    /// `Unauthenticated` for an unknown or disabled user and for one without a password.
    pub fn candidate(self, email: &str) -> Result<Candidate, Denied> {
        self.credential()?;
        let user = self.state().user_by_email(&normal_email(email)).filter(|user| user.active);
        let user = user.ok_or(Denied::Unauthenticated)?;
        let password_hash = user.password_hash.clone().ok_or(Denied::Unauthenticated)?;
        Ok(Candidate { user: user.id, password_hash })
    }

    /// Whether a password link would be accepted now; for whoever presents a credential only.
    ///
    /// # Errors
    /// `LINK_NOT_VALID`.
    pub fn valid_link(
        self,
        link: PasswordLinkId,
        presented: &[u8; 32],
        now: Timestamp,
    ) -> Result<&'s Arc<PasswordLink>, Stopped> {
        self.credential()?;
        let link = self.state().password_link(link);
        let link = link.filter(|link| same_secret(&link.secret_hash, presented) && link.expires_at > now);
        let active = |user| self.state().user(user).is_some_and(|user| user.active);
        Ok(link.filter(|link| active(link.user)).ok_or(Refusal::LinkNotValid {})?)
    }

    fn credential(self) -> Result<(), Denied> {
        if self.caller()?.credential { Ok(()) } else { Err(Denied::Forbidden("to present a credential")) }
    }
}

/// Ends every session of a user.
pub(in crate::domain) fn end_sessions(draft: &mut Draft, user: UserId, why: SessionEnd) {
    let sessions: Vec<_> = draft.next().sessions_of(user).cloned().collect();
    for session in sessions {
        end(draft, &session, why);
    }
}

/// Ends one session.
pub(in crate::domain) fn end(draft: &mut Draft, session: &Session, why: SessionEnd) {
    let told = EventKind::SessionEnded { user: session.user, why };
    draft.remove(session, Subject::Identity(session.user.uuid()), told);
}

/// Ends the unused password links of a user.
fn end_links(draft: &mut Draft, user: UserId) {
    let links: Vec<_> = draft.next().password_links_of(user).cloned().collect();
    for link in links {
        draft.remove(&*link, Subject::Identity(user.uuid()), EventKind::PasswordLinkEnded { user });
    }
}

impl Allowed<'_, SignIn, Tenant> {
    /// Begins a session for whoever knew the password that was verified.
    ///
    /// # Errors
    /// `Unauthenticated` when the user was disabled or set another password since.
    pub fn sign_in(
        self,
        verified: &Candidate,
        hashes: RefreshHashes,
        ids: &dyn Ids,
        now: Timestamp,
    ) -> Result<Change<Arc<Session>>, Stopped> {
        if !self.caller()?.credential {
            return Err(Denied::Forbidden("to present a credential").into());
        }
        let user = self.state().user(verified.user).filter(|user| user.active);
        let user = user.filter(|user| user.password_hash.as_ref() == Some(&verified.password_hash));
        let user = user.ok_or(Denied::Unauthenticated)?.id;
        Ok(self.begin(user, hashes, ids, now))
    }

    /// Begins a session for a user without a password: the server's own doing, for a demo.
    ///
    /// # Errors
    /// `Forbidden` for everyone but the server itself; `UNKNOWN_PERSON` for an unknown or disabled user.
    pub fn sign_in_without_password(
        self,
        user: UserId,
        hashes: RefreshHashes,
        ids: &dyn Ids,
        now: Timestamp,
    ) -> Result<Change<Arc<Session>>, Stopped> {
        if self.caller()?.system.is_none() {
            return Err(Denied::Forbidden("to be the server itself").into());
        }
        let active = self.state().user(user).is_some_and(|user| user.active);
        if !active {
            return Err(Refusal::PersonUnknown { path: "user".to_owned() }.into());
        }
        Ok(self.begin(user, hashes, ids, now))
    }

    fn begin(self, user: UserId, hashes: RefreshHashes, ids: &dyn Ids, now: Timestamp) -> Change<Arc<Session>> {
        let mut draft = self.draft();
        let known: Vec<_> = self.state().sessions_of(user).cloned().collect();
        let (over, mut lasting): (Vec<_>, Vec<_>) = known.into_iter().partition(|known| known.expires_at <= now);
        for session in over {
            end(&mut draft, &session, SessionEnd::Expired);
        }
        let surplus = (lasting.len() + 1).saturating_sub(SESSIONS_OF_USER_MAX);
        for session in lasting.drain(..surplus.min(lasting.len())) {
            end(&mut draft, &session, SessionEnd::Displaced);
        }
        let session = Session {
            id: SessionId::new(ids),
            user,
            family_hash: hashes.family,
            secret_hash: hashes.own,
            created_at: now,
            expires_at: now.plus_seconds(SESSION_LIFETIME_SECONDS),
        };
        let session = draft.put(session, Subject::Identity(user.uuid()), EventKind::SignedIn { user });
        draft.done(session)
    }
}

impl Allowed<'_, RefreshSession, Tenant> {
    /// Gives a session its next refresh token for the present one. A token that was used before ends the
    /// session: either its user or a thief holds a copy, and nobody can tell which.
    ///
    /// # Errors
    /// `Unauthenticated` for an unknown, ended or expired session, and for a token that never was one of its own.
    pub fn refresh(
        self,
        session: SessionId,
        presented: &RefreshHashes,
        next: [u8; 32],
        now: Timestamp,
    ) -> Result<Change<Refreshed>, Stopped> {
        if !self.caller()?.credential {
            return Err(Denied::Forbidden("to present a credential").into());
        }
        let session = self.state().session(session).filter(|session| session.expires_at > now);
        let session = session.filter(|session| same_secret(&session.family_hash, &presented.family));
        let session = session.ok_or(Denied::Unauthenticated)?;
        let mut draft = self.draft();
        if !same_secret(&session.secret_hash, &presented.own) {
            end(&mut draft, session, SessionEnd::RefreshTokenReused);
            return Ok(draft.done(Refreshed::Ended));
        }
        let user = session.user;
        if !self.state().user(user).is_some_and(|user| user.active) {
            return Err(Denied::Unauthenticated.into());
        }
        let session = Session { secret_hash: next, ..(**session).clone() };
        let session = draft.put(session, Subject::Identity(user.uuid()), EventKind::SessionRefreshed { user });
        Ok(draft.done(Refreshed::Continued(session)))
    }
}

impl Allowed<'_, SignOut, Tenant> {
    /// Ends the session that the caller asks with.
    ///
    /// # Errors
    /// `Forbidden` for a caller without a session.
    pub fn sign_out(self) -> Result<Change<UserId>, Stopped> {
        let session = self.view().viewer().session().and_then(|session| self.state().session(session));
        let session = session.ok_or(Denied::Forbidden("a session"))?;
        let user = session.user;
        let mut draft = self.draft();
        draft.remove(&**session, Subject::Identity(user.uuid()), EventKind::SignedOut { user });
        Ok(draft.done(user))
    }
}

impl Allowed<'_, CreatePasswordLink, User> {
    /// Makes a one-time link with which the user sets a password; the older ones end.
    ///
    /// # Errors
    /// `Forbidden` for keys: who holds a person's link becomes that person.
    pub fn create_password_link(
        self,
        secret_hash: [u8; 32],
        ids: &dyn Ids,
        now: Timestamp,
    ) -> Result<Change<Arc<PasswordLink>>, Stopped> {
        self.must_be_no_key()?;
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
        let mut draft = self.draft();
        let (id, subject) = (user.id, Subject::Identity(user.id.uuid()));
        let user = draft.put(next, subject, EventKind::PasswordSet { user: id });
        end_links(&mut draft, id);
        end_sessions(&mut draft, id, SessionEnd::PasswordSet);
        Ok(draft.done(user))
    }
}
