//! Passwords over the wire: how often they may be tried, and that one operation tries one.
//! Never waits: the clock is moved by hand.

use super::{client::Answer, world::World};
use serde_json::json;

const SIGN_IN: &str = "mutation($input: SignInInput!) { signIn(input: $input) { accessToken userErrors { code } } }";
const PASSWORD: &str = "correct horse battery staple";

async fn sign_in(world: &World, email: &str, password: &str) -> Answer {
    let input = json!({ "organisation": "acme", "email": email, "password": password });
    world.stranger().ask(SIGN_IN, json!({ "input": input })).await
}

/// Ann's address, after she has set a password by a link.
async fn ann_with_a_password(world: &World) -> String {
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
