//! Governed items as clients read and change them.
//! Never holds a rule: it words inputs for the operations and their outcomes for the client.

mod mutation;

use super::{
    call::connection,
    deployment::Deployment,
    error::{denied, failed},
    governance::InstanceRules,
    id::{EventCursor, global},
    identity::User,
    scalar::{DateTime, FieldValue},
    sign_off::SignOff,
    source::SourceObject,
    template::{ItemType, StepDefinition, Template},
    timeline::{self, EventConnection},
};
use crate::{
    app::{EventsAsked, Seen},
    domain::{
        item::{self, DeletionPreview},
        record::Kind,
        text::StepKey,
        workflow,
    },
};
use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
pub(super) use mutation::ItemMutation;

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

    /// The template that it is made from, with the fields that you may read on this item; null where it is not shown to you.
    async fn template(&self) -> Option<Template> {
        self.0.shown_template().map(Template)
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
        #[graphql(desc = "The last so many events: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Events before this cursor.")] before: Option<EventCursor>,
    ) -> Option<Result<EventConnection>> {
        let (after, before) = (after.map(Into::into), before.map(Into::into));
        let asked = EventsAsked { first, last, after, before, ..EventsAsked::default() };
        Some(timeline::of_item(ctx, &self.0, asked).await)
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

/// The key of a step that a filter names.
pub(super) fn step_key(path: &str, step: &str) -> Result<StepKey> {
    StepKey::parse(path, step).map_err(|refusal| super::error::failed(refusal.into()))
}
