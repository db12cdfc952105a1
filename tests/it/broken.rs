//! What panics under the server costs one answer; what panics in the writer ends writing, and nothing else.
//! The clock does it, as any part of the machine could.

use super::{client::Caller, machine::Mood, quota::open, world::World};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

/// An operation whose resolver reads the clock, and which needs nobody: before it nothing of a socket does.
const SIGN_IN: &str = r#"mutation { signIn(input: { organisation: "acme", email: "a@acme.example", password: "wrong, wrong" }) { accessToken } }"#;

async fn post(caller: &Caller, accept: &str) -> reqwest::Response {
    let request = caller.http.post(format!("http://{}/graphql", caller.address)).header("accept", accept);
    request.json(&json!({ "query": SIGN_IN })).send().await.unwrap()
}

/// Asserts that somebody was told of the failure, in words of this server.
fn is_told(text: &str) {
    assert!(text.contains("INTERNAL") && text.contains("whether it took effect is not known"), "{text}");
    assert!(!text.contains("clock") && !text.contains("panic"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_costs_one_answer_of_http() {
    let world = World::new().await;
    let stranger = world.stranger();
    world.clock.is_now(Mood::BreaksRequests);
    for accept in ["application/json", "application/graphql-response+json"] {
        let answer = post(&stranger, accept).await;
        assert_eq!(answer.status(), 500);
        assert!(answer.headers().contains_key("x-request-id"));
        is_told(&answer.text().await.unwrap());
    }
    let stream = post(&stranger, "text/event-stream").await;
    assert_eq!(stream.status(), 200);
    let stream = stream.text().await.unwrap();
    is_told(&stream);
    assert!(stream.contains("event: complete"), "{stream}");
    world.clock.is_now(Mood::Calm);
    stranger.ask(SIGN_IN, json!({})).await.refused("UNAUTHENTICATED");
    world.ann().ask("{ viewer { __typename } }", json!({})).await.done();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_costs_one_operation_of_a_socket() {
    let world = World::new().await;
    let mut request = format!("ws://{}/graphql", world.stranger().address).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let mut said = vec![];
    let steps = [
        (Mood::Calm, json!({ "type": "connection_init" })),
        (Mood::BreaksRequests, json!({ "type": "subscribe", "id": "1", "payload": { "query": SIGN_IN } })),
        (Mood::Calm, json!({ "type": "subscribe", "id": "2", "payload": { "query": SIGN_IN } })),
    ];
    for (mood, message) in steps {
        world.clock.is_now(mood);
        socket.send(Message::text(message.to_string())).await.unwrap();
        let text = loop {
            let message = socket.next().await.unwrap().unwrap();
            assert!(!message.is_close(), "the socket ended: {message:?}");
            if let Message::Text(text) = message {
                break text.to_string();
            }
        };
        said.push(text);
    }
    let said: Vec<Value> = said.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    assert_eq!(
        (&said[0]["type"], &said[1]["type"], &said[1]["id"]),
        (&json!("connection_ack"), &json!("error"), &json!("1"))
    );
    is_told(&said[1].to_string());
    assert_eq!((&said[2]["type"], &said[2]["id"]), (&json!("next"), &json!("2")), "{said:?}");
    drop(socket);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_while_it_is_looked_up_who_asks_costs_one_operation() {
    let world = World::new().await;
    let ann = world.ann();
    let mut socket = open(&ann).await.unwrap();
    for (id, mood) in [("1", Mood::Calm), ("2", Mood::BreaksRequests), ("3", Mood::Calm)] {
        world.clock.is_now(mood);
        let query = "{ viewer { user { id } } }";
        let message = json!({ "type": "subscribe", "id": id, "payload": { "query": query } });
        socket.send(Message::text(message.to_string())).await.unwrap();
        let told: Value = loop {
            let message = socket.next().await.unwrap().unwrap();
            assert!(!message.is_close(), "the socket ended: {message:?}");
            let text = message.to_text().unwrap();
            if text.contains("payload") {
                break serde_json::from_str(text).unwrap();
            }
        };
        if mood == Mood::Calm {
            assert!(told["payload"]["data"]["viewer"]["user"]["id"].is_string(), "{told}");
        } else {
            assert_eq!(told["payload"][0]["extensions"]["code"], "INTERNAL", "{told}");
        }
    }
    drop(socket);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_the_writer_ends_writing_and_nothing_else() {
    let mut world = World::new().await;
    let template = world.template("GOVERNED_PROJECT").await;
    world.ann().create_project(&template, "Before").await.done();
    world.clock.is_now(Mood::BreaksWriter);
    // Whoever was at it is not told that nothing was done.
    let broken = world.ann().create_project(&template, "During").await;
    broken.refused("UNAVAILABLE");
    assert!(broken.body["errors"][0]["message"].as_str().unwrap().contains("outcome is unknown"), "{}", broken.body);
    world.clock.is_now(Mood::Calm);
    for _ in 0..3 {
        let refused = world.ann().create_project(&template, "After").await;
        refused.refused("UNAVAILABLE");
        assert!(refused.body["errors"][0]["message"].as_str().unwrap().contains("does not write any more"));
    }
    let ready = |path| reqwest::get(format!("http://{}{path}", world.stranger().address));
    let (alive, ready) = (ready("/healthz").await.unwrap(), ready("/readyz").await.unwrap());
    assert_eq!((alive.status().as_u16(), ready.status().as_u16()), (200, 503));
    assert!(ready.text().await.unwrap().contains("restart"));
    // Reading goes on, and a restart mends it.
    assert_eq!(world.template("GOVERNED_PROJECT").await, template);
    world.restart().await;
    world.ann().create_project(&template, "After").await.done();
    world.end().await;
}
