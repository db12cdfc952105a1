//! Many who listen: what is worded once for all of them, what never is, and what an idle one weighs.
//! Never measures time: it counts, and compares sizes of one process.

use super::{
    client::Caller,
    demo::Demo,
    permission::lets_eve_read,
    situation::{Stage, situate},
    way::{Said, Sent, Way},
    world::World,
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

const PATIENCE: Duration = Duration::from_secs(60);
const FACTS: &str = "subscription Facts($after: EventCursor, $filter: EventStreamFilter, $named: Boolean!) {
    events(after: $after, filter: $filter) { cursor node { kind number name @include(if: $named) ...more } } }
    fragment more on TimelineEvent { at action }";
const BOTH: [Way; 2] = [Way::Socket, Way::Stream];

/// The next event, as the text that came; checkpoints left out.
async fn next(sent: &mut Sent) -> Value {
    loop {
        match sent.next(PATIENCE).await {
            Some(Said::Answer(answer)) if answer.pointer("/data/events/node").is_some_and(Value::is_null) => {}
            Some(Said::Answer(answer)) => return answer,
            Some(Said::Complete) => panic!("it ended"),
            Some(Said::Closed(code)) => panic!("closed: {code}"),
            None => panic!("nothing came"),
        }
    }
}

/// Renames a project; answers the position before the change.
async fn rename(world: &World, project: &Value, name: &str) -> Value {
    let ann = world.ann();
    let asked = "query($id: ID!) { node(id: $id) { ... on GovernedItem { revision } }
        timeline(first: 1) { nodes { cursor } } }";
    let now = ann.ask(asked, json!({ "id": project })).await;
    let input = json!({ "itemId": project, "expectedRevision": now.at("/node/revision"), "name": name });
    ann.update_item(input).await.done();
    now.at("/timeline/nodes/0/cursor")
}

/// What a subscription says of an event's node.
#[track_caller]
fn node(answer: &Value) -> &Value {
    assert!(answer.get("errors").is_none(), "{answer:#}");
    &answer["data"]["events"]["node"]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_worded_once_for_all_who_sent_the_same() {
    let world = World::new().await;
    let project = situate(&world, "acme", Stage::Project, 1).await["project"].clone();
    let first = rename(&world, &project, "Churn 1").await;
    let second = rename(&world, &project, "Churn 2").await;
    let callers = [world.ann(), world.aud(), world.admin()];
    let mut crowd = vec![];
    for n in 0..120 {
        // Where one begins and what one filters is no part of the words.
        let (after, filter) = match n % 4 {
            0 | 1 => (&second, Value::Null),
            _ => (&first, json!({ "kinds": ["ITEM_RENAMED"] })),
        };
        let variables = json!({ "after": after, "filter": filter, "named": true });
        crowd.push(callers[n % 3].send(BOTH[n % 2], FACTS, variables).await);
    }
    for (n, one) in crowd.iter_mut().enumerate() {
        if n % 4 > 1 {
            assert_eq!(node(&next(one).await)["name"], "Churn 1");
        }
        let heard = next(one).await;
        assert_eq!(node(&heard)["name"], "Churn 2", "{heard}");
    }
    let count = || (world.api().deliveries().told(), world.api().deliveries().worded());
    let (told, worded) = count();
    assert_eq!(told, 180);
    let third = rename(&world, &project, "Churn 3").await;
    let heard = join_all(crowd.iter_mut().map(next)).await;
    assert_eq!((told + 120, worded + 1), count(), "worded once for all of them");
    let distinct: BTreeSet<String> = heard.iter().map(ToString::to_string).collect();
    assert_eq!(distinct.len(), 1, "{distinct:?}");
    assert_eq!(node(&heard[0])["name"], "Churn 3");
    // Who is alone with his document hears the same.
    let alone = FACTS.replace("Facts", "Alone");
    let mut alone = world.ann().send(Way::Socket, &alone, json!({ "after": third, "named": true })).await;
    assert_eq!(node(&next(&mut alone).await), node(&heard[0]));
    drop((crowd, alone));
    world.end().await;
}

/// What one organisation's timeline says of its newest events, the oldest first.
async fn newest(caller: &Caller, after: u64) -> Vec<Value> {
    let asked = "{ timeline(first: 20) { nodes { kind number name at action code } } }";
    let mut events = caller.ask(asked, json!({})).await.at("/timeline/nodes").as_array().unwrap().clone();
    events.retain(|event| event["number"].as_u64().unwrap() > after);
    events.reverse();
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_those_of_one_organisation_one_event_and_one_document() {
    let world = World::new().await;
    let (ours, theirs) = (world.ann(), world.globex("ann"));
    let template =
        |caller: Caller| async move { caller.templates("GOVERNED_PROJECT").await.text("/templates/nodes/0/id") };
    let templates = [template(ours.clone()).await, template(theirs.clone()).await];
    // The same number is another event in another organisation.
    while world.position("globex").await != world.position("acme").await {
        let is_behind = world.position("globex").await < world.position("acme").await;
        let (caller, template) = if is_behind { (&theirs, &templates[1]) } else { (&ours, &templates[0]) };
        caller.create_project(template, "To be as far").await.done();
    }
    let others = FACTS.replace("at action", "code");
    let mut crowd = vec![];
    for _ in 0..2 {
        for (caller, document, named) in
            [(&ours, FACTS, true), (&ours, FACTS, false), (&ours, &others, true), (&theirs, FACTS, true)]
        {
            let mut fields = if document == FACTS { vec!["at", "action"] } else { vec!["code"] };
            fields.extend(["kind", "number"].into_iter().chain(named.then_some("name")));
            crowd.push((caller, fields, caller.send(Way::Stream, document, json!({ "named": named })).await));
        }
    }
    let last = |events: Vec<Value>| events.last().and_then(|event| event["number"].as_u64()).unwrap();
    let before = [last(newest(&ours, 0).await), last(newest(&theirs, 0).await)];
    for (caller, template, name) in [(&ours, &templates[0], "Ours"), (&theirs, &templates[1], "Theirs")] {
        let made = caller.create_project(template, "To be changed").await.at("/createGovernedProject/item");
        let fields = json!([{ "key": "description", "value": { "text": name } }]);
        let input =
            json!({ "itemId": made["id"], "expectedRevision": made["revision"], "name": name, "fields": fields });
        caller.update_item(input).await.done();
    }
    let told = [newest(&ours, before[0]).await, newest(&theirs, before[1]).await];
    assert!(told[0].len() > 2, "two things done are more events: {told:?}");
    for (caller, fields, sent) in &mut crowd {
        for expected in &told[usize::from(caller.credential == theirs.credential)] {
            let heard = next(sent).await;
            let heard = node(&heard).as_object().unwrap();
            assert_eq!(heard.keys().map(String::as_str).collect::<BTreeSet<_>>(), fields.iter().copied().collect());
            assert!(heard.iter().all(|(field, value)| expected[field] == *value), "{heard:?} is not of {expected}");
        }
    }
    drop(crowd);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_what_another_may_read() {
    let world = World::new().await;
    let names = situate(&world, "acme", Stage::Project, 1).await;
    let project = &names["project"];
    lets_eve_read(&world, &names, json!([{ "field": "description", "read": false, "write": false }])).await;
    let fields = json!([{ "key": "description", "value": { "text": "The secret" } }]);
    let input = json!({ "itemId": project, "expectedRevision": names["projectRevision"], "fields": fields });
    let changed = world.ann().update_item(input).await.text("/updateItem/cursor");
    let own = "subscription($after: EventCursor) { events(after: $after) { node { kind name
        item { name followed field(key: \"description\") { ... on TextValue { text } } } } } }";
    let fragments =
        "subscription($after: EventCursor) { events(after: $after) { node { ...on TimelineEvent { ...all } } } }
        fragment all on TimelineEvent { kind name item { field(key: \"description\") { ... on TextValue { text } } } }";
    for (times, document) in [own, fragments].into_iter().enumerate() {
        let mut all = vec![];
        for way in BOTH.into_iter().chain(BOTH) {
            for caller in [world.ann(), world.eve()] {
                all.push((caller.name, caller.send(way, document, json!({ "after": changed })).await));
            }
        }
        rename(&world, project, &format!("Churn {times}")).await;
        for (name, sent) in &mut all {
            let heard = loop {
                let heard = next(sent).await;
                if node(&heard)["kind"] == "ITEM_RENAMED" {
                    break heard;
                }
            };
            let field = &node(&heard)["item"]["field"];
            assert_eq!(*field, if *name == "ann" { json!({ "text": "The secret" }) } else { Value::Null }, "{name}");
        }
    }
    // Recorded facts are the same for both, but only of what each may read.
    let facts = "subscription($after: EventCursor) { events(after: $after) { node { kind attribute } } }";
    let mut all = vec![];
    for way in BOTH {
        for caller in [world.ann(), world.eve()] {
            all.push((caller.name, caller.send(way, facts, json!({ "after": changed })).await));
        }
    }
    let asked = "query($id: ID!) { node(id: $id) { ... on GovernedItem { revision } } }";
    let revision = world.ann().ask(asked, json!({ "id": project })).await.at("/node/revision");
    let fields = json!([{ "key": "description", "value": { "text": "Another secret" } }]);
    let input = json!({ "itemId": project, "expectedRevision": revision, "fields": fields });
    world.ann().update_item(input).await.done();
    rename(&world, project, "The last").await;
    for (name, sent) in &mut all {
        let mut told = vec![];
        while told.iter().filter(|kind| *kind == "ITEM_RENAMED").count() < 3 {
            told.push(node(&next(sent).await)["kind"].as_str().unwrap().to_owned());
        }
        let hidden = told.iter().filter(|kind| *kind == "FIELD_CHANGED").count();
        assert_eq!(hidden, usize::from(*name == "ann"), "{name}: {told:?}");
    }
    drop(all);
    world.end().await;
}

#[test]
fn a_new_field_of_an_event_is_worded_for_each_until_it_is_listed() {
    let schema = include_str!("../../schema.graphql");
    let (_, event) = schema.split_once("\ntype TimelineEvent {").expect("the type");
    let (event, _) = event.split_once("\n}").expect("its end");
    let mut facts = vec![];
    for line in event.lines().filter(|line| line.starts_with('\t') && !line.contains("\"\"\"")) {
        if let Some((name, kind)) = line.trim().split_once(": ")
            && !name.contains([' ', '`'])
            && countersign::graphql::is_recorded_fact("TimelineEvent", name)
        {
            facts.push(format!("{name}: {kind}"));
        }
    }
    // None of them is an object, and none is worded by what its reader may know.
    insta::assert_snapshot!(facts.join("\n"), @"
    action: String!
    at: DateTime!
    attribute: String
    code: String
    comment: String
    contentDigest: String
    cursor: EventCursor!
    cycle: Int
    decision: Decision
    deploymentId: ID
    feedbackStatus: FeedbackStatus
    groups: [String!]!
    kind: EventKind!
    name: String
    number: Int!
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_selects_one_field_and_says_which_position_is_left() {
    let world = World::new().await;
    let two = "subscription { events { cursor } reviewRequests { cursor } }";
    let hidden = "subscription { events { cursor } ...more }
        fragment more on Subscription { reviewRequests { cursor } }";
    let expired = "subscription { events(after: \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\") { cursor } }";
    for way in BOTH {
        for (document, code) in
            [(two, "GRAPHQL_VALIDATION_FAILED"), (hidden, "GRAPHQL_VALIDATION_FAILED"), (expired, "CURSOR_EXPIRED")]
        {
            let Some(Said::Answer(refused)) = world.ann().send(way, document, json!({})).await.next(PATIENCE).await
            else {
                panic!("{way:?} answered nothing to {document}");
            };
            let extensions = &refused["errors"][0]["extensions"];
            assert_eq!(extensions["code"], code, "{way:?} {refused:#}");
            if code == "CURSOR_EXPIRED" {
                // Whoever begins there hears everything that is left.
                let earliest = extensions["earliestCursor"].clone();
                let mut heard = world.ann().send(way, FACTS, json!({ "after": earliest, "named": false })).await;
                assert!(node(&next(&mut heard).await)["number"].is_number());
            }
        }
    }
    world.end().await;
}

/// One field, wherever it stands: what the specification collects for it is one selection.
const ONE_FIELD: [&str; 7] = [
    "subscription($after: EventCursor) { events(after: $after) { cursor node { kind name } } }",
    "subscription($after: EventCursor) { ... { events(after: $after) { cursor node { kind name } } } }",
    "subscription($after: EventCursor) { ...on Subscription { events(after: $after) { cursor node { kind name } } } }",
    "subscription($after: EventCursor) { ...all }
        fragment all on Subscription { events(after: $after) { cursor node { kind name } } }",
    "subscription($after: EventCursor) { ...all ...all }
        fragment all on Subscription { ... { ...inner } }
        fragment inner on Subscription { events(after: $after) { cursor ...node } }
        fragment node on EventEdge { node { kind name } }",
    "subscription($after: EventCursor) { events(after: $after) { cursor } ...more }
        fragment more on Subscription { events(after: $after) { node { kind name } } }",
    "subscription($after: EventCursor, $no: Boolean = false) { ...all ...other @include(if: $no) }
        fragment all on Subscription { events(after: $after) { cursor node { kind name } } }
        fragment other on Subscription { reviewRequests { cursor } }",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_field_of_a_subscription_may_stand_in_fragments() {
    let world = World::new().await;
    let project = situate(&world, "acme", Stage::Project, 1).await["project"].clone();
    let first = rename(&world, &project, "Churn 1").await;
    let mut crowd = vec![];
    for way in BOTH {
        for document in ONE_FIELD {
            let mut sent = world.ann().send(way, document, json!({ "after": first })).await;
            crowd.push((next(&mut sent).await, sent));
            // Whoever may not subscribe is told so, wherever the field stands.
            let Some(Said::Answer(refused)) =
                world.stranger().send(way, document, json!({})).await.next(PATIENCE).await
            else {
                panic!("{way:?} answered a stranger nothing to {document}");
            };
            assert_eq!(refused["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{way:?} {document} {refused:#}");
        }
    }
    rename(&world, &project, "Churn 2").await;
    for (heard, sent) in &mut crowd {
        assert_eq!(node(heard), &json!({ "kind": "ITEM_RENAMED", "name": "Churn 1" }));
        assert!(heard["data"]["events"]["cursor"].is_string());
        assert_eq!(node(&next(sent).await)["name"], "Churn 2");
    }
    // Over server-sent events a client goes on behind what it heard last.
    let mut later = vec![];
    let (behind, ann) = (crowd[0].0["data"]["events"]["cursor"].as_str().unwrap().to_owned(), world.ann());
    for document in ONE_FIELD {
        let fixed = document.replace("($after: EventCursor)", "").replace("$after: EventCursor, ", "");
        let fixed = fixed.replace("(after: $after)", "");
        let literal = fixed.replace("events {", &format!("events(after: {first}) {{"));
        for query in [document, fixed.as_str(), literal.as_str()] {
            let request = ann.http.post(format!("http://{}/graphql", ann.address)).json(&json!({ "query": query }));
            let request = request.header("accept", "text/event-stream").header("last-event-id", &behind);
            let response = request.bearer_auth(ann.credential.as_ref().unwrap()).send().await.unwrap();
            let heard = next(&mut Sent::Stream(response, String::new())).await;
            assert_eq!(node(&heard)["name"], "Churn 2", "{query}");
        }
        // Where he goes on is nobody else's beginning.
        later.push(ann.send(Way::Stream, &fixed, json!({})).await);
    }
    rename(&world, &project, "Churn 3").await;
    for sent in &mut later {
        assert_eq!(node(&next(sent).await)["name"], "Churn 3");
    }
    drop((crowd, later));
    world.end().await;
}

/// The resident memory of a process, in bytes.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1_024
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_subscriber_weighs_little() {
    const FIRST: usize = 200;
    const MORE: usize = 800;
    let directory = tempfile::tempdir().unwrap();
    let mut demo = Demo::start(&directory.path().join("data")).await;
    let ann = demo.caller("ann");
    let mut crowd = Vec::with_capacity(FIRST + MORE);
    let process = demo.process.id().unwrap();
    let mut before = 0;
    while crowd.len() < FIRST + MORE {
        if crowd.len() == FIRST {
            before = resident(process);
        }
        let some = (0..20).map(|_| ann.subscribe(FACTS, json!({ "named": true })));
        crowd.extend(join_all(some).await);
    }
    let each = (resident(process) - before) / MORE as u64;
    drop(crowd);
    demo.stop().await;
    assert!(each <= 4 * 1_024, "{each} bytes for each of {MORE} idle subscribers");
}
