//! Signing in, staying signed in, and the one-time links with which people set passwords.
//! Never sees a password or a secret: the floor above verifies them, and what it verified is compared again here.

mod password;

pub(in crate::domain) use password::end_links;

use super::{
    access::{Allowed, Denied, Stopped, View},
    action::{EndAllSessions, EndSession, Impersonate, RefreshSession, RotateSigningKey, SignIn, SignOut},
    caller::Caller,
    event::{EventKind, Subject},
    id::{Ids, PasswordLinkId, SessionId, UserId},
    identity::{PasswordLink, Session, SessionEnd, SpentToken, User, normal_email, same_secret},
    receipt::{Gone, Outcome},
    record::Entity,
    refusal::Refusal,
    state::{Change, Draft},
    tenant::Tenant,
    time::Timestamp,
};
use crate::limits::{
    IMPERSONATION_LIFETIME_SECONDS, PASSWORD_CHARACTERS_MAX, PASSWORD_CHARACTERS_MIN, REFRESH_GRACE_SECONDS,
    SESSION_LIFETIME_SECONDS, SESSIONS_OF_USER_MAX,
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

    /// The caller herself, with what her present password is verified against.
    ///
    /// # Errors
    /// `Forbidden` for keys and the server itself.
    pub fn oneself(self) -> Result<(&'s Arc<User>, Candidate), Denied> {
        let caller = self.caller()?;
        if caller.impersonator.is_some() {
            return Err(Denied::Forbidden("to be yourself, not to act as somebody else"));
        }
        let user = caller.person().and_then(|user| self.state().user(user));
        let user = user.ok_or(Denied::Forbidden("to be a person, not a key"))?;
        let password_hash = user.password_hash.clone().unwrap_or_default();
        Ok((user, Candidate { user: user.id, password_hash }))
    }

    fn credential(self) -> Result<(), Denied> {
        if self.caller()?.credential { Ok(()) } else { Err(Denied::Forbidden("to present a credential")) }
    }
}

/// Ends every session of a user, but one where it is named.
pub(in crate::domain) fn end_sessions(draft: &mut Draft, user: UserId, but: Option<SessionId>, why: SessionEnd) {
    let sessions: Vec<_> = draft.next().sessions_of(user).cloned().collect();
    for session in sessions.iter().filter(|session| Some(session.id) != but) {
        end(draft, session, why);
    }
}

/// Ends one session.
pub(in crate::domain) fn end(draft: &mut Draft, session: &Session, why: SessionEnd) {
    let told = EventKind::SessionEnded { user: session.user, why };
    draft.remove(session, Subject::Identity(session.user.uuid()), told);
}

/// A session that begins now.
fn new_session(user: UserId, hashes: RefreshHashes, ids: &dyn Ids, now: Timestamp) -> Session {
    Session {
        id: SessionId::new(ids),
        user,
        impersonator: None,
        family_hash: hashes.family,
        secret_hash: hashes.own,
        spent: None,
        created_at: now,
        refreshed_at: None,
        expires_at: now.plus_seconds(SESSION_LIFETIME_SECONDS),
    }
}

/// Ends the sessions of a user that are over, and the oldest where one more would be too many.
fn make_room(draft: &mut Draft, user: UserId, now: Timestamp) {
    let known: Vec<_> = draft.next().sessions_of(user).cloned().collect();
    let (over, mut lasting): (Vec<_>, Vec<_>) = known.into_iter().partition(|known| known.expires_at <= now);
    for session in over {
        end(draft, &session, SessionEnd::Expired);
    }
    let surplus = (lasting.len() + 1).saturating_sub(SESSIONS_OF_USER_MAX);
    for session in lasting.drain(..surplus.min(lasting.len())) {
        end(draft, &session, SessionEnd::Displaced);
    }
}

impl Allowed<'_, SignIn, Tenant> {
    /// Begins a session for whoever knew the password that was verified; `rehashed` is the same password under
    /// today's parameters, where it was kept under weaker ones.
    ///
    /// # Errors
    /// `Unauthenticated` when the user was disabled or set another password since.
    pub fn sign_in(
        self,
        verified: &Candidate,
        rehashed: Option<String>,
        hashes: RefreshHashes,
        ids: &dyn Ids,
        now: Timestamp,
    ) -> Result<Change<Arc<Session>>, Stopped> {
        if !self.caller()?.credential {
            return Err(Denied::Forbidden("to present a credential").into());
        }
        let user = self.state().user(verified.user).filter(|user| user.active);
        let user = user.filter(|user| user.password_hash.as_ref() == Some(&verified.password_hash));
        let user = user.ok_or(Denied::Unauthenticated)?;
        Ok(self.begin(user, rehashed, hashes, ids, now))
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
        let user = self.state().user(user).filter(|user| user.active);
        let user = user.ok_or_else(|| Refusal::PersonUnknown { path: "user".to_owned() })?;
        Ok(self.begin(user, None, hashes, ids, now))
    }

    fn begin(
        self,
        owner: &User,
        rehashed: Option<String>,
        hashes: RefreshHashes,
        ids: &dyn Ids,
        now: Timestamp,
    ) -> Change<Arc<Session>> {
        let user = owner.id;
        let mut draft = self.draft();
        make_room(&mut draft, user, now);
        let session = Arc::new(new_session(user, hashes, ids, now));
        let mut records = vec![Arc::clone(&session).record()];
        // The same password: nothing that anybody has read of the user changes, so that her revision stays.
        let kept = rehashed.map(|hash| User { password_hash: Some(hash), ..owner.clone() });
        records.extend(kept.map(|user| Arc::new(user).record()));
        draft.put_together(records, Subject::Identity(user.uuid()), EventKind::SignedIn { user });
        draft.done(session)
    }
}

impl Allowed<'_, RefreshSession, Tenant> {
    /// Gives a session its next refresh token for the present one. The one before it answers the same again for a
    /// few seconds and changes nothing: its client has lost the answer, or asked twice at once. Any other token that
    /// was used before ends the session: either its user or a thief holds a copy, and nobody can tell which.
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
        let user = session.user;
        if !Caller::stands_in(self.state(), session, session.principal()) {
            return Err(Denied::Unauthenticated.into());
        }
        let mut draft = self.draft();
        if !same_secret(&session.secret_hash, &presented.own) {
            let just_used = session.spent.as_ref().is_some_and(|spent| {
                same_secret(&spent.secret_hash, &presented.own) && now < spent.at.plus_seconds(REFRESH_GRACE_SECONDS)
            });
            if just_used && same_secret(&session.secret_hash, &next) {
                return Ok(draft.done(Refreshed::Continued(Arc::clone(session))));
            }
            end(&mut draft, session, SessionEnd::RefreshTokenReused);
            return Ok(draft.done(Refreshed::Ended));
        }
        let spent = Some(SpentToken { secret_hash: session.secret_hash, at: now });
        let session = Session { secret_hash: next, spent, refreshed_at: Some(now), ..(**session).clone() };
        let session = draft.put(session, Subject::Identity(user.uuid()), EventKind::SessionRefreshed { user });
        Ok(draft.done(Refreshed::Continued(session)))
    }
}

impl Allowed<'_, Impersonate, User> {
    /// Begins a session in which an administrator acts as somebody else, for an hour.
    ///
    /// # Errors
    /// `NOT_YOURSELF`, `UNKNOWN_PERSON` for a disabled user; `Forbidden` for keys, for whoever acts as somebody else
    /// already, and for a person who stands above the caller.
    pub fn impersonate(
        self,
        hashes: RefreshHashes,
        ids: &dyn Ids,
        now: Timestamp,
    ) -> Result<Change<Arc<Session>>, Stopped> {
        self.must_be_oneself()?;
        let by = self.caller()?.user.ok_or(Denied::Forbidden("administrator"))?;
        if by.id == self.id {
            return Err(Refusal::NotYourself {}.into());
        }
        if !self.active {
            return Err(Refusal::PersonUnknown { path: "userId".to_owned() }.into());
        }
        if !by.may_impersonate(&self) {
            return Err(Denied::Forbidden("to stand no lower than that person").into());
        }
        let user = self.id;
        let session = Session {
            impersonator: Some(by.id),
            expires_at: now.plus_seconds(IMPERSONATION_LIFETIME_SECONDS),
            ..new_session(user, hashes, ids, now)
        };
        let mut draft = self.draft();
        make_room(&mut draft, by.id, now);
        let session = draft.put(session, Subject::Identity(user.uuid()), EventKind::ImpersonationStarted { user });
        Ok(draft.done(session))
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

impl Allowed<'_, EndSession, Session> {
    /// Ends one session from elsewhere, or the caller's own.
    ///
    /// # Errors
    /// None of its own.
    pub fn end_session(self) -> Result<Change<Gone>, Stopped> {
        let mut draft = self.draft();
        end(&mut draft, &self, SessionEnd::Ended);
        Ok(draft.done(Gone(self.id.uuid())))
    }
}

impl Allowed<'_, EndAllSessions, User> {
    /// Ends all sessions of a person, the caller's own apart where she keeps it.
    ///
    /// # Errors
    /// None of its own.
    pub fn end_all_sessions(self, keep_own: bool) -> Result<Change<Gone>, Stopped> {
        let but = self.view().viewer().session().filter(|_| keep_own);
        let mut draft = self.draft();
        end_sessions(&mut draft, self.id, but, SessionEnd::Ended);
        Ok(draft.done(Gone(self.id.uuid())))
    }
}

impl Allowed<'_, RotateSigningKey, Tenant> {
    /// Records that access tokens are signed by a new key from now on.
    ///
    /// # Errors
    /// `Forbidden` for keys: what they did would outlive them.
    pub fn rotate_signing_key(self, kid: String) -> Result<Change<Gone>, Stopped> {
        self.must_be_oneself()?;
        let mut draft = self.draft();
        draft.tell(None, Subject::Tenant, EventKind::SigningKeyRotated { kid });
        Ok(draft.done(Gone(self.id.uuid())))
    }
}
