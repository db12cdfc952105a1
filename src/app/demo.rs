//! The demo's organisations: both fixtures, with everyone signed in.
//! Never makes a password: people get tokens, nodes get their keys, and both are answered once.

use super::{
    App, Failed,
    fixture::{self, Fixture, FixtureError, Makers},
    token,
};
use crate::domain::{access::SystemActor, id::TenantId};

/// A fixture that the demo founds.
#[derive(Clone, Copy, Debug)]
pub struct DemoFixture {
    /// The organisation's short name.
    pub slug: &'static str,
    /// Its fixture.
    pub fixture: Fixture,
}

/// The tutorial's organisation, and one with the same names inside.
pub const FIXTURES: [DemoFixture; 2] = [
    DemoFixture { slug: "acme", fixture: fixture::ACME },
    DemoFixture { slug: "globex", fixture: fixture::GLOBEX },
];

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
    /// The machine gave no randomness.
    #[error("the operating system gave no randomness")]
    Randomness,
}

impl From<Failed> for NotFounded {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

/// How long the demo's tokens are good, in seconds: a day of trying things out, on this machine only.
const DEMO_TOKEN_LIFETIME_SECONDS: i64 = 24 * 60 * 60;

/// Founds a fixture's organisation where it is not there yet, and signs everyone in.
///
/// # Errors
/// See [`NotFounded`].
pub async fn found(app: &App, demo: DemoFixture) -> Result<Vec<Signed>, NotFounded> {
    let makers = Makers { ids: &**app.store().ids(), secret: &secret, now: app.store().clock().now() };
    let resolved = fixture::resolve(demo.fixture.file, demo.fixture.text, makers)?;
    let (tenant, keys) = match app.tenant_called(demo.slug).await? {
        Some(tenant) => (tenant, made_again(app, tenant, &resolved.credentials.keys).await?),
        None => {
            let tenant = resolved.founding.tenant.id;
            let keys = resolved.credentials.keys.iter();
            let keys = keys.map(|key| (key.handle.clone(), token::key_credential(tenant, key.id, key.secret))).collect();
            app.create_tenant(&Call { viewer: founder(PLATFORM), idempotency: None }, resolved.founding).await?;
            (tenant, keys)
        }
    };
    let mut signed = vec![];
    for user in resolved.credentials.users {
        let token = app.issue_access_token(tenant, &user.email, DEMO_TOKEN_LIFETIME_SECONDS).await?;
        let (handle, name) = (user.handle, user.name.to_string());
        signed.push(Signed { handle, name, credential: token.outcome.access_token, is_key: false });
    }
    let keys = keys.into_iter();
    signed.extend(keys.map(|(handle, credential)| Signed { name: handle.clone(), handle, credential, is_key: true }));
    Ok(signed)
}
