//! Signing in and out, and one-time links for passwords.
//! Never says what was wrong with a credential, and never shows a secret but in the answer that made it.

mod mutation;

pub(super) use mutation::SessionMutation;

use super::{
    call::Payload,
    error::UserError,
    id::{EventCursor, global},
    identity::User,
    scalar::DateTime,
};
use crate::{
    app::{Committed, MadeLink, Seen, SignedIn},
    domain::{identity, receipt::Gone, record::Kind},
};
use async_graphql::{ID, Object, SimpleObject};
use std::sync::Arc;

/// A sign-in that goes on; its user and administrators see it.
pub(super) struct Session(pub(super) Seen<identity::Session>);

/// A sign-in that goes on; its user and administrators see it.
#[Object]
impl Session {
    /// The session's id.
    async fn id(&self) -> ID {
        global(Kind::Session, self.0.id.uuid())
    }

    /// Whose it is.
    async fn user(&self) -> Option<User> {
        Seen::find(self.0.snapshot(), self.0.user).ok().map(User)
    }

    /// The administrator who acts in it as that user; null where she does herself.
    async fn impersonator(&self) -> Option<User> {
        Seen::find(self.0.snapshot(), self.0.impersonator?).ok().map(User)
    }

    /// When it began.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When it was refreshed last; null where it never was.
    async fn refreshed_at(&self) -> Option<DateTime> {
        self.0.refreshed_at.map(Into::into)
    }

    /// When it ends by itself.
    async fn expires_at(&self) -> DateTime {
        self.0.expires_at.into()
    }

    /// Whether it is the one that you ask with.
    async fn current(&self) -> bool {
        self.0.snapshot().viewer().session() == Some(self.0.id)
    }
}

/// Sessions as one sees them.
pub(super) fn sessions_of(user: &Seen<identity::User>) -> Vec<Session> {
    user.sessions().into_iter().map(Session).collect()
}

/// What signing in and refreshing answer.
#[derive(SimpleObject)]
pub(super) struct SessionPayload {
    /// Who signed in.
    user: Option<User>,
    /// What requests carry as `Authorization: Bearer …`.
    access_token: Option<String>,
    /// Until when the access token is good.
    expires_at: Option<DateTime>,
    /// With what the next tokens are asked for, once. Keep it secret.
    refresh_token: Option<String>,
    /// The rules that the request breaks; empty when it was done.
    user_errors: Vec<UserError>,
    /// The position of the change in the event log.
    cursor: Option<EventCursor>,
}

impl Payload for SessionPayload {
    type Outcome = SignedIn;

    fn done(committed: Committed<SignedIn>, cursor: EventCursor) -> Self {
        let SignedIn { user, access_token, refresh_token, expires_at } = committed.outcome;
        Self {
            user: Seen::find(&committed.snapshot, user).ok().map(User),
            access_token: Some(access_token),
            expires_at: Some(expires_at.into()),
            refresh_token: Some(refresh_token),
            user_errors: vec![],
            cursor: Some(cursor),
        }
    }

    fn refused(user_errors: Vec<UserError>) -> Self {
        Self { user: None, access_token: None, expires_at: None, refresh_token: None, user_errors, cursor: None }
    }
}

/// What ending sessions answers.
#[derive(SimpleObject)]
pub(super) struct EndSessionPayload {
    /// The rules that the request breaks; empty when it was done.
    user_errors: Vec<UserError>,
    /// The position of the change in the event log.
    cursor: Option<EventCursor>,
}

impl Payload for EndSessionPayload {
    type Outcome = Gone;

    fn done(_: Committed<Gone>, cursor: EventCursor) -> Self {
        Self { user_errors: vec![], cursor: Some(cursor) }
    }

    fn refused(user_errors: Vec<UserError>) -> Self {
        Self { user_errors, cursor: None }
    }
}

/// What signing out answers.
#[derive(SimpleObject)]
pub(super) struct SignOutPayload {
    /// The rules that the request breaks; empty when it was done.
    user_errors: Vec<UserError>,
    /// The position of the change in the event log.
    cursor: Option<EventCursor>,
}

impl Payload for SignOutPayload {
    type Outcome = Gone;

    fn done(_: Committed<Gone>, cursor: EventCursor) -> Self {
        Self { user_errors: vec![], cursor: Some(cursor) }
    }

    fn refused(user_errors: Vec<UserError>) -> Self {
        Self { user_errors, cursor: None }
    }
}

/// What making a password link answers.
#[derive(SimpleObject)]
pub(super) struct CreatePasswordLinkPayload {
    /// What the link carries. It is shown this once; null when the command is repeated.
    token: Option<String>,
    /// The link's path on this server, with its token.
    path: Option<String>,
    /// Until when it can be used, once.
    expires_at: Option<DateTime>,
    /// The rules that the request breaks; empty when it was done.
    user_errors: Vec<UserError>,
    /// The position of the change in the event log.
    cursor: Option<EventCursor>,
}

impl Payload for CreatePasswordLinkPayload {
    type Outcome = MadeLink;

    fn done(committed: Committed<MadeLink>, cursor: EventCursor) -> Self {
        let MadeLink { link, token } = committed.outcome;
        let path = token.as_ref().map(|token| format!("/set-password?token={token}"));
        let expires_at = Some(link.expires_at.into());
        Self { token, path, expires_at, user_errors: vec![], cursor: Some(cursor) }
    }

    fn refused(user_errors: Vec<UserError>) -> Self {
        Self { token: None, path: None, expires_at: None, user_errors, cursor: None }
    }
}

/// What setting a password answers.
#[derive(SimpleObject)]
pub(super) struct SetPasswordPayload {
    /// The address to sign in with; null when the password was refused.
    email: Option<String>,
    /// The rules that the request breaks; empty when it was done.
    user_errors: Vec<UserError>,
    /// The position of the change in the event log.
    cursor: Option<EventCursor>,
}

impl Payload for SetPasswordPayload {
    type Outcome = Arc<identity::User>;

    fn done(committed: Committed<Arc<identity::User>>, cursor: EventCursor) -> Self {
        Self { email: Some(committed.outcome.email.clone()), user_errors: vec![], cursor: Some(cursor) }
    }

    fn refused(user_errors: Vec<UserError>) -> Self {
        Self { email: None, user_errors, cursor: None }
    }
}
