//! What an operation costs, before it runs: every field that it may answer, multiplied by the pages and lists above it.
//! A point is about what one field takes to be answered: a microsecond of a processor.
//! Never looks at data, a clock or the caller: the same document and variables always cost the same.

mod weights;

use super::types::{Definition, Field as FieldType, Types, innermost};
use crate::limits::{PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX};
use async_graphql::{
    Name, Positioned, Value as ConstValue, Variables,
    parser::types::{
        Directive, ExecutableDocument, Field, OperationDefinition, OperationType, Selection, SelectionSet,
    },
};
use async_graphql_value::Value;
use std::collections::HashMap;
pub(super) use weights::OPERATION;
use weights::{FIELD, INPUTS, LIST_ROWS, LISTS, MUTATION, ROWS_OF_PARENT, SUBSCRIPTION, TOTAL, WEIGHTS, WRAPPINGS_MAX};

/// What an operation costs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// In points.
    pub(super) points: u64,
    /// The list to ask less of, as `Type.field`: of those that make most of it the innermost whose length is asked for;
    /// and how many rows it was taken to have.
    pub(super) dearest: Option<(String, u64)>,
    /// Whether it asks for the schema's own description.
    pub(super) describes_schema: bool,
}

/// How many rows a field answers.
#[derive(Clone, Copy)]
enum Rows {
    /// One object, or a value.
    One,
    /// A page: the lists in the connection have as many rows as it asks for.
    Page,
    /// As many as the field above says.
    OfParent,
    /// About so many.
    About(u64),
    /// What is in the wrapping of a type, of which there are only so many in one another.
    Wrapped,
    /// As many as its input has at this place, each of which costs something by itself.
    Input { at: &'static [&'static str], each: u64 },
}

/// What is known of a field.
struct Priced {
    /// `Type.field`.
    name: String,
    own: u64,
    rows: Rows,
    is_list: bool,
    /// Where the fields of what it answers stand; none for values.
    answers: Option<usize>,
}

/// What every field of a schema costs.
pub(super) struct Prices {
    fields: Vec<HashMap<Name, Priced>>,
    places: HashMap<Name, usize>,
    roots: [Option<usize>; 3],
}

/// A name in the table of weights that the schema does not have.
#[derive(Debug, thiserror::Error)]
#[error("the table of costs names {0}, which the schema does not have")]
pub struct UnknownField(pub(super) String);

impl Prices {
    /// The prices of a schema's fields.
    ///
    /// # Errors
    /// Where the table of weights names a field that the schema does not have.
    pub(super) fn of(types: &Types) -> Result<Self, UnknownField> {
        let places: HashMap<Name, usize> =
            types.composites().enumerate().map(|(place, (name, _))| (name.clone(), place)).collect();
        let roots = [OperationType::Query, OperationType::Mutation, OperationType::Subscription];
        let described = described(types);
        let fields = types.composites().map(|(of, fields)| {
            let root = roots.into_iter().find(|root| types.root(*root) == of);
            let priced = fields.iter().map(|(name, field)| {
                let priced = Priced::of(format!("{of}.{name}"), field, root, &places, &described);
                (name.clone(), priced)
            });
            priced.collect()
        });
        let prices =
            Self { fields: fields.collect(), roots: roots.map(|root| places.get(types.root(root)).copied()), places };
        let named = WEIGHTS.iter().map(|row| row.0).chain(LISTS.iter().map(|row| row.0));
        let mut named = named.chain(INPUTS.iter().map(|row| row.0));
        let unknown = named.find(|name| !prices.knows(name));
        unknown.map_or(Ok(prices), |name| Err(UnknownField(name.to_owned())))
    }

    fn knows(&self, name: &str) -> bool {
        name.split_once('.').is_some_and(|(of, field)| {
            self.places
                .get(of)
                .and_then(|place| self.fields.get(*place))
                .is_some_and(|fields| fields.contains_key(field))
        })
    }

    /// What an operation of a document costs with these variables. What the schema does not have costs as a value
    /// does: the engine will refuse it.
    pub(super) fn cost(
        &self,
        document: &ExecutableDocument,
        operation: &OperationDefinition,
        variables: &Variables,
    ) -> Cost {
        let mut counting = Counting { prices: self, document, operation, variables, known: HashMap::new() };
        let [query, mutation, subscription] = self.roots;
        let root = match operation.ty {
            OperationType::Query => query,
            OperationType::Mutation => mutation,
            OperationType::Subscription => subscription,
        };
        let counted = counting.selections(&operation.selection_set.node, root, 0);
        Cost {
            points: counted.points.saturating_add(OPERATION),
            dearest: counted.dearest.map(|(_, field, rows)| (field.name.clone(), rows)),
            describes_schema: counted.describes_schema,
        }
    }
}

/// How long the lists are with which this schema describes itself: all types, and of the rest what a type has of it on
/// average, which makes the whole description cost what it is.
fn described(types: &Types) -> HashMap<&'static str, u64> {
    let [mut all, mut fields, mut arguments, mut inputs, mut values] = [0_u64; 5];
    for (_, definition) in types.all() {
        all = all.saturating_add(1);
        match definition {
            Definition::Scalar => {}
            Definition::Enum(of) => values = values.saturating_add(of.len() as u64),
            Definition::Input { fields: of, .. } => inputs = inputs.saturating_add(of.len() as u64),
            Definition::Composite(of) => {
                fields = fields.saturating_add(of.len() as u64);
                arguments = of.values().fold(arguments, |sum, field| sum.saturating_add(field.arguments.len() as u64));
            }
        }
    }
    let of_type = |count: u64| count.div_ceil(all.max(1));
    HashMap::from([
        ("__Schema.types", all),
        ("__Type.fields", of_type(fields)),
        ("__Type.inputFields", of_type(inputs)),
        ("__Type.enumValues", of_type(values)),
        ("__Type.interfaces", 1),
        ("__Type.possibleTypes", 1),
        ("__Field.args", arguments.div_ceil(fields.max(1))),
    ])
}

impl Priced {
    fn of(
        name: String,
        field: &FieldType,
        root: Option<OperationType>,
        places: &HashMap<Name, usize>,
        described: &HashMap<&str, u64>,
    ) -> Self {
        let (answers, is_list) = innermost(&field.answers);
        let place = places.get(answers).copied();
        let row = |(known, value): &(&str, u64)| (*known == name).then_some(*value);
        let own = WEIGHTS.iter().find_map(row).unwrap_or(match root {
            _ if answers.as_str() == "TotalCount" => TOTAL,
            Some(OperationType::Mutation) => MUTATION,
            Some(OperationType::Subscription) => SUBSCRIPTION,
            Some(OperationType::Query) | None => FIELD,
        });
        let input = INPUTS.iter().find(|(known, _, _)| *known == name);
        let of_parent = || name.split_once('.').is_some_and(|(_, field)| ROWS_OF_PARENT.contains(&field));
        let rows = match input {
            Some((_, at, each)) => Rows::Input { at, each: *each },
            None if !is_list && field.takes("first") => Rows::Page,
            None if name == "__Type.ofType" => Rows::Wrapped,
            None if !is_list || place.is_none() => Rows::One,
            None if of_parent() => Rows::OfParent,
            None => {
                let known = LISTS.iter().find_map(row).or_else(|| described.get(name.as_str()).copied());
                Rows::About(known.unwrap_or(LIST_ROWS))
            }
        };
        Self { name, own, rows, is_list, answers: place }
    }
}

/// The points of a part of an operation, and the list in it that costs most: its points, itself, and its rows.
#[derive(Clone, Copy, Default)]
struct Counted<'a> {
    points: u64,
    dearest: Option<(u64, &'a Priced, u64)>,
    describes_schema: bool,
}

impl Counted<'_> {
    fn add(&mut self, other: Self) {
        self.points = self.points.saturating_add(other.points);
        self.describes_schema |= other.describes_schema;
        if other.dearest.map(|(points, ..)| points) > self.dearest.map(|(points, ..)| points) {
            self.dearest = other.dearest;
        }
    }

    fn times(self, rows: u64) -> Self {
        let dearest = self.dearest.map(|(points, field, own)| (points.saturating_mul(rows), field, own));
        Self { points: self.points.saturating_mul(rows), dearest, ..self }
    }
}

struct Counting<'a> {
    prices: &'a Prices,
    document: &'a ExecutableDocument,
    operation: &'a OperationDefinition,
    variables: &'a Variables,
    /// What a fragment costs on a page of so many rows; counted once, however often it is spread.
    known: HashMap<(&'a str, u64), Counted<'a>>,
}

impl<'a> Counting<'a> {
    /// What is selected of the type at this place; the lists of a connection have `page` rows.
    fn selections(&mut self, selected: &'a SelectionSet, of: Option<usize>, page: u64) -> Counted<'a> {
        let mut sum = Counted::default();
        for selection in &selected.items {
            if self.is_left_out(selection.node.directives()) {
                continue;
            }
            sum.add(match &selection.node {
                Selection::Field(field) => self.field(&field.node, of, page),
                Selection::InlineFragment(inline) => {
                    let on = inline.node.type_condition.as_ref().map(|on| &on.node.on.node);
                    let of = on.map_or(of, |on| self.prices.places.get(on).copied());
                    self.selections(&inline.node.selection_set.node, of, page)
                }
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node, page),
            });
        }
        sum
    }

    fn fragment(&mut self, name: &'a str, page: u64) -> Counted<'a> {
        if let Some(known) = self.known.get(&(name, page)) {
            return *known;
        }
        let Some(fragment) = self.document.fragments.get(name) else { return Counted::default() };
        // Whoever spreads himself is refused before anything is counted; here he would cost nothing more.
        self.known.insert((name, page), Counted::default());
        let of = self.prices.places.get(&fragment.node.type_condition.node.on.node).copied();
        let counted = self.selections(&fragment.node.selection_set.node, of, page);
        self.known.insert((name, page), counted);
        counted
    }

    fn field(&mut self, field: &'a Field, of: Option<usize>, page: u64) -> Counted<'a> {
        let prices = self.prices;
        let priced = of.and_then(|of| prices.fields.get(of)).and_then(|fields| fields.get(&field.name.node));
        let Some(priced) = priced else { return Counted { points: FIELD, ..Counted::default() } };
        let (rows, each) = match priced.rows {
            Rows::One => (1, 0),
            Rows::Page => (self.page(field), 0),
            Rows::OfParent => (page, 0),
            Rows::About(rows) => (rows, 0),
            Rows::Input { at, each } => (self.rows_of_input(field, at), each),
            Rows::Wrapped if page >= WRAPPINGS_MAX => return Counted { points: FIELD, ..Counted::default() },
            Rows::Wrapped => (page.saturating_add(1), 0),
        };
        // A connection and a bulk answer hand their rows on to the lists in them, and a type how deep it is.
        let hands_on = matches!(priced.rows, Rows::Page | Rows::Input { .. } | Rows::Wrapped) && !priced.is_list;
        let below = &field.selection_set.node;
        let mut counted = self.selections(below, priced.answers, if hands_on { rows } else { 0 });
        counted.describes_schema |= matches!(field.name.node.as_str(), "__schema" | "__type");
        if priced.is_list {
            counted = counted.times(rows);
        }
        counted.points = counted.points.saturating_add(priced.own).saturating_add(each.saturating_mul(rows));
        let asks = |rows: Rows| matches!(rows, Rows::Page | Rows::Input { .. });
        let named = counted.dearest.map_or((0, false), |(points, below, _)| (points, asks(below.rows)));
        let makes_most = |points: u64| points < counted.points.div_ceil(2);
        // The innermost list that makes most of it is the one to ask less of; of others nobody says how long they are.
        let is_dearest = match priced.rows {
            Rows::Page | Rows::Input { .. } => !named.1 || makes_most(named.0),
            Rows::About(_) => !named.1 && makes_most(named.0),
            Rows::One | Rows::OfParent | Rows::Wrapped => false,
        };
        if is_dearest {
            counted.dearest = Some((counted.points, priced, rows));
        }
        counted
    }

    /// How many rows the page of a connection may have.
    fn page(&self, field: &'a Field) -> u64 {
        let named = ["first", "last"].map(|name| {
            let value = field.get_argument(name).map(|value| &value.node);
            match value {
                Some(Value::Variable(name)) => self.variable(name).and_then(rows),
                Some(Value::Number(number)) => rows(&ConstValue::Number(number.clone())),
                Some(_) | None => None,
            }
        });
        // A larger page is refused, and never read.
        let page = named.into_iter().flatten().max().unwrap_or(PAGE_ROWS_DEFAULT as u64);
        page.min(PAGE_ROWS_MAX as u64)
    }

    fn rows_of_input(&self, field: &'a Field, at: &[&str]) -> u64 {
        let Some((argument, within)) = at.split_first() else { return 0 };
        field.get_argument(argument).map_or(0, |value| self.length(&value.node, within))
    }

    /// How long the list at this place of a value is.
    fn length(&self, value: &Value, at: &[&str]) -> u64 {
        match (value, at) {
            (Value::Variable(name), _) => self.variable(name).map_or(0, |value| length(value, at)),
            (Value::Object(fields), [key, within @ ..]) => {
                fields.get(*key).map_or(0, |value| self.length(value, within))
            }
            (Value::List(rows), []) => rows.len() as u64,
            (Value::Null, _) | (_, [_, ..]) => 0,
            // One value stands for a list of one.
            (_, []) => 1,
        }
    }

    fn variable(&self, name: &str) -> Option<&ConstValue> {
        let given = self.variables.get(name);
        given.or_else(|| {
            let mut defined = self.operation.variable_definitions.iter();
            let defined = defined.find(|defined| defined.node.name.node == name)?;
            defined.node.default_value.as_ref().map(|value| &value.node)
        })
    }

    /// Whether `@skip` or `@include` leaves it out of the answer.
    fn is_left_out(&self, directives: &'a [Positioned<Directive>]) -> bool {
        directives.iter().any(|directive| {
            let leaves_out = match directive.node.name.node.as_str() {
                "skip" => true,
                "include" => false,
                _ => return false,
            };
            let condition = match directive.node.get_argument("if").map(|value| &value.node) {
                Some(Value::Variable(name)) => self.variable(name).and_then(boolean),
                Some(Value::Boolean(condition)) => Some(*condition),
                Some(_) | None => None,
            };
            condition == Some(leaves_out)
        })
    }
}

fn boolean(value: &ConstValue) -> Option<bool> {
    if let ConstValue::Boolean(value) = value { Some(*value) } else { None }
}

fn rows(value: &ConstValue) -> Option<u64> {
    // Less than none is refused, and never read.
    if let ConstValue::Number(rows) = value { rows.as_u64().or(Some(0)) } else { None }
}

fn length(value: &ConstValue, at: &[&str]) -> u64 {
    match (value, at) {
        (ConstValue::Object(fields), [key, within @ ..]) => fields.get(*key).map_or(0, |value| length(value, within)),
        (ConstValue::List(rows), []) => rows.len() as u64,
        (ConstValue::Null, _) | (_, [_, ..]) => 0,
        (_, []) => 1,
    }
}
