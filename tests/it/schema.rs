//! The schema keeps its conventions, and `schema.graphql` is the schema that is served.

use super::{
    introspection::{Introspection, Root, innermost, list, text, written},
    world::World,
};
use countersign::graphql::sdl;
use std::{collections::BTreeSet, fs, path::Path};

#[test]
fn the_file_is_what_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.graphql");
    let served = sdl();
    if std::env::var_os("COUNTERSIGN_RECORD").is_some() {
        fs::write(&path, &served).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let first = written.lines().zip(served.lines()).position(|(written, served)| written != served);
    let first = first.unwrap_or_else(|| written.lines().count().min(served.lines().count()));
    assert!(
        written == served,
        "schema.graphql is not what is served, first in line {}.\n  written: {}\n  served:  {}\n\
         Record it with COUNTERSIGN_RECORD=1 cargo test --test it schema, and read the difference.",
        first + 1,
        written.lines().nth(first).unwrap_or("(nothing)"),
        served.lines().nth(first).unwrap_or("(nothing)"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn conventions() {
    let world = World::new().await;
    let schema = Introspection::of(&world.ann()).await;
    let mut found = vec![];
    found.extend(undescribed(&schema));
    found.extend(mutations(&schema));
    found.extend(connections(&schema));
    found.extend(names(&schema));
    assert!(found.is_empty(), "the schema breaks its conventions:\n  {}", found.join("\n  "));
    world.end().await;
}

/// Whatever a client can name says what it is.
fn undescribed(schema: &Introspection) -> Vec<String> {
    let mut found = vec![];
    let mut must = |what: String, described: &serde_json::Value| {
        if described["description"].as_str().is_none_or(|words| words.trim().is_empty()) {
            found.push(format!("{what} has no description"));
        }
    };
    // The engine describes GraphQL's own scalars, some of them with nothing.
    for (name, of_type) in
        schema.types().filter(|(name, _)| !["ID", "Int", "Float", "String", "Boolean"].contains(&name.as_str()))
    {
        must(name.clone(), of_type);
        for field in list(&of_type["fields"]) {
            let field_name = format!("{name}.{}", text(&field["name"]));
            for argument in list(&field["args"]) {
                must(format!("{field_name}({}:)", text(&argument["name"])), argument);
            }
            must(field_name, field);
        }
        for part in list(&of_type["inputFields"]).iter().chain(list(&of_type["enumValues"])) {
            must(format!("{name}.{}", text(&part["name"])), part);
        }
    }
    found
}

/// Those that begin or end a session: what they answer is a secret, shown once.
const WITHOUT_KEY: [&str; 5] = ["signIn", "refreshSession", "setPassword", "changePassword", "impersonate"];

/// One input, a nullable payload with user errors and a cursor, and an idempotency key.
fn mutations(schema: &Introspection) -> Vec<String> {
    let mut found = vec![];
    for (name, field) in schema.root(Root::Mutation) {
        let arguments = list(&field["args"]);
        // Whoever signs out says with what he asks which session ends.
        let input = arguments.iter().find(|argument| argument["name"] == "input");
        if !["signOut", "rotateSigningKey"].contains(&name)
            && (arguments.len() != 1 || input.is_none_or(|input| !written(&input["type"]).ends_with("Input!")))
        {
            found.push(format!("{name} does not take one `input: …Input!`"));
        }
        let payload = written(&field["type"]);
        if !payload.ends_with("Payload") {
            found.push(format!("{name} answers {payload}, not a nullable payload"));
            continue;
        }
        let answers: BTreeSet<_> = list(&schema.named(&payload)["fields"])
            .iter()
            .map(|field| format!("{}: {}", text(&field["name"]), written(&field["type"])))
            .collect();
        for wanted in ["userErrors: [UserError!]!", "cursor: EventCursor"] {
            if !answers.contains(wanted) {
                found.push(format!("{payload} has no `{wanted}`"));
            }
        }
        for answer in answers.iter().filter(|answer| answer.ends_with('!')) {
            let (_, of_type) = answer.split_once(": ").unwrap();
            if !of_type.starts_with('[') {
                found.push(format!("{payload}.{answer} must be nullable: a refusal has none"));
            }
        }
        if let Some(input) = input {
            let has_key = list(&schema.named(innermost(&input["type"]))["inputFields"]).iter();
            let has_key = has_key.map(|part| text(&part["name"])).any(|part| part == "idempotencyKey");
            if has_key == WITHOUT_KEY.contains(&name) {
                found.push(format!(
                    "{name}: an idempotency key is {}",
                    if has_key { "not expected" } else { "missing" }
                ));
            }
        }
    }
    found
}

/// Wherever a connection is answered, the four arguments of pages are taken; and it has nodes, edges and the page.
fn connections(schema: &Introspection) -> Vec<String> {
    let mut found = vec![];
    for (name, of_type) in schema.types() {
        for field in list(&of_type["fields"]) {
            if innermost(&field["type"]).ends_with("Connection") {
                let arguments: BTreeSet<_> =
                    list(&field["args"]).iter().map(|argument| text(&argument["name"])).collect();
                // The event log is read forwards: its twin is a subscription.
                let wanted: &[&str] =
                    if field["name"] == "events" { &["first", "after"] } else { &["first", "after", "last", "before"] };
                for wanted in wanted.iter().filter(|wanted| !arguments.contains(*wanted)) {
                    found.push(format!("{name}.{} is a connection without `{wanted}`", text(&field["name"])));
                }
            }
        }
        if name.ends_with("Connection") {
            let fields: BTreeSet<_> = list(&of_type["fields"]).iter().map(|field| text(&field["name"])).collect();
            for wanted in ["edges", "nodes", "pageInfo"].iter().filter(|wanted| !fields.contains(*wanted)) {
                found.push(format!("{name} has no `{wanted}`"));
            }
        }
    }
    found
}

/// Ids are `ID`, enum values shout, scalars of our own are specified or described as opaque.
fn names(schema: &Introspection) -> Vec<String> {
    let mut found = vec![];
    for (name, of_type) in schema.types() {
        let arguments = list(&of_type["fields"]).iter().flat_map(|field| list(&field["args"]));
        for part in list(&of_type["fields"]).iter().chain(list(&of_type["inputFields"])).chain(arguments) {
            let part_name = text(&part["name"]);
            let is_id =
                part_name == "id" || part_name == "ids" || part_name.ends_with("Id") || part_name.ends_with("Ids");
            if is_id && innermost(&part["type"]) != "ID" {
                found.push(format!("{name}.{part_name} is a {}, not an ID", written(&part["type"])));
            }
        }
        for value in list(&of_type["enumValues"]).iter().map(|value| text(&value["name"])) {
            if !value.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_') {
                found.push(format!("{name}.{value} is not written in capitals"));
            }
        }
        let is_node = list(&of_type["interfaces"]).iter().any(|interface| interface["name"] == "Node");
        let has_id =
            list(&of_type["fields"]).iter().any(|field| field["name"] == "id" && written(&field["type"]) == "ID!");
        if is_node && !has_id {
            found.push(format!("{name} is a Node without `id: ID!`"));
        }
    }
    if schema.named("DateTime")["specifiedByURL"].is_null() {
        found.push("DateTime says nowhere how it is written".to_owned());
    }
    found
}
