//! Scalars and the values of fields, as clients write and read them.
//! Never guesses: a value names its shape.

use super::{
    id::{global, of_kind},
    identity::{Group, User},
    item::GovernedItem,
};
use crate::{
    app::Seen,
    domain::{
        field::{self, Date, FieldChange},
        record::Kind,
        refusal::Refusal,
        text::Text,
        time::Timestamp,
    },
    store::Snapshot,
};
use async_graphql::{
    ID, InputObject, InputValueError, InputValueResult, OneofObject, Scalar, ScalarType, SimpleObject, Union, Value,
};

/// A moment: RFC 3339 in UTC, to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DateTime(pub(super) Timestamp);

/// A moment in UTC as RFC 3339, to the millisecond: `2026-01-31T09:30:00.000Z`.
#[Scalar(specified_by_url = "https://scalars.graphql.org/andimarek/date-time")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let moment = if let Value::String(text) = &value { Timestamp::parse(text) } else { None };
        moment.map(Self).ok_or_else(|| InputValueError::custom("expected a moment like 2026-01-31T09:30:00Z"))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

impl From<Timestamp> for DateTime {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

/// A number of bytes, which may be more than 2³¹.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) u64);

/// A number of bytes: a whole JSON number from 0 to 2⁵³, larger than an `Int` may be.
#[Scalar]
impl ScalarType for Bytes {
    fn parse(value: Value) -> InputValueResult<Self> {
        let bytes = if let Value::Number(number) = &value { number.as_u64() } else { None };
        let bytes = bytes.filter(|bytes| *bytes <= 1 << 53);
        bytes.map(Self).ok_or_else(|| InputValueError::custom("expected a whole number from 0 to 2^53"))
    }

    fn to_value(&self) -> Value {
        Value::from(self.0)
    }
}

/// A user or a group: name exactly one.
#[derive(Clone, Debug, OneofObject)]
pub(super) enum PersonInput {
    /// One user.
    User(ID),
    /// Everyone in a group.
    Group(ID),
}

/// The value of a field: name exactly the shape that the field has.
#[derive(Clone, Debug, OneofObject)]
pub(super) enum FieldValueInput {
    /// Free text.
    Text(String),
    /// Yes or no.
    Boolean(bool),
    /// A whole number of 32 bits.
    Integer(i32),
    /// A calendar date: `2026-01-31`.
    Date(String),
    /// One of the field's categories.
    Category(String),
    /// An http or https address.
    Link(String),
    /// Another item.
    Item(ID),
    /// A user or a group.
    Person(PersonInput),
    /// Several texts.
    Texts(Vec<String>),
    /// Several categories.
    Categories(Vec<String>),
    /// Several addresses.
    Links(Vec<String>),
    /// Several items.
    Items(Vec<ID>),
    /// Several users and groups.
    People(Vec<PersonInput>),
}

/// A field to be set, or emptied where no value is named.
#[derive(Clone, Debug, InputObject)]
pub(super) struct FieldInput {
    /// The field's key, for example `risk_rating`.
    key: String,
    /// Its new value; leave it out to empty the field.
    value: Option<FieldValueInput>,
}

impl FieldInput {
    pub(super) fn change(self) -> Result<FieldChange, Refusal> {
        let path = format!("fields.{}", self.key);
        let value = self.value.map(|value| value.value(&path)).transpose()?;
        Ok(FieldChange { key: self.key, value })
    }
}

impl PersonInput {
    pub(super) fn person(&self) -> field::Person {
        match self {
            Self::User(id) => field::Person::User(of_kind(Kind::User, id)),
            Self::Group(id) => field::Person::Group(of_kind(Kind::Group, id)),
        }
    }
}

impl FieldValueInput {
    pub(super) fn value(self, path: &str) -> Result<field::FieldValue, Refusal> {
        use field::FieldValue as V;
        let item = |id: &ID| V::Reference(of_kind(Kind::Item, id));
        let category = |text: String| V::Category(text.into());
        let link = |text: String| V::Link(text.into());
        Ok(match self {
            Self::Text(text) => V::Text(Text::parse(path, &text)?),
            Self::Boolean(yes) => V::Boolean(yes),
            Self::Integer(number) => V::Integer(number.into()),
            Self::Date(text) => {
                V::Date(Date::try_from(text).map_err(|_| Refusal::DateNotAllowed { path: path.to_owned() })?)
            }
            Self::Category(text) => category(text),
            Self::Link(text) => link(text),
            Self::Item(id) => item(&id),
            Self::Person(person) => V::Person(person.person()),
            Self::Texts(texts) => {
                let texts = texts.iter().enumerate();
                let texts = texts.map(|(n, text)| Ok(V::Text(Text::parse(&format!("{path}.{n}"), text)?)));
                V::List(texts.collect::<Result<_, Refusal>>()?)
            }
            Self::Categories(texts) => V::List(texts.into_iter().map(category).collect()),
            Self::Links(texts) => V::List(texts.into_iter().map(link).collect()),
            Self::Items(ids) => V::List(ids.iter().map(item).collect()),
            Self::People(people) => V::List(people.iter().map(|person| V::Person(person.person())).collect()),
        })
    }
}

/// A text.
#[derive(SimpleObject)]
pub(super) struct TextValue {
    /// The text.
    text: String,
}

/// A yes or no.
#[derive(SimpleObject)]
pub(super) struct BooleanValue {
    /// Yes or no.
    boolean: bool,
}

/// A whole number; computed scores are such.
#[derive(SimpleObject)]
pub(super) struct IntegerValue {
    /// The number.
    integer: i64,
}

/// A calendar date.
#[derive(SimpleObject)]
pub(super) struct DateValue {
    /// The date: `2026-01-31`.
    date: String,
}

/// One of a field's categories.
#[derive(SimpleObject)]
pub(super) struct CategoryValue {
    /// The category.
    category: String,
}

/// An http or https address.
#[derive(SimpleObject)]
pub(super) struct LinkValue {
    /// The address.
    link: String,
}

/// Another item.
#[derive(SimpleObject)]
pub(super) struct ItemValue {
    /// The item's id.
    item_id: ID,
    /// The item; null where you may not read it.
    item: Option<GovernedItem>,
}

/// A user or a group.
#[derive(SimpleObject)]
pub(super) struct PersonValue {
    /// The user, when it is one; null after he was removed.
    user: Option<User>,
    /// The group, when it is one; null after it was removed.
    group: Option<Group>,
}

/// Several values, in order.
#[derive(SimpleObject)]
pub(super) struct ListValue {
    /// The values.
    values: Vec<FieldValue>,
}

/// The value of a field, by its shape.
#[derive(Union)]
pub(super) enum FieldValue {
    /// A text.
    Text(TextValue),
    /// A yes or no.
    Boolean(BooleanValue),
    /// A whole number.
    Integer(IntegerValue),
    /// A calendar date.
    Date(DateValue),
    /// One of the field's categories.
    Category(CategoryValue),
    /// An address.
    Link(LinkValue),
    /// Another item.
    Item(ItemValue),
    /// A user or a group.
    Person(PersonValue),
    /// Several values.
    List(ListValue),
}

impl FieldValue {
    /// A value, its references opened for the viewer of the snapshot.
    pub(super) fn shown(snapshot: &Snapshot, value: &field::FieldValue) -> Self {
        use field::FieldValue as V;
        match value {
            V::Text(text) => Self::text(text.as_str()),
            V::Boolean(boolean) => Self::Boolean(BooleanValue { boolean: *boolean }),
            V::Integer(integer) => Self::Integer(IntegerValue { integer: *integer }),
            V::Date(date) => Self::Date(DateValue { date: date.to_string() }),
            V::Category(category) => Self::Category(CategoryValue { category: category.to_string() }),
            V::Link(link) => Self::Link(LinkValue { link: link.to_string() }),
            V::Reference(item) => Self::Item(ItemValue {
                item_id: global(Kind::Item, item.uuid()),
                item: Seen::find(snapshot, *item).ok().map(GovernedItem),
            }),
            V::Person(field::Person::User(user)) => {
                let user = Seen::find(snapshot, *user).ok().map(User);
                Self::Person(PersonValue { user, group: None })
            }
            V::Person(field::Person::Group(group)) => {
                let group = Seen::find(snapshot, *group).ok().map(Group);
                Self::Person(PersonValue { user: None, group })
            }
            V::List(values) => {
                let values = values.iter().map(|value| Self::shown(snapshot, value)).collect();
                Self::List(ListValue { values })
            }
        }
    }

    /// A text as a value, for what is no field.
    pub(super) fn text(text: &str) -> Self {
        Self::Text(TextValue { text: text.to_owned() })
    }
}
