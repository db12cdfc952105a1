//! Templates: which fields, steps and sign-offs an item of a type has.
//! Never holds an item's values; the Standard template is data, not code.

use super::{
    access::{Basis, Denied, Resource, View},
    action::Need,
    id::{GroupId, RoleId, TemplateId, UserId},
    policy::Rights,
    text::{FeedbackGroupKey, FieldKey, Name, StepKey, Text},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// What an item is. Its place among the others is fixed: bundles and models belong to a project,
/// model versions to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemType {
    /// An undertaking of the business, over any number of projects.
    BusinessInitiative,
    /// The governance side of a project.
    GovernedProject,
    /// The governance side of a bundle: one deployable state of a project.
    GovernedBundle,
    /// The governance side of a saved model.
    GovernedModel,
    /// The governance side of one version of a saved model.
    GovernedModelVersion,
}

impl ItemType {
    /// Every type, parents before children.
    pub const ALL: [Self; 5] = [
        Self::BusinessInitiative,
        Self::GovernedProject,
        Self::GovernedBundle,
        Self::GovernedModel,
        Self::GovernedModelVersion,
    ];

    /// The type of the item that an item of this type belongs to, if any.
    pub const fn parent(self) -> Option<Self> {
        match self {
            Self::BusinessInitiative | Self::GovernedProject => None,
            Self::GovernedBundle | Self::GovernedModel => Some(Self::GovernedProject),
            Self::GovernedModelVersion => Some(Self::GovernedModel),
        }
    }

    /// What a person calls it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::BusinessInitiative => "business initiative",
            Self::GovernedProject => "governed project",
            Self::GovernedBundle => "governed bundle",
            Self::GovernedModel => "governed model",
            Self::GovernedModelVersion => "governed model version",
        }
    }
}

impl std::fmt::Display for ItemType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.label())
    }
}

/// Whether a template may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplateStatus {
    /// Being written; no item can be made from it.
    Draft,
    /// In use.
    Active,
    /// No new item can be made from it; existing ones keep it.
    Archived,
}

/// One version of an item type's definition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Template {
    /// The template's id.
    pub id: TemplateId,
    /// Counts its changes, from 1.
    pub revision: u64,
    /// What people call it, for example "Standard".
    pub name: Name,
    /// What it is for.
    pub about: Text,
    /// The type of the items made from it.
    pub item_type: ItemType,
    /// Whether it may be used.
    pub status: TemplateStatus,
    /// The fields, in the order in which they are shown.
    pub fields: Vec<FieldDefinition>,
    /// The steps, in order; none for a type without a workflow.
    pub steps: Vec<StepDefinition>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// One field of a template.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FieldDefinition {
    /// Names the field.
    pub key: FieldKey,
    /// What people call it.
    pub label: Name,
    /// What belongs into it.
    #[serde(default)]
    pub about: Text,
    /// What values it takes.
    pub shape: FieldShape,
    /// Whether it holds a list of such values.
    #[serde(default)]
    pub list: bool,
    /// Whether its people gain roles by it: changing it needs ASSIGN as well.
    #[serde(default)]
    pub assigns_roles: bool,
}

/// What values a field takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldShape {
    /// Free text.
    Text,
    /// Yes or no.
    Boolean,
    /// A whole number within bounds, both included.
    Integer {
        /// The smallest value.
        min: i64,
        /// The largest value.
        max: i64,
    },
    /// A calendar date.
    Date,
    /// One of these categories.
    Category(Vec<Arc<str>>),
    /// A link to a document: an http or https address.
    Link,
    /// An item of this type.
    Reference(ItemType),
    /// A user or a group.
    Person,
    /// Computed on save from a category field: nobody writes it.
    Score {
        /// The category field.
        from: FieldKey,
        /// The score of each category.
        scores: BTreeMap<Arc<str>, i64>,
    },
}

/// One step of a template's workflow.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StepDefinition {
    /// Names the step.
    pub key: StepKey,
    /// What people call it.
    pub label: Name,
    /// What happens in it.
    #[serde(default)]
    pub about: Text,
    /// The fields that belong to the step, shown with it.
    #[serde(default)]
    pub fields: Vec<FieldKey>,
    /// The fields that must be filled before it can be finished.
    #[serde(default)]
    pub required_fields: Vec<FieldKey>,
    /// The review attached to it.
    #[serde(default)]
    pub sign_off: Option<Arc<SignOffConfiguration>>,
}

/// How a sign-off is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignOffConfiguration {
    /// Whether the step can only be finished once it is approved.
    pub mandatory: bool,
    /// Who gives feedback.
    pub feedback_groups: Vec<FeedbackGroup>,
    /// Who may decide.
    pub approvers: Membership,
}

/// One group of reviewers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedbackGroup {
    /// Names the group.
    pub key: FeedbackGroupKey,
    /// What people call it.
    pub label: Name,
    /// Who belongs to it.
    pub members: Membership,
}

/// Who belongs to a group of reviewers; resolved anew whenever it is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// These users.
    #[serde(default)]
    pub users: Vec<UserId>,
    /// The members of these groups.
    #[serde(default)]
    pub groups: Vec<GroupId>,
    /// Whoever has one of these roles on the item.
    #[serde(default)]
    pub roles: Vec<RoleId>,
    /// The people in these fields of the item itself.
    #[serde(default)]
    pub own_fields: Vec<FieldKey>,
    /// The people in these fields of the governed project that the item belongs to.
    #[serde(default)]
    pub project_fields: Vec<FieldKey>,
}

impl Template {
    /// The definition of a field.
    pub fn field(&self, key: &str) -> Option<&FieldDefinition> {
        self.fields.iter().find(|field| field.key.as_str() == key)
    }

    /// The template with these fields only, in its steps, too.
    #[must_use]
    pub fn with_fields(&self, are_shown: impl Fn(&FieldKey) -> bool) -> Self {
        let mut shown = self.clone();
        shown.fields.retain(|field| are_shown(&field.key));
        for step in &mut shown.steps {
            step.fields.retain(&are_shown);
            step.required_fields.retain(&are_shown);
        }
        shown
    }

    /// The definition of a step.
    pub fn step(&self, key: &StepKey) -> Option<&StepDefinition> {
        self.steps.iter().find(|step| step.key == *key)
    }
}

impl View<'_> {
    /// A template without the fields that the caller reads on no item, whatever roles she comes to have there.
    ///
    /// # Errors
    /// See [`Denied`].
    pub fn shown_template(self, template: &Template) -> Result<Template, Denied> {
        let rights = Rights::at_most(self.state(), &self.caller()?, template.item_type);
        Ok(template.with_fields(|key| rights.reads_field(key)))
    }
}

impl Resource for Template {
    /// Active templates are there for everyone with an account, the others for those who manage.
    fn may(&self, need: Need, view: View<'_>) -> Result<Basis, Denied> {
        let caller = view.caller()?;
        let active = self.status == TemplateStatus::Active && caller.user.is_some();
        match need {
            Need::Read if active => Ok(Basis::SignedIn),
            Need::Read | Need::Manage if caller.manages() => Ok(Basis::Standing),
            Need::Read => Err(Denied::NotFound),
            Need::Manage
            | Need::Write
            | Need::Delete
            | Need::Create(_)
            | Need::Govern
            | Need::Member
            | Need::Sync
            | Need::Administer
            | Need::Operate
            | Need::Deploy
            | Need::AdministerInfrastructure
            | Need::SelfOrAdminister => Err(Denied::Forbidden(need.right())),
        }
    }
}
