//! Budgets: how much may be asked in a minute, by the hand clock; what the headers say; and who pays for whom.

use super::{
    client::{Caller, Socket},
    quota::open,
    world::World,
};
use countersign::{app::Budgets, graphql};
use futures_util::{SinkExt, StreamExt};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use std::net::IpAddr;
use tokio_tungstenite::tungstenite::Message;

/// Costs 13 points.
const VIEWER: &str = "{ viewer { user { id } } }";

/// A world in which so much may be spent.
async fn world(budgets: Budgets) -> World {
    let mut world = World::new().await;
    world.api = graphql::Options { budgets, ..graphql::Options::default() };
    world.restart().await;
    world
}

/// What an HTTP answer says.
struct Heard {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Heard {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status, and the two fields of the draft.
    fn limits(&self) -> (u16, &str, &str) {
        (self.status, self.header("ratelimit"), self.header("ratelimit-policy"))
    }
}

async fn ask(caller: &Caller, query: &str) -> Heard {
    let request = caller.http.post(format!("http://{}/graphql", caller.address)).json(&json!({ "query": query }));
    let request = match &caller.credential {
        Some(credential) => request.bearer_auth(credential),
        None => request,
    };
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Heard { status, headers, body: response.json().await.unwrap() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_principal_spends_a_minutes_points_and_waits_as_told() {
    let world = world(Budgets { principal: 60, organisation: 600, address: 0 }).await;
    let ann = world.ann();
    let policy = r#""principal";q=60;qu="cost";w=60, "organisation";q=600;qu="cost";w=60"#;
    for (left, of_all, seconds, soon) in [(47, 587, 13, 2), (34, 574, 26, 3), (21, 561, 39, 4), (8, 548, 52, 6)] {
        let said = ask(&ann, VIEWER).await;
        let now = format!(r#""principal";r={left};t={seconds}, "organisation";r={of_all};t={soon}"#);
        assert_eq!(said.limits(), (200, now.as_str(), policy));
        let cost = json!({ "requested": 13, "limit": 100_000, "remaining": left, "resetSeconds": seconds });
        assert_eq!(said.body["extensions"]["cost"], cost);
    }
    let refused = ask(&ann, VIEWER).await;
    assert_eq!(refused.limits(), (429, r#""principal";r=0;t=5"#, r#""principal";q=60;qu="cost";w=60"#));
    assert_eq!(refused.header("retry-after"), "5");
    assert_eq!(refused.body["errors"][0]["extensions"], json!({ "code": "RATE_LIMITED", "retryAfterSeconds": 5 }));
    let told =
        "You have too little left of the 60 points for each minute: this costs 13. Ask again in 5 s, or for less.";
    assert_eq!(refused.body["errors"][0]["message"], told);
    assert!(refused.body.get("data").is_none());
    // What costs less is heard, another principal too, and another organisation.
    assert_eq!(ask(&world.bea(), VIEWER).await.status, 200);
    assert_eq!(ask(&world.globex("ann"), VIEWER).await.status, 200);
    world.clock.advance(4);
    assert_eq!(ask(&ann, VIEWER).await.header("retry-after"), "1");
    world.clock.advance(1);
    assert_eq!(ask(&ann, VIEWER).await.status, 200);
    // A minute later all of it is there again, and no more.
    world.clock.advance(600);
    assert_eq!(ask(&ann, VIEWER).await.body["extensions"]["cost"]["remaining"], 47);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_that_has_spent_its_own_takes_nothing_from_another() {
    let world = world(Budgets { principal: 0, organisation: 40, address: 13 }).await;
    for caller in [world.ann(), world.bea(), world.design_1()] {
        assert_eq!(ask(&caller, VIEWER).await.status, 200, "{}", caller.name);
    }
    let refused = ask(&world.fin(), VIEWER).await;
    assert_eq!(refused.limits(), (429, r#""organisation";r=0;t=18"#, r#""organisation";q=40;qu="cost";w=60"#));
    assert!(refused.body["errors"][0]["message"].as_str().unwrap().starts_with("Your organisation has too little"));
    assert_eq!(ask(&world.globex("ann"), VIEWER).await.status, 200);
    assert_eq!(ask(&world.operator(), VIEWER).await.status, 200);
    // Who is not signed in, or with what is not valid, pays for his address.
    let forged = world.with_credential("a forger", Some("csk_nothing"));
    assert_eq!(ask(&forged, "{ __typename }").await.header("ratelimit"), r#""address";r=2;t=51"#);
    let refused = ask(&world.stranger(), "{ __typename }").await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "42"));
    let told = refused.body["errors"][0]["message"].as_str().unwrap();
    assert!(told.starts_with("Those who ask from your address without signing in have too little left"), "{told}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_a_place() {
    let mut world = World::new().await;
    world.api.budgets = Budgets { address: 22, ..Budgets::NONE };
    world.restart().await;
    let code = async |address: &str| {
        let address: IpAddr = address.parse().unwrap();
        let answer = world.in_process(Some(address), "{ __typename }").await;
        answer["errors"][0]["extensions"]["code"].as_str().unwrap_or("ok").to_owned()
    };
    assert_eq!([code("203.0.113.7").await, code("203.0.113.7").await], ["ok", "ok"]);
    assert_eq!(code("203.0.113.7").await, "RATE_LIMITED");
    assert_eq!(code("::ffff:203.0.113.7").await, "RATE_LIMITED", "the same address in its other dress");
    assert_eq!(code("203.0.113.8").await, "ok");
    // Of one IPv6 network of 2^64 addresses, every one is the same place.
    assert_eq!([code("2001:db8::1").await, code("2001:db8::2").await], ["ok", "ok"]);
    assert_eq!(code("2001:db8:0:0:ffff::3").await, "RATE_LIMITED");
    assert_eq!(code("2001:db8:0:1::1").await, "ok");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_paid_for_and_what_is_too_large_takes_all() {
    let world = world(Budgets { principal: 45, ..Budgets::NONE }).await;
    let ann = world.ann();
    // Neither parses, nor may run, nor is a query: each takes what looking at it takes.
    assert_eq!(
        ask(&ann, "{ viewer {").await.limits(),
        (200, r#""principal";r=35;t=14"#, r#""principal";q=45;qu="cost";w=60"#)
    );
    let tower =
        "{ sourceObjects(first: 100) { nodes { children(first: 100) { nodes { children { nodes { id } } } } } } }";
    assert_eq!(ask(&ann, tower).await.header("ratelimit"), r#""principal";r=25;t=27"#);
    assert_eq!(ask(&ann, "subscription { events { cursor } }").await.header("ratelimit"), r#""principal";r=15;t=40"#);
    // What costs more than there ever is takes all there is, once there is all.
    let page = "{ governedItems { nodes { id name } } }";
    assert_eq!(ask(&ann, page).await.limits().1, r#""principal";r=0;t=40"#);
    world.clock.advance(40);
    let said = ask(&ann, page).await;
    assert_eq!((said.status, said.header("ratelimit")), (200, r#""principal";r=0;t=60"#));
    assert_eq!(ask(&ann, "{ viewer {").await.status, 429);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_of_graphql_is_paid_for_too() {
    let world = world(Budgets { principal: 60, ..Budgets::NONE }).await;
    let ann = world.ann();
    let refused = async |kind: &str, accept: &str, body: String| {
        let request = ann.http.post(format!("http://{}/graphql", ann.address)).header("content-type", kind);
        let request = request.header("accept", accept).bearer_auth(ann.credential.as_deref().unwrap()).body(body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.headers()["ratelimit"].to_str().unwrap().to_owned())
    };
    let left = |points: u64, seconds: u64| format!(r#""principal";r={points};t={seconds}"#);
    let json = "application/json";
    assert_eq!(refused("text/plain", json, String::new()).await, (415, left(50, 10)));
    assert_eq!(refused(json, "text/html", String::new()).await, (406, left(40, 20)));
    assert_eq!(refused(json, json, "x".repeat(300_000)).await, (413, left(30, 30)));
    assert_eq!(refused(json, "text/event-stream", "[]".to_owned()).await, (400, left(20, 40)));
    let by_get = ann.http.get(format!("http://{}/graphql?variables=x", ann.address));
    let by_get = by_get.bearer_auth(ann.credential.as_deref().unwrap()).send().await.unwrap();
    assert_eq!((by_get.status().as_u16(), by_get.headers()["ratelimit"].to_str().unwrap()), (400, &*left(10, 50)));
    assert_eq!(refused(json, json, "{".to_owned()).await, (400, left(0, 60)));
    assert_eq!(refused("text/plain", json, String::new()).await.0, 429);
    world.end().await;
}

/// Asks on a socket that is open; answers what comes of it: the type of the message and its payload.
pub async fn on(socket: &mut Socket, id: &str, query: &str) -> (String, Value) {
    let message = json!({ "type": "subscribe", "id": id, "payload": { "query": query } });
    socket.send(Message::text(message.to_string())).await.unwrap();
    loop {
        let Message::Text(text) = socket.next().await.unwrap().unwrap() else { continue };
        let message: Value = serde_json::from_str(&text).unwrap();
        if message["id"] == id {
            return (message["type"].as_str().unwrap().to_owned(), message["payload"].clone());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_hears_it_and_stays_open_and_a_stream_is_not_begun() {
    let world = world(Budgets { principal: 30, ..Budgets::NONE }).await;
    let ann = world.ann();
    let mut socket = open(&ann).await.unwrap();
    for (id, left) in [("1", 17), ("2", 4)] {
        let (kind, answer) = on(&mut socket, id, VIEWER).await;
        assert_eq!((kind.as_str(), &answer["extensions"]["cost"]["remaining"]), ("next", &json!(left)));
    }
    let limited = |seconds: u64| json!({ "code": "RATE_LIMITED", "retryAfterSeconds": seconds });
    let (kind, errors) = on(&mut socket, "3", VIEWER).await;
    assert_eq!((kind.as_str(), &errors[0]["extensions"]), ("error", &limited(18)));
    // What does not parse is paid for, too.
    let (kind, errors) = on(&mut socket, "4", "{ viewer {").await;
    assert_eq!((kind.as_str(), &errors[0]["extensions"]), ("error", &limited(12)));

    let request = ann.http.post(format!("http://{}/graphql", ann.address)).header("accept", "text/event-stream");
    let request = request.bearer_auth(ann.credential.as_deref().unwrap());
    let stream = request.json(&json!({ "query": "subscription { events { cursor } }" })).send().await.unwrap();
    assert_eq!((stream.status().as_u16(), &stream.headers()["retry-after"]), (429, &"52".parse().unwrap()));
    assert_eq!(stream.headers()["ratelimit"], r#""principal";r=0;t=52"#);
    assert_eq!(stream.json::<Value>().await.unwrap()["errors"][0]["extensions"], limited(52));

    world.clock.advance(18);
    assert_eq!(on(&mut socket, "5", VIEWER).await.0, "next");

    world.clock.advance(60);
    let request = ann.http.post(format!("http://{}/graphql", ann.address)).header("accept", "text/event-stream");
    let request = request.bearer_auth(ann.credential.as_deref().unwrap());
    let stream = request.json(&json!({ "query": "{ __typename }" })).send().await.unwrap();
    assert_eq!(
        (stream.status().as_u16(), &stream.headers()["ratelimit"]),
        (200, &r#""principal";r=19;t=22"#.parse().unwrap())
    );
    drop(stream);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_of_budgets_where_there_are_none() {
    let world = world(Budgets::NONE).await;
    for caller in [world.ann(), world.stranger()] {
        let said = ask(&caller, "{ __typename }").await;
        assert_eq!(said.limits(), (200, "", ""));
        assert_eq!(said.body["extensions"]["cost"], json!({ "requested": 11, "limit": 100_000 }));
    }
    world.end().await;
}
