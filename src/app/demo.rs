//! The demo's organisations: both fixtures, with everyone signed in.
//! Never makes a password: people get tokens, nodes get their keys, and both are answered once.

use super::{
    App, Call, Failed, PLATFORM,
    fixture::{self, Fixture, FixtureError, MadeKey, Makers, Resolved},
    founder,
    identity::AskedKey,
    token,
};
use crate::domain::{
    founding::Founding,
    id::TenantId,
    identity::{ApiKey, User},
};
use std::cell::RefCell;

/// A fixture that the demo founds.
#[derive(Clone, Copy, Debug)]
pub struct DemoFixture {
    /// The organisation's short name.
    pub slug: &'static str,
    /// Its fixture.
    pub fixture: Fixture,
}

/// The tutorial's organisation, and one with the same names inside.
pub const FIXTURES: [DemoFixture; 2] =
    [DemoFixture { slug: "acme", fixture: fixture::ACME }, DemoFixture { slug: "globex", fixture: fixture::GLOBEX }];

/// Somebody of the demo, with what he presents.
pub struct Signed {
    /// What the fixture calls him.
    pub handle: String,
    /// What people call him; the handle for a key.
    pub name: String,
    /// An access token, or a key.
    pub credential: String,
    /// Whether it is a key of a node.
    pub is_key: bool,
}

/// Why the demo could not be founded.
#[derive(Debug, thiserror::Error)]
pub enum NotFounded {
    /// A fixture is wrong.
    #[error(transparent)]
    Fixture(#[from] FixtureError),
    /// An operation failed.
    #[error("the organisation could not be founded: {0:?}")]
    Failed(Failed),
}

impl From<Failed> for NotFounded {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

/// How long the demo's tokens are good, in seconds: a day of trying things out, on this machine only.
const DEMO_TOKEN_LIFETIME_SECONDS: i64 = 24 * 60 * 60;

/// Founds a fixture's organisation where it is not there yet, and signs everyone in. Where it is there, nodes get
/// new keys: the secrets of the first ones are nowhere.
///
/// # Errors
/// See [`NotFounded`].
pub async fn found(app: &App, demo: DemoFixture) -> Result<Vec<Signed>, NotFounded> {
    let mut secrets = vec![];
    for _ in 0..KEYS_MAX {
        secrets.push(token::random::<32>().map_err(Failed::from)?);
    }
    let secrets = RefCell::new(secrets);
    let secret = || secrets.borrow_mut().pop().unwrap_or_default();
    let makers = Makers { ids: &**app.store().ids(), secret: &secret, now: app.store().clock().now() };
    let Resolved { founding, credentials } = fixture::resolve(demo.fixture.file, demo.fixture.text, makers)?;
    let known = app.tenant_called(demo.slug).await.map_err(Failed::from)?;
    let mut signed = vec![];
    let tenant = match known {
        Some(tenant) => {
            signed.extend(keys_made_anew(app, tenant, &credentials.keys, &founding).await?);
            tenant
        }
        None => {
            let tenant = founding.tenant.id;
            signed.extend(
                credentials
                    .keys
                    .iter()
                    .map(|key| Signed::key(&key.handle, token::key_credential(tenant, key.id, key.secret))),
            );
            app.create_tenant(&Call { viewer: founder(PLATFORM), idempotency: None }, founding).await?;
            tenant
        }
    };
    let snapshot = app.snapshot(&founder(tenant)).await?;
    for made in credentials.users {
        let user = snapshot.view().all::<User>().find(|user| user.email == made.email).map(|user| user.id);
        let Some(user) = user else { continue };
        let token = app.issue_access_token(tenant, user, DEMO_TOKEN_LIFETIME_SECONDS).await?.outcome.access_token;
        signed.push(Signed { handle: made.handle, name: made.name.to_string(), credential: token, is_key: false });
    }
    Ok(signed)
}

/// More keys than any fixture has.
const KEYS_MAX: usize = 64;

async fn keys_made_anew(
    app: &App,
    tenant: TenantId,
    keys: &[MadeKey],
    founding: &Founding,
) -> Result<Vec<Signed>, NotFounded> {
    let call = Call { viewer: founder(tenant), idempotency: None };
    let snapshot = app.snapshot(&call.viewer).await?;
    let mut signed = vec![];
    for key in keys {
        // The first key of this name names the owner that exists; the fixture's own ids are new ones.
        let Some(wanted) = founding.api_keys.iter().find(|wanted| wanted.id == key.id) else { continue };
        let Some(first) = snapshot.view().all::<ApiKey>().find(|first| first.name == wanted.name) else { continue };
        let (name, owner, scopes) = (first.name.clone(), first.owner, first.scopes.clone());
        let made = app.create_api_key(&call, AskedKey { name, owner, scopes, expires_at: None }).await?.outcome;
        signed.extend(made.credential.map(|credential| Signed::key(&key.handle, credential)));
    }
    Ok(signed)
}

impl Signed {
    fn key(handle: &str, credential: String) -> Self {
        Self { handle: handle.to_owned(), name: handle.to_owned(), credential, is_key: true }
    }
}
