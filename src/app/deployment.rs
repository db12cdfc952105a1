//! What callers ask of deployments: creating, activating, changing and ending them; and what is read of one.
//! Never checks a rule: `domain/deployment` does.

use super::{App, Call, Committed, Failed, Seen};
use crate::domain::{
    access::{Allowed, Denied},
    action::{
        CreateDeployment, DeleteDeployment, Deploy, DisableDeployment, ReadDeployment, ReportDeploymentStatus,
        UpdateDeployment,
    },
    deployment::{Deployment, Health, NewDeployment, UpdatedDeployment},
    id::{DeploymentId, InfrastructureId},
    infrastructure::Infrastructure,
    receipt::Gone,
    refusal::Refusal,
    source::SourceObject,
    text::Text,
};
use std::sync::Arc;

type Answer = Result<Committed<Arc<Deployment>>, Failed>;
/// What the gate refused is an outcome: the timeline has it.
type Gated = Result<Committed<Result<Arc<Deployment>, Refusal>>, Failed>;

impl App {
    /// Enters a deployment of published content on an infrastructure, if the gate lets it pass.
    ///
    /// # Errors
    /// As the rule.
    pub async fn create_deployment(&self, call: &Call, on: InfrastructureId, new: NewDeployment) -> Gated {
        let answer = self
            .write(call, move |turn| {
                let infrastructure = turn.view().infrastructure(on)?.authorize::<CreateDeployment>()?;
                turn.stage(infrastructure.create_deployment(new, turn.ids(), turn.now())?)
            })
            .await;
        self.gated(answer)
    }

    /// Makes a deployment active, if the gate lets it pass.
    ///
    /// # Errors
    /// As the rule.
    pub async fn deploy(&self, call: &Call, id: DeploymentId, confirmation_reason: Option<Text>) -> Gated {
        let answer = self
            .write(call, move |turn| {
                let deployment = turn.view().deployment(id)?.authorize::<Deploy>()?;
                turn.stage(deployment.deploy(confirmation_reason, turn.now())?)
            })
            .await;
        self.gated(answer)
    }

    /// Puts other content behind a deployment, if the gate lets it pass.
    ///
    /// # Errors
    /// As the rule.
    pub async fn update_deployment(&self, call: &Call, id: DeploymentId, updated: UpdatedDeployment) -> Gated {
        let answer = self
            .write(call, move |turn| {
                let deployment = turn.view().deployment(id)?.authorize::<UpdateDeployment>()?;
                turn.stage(deployment.update_deployment(updated, turn.now())?)
            })
            .await;
        self.gated(answer)
    }

    /// Notes how the deployer says a deployment fares.
    ///
    /// # Errors
    /// As the rule.
    pub async fn report_deployment_status(
        &self,
        call: &Call,
        id: DeploymentId,
        status: Health,
        message: Text,
    ) -> Answer {
        self.write(call, move |turn| {
            let deployment = turn.view().deployment(id)?.authorize::<ReportDeploymentStatus>()?;
            turn.stage(deployment.report_status(status, message, turn.now())?)
        })
        .await
    }

    /// Switches a deployment off.
    ///
    /// # Errors
    /// As the rule.
    pub async fn disable_deployment(&self, call: &Call, id: DeploymentId) -> Answer {
        self.write(call, move |turn| {
            let deployment = turn.view().deployment(id)?.authorize::<DisableDeployment>()?;
            turn.stage(deployment.disable()?)
        })
        .await
    }

    /// Removes a disabled deployment.
    ///
    /// # Errors
    /// As the rule.
    pub async fn delete_deployment(&self, call: &Call, id: DeploymentId) -> Result<Committed<Gone>, Failed> {
        self.write(call, move |turn| {
            let deployment = turn.view().deployment(id)?.authorize::<DeleteDeployment>()?;
            turn.stage(deployment.delete()?.map(|id| Gone(id.uuid())))
        })
        .await
    }
}

impl Seen<Deployment> {
    fn opened(&self) -> Result<Allowed<'_, ReadDeployment, Deployment>, Denied> {
        self.view().deployment(self.id)?.authorize()
    }

    /// Where it is.
    pub fn place(&self) -> Option<Seen<Infrastructure>> {
        Seen::find(self.snapshot(), self.infrastructure).ok()
    }

    /// What is deployed.
    pub fn content(&self) -> Option<Seen<SourceObject>> {
        Seen::find(self.snapshot(), self.source).ok()
    }

    /// What governance makes of it.
    ///
    /// # Errors
    /// None in the version in which it was read.
    pub fn governance_health(&self) -> Result<Health, Denied> {
        Ok(self.opened()?.governance_health())
    }

    /// The worst of what governance and the deployer say.
    ///
    /// # Errors
    /// None in the version in which it was read.
    pub fn health(&self) -> Result<Health, Denied> {
        Ok(self.opened()?.health())
    }
}
