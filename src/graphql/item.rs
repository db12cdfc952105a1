//! Governed items as clients read and change them.
//! Never holds a rule: it words inputs for the operations and their outcomes for the client.

use super::{
    call::{connection, mutate, payload},
    deployment::Deployment,
    error::{denied, failed},
    governance::InstanceRules,
    id::{EventCursor, global, of_kind},
    identity::User,
    scalar::{DateTime, FieldInput, FieldValue},
    sign_off::SignOff,
    source::SourceObject,
    template::{ItemType, StepDefinition, Template},
    timeline::{self, EventConnection},
};
use crate::{
    app::{Create, Seen},
    domain::{
        item::{self, DeletionPreview, NewItem, Save, StepMove},
        record::Kind,
        refusal::Refusal,
        text::{Name, StepKey},
        workflow,
    },
};
use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use std::sync::Arc;

/// Where one step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "workflow::StepStatus")]
pub(super) enum StepStatus {
    /// Nothing has begun.
    NotStarted,
    /// The item is in this step; at most one step of an item is.
    Ongoing,
    /// Done.
    Finished,
}

/// A move of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "workflow::Move")]
pub(super) enum StepMoveKind {
    /// Not started → ongoing; no earlier step may be open.
    Start,
    /// Ongoing → finished, and the next step becomes ongoing; its mandatory sign-off must be approved.
    Finish,
    /// Finished → ongoing, and later steps return to not started.
    Reopen,
    /// Ongoing → not started.
    Cancel,
}

/// What happens to the items below a deleted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "item::DeletionMode")]
pub(super) enum DeletionMode {
    /// They are archived.
    UngovernChildren,
    /// They are deleted too.
    DeleteChildren,
}

/// One step of an item.
pub(super) struct Step {
    item: Seen<item::Item>,
    step: workflow::Step,
}

/// One step of an item.
#[Object]
impl Step {
    /// Names the step.
    async fn key(&self) -> &str {
        self.step.key.as_str()
    }

    /// Where it stands.
    async fn status(&self) -> StepStatus {
        self.step.status.into()
    }

    /// What the template says of it.
    async fn definition(&self) -> Option<StepDefinition> {
        let template = self.item.template()?;
        template.step(&self.step.key).map(StepDefinition::from)
    }

    /// The review attached to it.
    async fn sign_off(&self) -> Option<SignOff> {
        self.item.sign_off(&self.step.key).map(SignOff)
    }
}

/// A field of an item, with its value.
#[derive(SimpleObject)]
pub(super) struct Field {
    /// Names the field.
    key: String,
    /// Its value.
    value: FieldValue,
}

/// The governance side of an initiative, project, bundle, model or version.
#[derive(Clone)]
pub(super) struct GovernedItem(pub(super) Seen<item::Item>);

/// The governance side of an initiative, project, bundle, model or version.
#[Object]
impl GovernedItem {
    /// The item's id.
    pub(super) async fn id(&self) -> ID {
        global(Kind::Item, self.0.id.uuid())
    }

    /// Counts changes of name, fields and steps; name it when you change the item.
    async fn revision(&self) -> u64 {
        self.0.revision
    }

    /// What it is.
    async fn item_type(&self) -> ItemType {
        self.0.item_type.into()
    }

    /// What people call it.
    async fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// The template that it is made from; null where it is not shown to you.
    async fn template(&self) -> Option<Template> {
        Seen::find(self.0.snapshot(), self.0.template).ok().map(Template)
    }

    /// The item that it belongs to: a project for bundles and models, a model for its versions.
    async fn parent(&self) -> Option<Self> {
        self.0.parent_item().map(Self)
    }

    /// The items directly below it, oldest first.
    async fn children(
        &self,
        #[graphql(desc = "Only children of this type.")] item_type: Option<ItemType>,
    ) -> Vec<Self> {
        let wanted = item_type.map(Into::into);
        let children = self.0.children().into_iter().filter(|child| wanted.is_none_or(|of| child.item_type == of));
        children.map(Self).collect()
    }

    /// The fields that have a value and that you may read, in the template's order.
    async fn fields(&self, #[graphql(desc = "Only fields with these keys.")] keys: Option<Vec<String>>) -> Vec<Field> {
        let fields = self.0.readable_fields().into_iter();
        let wanted = fields.filter(|(key, _)| keys.as_ref().is_none_or(|keys| keys.iter().any(|k| k == key.as_str())));
        let snapshot = self.0.snapshot();
        wanted.map(|(key, value)| Field { key: key.to_string(), value: FieldValue::shown(snapshot, &value) }).collect()
    }

    /// The value of one field; null when it is empty or you may not read it.
    async fn field(&self, #[graphql(desc = "The field's key.")] key: String) -> Option<FieldValue> {
        let fields = self.0.readable_fields();
        let (_, value) = fields.iter().find(|(field, _)| field.as_str() == key)?;
        Some(FieldValue::shown(self.0.snapshot(), value))
    }

    /// The steps of its workflow, in order.
    async fn steps(&self) -> Vec<Step> {
        let steps = self.0.workflow.steps().iter().cloned();
        steps.map(|step| Step { item: self.0.clone(), step }).collect()
    }

    /// One step of its workflow; null when it has no such step.
    async fn step(&self, #[graphql(desc = "The step's key.")] key: String) -> Option<Step> {
        let step = self.0.workflow.steps().iter().find(|step| step.key.as_str() == key)?.clone();
        Some(Step { item: self.0.clone(), step })
    }

    /// The step that is ongoing; null before the first and after the last.
    async fn ongoing_step(&self) -> Option<Step> {
        let key = self.0.workflow.ongoing()?;
        let step = self.0.workflow.steps().iter().find(|step| step.key == *key)?.clone();
        Some(Step { item: self.0.clone(), step })
    }

    /// What nodes report of it: one object, or several projects of one origin.
    async fn source_objects(&self) -> Vec<SourceObject> {
        self.0.sources().into_iter().map(SourceObject).collect()
    }

    /// The rules for what is reported below its source objects.
    async fn child_rules(&self) -> Option<Result<InstanceRules>> {
        let rules = self.0.child_rules().map_err(denied);
        Some(rules.map(|rules| InstanceRules::shown(self.0.snapshot(), rules)))
    }

    /// The deployments of its source objects.
    async fn deployments(&self) -> Vec<Deployment> {
        self.0.deployments().into_iter().map(Deployment).collect()
    }

    /// Whether it is archived: its project was deleted, and it stays for its history.
    async fn archived(&self) -> bool {
        !self.0.is_live() && !self.0.is_deleted()
    }

    /// Whether it was deleted, and only its history is left.
    async fn deleted(&self) -> bool {
        self.0.is_deleted()
    }

    /// Whether you follow it: you hear of what happens to it and below it.
    async fn followed(&self) -> Result<bool> {
        self.0.is_followed().map_err(denied)
    }

    /// Who made it; null for the server.
    async fn created_by(&self) -> Option<User> {
        self.0.created_by.and_then(|user| Seen::find(self.0.snapshot(), user).ok()).map(User)
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When its name, fields or steps last changed.
    async fn changed_at(&self) -> DateTime {
        self.0.changed_at.into()
    }

    /// What happened to it, newest first; `timeline` asks for more.
    async fn timeline(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many events: 0 to 100; 25 where nothing is named.")] first: Option<i32>,
        #[graphql(desc = "Events after this cursor.")] after: Option<EventCursor>,
    ) -> Option<Result<EventConnection>> {
        Some(timeline::of_item(ctx, &self.0, first, after).await)
    }

    /// What its deletion would take along; needs the right to delete it.
    async fn deletion_preview(&self) -> Option<Result<ItemDeletionPreview>> {
        let snapshot = self.0.snapshot();
        let shown = self.0.preview_deletion().map_err(failed).map(|DeletionPreview { items, sources }| {
            let items = items.iter().filter_map(|item| Seen::find(snapshot, item.id).ok()).map(Self).collect();
            let sources = sources.iter().filter_map(|source| Seen::find(snapshot, source.id).ok());
            ItemDeletionPreview { items, source_objects: sources.map(SourceObject).collect() }
        });
        Some(shown)
    }
}

/// What a deletion would take along.
#[derive(SimpleObject)]
pub(super) struct ItemDeletionPreview {
    /// The items below it: archived or deleted, as the mode says.
    items: Vec<GovernedItem>,
    /// The source objects that become ungoverned.
    source_objects: Vec<SourceObject>,
}

connection! {
    /// A page of governed items.
    GovernedItemConnection, GovernedItemEdge of GovernedItem(item::Item)
}

/// A new governed project.
#[derive(InputObject)]
pub(super) struct CreateGovernedProjectInput {
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
pub(super) struct CreateBusinessInitiativeInput {
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
pub(super) struct StepMoveInput {
    /// The step's key.
    step: String,
    /// Where it goes.
    #[graphql(name = "move")]
    step_move: StepMoveKind,
}

/// One save: everything in it lands, or nothing.
#[derive(InputObject)]
pub(super) struct UpdateItemInput {
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
pub(super) struct StepInput {
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
pub(super) struct FollowItemInput {
    /// The item.
    item_id: ID,
    /// Follow it, or no longer.
    follow: bool,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// The deletion of an item.
#[derive(InputObject)]
pub(super) struct DeleteItemInput {
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
pub(super) struct ItemMutation;

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

/// The key of a step that a filter names.
pub(super) fn step_key(path: &str, step: &str) -> Result<StepKey> {
    StepKey::parse(path, step).map_err(|refusal| super::error::failed(refusal.into()))
}
