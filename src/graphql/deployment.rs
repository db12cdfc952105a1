//! Deployments as clients read and change them.
//! Never stores a health: each is computed from the version that the answer shows.

use super::{
    call::{Payload, connection, mutate, payload},
    error::UserError,
    id::{EventCursor, global, of_kind},
    identity::User,
    infrastructure::Infrastructure,
    scalar::DateTime,
    source::SourceObject,
};
use crate::{
    app::{Committed, Seen},
    domain::{
        deployment::{self, NewDeployment, UpdatedDeployment},
        receipt::Gone,
        record::Kind,
        refusal::Refusal,
        text::{Name, Text},
    },
};
use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use std::sync::Arc;

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
        self.0.place().map(Infrastructure)
    }

    /// What is deployed; null where you may not read it.
    async fn source_object(&self) -> Option<SourceObject> {
        self.0.content().map(SourceObject)
    }

    /// Where it stands.
    async fn status(&self) -> DeploymentStatus {
        self.0.status.into()
    }

    /// What governance makes of it: of the sign-off that its infrastructure asks for.
    async fn governance_health(&self) -> Health {
        self.0.governance_health().map_or(Health::NoStatus, Into::into)
    }

    /// The worst of what governance and the deployer say.
    async fn health(&self) -> Health {
        self.0.health().map_or(Health::NoStatus, Into::into)
    }

    /// What the deployer last said about it.
    async fn reported_status(&self) -> Option<Health> {
        self.0.reported.as_ref().map(|reported| reported.status.into())
    }

    /// The deployer's words with that.
    async fn reported_message(&self) -> Option<&str> {
        self.0.reported.as_ref().map(|reported| reported.message.as_str())
    }

    /// When the deployer said that.
    async fn reported_at(&self) -> Option<DateTime> {
        self.0.reported.as_ref().map(|reported| reported.at.into())
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

/// That you go on in spite of a warning.
#[derive(InputObject)]
pub(super) struct ConfirmationInput {
    /// Why; it is recorded with your name and the content. A confirmation passes a warning, never a prevention.
    reason: String,
}

/// A new deployment.
#[derive(InputObject)]
pub(super) struct CreateDeploymentInput {
    /// The infrastructure.
    infrastructure_id: ID,
    /// The published bundle or version.
    source_object_id: ID,
    /// Its name: 1 to 200 characters.
    name: String,
    /// That you go on in spite of a warning; it also covers the deployment of the same content.
    confirmation: Option<ConfirmationInput>,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// The activation of a deployment.
#[derive(InputObject)]
pub(super) struct DeployInput {
    /// The deployment.
    deployment_id: ID,
    /// That you go on in spite of a warning.
    confirmation: Option<ConfirmationInput>,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// Other content for a deployment.
#[derive(InputObject)]
pub(super) struct UpdateDeploymentInput {
    /// The deployment.
    deployment_id: ID,
    /// The revision that you have read.
    expected_revision: u64,
    /// The published bundle or version that it runs from now on.
    source_object_id: ID,
    /// That you go on in spite of a warning.
    confirmation: Option<ConfirmationInput>,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// A deployment to switch off.
#[derive(InputObject)]
pub(super) struct DisableDeploymentInput {
    /// The deployment.
    deployment_id: ID,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// A disabled deployment to remove.
#[derive(InputObject)]
pub(super) struct DeleteDeploymentInput {
    /// The deployment.
    deployment_id: ID,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// How a deployment fares.
#[derive(InputObject)]
pub(super) struct ReportDeploymentStatusInput {
    /// The deployment.
    deployment_id: ID,
    /// How it fares.
    status: Health,
    /// The same in words.
    #[graphql(default)]
    message: String,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// What a change of a deployment answers.
#[derive(SimpleObject)]
pub(super) struct DeploymentPayload {
    /// The deployment as it is now; null when the change was refused.
    deployment: Option<Deployment>,
    /// The rules that the request breaks, GOVERNANCE_WARNING and GOVERNANCE_PREVENTED among them; empty when it
    /// was done.
    user_errors: Vec<UserError>,
    /// The position of the change in the event log: subscribe after it to read your own write. A refusal by the
    /// infrastructure's policy changes nothing, but the timeline has it, so that it has a position too.
    cursor: Option<EventCursor>,
}

impl Payload for DeploymentPayload {
    type Outcome = Result<Arc<deployment::Deployment>, Refusal>;

    fn done(committed: Committed<Self::Outcome>, cursor: EventCursor) -> Self {
        let (deployment, user_errors) = match &committed.outcome {
            Ok(deployment) => (Seen::find(&committed.snapshot, deployment.id).ok().map(Deployment), vec![]),
            Err(refusal) => (None, vec![UserError::from(refusal)]),
        };
        Self { deployment, user_errors, cursor: Some(cursor) }
    }

    fn refused(user_errors: Vec<UserError>) -> Self {
        Self { deployment: None, user_errors, cursor: None }
    }
}

payload! {
    /// What the deletion of a deployment answers.
    DeleteDeploymentPayload {
        /// The id of the deployment that is gone; null when the deletion was refused.
        deleted_deployment_id: ID
    } from Gone, |committed| Some(global(Kind::Deployment, committed.outcome.0))
}

fn reason(confirmation: Option<ConfirmationInput>) -> Result<Option<Text>, Refusal> {
    confirmation.map(|given| Text::parse("confirmation.reason", &given.reason)).transpose()
}

/// Mutations of deployments.
#[derive(Default)]
pub(super) struct DeploymentMutation;

#[Object]
impl DeploymentMutation {
    /// Enters a deployment of published content, not active yet, if the infrastructure's policy lets it pass: a
    /// refusal leaves nothing behind but its timeline entry. Needs the grant DEPLOY on the infrastructure.
    async fn create_deployment(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new deployment.")] input: CreateDeploymentInput,
    ) -> Option<Result<DeploymentPayload>> {
        let on = of_kind(Kind::Infrastructure, &input.infrastructure_id);
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            let name = Name::parse("name", &input.name)?;
            let source = of_kind(Kind::SourceObject, &input.source_object_id);
            let confirmation_reason = reason(input.confirmation)?;
            app.create_deployment(&call, on, NewDeployment { name, source, confirmation_reason }).await
        });
        Some(operation.await)
    }

    /// Makes a deployment active, if the infrastructure's policy lets it pass; one that is active with the same
    /// content stays as it is. Needs the grant DEPLOY on the infrastructure.
    async fn deploy(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The deployment.")] input: DeployInput,
    ) -> Option<Result<DeploymentPayload>> {
        let id = of_kind(Kind::Deployment, &input.deployment_id);
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            app.deploy(&call, id, reason(input.confirmation)?).await
        });
        Some(operation.await)
    }

    /// Puts other content behind a deployment, if the infrastructure's policy lets it pass: an active one runs it
    /// from now on, any other one when it is deployed. Needs the grant DEPLOY on the infrastructure.
    async fn update_deployment(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The other content.")] input: UpdateDeploymentInput,
    ) -> Option<Result<DeploymentPayload>> {
        let (id, expected_revision) = (of_kind(Kind::Deployment, &input.deployment_id), input.expected_revision);
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            let source = of_kind(Kind::SourceObject, &input.source_object_id);
            let confirmation_reason = reason(input.confirmation)?;
            app.update_deployment(&call, id, UpdatedDeployment { expected_revision, source, confirmation_reason }).await
        });
        Some(operation.await)
    }

    /// Notes how the deployer says a deployment fares. Needs the grant DEPLOY on the infrastructure.
    async fn report_deployment_status(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How it fares.")] input: ReportDeploymentStatusInput,
    ) -> Option<Result<DeploymentPayload>> {
        let id = of_kind(Kind::Deployment, &input.deployment_id);
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            let message = Text::parse("message", &input.message)?;
            let reported = app.report_deployment_status(&call, id, input.status.into(), message).await?;
            Ok(reported.map(Ok))
        });
        Some(operation.await)
    }

    /// Switches a deployment off; one that is off stays as it is. Needs the grant DEPLOY on the infrastructure.
    async fn disable_deployment(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The deployment.")] input: DisableDeploymentInput,
    ) -> Option<Result<DeploymentPayload>> {
        let id = of_kind(Kind::Deployment, &input.deployment_id);
        let operation =
            mutate(ctx, input.idempotency_key, async |app, call| Ok(app.disable_deployment(&call, id).await?.map(Ok)));
        Some(operation.await)
    }

    /// Removes a disabled deployment; its history stays. Needs the grant DEPLOY on the infrastructure.
    async fn delete_deployment(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The deployment.")] input: DeleteDeploymentInput,
    ) -> Option<Result<DeleteDeploymentPayload>> {
        let id = of_kind(Kind::Deployment, &input.deployment_id);
        let operation = mutate(ctx, input.idempotency_key, async |app, call| app.delete_deployment(&call, id).await);
        Some(operation.await)
    }
}
