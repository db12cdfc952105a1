//! What the server tells a monitoring system: that it counts what happened, and names nobody.
//! Waits for what happens a moment later, never for a time.

use super::{config::documented, demo::Demo, way::Way};
use serde_json::{Value, json};
use std::{collections::BTreeMap, process::Stdio, time::Duration};
use tokio::time::Instant;

/// Every figure by its name and labels, and every metric's name by its type.
struct Scraped {
    values: BTreeMap<String, f64>,
    types: BTreeMap<String, String>,
    text: String,
}

async fn scrape(demo: &Demo) -> Scraped {
    let answer = reqwest::get(demo.url("metrics")).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    for (name, said) in [("cache-control", "no-store"), ("x-content-type-options", "nosniff")] {
        assert_eq!(answer.headers()[name], said);
    }
    let text = answer.text().await.unwrap();
    assert!(text.ends_with("# EOF\n"), "{text}");
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let values = samples.map(|line| line.rsplit_once(' ').unwrap());
    let values = values.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let types = types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect();
    Scraped { values, types, text }
}

impl Scraped {
    fn of(&self, name: &str) -> f64 {
        *self.values.get(name).unwrap_or_else(|| panic!("no {name} in\n{}", self.text))
    }
}

/// Scrapes until a figure is what it should be.
async fn reaches(demo: &Demo, name: &str, expected: f64) {
    for _ in 0..300 {
        if scrape(demo).await.values.get(name) == Some(&expected) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{name} is never {expected}:\n{}", scrape(demo).await.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_counted_and_nobody_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--metrics-listen", "127.0.0.1:0"];
    let begun = Instant::now();
    let mut demo = Demo::start_with(&directory.path().join("data"), &flags, Stdio::null()).await;
    let (ann, eve) = (demo.caller("ann"), demo.caller("eve"));
    let before = scrape(&demo).await;

    let query = "query NameOfTheCaller { templates { nodes { name } } }";
    for _ in 0..3 {
        ann.ask(query, json!({})).await.done();
    }
    let template = ann.templates("GOVERNED_PROJECT").await.text("/templates/nodes/0/id");
    ann.create_project(&template, "A project of Acme").await.done();
    eve.create_project(&template, "A project of Eve").await.refused("FORBIDDEN");
    ann.ask("{ fieldOfTheCaller }", json!({})).await.refused("GRAPHQL_VALIDATION_FAILED");
    ann.ask("{ ", json!({})).await.refused("GRAPHQL_PARSE_FAILED");
    drop(ann.subscribe("{ ", json!({})).await);
    let mut subscription = ann.subscribe("subscription { events { cursor node { kind } } }", json!({})).await;
    reaches(&demo, "countersign_subscriptions_open", 1.0).await;
    ann.create_project(&template, "Another").await.done();
    assert!(subscription.next(Duration::from_secs(30)).await.is_some());
    // One thing done may be several events.
    assert!(scrape(&demo).await.of("countersign_deliveries_total") >= 1.0);
    reaches(&demo, "countersign_connections_open{transport=\"websocket\"}", 1.0).await;
    drop(subscription);
    reaches(&demo, "countersign_connections_open{transport=\"websocket\"}", 0.0).await;
    reaches(&demo, "countersign_subscriptions_open", 0.0).await;
    let stream = ann.send(Way::Stream, "subscription { reviewRequests { cursor } }", json!({})).await;
    reaches(&demo, "countersign_connections_open{transport=\"sse\"}", 1.0).await;
    reaches(&demo, "countersign_connections_open{transport=\"websocket\"}", 0.0).await;
    drop(stream);
    reaches(&demo, "countersign_connections_open{transport=\"sse\"}", 0.0).await;
    reaches(&demo, "countersign_index_lag_commits", 0.0).await;

    let after = scrape(&demo).await;
    let operations = |kind: &str, field: &str, code: &str| {
        after.of(&format!("countersign_operations_total{{kind=\"{kind}\",field=\"{field}\",code=\"{code}\"}}"))
    };
    // Three asked here, and one to find the template.
    assert_eq!(operations("query", "templates", "OK"), 4.0);
    assert_eq!(operations("mutation", "createGovernedProject", "OK"), 2.0);
    assert_eq!(operations("mutation", "createGovernedProject", "FORBIDDEN"), 1.0);
    assert_eq!(operations("query", "none", "GRAPHQL_VALIDATION_FAILED"), 1.0);
    assert_eq!(operations("subscription", "events", "OK"), 1.0);
    assert_eq!(after.of("countersign_refused_total{code=\"GRAPHQL_PARSE_FAILED\"}"), 2.0);
    assert_eq!(after.of("countersign_operation_duration_seconds_count{kind=\"mutation\"}"), 3.0);
    // One after the other, they took less than all of this.
    let seconds = begun.elapsed().as_secs_f64();
    for name in ["operation_duration_seconds_sum{kind=\"mutation\"}", "journal_append_seconds_total"] {
        let took = after.of(&format!("countersign_{name}"));
        assert!(took > 0.0 && took <= seconds, "{name}: {took} s of {seconds} s");
    }
    let grown = |name: &str| after.of(name) - before.of(name);
    assert_eq!(grown("countersign_commits_total"), 2.0);
    assert!(grown("countersign_journal_groups_total") >= 2.0 && grown("countersign_journal_position") >= 2.0);
    assert!(grown("countersign_journal_append_seconds_total") > 0.0);
    assert!(after.of("process_open_fds") > 3.0 && after.of("process_resident_memory_bytes") > 1e6);
    for word in ["NameOfTheCaller", "fieldOfTheCaller", "acme", "Acme", "platform"] {
        assert!(!after.text.contains(word), "{word} is in\n{}", after.text);
    }

    // Only the listener for it has it; a path of the caller's is no label.
    let public = reqwest::get(format!("{}/metrics", demo.url("url"))).await.unwrap();
    assert_eq!(public.status(), 404);
    reaches(&demo, "countersign_http_requests_total{path=\"other\",status=\"404\"}", 1.0).await;

    let (backup, keys) = (directory.path().join("backup"), directory.path().join("keys"));
    let (code, said) = super::command::back_up(&directory.path().join("data"), &backup, &keys).await;
    assert_eq!(code, 0, "{said}");
    let noted = scrape(&demo).await;
    assert!(noted.of("countersign_backup_timestamp_seconds") > 1.7e9);

    let told: Vec<String> = noted.types.iter().map(|(name, kind)| format!("`{name}` {kind}")).collect();
    let mut documented: Vec<String> = documented("| metric | type | meaning, and when to be alarmed |")
        .iter()
        .map(|row| row[..2].join(" "))
        .collect();
    documented.sort();
    assert_eq!(documented, told);
    demo.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_and_pending_reviews_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--metrics-listen", "127.0.0.1:0"];
    let mut demo = Demo::start_with(&directory.path().join("data"), &flags, Stdio::null()).await;
    let session: Value =
        reqwest::get(format!("{}/playground/session.json", demo.url("url"))).await.unwrap().json().await.unwrap();
    let steps = session["tabs"].as_array().unwrap();
    let mut waited = 0.0_f64;
    for step in steps.iter().filter(|step| !step["query"].as_str().unwrap().starts_with("subscription")) {
        demo.caller(step["as"].as_str().unwrap()).ask(step["query"].as_str().unwrap(), step["variables"].clone()).await;
        waited = waited.max(scrape(&demo).await.of("countersign_reviews_pending"));
    }
    assert!(waited >= 1.0);
    let after = scrape(&demo).await;
    // The tutorial's bundle that was rejected meets the gate, too; what passes it does so more often.
    assert!(after.of("countersign_gate_passed_total") > after.of("countersign_gate_refused_total"), "{}", after.text);
    assert!(after.of("countersign_gate_passed_total") >= 2.0, "{}", after.text);
    assert!(after.of("countersign_gate_refused_total") >= 1.0, "{}", after.text);
    demo.stop().await;
}
