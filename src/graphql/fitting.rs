//! Whether the variables of a request fit the places where a document uses them: then a document that was found valid
//! needs no second look.
//! Never refuses: what does not fit is looked at by the engine's own rules, which say in their own words what is wrong.
//! So this may be stricter than they are, and never laxer. What a variable is declared as says too little: the rules let
//! one stand where its type does not belong, and look at its value there.

use super::types::{Definition, Field as FieldType, Types, innermost};
use async_graphql::{
    Name, Positioned, Value, Variables,
    parser::types::{BaseType, Directive, ExecutableDocument, Selection, SelectionSet, Type},
};
use async_graphql_value::Value as Literal;
use std::collections::HashMap;

/// Every place of a document where a variable stands.
pub(super) struct Places {
    /// The variable, and what the place takes.
    of: Vec<(Name, Type)>,
    /// Whether one of them lies in a list or an object: the engine's rules pass over one that lacks a variable's value.
    pub(super) is_any_inside: bool,
}

impl Places {
    /// The places of a document; none where it names something that the schema does not have.
    pub(super) fn of(types: &Types, document: &ExecutableDocument) -> Option<Self> {
        let mut finding = Finding { types, places: Self { of: vec![], is_any_inside: false } };
        for (_, operation) in document.operations.iter() {
            finding.in_directives(&operation.node.directives)?;
            finding.in_selections(types.root(operation.node.ty), &operation.node.selection_set.node)?;
        }
        for fragment in document.fragments.values() {
            finding.in_directives(&fragment.node.directives)?;
            finding.in_selections(&fragment.node.type_condition.node.on.node, &fragment.node.selection_set.node)?;
        }
        Some(finding.places)
    }

    /// Whether every variable that has a value fits wherever it stands.
    pub(super) fn fit(&self, types: &Types, variables: &Variables) -> bool {
        self.of.iter().all(|(name, place)| variables.get(name).is_none_or(|value| fits(types, place, value)))
    }

    /// Whether every variable that stands somewhere has a value.
    pub(super) fn are_filled(&self, variables: &Variables) -> bool {
        self.of.iter().all(|(name, _)| variables.contains_key(name))
    }
}

struct Finding<'a> {
    types: &'a Types,
    places: Places,
}

impl Finding<'_> {
    fn fields_of(&self, of: &str) -> Option<&HashMap<Name, FieldType>> {
        match self.types.named(of)? {
            Definition::Composite(fields) => Some(fields),
            Definition::Scalar | Definition::Enum(_) | Definition::Input { .. } => None,
        }
    }

    fn in_selections(&mut self, of: &str, selections: &SelectionSet) -> Option<()> {
        for selection in &selections.items {
            self.in_directives(selection.node.directives())?;
            match &selection.node {
                Selection::Field(field) if field.node.name.node == "__typename" => {}
                Selection::Field(field) => {
                    let known = self.fields_of(of)?.get(&field.node.name.node)?;
                    let arguments = known.arguments.iter().map(|argument| (&argument.name.node, &argument.ty.node));
                    let arguments: HashMap<_, _> = arguments.map(|(name, of)| (name.clone(), of.clone())).collect();
                    let answers = innermost(&known.answers).0.clone();
                    for (name, value) in &field.node.arguments {
                        self.in_value(arguments.get(&name.node)?, &value.node, false)?;
                    }
                    self.in_selections(&answers, &field.node.selection_set.node)?;
                }
                Selection::InlineFragment(inline) => {
                    let condition =
                        inline.node.type_condition.as_ref().map(|condition| condition.node.on.node.as_str());
                    self.in_selections(condition.unwrap_or(of), &inline.node.selection_set.node)?;
                }
                Selection::FragmentSpread(_) => {}
            }
        }
        Some(())
    }

    /// The directives of documents take one argument, `if`.
    fn in_directives(&mut self, directives: &[Positioned<Directive>]) -> Option<()> {
        let condition = Type::new("Boolean!")?;
        for (name, value) in directives.iter().flat_map(|directive| &directive.node.arguments) {
            if name.node != "if" {
                return None;
            }
            self.in_value(&condition, &value.node, false)?;
        }
        Some(())
    }

    fn in_value(&mut self, place: &Type, value: &Literal, is_inside: bool) -> Option<()> {
        match (value, &place.base) {
            (Literal::Variable(name), _) => {
                self.places.is_any_inside |= is_inside;
                self.places.of.push((name.clone(), place.clone()));
            }
            (Literal::List(values), BaseType::List(of)) => {
                for value in values {
                    self.in_value(of, value, true)?;
                }
            }
            // One value stands for a list of it.
            (Literal::Object(_), BaseType::List(of)) => self.in_value(of, value, true)?,
            (Literal::Object(given), BaseType::Named(name)) => {
                // A scalar may be an object.
                let types = self.types;
                if let Definition::Input { fields, .. } = types.named(name)? {
                    for (name, value) in given {
                        let field = fields.iter().find(|field| field.name.node == *name)?;
                        self.in_value(&field.ty.node, value, true)?;
                    }
                }
            }
            (
                Literal::Null
                | Literal::Number(_)
                | Literal::String(_)
                | Literal::Boolean(_)
                | Literal::Binary(_)
                | Literal::Enum(_)
                | Literal::List(_),
                _,
            ) => {}
        }
        Some(())
    }
}

fn fits(types: &Types, wanted: &Type, value: &Value) -> bool {
    match (&wanted.base, value) {
        (_, Value::Null) => wanted.nullable,
        (BaseType::List(of), Value::List(values)) => values.iter().all(|value| fits(types, of, value)),
        // One value stands for a list of it.
        (BaseType::List(of), value) => fits(types, of, value),
        (BaseType::Named(name), value) => match types.named(name) {
            Some(Definition::Scalar) => fits_scalar(name, value),
            Some(Definition::Enum(names)) => match value {
                Value::String(said) => names.contains(said.as_str()),
                Value::Enum(said) => names.contains(said),
                Value::Null
                | Value::Number(_)
                | Value::Boolean(_)
                | Value::Binary(_)
                | Value::List(_)
                | Value::Object(_) => false,
            },
            Some(Definition::Input { fields, is_one_of }) => {
                let Value::Object(given) = value else { return false };
                let known = given.keys().all(|key| fields.iter().any(|field| field.name.node == *key));
                let one = !is_one_of || (given.len() == 1 && !given.values().any(|value| *value == Value::Null));
                let each = fields.iter().all(|field| match given.get(&field.name.node) {
                    Some(value) => fits(types, &field.ty.node, value),
                    None => field.ty.node.nullable || field.default_value.is_some(),
                });
                known && one && each
            }
            Some(Definition::Composite(_)) | None => false,
        },
    }
}

/// The built-in scalars by the specification; whether a text is one of the others, only their own parsers know, which run
/// with the field either way.
fn fits_scalar(name: &str, value: &Value) -> bool {
    match (name, value) {
        ("Int", Value::Number(number)) => number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        ("Float", Value::Number(_)) | ("String" | "ID", Value::String(_)) | ("Boolean", Value::Boolean(_)) => true,
        ("Int" | "Float" | "String" | "ID" | "Boolean", _) => false,
        (_, value) => !matches!(value, Value::Null),
    }
}
