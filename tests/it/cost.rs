//! What operations cost before they run: the table that people read, pages by variables, and what is too much.

use super::{
    golden,
    way::{WAYS, Way},
    world::World,
};
use serde_json::{Value, json};

/// What the answer says of its operation's cost; a refused one says it in its error.
fn requested(body: &Value) -> &Value {
    let said = &body["extensions"]["cost"]["requested"];
    if said.is_null() { &body["errors"][0]["extensions"]["cost"] } else { said }
}

/// Documents with their variables, in the order of the table.
fn table() -> Vec<(&'static str, Value)> {
    let page = "query($n: Int) { governedItems(first: $n) { nodes { id name } } }";
    vec![
        ("{ __typename }", json!({})),
        ("{ viewer { user { id name } } }", json!({})),
        ("{ a: viewer { user { id } } b: viewer { user { id } } }", json!({})),
        ("query($with: Boolean!) { viewer { user { id name @include(if: $with) } } }", json!({ "with": false })),
        ("query($with: Boolean = true) { viewer { user { id name @include(if: $with) } } }", json!({})),
        ("{ viewer { user { id ...N } } } fragment N on User { name email }", json!({})),
        ("{ governedItems { nodes { id name } } }", json!({})),
        ("{ governedItems(last: 3) { edges { cursor node { id name } } pageInfo { hasNextPage } } }", json!({})),
        (page, json!({ "n": 4 })),
        (page, json!({ "n": 0 })),
        (page, json!({ "n": null })),
        (page, json!({})),
        (page, json!({ "n": 1000 })),
        ("query($n: Int = 7) { governedItems(first: $n) { nodes { id name } } }", json!({})),
        ("{ governedItems(first: 4) { totalCount { count } } }", json!({})),
        ("{ governedItems(first: 4) { ...P } } fragment P on GovernedItemConnection { nodes { id } }", json!({})),
        (
            "{ a: governedItems(first: 4) { ...P } b: governedItems(first: 8) { ...P } } fragment P on GovernedItemConnection { nodes { id } }",
            json!({}),
        ),
        ("{ governedItems(first: 10) { nodes { steps { key signOff { id } } } } }", json!({})),
        ("{ node(id: \"a\") { ... on GovernedItem { steps { key signOff { id } } } } }", json!({})),
        ("{ governedItems(first: 10) { nodes { timeline(first: 10) { nodes { kind } } } } }", json!({})),
        ("{ governedItems(first: 100) { nodes { timeline(first: 100) { nodes { kind actor { id } } } } } }", json!({})),
        ("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", json!({ "ids": ["a", "b", "c"] })),
        ("{ node(id: \"a\") { ... on GovernedItem { name } ... on User { name email } } }", json!({})),
        ("{ authorizationMatrix(first: 2) { nodes { onTypes { permissions } } } }", json!({})),
        ("{ explainAccess(action: CREATE_ITEM) { allowed } }", json!({})),
        ("{ timeline(first: 5) { nodes { kind } } }", json!({})),
        ("{ __schema { queryType { name } } }", json!({})),
        (super::described::FULL, json!({})),
        (
            "mutation($input: CreateUserInput!) { createUser(input: $input) { user { id } userErrors { code } } }",
            json!({ "input": { "name": "", "email": "" } }),
        ),
        (
            "mutation($input: CreateUsersInput!) { createUsers(input: $input) { results { user { id } } } }",
            json!({ "input": { "users": [{ "name": "", "email": "" }, { "name": "", "email": "" }] } }),
        ),
        (
            "mutation($users: [NewUserRowInput!]!) { createUsers(input: { users: $users }) { results { user { id } } } }",
            json!({ "users": [{ "name": "", "email": "" }, { "name": "", "email": "" }] }),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn costs_are_as_in_the_table() {
    let world = World::new().await;
    let ann = world.ann();
    let mut text = "What an operation costs, in points, by its document and variables.\n".to_owned();
    for (document, variables) in table() {
        let body = ann.ask(document, variables.clone()).await.body;
        let cost = requested(&body).as_u64().unwrap_or_else(|| panic!("{document} costs nothing: {body:#}"));
        let shown = if document.len() > 300 { "the full introspection query of graphql-js" } else { document };
        let variables = if variables == json!({}) { String::new() } else { format!("\n         with {variables}") };
        let refused = body["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED";
        let refused = if refused { "\n         LIMIT_EXCEEDED" } else { "" };
        text.push_str(&format!("\n{cost:>7}  {shown}{variables}{refused}\n"));
    }
    golden::compare("costs", &text);
    world.end().await;
}

/// A chain of fragments, each of which asks for the children of each object of a page of a hundred: 100^n.
fn towers(levels: usize) -> String {
    let mut document = "{ sourceObjects(first: 100) { nodes { ...F0 } } }".to_owned();
    for level in 0..levels {
        let next = level + 1;
        document.push_str(&format!(
            " fragment F{level} on SourceObject {{ id children(first: 100) {{ nodes {{ ...F{next} }} }} }}"
        ));
    }
    document.push_str(&format!(" fragment F{levels} on SourceObject {{ id name }}"));
    document
}

#[tokio::test(flavor = "multi_thread")]
async fn what_costs_too_much_is_not_done_whichever_way_it_is_asked() {
    let world = World::new().await;
    let ann = world.ann();
    // 100 × 100 × … passes every number that there is, and is not counted one by one.
    for levels in [2, 3, 8, 12] {
        for way in WAYS {
            let body = ann.ask_by(way, &towers(levels), json!({})).await.body;
            let error = &body["errors"][0];
            assert_eq!(error["extensions"]["code"], "LIMIT_EXCEEDED", "{way:?} {levels}: {body:#}");
            assert_eq!(error["extensions"]["limit"], 100_000);
            assert!(body.get("data").is_none(), "{body:#}");
            let cost = error["extensions"]["cost"].as_u64().unwrap();
            match levels {
                2 => assert_eq!(cost, 10 + 1 + 1 + 100 * (1 + 1 + 1 + 100 * (1 + 1 + 1 + 100 * 2))),
                3 => assert!(cost > 200_000_000),
                _ => assert!(cost == u64::MAX || levels == 8 && cost > 1_000_000_000_000, "{cost}"),
            }
            assert_eq!(error["extensions"]["costsMost"], "SourceObject.children");
        }
    }
    // Two spreads of the next one, thirty times: two to the thirty fields.
    let mut doubling = "{ ...F0 }".to_owned();
    for level in 0..30 {
        let next = level + 1;
        doubling.push_str(&format!(" fragment F{level} on Query {{ ...F{next} ...F{next} }}"));
    }
    doubling.push_str(" fragment F30 on Query { viewer { user { id } } }");
    ann.ask(&doubling, json!({})).await.refused("LIMIT_EXCEEDED");

    let before = world.position("acme").await;
    let create = "mutation($input: CreateGroupInput!) { createGroup(input: $input) { userErrors { code }
        group { members { activity(first: 100) { nodes { kind cursor notified { id name email active } } } } } } }";
    let answer = ann.ask(create, json!({ "input": { "name": "Costly" } })).await;
    answer.refused("LIMIT_EXCEEDED");
    let said = answer.body["errors"][0]["message"].as_str().unwrap();
    assert!(said.contains("100000 are allowed. User.activity, with 100 rows, costs most: ask for smaller"), "{said}");
    assert_eq!(world.position("acme").await, before);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_says_what_an_operation_costs_and_a_subscription_says_it_once() {
    let world = World::new().await;
    let ann = world.ann();
    for way in WAYS {
        let body = ann.ask_by(way, "{ viewer { user { id } } }", json!({})).await.body;
        assert_eq!(body["extensions"], json!({ "cost": { "requested": 13, "limit": 100_000 } }), "{way:?}");
    }
    let template = world.template("GOVERNED_PROJECT").await;
    for way in [Way::Socket, Way::Stream] {
        let mut sent = ann.send(way, "subscription { events { cursor } }", json!({})).await;
        let (mut heard, mut made) = (vec![], 0);
        while heard.len() < 3 {
            // What is done before the server has begun the subscription is not heard of; so it is done again.
            ann.create_project(&template, &format!("By {way:?} {made}")).await.done();
            made += 1;
            match sent.next(std::time::Duration::from_millis(200)).await {
                Some(super::way::Said::Answer(body)) => heard.push(body),
                Some(_) => panic!("the subscription ended"),
                None => {}
            }
        }
        assert_eq!(heard[0]["extensions"]["cost"]["requested"], 111, "{way:?}: {:#}", heard[0]);
        assert!(heard[1..].iter().all(|event| event.get("extensions").is_none()), "{way:?}: {heard:#?}");
    }
    world.end().await;
}
