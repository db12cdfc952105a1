//! The policy matrix: what every root field answers to every kind of caller, whichever way it is asked, as a table that
//! people read. A root field without a row fails. Re-recording is described in `golden.rs`.

use super::{
    client::{Answer, Caller},
    explanation::{came_true, foretold},
    golden,
    introspection::{Introspection, Root, innermost, list, text, written},
    situation::{Asked, Names, Stage, filled, mutations, queries, situate, subscriptions},
    way::{Said, WAYS, Way},
    world::World,
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// Finds a caller in a world.
pub type Casting = fn(&World) -> Caller;

/// The kinds of caller, from those who may least to those who may most, and who of the fixtures stands for them.
/// Refused callers come first, so that a situation is only made anew once somebody has changed it.
pub const CALLERS: [(&str, Casting); 17] = [
    ("anonymous", |world| world.stranger()),
    ("other tenant's admin", |world| world.globex("admin")),
    ("other tenant's manager", |world| world.globex("ann")),
    ("other tenant's node's key", |world| world.globex("design-1-sync")),
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

/// Those who are nobody at Acme.
const FOREIGN: [&str; 5] =
    ["anonymous", "other tenant's admin", "other tenant's manager", "other tenant's node's key", "platform operator"];

/// How many worlds run at once.
const WORLDS: usize = 4;

/// What one row of the matrix says: its heading, and what each caller is answered.
type Rows = BTreeMap<String, Vec<String>>;

#[tokio::test(flavor = "multi_thread")]
async fn policy_matrix() {
    let world = World::new().await;
    let schema = Introspection::of(&world.ann()).await;
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
    let proof = &Proof::default();
    let mut table = String::from(
        "What every root field answers to every kind of caller. `ok` is done; other words are codes: top-level errors\n\
         (UNAUTHENTICATED, NOT_FOUND without READ, FORBIDDEN with READ and without the right) or user errors.\n",
    );
    chapter(&mut table, "Queries", &asked(&world, &schema, queries, proof).await);
    let schema = &schema;
    let changed = mutations.into_iter().enumerate().map(|(n, row)| async move { changed(schema, n, row, proof).await });
    chapter(&mut table, "Mutations", &stream::iter(changed).buffer_unordered(WORLDS).collect().await);
    chapter(&mut table, "Subscriptions: what is heard of a review", &heard(&world, subscriptions, proof).await);
    world.end().await;
    let cells = proof.cells.load(Ordering::Relaxed);
    println!("{cells} cells");
    assert!(cells >= 4_000, "only {cells} cells were asked");
    golden::compare("policy_matrix", &table);
}

/// How many cells were asked: an operation, a caller and a way in.
#[derive(Default)]
struct Proof {
    cells: AtomicUsize,
}

impl Proof {
    /// What a caller is answered, which every way in must answer alike.
    async fn ask(&self, caller: &Caller, ways: &[Way], document: &str, variables: &Value, field: &str) -> String {
        let mut said = vec![];
        for way in ways {
            said.push(outcome(&caller.ask_by(*way, document, variables.clone()).await, field));
        }
        self.alike(ways, said, &format!("{} asked for {field}", caller.name))
    }

    fn alike(&self, ways: &[Way], said: Vec<String>, who: &str) -> String {
        self.cells.fetch_add(said.len(), Ordering::Relaxed);
        assert!(said.iter().all(|outcome| *outcome == said[0]), "{who} over {ways:?}: {said:?}");
        said.into_iter().next().unwrap()
    }
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
async fn asked(world: &World, schema: &Introspection, rows: Vec<Asked>, proof: &Proof) -> Rows {
    let names = everything(world).await;
    let ask = |row: Asked| {
        let names = &names;
        async move {
            let arguments = filled(&row.arguments, names);
            let document = question(schema, Root::Query, row.field, &arguments);
            let mut outcomes = vec![];
            for (_, caller) in CALLERS {
                outcomes.push(proof.ask(&caller(world), &WAYS, &document, &arguments, row.field).await);
            }
            (heading(&row), outcomes)
        }
    };
    stream::iter(rows.into_iter().map(ask)).buffer_unordered(WORLDS).collect().await
}

/// The situation in which all queries are asked.
pub async fn everything(world: &World) -> Names {
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

/// One mutation, in a world of its own: each caller finds the situation as if nobody had been there before. Who is
/// refused is refused over every way in; who is not goes one of them, another one in each column.
async fn changed(schema: &Introspection, n: usize, row: Asked, proof: &Proof) -> (String, Vec<String>) {
    let world = World::new().await;
    let mut situations = 1;
    let mut names = situate(&world, "acme", row.stage, situations).await;
    let (mut outcomes, mut untrue) = (vec![], vec![]);
    for (column, (kind, caller)) in CALLERS.iter().enumerate() {
        let caller = caller(&world);
        let input =
            if row.arguments.is_null() { json!({}) } else { json!({ "input": filled(&row.arguments, &names) }) };
        let document = question(schema, Root::Mutation, row.field, &input);
        // Whoever is somebody at Acme is told beforehand: every cell of the matrix is a cell of `explainAccess`.
        // What a role says is the one thing that a manager may be refused by what he writes.
        let explained = if !FOREIGN.contains(kind) && row.about != "that audits" {
            foretold(&world, schema, &caller, row.field, &input["input"]).await
        } else {
            None
        };
        let mut ways = WAYS;
        ways.rotate_left((n + column) % WAYS.len());
        let first = proof.ask(&caller, &ways[..1], &document, &input, row.field).await;
        if !explained.is_none_or(|foretold| came_true(foretold, &first)) {
            untrue.push(format!("{kind} was told {explained:?} of {}: {first}", heading(&row)));
        }
        let is_refused = !first.starts_with("ok");
        if is_refused {
            let others = proof.ask(&caller, &ways[1..], &document, &input, row.field).await;
            assert_eq!(others, first, "{} asked for {} over {ways:?}", caller.name, row.field);
        } else if row.stage != Stage::Nothing {
            situations += 1;
            names = situate(&world, "acme", row.stage, situations).await;
        }
        outcomes.push(first);
    }
    world.end().await;
    assert!(untrue.is_empty(), "explainAccess and the API differ:\n  {}", untrue.join("\n  "));
    (heading(&row), outcomes)
}

/// What each subscription delivers of a review that ran before, and to whom.
async fn heard(world: &World, rows: Vec<Asked>, proof: &Proof) -> Rows {
    let before = world.ann().create_project(&world.template("GOVERNED_PROJECT").await, "Before").await;
    let before = before.at("/createGovernedProject/cursor");
    situate(world, "acme", Stage::Approval, 100).await;
    let cells = rows.iter().flat_map(|row| CALLERS.iter().enumerate().map(move |(n, (_, caller))| (row, n, caller)));
    let listen = |(row, n, caller): (&Asked, usize, &fn(&World) -> Caller)| {
        let query =
            format!("subscription($after: EventCursor) {{ {}(after: $after) {{ node {{ __typename }} }} }}", row.field);
        let (heading, caller, after) = (heading(row), caller(world), json!({ "after": before }));
        async move {
            let socket = listen(&caller, Way::Socket, &query, after.clone()).await;
            let stream = listen(&caller, Way::Stream, &query, after).await;
            let who = format!("{} listening to {heading}", caller.name);
            (heading, n, proof.alike(&[Way::Socket, Way::Stream], vec![socket, stream], &who))
        }
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
async fn listen(caller: &Caller, way: Way, query: &str, variables: Value) -> String {
    let mut sent = caller.send(way, query, variables).await;
    let mut heard = 0;
    // What has happened before comes at once.
    while let Some(said) =
        sent.next(if heard == 0 { Duration::from_secs(4) } else { Duration::from_millis(1_500) }).await
    {
        match said {
            Said::Answer(answer) => {
                if let Some(code) = answer.pointer("/errors/0/extensions/code") {
                    return text(code).to_owned();
                }
                let edge = answer["data"].as_object().and_then(|data| data.values().next());
                heard += usize::from(edge.is_some_and(|edge| !edge["node"].is_null()));
            }
            Said::Closed(code) => return format!("closed: {code}"),
            Said::Complete => break,
        }
    }
    match heard {
        0 => "ok: nothing".to_owned(),
        _ if query.contains("events(") => "ok: some".to_owned(),
        1 => "ok: 1 request".to_owned(),
        heard => format!("ok: {heard} requests"),
    }
}
