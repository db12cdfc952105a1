//! Templates as clients read them: which fields, steps and sign-offs their items have.
//! Never shows a field that its reader may not read on any item.

use super::{
    call::{connection, page, snapshot},
    error::PageError,
    id::global,
};
use crate::{
    app::{Seen, registry},
    domain::{record::Kind, template},
};
use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "template::ItemType")]
pub(super) enum ItemType {
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

/// Whether a template may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "template::TemplateStatus")]
pub(super) enum TemplateStatus {
    /// Being written; no item can be made from it.
    Draft,
    /// In use.
    Active,
    /// No new item can be made from it; existing ones keep it.
    Archived,
}

/// What values a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(super) enum FieldShape {
    /// Free text.
    Text,
    /// Yes or no.
    Boolean,
    /// A whole number within bounds.
    Integer,
    /// A calendar date.
    Date,
    /// One of the field's categories.
    Category,
    /// An http or https address.
    Link,
    /// An item of one type.
    Item,
    /// A user or a group.
    Person,
    /// Computed on save from a category field.
    Score,
}

/// One field of a template.
#[derive(SimpleObject)]
pub(super) struct FieldDefinition {
    /// Names the field in inputs and filters.
    key: String,
    /// What people call it.
    label: String,
    /// What belongs into it.
    about: String,
    /// What values it takes.
    shape: FieldShape,
    /// Whether it holds a list of such values.
    list: bool,
    /// The categories of a category field.
    categories: Option<Vec<String>>,
    /// The type of the items of an item field.
    item_type: Option<ItemType>,
    /// The field that a score is computed from.
    computed_from: Option<String>,
    /// Whether its people gain roles by it: changing it needs ASSIGN as well.
    assigns_roles: bool,
}

impl From<&template::FieldDefinition> for FieldDefinition {
    fn from(field: &template::FieldDefinition) -> Self {
        use template::FieldShape as S;
        let (mut categories, mut item_type, mut computed_from) = (None, None, None);
        let shape = match &field.shape {
            S::Text => FieldShape::Text,
            S::Boolean => FieldShape::Boolean,
            S::Integer { .. } => FieldShape::Integer,
            S::Date => FieldShape::Date,
            S::Category(allowed) => {
                categories = Some(allowed.iter().map(ToString::to_string).collect());
                FieldShape::Category
            }
            S::Link => FieldShape::Link,
            S::Reference(to) => {
                item_type = Some((*to).into());
                FieldShape::Item
            }
            S::Person => FieldShape::Person,
            S::Score { from, .. } => {
                computed_from = Some(from.to_string());
                FieldShape::Score
            }
        };
        Self {
            key: field.key.to_string(),
            label: field.label.to_string(),
            about: field.about.to_string(),
            shape,
            list: field.list,
            categories,
            item_type,
            computed_from,
            assigns_roles: field.assigns_roles,
        }
    }
}

/// One step of a template's workflow.
#[derive(SimpleObject)]
pub(super) struct StepDefinition {
    /// Names the step.
    key: String,
    /// What people call it.
    label: String,
    /// What happens in it.
    about: String,
    /// The keys of the fields that belong to it.
    fields: Vec<String>,
    /// The keys of the fields that must be filled before it can be finished.
    required_fields: Vec<String>,
    /// Whether a sign-off is attached to it.
    has_sign_off: bool,
}

impl From<&template::StepDefinition> for StepDefinition {
    fn from(step: &template::StepDefinition) -> Self {
        Self {
            key: step.key.to_string(),
            label: step.label.to_string(),
            about: step.about.to_string(),
            fields: step.fields.iter().map(ToString::to_string).collect(),
            required_fields: step.required_fields.iter().map(ToString::to_string).collect(),
            has_sign_off: step.sign_off.is_some(),
        }
    }
}

/// One version of an item type's definition.
pub(super) struct Template(pub(super) Seen<template::Template>);

/// One version of an item type's definition.
#[Object]
impl Template {
    /// The template's id.
    pub(super) async fn id(&self) -> ID {
        global(Kind::Template, self.0.id.uuid())
    }

    /// What people call it.
    async fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// What it is for.
    async fn about(&self) -> &str {
        self.0.about.as_str()
    }

    /// The type of the items made from it.
    async fn item_type(&self) -> ItemType {
        self.0.item_type.into()
    }

    /// Whether it may be used.
    async fn status(&self) -> TemplateStatus {
        self.0.status.into()
    }

    /// The fields, in the order in which they are shown: reached from an item those that you may read on it, otherwise
    /// those that you may read on some item, or might if you stood in one of its fields.
    async fn fields(&self) -> Vec<FieldDefinition> {
        self.0.shown().fields.iter().map(FieldDefinition::from).collect()
    }

    /// The steps, in order; none for a type without a workflow.
    async fn steps(&self) -> Vec<StepDefinition> {
        self.0.shown().steps.iter().map(StepDefinition::from).collect()
    }
}

connection! {
    /// A page of templates.
    TemplateConnection, TemplateEdge of Template(template::Template)
}

/// Queries about templates.
#[derive(Default)]
pub(super) struct TemplateQuery;

#[Object]
impl TemplateQuery {
    /// The templates, oldest first. Active ones unless another status is named; the others are there for
    /// governance managers only.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection and its filter")]
    async fn templates(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only templates of this type of item.")] item_type: Option<ItemType>,
        #[graphql(desc = "Only templates with this status; ACTIVE where none is named.")] status: Option<
            TemplateStatus,
        >,
        #[graphql(desc = "The first so many rows: 0 to 100; 25 where nothing is named.")] first: Option<i32>,
        #[graphql(desc = "Rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many rows: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Rows before this cursor.")] before: Option<String>,
    ) -> Result<TemplateConnection> {
        let request = page(first, after, last, before)?;
        let rows =
            registry::templates(snapshot(ctx).await?, item_type.map(Into::into), status.map(Into::into), &request);
        Ok(rows.map_err(PageError::from)?.into())
    }
}
