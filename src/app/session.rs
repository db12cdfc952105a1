//! Who asks: credentials become viewers; signing in, refreshing, signing out, and setting passwords by link.
//! Never tells why a credential was not accepted: unknown, wrong, expired and disabled answer alike.

use super::{
    App, Call, Committed, Failed, Fault,
    tenant::PLATFORM,
    throttle::Account,
    token::{self, Bearer, RefreshSecret},
};
use crate::{
    domain::{
        access::{Denied, Principal, SystemActor, Viewer},
        action,
        id::{SessionId, TenantId, UserId},
        identity::{PasswordLink, Session, User, hash_of_secret, same_secret},
        receipt::Gone,
        refusal::Refusal,
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

/// A password link and its token, which is shown once.
pub struct MadeLink {
    /// The link.
    pub link: Arc<PasswordLink>,
    /// Its token; none when a repeated command answers with a link that was made before.
    pub token: Option<String>,
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

const UNAUTHENTICATED: Failed = Failed::Denied(Denied::Unauthenticated);

impl App {
    /// The viewer that a credential stands for: an access token or an API key.
    ///
    /// # Errors
    /// `Unauthenticated`, whatever is wrong with it; a fault when the tenant cannot be loaded.
    pub async fn authenticate(&self, credential: &str) -> Result<Arc<Viewer>, Failed> {
        if token::is_key(credential) { self.key(credential).await } else { self.bearer(credential).await }
    }

    async fn bearer(&self, credential: &str) -> Result<Arc<Viewer>, Failed> {
        let bearer = self.inner.tokens.bearer(credential, self.store.clock().now());
        let Bearer { tenant, user, session } = bearer.ok_or(UNAUTHENTICATED)?;
        self.must_be_tenant(tenant).await?;
        let viewer = Arc::new(Viewer::verified(tenant, Principal::User(user)).within(session));
        self.snapshot(&viewer).await?;
        Ok(viewer)
    }

    async fn key(&self, credential: &str) -> Result<Arc<Viewer>, Failed> {
        let presented = token::parse_key(credential).ok_or(UNAUTHENTICATED)?;
        self.must_be_tenant(presented.tenant).await?;
        let viewer = Arc::new(Viewer::verified(presented.tenant, Principal::Key(presented.key)));
        let snapshot = self.snapshot(&viewer).await?;
        let key = snapshot.view().caller()?.key.ok_or(UNAUTHENTICATED)?;
        let lasts = key.expires_at.is_none_or(|end| end > self.store.clock().now());
        if same_secret(&key.secret_hash, &presented.secret_hash) && lasts { Ok(viewer) } else { Err(UNAUTHENTICATED) }
    }

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
        let (Some(viewer), Some(candidate), true) = (viewer, candidate, verified) else { return Err(UNAUTHENTICATED) };
        let secret = RefreshSecret::new()?;
        let begun = self.write_unkeyed(&viewer, move |turn: &mut Turn<'_>| {
            let tenant = turn.view().tenant()?.authorize::<action::SignIn>()?;
            let change = tenant.sign_in(&candidate, secret.hashes(), turn.ids(), turn.now())?;
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

    /// The next tokens of a session, for a refresh token that is good once. One that comes again ends the session.
    ///
    /// # Errors
    /// `Unauthenticated`, whatever is wrong with it.
    pub async fn refresh_session(&self, refresh_token: &str) -> Result<Committed<SignedIn>, Failed> {
        let (tenant, session, presented) = token::parse_refresh(refresh_token).ok_or(UNAUTHENTICATED)?;
        self.must_be_tenant(tenant).await?;
        let next = presented.next()?;
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

    /// Makes a one-time link with which a user sets a password; the older ones end.
    ///
    /// # Errors
    /// As the rule.
    pub async fn create_password_link(&self, call: &Call, user: UserId) -> Result<Committed<MadeLink>, Failed> {
        let tenant = call.viewer.tenant();
        let secret = token::random::<32>()?;
        let hash = hash_of_secret(&secret);
        let made = self.write(call, move |turn| {
            let user = turn.view().user(user)?.authorize()?;
            turn.stage(user.create_password_link(hash, turn.ids(), turn.now())?)
        });
        Ok(made.await?.map(|link| {
            // A command that is repeated answers the link of the first time, whose secret nobody knows any more.
            let fresh = same_secret(&link.secret_hash, &hash);
            let token = fresh.then(|| token::link_token(tenant, link.id, secret));
            MadeLink { link, token }
        }))
    }

    /// Sets a password with the token of a link; every session of the user ends.
    ///
    /// # Errors
    /// `LINK_NOT_VALID`, `PASSWORD_NOT_ALLOWED`; `Overloaded` when too many passwords wait to be hashed.
    pub async fn set_password(&self, link_token: &str, password: &str) -> Result<Committed<Arc<User>>, Failed> {
        let invalid = || Failed::Refused(Refusal::LinkNotValid {});
        let (tenant, link, presented) = token::parse_link(link_token).ok_or_else(invalid)?;
        self.must_be_tenant(tenant).await.map_err(|_| invalid())?;
        let password = Password::parse(password)?;
        let viewer = presenter(tenant);
        // Whoever has no link must not make the server hash; the rule asks once more.
        let snapshot = self.store.of(&viewer).read().await?;
        snapshot.view().valid_link(link, &presented, self.store.clock().now())?;
        let hash = self.inner.passwords.hash(password).await?;
        let set = self.write_unkeyed(&viewer, move |turn: &mut Turn<'_>| {
            let tenant = turn.view().tenant()?.authorize::<action::SetPassword>()?;
            turn.stage(tenant.set_password(link, &presented, hash, turn.now())?)
        });
        set.await
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
        let (user, session): (UserId, SessionId) = (session.user, session.id);
        let bearer = Bearer { tenant, user, session };
        let (access_token, expires_at) = self.inner.tokens.issue(bearer, self.store.clock().now(), lifetime_seconds)?;
        let refresh_token = secret.token(tenant, session);
        let viewer = Arc::new(Viewer::verified(tenant, Principal::User(user)).within(session));
        let snapshot = self.snapshot(&viewer).await?;
        Ok(Committed { outcome: SignedIn { user, access_token, refresh_token, expires_at }, snapshot, number })
    }

    /// The organisation of this short name, the platform's own included.
    pub async fn tenant_called(&self, slug: &str) -> Result<Option<TenantId>, Fault> {
        let platform = self.directory().await?;
        Ok(platform.view().tenant_called(slug).ok())
    }

    /// Checks that a tenant exists before anything of it is loaded: its id comes from a stranger.
    async fn must_be_tenant(&self, tenant: TenantId) -> Result<(), Failed> {
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
