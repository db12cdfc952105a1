//! Two organisations with equal names, and equal ids: each finds and changes its own.

use super::{
    client::Caller,
    situation::{Stage, situate},
    world::World,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What an organisation's administrator finds under each id, and what happened to it.
async fn found(admin: &Caller, ids: &BTreeSet<String>) -> BTreeMap<String, String> {
    let timeline = "nodes { action kind name number item { id name } }";
    let query = format!(
        "query($id: ID!) {{ timeline(first: 50, subjectId: $id) {{ {timeline} }}
        node(id: $id) {{ __typename ... on GovernedItem {{ name revision timeline(first: 50) {{ {timeline} }} }}
            ... on SourceObject {{ name key item {{ name }} }} ... on Deployment {{ name status sourceObject {{ key }} }}
            ... on SignOff {{ status item {{ name }} }} }} }}"
    );
    let mut found = BTreeMap::new();
    for id in ids {
        found.insert(id.clone(), admin.ask(&query, json!({ "id": id })).await.body.to_string());
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_two_organisations_have_means_ones_own() {
    let world = World::new().await;
    let admins = [world.admin(), world.globex("admin")];
    world.count_ids_from(5_000_000);
    let ours = situate(&world, "acme", Stage::Deployment, 1).await;
    world.count_ids_from(5_000_000);
    let theirs = situate(&world, "globex", Stage::Deployment, 2).await;
    let shared = ours.iter().filter(|(name, id)| theirs.get(*name) == Some(id)).map(|(_, id)| id);
    let shared: BTreeSet<String> = shared.filter_map(Value::as_str).map(str::to_owned).collect();
    let of_ours = found(&admins[0], &shared).await;
    let of_theirs = found(&admins[1], &shared).await;
    let apart = shared.iter().filter(|id| of_ours[*id] != of_theirs[*id]).count();
    assert!(apart >= 5, "only {apart} of {} shared ids: {of_ours:#?} {of_theirs:#?}", shared.len());

    // What one does to an id happens to its own, and leaves the other's journal as it was.
    let position = world.position("globex").await;
    let deployment = json!({ "input": { "deploymentId": ours["deployment"] } });
    let disable =
        "mutation($input: DisableDeploymentInput!) { disableDeployment(input: $input) { userErrors { code } } }";
    world.dep().ask(disable, deployment).await.done();
    let revision = ours["projectRevision"].as_i64().unwrap();
    world.ann().delete_item(ours["project"].as_str().unwrap(), "UNGOVERN_CHILDREN", revision).await.done();
    assert_ne!(found(&admins[0], &shared).await, of_ours);
    assert_eq!(found(&admins[1], &shared).await, of_theirs);
    assert_eq!(world.position("globex").await, position);
    world.end().await;
}
