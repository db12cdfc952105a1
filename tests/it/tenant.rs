//! Suspending, resuming and erasing organisations, as the platform operator does it.
//! Never looks into the store but for what must be gone from it.

use super::{
    client::{Answer, Caller},
    machine::{CountedIds, machine},
    world::World,
};
use countersign::{
    app::{PLATFORM, founder},
    domain::action::{FollowDirectory, SuspendTenant},
    store::{
        Store, check,
        disk::FileDisk,
        journal::{Replayed, survey},
    },
};
use serde_json::{Value, json};

pub async fn change(caller: &Caller, mutation: &str, slug: &str) -> Answer {
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

pub const VIEWER: &str = "{ viewer { tenant { slug } } }";

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

/// Does something to the store of a world between two runs of its server, as a crash would leave it.
async fn between_runs(world: &mut World, work: impl AsyncFnOnce(&Store)) {
    world.stop().await;
    let store = Store::open(&world.data(), &machine(&world.clock, CountedIds::from(9_000_000))).unwrap();
    work(&store).await;
    tokio::task::spawn_blocking(move || store.close()).await.unwrap();
    world.start().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_that_a_crash_left_half_resumed_is_suspended_and_can_be_resumed() {
    let mut world = World::new().await;
    change(&world.operator(), "suspendTenant", "globex").await.done();
    // Resuming opens the organisation first: a crash then leaves it open, and the directory says that it is not.
    between_runs(&mut world, async |store| {
        let directory = store.of(&founder(PLATFORM)).read().await.unwrap();
        let globex = directory.view().tenant_entry_called("globex").unwrap().authorize::<SuspendTenant>().unwrap().id;
        let globex = store.of(&founder(globex));
        let opened = globex.write(None, |turn| {
            let tenant = turn.view().tenant()?.authorize::<FollowDirectory>()?;
            turn.stage(tenant.follow_directory(false))
        });
        opened.await.unwrap();
    })
    .await;
    assert_eq!(status(&world, "globex").await, "SUSPENDED");
    world.globex("admin").ask(VIEWER, json!({})).await.refused("UNAUTHENTICATED");
    change(&world.operator(), "resumeTenant", "globex").await.done();
    assert_eq!(status(&world, "globex").await, "ACTIVE");
    world.globex("admin").ask(VIEWER, json!({})).await.done();
    // So it was written: the organisation's record, then the directory's.
    world.stop().await;
    let disk = FileDisk::read_only(&world.data().join("journal")).unwrap();
    let mut records = vec![];
    let read = survey(&disk, &mut |replayed| {
        if let Replayed::Record { record, .. } = replayed {
            records.push(record.tenant);
        }
        Ok(())
    });
    read.unwrap();
    let [.., organisation, directory] = records[..] else { panic!("{records:?}") };
    assert!(organisation != PLATFORM && directory == PLATFORM);
    world.end().await;
}

/// In whatever order the two histories are written: where the directory says that it is served, it is.
#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_that_the_directory_calls_active_is_open() {
    let mut world = World::new().await;
    change(&world.operator(), "suspendTenant", "globex").await.done();
    let (operator, again) = (world.operator(), world.operator());
    for _ in 0..10 {
        let (resumed, suspended) =
            tokio::join!(change(&operator, "resumeTenant", "globex"), change(&again, "suspendTenant", "globex"));
        resumed.done();
        suspended.done();
        let open = world.globex("admin").ask(VIEWER, json!({})).await.code() == "ok";
        assert_eq!(status(&world, "globex").await == "ACTIVE", open);
    }
    // A resumption that comes again under its key opens nothing that was suspended since.
    let resume = "mutation($input: TenantInput!) { resumeTenant(input: $input) { userErrors { code } } }";
    let once = json!({ "input": { "slug": "globex", "idempotencyKey": "once" } });
    change(&operator, "suspendTenant", "globex").await.done();
    operator.ask(resume, once.clone()).await.done();
    change(&operator, "suspendTenant", "globex").await.done();
    operator.ask(resume, once).await.done();
    assert_eq!(status(&world, "globex").await, "SUSPENDED");
    world.globex("admin").ask(VIEWER, json!({})).await.refused("UNAUTHENTICATED");
    world.restart().await;
    world.globex("admin").ask(VIEWER, json!({})).await.refused("UNAUTHENTICATED");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_is_made_once_under_one_key() {
    let world = World::new().await;
    let operator = world.operator();
    let create = "mutation($input: CreateTenantInput!) {
        createTenant(input: $input) { tenant { slug createdAt } passwordPath userErrors { code } } }";
    let input = |slug: &str| {
        let email = "ada@initech.example";
        json!({ "input": { "slug": slug, "name": "Initech", "administratorName": "Ada", "administratorEmail": email,
            "idempotencyKey": "initech" } })
    };
    let before = keys(&world);
    let asked = (0..8).map(|_| operator.ask(create, input("initech")));
    let answers = futures_util::future::join_all(asked).await;
    let made = answers[0].at("/createTenant/tenant");
    assert!(answers.iter().all(|answer| answer.at("/createTenant/tenant") == made), "{answers:?}");
    assert_eq!(keys(&world), before + 1, "organisations were made that nobody can reach");
    operator.ask(create, input("initrode")).await.refused("IDEMPOTENCY_KEY_REUSED");

    // The newest link is good, once; then a repeat makes none.
    let path = operator.ask(create, input("initech")).await.text("/createTenant/passwordPath");
    let set = "mutation($input: SetPasswordInput!) { setPassword(input: $input) { email userErrors { code } } }";
    let token = path.rsplit('=').next().unwrap();
    let password = json!({ "input": { "token": token, "password": "correct horse battery staple" } });
    assert_eq!(world.stranger().ask(set, password).await.at("/setPassword/email"), "ada@initech.example");
    let again = operator.ask(create, input("initech")).await;
    assert_eq!(again.at("/createTenant"), json!({ "tenant": made, "passwordPath": null, "userErrors": [] }));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn source_nodes_and_keys_are_found_by_their_ids() {
    let world = World::new().await;
    let lists = "{ sourceNodes(first: 1) { nodes { id name } } apiKeys(first: 1) { nodes { id name } } }";
    let lists = world.admin().ask(lists, json!({})).await;
    let (node, key) = (lists.at("/sourceNodes/nodes/0"), lists.at("/apiKeys/nodes/0"));
    let find = "query($id: ID!) { node(id: $id) { id ... on SourceNode { name } ... on ApiKey { name } } }";
    let found = async |caller: Caller, of: &Value| caller.ask(find, json!({ "id": of["id"] })).await;
    assert_eq!(found(world.admin(), &node).await.at("/node"), node);
    assert_eq!(found(world.admin(), &key).await.at("/node"), key);
    assert_eq!(found(world.ann(), &node).await.at("/node"), node);
    // Keys are there for administrators only, and nothing is there for others.
    for (caller, of) in [(world.ann(), &key), (world.globex("admin"), &key), (world.globex("admin"), &node)] {
        found(caller, of).await.refused("NOT_FOUND");
    }
    world.end().await;
}
