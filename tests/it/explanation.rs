//! `explainAccess`: what it says is what the API then does, of every row of the policy matrix; it names what decided,
//! and nothing that the asker may not see.

use super::{
    access::question,
    client::{Answer, Caller},
    introspection::{Introspection, Root, list, text},
    permission::{does, lets_eve_read, role},
    situation::{Stage, situate},
    world::World,
};
use serde_json::{Value, json};

const QUERY: &str = "query($actorId: ID, $action: AccessAction!, $objectId: ID, $field: String) {
    explainAccess(actorId: $actorId, action: $action, objectId: $objectId, field: $field) {
        allowed reason needs rights { permission field granted } grants { id }
        grounds { everyone role { slug } rule { id } namedAs group { name } field inheritedFromType
            inheritedFrom { name } withheld gives } } }";

async fn explain(asker: &Caller, actor: Option<&str>, action: &str, object: Option<&Value>) -> Answer {
    asker.ask(QUERY, json!({ "actorId": actor, "action": action, "objectId": object })).await
}

/// The codes by which an operation says that somebody may not; every other one says that something does not fit.
const DENIALS: [&str; 7] = [
    "UNAUTHENTICATED",
    "NOT_FOUND",
    "FORBIDDEN",
    "NOT_A_REVIEWER",
    "NOT_AN_APPROVER",
    "NOT_THE_AUTHOR",
    "KEYS_DO_NOT_REVIEW",
];

/// Which argument names the object that an action is done to.
const OBJECTS: [&str; 10] = [
    "itemId",
    "signOffId",
    "deploymentId",
    "infrastructureId",
    "sourceObjectId",
    "apiKeyId",
    "sessionId",
    "assignmentRuleId",
    "grantsId",
    "groupId",
];

/// An action under the name that `explainAccess` has for it.
fn action_of(operation: &str) -> String {
    let name = if operation == "deleteUsers" { "updateUsers" } else { operation };
    let shouted = |letter: char| {
        if letter.is_uppercase() { format!("_{letter}") } else { letter.to_ascii_uppercase().to_string() }
    };
    name.chars().map(shouted).collect()
}

/// The actions that can be asked about.
fn actions(schema: &Introspection) -> Vec<&str> {
    list(&schema.named("AccessAction")["enumValues"]).iter().map(|value| text(&value["name"])).collect()
}

/// The id of a caller of Acme: a person's, or that of a fixture's key.
async fn actor(world: &World, caller: &Caller) -> String {
    let name = match caller.name {
        "design-1-sync" => "Sync of design-1",
        "deployer" => "Deployer",
        person => return world.user(person).await,
    };
    let keys = world.admin().ask("{ apiKeys(first: 100) { nodes { id name } } }", json!({})).await.at("/apiKeys/nodes");
    let found = keys.as_array().unwrap().iter().find(|key| key["name"] == name).cloned();
    found.unwrap_or_else(|| panic!("no key {name}"))["id"].as_str().unwrap().to_owned()
}

/// What an administrator is told, before a mutation is sent, of whether its sender may; none where the mutation is
/// nothing that one can ask about.
pub async fn foretold(
    world: &World,
    schema: &Introspection,
    caller: &Caller,
    operation: &str,
    input: &Value,
) -> Option<bool> {
    let action = action_of(operation);
    if !actions(schema).contains(&action.as_str()) {
        return None;
    }
    let actor = actor(world, caller).await;
    let on_user = ["updateUser", "impersonate", "createPasswordLink", "endAllSessions"].contains(&operation);
    let named = if on_user { input.get("userId") } else { OBJECTS.iter().find_map(|key| input.get(*key)) };
    let on_role = if ["updateRole", "deleteRole"].contains(&operation) { input.get("roleId") } else { None };
    let field = if operation == "updateItem" { input["fields"][0]["key"].clone() } else { Value::Null };
    let asked = json!({ "actorId": actor, "action": action, "objectId": named.or(on_role), "field": field });
    Some(world.admin().ask(QUERY, asked).await.at("/explainAccess/allowed").as_bool().unwrap())
}

/// Whether what was foretold is what happened.
pub fn came_true(foretold: bool, outcome: &str) -> bool {
    foretold != DENIALS.contains(&outcome)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_may_read_is_what_one_is_told() {
    let world = World::new().await;
    let schema = Introspection::of(&world.ann()).await;
    let names = situate(&world, "acme", Stage::Deployment, 1).await;
    let objects = [
        ("READ_ITEM", "project"),
        ("READ_ITEM", "bundle"),
        ("READ_ITEM", "initiative"),
        ("READ_SIGN_OFF", "signOff"),
        ("READ_SOURCE_OBJECT", "source"),
        ("READ_SOURCE_OBJECT", "inbox"),
        ("READ_INFRASTRUCTURE", "dev"),
        ("READ_DEPLOYMENT", "deployment"),
        ("READ_TEMPLATE", "projectTemplate"),
        ("READ_USER", "bea"),
    ];
    let callers = ["eve", "design-1-sync", "deployer", "rita", "aud", "dep", "bea", "fin", "con", "ann", "gm", "admin"];
    let mut reasons = std::collections::BTreeSet::new();
    for caller in callers.map(|name| world.acme(name)) {
        let actor = actor(&world, &caller).await;
        for (action, object) in objects {
            let told = explain(&world.admin(), Some(&actor), action, Some(&names[object])).await;
            let variables = json!({ "id": names[object] });
            let answer = caller.ask(&question(&schema, Root::Query, "node", &variables), variables).await;
            let allowed = told.at("/explainAccess/allowed").as_bool().unwrap();
            assert!(
                came_true(allowed, &answer.code()),
                "{} {action} {object}: {:#} and {:#}",
                caller.name,
                told.body,
                answer.body
            );
            reasons.insert(told.text("/explainAccess/reason"));
            // Whoever may is told the same of herself.
            if allowed && (caller.name != "design-1-sync" || object != "bea") {
                let herself = explain(&caller, None, action, Some(&names[object])).await;
                assert_eq!(herself.at("/explainAccess/reason"), told.at("/explainAccess/reason"), "{}", caller.name);
            }
        }
    }
    let wanted = ["GRANT", "NOT_READABLE", "ROLES", "SCOPE", "SIGNED_IN", "STANDING"];
    assert_eq!(reasons.iter().map(String::as_str).collect::<Vec<_>>(), wanted);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_names_the_rule_the_role_and_the_grants_to_whoever_may_read_them() {
    let world = World::new().await;
    let names = situate(&world, "acme", Stage::Project, 1).await;
    let (gm, eve) = (world.acme("gm"), world.eve());
    let (id, project) = (world.user("eve").await, &names["project"]);
    let before = explain(&gm, Some(&id), "READ_ITEM", Some(project)).await.at("/explainAccess");
    assert_eq!((&before["allowed"], &before["reason"]), (&json!(false), &json!("NOT_READABLE")));
    assert_eq!(before["rights"], json!([{ "permission": "READ", "field": null, "granted": false }]));
    let (rule, grants) = lets_eve_read(&world, &names, json!([])).await;

    let told = explain(&gm, Some(&id), "READ_ITEM", Some(project)).await.at("/explainAccess");
    assert_eq!((&told["allowed"], &told["reason"]), (&json!(true), &json!("ROLES")));
    assert_eq!(told["grants"]["id"], grants["id"]);
    let by_role = told["grounds"].as_array().unwrap().iter().find(|ground| !ground["rule"].is_null()).unwrap().clone();
    let wanted = json!({ "everyone": false, "role": { "slug": "guest" }, "rule": { "id": rule }, "namedAs": "USER",
        "group": null, "field": null, "inheritedFromType": null, "inheritedFrom": null, "withheld": false, "gives": ["READ"] });
    assert_eq!(by_role, wanted);

    // Of herself she learns what decided, and not what roles and rules there are.
    let own = explain(&eve, None, "READ_ITEM", Some(project)).await.at("/explainAccess");
    assert_eq!((&own["allowed"], &own["reason"], &own["grants"]), (&told["allowed"], &told["reason"], &Value::Null));
    let wanted = json!({ "everyone": false, "role": null, "rule": null, "namedAs": "USER", "group": null, "field": null,
        "inheritedFromType": null, "inheritedFrom": null, "withheld": true, "gives": ["READ"] });
    assert!(own["grounds"].as_array().unwrap().contains(&wanted), "{own:#}");
    let write = explain(&eve, None, "UPDATE_ITEM", Some(project)).await.at("/explainAccess");
    assert_eq!((&write["reason"], &write["needs"]), (&json!("RIGHT_MISSING"), &json!("WRITE")));

    // About somebody else she may not ask, and what she may not read is nowhere.
    explain(&eve, Some(names["bea"].as_str().unwrap()), "READ_ITEM", Some(project)).await.refused("FORBIDDEN");
    for nowhere in [&names["initiative"], &names["inbox"], &json!("nonsense")] {
        let answer = explain(&eve, None, "READ_ITEM", Some(nowhere)).await;
        assert_eq!(answer.refused("NOT_FOUND").body, explain(&eve, None, "READ_ITEM", None).await.body);
    }
    explain(&gm, Some(names["project"].as_str().unwrap()), "READ_ITEM", Some(project)).await.refused("NOT_FOUND");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_by_which_field_group_and_parent_and_what_is_missing() {
    let world = World::new().await;
    let names = situate(&world, "acme", Stage::Asked, 1).await;
    let admin = world.admin();
    let ask = |user: &'static str, action: &'static str, object: &'static str| {
        let (admin, names, user) = (&admin, &names, world.user(user));
        async move { explain(admin, Some(&user.await), action, Some(&names[object])).await.at("/explainAccess") }
    };
    let grounds = |told: &Value| told["grounds"].as_array().unwrap().clone();
    let bea = ask("bea", "READ_ITEM", "bundle").await;
    let inherited = grounds(&bea).into_iter().find(|ground| ground["namedAs"] == "FIELD").unwrap();
    assert_eq!(inherited["field"], "reviewers_business");
    assert_eq!(inherited["inheritedFrom"]["name"], "Project 1");
    let rita = ask("rita", "UPDATE_ITEM", "project").await;
    assert_eq!(
        (&rita["allowed"], &rita["reason"], &rita["needs"]),
        (&json!(false), &json!("RIGHT_MISSING"), &json!("WRITE"))
    );
    let reads = grounds(&rita).into_iter().find(|ground| ground["role"]["slug"] == "reader").unwrap();
    assert_eq!((&reads["group"]["name"], &reads["gives"]), (&json!("Readers"), &json!([])));
    assert_eq!(ask("bea", "SUBMIT_FEEDBACK", "signOff").await["reason"], "MEMBERSHIP");
    assert_eq!(ask("bea", "DECIDE", "signOff").await["reason"], "NOT_A_MEMBER");
    assert_eq!(ask("gm", "DECIDE", "signOff").await["reason"], "NOT_A_MEMBER");
    assert_eq!(ask("dep", "UPDATE_INFRASTRUCTURE", "dev").await["reason"], "RIGHT_MISSING");
    let deploys = ask("dep", "CREATE_DEPLOYMENT", "dev").await;
    assert_eq!((&deploys["reason"], &deploys["grounds"][0]["group"]["name"]), (&json!("GRANT"), &json!("Deployers")));
    // Changing who gains a role by a field needs ASSIGN, which contributors do not have.
    for (user, assigns) in [("con", false), ("ann", true)] {
        let asked = json!({ "actorId": world.user(user).await, "action": "UPDATE_ITEM", "objectId": names["project"],
            "field": "reviewers_business" });
        let told = admin.ask(QUERY, asked).await.at("/explainAccess");
        let right = told["rights"].as_array().unwrap().iter().find(|right| right["permission"] == "ASSIGN").cloned();
        assert_eq!(right.unwrap()["granted"], assigns, "{user}: {told:#}");
        assert_eq!(told["allowed"], assigns, "{user}: {told:#}");
    }
    let asked = json!({ "action": "DELETE_ITEM", "objectId": names["project"], "field": "description" });
    admin.ask(QUERY, asked).await.refused("BAD_REQUEST");
    let disable = "mutation($input: UpdateUserInput!) { updateUser(input: $input) { userErrors { code } } }";
    let id = world.user("rita").await;
    admin.ask(disable, json!({ "input": { "userId": id, "expectedRevision": 1, "active": false } })).await.done();
    assert_eq!(ask("rita", "READ_ITEM", "project").await["reason"], "ACTOR_ENDED");
    world.end().await;
}

const MATRIX: &str = "query($first: Int, $after: String) { authorizationMatrix(first: $first, after: $after) {
    pageInfo { hasNextPage endCursor } totalCount { count }
    nodes { user { id name } group { name } standing onTypes { itemType permissions conditional { id }
        grounds { everyone role { slug } namedAs group { name } gives } } } } }";

/// What a row of the matrix says of a type.
fn of_type<'r>(row: &'r Value, item_type: &str) -> &'r Value {
    list(&row["onTypes"]).iter().find(|of| of["itemType"] == item_type).unwrap()
}

fn includes(permissions: &Value, wanted: &str) -> bool {
    list(permissions).contains(&json!(wanted))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_says_of_everyone_what_is_then_done() {
    let world = World::new().await;
    let (gm, admin) = (world.acme("gm"), world.admin());
    let names = situate(&world, "acme", Stage::Project, 1).await;
    world.eve().ask(MATRIX, json!({})).await.refused("FORBIDDEN");
    let whole = gm.ask(MATRIX, json!({ "first": 100 })).await.at("/authorizationMatrix/nodes");
    // Pages make up the whole, people first.
    let (mut paged, mut after) = (vec![], Value::Null);
    loop {
        let page = gm.ask(MATRIX, json!({ "first": 3, "after": after })).await.at("/authorizationMatrix");
        assert_eq!(page["totalCount"]["count"], list(&whole).len());
        paged.extend(list(&page["nodes"]).to_vec());
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(json!(paged), whole);
    // What is said of all items of a type is so of each, and of making one.
    let types = [("GOVERNED_PROJECT", "project"), ("BUSINESS_INITIATIVE", "initiative")];
    let mut readers = 0;
    for row in paged.iter().filter(|row| !row["user"].is_null()) {
        let user = row["user"]["id"].as_str().unwrap();
        for (item_type, object) in types {
            let may = &of_type(row, item_type)["permissions"];
            let creates = includes(may, "ADMIN") || (includes(may, "CREATE") && includes(may, "FIELD_WRITE"));
            let told = explain(&admin, Some(user), &format!("CREATE_{item_type}"), None).await;
            assert_eq!(told.at("/explainAccess/allowed"), creates, "{} makes {item_type}", row["user"]["name"]);
            for (permission, action) in [("READ", "READ_ITEM"), ("WRITE", "UPDATE_ITEM"), ("DELETE", "DELETE_ITEM")] {
                if includes(may, permission) {
                    readers += 1;
                    let told = explain(&admin, Some(user), action, Some(&names[object])).await;
                    assert_eq!(told.at("/explainAccess/allowed"), true, "{} {action}", row["user"]["name"]);
                }
            }
        }
    }
    assert!(readers > 20, "the matrix says too little: {readers}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_names_roles_groups_within_groups_and_conditions() {
    let world = World::new().await;
    let (gm, admin) = (world.acme("gm"), world.admin());
    let row = |named: &'static str| {
        let gm = gm.clone();
        async move {
            let rows = gm.ask(MATRIX, json!({ "first": 100 })).await.at("/authorizationMatrix/nodes");
            let called = |row: &&Value| row["user"]["name"] == named || row["group"]["name"] == named;
            list(&rows).iter().find(called).unwrap_or_else(|| panic!("no row of {named}")).clone()
        }
    };
    let project = |row: &Value| of_type(row, "GOVERNED_PROJECT").clone();
    let reads = json!({ "everyone": false, "role": { "slug": "reader" }, "namedAs": "GROUP",
        "group": { "name": "Readers" }, "gives": ["READ", "FIELD_READ"] });
    for named in ["Rita Reader", "Readers"] {
        let told = project(&row(named).await);
        assert!(list(&told["grounds"]).contains(&reads), "{named}: {told:#}");
    }
    assert_eq!(row("Gus Governance").await["standing"], "GOVERNANCE_MANAGER");
    assert!(includes(&project(&row("Gus Governance").await)["permissions"], "ADMIN"));
    assert_eq!(project(&row("Eve Outsider").await)["conditional"], json!([]));

    // A group that lies in another has what is given to that one, and a rule with criteria is a condition.
    let readers = admin.ask("{ groups(first: 100) { nodes { id name } } }", json!({})).await.at("/groups/nodes");
    let readers = list(&readers).iter().find(|group| group["name"] == "Readers").unwrap()["id"].clone();
    let input = json!({ "name": "Outer", "groups": [readers] });
    let outer = does(&admin, "createGroup", input, "group { id }").await.at("/createGroup/group/id");
    let manager = role(&gm, "project_manager").await["id"].clone();
    let rule = |actor: Value, criteria: Value| json!({ "roleId": manager, "scope": { "itemType": "GOVERNED_PROJECT" }, "actors": [actor], "criteria": criteria });
    assert!(!includes(&project(&row("Rita Reader").await)["permissions"], "WRITE"));
    does(&gm, "createAssignmentRule", rule(json!({ "group": outer }), json!([])), "assignmentRule { id }").await.done();
    for named in ["Rita Reader", "Readers", "Outer"] {
        assert!(includes(&project(&row(named).await)["permissions"], "WRITE"), "{named}");
    }
    let eve = json!({ "user": world.user("eve").await });
    let made =
        does(&gm, "createAssignmentRule", rule(eve, json!([{ "item": "EXISTS" }])), "assignmentRule { id }").await;
    let told = project(&row("Eve Outsider").await);
    assert_eq!(told["conditional"], json!([made.at("/createAssignmentRule/assignmentRule")]));
    assert!(!includes(&told["permissions"], "WRITE"));

    let rita = world.user("rita").await;
    let input = json!({ "userId": rita, "expectedRevision": 1, "active": false });
    does(&admin, "updateUser", input, "user { id }").await.done();
    assert_eq!(project(&row("Rita Reader").await)["permissions"], json!([]));
    world.end().await;
}
