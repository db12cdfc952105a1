//! Values of fields, checked against their definitions.
//! Never drops or repairs a value: what does not fit is refused with its path.

use super::{
    id::{GroupId, ItemId, UserId},
    refusal::Refusal,
    state::State,
    template::{FieldDefinition, FieldShape, ItemType, Template},
    text::{FieldKey, Text},
};
use crate::limits::FIELD_VALUES_MAX;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// A user or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Person {
    /// One user.
    User(UserId),
    /// Everyone in a group.
    Group(GroupId),
}

/// One value of a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldValue {
    /// Free text.
    Text(Text),
    /// Yes or no.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A calendar date.
    Date(Date),
    /// One of the field's categories.
    Category(Arc<str>),
    /// An http or https address.
    Link(Arc<str>),
    /// Another item.
    Reference(ItemId),
    /// A user or a group.
    Person(Person),
    /// Several values, in order.
    List(Vec<FieldValue>),
}

/// A calendar date: `2026-01-31`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Date(jiff::civil::Date);

/// The fields of an item that have a value.
pub type Fields = BTreeMap<FieldKey, FieldValue>;

/// One field to be set (or emptied, without a value) by a save.
#[derive(Clone, Debug)]
pub struct FieldChange {
    /// Names the field, as the caller wrote it.
    pub key: String,
    /// Its new value; `None` empties it.
    pub value: Option<FieldValue>,
}

impl TryFrom<String> for Date {
    type Error = String;

    fn try_from(raw: String) -> Result<Self, Self::Error> {
        raw.parse().map(Self).map_err(|_| format!("{raw:?} is not a date like 2026-01-31"))
    }
}

impl From<Date> for String {
    fn from(date: Date) -> Self {
        date.0.to_string()
    }
}

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl FieldValue {
    /// Everyone whom the value names.
    pub fn people(&self) -> Vec<Person> {
        match self {
            Self::Person(person) => vec![*person],
            Self::List(values) => values.iter().flat_map(Self::people).collect(),
            Self::Text(_)
            | Self::Boolean(_)
            | Self::Integer(_)
            | Self::Date(_)
            | Self::Category(_)
            | Self::Link(_)
            | Self::Reference(_) => vec![],
        }
    }

    /// Every item that the value names.
    pub fn references(&self) -> Vec<ItemId> {
        match self {
            Self::Reference(item) => vec![*item],
            Self::List(values) => values.iter().flat_map(Self::references).collect(),
            Self::Text(_)
            | Self::Boolean(_)
            | Self::Integer(_)
            | Self::Date(_)
            | Self::Category(_)
            | Self::Link(_)
            | Self::Person(_) => vec![],
        }
    }

    /// Whether a person would call the field empty.
    pub fn is_blank(&self) -> bool {
        match self {
            Self::Text(text) => text.is_blank(),
            Self::List(values) => values.is_empty(),
            Self::Boolean(_)
            | Self::Integer(_)
            | Self::Date(_)
            | Self::Category(_)
            | Self::Link(_)
            | Self::Reference(_)
            | Self::Person(_) => false,
        }
    }

    const fn shape(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Boolean(_) => "a yes or no",
            Self::Integer(_) => "a whole number",
            Self::Date(_) => "a date",
            Self::Category(_) => "a category",
            Self::Link(_) => "a link",
            Self::Reference(_) => "an item",
            Self::Person(_) => "a user or group",
            Self::List(_) => "a list",
        }
    }
}

impl FieldShape {
    /// What a person calls such a value.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Boolean => "a yes or no",
            Self::Integer { .. } => "a whole number",
            Self::Date => "a date",
            Self::Category(_) => "a category",
            Self::Link => "a link",
            Self::Reference(_) => "an item",
            Self::Person => "a user or group",
            Self::Score { .. } => "a computed score",
        }
    }
}

/// Applies `changes` to `fields` by the definitions of `template`, all or none, then computes the scores.
/// `may_refer` says whether the writer can read an item: what he cannot read he cannot point at.
///
/// # Errors
/// The first refusal, with the path of the value: unknown field, wrong shape, category, range,
/// a person or item that does not exist.
pub fn apply(
    template: &Template,
    state: &State,
    may_refer: &dyn Fn(ItemId) -> bool,
    fields: &Fields,
    changes: Vec<FieldChange>,
) -> Result<Fields, Refusal> {
    let mut next = fields.clone();
    for change in changes {
        let path = format!("fields.{}", change.key);
        let Some(definition) = template.field(&change.key) else {
            return Err(Refusal::UnknownField { path, template: template.name.clone() });
        };
        if let FieldShape::Score { from, .. } = &definition.shape {
            return Err(Refusal::FieldComputed { path, from: from.clone() });
        }
        match change.value {
            None => next.remove(&definition.key),
            Some(value) => {
                let checked = Check { state, may_refer, definition }.value(&path, value)?;
                next.insert(definition.key.clone(), checked)
            }
        };
    }
    compute_scores(template, &mut next);
    Ok(next)
}

/// Sets every score from its category, and removes the scores of what is not rated.
fn compute_scores(template: &Template, fields: &mut Fields) {
    for definition in &template.fields {
        let FieldShape::Score { from, scores } = &definition.shape else { continue };
        let score = match fields.get(from) {
            Some(FieldValue::Category(category)) => scores.get(category).copied(),
            _ => None,
        };
        match score {
            Some(score) => fields.insert(definition.key.clone(), FieldValue::Integer(score)),
            None => fields.remove(&definition.key),
        };
    }
}

struct Check<'s> {
    state: &'s State,
    may_refer: &'s dyn Fn(ItemId) -> bool,
    definition: &'s FieldDefinition,
}

impl Check<'_> {
    fn value(&self, path: &str, value: FieldValue) -> Result<FieldValue, Refusal> {
        match (self.definition.list, value) {
            (true, FieldValue::List(values)) => {
                if values.len() > FIELD_VALUES_MAX {
                    let (path, most) = (path.to_owned(), FIELD_VALUES_MAX);
                    return Err(Refusal::TooManyValues { path, values: values.len(), most });
                }
                let values = values.into_iter().enumerate();
                let checked = values.map(|(n, value)| self.single(&format!("{path}.{n}"), value));
                Ok(FieldValue::List(checked.collect::<Result<_, _>>()?))
            }
            (true, single) => Err(self.shape(path, &single)),
            (false, value) => self.single(path, value),
        }
    }

    fn single(&self, path: &str, value: FieldValue) -> Result<FieldValue, Refusal> {
        let path = || path.to_owned();
        match (&self.definition.shape, value) {
            // A client may send a category as text: the shape of the field decides what it is.
            (FieldShape::Category(allowed), FieldValue::Category(category)) => {
                if !allowed.contains(&category) {
                    return Err(Refusal::CategoryUnknown { path: path(), allowed: allowed.join(", ") });
                }
                Ok(FieldValue::Category(category))
            }
            (FieldShape::Integer { min, max }, FieldValue::Integer(number)) => {
                if !(*min..=*max).contains(&number) {
                    return Err(Refusal::NumberOutOfRange { path: path(), min: *min, max: *max });
                }
                Ok(FieldValue::Integer(number))
            }
            (FieldShape::Link, FieldValue::Link(link)) => {
                if !is_link(&link) {
                    return Err(Refusal::LinkNotAllowed { path: path() });
                }
                Ok(FieldValue::Link(link))
            }
            (FieldShape::Reference(item_type), FieldValue::Reference(item)) => self.reference(path(), *item_type, item),
            (FieldShape::Person, FieldValue::Person(person)) => {
                let known = match person {
                    Person::User(user) => self.state.user(user).is_some(),
                    Person::Group(group) => self.state.group(group).is_some(),
                };
                if known { Ok(FieldValue::Person(person)) } else { Err(Refusal::PersonUnknown { path: path() }) }
            }
            (FieldShape::Text, value @ FieldValue::Text(_))
            | (FieldShape::Boolean, value @ FieldValue::Boolean(_))
            | (FieldShape::Date, value @ FieldValue::Date(_)) => Ok(value),
            (_, other) => Err(self.shape(&path(), &other)),
        }
    }

    fn reference(&self, path: String, item_type: ItemType, item: ItemId) -> Result<FieldValue, Refusal> {
        let target = self.state.item(item).filter(|target| target.is_live() && (self.may_refer)(item));
        match target {
            None => Err(Refusal::ItemUnknown { path }),
            Some(target) if target.item_type != item_type => {
                Err(Refusal::ItemOfWrongType { path, wanted: item_type, found: target.item_type })
            }
            Some(_) => Ok(FieldValue::Reference(item)),
        }
    }

    fn shape(&self, path: &str, found: &FieldValue) -> Refusal {
        let wanted = self.definition.shape.label();
        let wanted = if self.definition.list { format!("a list, each value {wanted}") } else { wanted.to_owned() };
        Refusal::ValueOfWrongShape { path: path.to_owned(), wanted, found: found.shape() }
    }
}

fn is_link(link: &str) -> bool {
    let rest = link.strip_prefix("https://").or_else(|| link.strip_prefix("http://"));
    let sound = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '}');
    link.len() <= 2_000
        && rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && rest.chars().all(sound))
}
