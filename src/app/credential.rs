//! Who asks: credentials become viewers.
//! Never tells why a credential was not accepted: unknown, wrong, expired and disabled answer alike.

use super::{
    App, Failed,
    access_token::Verified,
    token::{self, KeyCredential},
};
use crate::{
    domain::access::{Denied, Principal, Viewer},
    limits::CREDENTIAL_BYTES_MAX,
};
use std::sync::Arc;

pub(super) const UNAUTHENTICATED: Failed = Failed::Denied(Denied::Unauthenticated);

/// What somebody presented, as far as it takes to ask again whether it is good: shorter than its text, and no secret.
pub struct Credential(Presented);

enum Presented {
    Token(Verified),
    Key(KeyCredential),
}

impl Credential {
    /// Whether it is an API key, good or not; anything else is an access token.
    pub(super) const fn is_key(&self) -> bool {
        matches!(self.0, Presented::Key(_))
    }
}

impl App {
    /// What somebody presents: an access token that this server signed, or an API key.
    ///
    /// # Errors
    /// `Unauthenticated` where it is neither.
    pub fn credential(&self, presented: &str) -> Result<Credential, Failed> {
        // Nothing of this server's making is longer, and what is not looked at costs nothing.
        if presented.len() > CREDENTIAL_BYTES_MAX {
            return Err(UNAUTHENTICATED);
        }
        let presented = if token::is_key(presented) {
            token::parse_key(presented).map(Presented::Key)
        } else {
            self.inner.tokens.read(presented, self.store.clock().now()).map(Presented::Token)
        };
        presented.map(Credential).ok_or(UNAUTHENTICATED)
    }

    /// The viewer that a credential stands for.
    ///
    /// # Errors
    /// `Unauthenticated`, whatever is wrong with it; a fault when the tenant cannot be loaded.
    pub async fn authenticate(&self, presented: &str) -> Result<Arc<Viewer>, Failed> {
        self.authenticate_again(&self.credential(presented)?).await
    }

    /// As [`App::authenticate`], for whoever keeps what he presented.
    ///
    /// # Errors
    /// As it.
    pub async fn authenticate_again(&self, credential: &Credential) -> Result<Arc<Viewer>, Failed> {
        match &credential.0 {
            Presented::Token(token) => self.bearer(token).await,
            Presented::Key(key) => self.key(key).await,
        }
    }

    async fn bearer(&self, token: &Verified) -> Result<Arc<Viewer>, Failed> {
        let bearer = self.inner.tokens.bearer(token, self.store.clock().now());
        let bearer = bearer.ok_or(UNAUTHENTICATED)?;
        self.must_be_tenant(bearer.tenant).await?;
        let viewer = Arc::new(bearer.viewer());
        self.snapshot(&viewer).await?;
        Ok(viewer)
    }

    async fn key(&self, presented: &KeyCredential) -> Result<Arc<Viewer>, Failed> {
        self.must_be_tenant(presented.tenant).await?;
        let viewer = Arc::new(Viewer::verified(presented.tenant, Principal::Key(presented.key)));
        let snapshot = self.snapshot(&viewer).await?;
        let key = snapshot.view().caller()?.key.ok_or(UNAUTHENTICATED)?;
        let now = self.store.clock().now();
        if !key.accepts(&presented.secret_hash, now) || !key.lasts(now) {
            return Err(UNAUTHENTICATED);
        }
        self.store.note_use(presented.tenant, key.id);
        Ok(viewer)
    }
}
