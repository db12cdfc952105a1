//! Signing in and out, and one-time links for passwords.
//! Never says what was wrong with a credential, and never shows a secret but in the answer that made it.

use super::{
    call::{Payload, app, mutate, presented, viewer, worded},
    error::{UserError, code, error, throttled},
    id::{EventCursor, of_kind},
    identity::User,
    scalar::DateTime,
};
use crate::{
    app::{Committed, Failed, MadeLink, NotSignedIn, Seen, SignIn, SignedIn},
    domain::{access::Denied, identity, receipt::Gone, record::Kind},
};
use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use std::sync::Arc;

/// With what you sign in.
#[derive(InputObject)]
pub(super) struct SignInInput {
    /// Your organisation's short name.
    organisation: String,
    /// Your address, in any case.
    email: String,
    /// Your password.
    password: String,
}

/// With what you stay signed in.
#[derive(InputObject)]
pub(super) struct RefreshSessionInput {
    /// The refresh token of the last answer; it is good once, and coming again it ends the session.
    refresh_token: String,
}

/// Whose password a link is to set.
#[derive(InputObject)]
pub(super) struct CreatePasswordLinkInput {
    /// The user.
    user_id: ID,
    /// Repeats of the command under this key answer the same link, without its token, and do nothing.
    idempotency_key: Option<String>,
}

/// A password, and the link that allows setting it.
#[derive(InputObject)]
pub(super) struct SetPasswordInput {
    /// The token of the link.
    token: String,
    /// The new password: 12 to 256 characters.
    password: String,
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

/// Words what became of a credential in the input: whoever presents it may be nobody yet.
fn accepted<P: Payload>(
    ctx: &Context<'_>,
    outcome: Result<Committed<P::Outcome>, Failed>,
    wrong: &'static str,
) -> Result<P> {
    match outcome {
        Err(Failed::Denied(Denied::Unauthenticated)) => Err(error(code::UNAUTHENTICATED, wrong)),
        outcome => worded(app(ctx).store().epoch(), outcome),
    }
}

/// Mutations of sessions and passwords.
#[derive(Default)]
pub(super) struct SessionMutation;

#[Object]
impl SessionMutation {
    /// Signs you in. Whatever is wrong, the answer is UNAUTHENTICATED; who tries too often is told RATE_LIMITED and
    /// when to try again. Needs no credential, and stands alone in its operation.
    async fn sign_in(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "With what you sign in.")] input: SignInInput,
    ) -> Option<Result<SessionPayload>> {
        let SignInInput { organisation, email, password } = input;
        let done = async {
            let address = presented(ctx)?;
            let outcome = match app(ctx).sign_in(SignIn { organisation, email, password }, address).await {
                Err(NotSignedIn::Throttled { wait }) => return Err(throttled(wait)),
                Err(NotSignedIn::Failed(failed)) => Err(failed),
                Ok(committed) => Ok(committed),
            };
            accepted(ctx, outcome, "The organisation, the address or the password is wrong.")
        };
        Some(done.await)
    }

    /// The next tokens of your session, for a refresh token that is good once. Needs no other credential.
    async fn refresh_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "With what you stay signed in.")] input: RefreshSessionInput,
    ) -> Option<Result<SessionPayload>> {
        let done = async {
            presented(ctx)?;
            let outcome = app(ctx).refresh_session(&input.refresh_token).await;
            accepted(ctx, outcome, "The refresh token is not valid any more. Sign in again.")
        };
        Some(done.await)
    }

    /// Ends the session that you ask with: its tokens are refused from now on.
    async fn sign_out(&self, ctx: &Context<'_>) -> Option<Result<SignOutPayload>> {
        let done = async {
            let viewer = viewer(ctx)?;
            worded(app(ctx).store().epoch(), app(ctx).sign_out(&viewer).await)
        };
        Some(done.await)
    }

    /// Makes a one-time link, good for an hour, with which a user sets a password; the older ones end. Needs an
    /// administrator in person.
    async fn create_password_link(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose password.")] input: CreatePasswordLinkInput,
    ) -> Option<Result<CreatePasswordLinkPayload>> {
        let user = of_kind(Kind::User, &input.user_id);
        let operation =
            mutate(ctx, input.idempotency_key, async |app, call| app.create_password_link(&call, user).await);
        Some(operation.await)
    }

    /// Sets a password with the token of a link; every session of the user ends. Needs no other credential.
    async fn set_password(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The password.")] input: SetPasswordInput,
    ) -> Option<Result<SetPasswordPayload>> {
        let done = async {
            presented(ctx)?;
            worded(app(ctx).store().epoch(), app(ctx).set_password(&input.token, &input.password).await)
        };
        Some(done.await)
    }
}
