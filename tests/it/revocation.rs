//! What was taken away is gone at once: no request that begins after the answer is accepted, and sockets close.
//! A thousand requests run against each mutation.

use super::{budget::on, client::Caller, quota::open, world::World};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

/// A thousand requests at least: so many who ask, each so often, and after the mutation again.
const ASKERS: usize = 20;
const EACH: usize = 50;
const AFTER: usize = 3;
const READ: &str = "{ viewer { tenant { slug } } }";
const LISTEN: &str = "subscription { events { node { at } } }";

/// Asks until it was asked often enough before and after the mutation; answers when each was begun and what it came to.
async fn asked(asker: Caller, accepted: Arc<AtomicUsize>, over: watch::Receiver<bool>) -> Vec<(Instant, String)> {
    let (mut heard, mut after) = (vec![], 0);
    while heard.len() < EACH || after < AFTER {
        after += usize::from(*over.borrow());
        let begun = Instant::now();
        let code = asker.ask(READ, json!({})).await.code();
        accepted.fetch_add(usize::from(code == "ok"), Ordering::Relaxed);
        heard.push((begun, code));
    }
    heard
}

/// When a second is over, or so many requests of one client where the machine takes longer for those.
async fn a_second(world: &World) {
    let other = world.admin();
    let requests = async {
        for _ in 0..50 {
            other.ask(READ, json!({})).await.done();
        }
    };
    tokio::join!(sleep(Duration::from_secs(1)), requests);
}

/// Has a thousand requests run against a mutation that ends what they are asked with.
async fn ended_under_load(world: &World, asker: Caller, mutation: &str, input: Value) {
    let mut socket = asker.subscribe(LISTEN, json!({})).await;
    let mut silent = asker.subscribe("subscription { feedbackRequests { node { at } } }", json!({})).await;
    let (accepted, (tell, over)) = (Arc::new(AtomicUsize::new(0)), watch::channel(false));
    let requests: Vec<_> =
        (0..ASKERS).map(|_| tokio::spawn(asked(asker.clone(), Arc::clone(&accepted), over.clone()))).collect();
    while accepted.load(Ordering::Relaxed) < EACH {
        sleep(Duration::from_millis(1)).await;
    }
    world.admin().ask(mutation, json!({ "input": input })).await.done();
    let over = Instant::now();
    tell.send_replace(true);
    let both_closed = async {
        for socket in [&mut socket, &mut silent] {
            assert_eq!(socket.closed(Duration::from_secs(60)).await, Some(4403));
        }
    };
    tokio::select! {
        biased;
        () = both_closed => {}
        () = a_second(world) => panic!("a socket was open for longer than a second"),
    }
    let mut after = 0;
    for request in requests {
        for (begun, code) in request.await.unwrap() {
            if begun >= over {
                assert_eq!(code, "UNAUTHENTICATED", "a request that began after the answer was accepted");
                after += 1;
            } else {
                assert!(["ok", "UNAUTHENTICATED"].contains(&code.as_str()), "{code}");
            }
        }
    }
    assert!(after >= ASKERS * AFTER, "{after}");
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
    let mut asking = open(&world.ann()).await.unwrap();
    assert_eq!(on(&mut asking, "1", READ).await.0, "next");
    // The tokens of the fixtures are good for a day, their sessions for a month.
    world.clock.advance(2 * 24 * 60 * 60);
    assert_eq!(socket.closed(Duration::from_secs(2)).await, None);
    world.ann().ask(READ, json!({})).await.refused("UNAUTHENTICATED");
    // Nothing new is begun with it on a socket, either.
    let (kind, answer) = on(&mut asking, "2", READ).await;
    assert_eq!(
        (kind.as_str(), &answer["errors"][0]["extensions"]["code"]),
        ("next", &json!("UNAUTHENTICATED")),
        "{answer}"
    );
    world.clock.advance(30 * 24 * 60 * 60);
    assert_eq!(socket.closed(Duration::from_secs(2)).await, Some(4403));
    world.end().await;
}
