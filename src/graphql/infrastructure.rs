//! Infrastructures as clients read them.
//! Never runs anything on one.

use super::{call::connection, id::global};
use crate::{
    app::Seen,
    domain::{infrastructure, record::Kind},
};
use async_graphql::{Enum, ID, Object};

/// What an infrastructure is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "infrastructure::InfrastructureStage")]
pub(super) enum InfrastructureStage {
    /// Building.
    Development,
    /// Trying out.
    Test,
    /// Earning money.
    Production,
}

/// What happens to content that is not approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "infrastructure::Policy")]
pub(super) enum GovernPolicy {
    /// Nothing.
    NoCheck,
    /// A person must confirm with a reason.
    Warn,
    /// It is not deployed.
    Prevent,
}

/// Where bundles and versions are deployed.
#[derive(Clone)]
pub(super) struct Infrastructure(pub(super) Seen<infrastructure::Infrastructure>);

/// Where bundles and versions are deployed.
#[Object]
impl Infrastructure {
    /// Its id.
    pub(super) async fn id(&self) -> ID {
        global(Kind::Infrastructure, self.0.id.uuid())
    }

    /// Counts changes; name it when you change the infrastructure.
    async fn revision(&self) -> u64 {
        self.0.revision
    }

    /// Its short name.
    async fn slug(&self) -> &str {
        self.0.slug.as_str()
    }

    /// What people call it.
    async fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// What it is for.
    async fn stage(&self) -> InfrastructureStage {
        self.0.stage.into()
    }

    /// What happens to content that is not approved.
    async fn policy(&self) -> GovernPolicy {
        self.0.policy.into()
    }

    /// The step whose sign-off must be approved; null for the last mandatory one of each item.
    async fn required_step(&self) -> Option<String> {
        self.0.required_step.as_ref().map(ToString::to_string)
    }

    /// Whether a deployment here moves its item from Signed-off to Production.
    async fn moves_to_production(&self) -> bool {
        self.0.moves_to_production
    }
}

connection! {
    /// A page of infrastructures.
    InfrastructureConnection, InfrastructureEdge of Infrastructure(infrastructure::Infrastructure)
}
