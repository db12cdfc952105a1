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
