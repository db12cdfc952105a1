//! Roles, the rules that give them and what they grant, changed through the API; and what one no longer sees then.

use super::{
    client::{Answer, Caller},
    situation::{Names, Stage, situate},
    world::World,
};
use serde_json::{Value, json};

pub async fn does(caller: &Caller, name: &str, input: Value, shown: &str) -> Answer {
    let kind = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
    let query = format!(
        "mutation($input: {kind}!) {{ {name}(input: $input) {{ {shown} userErrors {{ code message path }} cursor }} }}"
    );
    caller.ask(&query, json!({ "input": input })).await
}

pub async fn role(caller: &Caller, slug: &str) -> Value {
    let roles = caller.ask("{ roles(first: 100) { nodes { id slug revision audits } } }", json!({})).await;
    let roles = roles.at("/roles/nodes");
    let found = roles.as_array().unwrap().iter().find(|role| role["slug"] == slug).cloned();
    found.unwrap_or_else(|| panic!("no role {slug}"))
}

const GRANTS: &str = "{ grants(first: 100) { nodes { id itemType revision inheritsParent
    everyone { permissions fieldExceptions { field read write } }
    roles { role { id slug } permissions fieldExceptions { field read write } } } } }";

/// Lets `eve` read one project, by a role that nobody else has and a rule on that project alone; `fields` are the
/// fields that she reads differently. Answers the rule's id and how the grants stand.
pub async fn lets_eve_read(world: &World, names: &Names, exceptions: Value) -> (Value, Value) {
    let gm = world.acme("gm");
    let made = does(&gm, "createRole", json!({ "slug": "guest", "name": "Guest" }), "role { id }").await;
    let guest = made.at("/createRole/role/id");
    let defaults = gm.ask(GRANTS, json!({})).await.at("/grants/nodes/0");
    assert_eq!(defaults["itemType"], Value::Null);
    let same = |of: &Value| json!({ "permissions": of["permissions"], "fieldExceptions": of["fieldExceptions"] });
    let roles = defaults["roles"].as_array().unwrap().iter();
    let mut roles: Vec<_> = roles.map(|of| json!({ "roleId": of["role"]["id"], "may": same(of) })).collect();
    let may = json!({ "permissions": ["READ", "FIELD_READ"], "fieldExceptions": exceptions });
    roles.push(json!({ "roleId": guest, "may": may }));
    let input = json!({ "expectedRevision": defaults["revision"], "roles": roles });
    let set = does(&gm, "setGrants", input, "grants { id revision }").await.at("/setGrants/grants");
    let eve = world.user("eve").await;
    let input = json!({ "roleId": guest, "scope": { "item": names["project"] }, "actors": [{ "user": eve }] });
    let rule = does(&gm, "createAssignmentRule", input, "assignmentRule { id revision item { id } itemType }").await;
    assert_eq!(rule.at("/createAssignmentRule/assignmentRule/item/id"), names["project"]);
    (rule.at("/createAssignmentRule/assignmentRule/id"), set)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_made_given_changed_and_deleted_only_once_nothing_uses_it() {
    let world = World::new().await;
    let names = situate(&world, "acme", Stage::Project, 1).await;
    let (gm, eve) = (world.acme("gm"), world.eve());
    let project = names["project"].as_str().unwrap();
    assert_eq!(eve.item(project).await.code(), "NOT_FOUND");
    let (rule, _) = lets_eve_read(&world, &names, json!([])).await;
    assert_eq!(eve.item(project).await.at("/node/id"), names["project"]);

    let guest = role(&gm, "guest").await;
    let delete = json!({ "roleId": guest["id"], "expectedRevision": 1 });
    let refused = does(&gm, "deleteRole", delete.clone(), "deletedRoleId").await;
    assert_eq!(refused.code(), "ROLE_IN_USE");
    let said = refused.body["data"]["deleteRole"]["userErrors"][0]["message"].as_str().unwrap().to_owned();
    assert!(said.contains("1 rules give it, 1 sets of grants name it, 0 reviews"), "{said}");
    assert_eq!(role(&gm, "guest").await, guest, "a refused deletion changes nothing");

    let stale = json!({ "assignmentRuleId": rule, "expectedRevision": 7, "criteria": [] });
    assert_eq!(does(&gm, "updateAssignmentRule", stale, "assignmentRule { id }").await.code(), "REVISION_CONFLICT");
    let later = json!({ "assignmentRuleId": rule, "expectedRevision": 1, "criteria": [{ "item": "DELETED" }] });
    does(&gm, "updateAssignmentRule", later, "assignmentRule { id }").await.done();
    assert_eq!(eve.item(project).await.code(), "NOT_FOUND", "the criterion does not hold");
    let gone = json!({ "assignmentRuleId": rule, "expectedRevision": 2 });
    does(&gm, "deleteAssignmentRule", gone, "deletedAssignmentRuleId").await.done();

    let defaults = gm.ask(GRANTS, json!({})).await.at("/grants/nodes/0");
    let input = json!({ "expectedRevision": defaults["revision"], "roles": [] });
    does(&gm, "setGrants", input, "grants { id }").await.done();
    does(&gm, "deleteRole", delete, "deletedRoleId").await.done();
    let roles = gm.ask("{ roles(first: 100) { nodes { slug } } }", json!({})).await.at("/roles/nodes");
    assert!(!roles.as_array().unwrap().contains(&json!({ "slug": "guest" })));
    // Everyone's own change stands in the timeline, for those who manage and for auditors.
    let kinds = "{ timeline(first: 6) { nodes { kind } } }";
    let told = gm.ask(kinds, json!({})).await.at("/timeline/nodes");
    let wanted = ["ROLE_DELETED", "GRANTS_SET", "ASSIGNMENT_RULE_DELETED", "ASSIGNMENT_RULE_UPDATED"];
    let told: Vec<_> =
        told.as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told[..4], wanted);
    let told = world.eve().ask(kinds, json!({})).await.at("/timeline/nodes");
    assert!(!told.to_string().contains("ROLE"), "an outsider reads {told}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_gives_nobody_more_than_he_has() {
    let world = World::new().await;
    let (gm, admin) = (world.acme("gm"), world.admin());
    let refused = |answer: Answer| async move {
        assert_eq!(answer.code(), "FORBIDDEN", "{:#}", answer.body);
    };
    // Auditors read the timeline of people, which a governance manager does not.
    let auditor = role(&gm, "auditor").await;
    let (me, before) = (world.user("gm").await, world.position("acme").await);
    let audits = json!({ "slug": "spy", "name": "Spy", "audits": true });
    refused(does(&gm, "createRole", audits, "role { id }").await).await;
    let reader = role(&gm, "reader").await;
    let audits = json!({ "roleId": reader["id"], "expectedRevision": reader["revision"], "audits": true });
    refused(does(&gm, "updateRole", audits, "role { id }").await).await;
    let rule = |role: &Value| json!({ "roleId": role["id"], "scope": { "itemType": "GOVERNED_PROJECT" }, "actors": [{ "user": me }] });
    refused(does(&gm, "createAssignmentRule", rule(&auditor), "assignmentRule { id }").await).await;
    let user = json!({ "userId": me, "expectedRevision": 1, "standing": "ADMINISTRATOR" });
    refused(does(&gm, "updateUser", user, "user { id }").await).await;
    assert_eq!(world.position("acme").await, before, "a refusal left a trace");
    does(&gm, "createAssignmentRule", rule(&reader), "assignmentRule { id }").await.done();
    does(&admin, "createAssignmentRule", rule(&auditor), "assignmentRule { id }").await.done();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_with_its_path_and_changes_nothing() {
    let world = World::new().await;
    let gm = world.acme("gm");
    let reader = role(&gm, "reader").await["id"].clone();
    let before = world.position("acme").await;
    let rule = |actors: Value, criteria: Value| json!({ "roleId": reader, "scope": { "itemType": "GOVERNED_PROJECT" }, "actors": actors, "criteria": criteria });
    let told = |answer: Answer| {
        let error = answer.body["data"].as_object().unwrap().values().next().unwrap()["userErrors"][0].clone();
        format!("{} at {}", error["code"].as_str().unwrap(), error["path"])
    };
    let text = json!([{ "field": "description" }]);
    let answer = does(&gm, "createAssignmentRule", rule(text, json!([])), "assignmentRule { id }").await;
    assert!(told(answer).starts_with("WRONG_SHAPE at [\"actors\",\"0\""));
    let nobody = json!([{ "user": "bm90aGluZw" }]);
    let answer = does(&gm, "createAssignmentRule", rule(nobody, json!([])), "assignmentRule { id }").await;
    assert!(told(answer).starts_with("UNKNOWN_OBJECT at [\"actors\",\"0\""));
    let step = json!([{ "item": "EXISTS" }, { "activeStep": "nowhere" }]);
    let answer = does(&gm, "createAssignmentRule", rule(json!([]), step), "assignmentRule { id }").await;
    assert!(told(answer).starts_with("UNKNOWN_OBJECT at [\"criteria\",\"1\""));
    let circle = json!({ "itemType": "BUSINESS_INITIATIVE", "expectedRevision": 0,
        "inheritsTypes": ["BUSINESS_INITIATIVE"] });
    assert!(told(does(&gm, "setGrants", circle, "grants { id }").await).starts_with("INHERITANCE_CYCLE"));
    let stale = json!({ "itemType": "BUSINESS_INITIATIVE", "expectedRevision": 3 });
    assert!(told(does(&gm, "setGrants", stale, "grants { id }").await).starts_with("REVISION_CONFLICT"));
    let taken = json!({ "slug": "reader", "name": "Another reader" });
    assert!(told(does(&gm, "createRole", taken, "role { id }").await).starts_with("ALREADY_EXISTS"));
    assert_eq!(world.position("acme").await, before, "a refusal left a trace");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_one_may_not_read_is_nowhere_to_be_found() {
    let world = World::new().await;
    let names = situate(&world, "acme", Stage::Project, 1).await;
    let (ann, eve) = (world.ann(), world.eve());
    let project = names["project"].as_str().unwrap();
    let hidden = json!([{ "field": "description", "read": false, "write": false }]);
    lets_eve_read(&world, &names, hidden).await;
    let newest = ann.ask("{ timeline(first: 1) { nodes { cursor } } }", json!({})).await.at("/timeline/nodes/0/cursor");
    let events = "subscription($after: EventCursor) { events(after: $after) { node { kind attribute } } }";
    let mut heard = eve.subscribe(events, json!({ "after": newest })).await;
    for (revision, key) in ["description", "exploration_notes"].into_iter().enumerate() {
        let fields = json!([{ "key": key, "value": { "text": "The secret" } }]);
        let revision = names["projectRevision"].as_i64().unwrap() + i64::try_from(revision).unwrap();
        let input = json!({ "itemId": project, "expectedRevision": revision, "fields": fields });
        does(&ann, "updateItem", input, "item { revision }").await.done();
    }
    // The item, the timeline, the page of events and the subscription.
    let seen = eve.whole(project).await.to_string();
    assert!(seen.contains("exploration_notes") && !seen.contains("\"description\""), "{seen}");
    let asked = json!({ "id": project, "after": newest });
    for query in [
        "query($id: ID!) { timeline(itemId: $id, first: 100) { nodes { kind attribute } } }",
        "query($after: EventCursor!) { events(after: $after, first: 100) { nodes { kind attribute } } }",
    ] {
        let told = eve.ask(query, asked.clone()).await.done().body.to_string();
        assert!(told.contains("exploration_notes") && !told.contains("description"), "{told}");
    }
    let told = json!(heard.rest().await).to_string();
    assert!(told.contains("exploration_notes") && !told.contains("description"), "{told}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_finds_an_item_by_a_field_that_he_may_not_read() {
    let world = World::new().await;
    let names = situate(&world, "acme", Stage::Project, 1).await;
    let (ann, eve) = (world.ann(), world.eve());
    let project = names["project"].as_str().unwrap();
    lets_eve_read(&world, &names, json!([{ "field": "description", "read": false, "write": false }])).await;
    let fields = json!([
        { "key": "description", "value": { "text": "The secret" } },
        { "key": "exploration_notes", "value": { "text": "The notes" } },
    ]);
    let input = json!({ "itemId": project, "expectedRevision": names["projectRevision"], "fields": fields });
    does(&ann, "updateItem", input, "item { revision }").await.done();
    let is = |key: &str, value: &str| json!({ "field": { "key": key, "value": { "text": value } } });
    let (secret, notes) = (is("description", "The secret"), is("exploration_notes", "The notes"));
    let filters = [
        secret.clone(),
        notes.clone(),
        json!({ "not": secret }),
        json!({ "or": [secret, is("exploration_notes", "Others")] }),
        json!({ "and": [secret, notes] }),
    ];
    let query = "query($filter: GovernedItemFilter) { governedItems(first: 100, filter: $filter) {
        nodes { id } totalCount { count } } }";
    let mut found = vec![];
    for filter in &filters {
        for caller in [&ann, &eve] {
            let answer = caller.ask(query, json!({ "filter": filter })).await;
            let is_there = answer.at("/governedItems/nodes").as_array().unwrap().contains(&json!({ "id": project }));
            let total = answer.number("/governedItems/totalCount/count");
            assert_eq!(total as usize, answer.at("/governedItems/nodes").as_array().unwrap().len());
            found.push(is_there);
        }
    }
    // To whom the field is hidden it has no value: what asks for one finds nothing, and the opposite everything.
    assert_eq!(found, [[true, false], [true, true], [false, true], [true, false], [true, false]].concat());
    let template = "query($id: ID!) { node(id: $id) { ... on GovernedItem { template { fields { key } steps { fields requiredFields } } } } }";
    let told = eve.ask(template, json!({ "id": project })).await;
    let told = told.at("/node/template").to_string();
    assert!(!told.contains("description"), "{told}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_subscription_falls_silent_with_the_rule_that_let_it_hear() {
    let world = World::new().await;
    let names = situate(&world, "acme", Stage::Project, 1).await;
    let (gm, ann, eve) = (world.acme("gm"), world.ann(), world.eve());
    let (rule, _) = lets_eve_read(&world, &names, json!([])).await;
    let mut heard = eve.subscribe("subscription { events { node { kind } } }", json!({})).await;
    let rename = |revision: i64| {
        let revision = names["projectRevision"].as_i64().unwrap() + revision;
        let name = format!("Name {revision}");
        does(
            &ann,
            "updateItem",
            json!({ "itemId": names["project"], "expectedRevision": revision, "name": name }),
            "item { id }",
        )
    };
    rename(0).await.done();
    assert_eq!(heard.rest().await.len(), 1);
    let gone = json!({ "assignmentRuleId": rule, "expectedRevision": 1 });
    does(&gm, "deleteAssignmentRule", gone, "deletedAssignmentRuleId").await.done();
    rename(1).await.done();
    assert_eq!(heard.rest().await, Vec::<Value>::new());
    assert_eq!(eve.item(names["project"].as_str().unwrap()).await.code(), "NOT_FOUND");
    world.end().await;
}
