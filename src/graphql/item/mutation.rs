//! How clients make, save, move, follow and delete items.
//! Never holds a rule: it words inputs for the operations and their outcomes for the client.

use super::{DeletionMode, GovernedItem, StepMoveKind};
use crate::{
    app::{Create, Seen},
    domain::{
        item::{self, NewItem, Save, StepMove},
        record::Kind,
        refusal::Refusal,
        text::Name,
    },
    graphql::{
        call::{mutate, payload},
        id::of_kind,
        scalar::FieldInput,
    },
};
use async_graphql::{Context, ID, InputObject, Object, Result};
use std::sync::Arc;

/// A new governed project.
#[derive(InputObject)]
pub(in crate::graphql) struct CreateGovernedProjectInput {
    /// The template: active, and of governed projects.
    template_id: ID,
    /// Its name: 1 to 200 characters.
    name: String,
    /// The first values of its fields.
    #[graphql(default)]
    fields: Vec<FieldInput>,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// A new business initiative.
#[derive(InputObject)]
pub(in crate::graphql) struct CreateBusinessInitiativeInput {
    /// The template: active, and of business initiatives.
    template_id: ID,
    /// Its name: 1 to 200 characters.
    name: String,
    /// The first values of its fields.
    #[graphql(default)]
    fields: Vec<FieldInput>,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// One move of one step.
#[derive(InputObject)]
pub(in crate::graphql) struct StepMoveInput {
    /// The step's key.
    step: String,
    /// Where it goes.
    #[graphql(name = "move")]
    step_move: StepMoveKind,
}

/// One save: everything in it lands, or nothing.
#[derive(InputObject)]
pub(in crate::graphql) struct UpdateItemInput {
    /// The item.
    item_id: ID,
    /// The revision that you have read.
    expected_revision: u64,
    /// Its new name, if it changes.
    name: Option<String>,
    /// The fields that change, each once.
    #[graphql(default)]
    fields: Vec<FieldInput>,
    /// The moves of steps, made in this order after the fields.
    #[graphql(default)]
    steps: Vec<StepMoveInput>,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// A move of one step of an item.
#[derive(InputObject)]
pub(in crate::graphql) struct StepInput {
    /// The item.
    item_id: ID,
    /// The step's key.
    step: String,
    /// The revision that you have read.
    expected_revision: u64,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// Whether to follow an item.
#[derive(InputObject)]
pub(in crate::graphql) struct FollowItemInput {
    /// The item.
    item_id: ID,
    /// Follow it, or no longer.
    follow: bool,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// The deletion of an item.
#[derive(InputObject)]
pub(in crate::graphql) struct DeleteItemInput {
    /// The item.
    item_id: ID,
    /// What happens to the items below it.
    #[graphql(default_with = "DeletionMode::UngovernChildren")]
    mode: DeletionMode,
    /// The revision that you have read.
    expected_revision: u64,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

payload! {
    /// What a change of an item answers.
    ItemPayload {
        /// The item as it is now; null when the change was refused.
        item: GovernedItem
    } from Arc<item::Item>, |committed| Seen::after(committed).ok().map(GovernedItem)
}

fn new_item(template_id: &ID, name: &str, fields: Vec<FieldInput>) -> Result<NewItem, Refusal> {
    let template = of_kind(Kind::Template, template_id);
    let name = Name::parse("name", name)?;
    Ok(NewItem { template, name, fields: fields.into_iter().map(FieldInput::change).collect::<Result<_, _>>()? })
}

impl UpdateItemInput {
    fn save(self) -> Result<Save, Refusal> {
        let name = self.name.map(|name| Name::parse("name", &name)).transpose()?;
        let fields = self.fields.into_iter().map(FieldInput::change).collect::<Result<_, _>>()?;
        let steps = self.steps.into_iter();
        let moves = steps.map(|step| StepMove { step: step.step, step_move: step.step_move.into() }).collect();
        Ok(Save { expected_revision: self.expected_revision, name, fields, moves })
    }
}

/// Mutations of items.
#[derive(Default)]
pub(in crate::graphql) struct ItemMutation;

#[Object]
impl ItemMutation {
    /// Makes a governed project from a template, with nothing started. Needs CREATE; you follow it.
    async fn create_governed_project(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new project.")] input: CreateGovernedProjectInput,
    ) -> Option<Result<ItemPayload>> {
        let key = input.idempotency_key;
        let operation = mutate(ctx, key, async |app, call| {
            let new = new_item(&input.template_id, &input.name, input.fields)?;
            app.create_item(&call, Create::GovernedProject, new).await
        });
        Some(operation.await)
    }

    /// Makes a business initiative from a template, with nothing started. Needs CREATE; you follow it.
    async fn create_business_initiative(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new initiative.")] input: CreateBusinessInitiativeInput,
    ) -> Option<Result<ItemPayload>> {
        let key = input.idempotency_key;
        let operation = mutate(ctx, key, async |app, call| {
            let new = new_item(&input.template_id, &input.name, input.fields)?;
            app.create_item(&call, Create::BusinessInitiative, new).await
        });
        Some(operation.await)
    }

    /// Saves name, fields and steps of an item together: everything lands, or nothing. Needs WRITE, and ASSIGN for
    /// fields whose people gain roles.
    async fn update_item(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The save.")] input: UpdateItemInput,
    ) -> Option<Result<ItemPayload>> {
        let (id, key) = (of_kind(Kind::Item, &input.item_id), input.idempotency_key.clone());
        let operation = mutate(ctx, key, async |app, call| app.update_item(&call, id, input.save()?).await);
        Some(operation.await)
    }

    /// Starts a step. Needs WRITE.
    async fn start_step(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The step.")] input: StepInput,
    ) -> Option<Result<ItemPayload>> {
        let (id, step) = (of_kind(Kind::Item, &input.item_id), input.step);
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            app.start_step(&call, id, step, input.expected_revision).await
        });
        Some(operation.await)
    }

    /// Finishes a step; the next one becomes ongoing. Needs WRITE, and the step's mandatory sign-off APPROVED.
    async fn finish_step(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The step.")] input: StepInput,
    ) -> Option<Result<ItemPayload>> {
        let (id, step) = (of_kind(Kind::Item, &input.item_id), input.step);
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            app.finish_step(&call, id, step, input.expected_revision).await
        });
        Some(operation.await)
    }

    /// Reopens a finished step; later steps return to not started, and sign-offs keep their state. Needs WRITE.
    async fn reopen_step(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The step.")] input: StepInput,
    ) -> Option<Result<ItemPayload>> {
        let (id, step) = (of_kind(Kind::Item, &input.item_id), input.step);
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            app.reopen_step(&call, id, step, input.expected_revision).await
        });
        Some(operation.await)
    }

    /// Takes back the start of a step whose sign-off has not begun. Needs WRITE.
    async fn cancel_step(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The step.")] input: StepInput,
    ) -> Option<Result<ItemPayload>> {
        let (id, step) = (of_kind(Kind::Item, &input.item_id), input.step);
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            app.cancel_step(&call, id, step, input.expected_revision).await
        });
        Some(operation.await)
    }

    /// Follows an item, or no longer. Needs READ, and grants no right.
    async fn follow_item(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The item, and whether to follow it.")] input: FollowItemInput,
    ) -> Option<Result<ItemPayload>> {
        let id = of_kind(Kind::Item, &input.item_id);
        let operation =
            mutate(ctx, input.idempotency_key, async |app, call| app.follow_item(&call, id, input.follow).await);
        Some(operation.await)
    }

    /// Deletes an item; its history stays, and its source objects become ungoverned. Needs DELETE. Ask for its
    /// `deletionPreview` first.
    async fn delete_item(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The item.")] input: DeleteItemInput,
    ) -> Option<Result<ItemPayload>> {
        let (id, mode) = (of_kind(Kind::Item, &input.item_id), input.mode.into());
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            app.delete_item(&call, id, mode, input.expected_revision).await
        });
        Some(operation.await)
    }
}
