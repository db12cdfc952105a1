//! The schema as its clients see it: what the tests that go through every field are driven by.

use super::client::Caller;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const QUERY: &str = "{ __schema {
    queryType { name } mutationType { name } subscriptionType { name }
    types { kind name description specifiedByURL isOneOf interfaces { name }
        fields(includeDeprecated: true) { name description args { name description defaultValue type { ...T } } type { ...T } }
        inputFields { name description defaultValue type { ...T } }
        enumValues(includeDeprecated: true) { name description } } } }
    fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } }";

/// The schema's types by name.
pub struct Introspection {
    types: BTreeMap<String, Value>,
    roots: [String; 3],
}

/// One of the three things that a client can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Root {
    Query,
    Mutation,
    Subscription,
}

impl Introspection {
    /// Asks a server for its schema.
    pub async fn of(caller: &Caller) -> Self {
        let schema = caller.ask(QUERY, json!({})).await.at("/__schema");
        let root = |name: &str| schema[name]["name"].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned();
        let roots = [root("queryType"), root("mutationType"), root("subscriptionType")];
        let types = list(&schema["types"]).iter().map(|found| (text(&found["name"]).to_owned(), found.clone()));
        Self { types: types.collect(), roots }
    }

    /// Every type that is not GraphQL's own.
    pub fn types(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.types.iter().filter(|(name, _)| !name.starts_with("__"))
    }

    pub fn named(&self, name: &str) -> &Value {
        self.types.get(name).unwrap_or_else(|| panic!("no type {name}"))
    }

    /// The fields of a root, sorted by name.
    pub fn root(&self, root: Root) -> BTreeMap<&str, &Value> {
        let fields = list(&self.named(&self.roots[root as usize])["fields"]);
        fields.iter().map(|field| (text(&field["name"]), field)).collect()
    }

    /// Whether a type is read without naming fields of it.
    pub fn is_leaf(&self, name: &str) -> bool {
        matches!(text(&self.named(name)["kind"]), "SCALAR" | "ENUM")
    }

    /// Where ids stand in a value of this type, as JSON pointers.
    pub fn ids(&self, of_type: &Value, value: &Value, at: &str, into: &mut Vec<String>) {
        match text(&of_type["kind"]) {
            "NON_NULL" => self.ids(&of_type["ofType"], value, at, into),
            "LIST" => {
                for (n, value) in value.as_array().into_iter().flatten().enumerate() {
                    self.ids(&of_type["ofType"], value, &format!("{at}/{n}"), into);
                }
            }
            _ if of_type["name"] == "ID" && value.is_string() => into.push(at.to_owned()),
            _ => {
                for input in list(&self.named(text(&of_type["name"]))["inputFields"]) {
                    let name = text(&input["name"]);
                    if let Some(value) = value.get(name) {
                        self.ids(&input["type"], value, &format!("{at}/{name}"), into);
                    }
                }
            }
        }
    }
}

/// A list, or nothing for null.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// A type as the schema's language writes it.
pub fn written(of_type: &Value) -> String {
    match text(&of_type["kind"]) {
        "NON_NULL" => format!("{}!", written(&of_type["ofType"])),
        "LIST" => format!("[{}]", written(&of_type["ofType"])),
        _ => text(&of_type["name"]).to_owned(),
    }
}

/// The name of a type without its wrappings.
pub fn innermost(of_type: &Value) -> &str {
    if of_type["ofType"].is_object() { innermost(&of_type["ofType"]) } else { text(&of_type["name"]) }
}
