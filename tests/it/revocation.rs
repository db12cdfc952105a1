//! What was taken away is gone at once: no request that begins after the answer is accepted, and sockets close.
//! A thousand requests run against each mutation.

use super::{client::Caller, world::World};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const REQUESTS: u64 = 1_000;
const READ: &str = "{ viewer { tenant { slug } } }";
const LISTEN: &str = "subscription { events { node { at } } }";

/// Has a thousand requests run against a mutation that ends what they are asked with.
async fn ended_under_load(world: &World, asker: Caller, mutation: &str, input: Value) {
    let mut socket = asker.subscribe(LISTEN, json!({})).await;
    let mut silent = asker.subscribe("subscription { feedbackRequests { node { at } } }", json!({})).await;
    let requests: Vec<_> = (0..REQUESTS)
        .map(|n| {
            let asker = asker.clone();
            tokio::spawn(async move {
                sleep(Duration::from_millis(n)).await;
                let begun = Instant::now();
                (begun, asker.ask(READ, json!({})).await.code())
            })
        })
        .collect();
    sleep(Duration::from_millis(REQUESTS / 3)).await;
    world.admin().ask(mutation, json!({ "input": input })).await.done();
    let over = Instant::now();
    for socket in [&mut socket, &mut silent] {
        assert_eq!(socket.closed(Duration::from_secs(1).saturating_sub(over.elapsed())).await, Some(4403));
    }
    let (mut before, mut after) = (0, 0);
    for request in requests {
        let (begun, code) = request.await.unwrap();
        if begun >= over {
            assert_eq!(code, "UNAUTHENTICATED", "a request that began after the answer was accepted");
            after += 1;
        } else {
            assert!(["ok", "UNAUTHENTICATED"].contains(&code.as_str()), "{code}");
            before += u64::from(code == "ok");
        }
    }
    assert!(before >= 50 && after >= 50, "{before} were accepted before, {after} refused after");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_accepted_of_a_disabled_user() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    let mutation = "mutation($input: UpdateUserInput!) { updateUser(input: $input) { userErrors { code } } }";
    let input = json!({ "userId": ann, "expectedRevision": 1, "active": false });
    ended_under_load(&world, world.ann(), mutation, input).await;
    // Others go on.
    world.bea().ask(READ, json!({})).await.done();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_accepted_of_an_ended_session() {
    let world = World::new().await;
    let sessions = world.ann().ask("{ viewer { sessions { id current } } }", json!({})).await;
    assert_eq!(sessions.at("/viewer/sessions/0/current"), true);
    let mutation = "mutation($input: EndSessionInput!) { endSession(input: $input) { userErrors { code } } }";
    let input = json!({ "sessionId": sessions.at("/viewer/sessions/0/id") });
    ended_under_load(&world, world.ann(), mutation, input).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_accepted_of_a_revoked_key() {
    let world = World::new().await;
    let keys = "{ apiKeys(first: 100) { nodes { id node { slug } scopes } } }";
    let keys = world.admin().ask(keys, json!({})).await.at("/apiKeys/nodes");
    let key = keys.as_array().unwrap().iter().find(|key| key["node"]["slug"] == "design-1").unwrap();
    let mutation = "mutation($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) { userErrors { code } } }";
    ended_under_load(&world, world.design_1(), mutation, json!({ "apiKeyId": key["id"] })).await;
    world.auto_1().ask(READ, json!({})).await.done();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_outlives_its_access_token_and_not_its_session() {
    let world = World::new().await;
    let mut socket = world.ann().subscribe(LISTEN, json!({})).await;
    // The tokens of the fixtures are good for a day, their sessions for a month.
    world.clock.advance(2 * 24 * 60 * 60);
    assert_eq!(socket.closed(Duration::from_secs(2)).await, None);
    world.ann().ask(READ, json!({})).await.refused("UNAUTHENTICATED");
    world.clock.advance(30 * 24 * 60 * 60);
    assert_eq!(socket.closed(Duration::from_secs(2)).await, Some(4403));
    world.end().await;
}
