//! GraphQL over HTTP: what is taken for a request, in which form it is answered, and what the answer says beside it; and
//! for whom a socket is.

use super::{client::Caller, listener::Raw, world::World};
use countersign::http::{Bounds, not_ready};
use futures_util::{SinkExt, StreamExt};
use reqwest::{RequestBuilder, Response, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

const JSON: &str = "application/json";
const RESPONSE: &str = "application/graphql-response+json";

fn post(caller: &Caller) -> RequestBuilder {
    caller.http.post(format!("http://{}/graphql", caller.address))
}

fn header(answer: &Response, name: header::HeaderName) -> &str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_json_and_no_larger_than_allowed() {
    let world = World::new().await;
    let stranger = world.stranger();
    for (kind, status) in [
        (JSON, 200),
        ("application/json; charset=utf-8", 200),
        ("APPLICATION/JSON;charset=\"UTF-8\"", 200),
        ("application/json; charset=latin1", 415),
        ("application/jsonx", 415),
        ("text/plain", 415),
    ] {
        let asked = post(&stranger).header(header::CONTENT_TYPE, kind).body(r#"{"query":"{ __typename }"}"#);
        assert_eq!(asked.send().await.unwrap().status(), status, "{kind}");
    }
    let head = "POST /graphql HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n";
    let pieces = format!("{head}transfer-encoding: chunked\r\n\r\n493e0\r\n{}\r\n0\r\n\r\n", "x".repeat(300_000));
    // What says beforehand that it is too large is not waited for.
    for too_large in [pieces, format!("{head}content-length: 300000\r\n\r\n")] {
        let mut raw = Raw::open(&world).await;
        raw.send(&too_large).await;
        let said = raw.head().await;
        assert!(said.starts_with("http/1.1 413 "), "{said}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_the_form_that_is_preferred() {
    let world = World::new().await;
    let stranger = world.stranger();
    for (accepted, status, kind) in [
        ("*/*", 200, JSON),
        (JSON, 200, JSON),
        (RESPONSE, 200, RESPONSE),
        ("application/graphql-response+json;q=0.5, application/json", 200, JSON),
        ("application/json;q=0.5, application/graphql-response+json;q=0.8", 200, RESPONSE),
        ("application/json;q=0, application/graphql-response+json;q=0.1", 200, RESPONSE),
        ("text/html, */*;q=0.1", 200, JSON),
        ("application/json;q=0", 406, JSON),
        ("text/html", 406, JSON),
    ] {
        let asked = post(&stranger).header(header::ACCEPT, accepted).json(&json!({ "query": "{ __typename }" }));
        let answer = asked.send().await.unwrap();
        assert_eq!((answer.status().as_u16(), header(&answer, header::CONTENT_TYPE)), (status, kind), "{accepted}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parameters_of_get_are_those_of_a_request_and_change_nothing() {
    let world = World::new().await;
    let ann = world.ann();
    let get = async |parameters: &[(&str, &str)], accepted: &str| {
        let url = reqwest::Url::parse_with_params(&format!("http://{}/graphql", ann.address), parameters).unwrap();
        let asked = ann.http.get(url).bearer_auth(ann.credential.as_deref().unwrap()).header(header::ACCEPT, accepted);
        asked.send().await.unwrap()
    };
    let two = "query A($with: Boolean!) { viewer { user { name @include(if: $with) } } } query B { __typename }";
    for (operation, variables, data) in [
        ("A", r#"{"with":true}"#, json!({ "viewer": { "user": { "name": "Ann Builder" } } })),
        ("A", r#"{"with":false}"#, json!({ "viewer": { "user": {} } })),
        ("B", "", json!({ "__typename": "Query" })),
    ] {
        let answer = get(&[("query", two), ("operationName", operation), ("variables", variables)], JSON).await;
        assert_eq!(answer.json::<Value>().await.unwrap()["data"], data, "{operation} {variables}");
    }
    let unknown = get(&[("documentId", &format!("sha256:{}", "0".repeat(64)))], JSON).await;
    assert_eq!(unknown.json::<Value>().await.unwrap()["errors"][0]["extensions"]["code"], "NOT_FOUND");
    let sign_out = [("query", "mutation { endSession { userErrors { code } } }")];
    for accepted in [JSON, RESPONSE, "text/event-stream"] {
        let refused = get(&sign_out, accepted).await;
        assert_eq!((refused.status().as_u16(), header(&refused, header::ALLOW)), (405, "POST"), "{accepted}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_presents_what_is_not_valid_hears_401_and_how_to_sign_in() {
    let world = World::new().await;
    let (stranger, url) = (world.stranger(), format!("http://{}", world.stranger().address));
    let asked = |query: &str| post(&stranger).json(&json!({ "query": query }));
    let partly = "{ __typename viewer { user { id } } }";
    let refused = [
        asked(partly).bearer_auth("forged"),
        asked("subscription { events { cursor } }").bearer_auth("forged").header(header::ACCEPT, "text/event-stream"),
        stranger.http.get(format!("{url}/tenants/acme/export")),
        stranger.http.get(format!("{url}/tenants/acme/export")).bearer_auth("forged"),
    ];
    for request in refused {
        let answer = request.send().await.unwrap();
        let said = (answer.status().as_u16(), header(&answer, header::WWW_AUTHENTICATE));
        assert_eq!(said, (401, "Bearer"), "{}", answer.url());
    }
    // Whoever asks for nothing that needs a credential is answered, whatever he presents.
    assert_eq!(asked("{ __typename }").bearer_auth("forged").send().await.unwrap().status(), 200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_is_there_and_not_ready() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let work = async {
        for (path, status, after) in [("/healthz", 200, ""), ("/readyz", 503, "1"), ("/graphql", 503, "1")] {
            let answer = reqwest::get(format!("{url}{path}")).await.unwrap();
            assert_eq!((answer.status().as_u16(), header(&answer, header::RETRY_AFTER)), (status, after), "{path}");
            assert_eq!(header(&answer, header::CACHE_CONTROL), "no-store", "{path}");
        }
        "done"
    };
    let (_, done) = not_ready(listener, None, Bounds::default(), &[], work).await.unwrap();
    assert_eq!(done, "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_a_socket_is_for_is_said_by_its_first_message_or_by_its_request() {
    let world = World::new().await;
    let [ann, bea] = [world.ann(), world.bea()].map(|caller| format!("Bearer {}", caller.credential.unwrap()));
    let [ann_id, bea_id] = [world.user("ann").await, world.user("bea").await];
    let rows = [
        (Some(&ann), None, Some(&ann_id)),
        (None, Some(&bea), Some(&bea_id)),
        (Some(&ann), Some(&bea), Some(&bea_id)),
        (None, None, None),
    ];
    for (header, message, who) in rows {
        let mut request = format!("ws://{}/graphql", world.stranger().address).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        if let Some(header) = header {
            request.headers_mut().insert("authorization", header.parse().unwrap());
        }
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        let mut say = async |message: Value| {
            socket.send(Message::text(message.to_string())).await.unwrap();
            loop {
                if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
                    return serde_json::from_str::<Value>(&text).unwrap();
                }
            }
        };
        assert_eq!(say(json!({ "type": "ping" })).await["type"], "pong");
        let payload = message.map(|credential| json!({ "Authorization": credential }));
        assert_eq!(say(json!({ "type": "connection_init", "payload": payload })).await["type"], "connection_ack");
        let asked = json!({ "query": "{ viewer { user { id } } }" });
        let said = say(json!({ "type": "subscribe", "id": "1", "payload": asked })).await;
        let id = said["payload"]["data"]["viewer"]["user"]["id"].as_str();
        assert_eq!(id, who.map(String::as_str), "{said}");
    }
    world.end().await;
}
