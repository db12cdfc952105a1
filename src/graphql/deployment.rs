//! Deployments as clients read them.
//! Never stores a health: each is computed from the version that the answer shows.

use super::{
    call::connection, id::global, identity::User, infrastructure::Infrastructure, scalar::DateTime,
    source::SourceObject,
};
use crate::{
    app::Seen,
    domain::{action::ReadDeployment, deployment, record::Kind},
};
use async_graphql::{Enum, ID, Object, SimpleObject};

/// Where a deployment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "deployment::DeploymentStatus")]
pub(super) enum DeploymentStatus {
    /// Allowed, and not active yet.
    Created,
    /// Active.
    Active,
    /// Switched off.
    Disabled,
}

/// How a deployment fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "deployment::Health")]
pub(super) enum Health {
    /// Nobody asks. The metric shows −1.
    NoStatus,
    /// As it should be. The metric shows 0.
    Healthy,
    /// Somebody should look. The metric shows 1.
    Warning,
    /// It should not be there. The metric shows 2.
    Error,
}

/// That a person went on in spite of a warning.
#[derive(SimpleObject)]
pub(super) struct Confirmation {
    /// Who.
    by: Option<User>,
    /// Why.
    reason: String,
    /// When.
    at: DateTime,
    /// For which content; another one needs another confirmation.
    content_digest: Option<String>,
}

/// One bundle or version on one infrastructure.
#[derive(Clone)]
pub(super) struct Deployment(pub(super) Seen<deployment::Deployment>);

impl Deployment {
    fn computed(
        &self,
        of: impl FnOnce(&crate::domain::access::Allowed<'_, ReadDeployment, deployment::Deployment>) -> deployment::Health,
    ) -> Health {
        let read = self.0.view().deployment(self.0.id).and_then(|deployment| deployment.authorize::<ReadDeployment>());
        read.map_or(Health::NoStatus, |deployment| of(&deployment).into())
    }
}

/// One bundle or version on one infrastructure.
#[Object]
impl Deployment {
    /// Its id.
    pub(super) async fn id(&self) -> ID {
        global(Kind::Deployment, self.0.id.uuid())
    }

    /// Counts changes; name it when you change the deployment.
    async fn revision(&self) -> u64 {
        self.0.revision
    }

    /// What people call it.
    async fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// Where it is; null where you may not see it.
    async fn infrastructure(&self) -> Option<Infrastructure> {
        Seen::find(self.0.snapshot(), self.0.infrastructure).ok().map(Infrastructure)
    }

    /// What is deployed; null where you may not read it.
    async fn source_object(&self) -> Option<SourceObject> {
        Seen::find(self.0.snapshot(), self.0.source).ok().map(SourceObject)
    }

    /// Where it stands.
    async fn status(&self) -> DeploymentStatus {
        self.0.status.into()
    }

    /// What governance makes of it: of the sign-off that its infrastructure asks for.
    async fn governance_health(&self) -> Health {
        self.computed(|deployment| deployment.governance_health())
    }

    /// The worst of what governance and the deployer say.
    async fn health(&self) -> Health {
        self.computed(|deployment| deployment.health())
    }

    /// What the deployer last said about it.
    async fn reported_status(&self) -> Option<Health> {
        self.0.reported.as_ref().map(|reported| reported.status.into())
    }

    /// The confirmation of a warning, where one was given.
    async fn confirmation(&self) -> Option<Confirmation> {
        let given = self.0.confirmation.as_ref()?;
        Some(Confirmation {
            by: Seen::find(self.0.snapshot(), given.by).ok().map(User),
            reason: given.reason.to_string(),
            at: given.at.into(),
            content_digest: given.content_digest.clone(),
        })
    }

    /// Who made it; null for a key.
    async fn created_by(&self) -> Option<User> {
        self.0.created_by.and_then(|user| Seen::find(self.0.snapshot(), user).ok()).map(User)
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When it last became active.
    async fn deployed_at(&self) -> Option<DateTime> {
        self.0.deployed_at.map(Into::into)
    }
}

connection! {
    /// A page of deployments.
    DeploymentConnection, DeploymentEdge of Deployment(deployment::Deployment)
}
