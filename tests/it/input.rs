//! Bad input gets its code and leaves no trace; foreign ids are as if they had never been; what comes twice is done
//! once; of those who come at once exactly one wins.

use super::{
    access::question,
    client::{Answer, Caller},
    introspection::{Introspection, Root, innermost, list, text, written},
    operations::digest,
    permission::{does, role},
    situation::{Asked, Names, Stage, filled, mutations, situate},
    world::World,
};
use futures_util::{StreamExt, future::join_all, stream};
use serde_json::{Value, json};
use std::collections::{BTreeMap, btree_map};

/// Asks a mutation by its name alone, with what its payload always has.
async fn ask(schema: &Introspection, caller: &Caller, mutation: &str, input: &Value) -> Answer {
    caller.ask(&document(schema, mutation), json!({ "input": input })).await
}

fn document(schema: &Introspection, mutation: &str) -> String {
    let field = schema.root(Root::Mutation)[mutation];
    let of_type = written(&list(&field["args"])[0]["type"]);
    // What is refused row by row says so in its results.
    let by_rows =
        list(&schema.named(innermost(&field["type"]))["fields"]).iter().any(|field| field["name"] == "results");
    let results = if by_rows { "results { userErrors { code message path } }" } else { "" };
    format!(
        "mutation($input: {of_type}) {{ {mutation}(input: $input) {{ userErrors {{ code message path }} {results} cursor }} }}"
    )
}

/// One bad input: who sends it, the operation, the input, and the code that it gets.
type Bad = (&'static str, &'static str, Value, &'static str);

/// What the schema itself does not take: refused before, or as, the value is read.
const MALFORMED: &str = "GRAPHQL_VALIDATION_FAILED or BAD_REQUEST";

/// Sends each, and sees after each that nothing was committed.
async fn refused(stage: Stage, rows: fn(&Names) -> Vec<Bad>) {
    let world = World::new().await;
    let schema = Introspection::of(&world.ann()).await;
    let names = situate(&world, "acme", stage, 1).await;
    let before = world.position("acme").await;
    let mut wrong = vec![];
    for (who, mutation, input, code) in rows(&names) {
        let input = filled(&input, &names);
        let answer = ask(&schema, &world.acme(who), mutation, &input).await;
        if !code.split(" or ").any(|code| code == answer.code()) {
            wrong.push(format!("{mutation} {:.150} → {}, not {code}", input.to_string(), answer.code()));
        }
        if world.position("acme").await != before {
            wrong.push(format!("{mutation} {:.150} left a trace", input.to_string()));
            break;
        }
    }
    assert!(wrong.is_empty(), "bad input:\n  {}", wrong.join("\n  "));
    world.end().await;
}

/// What no name may be, and why.
fn bad_names() -> Vec<(String, &'static str)> {
    vec![
        (String::new(), "NAME_EMPTY"),
        (" \u{2003}\t ".to_owned(), "NAME_EMPTY"),
        ("null\0byte".to_owned(), "TEXT_NOT_ALLOWED"),
        ("two\nlines".to_owned(), "TEXT_NOT_ALLOWED"),
        ("re\u{202E}versed".to_owned(), "TEXT_NOT_ALLOWED"),
        ("iso\u{2066}lated".to_owned(), "TEXT_NOT_ALLOWED"),
        ("\u{1B}[31mred".to_owned(), "TEXT_NOT_ALLOWED"),
        ("n".repeat(300), "NAME_TOO_LONG"),
        ("é".repeat(201), "NAME_TOO_LONG"),
    ]
}

/// What no text may be, and why.
fn bad_texts() -> Vec<(String, &'static str)> {
    vec![
        ("null\0byte".to_owned(), "TEXT_NOT_ALLOWED"),
        ("bell\u{7}".to_owned(), "TEXT_NOT_ALLOWED"),
        ("left\u{200E}right".to_owned(), "TEXT_NOT_ALLOWED"),
        ("t".repeat(21_000), "TEXT_TOO_LONG"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_texts() {
    refused(Stage::Published, |_| {
        let mut rows: Vec<Bad> = vec![];
        for (name, code) in bad_names() {
            let project = json!({ "itemId": "$project", "expectedRevision": "$projectRevision", "name": name });
            let new = json!({ "templateId": "$projectTemplate", "name": name });
            let deployment = json!({ "infrastructureId": "$dev", "sourceObjectId": "$source", "name": name });
            let infrastructure = json!({ "slug": "new", "name": name, "stage": "TEST", "policy": "WARN" });
            rows.extend([
                ("ann", "updateItem", project, code),
                ("ann", "createGovernedProject", new, code),
                ("dep", "createDeployment", deployment, code),
                ("admin", "createInfrastructure", infrastructure, code),
                ("admin", "createGroup", json!({ "name": name }), code),
                ("admin", "createUser", json!({ "name": name, "email": "x@acme.example" }), code),
            ]);
        }
        for (comment, code) in bad_texts() {
            let fields = json!([{ "key": "description", "value": { "text": comment } }]);
            let save = json!({ "itemId": "$project", "expectedRevision": "$projectRevision", "fields": fields });
            let texts = json!([{ "key": "countries", "value": { "texts": ["DE", comment] } }]);
            let listed = json!({ "itemId": "$project", "expectedRevision": "$projectRevision", "fields": texts });
            let confirmed = json!({ "infrastructureId": "$prod", "sourceObjectId": "$source", "name": "x",
                "confirmation": { "reason": comment } });
            rows.extend([
                ("ann", "updateItem", save, code),
                ("ann", "updateItem", listed, code),
                ("dep", "createDeployment", confirmed, code),
            ]);
        }
        rows
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_of_reviews() {
    refused(Stage::Given, |_| {
        let feedback = |comment: String| json!({ "signOffId": "$signOff", "group": "business", "status": "APPROVED", "comment": comment });
        let edit = |comment: String| json!({ "signOffId": "$signOff", "reviewId": "$feedback", "status": "APPROVED", "comment": comment });
        let rows = bad_texts().into_iter();
        let mut rows: Vec<Bad> = rows.flat_map(|(comment, code)| [("bea", "submitFeedback", feedback(comment.clone()), code), ("bea", "editFeedback", edit(comment), code)]).collect();
        let of_group = |group: &str| json!({ "signOffId": "$signOff", "group": group, "status": "APPROVED" });
        rows.extend([
            ("bea", "submitFeedback", of_group("no_such_group"), "UNKNOWN_FEEDBACK_GROUP"),
            ("bea", "submitFeedback", of_group(&"g".repeat(5_000)), "KEY_NOT_ALLOWED"),
            ("bea", "submitFeedback", of_group("risk_compliance"), "NOT_A_REVIEWER"),
            ("bea", "editFeedback", json!({ "signOffId": "$signOff", "reviewId": "nonsense", "status": "APPROVED" }), "UNKNOWN_FEEDBACK"),
            ("bea", "deleteFeedback", json!({ "signOffId": "$signOff", "reviewId": "$signOff" }), "UNKNOWN_FEEDBACK"),
            ("fin", "decide", json!({ "signOffId": "$signOff", "decision": "APPROVED" }), "FINAL_APPROVAL_NOT_REQUESTED"),
            ("fin", "decide", json!({ "signOffId": "$signOff", "decision": "PERHAPS" }), MALFORMED),
        ]);
        rows
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions() {
    refused(Stage::Approval, |_| {
        let decide = |more: (&str, Value)| {
            let mut input = json!({ "signOffId": "$signOff", "decision": "APPROVED" });
            input[more.0] = more.1;
            input
        };
        let mut rows: Vec<Bad> = bad_texts()
            .into_iter()
            .map(|(comment, code)| ("fin", "decide", decide(("comment", json!(comment))), code))
            .collect();
        rows.extend([
            ("fin", "decide", decide(("expectedDigest", json!(digest("other content")))), "CONTENT_CHANGED"),
            ("fin", "decide", decide(("expectedDigest", json!("nonsense"))), "CONTENT_CHANGED"),
            ("fin", "decide", decide(("actor", json!("ann"))), MALFORMED),
            ("ann", "requestFeedback", json!({ "signOffId": "$signOff" }), "FINAL_APPROVAL_ALREADY_REQUESTED"),
            ("ann", "requestFinalApproval", json!({ "signOffId": "$signOff" }), "FINAL_APPROVAL_ALREADY_REQUESTED"),
            ("ann", "resetSignOff", json!({ "signOffId": "$signOff" }), "INVALID_TRANSITION"),
            (
                "ann",
                "cancelStep",
                json!({ "itemId": "$bundle", "step": "review", "expectedRevision": "$bundleRevision" }),
                "SIGN_OFF_IN_PROGRESS",
            ),
        ]);
        rows
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_fields() {
    refused(Stage::Governed, |names| {
        let save =
            |fields: Value| json!({ "itemId": "$project", "expectedRevision": "$projectRevision", "fields": fields });
        let set = |key: &str, value: Value| save(json!([{ "key": key, "value": value }]));
        let bea = &names["bea"];
        let people = |count: usize| json!({ "people": vec![json!({ "user": bea }); count] });
        let of_values = [
            (set("no_such_field", json!({ "text": "x" })), "UNKNOWN_FIELD"),
            (set(&"k".repeat(10_000), json!({ "text": "x" })), "UNKNOWN_FIELD"),
            (set("null\0byte", json!({ "text": "x" })), "UNKNOWN_FIELD"),
            (set("value_score", json!({ "integer": 80 })), "FIELD_COMPUTED"),
            (set("description", json!({ "integer": 1 })), "WRONG_SHAPE"),
            (set("description", json!({ "texts": ["a"] })), "WRONG_SHAPE"),
            (set("countries", json!({ "text": "DE" })), "WRONG_SHAPE"),
            (set("countries", json!({ "texts": vec!["DE"; 101] })), "TOO_MANY_VALUES"),
            (set("owners", people(5_000)), "TOO_MANY_VALUES"),
            (set("risk_rating", json!({ "category": "low" })), "UNKNOWN_CATEGORY"),
            (set("risk_rating", json!({ "category": "" })), "UNKNOWN_CATEGORY"),
            (set("risk_rating", json!({ "text": "Low" })), "WRONG_SHAPE"),
            (set("start_date", json!({ "date": "2026-02-30" })), "DATE_NOT_ALLOWED"),
            (set("start_date", json!({ "date": "30.2.2026" })), "DATE_NOT_ALLOWED"),
            (set("start_date", json!({ "date": "2026-01-31T00:00:00Z" })), "DATE_NOT_ALLOWED"),
            (set("start_date", json!({ "date": "" })), "DATE_NOT_ALLOWED"),
            (set("related_documents", json!({ "links": ["javascript:alert(1)"] })), "LINK_NOT_ALLOWED"),
            (set("related_documents", json!({ "links": ["https://"] })), "LINK_NOT_ALLOWED"),
            (set("related_documents", json!({ "links": ["file:///etc/passwd"] })), "LINK_NOT_ALLOWED"),
            (set("related_documents", json!({ "links": ["https://x.example/\u{202E}fdp"] })), "LINK_NOT_ALLOWED"),
            (
                set("related_documents", json!({ "links": [format!("https://x.example/{}", "a".repeat(2_000))] })),
                "LINK_NOT_ALLOWED",
            ),
            (set("business_initiative", json!({ "item": "nonsense" })), "UNKNOWN_ITEM"),
            (set("business_initiative", json!({ "item": "$bea" })), "UNKNOWN_ITEM"),
            (set("business_initiative", json!({ "item": "$bundle" })), "WRONG_ITEM_TYPE"),
            (set("owners", json!({ "people": [{ "user": "nonsense" }] })), "UNKNOWN_PERSON"),
            (set("owners", json!({ "people": [{ "group": "$bea" }] })), "UNKNOWN_PERSON"),
            (set("description", json!({ "text": "a", "integer": 1 })), MALFORMED),
            (set("sensitive_data", json!({ "boolean": "yes" })), MALFORMED),
            (set("value_score", json!({ "integer": 1e30 })), MALFORMED),
            (save(json!([{ "key": "description" }, { "key": "description" }])), "FIELD_NAMED_TWICE"),
            (
                save(json!([{ "key": "description", "value": { "text": "fine" } }, { "key": "nowhere" }])),
                "UNKNOWN_FIELD",
            ),
            (save(json!([])), "NOTHING_TO_SAVE"),
        ];
        let mut rows: Vec<Bad> =
            of_values.into_iter().map(|(input, code)| ("ann", "updateItem", input, code)).collect();
        let moves = |count: usize| {
            json!({ "itemId": "$project", "expectedRevision": "$projectRevision",
            "steps": vec![json!({ "step": "qualification", "move": "FINISH" }); count] })
        };
        let step =
            |step: &str, revision: Value| json!({ "itemId": "$project", "step": step, "expectedRevision": revision });
        let current = json!("$projectRevision");
        rows.extend([
            ("ann", "updateItem", moves(51), "TOO_MANY_MOVES"),
            ("ann", "startStep", step("no_such_step", current.clone()), "UNKNOWN_STEP"),
            ("ann", "startStep", step(&"s".repeat(10_000), current.clone()), "KEY_NOT_ALLOWED"),
            ("ann", "startStep", step("delivery", current.clone()), "STEP_ALREADY_ONGOING"),
            ("ann", "finishStep", step("delivery", current.clone()), "STEP_NOT_ONGOING"),
            ("ann", "finishStep", step("qualification", json!(1)), "REVISION_CONFLICT"),
            ("ann", "finishStep", step("qualification", json!(0)), "REVISION_CONFLICT"),
            ("ann", "finishStep", step("qualification", json!(99)), "REVISION_CONFLICT"),
            ("ann", "finishStep", step("qualification", json!(-1)), MALFORMED),
            ("ann", "deleteItem", json!({ "itemId": "$project", "expectedRevision": 1 }), "REVISION_CONFLICT"),
            (
                "ann",
                "setChildRules",
                json!({ "itemId": "$project", "expectedRevision": 7, "rules": [] }),
                "REVISION_CONFLICT",
            ),
            (
                "ann",
                "createGovernedProject",
                json!({ "templateId": "$bundleTemplate", "name": "x" }),
                "WRONG_TEMPLATE_TYPE",
            ),
            ("ann", "createGovernedProject", json!({ "templateId": "nonsense", "name": "x" }), "UNKNOWN_OBJECT"),
        ]);
        rows
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_and_infrastructures() {
    refused(Stage::People, |_| {
        let key = |owner: Value, scopes: Value, more: Value| json!({ "name": "x", "owner": owner, "scopes": scopes, "expiresAt": more });
        let user = |email: &str| json!({ "name": "x", "email": email });
        let infrastructure = |slug: &str| json!({ "slug": slug, "name": "x", "stage": "TEST", "policy": "WARN" });
        let node = json!({ "node": "$node" });
        vec![
            ("admin", "createUser", user("nobody"), "EMAIL_NOT_ALLOWED"),
            ("admin", "createUser", user("a@b@c"), "EMAIL_NOT_ALLOWED"),
            ("admin", "createUser", user("a\0@b.example"), "EMAIL_NOT_ALLOWED"),
            ("admin", "createUser", user("a\u{202E}@b.example"), "EMAIL_NOT_ALLOWED"),
            ("admin", "createUser", user(&format!("{}@b.example", "a".repeat(300))), "EMAIL_NOT_ALLOWED"),
            ("admin", "createUser", user("ANN@acme.example"), "ALREADY_EXISTS"),
            ("admin", "updateUser", json!({ "userId": "$user", "expectedRevision": 99, "name": "x" }), "REVISION_CONFLICT"),
            ("admin", "updateUser", json!({ "userId": "$user", "expectedRevision": "$userRevision" }), "NOTHING_TO_SAVE"),
            ("admin", "createGroup", json!({ "name": "Builders" }), "ALREADY_EXISTS"),
            ("admin", "createGroup", json!({ "name": "x", "members": ["$user", "nonsense"] }), "UNKNOWN_PERSON"),
            ("admin", "updateGroup", json!({ "groupId": "$group", "expectedRevision": 1, "add": ["$group"] }), "UNKNOWN_PERSON"),
            ("admin", "updateGroup", json!({ "groupId": "$group", "expectedRevision": 5, "add": ["$user"] }), "REVISION_CONFLICT"),
            ("admin", "createSourceNode", json!({ "slug": "two words", "name": "x" }), "KEY_NOT_ALLOWED"),
            ("admin", "createSourceNode", json!({ "slug": "", "name": "x" }), "KEY_NOT_ALLOWED"),
            ("admin", "createSourceNode", json!({ "slug": "k".repeat(101), "name": "x" }), "KEY_NOT_ALLOWED"),
            ("admin", "createSourceNode", json!({ "slug": "null\0byte", "name": "x" }), "KEY_NOT_ALLOWED"),
            ("admin", "createSourceNode", json!({ "slug": "design-1", "name": "x" }), "ALREADY_EXISTS"),
            ("admin", "createApiKey", key(node.clone(), json!([]), Value::Null), "SCOPE_MISSING"),
            ("admin", "createApiKey", key(json!({ "user": "$user" }), json!(["SYNC"]), Value::Null), "SCOPE_NEEDS_NODE"),
            ("admin", "createApiKey", key(node.clone(), json!(["USER_RIGHTS"]), Value::Null), "SCOPE_NEEDS_USER"),
            ("admin", "createApiKey", key(node.clone(), json!(["SYNC"]), json!("2020-01-01T00:00:00Z")), "EXPIRY_PAST"),
            ("admin", "createApiKey", key(node, json!(["SYNC"]), json!("soon")), MALFORMED),
            ("admin", "updateTenantSettings", json!({ "expectedRevision": 99, "requesterMayNotApprove": true }), "REVISION_CONFLICT"),
            ("admin", "setInstanceRules", json!({ "expectedRevision": 99, "rules": [] }), "REVISION_CONFLICT"),
            ("admin", "createInfrastructure", infrastructure("two words"), "KEY_NOT_ALLOWED"),
            ("admin", "createInfrastructure", infrastructure(&"k".repeat(5_000)), "KEY_NOT_ALLOWED"),
            ("admin", "createInfrastructure", infrastructure("dev"), "ALREADY_EXISTS"),
            ("admin", "setPassword", json!({ "token": "$link", "password": "short" }), "PASSWORD_NOT_ALLOWED"),
            ("admin", "setPassword", json!({ "token": "$link", "password": "p".repeat(257) }), "PASSWORD_NOT_ALLOWED"),
            ("admin", "setPassword", json!({ "token": "$used", "password": "long enough for it" }), "LINK_NOT_VALID"),
            ("admin", "signIn", json!({ "organisation": "acme", "email": "$email", "password": "wrong" }), "UNAUTHENTICATED"),
            ("admin", "signIn", json!({ "organisation": "no\0where", "email": "$email", "password": "wrong" }), "UNAUTHENTICATED"),
            ("admin", "refreshSession", json!({ "refreshToken": "nonsense" }), "UNAUTHENTICATED"),
        ]
    })
    .await;
}

/// Rows of a batch are refused one by one; those beside them are taken, and a batch of bad rows leaves no trace.
#[tokio::test(flavor = "multi_thread")]
async fn reported_rows() {
    let world = World::new().await;
    let node = world.design_1();
    let project = json!([{ "kind": "PROJECT", "key": "P", "name": "P" }]);
    node.sync(project).await.done();
    let before = world.position("acme").await;
    let row = |kind: &str, key: &str, more: Value| {
        let mut row = json!({ "kind": kind, "key": key, "name": "x" });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    let under = |digest: &str| json!({ "parentKey": "P", "contentDigest": digest });
    let sound = digest("x");
    let mut bad = vec![
        (row("PROJECT", "", json!({})), "KEY_NOT_ALLOWED"),
        (row("PROJECT", "two words", json!({})), "KEY_NOT_ALLOWED"),
        (row("PROJECT", "null\0byte", json!({})), "KEY_NOT_ALLOWED"),
        (row("PROJECT", &"k".repeat(101), json!({})), "KEY_NOT_ALLOWED"),
        (row("PROJECT", "X", json!({ "parentKey": "P" })), "WRONG_PARENT"),
        (row("PROJECT", "X", json!({ "original": { "node": "two words", "key": "k" } })), "KEY_NOT_ALLOWED"),
        (row("PROJECT", "X", json!({ "description": "d".repeat(21_000) })), "TEXT_TOO_LONG"),
        (row("BUNDLE", "X", json!({ "contentDigest": sound })), "WRONG_PARENT"),
        (row("BUNDLE", "X", json!({ "parentKey": "nowhere", "contentDigest": sound })), "UNKNOWN_PARENT"),
        (row("BUNDLE", "X", json!({ "parentKey": "P" })), "DIGEST_MISSING"),
        (row("BUNDLE", "X", under("sha256:0")), "DIGEST_NOT_ALLOWED"),
        (row("BUNDLE", "X", under(&sound.replace("sha256", "md5"))), "DIGEST_NOT_ALLOWED"),
        (row("BUNDLE", "X", under(&format!("{sound}0"))), "DIGEST_NOT_ALLOWED"),
        (
            row("BUNDLE", "X", under("sha256:zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz")),
            "DIGEST_NOT_ALLOWED",
        ),
    ];
    bad.extend(bad_names().into_iter().map(|(name, code)| (row("PROJECT", "X", json!({ "name": name })), code)));
    let answer = node.sync(bad.iter().map(|(row, _)| row.clone()).collect()).await;
    let results = answer.at("/syncSourceObjects/results");
    for (n, (row, code)) in bad.iter().enumerate() {
        assert_eq!(results[n]["userErrors"][0]["code"], *code, "{row:.100}");
        assert!(results[n]["sourceObject"].is_null());
    }
    assert_eq!(world.position("acme").await, before, "a batch of bad rows left a trace");
    let many: Value = (0..1_001).map(|n| row("PROJECT", &format!("M{n}"), json!({}))).collect();
    node.sync(many).await.refused("TOO_MANY_ROWS");
    node.delete_sources((0..1_001).map(|n| json!({ "kind": "PROJECT", "key": format!("M{n}") })).collect())
        .await
        .refused("TOO_MANY_ROWS");
    assert_eq!(world.position("acme").await, before, "a batch that is too long left a trace");
    let mixed = node.sync(json!([bad[0].0, row("PROJECT", "GOOD", json!({})), bad[4].0])).await;
    let good = mixed.at("/syncSourceObjects/results");
    assert!(good[0]["sourceObject"].is_null() && good[2]["sourceObject"].is_null());
    assert!(good[1]["sourceObject"]["id"].is_string(), "a bad row does not stop the rest: {good}");
    world.end().await;
}

/// The answer to the letter.
async fn raw(caller: &Caller, query: &str, variables: &Value) -> String {
    let request = caller.http.post(format!("http://{}/graphql", caller.address));
    let request = request.bearer_auth(caller.credential.as_ref().unwrap());
    let body = json!({ "query": query, "variables": variables });
    request.json(&body).send().await.unwrap().text().await.unwrap()
}

/// Who is answered `ok` for a mutation, so that only the id can be what is refused.
fn entitled(mutation: &str) -> &'static str {
    match mutation {
        "syncSourceObjects" | "deleteSourceObjects" => "design-1-sync",
        "submitFeedback" | "editFeedback" | "deleteFeedback" => "bea",
        "decide" | "returnToFeedback" => "fin",
        "publishSourceObject"
        | "createDeployment"
        | "updateDeployment"
        | "deploy"
        | "reportDeploymentStatus"
        | "disableDeployment"
        | "deleteDeployment" => "dep",
        _ => "admin",
    }
}

/// Inputs with the ids that the policy matrix has no need of.
fn with_more_ids() -> Vec<Asked> {
    let asked = |field, stage, arguments| Asked { field, about: "", stage, arguments };
    let children = json!([{ "kind": "BUNDLE", "templateId": "$bundleTemplate" }]);
    let rules = json!([{ "kind": "BUNDLE", "action": "GOVERN", "templateId": "$bundleTemplate" }]);
    let govern = json!({ "sourceObjectId": "$inbox", "templateId": "$projectTemplate", "itemId": "$project",
        "businessInitiativeId": "$initiative", "existingChildren": children, "futureChildren": rules });
    let fields = json!([
        { "key": "business_initiative", "value": { "item": "$initiative" } },
        { "key": "owners", "value": { "people": [{ "user": "$bea" }, { "user": "$fin" }] } },
    ]);
    let grants = json!([{ "groupId": "$group", "grants": ["DEPLOY"] }]);
    vec![
        asked("governSourceObject", Stage::Project, govern),
        asked("setChildRules", Stage::Project, json!({ "itemId": "$project", "expectedRevision": 0, "rules": rules })),
        asked(
            "updateItem",
            Stage::Project,
            json!({ "itemId": "$project", "expectedRevision": "$projectRevision", "fields": fields }),
        ),
        asked(
            "createInfrastructure",
            Stage::People,
            json!({ "slug": "with-grants", "name": "With grants", "stage": "TEST", "policy": "WARN", "grants": grants }),
        ),
        asked(
            "createApiKey",
            Stage::People,
            json!({ "name": "Ours", "owner": { "user": "$user" }, "scopes": ["USER_RIGHTS"] }),
        ),
    ]
}

/// Queries with every id that one takes.
fn lookups() -> Vec<(&'static str, Value)> {
    let first = |key: &str, value: Value| json!({ "first": 5, key: value });
    vec![
        ("node", json!({ "id": "$project" })),
        ("node", json!({ "id": "$signOff" })),
        ("node", json!({ "id": "$bea" })),
        ("nodes", json!({ "ids": ["$source", "$deployment"] })),
        ("timeline", first("itemId", json!("$bundle"))),
        ("timeline", first("subjectId", json!("$deployment"))),
        ("timeline", first("actorId", json!("$bea"))),
        ("deployments", first("infrastructureId", json!("$dev"))),
        ("governedItems", first("filter", json!({ "under": "$project" }))),
        ("governedItems", first("filter", json!({ "templateId": ["$bundleTemplate"] }))),
        ("governedItems", first("filter", json!({ "infrastructureId": "$dev" }))),
        ("assignmentRules", first("roleId", json!("$reader"))),
        ("assignmentRules", first("itemId", json!("$project"))),
        ("explainAccess", json!({ "action": "READ_ITEM", "objectId": "$project" })),
        ("explainAccess", json!({ "action": "READ_SIGN_OFF", "objectId": "$signOff" })),
        ("explainAccess", json!({ "action": "CREATE_GOVERNED_PROJECT", "actorId": "$bea" })),
    ]
}

/// Has somebody read the project of a situation by a rule of its own, and names her role.
async fn with_a_rule(admin: &Caller, mut names: Names) -> Names {
    let reader = role(admin, "reader").await["id"].clone();
    let input =
        json!({ "roleId": reader, "scope": { "item": names["project"] }, "actors": [{ "user": names["bea"] }] });
    does(admin, "createAssignmentRule", input, "assignmentRule { id }").await.done();
    names.insert("reader".to_owned(), reader);
    names
}

/// Every id that a query takes, as `foreign_ids_are_nonsense` has it of mutations.
async fn looked_up(
    world: &World,
    schema: &Introspection,
    ours: &Names,
    theirs: &Names,
    found: &mut Vec<String>,
) -> usize {
    let before = world.position("globex").await;
    let mut tried = 0;
    for (name, arguments) in lookups() {
        let (own, foreign) = (filled(&arguments, ours), filled(&arguments, theirs));
        let document = question(schema, Root::Query, name, &own);
        let mut ids = vec![];
        for argument in list(&schema.root(Root::Query)[name]["args"]) {
            let argument_name = text(&argument["name"]);
            if let Some(value) = own.get(argument_name) {
                schema.ids(&argument["type"], value, &format!("/{argument_name}"), &mut ids);
            }
        }
        tried += ids.len();
        for at in &ids {
            let mut asked = own.clone();
            *asked.pointer_mut(at).unwrap() = foreign.pointer(at).unwrap().clone();
            let theirs = raw(&world.admin(), &document, &asked).await;
            *asked.pointer_mut(at).unwrap() = json!("nonsense");
            let nonsense = raw(&world.admin(), &document, &asked).await;
            if theirs != nonsense {
                found.push(format!("{name}{at}: {theirs} and {nonsense}"));
            }
            if raw(&world.admin(), &document, &own).await == theirs {
                found.push(format!("{name}{at}: an id of our own is answered like a foreign one: {theirs}"));
            }
        }
    }
    if world.position("globex").await != before {
        found.push("a query left a trace in the other organisation".to_owned());
    }
    tried
}

/// Every id in every input of every mutation, put in the place of a right one: another organisation's id of the
/// same kind, nonsense, an id of another kind and one that nothing has; all four answer the same to the letter.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_ids_are_nonsense() {
    let world = World::new().await;
    let schema = Introspection::of(&world.ann()).await;
    let mut found = vec![];
    let mut tried = 0;
    let mut situations: BTreeMap<Stage, [Names; 2]> = BTreeMap::new();
    let rows = mutations().into_iter().chain(with_more_ids());
    for (n, row) in rows.enumerate().filter(|(_, row)| !row.arguments.is_null()) {
        let [ours, theirs] = match situations.entry(row.stage) {
            btree_map::Entry::Occupied(known) => known.into_mut(),
            btree_map::Entry::Vacant(new) => {
                let ours = situate(&world, "acme", row.stage, 100 + n).await;
                new.insert([ours, situate(&world, "globex", row.stage, 100 + n).await])
            }
        };
        tried += compare(&world, &schema, &row, ours, theirs, &mut found).await;
    }
    let [ours, theirs] = situations.remove(&Stage::Deployment).unwrap();
    let ours = with_a_rule(&world.admin(), ours).await;
    let theirs = with_a_rule(&world.globex("admin"), theirs).await;
    tried += looked_up(&world, &schema, &ours, &theirs, &mut found).await;
    assert!(found.is_empty(), "ids that are told apart, or left a trace:\n  {}", found.join("\n  "));
    assert!(tried > 50, "only {tried} ids were tried");
    world.end().await;
}

async fn compare(
    world: &World,
    schema: &Introspection,
    row: &Asked,
    ours: &Names,
    theirs: &Names,
    found: &mut Vec<String>,
) -> usize {
    let (input, foreign) = (filled(&row.arguments, ours), filled(&row.arguments, theirs));
    let of_type = &list(&schema.root(Root::Mutation)[row.field]["args"])[0]["type"];
    let mut ids = vec![];
    schema.ids(of_type, &input, "", &mut ids);
    // Whoever is asked in vain is a warning, not a refusal: see the next test.
    ids.retain(|at| !at.starts_with("/notify"));
    let caller = world.acme(entitled(row.field));
    for at in &ids {
        let own = text(input.pointer(at).unwrap());
        let theirs = text(foreign.pointer(at).unwrap()).to_owned();
        // The id of a feedback is made from the same numbers as any other: a made one stands for another kind.
        let other_kind =
            ours.values().filter_map(Value::as_str).find(|id| id.len() == own.len() && id[..2] != own[..2]);
        let unknown = format!("{}{}", &own[..own.len() - 6], "AAAAAA");
        let before = (world.position("acme").await, world.position("globex").await);
        let mut answers = vec![];
        for id in [theirs.as_str(), "nonsense", other_kind.unwrap_or("other"), &unknown, ""] {
            let mut input = input.clone();
            *input.pointer_mut(at).unwrap() = json!(id);
            answers.push(raw(&caller, &document(schema, row.field), &json!({ "input": input })).await);
        }
        let first = &answers[0];
        if let Some(other) = answers.iter().find(|answer| *answer != first) {
            found.push(format!("{}{at}: {first} and {other}", row.field));
        }
        let answer = serde_json::from_str::<Value>(first).unwrap();
        let said = &answer["data"][row.field];
        let is_refused = |said: &Value| said["userErrors"].as_array().is_some_and(|errors| !errors.is_empty());
        let by_rows = said["results"].as_array().is_some_and(|rows| !rows.is_empty() && rows.iter().all(is_refused));
        let done = answer.get("errors").is_none() && !is_refused(said) && !by_rows;
        if done || (world.position("acme").await, world.position("globex").await) != before {
            found.push(format!("{}{at}: was done, or left a trace: {first}", row.field));
        }
    }
    ids.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_asked_in_vain_is_a_warning() {
    let world = World::new().await;
    let theirs = situate(&world, "globex", Stage::Review, 1).await;
    let mut messages = vec![];
    for (n, id) in [text(&theirs["bea"]), "nonsense"].into_iter().enumerate() {
        let ours = situate(&world, "acme", Stage::Review, n).await;
        let asked =
            world.ann().request_feedback(text(&ours["signOff"]), json!([{ "group": "business", "users": [id] }])).await;
        messages.push(asked.at("/requestFeedback/warnings/0/message"));
    }
    assert_eq!(messages[0], messages[1], "somebody of another organisation is nobody");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_does_a_command_once() {
    let world = World::new().await;
    let ann = world.ann();
    let template = world.template("GOVERNED_PROJECT").await;
    let query = "mutation($input: CreateGovernedProjectInput!) { createGovernedProject(input: $input) {
        item { id name } userErrors { code } cursor } }";
    let create =
        |name: &str, key: &str| json!({ "input": { "templateId": template, "name": name, "idempotencyKey": key } });
    let first = ann.ask(query, create("Once", "key-1")).await;
    let made = first.text("/createGovernedProject/item/id");
    let position = world.position("acme").await;
    let again = join_all((0..8).map(|_| ann.ask(query, create("Once", "key-1")))).await;
    for again in again {
        assert_eq!(again.text("/createGovernedProject/item/id"), made, "the same object");
        assert_eq!(
            again.at("/createGovernedProject/cursor"),
            first.at("/createGovernedProject/cursor"),
            "and the same position"
        );
    }
    ann.ask(query, create("Other", "key-1")).await.refused("IDEMPOTENCY_KEY_REUSED");
    ann.step_with_key(&made, "key-1").await.refused("IDEMPOTENCY_KEY_REUSED");
    assert_eq!(world.position("acme").await, position, "nothing was done again");

    // A refusal is not kept: with better input the same key is free.
    ann.ask(query, create("", "key-2")).await.refused("NAME_EMPTY");
    let better = ann.ask(query, create("Better", "key-2")).await;
    assert_ne!(better.text("/createGovernedProject/item/id"), made);
    // Another person's key is another key.
    let solo = world.acme("solo").ask(query, create("Once", "key-1")).await;
    assert_ne!(solo.text("/createGovernedProject/item/id"), made);
    // Who comes at once with one key makes one object.
    let position = world.position("acme").await;
    let at_once = join_all((0..16).map(|_| ann.ask(query, create("At once", "key-3")))).await;
    let ids: std::collections::BTreeSet<_> =
        at_once.iter().map(|answer| answer.text("/createGovernedProject/item/id")).collect();
    assert_eq!((ids.len(), world.position("acme").await), (1, position + 1));
    world.end().await;
}

impl Caller {
    async fn step_with_key(&self, item: &str, key: &str) -> Answer {
        let query = "mutation($input: StepInput!) { startStep(input: $input) { userErrors { code } } }";
        let input = json!({ "itemId": item, "step": "exploration", "expectedRevision": 1, "idempotencyKey": key });
        self.ask(query, json!({ "input": input })).await
    }
}

/// Counts the outcomes of requests that are sent at once.
async fn at_once(requests: impl Iterator<Item = impl Future<Output = Answer>>) -> BTreeMap<String, usize> {
    let answers: Vec<_> = stream::iter(requests).buffer_unordered(64).collect().await;
    let mut outcomes = BTreeMap::new();
    for answer in answers {
        *outcomes.entry(answer.code()).or_default() += 1;
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn of_those_who_come_at_once_one_wins() {
    let world = World::new().await;
    let outcomes =
        |one: usize, code: &str, others: usize| BTreeMap::from([("ok".to_owned(), one), (code.to_owned(), others)]);
    for round in 0..5 {
        let names = situate(&world, "acme", Stage::Approval, 10 + round).await;
        let (sign_off, fin) = (text(&names["signOff"]).to_owned(), world.fin());
        let before = world.position("acme").await;
        let decide = |n: usize| {
            let (fin, sign_off) = (fin.clone(), sign_off.clone());
            async move { fin.decide(&sign_off, if n.is_multiple_of(2) { "APPROVED" } else { "REJECTED" }, "").await }
        };
        assert_eq!(at_once((0..16).map(decide)).await, outcomes(1, "ALREADY_DECIDED", 15));
        assert_eq!(world.position("acme").await, before + 1, "one decision, one commit");

        let (project, ann) = (text(&names["project"]).to_owned(), world.ann());
        let revision = ann.item(&project).await.number("/node/revision");
        let before = world.position("acme").await;
        let save = |n: usize| {
            let (ann, project) = (ann.clone(), project.clone());
            let input = json!({ "itemId": project, "expectedRevision": revision, "name": format!("Name {n}") });
            async move { ann.update_item(input).await }
        };
        assert_eq!(at_once((0..16).map(save)).await, outcomes(1, "REVISION_CONFLICT", 15));
        assert_eq!(ann.item(&project).await.number("/node/revision"), revision + 1);
        assert_eq!(world.position("acme").await, before + 1, "one save, one commit");

        let (source, name) = (text(&names["source"]).to_owned(), format!("Group {round}"));
        let group = |_| {
            let (admin, name) = (world.admin(), name.clone());
            async move {
                let query =
                    "mutation($input: CreateGroupInput!) { createGroup(input: $input) { userErrors { code } } }";
                admin.ask(query, json!({ "input": { "name": name } })).await
            }
        };
        assert_eq!(at_once((0..16).map(group)).await, outcomes(1, "ALREADY_EXISTS", 15));
        let govern = |_| {
            let (ann, source) = (world.ann(), source.clone());
            async move { ann.govern(json!({ "sourceObjectId": source })).await }
        };
        assert_eq!(at_once((0..4).map(govern)).await, BTreeMap::from([("ALREADY_GOVERNED".to_owned(), 4)]));
    }
    world.end().await;
}
