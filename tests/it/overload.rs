//! More than the server takes on at a time: who is over it hears so at once, with when to come again.
//! The clock holds the writer, so that requests stay under way for as long as a test wants.

use super::{
    client::Caller,
    listener::Raw,
    machine::Mood,
    way::{Said, WAYS, Way},
    world::World,
};
use countersign::{domain::tenant::Quota, http::Load, limits::SOCKETS_OF_PRINCIPAL_MAX};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(60);

async fn loaded(load: Load) -> World {
    let mut world = World::new().await;
    world.load = load;
    world.restart().await;
    world
}

/// The status of a query, and whether it is a word of overload as a client of GraphQL understands it.
async fn asked(caller: &Caller, padding: usize) -> (u16, bool) {
    let request = caller.http.post(format!("http://{}/graphql", caller.address));
    let request = request.bearer_auth(caller.credential.as_deref().unwrap());
    let body = json!({ "query": format!("{{ viewer {{ __typename }} }} #{}", "x".repeat(padding)) });
    let answer = request.json(&body).send().await.unwrap();
    let (status, after) = (answer.status().as_u16(), answer.headers().contains_key("retry-after"));
    let body: Value = answer.json().await.unwrap();
    (status, after && body["errors"][0]["extensions"]["code"] == "UNAVAILABLE" && body.get("data").is_none())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_over_the_bound_hears_it_and_the_rest_is_done() {
    let world = loaded(Load { running_max: 2, waiting_max: 1, ..Load::default() }).await;
    let template = world.template("GOVERNED_PROJECT").await;
    world.clock.is_now(Mood::HoldsWriter);
    let under_way: Vec<_> = (0..2)
        .map(|n| {
            let (ann, template) = (world.ann(), template.clone());
            tokio::spawn(async move { ann.create_project(&template, &format!("Held {n}")).await })
        })
        .collect();
    // The first holds the writer; the second has begun when a third has to wait.
    let full = async {
        while asked(&world.ann(), 0).await != (503, true) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, full).await.expect("two requests that are under way");
    assert!(world.clock.holds());
    // One waits for a second, the others not at all.
    let ann = world.ann();
    let answers = futures_util::future::join_all((0..20).map(|_| asked(&ann, 0))).await;
    assert!(answers.iter().all(|answer| *answer == (503, true)), "{answers:?}");
    // Whoever finds somebody waiting is answered before him.
    let overtaken = async {
        loop {
            let (waiting, ann) = (world.ann(), world.ann());
            let waiting = tokio::spawn(async move { asked(&waiting, 0).await });
            sleep(Duration::from_millis(200)).await;
            let answer = asked(&ann, 0).await;
            if !waiting.is_finished() {
                assert_eq!((answer, waiting.await.unwrap()), ((503, true), (503, true)));
                break;
            }
        }
    };
    timeout(PATIENCE, overtaken).await.expect("somebody who waits while another is sent away");
    for path in ["/healthz", "/readyz"] {
        let there = ann.http.get(format!("http://{}{path}", ann.address)).send().await.unwrap();
        assert_eq!(there.status(), 200, "{path}");
    }
    world.clock.is_now(Mood::Calm);
    for held in under_way {
        held.await.unwrap().done();
    }
    assert_eq!(asked(&ann, 0).await, (200, false));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_and_streams_wait_for_their_turns_too_and_who_only_listens_keeps_none() {
    let world = loaded(Load { running_max: 1, waiting_max: 0, ..Load::default() }).await;
    let (ann, template) = (world.ann(), world.template("GOVERNED_PROJECT").await);
    let viewer = "{ viewer { __typename } }";
    let first = ann.ask("{ events(first: 1) { edges { cursor } } }", json!({})).await.text("/events/edges/0/cursor");
    let after_first = format!(r#"subscription {{ events(after: "{first}") {{ cursor }} }}"#);
    let mut heard = vec![];
    for way in [Way::Socket, Way::Stream, Way::Socket, Way::Stream] {
        let mut listening = ann.send(way, &after_first, json!({})).await;
        let Some(Said::Answer(second)) = listening.next(PATIENCE).await else { panic!("{way:?} says nothing") };
        assert!(second["data"]["events"]["cursor"].is_string(), "{way:?}: {second}");
        heard.push(listening);
    }
    for way in WAYS {
        ann.ask_by(way, viewer, json!({})).await.done();
    }
    world.clock.is_now(Mood::HoldsWriter);
    let holding = world.ann();
    let held = tokio::spawn(async move {
        loop {
            // Whoever asks below whether it has come may have had the turn.
            let held = holding.create_project(&template, "Held").await;
            if held.code() != "UNAVAILABLE" {
                return held;
            }
        }
    });
    let full = async {
        while asked(&world.ann(), 0).await != (503, true) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, full).await.expect("a request that is under way");
    for way in WAYS {
        for query in [viewer, "subscription { events { __typename } }"] {
            if way != Way::Http || query == viewer {
                let refused = ann.ask_by(way, query, json!({})).await;
                refused.refused("UNAVAILABLE");
                assert_eq!(refused.body.get("data"), None, "{way:?}: {query}");
            }
        }
    }
    world.clock.is_now(Mood::Calm);
    held.await.unwrap().done();
    for way in WAYS {
        ann.ask_by(way, viewer, json!({})).await.done();
    }
    drop(heard);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_to_wait_is_answered_when_it_is_his_turn() {
    let world = loaded(Load { running_max: 1, waiting_max: 64, ..Load::default() }).await;
    let ann = world.ann();
    let answers = futures_util::future::join_all((0..32).map(|_| asked(&ann, 0))).await;
    // A machine that is slow for a second may send some away; it never forgets one.
    let (done, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| *answer == (200, false));
    assert!(!done.is_empty() && refused.iter().all(|answer| *answer == (503, true)), "{refused:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_do_not_end_take_no_more_memory_than_allowed() {
    let world = loaded(Load { bodies_bytes_max: 64 * 1024, ..Load::default() }).await;
    let ann = world.ann();
    assert_eq!(asked(&ann, 50_000).await, (200, false));
    let head =
        "POST /graphql HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 200000\r\n\r\n";
    let taken = async {
        loop {
            let mut unfinished = Raw::open(&world).await;
            unfinished.send(&format!("{head}{}", "x".repeat(60_000))).await;
            for _ in 0..100 {
                if asked(&ann, 50_000).await == (503, true) {
                    return unfinished;
                }
                sleep(Duration::from_millis(10)).await;
            }
            // It came while one of those had the room, and was sent away itself.
        }
    };
    let unfinished = timeout(PATIENCE, taken).await.expect("a body that takes all the room");
    // What most clients send is heard all the same.
    assert_eq!(asked(&ann, 8_000).await, (200, false));
    drop(unfinished);
    let given_back = async {
        while asked(&ann, 50_000).await != (200, false) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, given_back).await.expect("the room of a body that broke off");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sends_too_much_sees_why_once_he_has_sent_it() {
    let world = World::new().await;
    let stranger = world.stranger();
    for (kind, bytes, status) in [("application/json", 1_000_000, 413), ("text/plain", 200_000, 415)] {
        for _ in 0..20 {
            let request = stranger.http.post(format!("http://{}/graphql", stranger.address));
            let sent = request.header("content-type", kind).body("x".repeat(bytes)).send().await;
            assert_eq!(sent.expect("an answer").status(), status);
        }
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_does_not_listen_on_every_connection() {
    let mut world = World::new().await;
    let (api, ann, bea) = (world.api(), world.ann().credential.unwrap(), world.bea().credential.unwrap());
    let mut open = vec![];
    for _ in 0..SOCKETS_OF_PRINCIPAL_MAX {
        open.push(api.connection(Some(&ann), None).await.unwrap_or_else(|refused| panic!("{refused:?}")));
    }
    assert!(api.connection(Some(&ann), None).await.is_err());
    let refused = Quota::default().must_allow_socket(0, SOCKETS_OF_PRINCIPAL_MAX).unwrap_err();
    assert_eq!(
        refused.sentence(),
        "The organisation's quota of open connections of one person or key does not allow this: 1000 of 1000 are used."
    );
    assert!(api.connection(Some(&bea), None).await.is_ok());
    open.pop();
    assert!(api.connection(Some(&ann), None).await.is_ok());
    drop((open, api));
    world.stop().await;
}
