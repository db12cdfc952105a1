//! Infrastructures: where bundles are deployed, and how strictly governance is asked before.
//! Never runs anything: deployers do, after they asked here.

mod rules;

use super::{
    access::{Basis, Denied, Resource, View},
    action::Need,
    caller::Caller,
    id::{GroupId, InfrastructureId},
    identity::Scope,
    state::State,
    text::{Name, Slug, StepKey},
    time::Timestamp,
};
pub use rules::{InfrastructureChanges, NewInfrastructure};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Where bundles and versions are deployed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Infrastructure {
    /// Its id.
    pub id: InfrastructureId,
    /// Counts changes, from 1.
    pub revision: u64,
    /// Its short name; one infrastructure of the tenant has it.
    pub slug: Slug,
    /// What people call it.
    pub name: Name,
    /// What it is for.
    pub stage: InfrastructureStage,
    /// What happens to content that is not approved.
    pub policy: Policy,
    /// The step whose sign-off must be approved, where it is not the item's last mandatory one.
    #[serde(default)]
    pub required_step: Option<StepKey>,
    /// Whether a deployment here moves its item from Signed-off to Production.
    #[serde(default)]
    pub moves_to_production: bool,
    /// What the members of each group may do with it.
    pub grants: BTreeMap<GroupId, BTreeSet<InfrastructureGrant>>,
    /// When it was entered.
    pub created_at: Timestamp,
}

/// What an infrastructure is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InfrastructureStage {
    /// Building.
    Development,
    /// Trying out.
    Test,
    /// Earning money.
    Production,
}

/// What happens to content that is not approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Nothing.
    NoCheck,
    /// A person must confirm with a reason.
    Warn,
    /// It is not deployed.
    Prevent,
}

/// What somebody may do with an infrastructure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InfrastructureGrant {
    /// See it.
    View,
    /// Deploy on it; implies seeing it.
    Deploy,
    /// Change it; implies deploying.
    Administer,
}

impl Infrastructure {
    /// Whether the caller has a grant on it.
    pub(in crate::domain) fn grants(&self, state: &State, caller: &Caller<'_>, grant: InfrastructureGrant) -> bool {
        // A deployer's key works on every infrastructure that it is told of.
        let key = grant < InfrastructureGrant::Administer && caller.has_scope(Scope::Deploy);
        caller.manages() || key || self.granting(state, caller, grant).next().is_some()
    }

    /// The groups of the caller that have a grant on it.
    pub(in crate::domain) fn granting(
        &self,
        state: &State,
        caller: &Caller<'_>,
        grant: InfrastructureGrant,
    ) -> impl Iterator<Item = GroupId> {
        let implied = move |granted: &BTreeSet<InfrastructureGrant>| granted.iter().any(|granted| *granted >= grant);
        let granting = self.grants.iter().filter(move |(_, granted)| implied(granted)).map(|(group, _)| *group);
        granting.filter(move |group| caller.is_in(state, *group))
    }

    /// Whether the caller has a grant on any infrastructure.
    pub(in crate::domain) fn any_granted(state: &State, caller: &Caller<'_>, grant: InfrastructureGrant) -> bool {
        state.tables.infrastructures.values().any(|infrastructure| infrastructure.grants(state, caller, grant))
    }
}

impl Resource for Infrastructure {
    fn may(&self, need: Need, view: View<'_>) -> Result<Basis, Denied> {
        let (state, caller) = (view.state(), view.caller()?);
        let has = |grant| self.grants(state, &caller, grant);
        if !has(InfrastructureGrant::View) {
            return Err(Denied::NotFound);
        }
        match need {
            Need::Read => Ok(Basis::Grant),
            Need::Deploy if has(InfrastructureGrant::Deploy) => Ok(Basis::Grant),
            Need::AdministerInfrastructure if has(InfrastructureGrant::Administer) => Ok(Basis::Grant),
            Need::Deploy
            | Need::AdministerInfrastructure
            | Need::Write
            | Need::Delete
            | Need::Create(_)
            | Need::Govern
            | Need::Member
            | Need::Sync
            | Need::Manage
            | Need::Administer
            | Need::Operate
            | Need::SelfOrAdminister => Err(Denied::Forbidden(need.right())),
        }
    }
}
