//! Variables as the specification wants them, which the engine's rules do not ask: each stands only where its type
//! belongs ("All Variable Usages Are Allowed"), and holds a value of that type ("Coercing Variable Values").
//! Then the values of a document that was found valid fit wherever they stand, and it needs no second look.
//! Never reads the text of a scalar of our own: its parser does, with the field that takes it.

use super::types::{Definition, Field as FieldType, Types, innermost};
use async_graphql::{
    Name, Pos, Positioned, Value, Variables,
    parser::types::{
        BaseType, Directive, ExecutableDocument, FragmentDefinition, OperationDefinition, Selection, SelectionSet, Type,
    },
};
use async_graphql_value::Value as Literal;
use std::collections::{HashMap, HashSet};

/// A variable that is not as it is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    /// What is wrong, and what to do.
    pub(super) message: String,
    /// Where in the document.
    pub(super) place: Pos,
}

/// How a document uses its variables.
pub(super) struct Usages {
    /// The first that stands where its type does not belong.
    misplaced: Option<Misfit>,
    /// Those that lie in a list or an object: the engine's rules pass over one that lacks a variable's value.
    inside: Vec<Name>,
}

impl Usages {
    /// The usages of a document; none where it names something that the schema does not have.
    pub(super) fn of(types: &Types, document: &ExecutableDocument) -> Option<Self> {
        let mut fragments = HashMap::new();
        for (name, fragment) in &document.fragments {
            fragments.insert(name, Found::in_fragment(types, &fragment.node)?);
        }
        let mut usages = Self { misplaced: None, inside: vec![] };
        for (_, operation) in document.operations.iter() {
            let found = Found::in_operation(types, &operation.node)?;
            let mut reached = HashSet::new();
            let mut rest = vec![&found];
            while let Some(found) = rest.pop() {
                for usage in &found.usages {
                    usages.take(usage, &operation.node);
                }
                let spread = found.spreads.iter().filter(|name| reached.insert(*name));
                rest.extend(spread.filter_map(|name| fragments.get(name)));
            }
        }
        Some(usages)
    }

    fn take(&mut self, usage: &Usage, operation: &OperationDefinition) {
        if usage.is_inside {
            self.inside.push(usage.variable.clone());
        }
        let mut declared = operation.variable_definitions.iter().map(|declared| &declared.node);
        // One that is not declared is the engine's to refuse.
        let Some(declared) = declared.find(|declared| declared.name.node == usage.variable) else { return };
        let has_default = declared.default_value.as_ref().is_some_and(|default| default.node != Value::Null);
        if self.misplaced.is_none() && !usage.allows(&declared.var_type.node, has_default) {
            let (variable, of, wanted) = (&usage.variable, &declared.var_type.node, &usage.wanted);
            let message = format!(
                "The variable ${variable} is a {of} and stands where a {wanted} belongs. Declare it as ${variable}: {wanted}"
            );
            self.misplaced = Some(Misfit { message, place: usage.place });
        }
    }

    /// The first variable that stands where its type does not belong.
    pub(super) const fn misplaced(&self) -> Option<&Misfit> {
        self.misplaced.as_ref()
    }

    /// Whether the engine's rules look at the whole document while its variables have these values.
    pub(super) fn are_seen_whole(&self, variables: &Variables) -> bool {
        self.inside.iter().all(|name| variables.contains_key(name))
    }
}

/// A place where a variable stands.
struct Usage {
    variable: Name,
    /// What belongs there.
    wanted: Type,
    /// Whether something stands there where the variable has no value.
    has_default: bool,
    is_inside: bool,
    place: Pos,
}

impl Usage {
    /// Whether a variable of a type may stand here.
    fn allows(&self, declared: &Type, has_default: bool) -> bool {
        let is_optional = Type { nullable: true, base: self.wanted.base.clone() };
        let fills = declared.nullable && !self.wanted.nullable && (has_default || self.has_default);
        is_compatible(declared, if fills { &is_optional } else { &self.wanted })
    }
}

fn is_compatible(declared: &Type, wanted: &Type) -> bool {
    (wanted.nullable || !declared.nullable)
        && match (&declared.base, &wanted.base) {
            (BaseType::List(declared), BaseType::List(wanted)) => is_compatible(declared, wanted),
            (BaseType::Named(declared), BaseType::Named(wanted)) => declared == wanted,
            (BaseType::List(_), BaseType::Named(_)) | (BaseType::Named(_), BaseType::List(_)) => false,
        }
}

/// What stands in one operation or fragment.
#[derive(Default)]
struct Found {
    usages: Vec<Usage>,
    spreads: Vec<Name>,
}

/// A place in a document where a value belongs.
#[derive(Clone, Copy)]
struct Place<'a> {
    wanted: &'a Type,
    has_default: bool,
    is_inside: bool,
    at: Pos,
}

impl Found {
    fn in_operation(types: &Types, operation: &OperationDefinition) -> Option<Self> {
        let mut found = Self::default();
        found.in_directives(types, &operation.directives)?;
        found.in_selections(types, types.root(operation.ty), &operation.selection_set.node)?;
        Some(found)
    }

    fn in_fragment(types: &Types, fragment: &FragmentDefinition) -> Option<Self> {
        let mut found = Self::default();
        found.in_directives(types, &fragment.directives)?;
        found.in_selections(types, &fragment.type_condition.node.on.node, &fragment.selection_set.node)?;
        Some(found)
    }

    fn in_selections(&mut self, types: &Types, of: &str, selections: &SelectionSet) -> Option<()> {
        for selection in &selections.items {
            self.in_directives(types, selection.node.directives())?;
            match &selection.node {
                Selection::Field(field) if field.node.name.node == "__typename" => {}
                Selection::Field(field) => {
                    let known = fields_of(types, of)?.get(&field.node.name.node)?;
                    for (name, value) in &field.node.arguments {
                        let argument = known.arguments.iter().find(|argument| argument.name.node == name.node)?;
                        let has_default = argument.default_value.is_some();
                        let place = Place { wanted: &argument.ty.node, has_default, is_inside: false, at: value.pos };
                        self.in_value(types, place, &value.node)?;
                    }
                    self.in_selections(types, innermost(&known.answers).0, &field.node.selection_set.node)?;
                }
                Selection::InlineFragment(inline) => {
                    let condition =
                        inline.node.type_condition.as_ref().map(|condition| condition.node.on.node.as_str());
                    self.in_selections(types, condition.unwrap_or(of), &inline.node.selection_set.node)?;
                }
                Selection::FragmentSpread(spread) => self.spreads.push(spread.node.fragment_name.node.clone()),
            }
        }
        Some(())
    }

    /// The directives of documents take one argument, `if`.
    fn in_directives(&mut self, types: &Types, directives: &[Positioned<Directive>]) -> Option<()> {
        let condition = Type::new("Boolean!")?;
        for (name, value) in directives.iter().flat_map(|directive| &directive.node.arguments) {
            if name.node != "if" {
                return None;
            }
            let place = Place { wanted: &condition, has_default: false, is_inside: false, at: value.pos };
            self.in_value(types, place, &value.node)?;
        }
        Some(())
    }

    fn in_value(&mut self, types: &Types, place: Place<'_>, value: &Literal) -> Option<()> {
        match (value, &place.wanted.base) {
            (Literal::Variable(variable), _) => self.usages.push(Usage {
                variable: variable.clone(),
                wanted: place.wanted.clone(),
                has_default: place.has_default,
                is_inside: place.is_inside,
                place: place.at,
            }),
            (Literal::List(values), BaseType::List(of)) => {
                for value in values {
                    self.in_value(types, Place { wanted: of, has_default: false, is_inside: true, ..place }, value)?;
                }
            }
            // One value stands for a list of it.
            (Literal::Object(_), BaseType::List(of)) => {
                self.in_value(types, Place { wanted: of, has_default: false, is_inside: true, ..place }, value)?;
            }
            (Literal::Object(given), BaseType::Named(name)) => {
                // A scalar may be an object.
                if let Definition::Input { fields, is_one_of } = types.named(name)? {
                    for (name, value) in given {
                        let field = fields.iter().find(|field| field.name.node == *name)?;
                        // What is chosen is never null.
                        let chosen = Type { nullable: false, base: field.ty.node.base.clone() };
                        let wanted = if *is_one_of { &chosen } else { &field.ty.node };
                        let has_default = field.default_value.is_some();
                        self.in_value(types, Place { wanted, has_default, is_inside: true, ..place }, value)?;
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

fn fields_of<'a>(types: &'a Types, of: &str) -> Option<&'a HashMap<Name, FieldType>> {
    match types.named(of)? {
        Definition::Composite(fields) => Some(fields),
        Definition::Scalar | Definition::Enum(_) | Definition::Input { .. } => None,
    }
}

/// The first variable of an operation whose value is not of the type that it is declared as. Defaults are values here.
/// Types that the schema does not have are the engine's to refuse.
pub(super) fn misfit(types: &Types, operation: &OperationDefinition, variables: &Variables) -> Option<Misfit> {
    operation.variable_definitions.iter().find_map(|declared| {
        let (name, wanted) = (&declared.node.name.node, &declared.node.var_type.node);
        let is_known = !matches!(types.named(innermost(wanted).0), None | Some(Definition::Composite(_)));
        let message = match variables.get(name) {
            _ if !is_known => return None,
            None if wanted.nullable => return None,
            None => format!("The variable ${name} is a {wanted} and has no value. Send one among the variables."),
            Some(value) => {
                let Wrong { within, why } = value_is(types, wanted, value).err()?;
                let path: String = within.iter().rev().map(|step| format!(".{step}")).collect();
                format!("The variable ${name} does not fit: {name}{path} {why}")
            }
        };
        Some(Misfit { message, place: declared.pos })
    })
}

/// What is wrong with a value.
struct Wrong {
    /// The keys and indices on the way to it, the innermost first.
    within: Vec<String>,
    why: String,
}

impl Wrong {
    fn new(why: String) -> Self {
        Self { within: vec![], why }
    }

    fn below(mut self, step: impl ToString) -> Self {
        self.within.push(step.to_string());
        self
    }
}

fn value_is(types: &Types, wanted: &Type, value: &Value) -> Result<(), Wrong> {
    let other = || Err(Wrong::new(format!("must be a {wanted}, and is {}.", called(value))));
    match (&wanted.base, value) {
        (_, Value::Null) if wanted.nullable => Ok(()),
        (_, Value::Null) => other(),
        (BaseType::List(of), Value::List(values)) => {
            let mut values = values.iter().enumerate();
            values.try_for_each(|(n, value)| value_is(types, of, value).map_err(|wrong| wrong.below(n)))
        }
        // One value stands for a list of it.
        (BaseType::List(of), value) => value_is(types, of, value),
        (BaseType::Named(name), value) => match (types.named(name), value) {
            (Some(Definition::Scalar), _) if is_scalar(name, value) => Ok(()),
            (Some(Definition::Enum(names)), Value::String(said)) if names.contains(said.as_str()) => Ok(()),
            (Some(Definition::Enum(names)), Value::Enum(said)) if names.contains(said) => Ok(()),
            (Some(Definition::Enum(names)), Value::String(_) | Value::Enum(_)) => {
                let mut names: Vec<_> = names.iter().map(Name::as_str).collect();
                names.sort_unstable();
                Err(Wrong::new(format!("must be one of {}.", names.join(", "))))
            }
            (Some(Definition::Input { fields, is_one_of }), Value::Object(given)) => {
                let unknown = given.keys().find(|key| fields.iter().all(|field| field.name.node != **key));
                if let Some(unknown) = unknown {
                    return Err(Wrong::new(format!("has no field {unknown}: it is a {name}.")));
                }
                if *is_one_of && (given.len() != 1 || given.values().any(|value| *value == Value::Null)) {
                    return Err(Wrong::new("must have exactly one field, and that not null.".to_owned()));
                }
                fields.iter().try_for_each(|field| match given.get(&field.name.node) {
                    Some(value) => {
                        value_is(types, &field.ty.node, value).map_err(|wrong| wrong.below(&field.name.node))
                    }
                    None if field.ty.node.nullable || field.default_value.is_some() => Ok(()),
                    None => {
                        let (missing, of) = (&field.name.node, &field.ty.node);
                        Err(Wrong::new(format!("lacks {missing}, which must be a {of}.")))
                    }
                })
            }
            _ => other(),
        },
    }
}

/// The built-in scalars by the specification; whether a text is one of the others, only their own parsers know.
fn is_scalar(name: &str, value: &Value) -> bool {
    match (name, value) {
        ("Int", Value::Number(number)) => number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        ("ID", Value::Number(number)) => number.is_i64() || number.is_u64(),
        ("Float", Value::Number(_)) | ("String" | "ID", Value::String(_)) | ("Boolean", Value::Boolean(_)) => true,
        ("Int" | "Float" | "String" | "ID" | "Boolean", _) => false,
        (_, _) => true,
    }
}

fn called(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Number(_) => "a number",
        Value::String(_) | Value::Enum(_) => "a text",
        Value::Boolean(_) => "true or false",
        Value::List(_) => "a list",
        Value::Object(_) => "an object",
        Value::Binary(_) => "bytes",
    }
}
