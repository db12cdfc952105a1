//! `kill -9` under load, over HTTP: what was acknowledged is there, and nothing is there by half.
//! Each command reports a bundle that is governed in the same commit: a source object, an item and a sign-off.

use super::{demo::Demo, operations::digest};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

const ROUNDS: u64 = 10;
const CLIENTS: usize = 8;

#[expect(clippy::disallowed_methods, reason = "how long a restart takes is what is measured")]
fn now() -> Instant {
    Instant::now()
}

#[derive(Default)]
struct Seen {
    /// Bundles that were sent, answered or not.
    sent: BTreeSet<String>,
    /// Bundles whose report was acknowledged.
    acknowledged: BTreeSet<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_nothing_is_half_done() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut server = Demo::start(&data).await;
    govern_project(&server).await;
    for round in 0..ROUNDS {
        load(&server, round, &seen);
        // Another moment in each round, early enough to hit the index's first batches, too.
        tokio::time::sleep(Duration::from_millis(150 + round * 77 % 600)).await;
        server.process.kill().await.unwrap();
        let before = now();
        server = Demo::start(&data).await;
        let ready = before.elapsed();
        assert!(ready < Duration::from_secs(10), "round {round}: ready again only after {ready:?}");
        check(&server, round, &seen).await;
    }
    let seen = seen.lock().unwrap();
    assert!(seen.acknowledged.len() > 50, "the load was too small to say anything: {}", seen.acknowledged.len());
    println!("{ROUNDS} rounds, {} acknowledged of {} sent, none lost", seen.acknowledged.len(), seen.sent.len());
}

async fn govern_project(server: &Demo) {
    let ann = server.caller("ann");
    let template = async |item_type: &str| ann.templates(item_type).await.text("/templates/nodes/0/id");
    let project = json!([{ "kind": "PROJECT", "key": "LOAD", "name": "Load" }]);
    let reported = server.caller("design-1-sync").sync(project).await;
    let source = reported.text("/syncSourceObjects/results/0/sourceObject/id");
    let rule = json!({ "kind": "BUNDLE", "action": "GOVERN", "templateId": template("GOVERNED_BUNDLE").await });
    let input =
        json!({ "sourceObjectId": source, "templateId": template("GOVERNED_PROJECT").await, "futureChildren": [rule] });
    ann.govern(input).await.done();
}

/// Clients that report bundles until the server is gone; each notes what it sends before, and what was answered after.
fn load(server: &Demo, round: u64, seen: &Arc<Mutex<Seen>>) {
    for client in 0..CLIENTS {
        let (node, seen) = (server.caller("design-1-sync"), Arc::clone(seen));
        tokio::spawn(async move {
            for n in 0.. {
                let key = format!("r{round}-c{client}-{n}");
                seen.lock().unwrap().sent.insert(key.clone());
                let query = "mutation($input: SyncSourceObjectsInput!) { syncSourceObjects(input: $input) {
                    results { sourceObject { id } userErrors { code } } userErrors { code } } }";
                let object = json!({ "kind": "BUNDLE", "key": key, "name": key, "parentKey": "LOAD", "contentDigest": digest(&key) });
                let body = json!({ "query": query, "variables": { "input": { "objects": [object] } } });
                let request = node
                    .http
                    .post(format!("http://{}/graphql", node.address))
                    .bearer_auth(node.credential.as_ref().unwrap());
                let Ok(response) = request.json(&body).send().await else { return };
                let Ok(answer) = response.json::<Value>().await else { return };
                assert!(
                    answer["data"]["syncSourceObjects"]["results"][0]["sourceObject"]["id"].is_string(),
                    "{answer}"
                );
                seen.lock().unwrap().acknowledged.insert(key);
            }
        });
    }
}

/// Every bundle is there wholly or not at all, and every acknowledged one is there.
async fn check(server: &Demo, round: u64, seen: &Arc<Mutex<Seen>>) {
    let (sent, acknowledged) = {
        let seen = seen.lock().unwrap();
        (seen.sent.clone(), seen.acknowledged.clone())
    };
    let governed = bundles(server).await;
    let lost: Vec<_> = acknowledged.iter().filter(|key| !governed.contains(*key)).collect();
    assert_eq!(lost, Vec::<&String>::new(), "round {round}: acknowledged and lost");
    let node = server.caller("design-1-sync");
    // What was sent and not acknowledged may be there or not; a source object without its item would be half.
    for key in sent.difference(&acknowledged) {
        let query = "query($key: String!) { sourceObject(kind: BUNDLE, key: $key) { governanceStatus } }";
        let answer = node.ask(query, json!({ "key": key })).await;
        let status = answer.body.pointer("/data/sourceObject/governanceStatus").and_then(Value::as_str);
        assert_eq!(status.is_some(), governed.contains(key), "round {round}: {key} is there by half: {}", answer.body);
        assert!(status.is_none_or(|status| status == "GOVERNED"), "round {round}: {key} is {status:?}");
    }
}

/// The names of all governed bundles that have their sign-off.
async fn bundles(server: &Demo) -> BTreeSet<String> {
    let ann = server.caller("ann");
    let query = "query($after: String) { bundleRegistry(first: 100, after: $after) {
        nodes { name step(key: \"review\") { signOff { status } } } pageInfo { hasNextPage endCursor } } }";
    let (mut found, mut after) = (BTreeSet::new(), Value::Null);
    loop {
        let page = ann.ask(query, json!({ "after": after })).await;
        for node in page.at("/bundleRegistry/nodes").as_array().unwrap() {
            assert_eq!(node["step"]["signOff"]["status"], "NOT_STARTED", "an item without its sign-off: {node}");
            found.insert(node["name"].as_str().unwrap().to_owned());
        }
        if page.at("/bundleRegistry/pageInfo/hasNextPage") == false {
            return found;
        }
        after = page.at("/bundleRegistry/pageInfo/endCursor");
    }
}
