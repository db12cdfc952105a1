//! Identifiers: one type for each noun, so that two of them cannot be confused.
//! Never makes one by itself: new ids come from the [`Ids`] that the caller passes in.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// A source of new ids. The server's are UUIDv7, a test's are counted.
pub trait Ids: Send + Sync {
    /// The next id, never given out before.
    fn next(&self) -> Uuid;
}

macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// The id that these bytes name; whether such a record exists is not known yet.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bytes of the id.
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// A new id.
            pub fn new(ids: &dyn Ids) -> Self {
                Self(ids.next())
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

ids! {
    /// One organisation.
    TenantId,
    /// A person.
    UserId,
    /// A set of users.
    GroupId,
    /// A role that assignment rules give to people.
    RoleId,
    /// A rule that gives a role.
    AssignmentRuleId,
    /// The grants of one item type, or the defaults.
    GrantsId,
    /// A credential of a machine or of a user's script.
    ApiKeyId,
    /// A sign-in that can be refreshed until it ends.
    SessionId,
    /// A one-time link with which a person sets a password.
    PasswordLinkId,
    /// A system that reports source objects.
    SourceNodeId,
    /// What a source node reports.
    SourceObjectId,
    /// A version of an item type's definition.
    TemplateId,
    /// A governed item.
    ItemId,
    /// A sign-off, attached to one step of one item.
    SignOffId,
    /// One feedback, or a final approval.
    ReviewId,
    /// The instance rules of the tenant or of one item.
    InstanceRulesId,
    /// Where bundles are deployed.
    InfrastructureId,
    /// One bundle or version on one infrastructure.
    DeploymentId,
    /// The memory of a command that carried an idempotency key.
    ReceiptId,
}
