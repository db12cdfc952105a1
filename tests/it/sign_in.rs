//! Passwords over the wire: how often they may be tried, and that one operation tries one.
//! Never waits: the clock is moved by hand.

use super::{
    client::{Answer, Caller},
    world::World,
};
use serde_json::json;

const SIGN_IN: &str = "mutation($input: SignInInput!) { signIn(input: $input) { accessToken userErrors { code } } }";
pub const PASSWORD: &str = "correct horse battery staple";

pub async fn sign_in(world: &World, email: &str, password: &str) -> Answer {
    let input = json!({ "organisation": "acme", "email": email, "password": password });
    world.stranger().ask(SIGN_IN, json!({ "input": input })).await
}

/// Ann's address, after she has set a password by a link.
pub async fn ann_with_a_password(world: &World) -> String {
    let people = "{ users(first: 100) { nodes { id name email } } }";
    let people = world.admin().ask(people, json!({})).await.at("/users/nodes");
    let ann =
        people.as_array().unwrap().iter().find(|user| user["email"].as_str().unwrap().starts_with("ann")).unwrap();
    let link = "mutation($id: ID!) { createPasswordLink(input: { userId: $id }) { token userErrors { code } } }";
    let token = world.admin().ask(link, json!({ "id": ann["id"] })).await.text("/createPasswordLink/token");
    let set = "mutation($input: SetPasswordInput!) { setPassword(input: $input) { email userErrors { code } } }";
    let input = json!({ "token": token, "password": PASSWORD });
    world.stranger().ask(set, json!({ "input": input })).await.text("/setPassword/email")
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_is_slowed_down_and_nobody_is_locked_out() {
    let world = World::new().await;
    let ann = ann_with_a_password(&world).await;
    sign_in(&world, &ann, PASSWORD).await.done();
    for _ in 0..9 {
        sign_in(&world, &ann, "wrong, wrong, wrong").await.refused("UNAUTHENTICATED");
    }
    // The right password waits as well, or guessing would go on unhindered.
    let refused = sign_in(&world, &ann, PASSWORD).await;
    refused.refused("RATE_LIMITED");
    assert_eq!(refused.body["errors"][0]["extensions"]["retryAfterSeconds"], 31);
    // In whatever case the address is written.
    sign_in(&world, &ann.to_uppercase(), PASSWORD).await.refused("RATE_LIMITED");
    // Others, known or not, are heard; unknown accounts run dry as known ones do.
    for _ in 0..10 {
        sign_in(&world, "nobody@example.org", "wrong, wrong, wrong").await.refused("UNAUTHENTICATED");
    }
    sign_in(&world, "nobody@example.org", "wrong, wrong, wrong").await.refused("RATE_LIMITED");
    world.clock.advance(31);
    sign_in(&world, &ann, PASSWORD).await.done();
    sign_in(&world, &ann, PASSWORD).await.refused("RATE_LIMITED");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_operation_presents_one_credential() {
    let world = World::new().await;
    let ann = ann_with_a_password(&world).await;
    let fields: Vec<String> = (0..20).map(|n| format!("a{n}: signIn(input: $input) {{ accessToken }}")).collect();
    let query = format!("mutation($input: SignInInput!) {{ {} }}", fields.join(" "));
    let input = json!({ "organisation": "acme", "email": ann, "password": PASSWORD });
    let answer = world.stranger().ask(&query, json!({ "input": input })).await;
    assert!(answer.body["data"]["a0"]["accessToken"].is_string());
    for n in 1..20 {
        assert!(answer.body["data"][format!("a{n}")].is_null());
    }
    let codes = answer.body["errors"].as_array().unwrap().iter().map(|error| &error["extensions"]["code"]);
    assert!(codes.clone().all(|code| code == "BAD_REQUEST") && codes.count() == 19);
    // Refreshing and setting a password count with it.
    let query = "mutation { refreshSession(input: { refreshToken: \"csr_x.y\" }) { userErrors { code } }
        setPassword(input: { token: \"csl_x.y\", password: \"correct horse battery\" }) { userErrors { code } } }";
    let answer = world.stranger().ask(query, json!({})).await;
    let codes: Vec<_> =
        answer.body["errors"].as_array().unwrap().iter().map(|e| e["extensions"]["code"].clone()).collect();
    assert_eq!(codes, ["UNAUTHENTICATED", "BAD_REQUEST"]);
    world.end().await;
}

const SESSIONS: &str = "{ viewer { sessions { id current createdAt refreshedAt } } }";

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_ended_by_their_user_and_by_administrators() {
    let world = World::new().await;
    let ann = ann_with_a_password(&world).await;
    // Setting the password ended what she had.
    let here = sign_in(&world, &ann, PASSWORD).await.text("/signIn/accessToken");
    let here = world.with_credential("ann here", Some(&here));
    world.clock.advance(60);
    let there = sign_in(&world, &ann, PASSWORD).await.text("/signIn/accessToken");
    let there = world.with_credential("ann there", Some(&there));
    let listed = here.ask(SESSIONS, json!({})).await.at("/viewer/sessions");
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.iter().map(|session| session["current"] == true).collect::<Vec<_>>(), [true, false]);
    let person = world.user("ann").await;
    let of = "query($id: ID!) { node(id: $id) { ... on User { sessions { id current } } } }";
    let seen = async |caller: &Caller| caller.ask(of, json!({ "id": person })).await.at("/node/sessions");
    assert_eq!(seen(&world.admin()).await.as_array().unwrap().len(), 2);
    assert_eq!(seen(&world.bea()).await, json!([]));
    let end = "mutation($input: EndSessionInput!) { endSession(input: $input) { userErrors { code } } }";
    let input = json!({ "input": { "sessionId": listed[1]["id"] } });
    world.bea().ask(end, input.clone()).await.refused("NOT_FOUND");
    world.globex("admin").ask(end, input.clone()).await.refused("NOT_FOUND");
    there.ask(SESSIONS, json!({})).await.done();
    here.ask(end, input.clone()).await.done();
    there.ask(SESSIONS, json!({})).await.refused("UNAUTHENTICATED");
    here.ask(end, input).await.refused("NOT_FOUND");
    let all = "mutation($input: EndAllSessionsInput!) { endAllSessions(input: $input) { userErrors { code } } }";
    let input = |keep: bool| json!({ "input": { "userId": person, "keepCurrent": keep } });
    world.bea().ask(all, input(false)).await.refused("FORBIDDEN");
    here.ask(all, input(true)).await.done();
    here.ask(SESSIONS, json!({})).await.done();
    world.admin().ask(all, input(true)).await.done();
    here.ask(SESSIONS, json!({})).await.refused("UNAUTHENTICATED");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_says_the_present_password_sets_another_and_ends_the_other_sessions() {
    const CHANGE: &str =
        "mutation($input: ChangePasswordInput!) { changePassword(input: $input) { email userErrors { code } } }";
    let world = World::new().await;
    let ann = ann_with_a_password(&world).await;
    let [here, there] = ["ann here", "ann there"].map(|name| (name, &world, ann.clone()));
    let signed_in = async |(name, world, email): (&'static str, &World, String)| {
        let token = sign_in(world, &email, PASSWORD).await.text("/signIn/accessToken");
        world.with_credential(name, Some(&token))
    };
    let (here, there) = (signed_in(here).await, signed_in(there).await);
    let next = "another horse battery staple";
    let change = |old: &str, new: &str| json!({ "input": { "oldPassword": old, "newPassword": new } });
    here.ask(CHANGE, change("wrong, wrong, wrong", next)).await.refused("WRONG_PASSWORD");
    here.ask(CHANGE, change(PASSWORD, "short")).await.refused("PASSWORD_NOT_ALLOWED");
    world.stranger().ask(CHANGE, change(PASSWORD, next)).await.refused("UNAUTHENTICATED");
    world.design_1().ask(CHANGE, change(PASSWORD, next)).await.refused("FORBIDDEN");
    there.ask(SESSIONS, json!({})).await.done();
    here.ask(CHANGE, change(PASSWORD, next)).await.done();
    here.ask(SESSIONS, json!({})).await.done();
    there.ask(SESSIONS, json!({})).await.refused("UNAUTHENTICATED");
    sign_in(&world, &ann, PASSWORD).await.refused("UNAUTHENTICATED");
    sign_in(&world, &ann, next).await.done();
    // Guessing it here is as slow as guessing it at the door.
    for _ in 0..3 {
        here.ask(CHANGE, change("wrong, wrong, wrong", next)).await.refused("WRONG_PASSWORD");
    }
    here.ask(CHANGE, change(next, PASSWORD)).await.refused("RATE_LIMITED");
    world.end().await;
}
