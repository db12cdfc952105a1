//! People and groups as others see them.
//! Never shows a hash, a secret or a session.

use super::id::global;
use crate::{
    app::Seen,
    domain::{identity, record::Kind},
};
use async_graphql::{ID, Object};

/// A person of the organisation.
#[derive(Clone)]
pub(super) struct User(pub(super) Seen<identity::User>);

/// A person of the organisation.
#[Object]
impl User {
    /// The person's id.
    pub(super) async fn id(&self) -> ID {
        global(Kind::User, self.0.id.uuid())
    }

    /// What people call her.
    async fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// Her address.
    async fn email(&self) -> &str {
        &self.0.email
    }

    /// Whether she may sign in and act.
    async fn active(&self) -> bool {
        self.0.active
    }
}

/// A set of users.
pub(super) struct Group(pub(super) Seen<identity::Group>);

/// A set of users.
#[Object]
impl Group {
    /// The group's id.
    pub(super) async fn id(&self) -> ID {
        global(Kind::Group, self.0.id.uuid())
    }

    /// What people call it.
    async fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// Its members, oldest first.
    async fn members(&self) -> Vec<User> {
        self.0.members.iter().filter_map(|user| Seen::find(self.0.snapshot(), *user).ok().map(User)).collect()
    }
}
