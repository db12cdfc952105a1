//! How long a credential stands, and the keys that sign what people present.
//! Never lets a socket outlive what it was opened with.

use super::{App, Committed, Failed, Fault, token};
use crate::{
    domain::{
        access::{Denied, Viewer},
        action,
        identity::Session,
        receipt::Gone,
    },
    limits::SOCKET_STANDING_MILLISECONDS,
    store::{Snapshot, Turn},
};
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

impl App {
    /// The newest version, if the viewer still stands: not disabled, revoked, signed out or expired.
    ///
    /// # Errors
    /// `Unauthenticated`, or a fault.
    pub(super) async fn standing(&self, viewer: &Arc<Viewer>) -> Result<Snapshot, Failed> {
        let snapshot = self.snapshot(viewer).await?;
        let view = snapshot.view();
        // What ends by itself ends without a commit.
        let session = viewer.session().map(|session| view.readable::<Session>(session)).transpose()?;
        let key = view.caller()?.key.and_then(|key| key.expires_at);
        let end = session.map(|session| session.expires_at).or(key);
        if end.is_some_and(|end| end <= self.store.clock().now()) {
            return Err(Denied::Unauthenticated.into());
        }
        Ok(snapshot)
    }

    /// Waits until what a socket was opened with no longer stands: the session ended, the user was disabled, the key
    /// was revoked or has expired. An access token that runs out meanwhile ends nothing: its session goes on.
    pub async fn ended(&self, credential: &str, viewer: &Arc<Viewer>) {
        let mut wake = self.store.of(viewer).watch();
        let pause = Duration::from_millis(SOCKET_STANDING_MILLISECONDS);
        loop {
            wake.borrow_and_update();
            let stands = if token::is_key(credential) {
                self.authenticate(credential).await.map(drop)
            } else {
                self.standing(viewer).await.map(drop)
            };
            if matches!(stands, Err(Failed::Denied(_))) {
                return;
            }
            // What ends by itself wakes nobody; when nothing can change any more, the server is stopping.
            if let Ok(Err(_)) = timeout(pause, wake.changed()).await {
                return std::future::pending().await;
            }
            // Operations under way say first that they have ended.
            sleep(pause).await;
        }
    }

    /// Has access tokens signed by a new key from now on; those of the old one stay good as long as they would have.
    /// Answers the new key's name.
    ///
    /// # Errors
    /// `Forbidden` for everybody but the platform operator; a fault when the key cannot be stored.
    pub async fn rotate_signing_key(&self, viewer: &Arc<Viewer>) -> Result<Committed<String>, Failed> {
        let _alone = self.inner.rotating.lock().await;
        // Whoever may not rotate must not have the server write files; the turn asks once more.
        self.snapshot(viewer).await?.view().tenant()?.authorize::<action::RotateSigningKey>()?;
        let (this, now) = (self.clone(), self.store.clock().now());
        let prepared = tokio::task::spawn_blocking(move || this.inner.tokens.prepare(this.store.keys(), now)).await;
        let ring = prepared.map_err(|_| Fault::Panicked)?.map_err(|error| {
            tracing::error!(%error, "a key that signs access tokens could not be made");
            Fault::Refused
        })?;
        let kid = ring.kid().to_owned();
        let told = kid.clone();
        let rotated = self.write_unkeyed(viewer, move |turn: &mut Turn<'_>| {
            let tenant = turn.view().tenant()?.authorize::<action::RotateSigningKey>()?;
            turn.stage(tenant.rotate_signing_key(told)?)
        });
        let rotated = rotated.await?;
        self.inner.tokens.install(ring);
        Ok(rotated.map(|Gone(_)| kid))
    }

    /// The public keys of which access tokens are good now: a JWK set (RFC 7517) as JSON.
    pub fn public_keys(&self) -> Option<String> {
        serde_json::to_string(&self.inner.tokens.public(self.store.clock().now())).ok()
    }
}
