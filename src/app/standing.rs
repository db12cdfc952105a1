//! How long a credential stands, and the keys that sign what people present.
//! Never lets a socket outlive what it was opened with.

use super::{App, Committed, Credential, Failed, Fault, Seat};
use crate::{
    domain::{
        access::{Denied, Viewer},
        action,
        identity::Session,
        receipt::Gone,
        time::Timestamp,
    },
    limits::SOCKET_STANDING_MILLISECONDS,
    store::{Snapshot, Turn},
};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

impl App {
    /// The newest version, if the viewer still stands: not disabled, revoked, signed out or expired.
    ///
    /// # Errors
    /// `Unauthenticated`, or a fault.
    pub(super) async fn standing(&self, viewer: &Arc<Viewer>) -> Result<Snapshot, Failed> {
        let snapshot = self.snapshot(viewer).await?;
        // What ends by itself ends without a commit.
        if self.end(&snapshot)?.is_some_and(|end| end <= self.store.clock().now()) {
            return Err(Denied::Unauthenticated.into());
        }
        Ok(snapshot)
    }

    /// When what the viewer came with ends by itself, or one secret of his key.
    fn end(&self, snapshot: &Snapshot) -> Result<Option<Timestamp>, Denied> {
        let view = snapshot.view();
        let session = view.viewer().session().map(|session| view.readable::<Session>(session)).transpose()?;
        let now = self.store.clock().now();
        let key = || view.caller().map(|caller| caller.key.and_then(|key| key.ends(now)));
        session.map_or_else(key, |session| Ok(Some(session.expires_at)))
    }

    /// Waits until what a socket was opened with no longer stands: the session ended, the user was disabled, the key
    /// was revoked or has expired. An access token that runs out meanwhile ends nothing: its session goes on.
    pub async fn ended(&self, credential: &Credential, viewer: &Arc<Viewer>, mut seat: Seat) {
        let pause = Duration::from_millis(SOCKET_STANDING_MILLISECONDS);
        loop {
            seat.wake.borrow_and_update();
            // What it takes to ask is gone while one waits: most wait most of the time.
            match Box::pin(self.stands(credential, viewer)).await {
                Ok(end) => end.iter().for_each(|end| seat.wake_at(*end)),
                Err(Failed::Denied(_)) => {
                    // Operations under way say first that they have ended.
                    return Box::pin(sleep(pause)).await;
                }
                // Asked again soon.
                Err(_) => seat.wake_at(self.store.clock().now()),
            }
            // When nothing can change any more, the server is stopping.
            if seat.wake.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Until when at least what a socket was opened with still stands by itself.
    async fn stands(&self, credential: &Credential, viewer: &Arc<Viewer>) -> Result<Option<Timestamp>, Failed> {
        if credential.is_key() {
            self.authenticate_again(credential).await?;
        }
        Ok(self.end(&self.standing(viewer).await?)?)
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
