//! Quotas: what one organisation may have and ask, never overshot and never another's; what goes on where it is full.
//! Never waits for the machine: the clock is moved by hand.

use super::{
    client::{Answer, Caller, Socket},
    world::World,
};
use futures_util::{SinkExt, StreamExt, future::join_all};
use serde_json::{Value, json};
use std::time::Duration;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

const QUOTA: &str = "items { limit used } bytes { limit used } sockets { limit used } requestsPerMinute { limit used }";
const VIEWER: &str = "{ viewer { tenant { slug } } }";

/// An organisation's entry, as the platform operator sees it.
async fn entry(world: &World, slug: &str) -> Value {
    let query = format!("{{ tenants(first: 100) {{ nodes {{ slug revision status quota {{ {QUOTA} }} }} }} }}");
    let entries = world.operator().ask(&query, json!({})).await.at("/tenants/nodes");
    entries.as_array().unwrap().iter().find(|entry| entry["slug"] == slug).unwrap().clone()
}

async fn used(world: &World, slug: &str, quota: &str) -> u64 {
    entry(world, slug).await["quota"][quota]["used"].as_u64().unwrap()
}

async fn set(caller: &Caller, input: Value) -> Answer {
    let query = format!(
        "mutation($input: SetTenantQuotaInput!) {{ setTenantQuota(input: $input) {{
            tenant {{ revision quota {{ {QUOTA} }} }} userErrors {{ code message remedy path }} }} }}"
    );
    caller.ask(&query, json!({ "input": input })).await
}

/// Sets the whole quota of an organisation.
async fn limit(world: &World, slug: &str, quota: Value) {
    let revision = entry(world, slug).await["revision"].clone();
    set(&world.operator(), json!({ "slug": slug, "expectedRevision": revision, "quota": quota })).await.done();
}

/// How many were done; the others must have been refused for the quota.
fn done(answers: &[Answer]) -> usize {
    let codes = answers.iter().map(Answer::code).collect::<Vec<_>>();
    assert!(codes.iter().all(|code| code == "ok" || code == "QUOTA_EXCEEDED"), "{codes:?}");
    codes.iter().filter(|code| *code == "ok").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_sets_a_quota_and_administrators_see_it() {
    let mut world = World::new().await;
    let own = format!("{{ tenant {{ quota {{ {QUOTA} }} }} }}");
    let unlimited = world.admin().ask(&own, json!({})).await.at("/tenant/quota");
    for quota in ["items", "bytes", "sockets", "requestsPerMinute"] {
        assert_eq!(unlimited[quota]["limit"], Value::Null);
    }
    assert!(unlimited["bytes"]["used"].as_u64().unwrap() > 1_000, "{unlimited}");
    assert_eq!(world.ann().ask(&own, json!({})).await.at("/tenant/quota"), Value::Null);

    let quota = json!({ "items": 7, "bytes": 9_000_000_000_000_u64, "sockets": 0, "requestsPerMinute": 90 });
    let input = |revision: u64, quota: &Value| json!({ "slug": "acme", "expectedRevision": revision, "quota": quota, "idempotencyKey": "acme's quota" });
    set(&world.admin(), input(1, &quota)).await.refused("FORBIDDEN");
    set(&world.operator(), input(2, &quota)).await.refused("REVISION_CONFLICT");
    let nothing = json!({ "requestsPerMinute": 0 });
    set(&world.operator(), input(1, &nothing)).await.refused("OUT_OF_RANGE");
    let unknown = json!({ "slug": "nobody", "expectedRevision": 1, "quota": quota });
    set(&world.operator(), unknown).await.refused("NOT_FOUND");
    let first = set(&world.operator(), input(1, &quota)).await;
    assert_eq!(first.at("/setTenantQuota/tenant/revision"), 2);
    // Coming again under its key it is the same command.
    assert_eq!(set(&world.operator(), input(1, &quota)).await.at("/setTenantQuota/tenant/revision"), 2);
    world.restart().await;
    let seen = world.admin().ask(&own, json!({})).await.at("/tenant/quota");
    for (name, wanted) in quota.as_object().unwrap() {
        assert_eq!(&seen[name]["limit"], wanted);
        assert_eq!(&entry(&world, "acme").await["quota"][name]["limit"], wanted);
        assert_eq!(entry(&world, "globex").await["quota"][name]["limit"], Value::Null);
    }
    let told = world.operator().ask("{ events(first: 100) { nodes { kind } } }", json!({})).await.at("/events/nodes");
    let told: Vec<_> = told.as_array().unwrap().iter().filter(|node| node["kind"] == "TENANT_QUOTA_SET").collect();
    assert_eq!(told.len(), 1, "the command was done twice, or not told");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn items_are_never_more_than_allowed_however_many_ask_at_once() {
    let mut world = World::new().await;
    let (ann, template) = (world.ann(), world.template("GOVERNED_PROJECT").await);
    let before = used(&world, "acme", "items").await;
    limit(&world, "acme", json!({ "items": before + 3 })).await;
    let names: Vec<_> = (0..24).map(|n| format!("Project {n}")).collect();
    let answers = join_all(names.iter().map(|name| ann.create_project(&template, name))).await;
    assert_eq!(done(&answers), 3);
    assert_eq!(used(&world, "acme", "items").await, before + 3);
    let refused = answers.iter().find(|answer| answer.code() == "QUOTA_EXCEEDED").unwrap();
    let said = &refused.body["data"]["createGovernedProject"]["userErrors"][0]["message"];
    let (full, limit_of) = (before + 3, before + 3);
    let wanted = format!("The organisation's quota of items does not allow this: {full} of {limit_of} are used.");
    assert_eq!(*said, *wanted);

    // What is there is read and changed; what is deleted makes room; a restart forgets nothing.
    let made = answers.iter().find(|answer| answer.code() == "ok").unwrap();
    let item = made.text("/createGovernedProject/item/id");
    world.restart().await;
    let ann = world.ann();
    ann.create_project(&template, "One more").await.refused("QUOTA_EXCEEDED");
    let rename = json!({ "itemId": item, "expectedRevision": 1, "name": "Renamed" });
    ann.update_item(rename).await.done();
    ann.delete_item(&item, "DELETE_CHILDREN", 2).await.done();
    assert_eq!(used(&world, "acme", "items").await, before + 2);
    ann.create_project(&template, "One more").await.done();
    ann.create_project(&template, "And another").await.refused("QUOTA_EXCEEDED");
    // Another organisation has its own.
    let globex = world.globex("ann");
    let template = globex.templates("GOVERNED_PROJECT").await.text("/templates/nodes/0/id");
    globex.create_project(&template, "Of Globex").await.done();
    // Fewer than there are takes nothing away.
    limit(&world, "acme", json!({ "items": 0 })).await;
    assert_eq!(used(&world, "acme", "items").await, before + 3);
    limit(&world, "acme", json!({})).await;
    ann.create_project(&template_of(&ann).await, "Unlimited").await.done();
    world.end().await;
}

async fn template_of(caller: &Caller) -> String {
    caller.templates("GOVERNED_PROJECT").await.text("/templates/nodes/0/id")
}

/// Text that cannot be made smaller than about its length: a simple generator's digits.
fn noise(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[(state % 64) as usize])
    };
    std::iter::repeat_with(next).take(4_000).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_never_more_than_allowed_and_deleting_goes_on() {
    let mut world = World::new().await;
    let template = world.template("GOVERNED_PROJECT").await;
    let ann = world.ann();
    let create = async |caller: &Caller, template: &str, n: u64| {
        let fields = json!([{ "key": "description", "value": { "text": noise(n) } }]);
        let input = json!({ "templateId": template, "name": format!("Project {n}"), "fields": fields });
        let query = "mutation($input: CreateGovernedProjectInput!) {
            createGovernedProject(input: $input) { item { id } userErrors { code message } } }";
        caller.ask(query, json!({ "input": input })).await
    };
    let before = used(&world, "acme", "bytes").await;
    let first = create(&ann, &template, 1).await.text("/createGovernedProject/item/id");
    let one = used(&world, "acme", "bytes").await - before;
    assert!(one > 3_000, "{one}");
    let allowed = before + one * 6;
    limit(&world, "acme", json!({ "bytes": allowed })).await;
    let answers = join_all((2..34).map(|n| create(&ann, &template, n))).await;
    let (made, reached) = (done(&answers), used(&world, "acme", "bytes").await);
    assert!((4..=5).contains(&made), "{made}");
    assert!(reached <= allowed && allowed - reached < one * 2, "{reached} of {allowed}, {one} each");

    // The same after a restart, and when the index is made anew from the journal.
    world.restart().await;
    assert_eq!(used(&world, "acme", "bytes").await, reached);
    world.restart_without_index().await;
    assert_eq!(used(&world, "acme", "bytes").await, reached);

    let ann = world.ann();
    limit(&world, "acme", json!({ "bytes": 1_000 })).await;
    let refused = create(&ann, &template, 99).await;
    refused.refused("QUOTA_EXCEEDED");
    let said = refused.body["data"]["createGovernedProject"]["userErrors"][0]["message"].as_str().unwrap();
    assert!(said.contains(&format!("bytes does not allow this: {reached} of 1000 are used")), "{said}");
    assert_eq!(world.position("acme").await, {
        create(&ann, &template, 98).await.refused("QUOTA_EXCEEDED");
        world.position("acme").await
    });
    ann.item(&first).await.done();
    ann.delete_item(&first, "DELETE_CHILDREN", 1).await.done();
    assert!(used(&world, "acme", "bytes").await > reached, "deleting is history, too");
    let key = world.admin().ask("{ apiKeys(first: 1) { nodes { id } } }", json!({})).await.at("/apiKeys/nodes/0/id");
    let revoke = "mutation($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) { userErrors { code } } }";
    world.admin().ask(revoke, json!({ "input": { "apiKeyId": key } })).await.done();
    let globex = world.globex("ann");
    create(&globex, &template_of(&globex).await, 1).await.done();
    world.end().await;
}

/// Opens a socket; answers it once it was acknowledged, or the code with which it was closed.
pub async fn open(caller: &Caller) -> Result<Socket, u16> {
    let mut request = format!("ws://{}/graphql", caller.address).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let authorization = caller.credential.as_ref().map(|credential| format!("Bearer {credential}"));
    let init = json!({ "type": "connection_init", "payload": { "authorization": authorization } });
    socket.send(Message::text(init.to_string())).await.unwrap();
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Text(text) => {
                assert!(text.contains("connection_ack"), "{text}");
                return Ok(socket);
            }
            Message::Close(frame) => return Err(frame.unwrap().code.into()),
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}

/// Opens a stream of events; its status and headers are there, its body is not read.
async fn stream(caller: &Caller) -> reqwest::Response {
    let request = caller.http.post(format!("http://{}/graphql", caller.address));
    let request = request.header("accept", "text/event-stream").bearer_auth(caller.credential.as_deref().unwrap());
    request.json(&json!({ "query": "subscription { events { cursor } }" })).send().await.unwrap()
}

/// Waits until so many connections are counted: closing one takes the server a moment.
async fn counted(world: &World, slug: &str, wanted: u64) {
    let soon = async {
        while used(world, slug, "sockets").await != wanted {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), soon).await.expect("the connections are counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_connections_listen_than_allowed() {
    let world = World::new().await;
    limit(&world, "acme", json!({ "sockets": 5 })).await;
    let callers: Vec<_> = (0..16).map(|n| if n % 2 == 0 { world.ann() } else { world.design_1() }).collect();
    let opened = join_all(callers.iter().map(open)).await;
    let codes: Vec<_> = opened.iter().filter_map(|opened| opened.as_ref().err()).collect();
    assert_eq!((codes.len(), codes.iter().all(|code| **code == 1013)), (11, true), "{codes:?}");
    assert_eq!(used(&world, "acme", "sockets").await, 5);
    let refused = stream(&world.ann()).await;
    assert_eq!(refused.status(), 429);
    let refused: Value = refused.json().await.unwrap();
    assert_eq!(refused["errors"][0]["extensions"]["code"], "QUOTA_EXCEEDED");
    let said = "The organisation's quota of open connections does not allow this: 5 of 5 are used.";
    assert_eq!(refused["errors"][0]["message"], said);
    // Requests, and other organisations, are heard; a stranger's socket is nobody's.
    world.ann().ask(VIEWER, json!({})).await.done();
    let _globex = open(&world.globex("ann")).await.unwrap();
    let _stranger = open(&world.stranger()).await.unwrap();

    // One that closes makes room, whichever kind it is.
    let mut sockets: Vec<_> = opened.into_iter().filter_map(Result::ok).collect();
    sockets.pop().unwrap().close(None).await.unwrap();
    counted(&world, "acme", 4).await;
    let streaming = stream(&world.ann()).await;
    assert_eq!(streaming.status(), 200);
    assert_eq!(used(&world, "acme", "sockets").await, 5);
    assert_eq!(open(&world.ann()).await.err(), Some(1013));
    drop(streaming);
    counted(&world, "acme", 4).await;
    sockets.push(open(&world.ann()).await.unwrap());
    drop(sockets);
    counted(&world, "acme", 0).await;
    world.end().await;
}

/// The status, the header `Retry-After` and the code with which a request is answered.
async fn asked(caller: &Caller) -> (u16, Option<String>, String) {
    let request = caller.http.post(format!("http://{}/graphql", caller.address));
    let request = request.bearer_auth(caller.credential.as_deref().unwrap()).json(&json!({ "query": VIEWER }));
    let response = request.send().await.unwrap();
    let after = response.headers().get("retry-after").map(|after| after.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let body = response.json().await.unwrap();
    (status, after, Answer { who: caller.name, body }.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_asked_in_a_minute_than_allowed() {
    let world = World::new().await;
    limit(&world, "acme", json!({ "requestsPerMinute": 10 })).await;
    // What was asked before counts; another minute begins with nothing.
    world.clock.advance(61);
    let ann = world.ann();
    let answers = join_all((0..40).map(|_| asked(&ann))).await;
    let limited = (429, Some("59".to_owned()), "RATE_LIMITED".to_owned());
    let heard = answers.iter().filter(|answer| **answer == (200, None, "ok".to_owned())).count();
    assert_eq!((heard, answers.iter().filter(|answer| **answer == limited).count()), (10, 30), "{answers:?}");
    assert_eq!(used(&world, "acme", "requestsPerMinute").await, 10);
    // All of an organisation share it, its keys too; and every way of asking counts.
    assert_eq!(asked(&world.design_1()).await, limited);
    let body = ann.ask(VIEWER, json!({})).await.body;
    assert_eq!(body["errors"][0]["extensions"]["retryAfterSeconds"], 59);
    assert!(body.get("data").is_none(), "{body}");
    ann.subscribe("subscription { events { cursor } }", json!({})).await.ended("RATE_LIMITED").await;
    // Others ask on, as does whoever runs the platform.
    assert_eq!(asked(&world.globex("ann")).await.2, "ok");
    assert_eq!(asked(&world.operator()).await.2, "ok");
    // The answer says when.
    world.clock.advance(58);
    assert_eq!(asked(&ann).await, (429, Some("1".to_owned()), "RATE_LIMITED".to_owned()));
    world.clock.advance(1);
    assert_eq!(asked(&ann).await.2, "ok");
    limit(&world, "acme", json!({})).await;
    let answers = join_all((0..40).map(|_| asked(&ann))).await;
    assert!(answers.iter().all(|(_, _, code)| code == "ok"));
    world.end().await;
}
