//! Entering and changing infrastructures.
//! Never deploys, and never changes a deployment: its health follows from the policy.

use super::{Infrastructure, InfrastructureGrant, InfrastructureStage, Policy};
use crate::domain::{
    access::{Allowed, Stopped},
    action::{CreateInfrastructure, UpdateInfrastructure},
    consequences,
    event::{EventKind, Subject},
    id::{GroupId, Ids, InfrastructureId, SourceObjectId},
    refusal::{Refusal, revision_must_be},
    state::{Change, State},
    tenant::Tenant,
    text::{Name, Slug, StepKey},
    time::Timestamp,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What a new infrastructure is.
#[derive(Clone, Debug)]
pub struct NewInfrastructure {
    /// Its short name; one infrastructure of the tenant has it.
    pub slug: Slug,
    /// What people call it.
    pub name: Name,
    /// What it is for.
    pub stage: InfrastructureStage,
    /// What happens to content that is not approved.
    pub policy: Policy,
    /// The step whose sign-off must be approved, where it is not the item's last mandatory one.
    pub required_step: Option<StepKey>,
    /// Whether a deployment there moves its item from Signed-off to Production.
    pub moves_to_production: bool,
    /// What the members of each group may do with it.
    pub grants: BTreeMap<GroupId, BTreeSet<InfrastructureGrant>>,
}

/// What changes about an infrastructure; what is left out stays.
#[derive(Clone, Debug, Default)]
pub struct InfrastructureChanges {
    /// The revision that the caller has read.
    pub expected_revision: u64,
    /// The new short name.
    pub slug: Option<Slug>,
    /// The new name.
    pub name: Option<Name>,
    /// What it is for from now on.
    pub stage: Option<InfrastructureStage>,
    /// The new policy; the health of what is deployed follows in the same change.
    pub policy: Option<Policy>,
    /// The new required step, or none.
    pub required_step: Option<Option<StepKey>>,
    /// Whether a deployment moves its item from now on.
    pub moves_to_production: Option<bool>,
    /// All grants from now on.
    pub grants: Option<BTreeMap<GroupId, BTreeSet<InfrastructureGrant>>>,
}

impl Allowed<'_, CreateInfrastructure, Tenant> {
    /// Enters an infrastructure.
    ///
    /// # Errors
    /// `ALREADY_EXISTS` for its short name, `UNKNOWN_PERSON` for a group that does not exist.
    pub fn create_infrastructure(
        self,
        new: NewInfrastructure,
        ids: &dyn Ids,
        now: Timestamp,
    ) -> Result<Change<Arc<Infrastructure>>, Stopped> {
        slug_must_be_free(self.state(), &new.slug, None)?;
        groups_must_exist(self.state(), &new.grants)?;
        let NewInfrastructure { slug, name, stage, policy, required_step, moves_to_production, grants } = new;
        let id = InfrastructureId::new(ids);
        let event = EventKind::InfrastructureCreated { name: name.clone() };
        let infrastructure = Infrastructure {
            id,
            revision: 1,
            slug,
            name,
            stage,
            policy,
            required_step,
            moves_to_production,
            grants,
            created_at: now,
        };
        let mut draft = self.draft();
        let infrastructure = draft.put(infrastructure, Subject::Infrastructure(id), event);
        Ok(draft.done(infrastructure))
    }
}

impl Allowed<'_, UpdateInfrastructure, Infrastructure> {
    /// Changes an infrastructure, and says whose health changes by it.
    ///
    /// # Errors
    /// `REVISION_CONFLICT`, `ALREADY_EXISTS` for its short name, `UNKNOWN_PERSON` for a group that does not exist.
    pub fn update_infrastructure(self, changes: InfrastructureChanges) -> Result<Change<Arc<Infrastructure>>, Stopped> {
        revision_must_be(self.revision, changes.expected_revision)?;
        let old = &**self.record();
        let next = Infrastructure {
            slug: changes.slug.unwrap_or_else(|| old.slug.clone()),
            name: changes.name.unwrap_or_else(|| old.name.clone()),
            stage: changes.stage.unwrap_or(old.stage),
            policy: changes.policy.unwrap_or(old.policy),
            required_step: changes.required_step.unwrap_or_else(|| old.required_step.clone()),
            moves_to_production: changes.moves_to_production.unwrap_or(old.moves_to_production),
            grants: changes.grants.unwrap_or_else(|| old.grants.clone()),
            ..old.clone()
        };
        slug_must_be_free(self.state(), &next.slug, Some(self.id))?;
        groups_must_exist(self.state(), &next.grants)?;
        let mut draft = self.draft();
        if next == *old {
            return Ok(draft.done(Arc::clone(self.record())));
        }
        let next = Infrastructure { revision: old.revision + 1, ..next };
        let event = EventKind::InfrastructureUpdated { name: next.name.clone() };
        let infrastructure = draft.put(next, Subject::Infrastructure(self.id), event);
        consequences::of_sources(&mut draft, self.state(), &deployed_on(self.state(), self.id));
        Ok(draft.done(infrastructure))
    }
}

fn slug_must_be_free(state: &State, slug: &Slug, own: Option<InfrastructureId>) -> Result<(), Refusal> {
    let mut all = state.tables.infrastructures.values();
    if all.any(|other| other.slug == *slug && Some(other.id) != own) {
        return Err(Refusal::AlreadyExists { what: "infrastructure", name: slug.to_string() });
    }
    Ok(())
}

fn groups_must_exist(state: &State, grants: &BTreeMap<GroupId, BTreeSet<InfrastructureGrant>>) -> Result<(), Refusal> {
    if grants.keys().all(|group| state.group(*group).is_some()) {
        return Ok(());
    }
    Err(Refusal::PersonUnknown { path: "grants".to_owned() })
}

fn deployed_on(state: &State, infrastructure: InfrastructureId) -> BTreeSet<SourceObjectId> {
    let all = state.tables.deployments.values();
    all.filter(|deployment| deployment.infrastructure == infrastructure).map(|deployment| deployment.source).collect()
}
