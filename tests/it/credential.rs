//! A credential that does not stand, or no longer, is nobody's: every root field, every such credential, every way in.

use super::{
    access::question,
    client::Caller,
    introspection::{Introspection, Root},
    situation::{Asked, Names, Stage, did, filled, mutations, queries, situate, subscriptions},
    way::{Said, WAYS, Way},
    world::World,
};
use countersign::domain::time::{Clock, Timestamp};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::time::Duration;

const DAY: i64 = 24 * 60 * 60;

/// What a person asks for without being anybody yet: the credential beside it does not count.
const FOR_ANYBODY: [&str; 3] = ["refreshSession", "setPassword", "signIn"];

/// Credentials that stood once, or never did.
async fn fallen(world: &World) -> Vec<Caller> {
    let mut fallen = vec![world.with_credential("nonsense", Some("nonsense"))];
    let mut key = |name: &'static str, made: &Value| {
        fallen.push(world.with_credential(name, made["credential"].as_str()));
        made["apiKey"]["id"].clone()
    };
    let input = |more: Value| {
        let mut input = json!({ "name": "Fallen", "owner": { "user": null }, "scopes": ["USER_RIGHTS"] });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let ann = json!({ "user": world.user("ann").await });
    let shown = "credential apiKey { id }";
    let revoked = did(&world.admin(), "createApiKey", input(json!({ "owner": ann })), shown).await;
    did(&world.admin(), "revokeApiKey", json!({ "apiKeyId": key("revoked key", &revoked) }), "").await;
    let soon = Timestamp::from_milliseconds(world.clock.now().milliseconds() + 60 * 60 * 1_000);
    let soon = json!({ "owner": ann, "expiresAt": soon.to_string() });
    key("expired key", &did(&world.admin(), "createApiKey", input(soon), shown).await);

    fallen.push(world.token("expired token", "acme", "ann", 600).await);
    let ended = world.token("ended session", "acme", "ann", DAY).await;
    ended.ask("mutation { signOut { userErrors { code } } }", json!({})).await.done();
    fallen.push(ended);
    fallen.push(world.token("disabled user", "acme", "rita", DAY).await);
    let rita = world.user("rita").await;
    did(&world.admin(), "updateUser", json!({ "userId": rita, "expectedRevision": 1, "active": false }), "").await;
    fallen.push(world.token("deleted user", "acme", "con", DAY).await);
    did(
        &world.admin(),
        "deleteUsers",
        json!({ "users": [world.user("con").await] }),
        "results { userErrors { code } }",
    )
    .await;
    fallen.push(world.globex("ann"));
    let suspend = "mutation { suspendTenant(input: { slug: \"globex\" }) { userErrors { code } } }";
    world.operator().ask(suspend, json!({})).await.done();
    world.clock.advance(2 * 60 * 60);
    fallen
}

/// One of everything that a root field takes an id of.
async fn everything(world: &World) -> Names {
    let stages = [Stage::Abandoned, Stage::Given, Stage::Hidden, Stage::Deployment, Stage::People, Stage::Access];
    let mut names = Names::new();
    for (n, stage) in stages.into_iter().enumerate() {
        names.extend(situate(world, "acme", stage, n).await);
    }
    for (name, of) in [("waiting", "inbox"), ("hidden", "inbox"), ("deleted", "project")] {
        names.insert(name.to_owned(), names[of].clone());
    }
    names.insert("before".to_owned(), Value::Null);
    names
}

/// What was answered to somebody whose credential does not stand, where it is not that.
async fn accepted((document, variables): &(String, Value), caller: &Caller, way: Way) -> Option<String> {
    let said = match caller.send(way, document, variables.clone()).await.next(Duration::from_secs(60)).await {
        Some(Said::Answer(answer)) => answer["errors"][0]["extensions"]["code"].clone(),
        Some(Said::Closed(code)) => json!(code),
        Some(Said::Complete) | None => json!("nothing"),
    };
    let wanted = if way == Way::Socket { json!(4403) } else { json!("UNAUTHENTICATED") };
    (said != wanted).then(|| format!("{} over {way:?}: {said}: {document}", caller.name))
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_presents_what_does_not_stand_is_nobody_everywhere() {
    let world = World::new().await;
    let schema = Introspection::of(&world.ann()).await;
    let names = everything(&world).await;
    let fallen = fallen(&world).await;
    let before = world.position("acme").await;
    let asked = |root: Root, row: Asked| {
        let arguments = filled(&row.arguments, &names);
        let variables =
            if root == Root::Mutation && !arguments.is_null() { json!({ "input": arguments }) } else { arguments };
        (question(&schema, root, row.field, &variables), variables)
    };
    let operations: Vec<_> = (queries().into_iter().map(|row| asked(Root::Query, row)))
        .chain(
            mutations()
                .into_iter()
                .filter(|row| !FOR_ANYBODY.contains(&row.field))
                .map(|row| asked(Root::Mutation, row)),
        )
        .chain(subscriptions().into_iter().map(|row| asked(Root::Subscription, row)))
        .collect();
    let cells = operations.iter().flat_map(|operation| fallen.iter().map(move |caller| (operation, caller)));
    let cells = cells.flat_map(|(operation, caller)| WAYS.map(|way| (operation, caller, way)));
    // A subscription has no answer over plain HTTP.
    let cells = cells.filter(|((document, _), _, way)| *way != Way::Http || !document.starts_with("subscription"));
    let answers: Vec<Option<String>> =
        stream::iter(cells.map(|(operation, caller, way)| accepted(operation, caller, way)))
            .buffer_unordered(8)
            .collect()
            .await;
    let accepted: Vec<_> = answers.iter().flatten().collect();
    assert!(accepted.is_empty(), "{accepted:#?}");
    assert!(answers.len() > 2_000, "only {} cells were asked", answers.len());
    assert_eq!(world.position("acme").await, before, "a refused request left a trace");
    world.end().await;
}
