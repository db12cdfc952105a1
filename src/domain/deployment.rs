//! Deployments: one bundle or version on one infrastructure, and its health.
//! Never stores governance health: it is computed from the sign-off that decides.

mod gate;
mod rules;

use super::{
    access::{Allowed, Basis, Denied, Resource, View},
    action::{Need, ReadDeployment},
    id::{DeploymentId, InfrastructureId, SourceObjectId, UserId},
    infrastructure::{Infrastructure, Policy},
    sign_off::SignOffStatus,
    source::{SourceObject, counts_for, deciding_sign_off},
    state::State,
    text::{Name, Text},
    time::Timestamp,
};
pub use rules::{NewDeployment, UpdatedDeployment};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One bundle or version on one infrastructure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deployment {
    /// Its id.
    pub id: DeploymentId,
    /// Counts changes, from 1.
    pub revision: u64,
    /// What people call it.
    pub name: Name,
    /// Where it is.
    pub infrastructure: InfrastructureId,
    /// What is deployed.
    pub source: SourceObjectId,
    /// Where it stands.
    pub status: DeploymentStatus,
    /// That a person went on in spite of a warning: for this content, on creation and deployment alike.
    pub confirmation: Option<Confirmation>,
    /// What the deployer last said about it.
    pub reported: Option<Reported>,
    /// Who made it; none for a key.
    pub created_by: Option<UserId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last became active.
    pub deployed_at: Option<Timestamp>,
    /// The digest of the content with which it last became active.
    #[serde(default)]
    pub deployed_digest: Option<String>,
}

/// Where a deployment stands; a deleted one is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentStatus {
    /// Allowed, and not active yet.
    Created,
    /// Active.
    Active,
    /// Switched off.
    Disabled,
}

/// That a person went on in spite of a warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// Who.
    pub by: UserId,
    /// Why.
    pub reason: Text,
    /// When.
    pub at: Timestamp,
    /// For which content; another one needs another confirmation.
    pub content_digest: Option<String>,
}

/// What the deployer said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// How it fares.
    pub status: Health,
    /// In words.
    pub message: Text,
    /// When.
    pub at: Timestamp,
}

/// How a deployment fares; the worse, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Nobody asks.
    NoStatus,
    /// As it should be.
    Healthy,
    /// Somebody should look.
    Warning,
    /// It should not be there.
    Error,
}

impl Health {
    /// The number that metrics show: 0 healthy, 1 warning, 2 error, −1 no status.
    pub const fn metric(self) -> i8 {
        match self {
            Self::NoStatus => -1,
            Self::Healthy => 0,
            Self::Warning => 1,
            Self::Error => 2,
        }
    }
}

impl DeploymentStatus {
    /// What people call it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}

/// Whether content is approved as an infrastructure wants it, or what stands against it, in words.
pub(in crate::domain) fn approval(
    state: &State,
    infrastructure: &Infrastructure,
    source: &SourceObject,
) -> Result<(), String> {
    let item = source.item().and_then(|item| state.item(item)).filter(|item| item.is_live());
    let Some(item) = item else { return Err(format!("{} is not governed.", source.name)) };
    let Some(sign_off) = deciding_sign_off(state, item, infrastructure.required_step.as_ref()) else {
        return Err(format!("{} has no sign-off to give.", item.name));
    };
    match sign_off.status() {
        SignOffStatus::Approved if counts_for(sign_off, source) => Ok(()),
        SignOffStatus::Approved => {
            Err(format!("the sign-off of {} at the step {} is APPROVED for other content.", item.name, sign_off.step))
        }
        status @ (SignOffStatus::NotStarted
        | SignOffStatus::WaitingForFeedback
        | SignOffStatus::WaitingForApproval
        | SignOffStatus::Rejected
        | SignOffStatus::Abandoned) => {
            Err(format!("the sign-off of {} at the step {} is {status}, not APPROVED.", item.name, sign_off.step))
        }
    }
}

/// What governance makes of a deployment, in one state.
pub(in crate::domain) fn governance_health(state: &State, deployment: &Deployment) -> Health {
    let infrastructure = state.infrastructure(deployment.infrastructure);
    let source = state.source_object(deployment.source);
    let Some((infrastructure, source)) = infrastructure.zip(source) else { return Health::NoStatus };
    match (infrastructure.policy, approval(state, infrastructure, source)) {
        (Policy::NoCheck, _) => Health::NoStatus,
        (Policy::Warn | Policy::Prevent, Ok(())) => Health::Healthy,
        (Policy::Warn, Err(_)) => Health::Warning,
        (Policy::Prevent, Err(_)) => Health::Error,
    }
}

/// The worst of what governance and the deployer say.
pub(in crate::domain) fn health(state: &State, deployment: &Deployment) -> Health {
    let reported = deployment.reported.as_ref().map_or(Health::NoStatus, |reported| reported.status);
    governance_health(state, deployment).max(reported)
}

impl Resource for Deployment {
    /// A deployment is read by those who see its infrastructure or read its source object, and handled by
    /// those with the grant on its infrastructure.
    fn may(&self, need: Need, view: View<'_>) -> Result<Basis, Denied> {
        let state = view.state();
        let infrastructure = state.infrastructure(self.infrastructure).ok_or(Denied::NotFound)?;
        let source = state.source_object(self.source).ok_or(Denied::NotFound)?;
        let visible = infrastructure.may(Need::Read, view);
        if need == Need::Read {
            return visible.or_else(|_| source.may(Need::Read, view));
        }
        visible.or_else(|_| source.may(Need::Read, view))?;
        infrastructure.may(need, view).map_err(|_| Denied::Forbidden(need.right()))
    }
}

impl<'s> Allowed<'s, ReadDeployment, Deployment> {
    /// What governance makes of it.
    pub fn governance_health(&self) -> Health {
        governance_health(self.state(), self)
    }

    /// The worst of what governance and the deployer say.
    pub fn health(&self) -> Health {
        health(self.state(), self)
    }

    /// What is deployed; shown with the deployment to whoever may see that.
    pub fn source(&self) -> Option<&'s Arc<SourceObject>> {
        self.state().source_object(self.source)
    }
}
