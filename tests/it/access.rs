//! The policy matrix: what every root field answers to every kind of caller, as a table that people read.
//! A root field without a row fails. Re-recording is described in `golden.rs`.

use super::{
    client::{Answer, Caller},
    golden,
    introspection::{Introspection, Root, innermost, list, text, written},
    situation::{Asked, Names, Stage, filled, mutations, queries, situate, subscriptions},
    world::World,
};
use futures_util::{SinkExt, StreamExt, stream};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    time::Duration,
};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

/// Finds a caller in a world.
type Casting = fn(&World) -> Caller;

/// The kinds of caller, from those who may least to those who may most, and who of the fixtures stands for them.
/// Refused callers come first, so that a situation is only made anew once somebody has changed it.
const CALLERS: [(&str, Casting); 15] = [
    ("anonymous", |world| world.stranger()),
    ("other tenant's admin", |world| world.globex("admin")),
    ("platform operator", |world| world.operator()),
    ("outsider (eve)", |world| world.eve()),
    ("source node's key", |world| world.design_1()),
    ("deployer's key", |world| world.acme("deployer")),
    ("reader (rita)", |world| world.acme("rita")),
    ("auditor (aud)", |world| world.aud()),
    ("deployer (dep)", |world| world.dep()),
    ("business reviewer (bea)", |world| world.bea()),
    ("final approver (fin)", |world| world.fin()),
    ("contributor (con)", |world| world.acme("con")),
    ("project manager (ann)", |world| world.ann()),
    ("governance manager (gm)", |world| world.acme("gm")),
    ("administrator (admin)", |world| world.admin()),
];

/// How many worlds run at once.
const WORLDS: usize = 4;

/// What one row of the matrix says: its heading, and what each caller is answered.
type Rows = BTreeMap<String, Vec<String>>;

#[tokio::test(flavor = "multi_thread")]
async fn policy_matrix() {
    let world = World::new().await;
    let schema = Introspection::of(&world.stranger()).await;
    let rows = [(Root::Query, queries()), (Root::Mutation, mutations()), (Root::Subscription, subscriptions())];
    let mut without = vec![];
    for (root, rows) in &rows {
        let written: BTreeSet<_> = rows.iter().map(|row| row.field).collect();
        let served: BTreeSet<_> = schema.root(*root).into_keys().collect();
        without.extend(served.difference(&written).map(|field| format!("{root:?}.{field} has no row in situation.rs")));
        without
            .extend(written.difference(&served).map(|field| format!("{root:?}.{field} has a row and is not served")));
    }
    assert!(without.is_empty(), "the policy matrix is not whole:\n  {}", without.join("\n  "));
    let [(_, queries), (_, mutations), (_, subscriptions)] = rows;
    let mut table = String::from(
        "What every root field answers to every kind of caller. `ok` is done; other words are codes: top-level errors\n\
         (UNAUTHENTICATED, NOT_FOUND without READ, FORBIDDEN with READ and without the right) or user errors.\n",
    );
    chapter(&mut table, "Queries", &asked(&world, &schema, queries).await);
    let schema = &schema;
    let changed = stream::iter(mutations.into_iter().map(|row| async move { changed(schema, row).await }));
    chapter(&mut table, "Mutations", &changed.buffer_unordered(WORLDS).collect().await);
    chapter(&mut table, "Subscriptions: what is heard of a review", &heard(&world, subscriptions).await);
    world.end().await;
    golden::compare("policy_matrix", &table);
}

fn chapter(table: &mut String, name: &str, rows: &Rows) {
    write!(table, "\n# {name}\n").unwrap();
    for (heading, outcomes) in rows {
        write!(table, "\n{heading}\n").unwrap();
        for ((caller, _), outcome) in CALLERS.iter().zip(outcomes) {
            writeln!(table, "  {caller:<24} {outcome}").unwrap();
        }
    }
}

fn heading(row: &Asked) -> String {
    if row.about.is_empty() { row.field.to_owned() } else { format!("{} ({})", row.field, row.about) }
}

/// The document of a query, with the arguments that are named and what tells how much is answered.
pub fn question(schema: &Introspection, root: Root, name: &str, arguments: &Value) -> String {
    let field = schema.root(root)[name];
    let named = list(&field["args"]).iter().filter(|argument| arguments.get(text(&argument["name"])).is_some());
    let (mut variables, mut passed) = (String::new(), String::new());
    for argument in named {
        let name = text(&argument["name"]);
        write!(variables, "${name}: {} ", written(&argument["type"])).unwrap();
        write!(passed, "{name}: ${name} ").unwrap();
    }
    if !passed.is_empty() {
        (variables, passed) = (format!("({variables})"), format!("({passed})"));
    }
    let answer = innermost(&field["type"]);
    let shown = match root {
        Root::Mutation => "{ userErrors { code } }",
        Root::Query if answer.ends_with("Connection") => "{ nodes { __typename } }",
        Root::Query if schema.is_leaf(answer) => "",
        Root::Query | Root::Subscription => "{ __typename }",
    };
    format!("{}{variables} {{ {name}{passed} {shown} }}", format!("{root:?}").to_lowercase())
}

/// A code, or how much was answered.
fn outcome(answer: &Answer, field: &str) -> String {
    if answer.code() != "ok" {
        return answer.code();
    }
    let answered = &answer.body["data"][field];
    let rows = answered.get("nodes").unwrap_or(answered).as_array();
    let Some(rows) = rows else { return "ok".to_owned() };
    let there = rows.iter().filter(|row| !row.is_null()).count();
    match there {
        0 => "ok: nothing".to_owned(),
        // How long the history is says nothing about rights.
        _ if matches!(field, "events" | "timeline") => "ok: some".to_owned(),
        1 => "ok: 1 row".to_owned(),
        rows => format!("ok: {rows} rows"),
    }
}

/// Every query in one situation: a bundle of project 1 that waits for approval, a project 2 in the inbox, a hidden
/// one, a deployed bundle of project 4, a deleted project 5, and a bundle of project 6 that waits for feedback.
async fn asked(world: &World, schema: &Introspection, rows: Vec<Asked>) -> Rows {
    let names = everything(world).await;
    let ask = |row: Asked| {
        let names = &names;
        async move {
            let arguments = filled(&row.arguments, names);
            let document = question(schema, Root::Query, row.field, &arguments);
            let mut outcomes = vec![];
            for (_, caller) in CALLERS {
                outcomes.push(outcome(&caller(world).ask(&document, arguments.clone()).await, row.field));
            }
            (heading(&row), outcomes)
        }
    };
    stream::iter(rows.into_iter().map(ask)).buffer_unordered(WORLDS).collect().await
}

/// The situation in which all queries are asked.
async fn everything(world: &World) -> Names {
    let newest = world.admin().ask("{ timeline(first: 1) { nodes { cursor } } }", json!({})).await;
    let mut names = situate(world, "acme", Stage::Approval, 1).await;
    names.insert("before".to_owned(), newest.at("/timeline/nodes/0/cursor"));
    for (name, stage, of) in [
        ("waiting", Stage::Project, "inbox"),
        ("hidden", Stage::Hidden, "inbox"),
        ("deployment", Stage::Deployment, "deployment"),
        ("deleted", Stage::Project, "project"),
    ] {
        let n = match name {
            "waiting" => 2,
            "hidden" => 3,
            "deployment" => 4,
            _ => 5,
        };
        let made = situate(world, "acme", stage, n).await;
        names.insert(name.to_owned(), made[of].clone());
        if name == "deleted" {
            let revision = made["projectRevision"].as_i64().unwrap();
            world.ann().delete_item(text(&made[of]), "UNGOVERN_CHILDREN", revision).await.done();
        }
    }
    situate(world, "acme", Stage::Asked, 6).await;
    let people = situate(world, "acme", Stage::People, 7).await;
    for name in ["user", "group"] {
        names.insert(name.to_owned(), people[name].clone());
    }
    names
}

/// One mutation, in a world of its own: each caller finds the situation as if nobody had been there before.
async fn changed(schema: &Introspection, row: Asked) -> (String, Vec<String>) {
    let world = World::new().await;
    let mut situations = 1;
    let mut names = situate(&world, "acme", row.stage, situations).await;
    let mut outcomes = vec![];
    for (_, caller) in CALLERS {
        let input =
            if row.arguments.is_null() { json!({}) } else { json!({ "input": filled(&row.arguments, &names) }) };
        let document = question(schema, Root::Mutation, row.field, &input);
        let answer = caller(&world).ask(&document, input).await;
        outcomes.push(outcome(&answer, row.field));
        if answer.code() == "ok" && row.stage != Stage::Nothing {
            situations += 1;
            names = situate(&world, "acme", row.stage, situations).await;
        }
    }
    world.end().await;
    (heading(&row), outcomes)
}

/// What each subscription delivers of a review that ran before, and to whom.
async fn heard(world: &World, rows: Vec<Asked>) -> Rows {
    let before = world.ann().create_project(&world.template("GOVERNED_PROJECT").await, "Before").await;
    let before = before.at("/createGovernedProject/cursor");
    situate(world, "acme", Stage::Approval, 100).await;
    let cells = rows.iter().flat_map(|row| CALLERS.iter().enumerate().map(move |(n, (_, caller))| (row, n, caller)));
    let listen = |(row, n, caller): (&Asked, usize, &fn(&World) -> Caller)| {
        let query =
            format!("subscription($after: EventCursor) {{ {}(after: $after) {{ node {{ __typename }} }} }}", row.field);
        let (heading, caller, after) = (heading(row), caller(world), before.clone());
        async move { (heading, n, listen(&caller, &query, json!({ "after": after })).await) }
    };
    let mut cells: Vec<_> = stream::iter(cells.map(listen)).buffer_unordered(16).collect().await;
    cells.sort();
    let mut rows = Rows::new();
    for (heading, _, outcome) in cells {
        rows.entry(heading).or_default().push(outcome);
    }
    rows
}

/// Listens until nothing has come for a while, and says how much was heard or why nothing can be.
async fn listen(caller: &Caller, query: &str, variables: Value) -> String {
    let mut request = format!("ws://{}/graphql", caller.address).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let payload =
        caller.credential.as_ref().map(|credential| json!({ "authorization": format!("Bearer {credential}") }));
    let subscribe = json!({ "type": "subscribe", "id": "1", "payload": { "query": query, "variables": variables } });
    socket.send(Message::text(json!({ "type": "connection_init", "payload": payload }).to_string())).await.unwrap();
    let mut heard = 0;
    let mut patience = Duration::from_secs(10);
    while let Ok(Some(Ok(message))) = tokio::time::timeout(patience, socket.next()).await {
        let message = match message {
            Message::Text(message) => serde_json::from_str::<Value>(&message).unwrap(),
            Message::Close(frame) => return format!("closed: {}", frame.map_or(1005, |frame| frame.code.into())),
            Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_) => continue,
        };
        let errors = message.pointer("/payload/errors").unwrap_or(&message["payload"]);
        if let Some(code) = errors.pointer("/0/extensions/code") {
            return text(code).to_owned();
        }
        match text(&message["type"]) {
            "connection_ack" => {
                socket.send(Message::text(subscribe.to_string())).await.unwrap();
                // What has happened before comes at once.
                patience = Duration::from_millis(1_500);
            }
            "next" => {
                let edge = message.pointer("/payload/data").and_then(|data| data.as_object()?.values().next());
                heard += usize::from(edge.is_some_and(|edge| !edge["node"].is_null()));
            }
            "ping" => socket.send(Message::text(json!({ "type": "pong" }).to_string())).await.unwrap(),
            "complete" => break,
            other => panic!("the server said {other}: {message}"),
        }
    }
    match heard {
        0 => "ok: nothing".to_owned(),
        _ if query.contains("events(") => "ok: some".to_owned(),
        1 => "ok: 1 request".to_owned(),
        heard => format!("ok: {heard} requests"),
    }
}
