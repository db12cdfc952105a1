//! The schema's types as a table, read once from the schema's own text: what a field answers and takes, and what an
//! input holds.
//! Never says what anything costs, and never checks a value: `cost` and whoever coerces variables ask it.

use super::schema::sdl;
use async_graphql::{
    Name, Positioned,
    parser::{
        Error, parse_schema,
        types::{
            BaseType, EnumType, FieldDefinition, InputObjectType, InputValueDefinition, ObjectType, OperationType,
            SchemaDefinition, Type, TypeDefinition, TypeKind, TypeSystemDefinition,
        },
    },
};
use std::{
    collections::{HashMap, HashSet},
    sync::OnceLock,
};

/// The types with which a schema describes itself, as the specification has them; no schema's text holds them.
const INTROSPECTION: &str = include_str!("types/introspection.graphql");

/// In that text, the type whose fields every query's root has.
const META_FIELDS: &str = "__Query";

/// One type.
pub(super) enum Definition {
    /// A value without fields, whose text only its own parser knows.
    Scalar,
    /// One of these.
    Enum(HashSet<Name>),
    /// An object that is given: its fields in their order, and whether exactly one of them is.
    Input {
        /// The fields.
        fields: Vec<InputValueDefinition>,
        /// Whether exactly one is given, and not null.
        is_one_of: bool,
    },
    /// An object, interface or union that is answered; a union has no fields.
    Composite(HashMap<Name, Field>),
}

/// A field of an object.
pub(super) struct Field {
    /// What it answers.
    pub(super) answers: Type,
    /// What it takes, in its order.
    pub(super) arguments: Vec<InputValueDefinition>,
}

/// Every type by its name.
pub(super) struct Types {
    by_name: HashMap<Name, Definition>,
    query: Name,
    mutation: Name,
    subscription: Name,
}

impl Types {
    /// The types of this server's schema, which are as constant as it is.
    ///
    /// # Errors
    /// Where its text cannot be read.
    pub(super) fn of_schema() -> Result<&'static Self, Error> {
        static TYPES: OnceLock<Types> = OnceLock::new();
        match TYPES.get() {
            Some(known) => Ok(known),
            None => Self::of(&sdl()).map(|types| TYPES.get_or_init(|| types)),
        }
    }

    /// The types of a schema.
    ///
    /// # Errors
    /// Where the text is not one of a schema.
    pub(super) fn of(sdl: &str) -> Result<Self, Error> {
        let mut types = Self {
            by_name: HashMap::new(),
            query: Name::new("Query"),
            mutation: Name::new("Mutation"),
            subscription: Name::new("Subscription"),
        };
        for text in [sdl, INTROSPECTION] {
            for definition in parse_schema(text)?.definitions {
                types.learn(definition);
            }
        }
        // The engine's own, which the text of a schema leaves out.
        for scalar in ["ID", "String", "Int", "Float", "Boolean"] {
            types.by_name.entry(Name::new(scalar)).or_insert(Definition::Scalar);
        }
        if let Some(Definition::Composite(meta)) = types.by_name.remove(META_FIELDS)
            && let Some(Definition::Composite(query)) = types.by_name.get_mut(&types.query)
        {
            query.extend(meta);
        }
        Ok(types)
    }

    fn learn(&mut self, definition: TypeSystemDefinition) {
        match definition {
            TypeSystemDefinition::Type(found) => {
                self.by_name.insert(found.node.name.node.clone(), Definition::of(found.node));
            }
            TypeSystemDefinition::Schema(schema) => {
                let SchemaDefinition { query, mutation, subscription, .. } = schema.node;
                let roots =
                    [(&mut self.query, query), (&mut self.mutation, mutation), (&mut self.subscription, subscription)];
                for (root, named) in roots {
                    if let Some(named) = named {
                        *root = named.node;
                    }
                }
            }
            TypeSystemDefinition::Directive(_) => {}
        }
    }

    /// A type.
    pub(super) fn named(&self, name: &str) -> Option<&Definition> {
        self.by_name.get(name)
    }

    /// Every type.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Name, &Definition)> {
        self.by_name.iter()
    }

    /// Every type that is answered, with its fields.
    pub(super) fn composites(&self) -> impl Iterator<Item = (&Name, &HashMap<Name, Field>)> {
        self.by_name.iter().filter_map(|(name, definition)| match definition {
            Definition::Composite(fields) => Some((name, fields)),
            Definition::Scalar | Definition::Enum(_) | Definition::Input { .. } => None,
        })
    }

    /// The type that an operation's own fields are of.
    pub(super) const fn root(&self, operation: OperationType) -> &Name {
        match operation {
            OperationType::Query => &self.query,
            OperationType::Mutation => &self.mutation,
            OperationType::Subscription => &self.subscription,
        }
    }
}

impl Definition {
    fn of(definition: TypeDefinition) -> Self {
        let is_one_of = definition.directives.iter().any(|directive| directive.node.name.node == "oneOf");
        let composite = |fields: Vec<Positioned<FieldDefinition>>| {
            Self::Composite(fields.into_iter().map(|field| Field::of(field.node)).collect())
        };
        match definition.kind {
            TypeKind::Scalar => Self::Scalar,
            TypeKind::Enum(EnumType { values }) => {
                Self::Enum(values.into_iter().map(|value| value.node.value.node).collect())
            }
            TypeKind::InputObject(InputObjectType { fields }) => {
                Self::Input { fields: fields.into_iter().map(|field| field.node).collect(), is_one_of }
            }
            TypeKind::Object(ObjectType { fields, .. }) => composite(fields),
            TypeKind::Interface(interface) => composite(interface.fields),
            TypeKind::Union(_) => composite(vec![]),
        }
    }
}

impl Field {
    fn of(field: FieldDefinition) -> (Name, Self) {
        let arguments = field.arguments.into_iter().map(|argument| argument.node).collect();
        (field.name.node, Self { answers: field.ty.node, arguments })
    }

    /// Whether it takes an argument of this name.
    pub(super) fn takes(&self, name: &str) -> bool {
        self.arguments.iter().any(|argument| argument.name.node == name)
    }
}

/// The name of a type without its wrappings, and whether a list is one of them.
pub(super) fn innermost(of: &Type) -> (&Name, bool) {
    match &of.base {
        BaseType::Named(name) => (name, false),
        BaseType::List(inner) => (innermost(inner).0, true),
    }
}
