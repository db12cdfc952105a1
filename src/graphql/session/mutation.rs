//! Signing in and out, ending sessions, and setting passwords.
//! Never says what was wrong with a credential.

use super::{CreatePasswordLinkPayload, EndSessionPayload, SessionPayload, SetPasswordPayload, SignOutPayload};
use crate::{
    app::{Committed, Failed, NotSignedIn, SignIn},
    domain::{access::Denied, record::Kind},
    graphql::{
        call::{Payload, app, mutate, presented, viewer, worded},
        error::{code, error, throttled},
        id::of_kind,
    },
};
use async_graphql::{Context, ID, InputObject, Object, Result};

/// With what you sign in.
#[derive(InputObject)]
pub(in crate::graphql) struct SignInInput {
    /// Your organisation's short name.
    organisation: String,
    /// Your address, in any case.
    email: String,
    /// Your password.
    password: String,
}

/// With what you stay signed in.
#[derive(InputObject)]
pub(in crate::graphql) struct RefreshSessionInput {
    /// The refresh token of the last answer; it is good once, and coming again after ten seconds it ends the session.
    refresh_token: String,
}

/// Whose password a link is to set.
#[derive(InputObject)]
pub(in crate::graphql) struct CreatePasswordLinkInput {
    /// The user.
    user_id: ID,
    /// Repeats of the command under this key answer the same link, without its token, and do nothing.
    idempotency_key: Option<String>,
}

/// A password, and the link that allows setting it.
#[derive(InputObject)]
pub(in crate::graphql) struct SetPasswordInput {
    /// The token of the link.
    token: String,
    /// The new password: 12 to 256 characters.
    password: String,
}

/// A session that ends.
#[derive(InputObject)]
pub(in crate::graphql) struct EndSessionInput {
    /// The session.
    session_id: ID,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// A user whose sessions end.
#[derive(InputObject)]
pub(in crate::graphql) struct EndAllSessionsInput {
    /// The user.
    user_id: ID,
    /// Whether the session that you ask with goes on.
    #[graphql(default)]
    keep_current: bool,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// One's own passwords.
#[derive(InputObject)]
pub(in crate::graphql) struct ChangePasswordInput {
    /// The present password.
    old_password: String,
    /// The new password: 12 to 256 characters.
    new_password: String,
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

/// What became of an attempt that was heard.
///
/// # Errors
/// RATE_LIMITED for one that was not.
fn heard<T>(outcome: Result<T, NotSignedIn>) -> Result<Result<T, Failed>> {
    match outcome {
        Err(NotSignedIn::Throttled { wait }) => Err(throttled(wait)),
        Err(NotSignedIn::Failed(failed)) => Ok(Err(failed)),
        Ok(committed) => Ok(Ok(committed)),
    }
}

/// Mutations of sessions and passwords.
#[derive(Default)]
pub(in crate::graphql) struct SessionMutation;

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
            let outcome = heard(app(ctx).sign_in(SignIn { organisation, email, password }, address).await)?;
            accepted(ctx, outcome, "The organisation, the address or the password is wrong.")
        };
        Some(done.await)
    }

    /// The next tokens of your session, for a refresh token that is good once: within ten seconds it answers the same
    /// refresh token again, later it ends the session. Needs no other credential.
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

    /// Ends one session, your own or, for administrators, another's: its tokens are refused from now on, and its
    /// sockets close.
    async fn end_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The session.")] input: EndSessionInput,
    ) -> Option<Result<EndSessionPayload>> {
        let id = of_kind(Kind::Session, &input.session_id);
        let operation = mutate(ctx, input.idempotency_key, async |app, call| app.end_session(&call, id).await);
        Some(operation.await)
    }

    /// Ends all sessions of a user, yourself or, for administrators, another.
    async fn end_all_sessions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose sessions.")] input: EndAllSessionsInput,
    ) -> Option<Result<EndSessionPayload>> {
        let (user, keep) = (of_kind(Kind::User, &input.user_id), input.keep_current);
        let operation =
            mutate(ctx, input.idempotency_key, async |app, call| app.end_all_sessions(&call, user, keep).await);
        Some(operation.await)
    }

    /// Sets your own password, for whoever says the present one; your other sessions end. Not for keys. Stands alone
    /// in its operation, and who guesses is told RATE_LIMITED as in signIn.
    async fn change_password(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The passwords.")] input: ChangePasswordInput,
    ) -> Option<Result<SetPasswordPayload>> {
        let done = async {
            let (viewer, address) = (viewer(ctx)?, presented(ctx)?);
            let changed = app(ctx).change_password(&viewer, &input.old_password, &input.new_password, address).await;
            worded(app(ctx).store().epoch(), heard(changed)?)
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
