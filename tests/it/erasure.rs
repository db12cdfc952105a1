//! What was erased stays erased: a backup from before an erasure does not bring the organisation back.
//! Through the real binary; never looks into the store but for what the directory says.

use super::{
    client::{Answer, Caller},
    command::{back_up, restore},
    machine::{CountedIds, machine},
    tenant::{VIEWER, change},
    world::{World, copy},
};
use countersign::{
    app::{PLATFORM, founder},
    domain::{
        id::TenantId,
        tenant::{TenantEntry, TenantStatus},
    },
    store::{Store, check},
};
use serde_json::json;
use std::path::Path;

/// The organisation of this short name in the directory of a stopped server, and what the directory says of it.
async fn entry(world: &World, data: &Path, slug: &str) -> (TenantId, TenantStatus) {
    let store = Store::open(data, &machine(&world.clock, CountedIds::from(9_000_000))).unwrap();
    let platform = store.of(&founder(PLATFORM)).read().await.unwrap();
    let entry = platform.view().all::<TenantEntry>().find(|entry| entry.slug.as_str() == slug).unwrap();
    let found = (entry.id, entry.status);
    drop(platform);
    tokio::task::spawn_blocking(move || store.close()).await.unwrap();
    found
}

/// Reports with the key of a node, which outlives a restore; sessions do not.
async fn report(server: &World, node: &Caller) -> Answer {
    let node = server.with_credential("a node", node.credential.as_deref());
    node.sync(json!([{ "kind": "PROJECT", "key": "AFTER", "name": "After" }])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_from_before_an_erasure_does_not_bring_the_organisation_back() {
    let mut world = World::new().await;
    let (globex, acme) = (world.globex("design-1-sync"), world.design_1());
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let (data, backup, keys) = (world.data(), at("backup"), at("keys"));
    let (code, said) = back_up(&data, &backup, &keys).await;
    assert_eq!(code, 0, "{said}");
    copy(&backup, &at("older"));
    copy(&keys, &at("older-keys"));

    change(&world.operator(), "suspendTenant", "globex").await.done();
    change(&world.operator(), "eraseTenant", "globex").await.done();
    world.globex("admin").ask(VIEWER, json!({})).await.refused("UNAUTHENTICATED");
    world.stop().await;
    let (tenant, status) = entry(&world, &data, "globex").await;
    assert_eq!(status, TenantStatus::Erased);
    // The next backup brings the erasure to the keys that the older one needs.
    let (code, said) = back_up(&data, &backup, &keys).await;
    assert_eq!(code, 0, "{said}");
    let (key, mark) = (format!("{tenant}.key"), format!("{tenant}.erased"));
    assert!(at("older-keys").join(&key).exists() && !keys.join(&key).exists() && keys.join(&mark).exists());

    // With these keys, with the server's own, and with ones that hold the key again beside the mark.
    copy(&keys, &at("both"));
    std::fs::copy(at("older-keys").join(&key), at("both").join(&key)).unwrap();
    for (round, newer) in [keys.clone(), data.join("keys"), at("both")].into_iter().enumerate() {
        let place = tempfile::tempdir().unwrap();
        let restored = place.path().join("data");
        let (code, said) = restore(&at("older"), &newer, &restored).await;
        assert_eq!(code, 0, "round {round}: {said}");
        assert!(said.contains(&format!("{tenant} was erased after that, and stays erased")), "round {round}: {said}");
        assert!(!restored.join("keys").join(&key).exists() && restored.join("keys").join(&mark).exists());
        assert_eq!(check(&restored).unwrap().problems, Vec::<String>::new());
        assert_eq!(entry(&world, &restored, "globex").await, (tenant, TenantStatus::Erased), "round {round}");
        assert_eq!(entry(&world, &restored, "acme").await.1, TenantStatus::Active);
        let again = World::over(place).await;
        report(&again, &globex).await.refused("UNAUTHENTICATED");
        report(&again, &acme).await.done();
        again.end().await;
    }

    // Keys from before the erasure open it, as the handbook says; then no backup undoes the mark that is elsewhere.
    let restored = at("restored");
    assert_eq!(restore(&at("older"), &at("older-keys"), &restored).await.0, 0);
    assert_eq!(entry(&world, &restored, "globex").await.1, TenantStatus::Active);
    let (code, said) = back_up(&restored, &at("another"), &keys).await;
    assert!(code == 1 && said.contains(&format!("says that the organisation {tenant} was erased")), "{said}");
    assert!(keys.join(&mark).exists() && !keys.join(&key).exists());
}
