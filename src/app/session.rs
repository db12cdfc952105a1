//! Signing in, refreshing, signing out, and setting passwords by link.
//! Never tells why nobody was signed in: unknown, wrong, expired and disabled answer alike.

use super::{
    App, Call, Committed, Failed, Fault, Seen, Verdict,
    access_token::Bearer,
    credential::UNAUTHENTICATED,
    tenant::PLATFORM,
    throttle::Account,
    token::{self, RefreshSecret},
};
use crate::{
    domain::{
        access::{Principal, SystemActor, Viewer},
        action,
        id::{SessionId, TenantId, UserId},
        identity::{Session, User},
        receipt::Gone,
        session::{Candidate, Password, Refreshed},
        time::Timestamp,
    },
    limits::ACCESS_TOKEN_LIFETIME_SECONDS,
    store::{Snapshot, Turn},
};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// What whoever signed in gets: the tokens are nowhere else.
pub struct SignedIn {
    /// Who it is.
    pub user: UserId,
    /// What requests carry.
    pub access_token: String,
    /// With what the next tokens are asked for, once.
    pub refresh_token: String,
    /// Until when the access token is good.
    pub expires_at: Timestamp,
}

/// With what somebody signs in.
#[derive(Clone)]
pub struct SignIn {
    /// The organisation's short name.
    pub organisation: String,
    /// The address, in any case.
    pub email: String,
    /// The password.
    pub password: String,
}

/// Why somebody was not signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSignedIn {
    /// Too many attempts, good or bad, for this account or from this place.
    Throttled {
        /// How long to wait before another attempt is heard.
        wait: Duration,
    },
    /// The credential, or the machine.
    Failed(Failed),
}

impl From<Failed> for NotSignedIn {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

impl App {
    /// Begins a session with a password. Everything that is wrong answers alike, after the same work.
    ///
    /// # Errors
    /// See [`NotSignedIn`]; `Overloaded` when too many passwords wait to be verified.
    pub async fn sign_in(&self, asked: SignIn, address: Option<IpAddr>) -> Result<Committed<SignedIn>, NotSignedIn> {
        let account = Account::new(&asked.organisation, &asked.email);
        self.inner.throttle.attempt(account, address).map_err(|wait| NotSignedIn::Throttled { wait })?;
        Ok(self.begin_session(asked).await?)
    }

    async fn begin_session(&self, asked: SignIn) -> Result<Committed<SignedIn>, Failed> {
        let found = self.candidate(&asked).await?;
        let (viewer, candidate) = found.map_or((None, None), |(viewer, found)| (Some(viewer), Some(found)));
        let hash = candidate.as_ref().map(|candidate| candidate.password_hash.clone());
        let verified = self.inner.passwords.verify(Password::parse(&asked.password).ok(), hash).await?;
        let (Some(viewer), Some(candidate), Verdict::Right { rehashed }) = (viewer, candidate, verified) else {
            return Err(UNAUTHENTICATED);
        };
        let secret = RefreshSecret::new()?;
        let begun = self.write_unkeyed(&viewer, move |turn: &mut Turn<'_>| {
            let tenant = turn.view().tenant()?.authorize::<action::SignIn>()?;
            let change = tenant.sign_in(&candidate, rehashed, secret.hashes(), turn.ids(), turn.now())?;
            turn.stage(change)
        });
        self.signed_in(begun.await?, viewer.tenant(), secret, ACCESS_TOKEN_LIFETIME_SECONDS).await
    }

    /// Whose password is to be verified, if anybody's.
    async fn candidate(&self, asked: &SignIn) -> Result<Option<(Arc<Viewer>, Candidate)>, Failed> {
        let Some(tenant) = self.tenant_called(&asked.organisation).await? else { return Ok(None) };
        let viewer = presenter(tenant);
        let snapshot = self.store.of(&viewer).read().await?;
        Ok(snapshot.view().candidate(&asked.email).ok().map(|candidate| (viewer, candidate)))
    }

    /// The next tokens of a session, for a refresh token that is good once. One that comes again within seconds is
    /// answered the same; later it ends the session.
    ///
    /// # Errors
    /// `Unauthenticated`, whatever is wrong with it.
    pub async fn refresh_session(&self, refresh_token: &str) -> Result<Committed<SignedIn>, Failed> {
        let (tenant, session, presented) = token::parse_refresh(refresh_token).ok_or(UNAUTHENTICATED)?;
        self.must_be_tenant(tenant).await?;
        let next = presented.next(&self.inner.refresh_secret, session);
        let viewer = presenter(tenant);
        let refreshed = self.write_unkeyed(&viewer, move |turn: &mut Turn<'_>| {
            let tenant = turn.view().tenant()?.authorize::<action::RefreshSession>()?;
            let change = tenant.refresh(session, &presented.hashes(), next.hashes().own, turn.now())?;
            turn.stage(change)
        });
        let Committed { outcome, snapshot, number } = refreshed.await?;
        match outcome {
            Refreshed::Continued(session) => {
                let committed = Committed { outcome: session, snapshot, number };
                self.signed_in(committed, tenant, next, ACCESS_TOKEN_LIFETIME_SECONDS).await
            }
            Refreshed::Ended => {
                tracing::warn!(%tenant, %session, "a used refresh token came again; its session was ended");
                Err(UNAUTHENTICATED)
            }
        }
    }

    /// Begins a session in which an administrator acts as somebody else; its tokens are in the answer and nowhere else.
    ///
    /// # Errors
    /// As the rule.
    pub async fn impersonate(&self, viewer: &Arc<Viewer>, user: UserId) -> Result<Committed<SignedIn>, Failed> {
        let secret = RefreshSecret::new()?;
        let begun = self.write_unkeyed(viewer, move |turn: &mut Turn<'_>| {
            let user = turn.view().user(user)?.authorize()?;
            turn.stage(user.impersonate(secret.hashes(), turn.ids(), turn.now())?)
        });
        self.signed_in(begun.await?, viewer.tenant(), secret, ACCESS_TOKEN_LIFETIME_SECONDS).await
    }

    /// Ends the session that the caller asks with.
    ///
    /// # Errors
    /// `Forbidden` for keys: they have no session.
    pub async fn sign_out(&self, viewer: &Arc<Viewer>) -> Result<Committed<Gone>, Failed> {
        let ended = self.write_unkeyed(viewer, move |turn: &mut Turn<'_>| {
            let tenant = turn.view().tenant()?.authorize::<action::SignOut>()?;
            let user = turn.stage(tenant.sign_out()?)?;
            Ok(Gone(user.uuid()))
        });
        ended.await
    }

    /// Ends one session, one's own or, for administrators, another's.
    ///
    /// # Errors
    /// As the rule.
    pub async fn end_session(&self, call: &Call, id: SessionId) -> Result<Committed<Gone>, Failed> {
        self.write(call, move |turn| {
            let session = turn.view().session(id)?.authorize()?;
            turn.stage(session.end_session()?)
        })
        .await
    }

    /// Ends all sessions of a person; the caller's own where he does not keep it.
    ///
    /// # Errors
    /// As the rule.
    pub async fn end_all_sessions(&self, call: &Call, user: UserId, keep_own: bool) -> Result<Committed<Gone>, Failed> {
        self.write(call, move |turn| {
            let user = turn.view().user(user)?.authorize()?;
            turn.stage(user.end_all_sessions(keep_own)?)
        })
        .await
    }

    /// Begins a session for a user without a password, with an access token of another lifetime than usual: how the
    /// demo shows everyone signed in.
    ///
    /// # Errors
    /// `UNKNOWN_PERSON` for an unknown or disabled user.
    pub async fn issue_access_token(
        &self,
        tenant: TenantId,
        user: UserId,
        lifetime_seconds: i64,
    ) -> Result<Committed<SignedIn>, Failed> {
        self.must_be_tenant(tenant).await?;
        let secret = RefreshSecret::new()?;
        let viewer = Arc::new(Viewer::verified(tenant, Principal::System(SystemActor::Founding)));
        let begun = self.write_unkeyed(&viewer, move |turn: &mut Turn<'_>| {
            let tenant = turn.view().tenant()?.authorize::<action::SignIn>()?;
            let change = tenant.sign_in_without_password(user, secret.hashes(), turn.ids(), turn.now())?;
            turn.stage(change)
        });
        self.signed_in(begun.await?, tenant, secret, lifetime_seconds).await
    }

    /// The tokens of a session that has just begun or goes on, and the version that its user sees.
    async fn signed_in(
        &self,
        committed: Committed<Arc<Session>>,
        tenant: TenantId,
        secret: RefreshSecret,
        lifetime_seconds: i64,
    ) -> Result<Committed<SignedIn>, Failed> {
        let Committed { outcome: session, number, .. } = committed;
        let (user, bearer) = (session.user, Bearer::of(tenant, &session));
        let (access_token, expires_at) = self.inner.tokens.issue(bearer, self.store.clock().now(), lifetime_seconds)?;
        let refresh_token = secret.token(tenant, session.id);
        let viewer = Arc::new(bearer.viewer());
        let snapshot = self.snapshot(&viewer).await?;
        Ok(Committed { outcome: SignedIn { user, access_token, refresh_token, expires_at }, snapshot, number })
    }

    /// The organisation of this short name, the platform's own included.
    pub async fn tenant_called(&self, slug: &str) -> Result<Option<TenantId>, Fault> {
        let platform = self.directory().await?;
        Ok(platform.view().tenant_called(slug).ok())
    }

    /// Checks that a tenant exists before anything of it is loaded: its id comes from a stranger.
    pub(super) async fn must_be_tenant(&self, tenant: TenantId) -> Result<(), Failed> {
        let known = tenant == PLATFORM || self.directory().await?.view().is_tenant(tenant);
        if known { Ok(()) } else { Err(UNAUTHENTICATED) }
    }

    async fn directory(&self) -> Result<Snapshot, Fault> {
        self.store.of(&presenter(PLATFORM)).read().await
    }
}

/// Whoever presents a credential to a tenant, and is nobody yet.
pub(super) fn presenter(tenant: TenantId) -> Arc<Viewer> {
    Arc::new(Viewer::verified(tenant, Principal::Credential))
}

impl Seen<User> {
    /// Her sessions, as far as the viewer may know them, oldest first.
    pub fn sessions(&self) -> Vec<Seen<Session>> {
        Seen::all(self.snapshot(), self.view().sessions_of(self.id)).collect()
    }
}
