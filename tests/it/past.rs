//! Who is told what through a cursor: only what she may read now and might read when it happened.
//! Never waits for silence: each story ends with an event that everyone in it may read.

use super::{client::Caller, world::World};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::time::Duration;

const LISTEN: &str = "subscription($after: EventCursor) { events(after: $after) { cursor node { kind number } } }";

/// The number of the commit that a cursor stands in.
fn commit_of(cursor: &str) -> u64 {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).unwrap();
    u64::from_be_bytes(bytes[16..24].try_into().unwrap())
}

/// What is heard behind a cursor, up to the step that ends the story.
async fn heard(caller: &Caller, after: &str) -> Vec<(String, u64)> {
    let mut listening = caller.subscribe(LISTEN, json!({ "after": after })).await;
    let mut heard = vec![];
    loop {
        let edge = listening.next(Duration::from_secs(60)).await.expect("the story goes on");
        let kind = edge["node"]["kind"].as_str().unwrap().to_owned();
        heard.push((kind.clone(), edge["node"]["number"].as_u64().unwrap()));
        if kind == "STEP_STARTED" {
            return heard;
        }
    }
}

/// A project of which Eve, who has no role, is told in two stretches.
struct Story<'w> {
    world: &'w World,
    item: String,
    revision: i64,
}

impl Story<'_> {
    /// Renames the project; answers the number of the commit.
    async fn rename(&mut self) -> u64 {
        let name = format!("Churn {}", self.revision);
        let input = json!({ "itemId": self.item, "expectedRevision": self.revision, "name": name });
        self.revision += 1;
        commit_of(&self.world.ann().update_item(input).await.text("/updateItem/cursor"))
    }

    /// Has Eve read all projects; answers the rule that says so.
    async fn grant(&self) -> String {
        let roles = "{ roles(first: 100) { nodes { id slug } } }";
        let roles = self.world.admin().ask(roles, json!({})).await.at("/roles/nodes");
        let reader = roles.as_array().unwrap().iter().find(|role| role["slug"] == "reader").unwrap();
        let query = "mutation($input: CreateAssignmentRuleInput!) {
            createAssignmentRule(input: $input) { assignmentRule { id } userErrors { code message } } }";
        let eve = json!([{ "user": self.world.user("eve").await }]);
        let input = json!({ "roleId": reader["id"], "scope": { "itemType": "GOVERNED_PROJECT" }, "actors": eve });
        self.world.admin().ask(query, json!({ "input": input })).await.text("/createAssignmentRule/assignmentRule/id")
    }

    async fn revoke(&self, rule: &str) {
        let query = "mutation($input: DeleteAssignmentRuleInput!) {
            deleteAssignmentRule(input: $input) { userErrors { code message } } }";
        let input = json!({ "assignmentRuleId": rule, "expectedRevision": 1 });
        self.world.admin().ask(query, json!({ "input": input })).await.done();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_given_a_right_later_is_not_told_what_was_before() {
    let mut world = World::new().await;
    let template = world.template("GOVERNED_PROJECT").await;
    let after = world.ann().create_project(&template, "Before").await.text("/createGovernedProject/cursor");
    let mut live = world.eve().subscribe(LISTEN, json!({})).await;
    let item = world.ann().create_project(&template, "Churn").await.text("/createGovernedProject/item/id");
    let mut story = Story { world: &world, item: item.clone(), revision: 1 };
    let first = story.rename().await;
    let rule = story.grant().await;
    let second = story.rename().await;
    story.revoke(&rule).await;
    let third = story.rename().await;
    story.grant().await;
    let fourth = story.rename().await;
    let step = world.ann().step("startStep", &item, "exploration").await.text("/startStep/cursor");
    let renamed = |number: u64| ("ITEM_RENAMED".to_owned(), number);
    let end = ("STEP_STARTED".to_owned(), commit_of(&step));
    let told = vec![renamed(second), renamed(fourth), end.clone()];
    let mut heard_live = vec![];
    while heard_live.len() < told.len() {
        let edge = live.next(Duration::from_secs(60)).await.expect("what she may read");
        heard_live.push((edge["node"]["kind"].as_str().unwrap().to_owned(), edge["node"]["number"].as_u64().unwrap()));
    }
    assert_eq!(heard_live, told);

    // While all of it is in memory, read anew from the journal, and when the index too was made anew.
    for round in 0..3 {
        let eve = heard(&world.eve(), &after).await;
        assert_eq!(eve, told, "round {round}");
        let ann = heard(&world.ann(), &after).await;
        let renames: Vec<_> =
            ann.iter().filter(|(kind, _)| kind == "ITEM_RENAMED").map(|(_, number)| *number).collect();
        assert_eq!(renames, [first, second, third, fourth], "round {round}");
        assert!(ann.iter().any(|(kind, _)| kind == "ITEM_CREATED"), "{ann:?}");
        // The timeline of what she may read now is whole.
        let timeline = "query($id: ID!) { node(id: $id) { ... on GovernedItem {
            timeline(first: 100) { nodes { kind } } } } }";
        let timeline = world.eve().ask(timeline, json!({ "id": item })).await.at("/node/timeline/nodes");
        let renames = timeline.as_array().unwrap().iter().filter(|node: &&Value| node["kind"] == "ITEM_RENAMED");
        assert_eq!(renames.count(), 4);
        match round {
            0 => world.restart().await,
            _ => world.restart_without_index().await,
        }
    }
    world.end().await;
}

/// Commits that share a group are shown as one version: each event is asked of its own.
#[tokio::test(flavor = "multi_thread")]
async fn under_load_everything_is_told_once_and_in_order() {
    let world = World::new().await;
    let template = world.template("GOVERNED_PROJECT").await;
    let after = world.ann().create_project(&template, "Before").await.text("/createGovernedProject/cursor");
    let ann = world.ann();
    let making = async {
        for _ in 0..5 {
            let names: Vec<_> = (0..40).map(|n| format!("Project {n}")).collect();
            let made = names.iter().map(|name| ann.create_project(&template, name));
            futures_util::future::join_all(made).await.iter().for_each(|made| {
                made.done();
            });
        }
        let last = ann.create_project(&template, "Last").await.text("/createGovernedProject/item/id");
        ann.step("startStep", &last, "exploration").await.done();
    };
    let (listener, again) = (world.aud(), world.aud());
    let ((), live) = tokio::join!(making, heard(&listener, &after));
    assert!(live.is_sorted_by_key(|(_, number)| *number));
    assert_eq!(live.iter().filter(|(kind, _)| kind == "ITEM_CREATED").count(), 201);
    assert_eq!(heard(&again, &after).await, live);
    world.end().await;
}
