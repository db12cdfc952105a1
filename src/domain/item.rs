//! A governed item: its record, and what can be read of it.
//! Never changes itself: `rules` does, with a permission in hand.

mod deletion;
mod rules;

use super::{
    access::{Allowed, Basis, Denied, Resource, View},
    action::{Need, ReadItem},
    field::{FieldValue, Fields},
    id::{ItemId, TemplateId, UserId},
    identity::Scope,
    policy::Rights,
    refusal::Refusal,
    state::State,
    template::{ItemType, StepDefinition, Template},
    text::{FieldKey, Name, StepKey},
    time::Timestamp,
    workflow::{Gate, Workflow},
};
pub use deletion::{DeletionMode, DeletionPreview};
pub use rules::{NewItem, Save, StepMove};
pub(in crate::domain) use rules::{Origin, changed_fields, create, gives_roles, step_event, usable_template};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};

/// The governance side of an initiative, project, bundle, model or version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Item {
    /// The item's id.
    pub id: ItemId,
    /// Counts changes of name, fields and steps, from 1.
    pub revision: u64,
    /// What it is.
    pub item_type: ItemType,
    /// The template that it is made from.
    pub template: TemplateId,
    /// What people call it; renaming a source object never renames it.
    pub name: Name,
    /// The item that it belongs to.
    pub parent: Option<ItemId>,
    /// The fields that have a value.
    pub fields: Fields,
    /// Where it stands.
    pub workflow: Workflow,
    /// Who hears of what happens to it and below it.
    pub followers: BTreeSet<UserId>,
    /// Whether it is live, archived or deleted.
    pub life: Life,
    /// Who made it; none for the server.
    pub created_by: Option<UserId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its name, fields or steps last changed.
    pub changed_at: Timestamp,
}

/// Whether an item is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    /// It is there.
    Live,
    /// Its project was deleted, and it stays for its history.
    Archived(Timestamp),
    /// Only a tombstone with the fields that roles depend on.
    Deleted(Timestamp),
}

impl Item {
    /// Whether it is neither archived nor deleted.
    pub const fn is_live(&self) -> bool {
        matches!(self.life, Life::Live)
    }

    /// Whether it was deleted.
    pub const fn is_deleted(&self) -> bool {
        matches!(self.life, Life::Deleted(_))
    }

    /// # Errors
    /// `ITEM_ARCHIVED` or `ITEM_DELETED`.
    pub(in crate::domain) const fn must_be_live(&self) -> Result<(), Refusal> {
        match self.life {
            Life::Live => Ok(()),
            Life::Archived(_) => Err(Refusal::ItemArchived {}),
            Life::Deleted(_) => Err(Refusal::ItemDeleted {}),
        }
    }

    /// # Errors
    /// `REVISION_CONFLICT` when the caller has read an older revision.
    pub(in crate::domain) const fn must_be_at(&self, expected: u64) -> Result<(), Refusal> {
        if self.revision == expected {
            return Ok(());
        }
        Err(Refusal::RevisionConflict { expected, current: self.revision })
    }

    /// What stands between a step of this item and its next status.
    pub(in crate::domain) fn gate(&self, state: &State, definition: Option<&StepDefinition>, step: &StepKey) -> Gate {
        let sign_off = state.sign_off_of(self.id, step);
        let required = definition.map(|definition| definition.required_fields.as_slice()).unwrap_or_default();
        let blank = |field: &&FieldKey| self.fields.get(*field).is_none_or(FieldValue::is_blank);
        Gate {
            sign_off: sign_off.map(|sign_off| sign_off.status()),
            mandatory: sign_off.is_some_and(|sign_off| sign_off.configuration.mandatory),
            missing: required.iter().filter(blank).cloned().collect(),
        }
    }
}

impl Resource for Item {
    fn may(&self, need: Need, view: View<'_>) -> Result<Basis, Denied> {
        let rights = view.rights(self)?;
        // A node that may ask for the status of its own objects reads the items that govern them, and no more.
        let node = view.caller()?.node(Scope::ReadStatus);
        let own = node.is_some_and(|node| view.state().sources_of(self.id).any(|source| source.node == node));
        // A tombstone is there for those who could read the item; archived ones are read as before.
        if !(rights.may_read() || own) {
            return Err(Denied::NotFound);
        }
        let granted = match need {
            Need::Read | Need::Member => true,
            Need::Write => rights.may_write(),
            Need::Delete => rights.may_delete(),
            Need::Create(_)
            | Need::Govern
            | Need::Sync
            | Need::Manage
            | Need::Administer
            | Need::Operate
            | Need::Deploy
            | Need::AdministerInfrastructure
            | Need::SelfOrAdminister => false,
        };
        let basis = match rights.may_read() {
            _ if view.caller()?.manages() => Basis::Standing,
            true => Basis::Roles,
            false => Basis::Scope,
        };
        if granted { Ok(basis) } else { Err(Denied::Forbidden(need.right())) }
    }
}

impl<'s> Allowed<'s, ReadItem, Item> {
    /// The template that the item is made from.
    pub fn template(&self) -> Option<&'s Arc<Template>> {
        self.state().template(self.template)
    }

    /// That template without the fields that the caller may not read here.
    pub fn shown_template(&self) -> Option<Template> {
        let rights = self.rights().ok()?;
        self.template().map(|template| template.with_fields(|key| rights.may_read_field(key)))
    }

    /// What the caller may do on the item.
    pub fn rights(&self) -> Result<Arc<Rights>, Denied> {
        self.view().rights(self)
    }

    /// The values of the fields that the caller may read, in the template's order.
    pub fn fields(&self) -> Vec<(&'s FieldKey, &'s FieldValue)> {
        let Ok(rights) = self.rights() else { return vec![] };
        let template = self.template().map(|template| template.fields.as_slice()).unwrap_or_default();
        let readable = template.iter().filter(|field| rights.may_read_field(&field.key));
        readable.filter_map(|field| self.record().fields.get_key_value(&field.key)).collect()
    }
}
