//! What callers ask of infrastructures: entering, changing, and what runs on one.
//! Never checks a rule: `domain/infrastructure` does.

use super::{App, Call, Committed, Failed, Seen};
use crate::domain::{
    access::Denied,
    action::{CreateInfrastructure, UpdateInfrastructure},
    deployment::Deployment,
    id::{GroupId, InfrastructureId},
    infrastructure::{Infrastructure, InfrastructureChanges, InfrastructureGrant, NewInfrastructure},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

type Answer = Result<Committed<Arc<Infrastructure>>, Failed>;

impl App {
    /// Enters an infrastructure.
    ///
    /// # Errors
    /// As the rule.
    pub async fn create_infrastructure(&self, call: &Call, new: NewInfrastructure) -> Answer {
        self.write(call, move |turn| {
            let tenant = turn.view().tenant()?.authorize::<CreateInfrastructure>()?;
            turn.stage(tenant.create_infrastructure(new, turn.ids(), turn.now())?)
        })
        .await
    }

    /// Changes an infrastructure.
    ///
    /// # Errors
    /// As the rule.
    pub async fn update_infrastructure(
        &self,
        call: &Call,
        id: InfrastructureId,
        changes: InfrastructureChanges,
    ) -> Answer {
        self.write(call, move |turn| {
            let infrastructure = turn.view().infrastructure(id)?.authorize::<UpdateInfrastructure>()?;
            turn.stage(infrastructure.update_infrastructure(changes)?)
        })
        .await
    }
}

impl Seen<Infrastructure> {
    /// What the members of each group may do with it.
    ///
    /// # Errors
    /// `Forbidden` for whoever may not change it.
    pub fn granted(&self) -> Result<&BTreeMap<GroupId, BTreeSet<InfrastructureGrant>>, Denied> {
        self.view().infrastructure(self.id)?.authorize::<UpdateInfrastructure>()?;
        Ok(&self.grants)
    }

    /// The deployments on it, oldest first.
    pub fn deployments(&self) -> Vec<Seen<Deployment>> {
        let here = self.view().all::<Deployment>().filter(|deployment| deployment.infrastructure == self.id);
        Seen::all(self.snapshot(), here).collect()
    }
}
