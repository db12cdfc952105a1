//! The field matrix: what every field of every object says to every kind of caller, as a table that people read.
//! A new field changes the table, and a kind of object without a sample fails. Re-recording: see `golden.rs`.

use super::{
    access::{CALLERS, everything},
    client::Answer,
    golden,
    introspection::{Introspection, innermost, list, text},
    situation::{Stage, situate},
    world::World,
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

/// The kinds of objects, and which of the situation's stands for each.
const SAMPLES: [(&str, &str); 16] = [
    ("ApiKey", "apiKey"),
    ("AssignmentRule", "rule"),
    ("Deployment", "deployment"),
    ("GovernedItem", "bundle"),
    ("GovernedItem", "deleted"),
    ("GovernedItem", "project"),
    ("Grants", "grants"),
    ("Group", "group"),
    ("Infrastructure", "dev"),
    ("Role", "role"),
    ("SignOff", "signOff"),
    ("SourceNode", "node"),
    ("SourceObject", "source"),
    ("SourceObject", "waiting"),
    ("Template", "projectTemplate"),
    ("User", "user"),
];

/// How deep what has no id of its own is looked into.
const LEVELS: usize = 3;

/// Selects every field that needs no argument; of other objects with an id only the type, which has rows of its own.
fn selection(schema: &Introspection, kind: &str, levels: usize) -> String {
    let mut selected = String::new();
    for field in list(&schema.named(kind)["fields"]) {
        let must_have = |argument: &Value| argument["type"]["kind"] == "NON_NULL" && argument["defaultValue"].is_null();
        if list(&field["args"]).iter().any(must_have) {
            continue;
        }
        let (name, inner) = (text(&field["name"]), innermost(&field["type"]));
        let found = schema.named(inner);
        let is_plain = found["kind"] == "OBJECT" && list(&found["interfaces"]).is_empty() && !inner.ends_with("Edge");
        if schema.is_leaf(inner) {
            write!(selected, " {name}").unwrap();
        } else if is_plain && levels > 0 {
            write!(selected, " {name} {{{} }}", selection(schema, inner, levels - 1)).unwrap();
        } else {
            write!(selected, " {name} {{ __typename }}").unwrap();
        }
    }
    selected
}

/// What is at each path of an answer: `o` something, `-` nothing, whichever row of a list has it.
fn read(value: &Value, path: &str, found: &mut BTreeMap<String, char>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| *name != "__typename") {
                read(value, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, found);
            }
            if fields.len() == 1 && fields.contains_key("__typename") {
                found.insert(path.to_owned(), 'o');
            }
        }
        Value::Array(rows) => {
            let known = found.entry(path.to_owned()).or_insert('-');
            *known = if rows.is_empty() { *known } else { 'o' };
            rows.iter().for_each(|row| read(row, path, found));
        }
        Value::Null => {
            found.entry(path.to_owned()).or_insert('-');
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            found.insert(path.to_owned(), 'o');
        }
    }
}

/// What one caller is told of one object: by path, or one word for all of it.
fn told(answer: &Answer) -> Result<BTreeMap<String, char>, char> {
    let object = &answer.body["data"]["node"];
    if object.is_null() {
        return Err(if answer.code() == "NOT_FOUND" { '.' } else { '!' });
    }
    let mut found = BTreeMap::new();
    read(object, "", &mut found);
    for error in list(&answer.body["errors"]) {
        let path: Vec<_> = list(&error["path"]).iter().filter_map(Value::as_str).skip(1).collect();
        found.insert(path.join("."), '!');
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_says_to_every_caller_what_the_table_says() {
    let world = World::new().await;
    let schema = Introspection::of(&world.ann()).await;
    let sampled: BTreeSet<_> = SAMPLES.iter().map(|(kind, _)| *kind).collect();
    let kinds =
        schema.types().filter(|(_, found)| list(&found["interfaces"]).iter().any(|face| face["name"] == "Node"));
    assert!(kinds.map(|(kind, _)| kind.as_str()).eq(sampled), "a kind of object has no sample");
    let mut names = everything(&world).await;
    for (n, (stage, wanted)) in [(Stage::People, "node"), (Stage::Access, "role")].into_iter().enumerate() {
        let made = situate(&world, "acme", stage, 20 + n).await;
        assert!(made.contains_key(wanted));
        names.extend(
            made.into_iter().filter(|(name, _)| ["apiKey", "node", "rule", "grants", "role"].contains(&&**name)),
        );
    }
    let mut table = String::from(
        "What every field of an object says to every kind of caller: `o` something, `-` null or an empty list, `!` an\n\
         error, `.` that nothing is found, a space that what would hold it is null. Fields of other objects with an id\n\
         stand with those.\n\n",
    );
    let letters = || 'a'..;
    for (letter, (caller, _)) in letters().zip(CALLERS) {
        writeln!(table, "  {letter} {caller}").unwrap();
    }
    let columns: String = letters().take(CALLERS.len()).collect();
    let (mut cells, all) = (0, &world);
    for (kind, sample) in SAMPLES {
        let query = format!(
            "query($id: ID!) {{ node(id: $id) {{ ... on {kind} {{{} }} }} }}",
            selection(&schema, kind, LEVELS)
        );
        let asked = CALLERS.map(|(_, caller)| {
            let (query, id): (&str, _) = (&query, json!({ "id": names[sample] }));
            async move { told(&caller(all).ask(query, id).await) }
        });
        let answers: Vec<_> = stream::iter(asked).buffered(4).collect().await;
        let paths: BTreeSet<_> = answers.iter().flatten().flat_map(BTreeMap::keys).collect();
        writeln!(table, "\n# {kind} ({sample})\n{:<48} {columns}", "").unwrap();
        for path in paths {
            let said: String = answers
                .iter()
                .map(|told| match told {
                    Ok(told) => told.get(path).copied().unwrap_or(' '),
                    Err(all) => *all,
                })
                .collect();
            cells += said.len();
            writeln!(table, "{}", format!("{path:<48} {said}").trim_end()).unwrap();
        }
    }
    println!("{cells} cells");
    assert!(cells > 7_000, "only {cells} cells");
    world.end().await;
    golden::compare("field_matrix", &table);
}
