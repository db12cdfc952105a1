//! People and groups over the wire: groups in groups, many people at once, what a deleted person leaves, and
//! administrators who act as somebody else.
//! Never asks about passwords and sessions: `sign_in` does.

use super::{
    client::{Answer, Caller},
    situation::{Stage, situate},
    world::World,
};
use serde_json::{Value, json};

const READ: &str = "query($id: ID!) { node(id: $id) { id } }";

/// Does a mutation, showing so much of its payload.
async fn did(caller: &Caller, name: &str, input: Value, shown: &str) -> Answer {
    let kind = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
    let query =
        format!("mutation($input: {kind}!) {{ {name}(input: $input) {{ {shown} userErrors {{ code message }} }} }}");
    caller.ask(&query, json!({ "input": input })).await
}

async fn group(world: &World, name: &str, members: &[&str], groups: &[&str]) -> String {
    let input = json!({ "name": name, "members": members, "groups": groups });
    did(&world.admin(), "createGroup", input, "group { id }").await.text("/createGroup/group/id")
}

/// An administrator who acts as somebody.
async fn acting_as(world: &World, admin: &Caller, user: &str) -> Caller {
    let begun = did(admin, "impersonate", json!({ "userId": user }), "accessToken").await;
    world.with_credential("an impersonator", Some(&begun.text("/impersonate/accessToken")))
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_in_an_inner_group_is_in_the_outer_ones() {
    let world = World::new().await;
    let eve = world.user("eve").await;
    let inner = group(&world, "Inner", &[&eve], &[]).await;
    let middle = group(&world, "Middle", &[], &[&inner]).await;
    let outer = group(&world, "Outer", &[], &[&middle]).await;
    let names = situate(&world, "acme", Stage::Project, 1).await;
    world.eve().ask(READ, json!({ "id": names["project"] })).await.refused("NOT_FOUND");
    let input = json!({ "itemId": names["project"], "expectedRevision": names["projectRevision"],
        "fields": [{ "key": "reviewers_business", "value": { "people": [{ "group": outer }] } }] });
    did(&world.ann(), "updateItem", input, "").await.done();
    world.eve().ask(READ, json!({ "id": names["project"] })).await.done();
    let mine = world.eve().ask("{ viewer { groups { name } } }", json!({})).await.at("/viewer/groups");
    assert_eq!(mine, json!([{ "name": "Inner" }, { "name": "Middle" }, { "name": "Outer" }]));

    // In a circle nobody would know who is in what.
    let circle = json!({ "groupId": inner, "expectedRevision": 1, "addGroups": [outer] });
    let refused = did(&world.admin(), "updateGroup", circle, "").await;
    refused.refused("GROUP_CYCLE");
    let message = refused.body["data"]["updateGroup"]["userErrors"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("Inner > Outer > Middle > Inner"), "{message}");
    let own = json!({ "groupId": inner, "expectedRevision": 1, "addGroups": [inner] });
    did(&world.admin(), "updateGroup", own, "").await.refused("GROUP_CYCLE");

    let apart = json!({ "groupId": middle, "expectedRevision": 1, "removeGroups": [inner] });
    did(&world.admin(), "updateGroup", apart, "").await.done();
    world.eve().ask(READ, json!({ "id": names["project"] })).await.refused("NOT_FOUND");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_lie_eight_levels_deep_and_no_deeper() {
    let world = World::new().await;
    let mut below = group(&world, "Level 1", &[], &[]).await;
    for level in 2..=8 {
        below = group(&world, &format!("Level {level}"), &[], &[&below]).await;
    }
    let input = json!({ "name": "Level 9", "groups": [below] });
    did(&world.admin(), "createGroup", input, "").await.refused("GROUPS_TOO_DEEP");
    // From above, too.
    let top = group(&world, "Top", &[], &[]).await;
    let first = group(&world, "Another", &[], &[&top]).await;
    let input = json!({ "groupId": top, "expectedRevision": 1, "addGroups": [below] });
    did(&world.admin(), "updateGroup", input, "").await.refused("GROUPS_TOO_DEEP");
    let unknown = json!({ "groupId": first, "expectedRevision": 1, "addGroups": [world.user("ann").await] });
    did(&world.admin(), "updateGroup", unknown, "").await.refused("UNKNOWN_PERSON");
    world.end().await;
}

/// The codes of a batch, row by row.
fn rows(answer: &Answer, name: &str) -> Vec<String> {
    let results = answer.at(&format!("/{name}/results"));
    let code = |row: &Value| row["userErrors"][0]["code"].as_str().unwrap_or("ok").to_owned();
    results.as_array().unwrap().iter().map(code).collect()
}

const ROWS: &str = "results { userId user { name revision } userErrors { code } }";

#[tokio::test(flavor = "multi_thread")]
async fn many_people_are_changed_and_deleted_each_with_a_result_of_its_own() {
    let world = World::new().await;
    let (bea, eve, own) = (world.user("bea").await, world.user("eve").await, world.user("admin").await);
    let stranger = world.globex("admin").ask("{ viewer { user { id } } }", json!({})).await.text("/viewer/user/id");
    let change = |user: &str, revision: i64| json!({ "userId": user, "expectedRevision": revision, "name": "Other" });
    let demoted = json!({ "userId": own, "expectedRevision": 1, "standing": "MEMBER" });
    let all = json!({ "users": [change(&bea, 1), change(&eve, 7), change(&stranger, 1), demoted] });
    for _ in 0..2 {
        let changed = did(&world.admin(), "updateUsers", all.clone(), ROWS).await;
        let expected = ["ok", "REVISION_CONFLICT", "UNKNOWN_PERSON", "LAST_ADMINISTRATOR"];
        assert_eq!(rows(&changed, "updateUsers"), expected);
        assert_eq!(changed.at("/updateUsers/results/0/user"), json!({ "name": "Other", "revision": 2 }));
    }
    did(&world.ann(), "updateUsers", all, ROWS).await.refused("FORBIDDEN");

    let names = situate(&world, "acme", Stage::Given, 1).await;
    let readers = group(&world, "Book club", &[&bea, &eve], &[]).await;
    let owner = json!({ "name": "Bea's", "owner": { "user": bea }, "scopes": ["USER_RIGHTS"] });
    let key = did(&world.admin(), "createApiKey", owner, "credential").await.text("/createApiKey/credential");
    let key = world.with_credential("bea's key", Some(&key));
    key.ask("{ viewer { user { name } } }", json!({})).await.done();
    let gone = json!({ "users": [bea, own, stranger, bea] });
    for _ in 0..2 {
        let deleted = did(&world.admin(), "deleteUsers", gone.clone(), ROWS).await;
        assert_eq!(rows(&deleted, "deleteUsers"), ["ok", "NOT_YOURSELF", "UNKNOWN_PERSON", "ok"]);
    }
    world.globex("admin").ask("{ viewer { user { id } } }", json!({})).await.done();
    for caller in [world.bea(), key] {
        caller.ask("{ viewer { user { name } } }", json!({})).await.refused("UNAUTHENTICATED");
    }
    // A name is left, and what she did.
    let tombstone = "query($id: ID!) { node(id: $id) { ... on User { name email active deletedAt } } }";
    let left = world.admin().ask(tombstone, json!({ "id": bea })).await.at("/node");
    assert_eq!((&left["name"], &left["email"], &left["active"]), (&json!("Other"), &Value::Null, &json!(false)));
    assert!(left["deletedAt"].is_string());
    let told = "query($id: ID!) { timeline(itemId: $id, kinds: [FEEDBACK_SUBMITTED]) { nodes { actor { name } } } }";
    let told = world.ann().ask(told, json!({ "id": names["bundle"] })).await;
    assert_eq!(told.text("/timeline/nodes/0/actor/name"), "Other");
    let people = world.ann().ask("{ users(first: 100) { nodes { id } } }", json!({})).await.at("/users/nodes");
    assert!(!people.as_array().unwrap().contains(&json!({ "id": bea })));
    let members = "query($id: ID!) { node(id: $id) { ... on Group { members { id } } } }";
    let members = world.ann().ask(members, json!({ "id": readers })).await.at("/node/members");
    assert_eq!(members, json!([{ "id": eve }]));
    // Nothing is done to her any more, and her address is free.
    let link = json!({ "userId": bea });
    did(&world.admin(), "createPasswordLink", link, "").await.refused("NOT_FOUND");
    let joins = json!({ "groupId": readers, "expectedRevision": 2, "add": [bea] });
    did(&world.admin(), "updateGroup", joins, "").await.refused("UNKNOWN_PERSON");
    let again = json!({ "name": "New Bea", "email": "bea@acme.example" });
    did(&world.admin(), "createUser", again, "").await.done();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_people_are_entered_each_with_a_result_of_her_own() {
    let world = World::new().await;
    let new = |name: &str, email: &str| json!({ "name": name, "email": email });
    let all = json!({ "users": [
        new("Zoe", "zoe@acme.example"),
        new("Another Bea", "bea@acme.example"),
        new("Nowhere", "no address"),
        new("Zoe", "ZOE@acme.example"),
        { "name": "Gus", "email": "gus@acme.example", "standing": "GOVERNANCE_MANAGER" },
    ] });
    let expected = ["ok", "ALREADY_EXISTS", "EMAIL_NOT_ALLOWED", "ok", "ok"];
    let entered = did(&world.admin(), "createUsers", all.clone(), ROWS).await;
    assert_eq!(rows(&entered, "createUsers"), expected);
    // Again, as after a lost answer: the same people, and nobody twice.
    let position = world.position("acme").await;
    let again = did(&world.admin(), "createUsers", all.clone(), ROWS).await;
    assert_eq!(again.at("/createUsers/results"), entered.at("/createUsers/results"));
    assert_eq!(world.position("acme").await, position);
    did(&world.ann(), "createUsers", all, ROWS).await.refused("FORBIDDEN");
    let unnamed = json!({ "users": [new("Zed", "zed@acme.example"), new("", "nobody@acme.example")] });
    assert_ne!(did(&world.admin(), "createUsers", unnamed, ROWS).await.code(), "ok");
    let people = world.admin().ask("{ users(first: 100) { nodes { email standing } } }", json!({})).await;
    let people = people.at("/users/nodes").to_string();
    assert!(people.contains(r#""gus@acme.example","standing":"GOVERNANCE_MANAGER""#) && !people.contains("zed@"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_people_at_once_are_refused_as_a_whole() {
    let world = World::new().await;
    let new = json!({ "name": "Zoe", "email": "zoe@acme.example" });
    did(&world.admin(), "createUsers", json!({ "users": vec![new; 101] }), ROWS).await.refused("TOO_MANY_ROWS");
    let users = vec![world.user("bea").await; 101];
    did(&world.admin(), "deleteUsers", json!({ "users": users }), ROWS).await.refused("TOO_MANY_ROWS");
    world.bea().ask("{ viewer { user { name } } }", json!({})).await.done();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeline_names_who_acted_as_whom() {
    let world = World::new().await;
    let (ann, own) = (world.user("ann").await, world.user("admin").await);
    let acting = acting_as(&world, &world.admin(), &ann).await;
    let me = acting
        .ask("{ viewer { user { id } impersonator { id } sessions { current impersonator { id } } } }", json!({}));
    let me = me.await.at("/viewer");
    assert_eq!((me["user"]["id"].as_str(), me["impersonator"]["id"].as_str()), (Some(&*ann), Some(&*own)));
    let project = acting.create_project(&world.template("GOVERNED_PROJECT").await, "Done for Ann").await;
    let project = project.at("/createGovernedProject/item/id");
    let told = "query($id: ID!) { timeline(itemId: $id) { nodes { kind actor { user { id } impersonator { id } } } } }";
    let told = world.ann().ask(told, json!({ "id": project })).await.at("/timeline/nodes");
    assert!(!told.as_array().unwrap().is_empty());
    for event in told.as_array().unwrap() {
        assert_eq!(event["actor"], json!({ "user": { "id": ann }, "impersonator": { "id": own } }));
    }
    let activity = "query($id: ID!) { node(id: $id) { ... on User { activity(first: 1) { nodes { item { id } } } } } }";
    for who in [&ann, &own] {
        let newest = world.admin().ask(activity, json!({ "id": who })).await;
        assert_eq!(newest.at("/node/activity/nodes/0/item/id"), project, "{who}");
    }
    // Ann sees that somebody acts as her, and can end it.
    let sessions = world.ann().ask("{ viewer { sessions { id impersonator { id } } } }", json!({})).await;
    let sessions = sessions.at("/viewer/sessions");
    let session = sessions.as_array().unwrap().iter().find(|session| session["impersonator"]["id"] == own.as_str());
    did(&world.ann(), "endSession", json!({ "sessionId": session.unwrap()["id"] }), "").await.done();
    acting.ask("{ viewer { user { id } } }", json!({})).await.refused("UNAUTHENTICATED");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_acts_as_somebody_else_does_not_review_and_does_not_outlive_it() {
    let world = World::new().await;
    let admin = world.admin();
    let [bea, fin, con] = ["bea", "fin", "con"].map(|handle| world.user(handle));
    let (bea, fin, con) = (bea.await, fin.await, con.await);
    let asked = situate(&world, "acme", Stage::Asked, 1).await;
    let as_bea = acting_as(&world, &admin, &bea).await;
    let sign_off = asked["signOff"].as_str().unwrap();
    as_bea.submit_feedback(sign_off, "business", "APPROVED", "Fine.").await.refused("IMPERSONATORS_DO_NOT_REVIEW");
    world.bea().submit_feedback(sign_off, "business", "APPROVED", "Fine.").await.done();
    let waiting = situate(&world, "acme", Stage::Approval, 2).await;
    let as_fin = acting_as(&world, &admin, &fin).await;
    let sign_off = waiting["signOff"].as_str().unwrap();
    as_fin.decide(sign_off, "APPROVED", "").await.refused("IMPERSONATORS_DO_NOT_REVIEW");
    world.fin().decide(sign_off, "APPROVED", "").await.done();

    did(&admin, "impersonate", json!({ "userId": world.user("admin").await }), "").await.refused("NOT_YOURSELF");
    for caller in [world.ann(), world.acme("gm"), world.aud(), world.acme("deployer")] {
        let code = did(&caller, "impersonate", json!({ "userId": bea }), "").await.code();
        assert!(["FORBIDDEN", "NOT_FOUND"].contains(&code.as_str()), "{}: {code}", caller.name);
    }
    // Not even as another administrator does anybody go further, or make what would stay.
    let promoted = json!({ "userId": con, "expectedRevision": 1, "standing": "ADMINISTRATOR" });
    did(&admin, "updateUser", promoted, "").await.done();
    let as_con = acting_as(&world, &admin, &con).await;
    did(&as_con, "impersonate", json!({ "userId": bea }), "").await.refused("FORBIDDEN");
    did(&as_con, "createPasswordLink", json!({ "userId": bea }), "").await.refused("FORBIDDEN");
    let key = json!({ "name": "key", "owner": { "user": con }, "scopes": ["USER_RIGHTS"] });
    did(&as_con, "createApiKey", key.clone(), "").await.refused("FORBIDDEN");
    let passwords = json!({ "oldPassword": "correct horse battery", "newPassword": "another horse battery" });
    did(&as_con, "changePassword", passwords, "").await.refused("FORBIDDEN");
    // A key of an administrator acts as nobody else either.
    let key = did(&admin, "createApiKey", key, "credential").await.text("/createApiKey/credential");
    let key = world.with_credential("con's key", Some(&key));
    did(&key, "impersonate", json!({ "userId": bea }), "").await.refused("FORBIDDEN");
    // It ends with the standing that it rests on.
    let own = json!({ "userId": world.user("admin").await, "expectedRevision": 1, "standing": "GOVERNANCE_MANAGER" });
    as_bea.ask("{ viewer { user { id } } }", json!({})).await.done();
    did(&world.acme("con"), "updateUser", own, "").await.done();
    for caller in [as_bea, as_fin, as_con] {
        caller.ask("{ viewer { user { id } } }", json!({})).await.refused("UNAUTHENTICATED");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acting_as_somebody_else_ends_after_an_hour() {
    let world = World::new().await;
    let begun = did(&world.admin(), "impersonate", json!({ "userId": world.user("ann").await }), "refreshToken").await;
    let refresh = async |token: &str| {
        did(&world.stranger(), "refreshSession", json!({ "refreshToken": token }), "accessToken refreshToken").await
    };
    world.clock.advance(60 * 60 - 1);
    let next = refresh(&begun.text("/impersonate/refreshToken")).await;
    let acting = world.with_credential("an impersonator", Some(&next.text("/refreshSession/accessToken")));
    let seen = acting.ask("{ viewer { impersonator { name } } }", json!({})).await;
    assert!(seen.at("/viewer/impersonator/name").is_string());
    world.clock.advance(1);
    refresh(&next.text("/refreshSession/refreshToken")).await.refused("UNAUTHENTICATED");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_changes_its_secret_while_the_old_one_is_still_good() {
    let world = World::new().await;
    let keys = world.admin().ask("{ apiKeys(first: 100) { nodes { id node { slug } } } }", json!({})).await;
    let keys = keys.at("/apiKeys/nodes");
    let id = keys.as_array().unwrap().iter().find(|key| key["node"]["slug"] == "design-1").unwrap()["id"].clone();
    let rotate = async |until: Option<&str>| {
        let input = json!({ "apiKeyId": id, "previousValidUntil": until });
        did(&world.admin(), "rotateApiKey", input, "credential apiKey { previousValidUntil }").await
    };
    let good = async |caller: &Caller| caller.ask("{ viewer { tenant { slug } } }", json!({})).await.code() == "ok";
    // Every world begins on the morning of 2026-03-02.
    rotate(Some("2026-03-02T08:00:00Z")).await.refused("EXPIRY_PAST");
    rotate(Some("2026-04-01T08:00:01Z")).await.refused("OVERLAP_TOO_LONG");
    let first = world.design_1();
    let made = rotate(Some("2026-03-03T08:00:00Z")).await;
    let second = world.with_credential("the second secret", Some(&made.text("/rotateApiKey/credential")));
    assert!(made.at("/rotateApiKey/apiKey/previousValidUntil").is_string());
    world.clock.advance(24 * 60 * 60 - 1);
    assert!(good(&first).await && good(&second).await);
    world.clock.advance(1);
    assert!(!good(&first).await && good(&second).await);
    // The fixtures' administrator is signed in for a day only.
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_all_its_users_rights_never_reviews() {
    let world = World::new().await;
    let key_of = async |handle: &'static str| {
        let owner = json!({ "user": world.user(handle).await });
        let input = json!({ "name": handle, "owner": owner, "scopes": ["USER_RIGHTS"] });
        let made = did(&world.admin(), "createApiKey", input, "credential").await;
        world.with_credential("a user's key", Some(&made.text("/createApiKey/credential")))
    };
    let asked = situate(&world, "acme", Stage::Asked, 1).await;
    let sign_off = asked["signOff"].as_str().unwrap();
    let bea = key_of("bea").await;
    bea.ask(READ, json!({ "id": sign_off })).await.done();
    bea.submit_feedback(sign_off, "business", "APPROVED", "Fine.").await.refused("KEYS_DO_NOT_REVIEW");
    let waiting = situate(&world, "acme", Stage::Approval, 2).await;
    let sign_off = waiting["signOff"].as_str().unwrap();
    let fin = key_of("fin").await;
    fin.decide(sign_off, "APPROVED", "").await.refused("KEYS_DO_NOT_REVIEW");
    let back = fin.return_to_feedback(sign_off).await;
    back.refused("KEYS_DO_NOT_REVIEW");
    world.fin().decide(sign_off, "APPROVED", "").await.done();
    world.end().await;
}
