//! Suspending, resuming and erasing organisations, as the platform operator does it.
//! Never looks into the store but for what must be gone from it.

use super::{
    client::{Answer, Caller},
    machine::{CountedIds, machine},
    world::World,
};
use countersign::{
    app::{PLATFORM, founder},
    domain::action::SuspendTenant,
    store::{Store, check},
};
use serde_json::{Value, json};

async fn change(caller: &Caller, mutation: &str, slug: &str) -> Answer {
    let query = format!(
        "mutation($input: TenantInput!) {{ {mutation}(input: $input) {{ tenant {{ slug status }} userErrors {{ code }} }} }}"
    );
    caller.ask(&query, json!({ "input": { "slug": slug } })).await
}

async fn status(world: &World, slug: &str) -> Value {
    let tenants = world
        .operator()
        .ask("{ tenants(first: 100) { nodes { slug status quota { items { used } bytes { used } } } } }", json!({}))
        .await;
    let tenants = tenants.at("/tenants/nodes");
    tenants.as_array().unwrap().iter().find(|tenant| tenant["slug"] == slug).unwrap()["status"].clone()
}

/// How many organisations the server has the keys of.
fn keys(world: &World) -> usize {
    let names = std::fs::read_dir(world.data().join("keys")).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_str().unwrap().ends_with(".key")).count()
}

const VIEWER: &str = "{ viewer { tenant { slug } } }";

#[tokio::test(flavor = "multi_thread")]
async fn nobody_of_a_suspended_organisation_is_served_and_all_of_it_comes_back() {
    let mut world = World::new().await;
    let (operator, admin) = (world.operator(), world.globex("admin"));
    let whole = "{ governedItems(first: 100) { nodes { id name revision } } users(first: 100) { nodes { id name } } }";
    let before = admin.ask(whole, json!({})).await.at("");
    let mut listening = admin.subscribe("subscription { events { node { kind } } }", json!({})).await;

    change(&operator, "suspendTenant", "globex").await.done();
    assert_eq!(status(&world, "globex").await, "SUSPENDED");
    assert_eq!(status(&world, "acme").await, "ACTIVE");
    admin.ask(VIEWER, json!({})).await.refused("UNAUTHENTICATED");
    let create = "mutation { createGroup(input: { name: \"Late\", members: [] }) { userErrors { code } } }";
    admin.ask(create, json!({})).await.refused("UNAUTHENTICATED");
    listening.ended("UNAUTHENTICATED").await;
    world.admin().ask(VIEWER, json!({})).await.done();
    // Again changes nothing; and it holds over a restart.
    change(&operator, "suspendTenant", "globex").await.done();
    world.restart().await;
    world.globex("admin").ask(VIEWER, json!({})).await.refused("UNAUTHENTICATED");

    change(&world.operator(), "resumeTenant", "globex").await.done();
    assert_eq!(status(&world, "globex").await, "ACTIVE");
    assert_eq!(world.globex("admin").ask(whole, json!({})).await.at(""), before);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_organisation_is_gone_and_the_journal_still_verifies() {
    let mut world = World::new().await;
    let before = keys(&world);
    change(&world.operator(), "eraseTenant", "globex").await.refused("TENANT_NOT_SUSPENDED");
    world.globex("admin").ask(VIEWER, json!({})).await.done();
    change(&world.operator(), "suspendTenant", "globex").await.done();
    change(&world.operator(), "eraseTenant", "globex").await.done();
    assert_eq!(status(&world, "globex").await, "ERASED");
    world.globex("admin").ask(VIEWER, json!({})).await.refused("UNAUTHENTICATED");
    for mutation in ["resumeTenant", "suspendTenant"] {
        change(&world.operator(), mutation, "globex").await.refused("TENANT_ERASED");
    }
    let again = json!({ "slug": "globex", "name": "G", "administratorName": "A", "administratorEmail": "a@b.example" });
    let create = "mutation($input: CreateTenantInput!) { createTenant(input: $input) { userErrors { code } } }";
    world.operator().ask(create, json!({ "input": again })).await.refused("ALREADY_EXISTS");
    // Its key is gone, and with it every plain word; acme is as it was, also without the index.
    world.restart_without_index().await;
    world.globex("admin").ask(VIEWER, json!({})).await.refused("UNAUTHENTICATED");
    world.admin().ask(VIEWER, json!({})).await.done();
    world.stop().await;
    let data = world.data();
    tokio::task::spawn_blocking(move || {
        let checked = check(&data).unwrap();
        assert_eq!(checked.problems, Vec::<String>::new());
    })
    .await
    .unwrap();
    assert_eq!(keys(&world), before - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_the_directory_and_the_organisation_is_made_good_at_the_next_start() {
    let mut world = World::new().await;
    world.stop().await;
    let store = Store::open(&world.data(), &machine(&world.clock, CountedIds::from(9_000_000))).unwrap();
    let platform = store.of(&founder(PLATFORM));
    let suspended = platform.write(None, |turn| {
        let entry = turn.view().tenant_entry_called("globex")?.authorize::<SuspendTenant>()?;
        turn.stage(entry.suspend()?)
    });
    suspended.await.unwrap();
    drop(platform);
    tokio::task::spawn_blocking(move || store.close()).await.unwrap();
    world.restart().await;
    world.globex("admin").ask(VIEWER, json!({})).await.refused("UNAUTHENTICATED");
    world.admin().ask(VIEWER, json!({})).await.done();
    world.end().await;
}
