//! Operations made up from the schema: right and wrong values at every place where one may stand, as literals, as
//! variables, and as variables in literals.

use crate::{
    introspection::{Introspection, Root, innermost, list, text, written},
    simulation::random::Random,
};
use serde_json::{Map, Value, json};

/// These count what is tried, so that the same is not answered the same.
const COUNTING: [&str; 4] = ["signIn", "refreshSession", "setPassword", "changePassword"];

/// What operations are made of.
pub struct Known<'a> {
    pub schema: &'a Introspection,
    /// Ids of things that are there.
    pub ids: Vec<String>,
}

/// An operation with the values of its variables, and of what type each was declared.
pub struct Generated {
    pub text: String,
    pub variables: Value,
    pub is_mutation: bool,
}

/// A declared variable: the type of the place where it stands, and its declaration.
struct Making<'a, 'r> {
    known: &'a Known<'a>,
    random: &'r mut Random,
    declared: Vec<String>,
    variables: Map<String, Value>,
}

impl Generated {
    pub fn new(known: &Known<'_>, random: &mut Random) -> Self {
        let is_mutation = random.one_in(3);
        let root = if is_mutation { Root::Mutation } else { Root::Query };
        let fields: Vec<_> = known.schema.root(root).into_iter().filter(|(name, _)| !COUNTING.contains(name)).collect();
        let mut making = Making { known, random, declared: vec![], variables: Map::new() };
        let asked = (0..1 + making.random.index(2)).map(|n| {
            let (_, field) = fields[making.random.index(fields.len())];
            format!("f{n}: {}", making.field(field, 3))
        });
        let asked = asked.collect::<Vec<_>>().join(" ");
        let kind = if is_mutation { "mutation" } else { "query" };
        let declared = match making.declared.as_slice() {
            [] => String::new(),
            declared => format!("({})", declared.join(", ")),
        };
        let text = format!("{kind} Made{declared} {{ {asked} }}");
        Self { text, variables: Value::Object(making.variables), is_mutation }
    }
}

/// Other values for some of the variables, or none.
pub fn change(known: &Known<'_>, random: &mut Random, variables: &mut Value) {
    let Value::Object(variables) = variables else { return };
    let names: Vec<_> = variables.keys().cloned().collect();
    for name in names {
        match random.index(6) {
            0 => drop(variables.remove(&name)),
            1 => drop(variables.insert(name, any(known, random))),
            _ => {}
        }
    }
}

/// A value of no type in particular.
fn any(known: &Known<'_>, random: &mut Random) -> Value {
    match random.index(9) {
        0 => Value::Null,
        1 => json!(random.below(40)),
        2 => json!(3_000_000_000_i64),
        3 => json!(1.5),
        4 => json!(true),
        5 => json!("GOVERNED_PROJECT"),
        6 => json!([known.ids[0], 7]),
        7 => json!({ "unknown": {} }),
        _ => json!(known.ids[random.index(known.ids.len())]),
    }
}

impl Making<'_, '_> {
    /// A field with arguments and selection.
    fn field(&mut self, field: &Value, depth: usize) -> String {
        let mut arguments = vec![];
        for argument in list(&field["args"]) {
            if self.is_given(argument) {
                arguments.push(format!("{}: {}", text(&argument["name"]), self.literal(&argument["type"], 3)));
            }
        }
        if self.random.one_in(60) {
            arguments.push("unknown: 1".to_owned());
        }
        let arguments = if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) };
        let directive = match self.random.index(16) {
            0 => format!(" @include(if: {})", self.literal(&json!({ "kind": "SCALAR", "name": "Boolean" }), 0)),
            1 => " @skip(if: false)".to_owned(),
            _ => String::new(),
        };
        let name = if self.random.one_in(80) { "misspelt" } else { text(&field["name"]) };
        format!("{name}{arguments}{directive}{}", self.selection(innermost(&field["type"]), depth))
    }

    fn selection(&mut self, of_type: &str, depth: usize) -> String {
        if self.known.schema.is_leaf(of_type) {
            return String::new();
        }
        let fields = list(&self.known.schema.named(of_type)["fields"]);
        let is_shallow = |field: &&Value| depth > 0 || self.known.schema.is_leaf(innermost(&field["type"]));
        let fields: Vec<_> = fields.iter().filter(is_shallow).collect();
        let mut chosen = vec!["__typename".to_owned()];
        for n in 0..self.random.index(3).min(fields.len()) {
            let field = fields[self.random.index(fields.len())];
            chosen.push(format!("s{depth}{n}: {}", self.field(field, depth.saturating_sub(1))));
        }
        format!(" {{ {} }}", chosen.join(" "))
    }

    fn is_given(&mut self, input: &Value) -> bool {
        let needed = input["type"]["kind"] == "NON_NULL" && input["defaultValue"].is_null();
        if needed { !self.random.one_in(40) } else { self.random.one_in(3) }
    }

    /// A value as a document writes it: a variable somewhere in it, or not.
    fn literal(&mut self, of_type: &Value, depth: usize) -> String {
        if self.random.one_in(3) {
            return self.variable(of_type);
        }
        let kind = text(&of_type["kind"]);
        if kind == "NON_NULL" {
            return self.literal(&of_type["ofType"], depth);
        }
        if self.random.one_in(12) {
            return ["null", "-1", "\"x\"", "MISSPELT", "[1, \"a\"]", "{ unknown: 1 }"][self.random.index(6)]
                .to_owned();
        }
        match kind {
            "LIST" => {
                let values = (0..self.random.index(3)).map(|_| self.literal(&of_type["ofType"], depth));
                format!("[{}]", values.collect::<Vec<_>>().join(", "))
            }
            "INPUT_OBJECT" if depth > 0 => {
                let input = self.known.schema.named(text(&of_type["name"])).clone();
                let mut fields = vec![];
                for field in self.given(&input) {
                    fields.push(format!("{}: {}", text(&field["name"]), self.literal(&field["type"], depth - 1)));
                }
                format!("{{ {} }}", fields.join(", "))
            }
            "INPUT_OBJECT" => "{}".to_owned(),
            "ENUM" => text(&self.leaf(of_type)).to_owned(),
            _ => self.leaf(of_type).to_string(),
        }
    }

    /// The fields of an input that are given.
    fn given(&mut self, input: &Value) -> Vec<Value> {
        let fields = list(&input["inputFields"]);
        if input["isOneOf"] == true && !self.random.one_in(10) {
            return vec![fields[self.random.index(fields.len())].clone()];
        }
        fields.iter().filter(|field| self.is_given(field)).cloned().collect()
    }

    /// A variable of the type of its place, more or less.
    fn variable(&mut self, of_type: &Value) -> String {
        let name = format!("v{}", self.declared.len());
        let place = written(of_type);
        let declared = match self.random.index(12) {
            0 => place.trim_end_matches('!').to_owned(),
            1 => format!("{}!", place.trim_end_matches('!')),
            2 if place.starts_with("Int") => format!("{} = 5", place.trim_end_matches('!')),
            3 if place.starts_with("Boolean") => format!("{place} = true"),
            4 => "String".to_owned(),
            _ => place,
        };
        self.declared.push(format!("${name}: {declared}"));
        if !self.random.one_in(8) {
            let value = self.value(of_type, 3);
            self.variables.insert(name.clone(), value);
        }
        format!("${name}")
    }

    /// A value as it is sent beside the document, right or wrong.
    fn value(&mut self, of_type: &Value, depth: usize) -> Value {
        if self.random.one_in(14) {
            return any(self.known, self.random);
        }
        match text(&of_type["kind"]) {
            "NON_NULL" => self.value(&of_type["ofType"], depth),
            _ if self.random.one_in(8) => Value::Null,
            "LIST" if self.random.one_in(8) => self.value(&of_type["ofType"], depth),
            "LIST" => (0..self.random.index(3)).map(|_| self.value(&of_type["ofType"], depth)).collect(),
            "INPUT_OBJECT" if depth > 0 => {
                let input = self.known.schema.named(text(&of_type["name"])).clone();
                let fields = self.given(&input).into_iter();
                let fields =
                    fields.map(|field| (text(&field["name"]).to_owned(), self.value(&field["type"], depth - 1)));
                Value::Object(fields.collect())
            }
            "INPUT_OBJECT" => json!({}),
            _ => self.leaf(of_type),
        }
    }

    /// A right value of an enum or a scalar.
    fn leaf(&mut self, of_type: &Value) -> Value {
        let name = text(&of_type["name"]);
        match name {
            "Int" => json!(self.random.below(40)),
            "Float" => json!(0.5),
            "Boolean" => json!(self.random.one_in(2)),
            "ID" => json!(self.known.ids[self.random.index(self.known.ids.len())]),
            "DateTime" => json!("2026-11-23T05:42:00Z"),
            _ if of_type["kind"] == "ENUM" => {
                let values = list(&self.known.schema.named(name)["enumValues"]);
                values[self.random.index(values.len())]["name"].clone()
            }
            _ => json!(["name", "x", "2026-11-23", ""][self.random.index(4)]),
        }
    }
}
