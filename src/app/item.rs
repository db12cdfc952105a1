//! What callers ask of items: making, saving, moving, following, deleting; and what they read of one.
//! Never checks a rule: `domain/item` does.

use super::{App, Call, Committed, Failed, Seen};
use crate::domain::{
    access::Denied,
    action::{CreateBusinessInitiative, CreateGovernedProject, PreviewDeletion, ReadItem},
    deployment::Deployment,
    field::FieldValue,
    id::ItemId,
    item::{DeletionMode, DeletionPreview, Item, NewItem, Save},
    sign_off::SignOff,
    source::SourceObject,
    template::Template,
    text::{FieldKey, StepKey},
};
use std::sync::Arc;

/// Which kind of item a person makes; the others come from source objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Create {
    /// A governed project.
    GovernedProject,
    /// A business initiative.
    BusinessInitiative,
}

type Answer<T> = Result<Committed<Arc<T>>, Failed>;

impl App {
    /// Makes an item from a template.
    ///
    /// # Errors
    /// As the rule: a template that cannot be used, a field that it refuses.
    pub async fn create_item(&self, call: &Call, create: Create, new: NewItem) -> Answer<Item> {
        self.write(call, move |turn| {
            let tenant = turn.view().tenant()?;
            let change = match create {
                Create::GovernedProject => {
                    tenant.authorize::<CreateGovernedProject>()?.create(new, turn.ids(), turn.now())?
                }
                Create::BusinessInitiative => {
                    tenant.authorize::<CreateBusinessInitiative>()?.create(new, turn.ids(), turn.now())?
                }
            };
            turn.stage(change)
        })
        .await
    }

    /// Saves name, fields and steps of an item together.
    ///
    /// # Errors
    /// As the rule: `REVISION_CONFLICT`, or the first rule that the save breaks.
    pub async fn update_item(&self, call: &Call, id: ItemId, save: Save) -> Answer<Item> {
        self.write(call, move |turn| {
            let item = turn.view().item(id)?.authorize()?;
            turn.stage(item.update(save, turn.now())?)
        })
        .await
    }

    /// Starts a step.
    ///
    /// # Errors
    /// As the rule W1.
    pub async fn start_step(&self, call: &Call, id: ItemId, step: String, expected_revision: u64) -> Answer<Item> {
        self.write(call, move |turn| {
            let item = turn.view().item(id)?.authorize()?;
            turn.stage(item.start_step(&step, expected_revision, turn.now())?)
        })
        .await
    }

    /// Finishes a step.
    ///
    /// # Errors
    /// As the rule W2.
    pub async fn finish_step(&self, call: &Call, id: ItemId, step: String, expected_revision: u64) -> Answer<Item> {
        self.write(call, move |turn| {
            let item = turn.view().item(id)?.authorize()?;
            turn.stage(item.finish_step(&step, expected_revision, turn.now())?)
        })
        .await
    }

    /// Reopens a finished step.
    ///
    /// # Errors
    /// As the rule W3.
    pub async fn reopen_step(&self, call: &Call, id: ItemId, step: String, expected_revision: u64) -> Answer<Item> {
        self.write(call, move |turn| {
            let item = turn.view().item(id)?.authorize()?;
            turn.stage(item.reopen_step(&step, expected_revision, turn.now())?)
        })
        .await
    }

    /// Takes the start of a step back.
    ///
    /// # Errors
    /// As the rule W4.
    pub async fn cancel_step(&self, call: &Call, id: ItemId, step: String, expected_revision: u64) -> Answer<Item> {
        self.write(call, move |turn| {
            let item = turn.view().item(id)?.authorize()?;
            turn.stage(item.cancel_step(&step, expected_revision, turn.now())?)
        })
        .await
    }

    /// Follows an item, or no longer.
    ///
    /// # Errors
    /// As the rule.
    pub async fn follow_item(&self, call: &Call, id: ItemId, follow: bool) -> Answer<Item> {
        self.write(call, move |turn| {
            let item = turn.view().item(id)?.authorize()?;
            turn.stage(item.follow(follow)?)
        })
        .await
    }

    /// Deletes an item, with what hangs on it as `mode` says.
    ///
    /// # Errors
    /// As the rule.
    pub async fn delete_item(
        &self,
        call: &Call,
        id: ItemId,
        mode: DeletionMode,
        expected_revision: u64,
    ) -> Answer<Item> {
        self.write(call, move |turn| {
            let item = turn.view().item(id)?.authorize()?;
            turn.stage(item.delete(mode, expected_revision, turn.now())?)
        })
        .await
    }
}

impl Seen<Item> {
    /// The template that it is made from.
    pub fn template(&self) -> Option<Arc<Template>> {
        let item = self.view().item(self.id).ok()?.authorize::<ReadItem>().ok()?;
        item.template().cloned()
    }

    /// The values of the fields that the viewer may read, in the template's order.
    pub fn readable_fields(&self) -> Vec<(FieldKey, FieldValue)> {
        let item = self.view().item(self.id).and_then(|item| item.authorize::<ReadItem>());
        let fields = item.map(|item| item.fields()).unwrap_or_default();
        fields.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Its template, with the fields that may be read on it; none where the template itself may not be.
    pub fn shown_template(&self) -> Option<Seen<Template>> {
        Seen::<Template>::find(self.snapshot(), self.template).ok()?;
        let item = self.view().item(self.id).ok()?.authorize::<ReadItem>().ok()?;
        item.shown_template().map(|template| self.beside(template))
    }

    /// The item that it belongs to.
    pub fn parent_item(&self) -> Option<Self> {
        self.parent.and_then(|parent| Self::find(self.snapshot(), parent).ok())
    }

    /// The items below it.
    pub fn children(&self) -> Vec<Self> {
        Self::all(self.snapshot(), self.view().children(self.id)).collect()
    }

    /// Its source objects.
    pub fn sources(&self) -> Vec<Seen<SourceObject>> {
        Seen::all(self.snapshot(), self.view().sources_of(self.id)).collect()
    }

    /// The deployments of its source objects.
    pub fn deployments(&self) -> Vec<Seen<Deployment>> {
        let sources = self.view().sources_of(self.id);
        let deployments = sources.flat_map(|source| self.view().deployments_of(source.id));
        Seen::all(self.snapshot(), deployments).collect()
    }

    /// The sign-off of one of its steps.
    pub fn sign_off(&self, step: &StepKey) -> Option<Seen<SignOff>> {
        let sign_off = self.view().sign_offs_of(self.id).find(|sign_off| sign_off.step == *step)?.id;
        Seen::find(self.snapshot(), sign_off).ok()
    }

    /// What its deletion would take along.
    ///
    /// # Errors
    /// `Forbidden` without DELETE; a refusal when it is deleted or too large.
    pub fn preview_deletion(&self) -> Result<DeletionPreview, Failed> {
        let item = self.view().item(self.id)?.authorize::<PreviewDeletion>()?;
        Ok(item.preview()?)
    }

    /// Whether the viewer follows it.
    pub fn is_followed(&self) -> Result<bool, Denied> {
        Ok(self.view().caller()?.user_id().is_some_and(|user| self.followers.contains(&user)))
    }
}
