//! What the real server logs: one line for each operation, whatever it came by, and never a secret.

use super::{
    budget::on,
    demo::Demo,
    quota::open,
    way::{Said, Way},
    world::World,
};
use countersign::graphql::{Asked, Operation, Watch, Watcher};
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::{
    fs::File,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

fn lines(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The line about an operation: logged when it is over, which may be a moment after it was answered.
async fn line(log: &Path, wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..300 {
        if let Some(line) = lines(log).into_iter().find(&wanted) {
            return line;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no such line in\n{}", std::fs::read_to_string(log).unwrap());
}

/// The line about the operation with this root field.
async fn of_field(log: &Path, field: &str) -> Value {
    line(log, |line| line["field"] == field).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_one_line_with_a_request_id_and_no_secret() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let flags = ["--log", "info", "--log-format", "json", "--slow-operation-milliseconds", "0"];
    let flags = [&flags[..], &["--trusted-proxy", "127.0.0.1,198.51.100.0/24"]].concat();
    let logs = Stdio::from(File::create(&log).unwrap());
    let mut demo = Demo::start_with(&directory.path().join("data"), &flags, logs).await;
    let (ann, url) = (demo.caller("ann"), format!("{}/graphql", demo.url("url")));
    let token = ann.credential.clone().unwrap();
    let send = |query: &str, variables: Value, id: &str, forwarded: &str| {
        let request = ann.http.post(&url).bearer_auth(&token).header("x-request-id", id);
        let request = request.header("x-forwarded-for", forwarded).header("forwarded", "for=192.0.2.66");
        request.json(&json!({ "query": query, "variables": variables })).send()
    };

    // Who stands before a trusted proxy is the caller; what he wrote himself before that is nobody's word.
    let answer =
        send("query Mine { templates { nodes { id } } }", json!({}), "my-id-1", "192.0.2.7, 203.0.113.9, 198.51.100.4");
    assert_eq!(answer.await.unwrap().headers()["x-request-id"], "my-id-1");
    let told = of_field(&log, "templates").await;
    for (field, expected) in [
        ("request_id", "my-id-1"),
        ("transport", "http"),
        ("kind", "query"),
        ("name", "Mine"),
        ("address", "203.0.113.9"),
        ("code", "OK"),
        ("level", "INFO"),
        ("target", "countersign::operation"),
    ] {
        assert_eq!(told[field], expected, "{told}");
    }
    assert_eq!((&told["answers"], &told["span"]["id"]), (&json!(1), &json!("my-id-1")), "{told}");
    assert!(told["principal"].as_str().unwrap().starts_with("User(") && told["tenant"].is_string(), "{told}");
    assert!(told["milliseconds"].as_f64().unwrap() > 0.0 && told["cost"].as_u64().unwrap() > 0, "{told}");

    // An id that does not belong into a log is replaced.
    let answer = send("{ node(id: \"x\") { id } }", json!({}), &"x".repeat(101), "203.0.113.9").await.unwrap();
    let given = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(given.len(), 36);
    assert_eq!(of_field(&log, "node").await["request_id"], given.as_str());

    let input = json!({ "organisation": "acme", "email": "ann@acme.example", "password": "a-secret-password-1" });
    let sign_in = "mutation($input: SignInInput!) { signIn(input: $input) { accessToken } }";
    send(sign_in, json!({ "input": input }), "my-id-2", "203.0.113.9").await.unwrap();
    assert_eq!(of_field(&log, "signIn").await["request_id"], "my-id-2");
    send("{ ", json!({}), "my-id-3", "203.0.113.9").await.unwrap();
    let refused = line(&log, |line| line["request_id"] == "my-id-3").await;
    assert_eq!((&refused["code"], &refused["message"]), (&json!("GRAPHQL_PARSE_FAILED"), &json!("refused")));

    // A socket's operations are named after it, and told when they are over.
    let socket = ann.subscribe("subscription Heard { events { cursor } }", json!({})).await;
    drop(socket);
    let told = of_field(&log, "events").await;
    assert!(told["request_id"].as_str().unwrap().ends_with("/1"), "{told}");
    assert_eq!(
        (&told["transport"], &told["name"], &told["answers"]),
        (&json!("websocket"), &json!("Heard"), &json!(0))
    );
    let stream = ann.http.post(&url).bearer_auth(&token).header("accept", "text/event-stream");
    let query = json!({ "query": "{ infrastructures { nodes { id } } }" });
    stream.json(&query).send().await.unwrap().text().await.unwrap();
    assert_eq!(of_field(&log, "infrastructures").await["transport"], "sse");

    for line in lines(&log).iter().filter(|line| line["kind"].is_string()) {
        assert_eq!(lines(&log).iter().filter(|other| other["request_id"] == line["request_id"]).count(), 1, "{line}");
    }
    demo.stop().await;
    let all = std::fs::read_to_string(&log).unwrap();
    for secret in ["a-secret-password-1", "ann@acme.example", &token] {
        assert!(!all.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_default_level_only_what_is_slow_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    // Hashing a password takes longer than any machine's millisecond.
    let flags = ["--log-format", "json", "--slow-operation-milliseconds", "1"];
    let logs = Stdio::from(File::create(&log).unwrap());
    let mut demo = Demo::start_with(&directory.path().join("data"), &flags, logs).await;
    let input = json!({ "organisation": "acme", "email": "ann@acme.example", "password": "a-secret-password-1" });
    let sign_in = "mutation($input: SignInInput!) { signIn(input: $input) { accessToken } }";
    demo.caller("ann").ask(sign_in, json!({ "input": input })).await;
    let told = of_field(&log, "signIn").await;
    assert_eq!((&told["level"], &told["message"]), (&json!("WARN"), &json!("a slow operation")));
    demo.stop().await;
    assert!(lines(&log).iter().all(|line| line["level"] != "INFO"));
    // A caller whom no proxy is trusted to speak for is where his connection comes from.
    assert_eq!(told["address"], "127.0.0.1");
}

/// What proxies wrote, each text a header of its own, and who asks by that.
const FORWARDED: [(&[&str], &str); 10] = [
    (&[], "127.0.0.1"),
    (&["203.0.113.9"], "203.0.113.9"),
    (&["192.0.2.7", "203.0.113.9, 198.51.100.4"], "203.0.113.9"),
    // Whoever hides behind a name of the proxy's own is the proxy.
    (&["203.0.113.9, unknown"], "127.0.0.1"),
    (&["203.0.113.9, unknown, 198.51.100.4"], "198.51.100.4"),
    (&["203.0.113.9:4711"], "203.0.113.9"),
    (&["::ffff:203.0.113.9"], "203.0.113.9"),
    (&["2001:db8::7"], "2001:db8::7"),
    (&["[2001:db8::7]"], "2001:db8::7"),
    (&["[2001:db8::7]:4711"], "2001:db8::7"),
];

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_is_the_nearest_address_that_no_trusted_proxy_has() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let flags = ["--log", "info", "--log-format", "json", "--trusted-proxy", "127.0.0.1,198.51.100.0/24"];
    let logs = Stdio::from(File::create(&log).unwrap());
    let mut demo = Demo::start_with(&directory.path().join("data"), &flags, logs).await;
    let (http, url) = (demo.caller("ann").http, format!("{}/graphql", demo.url("url")));
    let send = |id: &str| http.post(&url).json(&json!({ "query": "{ __typename }" })).header("x-request-id", id);
    for (row, (forwarded, caller)) in FORWARDED.iter().enumerate() {
        let id = format!("row:{row}");
        let request = forwarded.iter().fold(send(&id), |request, text| request.header("x-forwarded-for", *text));
        assert_eq!(request.send().await.unwrap().headers()["x-request-id"], id.as_str());
        let told = line(&log, |line| line["request_id"] == id.as_str()).await;
        assert_eq!(told["address"], *caller, "{forwarded:?}");
    }
    for (id, query) in [("fields", "{ a: __typename b: __typename }"), ("fragment", "{ ... { __typename } }")] {
        http.post(&url).json(&json!({ "query": query })).header("x-request-id", id).send().await.unwrap();
        assert_eq!(line(&log, |line| line["request_id"] == id).await["field"], "several", "{query}");
    }
    // What stands behind the path of an address is nobody's to read.
    let got = http.get(format!("{url}?query=%7B__typename%7D&variables=%7B%22a-secret%22:1%7D"));
    got.header("x-request-id", "got").send().await.unwrap();
    let told = line(&log, |line| line["request_id"] == "got").await;
    assert_eq!((&told["span"]["path"], &told["span"]["id"]), (&json!("/graphql"), &json!("got")));
    assert!(!std::fs::read_to_string(&log).unwrap().contains("a-secret"));
    // What does not belong into a log is replaced.
    for id in ["", "two words", "a\"quote", "{}"] {
        let answer = send(id).send().await.unwrap();
        assert_eq!(answer.headers()["x-request-id"].len(), 36, "{id:?}");
    }
    demo.stop().await;
}

/// Hears under which code operations end.
#[derive(Default)]
struct Ends(Mutex<Vec<String>>);

impl Watcher for Ends {
    fn began(&self, _: &Operation) {}
    fn delivered(&self) {}
    fn ended(&self, operation: &Operation, _: Duration) {
        self.0.lock().unwrap().push(operation.code.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_whose_answer_nobody_waits_for_is_told_as_such() {
    let world = World::new().await;
    let (api, ends) = (world.api(), Arc::<Ends>::default());
    let admitted = |query: &str| {
        let watch = Watch { request_id: "one".to_owned(), transport: "http", watcher: ends.clone() };
        let asked = Asked { query: Some(query.to_owned()), ..Asked::default() };
        api.admit(asked).unwrap().watched(watch)
    };
    // Whoever signs in waits for his password to be hashed.
    let sign_in =
        "mutation { signIn(input: { organisation: \"acme\", email: \"a@acme.example\", password: \"wrong, wrong\" })
        { accessToken } }";
    assert!(api.request(None, None, admitted(sign_in)).now_or_never().is_none());
    api.request(None, None, admitted("{ __typename }")).await;
    api.request(None, None, admitted("{ viewer { user { id } } }")).await;
    assert_eq!(*ends.0.lock().unwrap(), ["LEFT", "OK", "UNAUTHENTICATED"]);
    drop(api);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_of_a_socket_are_numbered_and_a_stop_waits_for_no_stream() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let logs = Stdio::from(File::create(&log).unwrap());
    let flags = ["--log", "info", "--log-format", "json"];
    let mut demo = Demo::start_with(&directory.path().join("data"), &flags, logs).await;
    let ann = demo.caller("ann");
    let mut socket = open(&ann).await.unwrap();
    let mut ids = vec![];
    for name in ["First", "Second"] {
        on(&mut socket, name, &format!("query {name} {{ viewer {{ __typename }} }}")).await;
        let told = line(&log, |line| line["name"] == name).await;
        // Whatever else was logged of it would be found under the same id.
        assert_eq!((&told["span"]["id"], &told["span"]["path"]), (&told["request_id"], &json!("/graphql")));
        ids.push(told["request_id"].as_str().unwrap().to_owned());
    }
    let of_socket = ids[0].strip_suffix("/1").expect("the first of its socket");
    assert_eq!(ids[1], format!("{of_socket}/2"));

    let mut stream = ann.send(Way::Stream, "subscription { events { cursor } }", json!({})).await;
    demo.stop().await;
    assert!(matches!(stream.next(Duration::from_secs(60)).await, Some(Said::Complete)));
    let told = std::fs::read_to_string(&log).unwrap();
    assert!(!told.contains("still under way"), "{told}");
    drop(socket);
}
