//! What the store promises, seen from outside: the index can go, tenants can go, a full run of restarts changes nothing.

use super::{client::Caller, compact::rename, machine::BEGINNING, operations::digest, world::World};
use countersign::{domain::time::Timestamp, store::lock::Lock};
use serde_json::{Value, json};
use std::{
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

/// A governed project with a bundle, and everything of it that a reader sees.
pub async fn something(world: &World) -> String {
    let ann = world.ann();
    let template = world.template("GOVERNED_PROJECT").await;
    let project = ann.create_project(&template, "Kept").await.text("/createGovernedProject/item/id");
    let objects = json!([{ "kind": "PROJECT", "key": "KEPT", "name": "Kept" },
        { "kind": "BUNDLE", "key": "k1", "name": "k1", "parentKey": "KEPT", "contentDigest": digest("k1") }]);
    let source = world.design_1().sync(objects).await.text("/syncSourceObjects/results/0/sourceObject/id");
    let bundles = world.template("GOVERNED_BUNDLE").await;
    let existing = json!([{ "kind": "BUNDLE", "templateId": bundles }]);
    ann.govern(json!({ "sourceObjectId": source, "itemId": project, "existingChildren": existing })).await.done();
    project
}

/// Everything that Acme's people see, and its whole history.
pub async fn everything(world: &World, project: &str) -> Vec<Value> {
    everything_seen_by(&world.ann(), &world.aud(), project).await
}

/// Everything that a person sees, and the organisation's whole history, page by page, as an auditor reads it.
pub async fn everything_seen_by(person: &Caller, auditor: &Caller, project: &str) -> Vec<Value> {
    let mut seen = vec![person.whole(project).await];
    seen.push(json!(person.registry("governedItems", Value::Null).await));
    let query = "query($after: EventCursor) { events(after: $after, first: 100) {
        edges { cursor node { kind at actor { name } attribute } } pageInfo { hasNextPage endCursor } } }";
    let mut after = Value::Null;
    loop {
        let page = auditor.ask(query, json!({ "after": after })).await;
        seen.push(page.at("/events/edges"));
        after = page.at("/events/pageInfo/endCursor");
        if page.at("/events/pageInfo/hasNextPage") == false {
            return seen;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_index_the_server_answers_the_same_after_a_restart() {
    let mut world = World::new().await;
    let project = something(&world).await;
    let before = everything(&world, &project).await;
    world.restart_without_index().await;
    assert_eq!(before, everything(&world, &project).await);
    // And it goes on from there.
    let steps = world.ann().step("startStep", &project, "exploration").await;
    steps.done();
    world.restart().await;
    assert_eq!(world.ann().item(&project).await.at("/node/steps/0/status"), "ONGOING");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_never_reorders_history() {
    let mut world = World::new().await;
    let project = something(&world).await;
    world.clock.advance(4 * 60 * 60);
    rename(&world, &project, 2).await;
    for round in 0..4 {
        world.clock.advance(-60 * 60);
        match round {
            0 => {}
            1 | 2 => world.restart().await,
            _ => world.restart_without_index().await,
        }
        rename(&world, &project, 2).await;
    }
    let mut times = vec![];
    for page in everything(&world, &project).await.into_iter().skip(2) {
        for edge in page.as_array().unwrap() {
            times.push(Timestamp::parse(edge["node"]["at"].as_str().unwrap()).unwrap());
        }
    }
    let newest = BEGINNING.plus_seconds(4 * 60 * 60);
    assert!(times.is_sorted(), "{times:?}");
    assert!(times.iter().filter(|at| **at == newest).count() >= 5, "{times:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_organisation_is_let_go_and_comes_back_as_it_was() {
    let world = World::new().await;
    let project = something(&world).await;
    let before = everything(&world, &project).await;
    // Ten minutes of nothing; the writer looks after a second of idling, once the index has caught up.
    world.clock.advance(601);
    let patience = async {
        while world.loaded_tenants() > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), patience).await.expect("let go");
    assert_eq!(before, everything(&world, &project).await);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_do_not_share_a_directory() {
    let world = World::new().await;
    let machine = super::machine::machine(&world.clock, super::machine::CountedIds::from(9_000_000));
    let Err(error) = countersign::store::Store::open(&world.data(), &machine) else { panic!("opened twice") };
    assert!(error.to_string().contains("another server uses the data directory"), "{error}");
    world.end().await;
}

/// A child holds a copy of every open file of its parent until it has become another program.
#[test]
fn a_directory_is_free_at_once_whatever_is_started_beside() {
    let directory = tempfile::tempdir().unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                Command::new("true").status().unwrap();
            }
        });
        let taken = (0..20_000).find_map(|round| Lock::take(directory.path()).err().map(|refused| (round, refused)));
        over.store(true, Ordering::Relaxed);
        assert!(taken.is_none(), "{taken:?}");
    });
}
