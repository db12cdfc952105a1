//! Setting passwords: by a one-time link, or with the present one.
//! Never hashes for whoever has neither a good link nor a session.

use super::{App, Call, Committed, Failed, NotSignedIn, Seen, Verdict, session::presenter, throttle::Account, token};
use crate::{
    domain::{
        access::Viewer,
        action,
        id::UserId,
        identity::{PasswordLink, User, hash_of_secret, same_secret},
        refusal::Refusal,
        session::Password,
        tenant::Tenant,
    },
    store::Turn,
};
use std::{net::IpAddr, sync::Arc};

/// A password link and its token, which is shown once.
pub struct MadeLink {
    /// The link.
    pub link: Arc<PasswordLink>,
    /// Its token; none when a repeated command answers with a link that was made before.
    pub token: Option<String>,
}

impl App {
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

    /// Sets the caller's own password, who says the present one; her other sessions end. Guessing it is slowed down
    /// as signing in is.
    ///
    /// # Errors
    /// `WRONG_PASSWORD`, `PASSWORD_NOT_ALLOWED`; `Forbidden` for keys; see [`NotSignedIn`].
    pub async fn change_password(
        &self,
        viewer: &Arc<Viewer>,
        old: &str,
        new: &str,
        address: Option<IpAddr>,
    ) -> Result<Committed<Arc<User>>, NotSignedIn> {
        let snapshot = self.snapshot(viewer).await?;
        let (user, candidate) = snapshot.view().oneself().map_err(Failed::from)?;
        let organisation = Seen::<Tenant>::find(&snapshot, viewer.tenant()).map_err(Failed::from)?;
        let account = Account::new(organisation.slug.as_str(), &user.email);
        self.inner.throttle.attempt(account, address).map_err(|wait| NotSignedIn::Throttled { wait })?;
        let new = Password::parse(new).map_err(Failed::from)?;
        let kept = Some(candidate.password_hash.clone()).filter(|hash| !hash.is_empty());
        if self.inner.passwords.verify(Password::parse(old).ok(), kept).await? == Verdict::Wrong {
            return Err(Failed::from(Refusal::WrongPassword {}).into());
        }
        let hash = self.inner.passwords.hash(new).await?;
        let changed = self.write_unkeyed(viewer, move |turn: &mut Turn<'_>| {
            let tenant = turn.view().tenant()?.authorize::<action::ChangePassword>()?;
            turn.stage(tenant.change_password(&candidate, hash)?)
        });
        Ok(changed.await?)
    }
}
