//! Infrastructures as clients read and change them.
//! Never runs anything on one.

use super::{
    call::{connection, mutate, payload},
    id::{global, of_kind},
    identity::Group,
    scalar::DateTime,
};
use crate::{
    app::Seen,
    domain::{
        id::GroupId,
        infrastructure::{self, InfrastructureChanges, NewInfrastructure},
        record::Kind,
        refusal::Refusal,
        text::{Name, Slug, StepKey},
    },
};
use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, Result, SimpleObject};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

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

/// What somebody may do with an infrastructure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "infrastructure::InfrastructureGrant")]
pub(super) enum InfrastructureGrant {
    /// See it.
    View,
    /// Deploy on it; implies seeing it.
    Deploy,
    /// Change it; implies deploying.
    Administer,
}

/// What the members of a group may do with an infrastructure.
#[derive(SimpleObject)]
pub(super) struct InfrastructureGrants {
    /// The group; null after it was removed.
    group: Option<Group>,
    /// What its members may do.
    grants: Vec<InfrastructureGrant>,
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

    /// What the members of each group may do with it; null for whoever may not change it.
    async fn grants(&self) -> Option<Vec<InfrastructureGrants>> {
        let granted = self.0.granted().ok()?.iter().map(|(group, grants)| InfrastructureGrants {
            group: Seen::find(self.0.snapshot(), *group).ok().map(Group),
            grants: grants.iter().copied().map(Into::into).collect(),
        });
        Some(granted.collect())
    }

    /// When it was entered.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }
}

connection! {
    /// A page of infrastructures.
    InfrastructureConnection, InfrastructureEdge of Infrastructure(infrastructure::Infrastructure)
}

/// What the members of a group may do with an infrastructure.
#[derive(InputObject)]
pub(super) struct InfrastructureGrantsInput {
    /// The group.
    group_id: ID,
    /// What its members may do.
    grants: Vec<InfrastructureGrant>,
}

/// A new infrastructure.
#[derive(InputObject)]
pub(super) struct CreateInfrastructureInput {
    /// Its short name, 1 to 100 of `a-z A-Z 0-9 _ - . /`; one infrastructure of the organisation has it.
    slug: String,
    /// Its name: 1 to 200 characters.
    name: String,
    /// What it is for.
    stage: InfrastructureStage,
    /// What happens to content that is not approved.
    policy: GovernPolicy,
    /// The key of the step whose sign-off must be approved; the last mandatory one of each item where none is named.
    required_step: Option<String>,
    /// Whether a deployment there moves its item from Signed-off to Production.
    #[graphql(default)]
    moves_to_production: bool,
    /// What the members of each group may do with it.
    #[graphql(default)]
    grants: Vec<InfrastructureGrantsInput>,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// A change of an infrastructure; what is left out stays.
#[derive(InputObject)]
pub(super) struct UpdateInfrastructureInput {
    /// The infrastructure.
    infrastructure_id: ID,
    /// The revision that you have read.
    expected_revision: u64,
    /// Its new short name, if it changes.
    slug: Option<String>,
    /// Its new name, if it changes.
    name: Option<String>,
    /// What it is for from now on.
    stage: Option<InfrastructureStage>,
    /// Its new policy; the health of what is deployed there changes in the same commit.
    policy: Option<GovernPolicy>,
    /// The key of the step whose sign-off must be approved from now on; null for the last mandatory one of each item.
    required_step: MaybeUndefined<String>,
    /// Whether a deployment there moves its item from Signed-off to Production from now on.
    moves_to_production: Option<bool>,
    /// All grants from now on, if they change.
    grants: Option<Vec<InfrastructureGrantsInput>>,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

payload! {
    /// What a change of an infrastructure answers.
    InfrastructurePayload {
        /// The infrastructure as it is now; null when the change was refused.
        infrastructure: Infrastructure
    } from Arc<infrastructure::Infrastructure>, |committed| Seen::after(committed).ok().map(Infrastructure)
}

type Grants = BTreeMap<GroupId, BTreeSet<infrastructure::InfrastructureGrant>>;

/// Grants by group; those of a group that is named twice add up.
fn granted(named: Vec<InfrastructureGrantsInput>) -> Grants {
    let mut all = Grants::new();
    for InfrastructureGrantsInput { group_id, grants } in named {
        let group = all.entry(of_kind(Kind::Group, &group_id)).or_default();
        group.extend(grants.into_iter().map(infrastructure::InfrastructureGrant::from));
    }
    all
}

fn required_step(key: Option<String>) -> Result<Option<StepKey>, Refusal> {
    key.map(|key| StepKey::parse("requiredStep", &key)).transpose()
}

impl CreateInfrastructureInput {
    fn described(self) -> Result<NewInfrastructure, Refusal> {
        Ok(NewInfrastructure {
            slug: Slug::parse("slug", &self.slug)?,
            name: Name::parse("name", &self.name)?,
            stage: self.stage.into(),
            policy: self.policy.into(),
            required_step: required_step(self.required_step)?,
            moves_to_production: self.moves_to_production,
            grants: granted(self.grants),
        })
    }
}

impl UpdateInfrastructureInput {
    fn changes(self) -> Result<InfrastructureChanges, Refusal> {
        let step: Option<Option<String>> = self.required_step.into();
        Ok(InfrastructureChanges {
            expected_revision: self.expected_revision,
            slug: self.slug.map(|slug| Slug::parse("slug", &slug)).transpose()?,
            name: self.name.map(|name| Name::parse("name", &name)).transpose()?,
            stage: self.stage.map(Into::into),
            policy: self.policy.map(Into::into),
            required_step: step.map(required_step).transpose()?,
            moves_to_production: self.moves_to_production,
            grants: self.grants.map(granted),
        })
    }
}

/// Mutations of infrastructures.
#[derive(Default)]
pub(super) struct InfrastructureMutation;

#[Object]
impl InfrastructureMutation {
    /// Enters an infrastructure. Needs a governance manager or administrator: they change every infrastructure, too.
    async fn create_infrastructure(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new infrastructure.")] input: CreateInfrastructureInput,
    ) -> Option<Result<InfrastructurePayload>> {
        let key = input.idempotency_key.clone();
        let operation = mutate(ctx, key, async |app, call| app.create_infrastructure(&call, input.described()?).await);
        Some(operation.await)
    }

    /// Changes an infrastructure; the health of what is deployed there follows in the same commit. Needs the
    /// grant ADMINISTER on it.
    async fn update_infrastructure(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The change.")] input: UpdateInfrastructureInput,
    ) -> Option<Result<InfrastructurePayload>> {
        let id = of_kind(Kind::Infrastructure, &input.infrastructure_id);
        let key = input.idempotency_key.clone();
        let operation =
            mutate(ctx, key, async |app, call| app.update_infrastructure(&call, id, input.changes()?).await);
        Some(operation.await)
    }
}
