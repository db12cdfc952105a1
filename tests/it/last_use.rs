//! When an API key was last used, to the hour: over restarts, and where it is lost.

use super::{client::Caller, world::World};
use serde_json::{Value, json};

const VIEWER: &str = "{ viewer { tenant { slug } } }";

/// When the key of a node with the scope SYNC was last used, as the administrator sees it.
async fn last_use(admin: &Caller, node: &str) -> Value {
    let query = "{ apiKeys(first: 100) { nodes { lastUsedAt node { slug } scopes } } }";
    let keys = admin.ask(query, json!({})).await.at("/apiKeys/nodes");
    let sync = |key: &&Value| key["node"]["slug"] == node && key["scopes"].as_array().unwrap().contains(&json!("SYNC"));
    keys.as_array().unwrap().iter().find(sync).unwrap()["lastUsedAt"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hour_of_a_keys_last_use_is_shown_and_outlives_a_restart() {
    let mut world = World::new().await;
    assert_eq!(last_use(&world.admin(), "design-1").await, Value::Null);
    world.clock.advance(25 * 60);
    world.design_1().ask(VIEWER, json!({})).await.done();
    assert_eq!(last_use(&world.admin(), "design-1").await, "2026-03-02T08:00:00.000Z");
    // Neither another key of the same name nor one that was not accepted.
    assert_eq!(last_use(&world.admin(), "auto-1").await, Value::Null);
    assert_eq!(last_use(&world.globex("admin"), "design-1").await, Value::Null);
    let (name, position) = ("a wrong secret", world.position("acme").await);
    let sound = world.auto_1().credential.unwrap();
    let wrong = sound.split_once('.').map(|(id, secret)| format!("{id}.{}", secret.chars().rev().collect::<String>()));
    world.with_credential(name, wrong.as_deref()).ask(VIEWER, json!({})).await.refused("UNAUTHENTICATED");
    assert_eq!(last_use(&world.admin(), "auto-1").await, Value::Null);
    world.clock.advance(34 * 60);
    world.design_1().ask(VIEWER, json!({})).await.done();
    assert_eq!(last_use(&world.admin(), "design-1").await, "2026-03-02T08:00:00.000Z");
    world.clock.advance(60);
    world.design_1().ask(VIEWER, json!({})).await.done();
    assert_eq!(last_use(&world.admin(), "design-1").await, "2026-03-02T09:00:00.000Z");
    assert_eq!(world.position("acme").await, position, "a use stands in the journal");

    world.restart().await;
    assert_eq!(last_use(&world.admin(), "design-1").await, "2026-03-02T09:00:00.000Z");
    assert_eq!(last_use(&world.admin(), "auto-1").await, Value::Null);
    // A clock that was set back takes nothing back.
    world.clock.advance(60 * 60);
    world.design_1().ask(VIEWER, json!({})).await.done();
    world.clock.advance(-60 * 60);
    world.design_1().ask(VIEWER, json!({})).await.done();
    assert_eq!(last_use(&world.admin(), "design-1").await, "2026-03-02T10:00:00.000Z");
    world.restart_without_index().await;
    assert_eq!(last_use(&world.admin(), "design-1").await, Value::Null);
    world.design_1().ask(VIEWER, json!({})).await.done();
    assert_eq!(last_use(&world.admin(), "design-1").await, "2026-03-02T09:00:00.000Z");
    world.end().await;
}
