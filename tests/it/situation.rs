//! Prepared situations: a project, its bundle and their review, brought as far as a test needs them; and an
//! operation with its input for every root field of the schema, with the ids of a situation as `$names`.

use super::{client::Caller, operations::digest, world::World};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How far things have come. Each stage contains those before it, the last three apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Nothing is made.
    Nothing,
    /// A project with reviewers and an approver, in its second step, and a project of the node in the inbox.
    Project,
    /// The node's project is governed, and its bundle by itself.
    Governed,
    /// The bundle is in Review.
    Review,
    /// Feedback was asked for.
    Asked,
    /// And given.
    Given,
    /// The decision was asked for.
    Approval,
    /// The bundle is approved.
    Approved,
    /// And published.
    Published,
    /// And entered on the development infrastructure, not active yet.
    Deployment,
    /// Disabled there.
    Disabled,
    /// As `Approval`, and then given up.
    Abandoned,
    /// As `Project`, and the node's project is hidden.
    Hidden,
    /// A person, a group, a key, a session and a link that nobody else uses.
    People,
    /// A role, a rule that gives another one, and grants of initiatives.
    Access,
}

/// What stands for `$names` in inputs.
pub type Names = BTreeMap<String, Value>;

/// A password that is good enough.
const PASSWORD: &str = "correct horse battery staple";

/// The people of one organisation.
struct Cast<'w> {
    world: &'w World,
    organisation: &'static str,
}

impl Cast<'_> {
    fn who(&self, name: &'static str) -> Caller {
        if self.organisation == "acme" { self.world.acme(name) } else { self.world.globex(name) }
    }

    async fn template(&self, item_type: &str) -> String {
        self.who("ann").templates(item_type).await.text("/templates/nodes/0/id")
    }

    /// The row of a list in which a field has a value.
    async fn row(&self, list: &str, shown: &str, field: &str, value: &str) -> Value {
        let query = format!("{{ {list}(first: 100) {{ nodes {{ id {shown} }} }} }}");
        let rows = self.who("admin").ask(&query, json!({})).await.at(&format!("/{list}/nodes"));
        let found = rows.as_array().unwrap().iter().find(|row| row[field] == value);
        found.unwrap_or_else(|| panic!("no {value} among {list}")).clone()
    }

    async fn user(&self, handle: &str) -> String {
        let email = format!("{handle}@{}.example", self.organisation);
        self.row("users", "email", "email", &email).await["id"].as_str().unwrap().to_owned()
    }
}

/// Does a mutation and answers what its payload shows.
pub async fn did(caller: &Caller, name: &str, input: Value, shown: &str) -> Value {
    let kind = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
    let kind = match name {
        "startStep" => "StepInput".to_owned(),
        "abandonSignOff" => "SignOffInput".to_owned(),
        _ => kind,
    };
    let query =
        format!("mutation($input: {kind}!) {{ {name}(input: $input) {{ {shown} userErrors {{ code message }} }} }}");
    caller.ask(&query, json!({ "input": input })).await.at(&format!("/{name}"))
}

/// Brings an organisation so far; `n` makes the names unique.
pub async fn situate(world: &World, organisation: &'static str, stage: Stage, n: usize) -> Names {
    let cast = Cast { world, organisation };
    let mut names = Names::new();
    names.insert("n".to_owned(), json!(n.to_string()));
    match stage {
        Stage::Nothing => {}
        Stage::People => people(&cast, n, &mut names).await,
        Stage::Access => access(&cast, n, &mut names).await,
        Stage::Hidden => {
            project(&cast, n, &mut names).await;
            did(&cast.who("ann"), "hideSourceObject", json!({ "sourceObjectId": names["inbox"] }), "").await;
        }
        Stage::Abandoned => {
            project(&cast, n, &mut names).await;
            review(&cast, Stage::Approval, n, &mut names).await;
            did(&cast.who("ann"), "abandonSignOff", json!({ "signOffId": names["signOff"] }), "").await;
        }
        Stage::Project
        | Stage::Governed
        | Stage::Review
        | Stage::Asked
        | Stage::Given
        | Stage::Approval
        | Stage::Approved
        | Stage::Published
        | Stage::Deployment
        | Stage::Disabled => {
            project(&cast, n, &mut names).await;
            review(&cast, stage, n, &mut names).await;
            deployment(&cast, stage, &mut names).await;
        }
    }
    names
}

/// A project, in its second step, and what its node reports.
async fn project(cast: &Cast<'_>, n: usize, names: &mut Names) {
    let ann = cast.who("ann");
    for (name, of) in [
        ("projectTemplate", "GOVERNED_PROJECT"),
        ("bundleTemplate", "GOVERNED_BUNDLE"),
        ("initiativeTemplate", "BUSINESS_INITIATIVE"),
    ] {
        names.insert(name.to_owned(), json!(cast.template(of).await));
    }
    let person = |user: String| json!({ "people": [{ "user": user }] });
    let (bea, fin) = (cast.user("bea").await, cast.user("fin").await);
    let fields = json!([
        { "key": "reviewers_business", "value": person(bea.clone()) },
        { "key": "final_approvers", "value": person(fin.clone()) },
    ]);
    let input = json!({ "templateId": names["projectTemplate"], "name": format!("Project {n}"), "fields": fields });
    let made = did(&ann, "createGovernedProject", input, "item { id revision }").await;
    let moves = json!([{ "step": "exploration", "move": "START" }, { "step": "exploration", "move": "FINISH" }]);
    let input = json!({ "itemId": made["item"]["id"], "expectedRevision": 1, "steps": moves });
    let saved = did(&ann, "updateItem", input, "item { id revision }").await;
    names.insert("project".to_owned(), saved["item"]["id"].clone());
    names.insert("projectRevision".to_owned(), saved["item"]["revision"].clone());
    names.insert("bea".to_owned(), json!(bea));
    names.insert("fin".to_owned(), json!(fin));
    let reported = json!([{ "kind": "PROJECT", "key": format!("P{n}"), "name": format!("Source {n}") }]);
    let reported = cast.who("design-1-sync").sync(reported).await;
    names.insert("inbox".to_owned(), reported.at("/syncSourceObjects/results/0/sourceObject/id"));
    names.insert("key".to_owned(), json!(format!("P{n}")));
    let initiative = json!({ "templateId": names["initiativeTemplate"], "name": format!("Initiative {n}") });
    let initiative = did(&ann, "createBusinessInitiative", initiative, "item { id }").await;
    names.insert("initiative".to_owned(), initiative["item"]["id"].clone());
    for slug in ["dev", "prod"] {
        let found = cast.row("infrastructures", "slug revision", "slug", slug).await;
        names.insert(slug.to_owned(), found["id"].clone());
        names.insert(format!("{slug}Revision"), found["revision"].clone());
    }
}

/// The bundle of the project, and its review.
async fn review(cast: &Cast<'_>, stage: Stage, n: usize, names: &mut Names) {
    let ann = cast.who("ann");
    if stage < Stage::Governed {
        return;
    }
    let future = json!([{ "kind": "BUNDLE", "action": "GOVERN", "templateId": names["bundleTemplate"] }]);
    let input = json!({ "sourceObjectId": names["inbox"], "itemId": names["project"], "futureChildren": future });
    did(&ann, "governSourceObject", input, "item { id }").await;
    let bundle = json!([{ "kind": "BUNDLE", "key": format!("B{n}"), "name": format!("Bundle {n}"),
        "parentKey": format!("P{n}"), "contentDigest": digest(&format!("B{n}")) }]);
    let reported = cast.who("design-1-sync").sync(bundle).await;
    let row = reported.at("/syncSourceObjects/results/0/sourceObject");
    names.insert("source".to_owned(), row["id"].clone());
    names.insert("bundle".to_owned(), row["item"]["id"].clone());
    names.insert("bundleRevision".to_owned(), json!(1));
    let bundle = row["item"]["id"].as_str().unwrap().to_owned();
    let sign_off = ann.review_of(&bundle).await;
    names.insert("signOff".to_owned(), json!(sign_off));
    if stage >= Stage::Review {
        let started = ann.step("startStep", &bundle, "review").await;
        names.insert("bundleRevision".to_owned(), started.at("/startStep/item/revision"));
    }
    if stage >= Stage::Asked {
        ann.request_feedback(&sign_off, json!([{ "group": "business" }])).await.done();
    }
    if stage >= Stage::Given {
        let given = cast.who("bea").submit_feedback(&sign_off, "business", "APPROVED", "Fine.").await;
        names.insert("feedback".to_owned(), given.at("/submitFeedback/signOff/feedback/0/id"));
    }
    if stage >= Stage::Approval {
        ann.request_final_approval(&sign_off).await.done();
    }
    if stage >= Stage::Approved {
        cast.who("fin").decide(&sign_off, "APPROVED", "").await.done();
    }
}

/// The bundle on the development infrastructure.
async fn deployment(cast: &Cast<'_>, stage: Stage, names: &mut Names) {
    let dep = cast.who("dep");
    if stage >= Stage::Published {
        dep.publish(names["source"].as_str().unwrap()).await.done();
    }
    if stage >= Stage::Deployment {
        let made = dep.create_deployment(names["dev"].as_str().unwrap(), names["source"].as_str().unwrap(), None).await;
        names.insert("deployment".to_owned(), made.at("/createDeployment/deployment/id"));
    }
    if stage >= Stage::Disabled {
        did(&dep, "disableDeployment", json!({ "deploymentId": names["deployment"] }), "").await;
    }
}

/// Somebody with a password and a session, a group, a key, a link.
async fn people(cast: &Cast<'_>, n: usize, names: &mut Names) {
    let admin = cast.who("admin");
    let email = format!("new{n}@{}.example", cast.organisation);
    let input = json!({ "name": format!("New {n}"), "email": email });
    let user = did(&admin, "createUser", input, "user { id }").await["user"]["id"].clone();
    for link in ["used", "link"] {
        let made = did(&admin, "createPasswordLink", json!({ "userId": user }), "token").await;
        names.insert(link.to_owned(), made["token"].clone());
        if link == "used" {
            did(&admin, "setPassword", json!({ "token": made["token"], "password": PASSWORD }), "").await;
            let input = json!({ "organisation": cast.organisation, "email": email, "password": PASSWORD });
            let signed_in = did(&admin, "signIn", input, "refreshToken").await;
            names.insert("refreshToken".to_owned(), signed_in["refreshToken"].clone());
        }
    }
    names.insert("user".to_owned(), user.clone());
    names.insert("email".to_owned(), json!(email));
    let seen = "query($id: ID!) { node(id: $id) { ... on User { revision sessions { id } } } }";
    let seen = admin.ask(seen, json!({ "id": user })).await;
    names.insert("userRevision".to_owned(), seen.at("/node/revision"));
    names.insert("session".to_owned(), seen.at("/node/sessions/0/id"));
    let group = did(&admin, "createGroup", json!({ "name": format!("Group {n}") }), "group { id }").await;
    names.insert("group".to_owned(), group["group"]["id"].clone());
    let node = did(
        &admin,
        "createSourceNode",
        json!({ "slug": format!("node-{n}"), "name": format!("Node {n}") }),
        "sourceNode { id }",
    )
    .await;
    names.insert("node".to_owned(), node["sourceNode"]["id"].clone());
    let input =
        json!({ "name": format!("Key {n}"), "owner": { "node": node["sourceNode"]["id"] }, "scopes": ["SYNC"] });
    let key = did(&admin, "createApiKey", input, "apiKey { id }").await;
    names.insert("apiKey".to_owned(), key["apiKey"]["id"].clone());
    let seen = admin.ask("{ tenant { revision } instanceRules { revision } }", json!({})).await;
    names.insert("tenantRevision".to_owned(), seen.at("/tenant/revision"));
    names.insert("rulesRevision".to_owned(), seen.at("/instanceRules/revision"));
}

/// A role that nobody has, a rule that gives one, and grants of a type.
async fn access(cast: &Cast<'_>, n: usize, names: &mut Names) {
    let admin = cast.who("admin");
    let role = json!({ "slug": format!("role-{n}"), "name": format!("Role {n}") });
    let role = did(&admin, "createRole", role, "role { id }").await["role"]["id"].clone();
    let reader = cast.row("roles", "slug", "slug", "reader").await["id"].clone();
    let user = json!(cast.user("eve").await);
    let rule =
        json!({ "roleId": reader, "scope": { "itemType": "BUSINESS_INITIATIVE" }, "actors": [{ "user": user }] });
    let rule = did(&admin, "createAssignmentRule", rule, "assignmentRule { id }").await;
    let seen = admin.ask("{ grants(first: 100) { nodes { itemType revision } } }", json!({})).await.at("/grants/nodes");
    let own = seen.as_array().unwrap().iter().find(|grants| grants["itemType"] == "BUSINESS_INITIATIVE");
    let input = json!({ "itemType": "BUSINESS_INITIATIVE", "everyone": { "permissions": ["CREATE"] },
        "expectedRevision": own.map_or(json!(0), |own| own["revision"].clone()) });
    let grants = did(&admin, "setGrants", input, "grants { id revision }").await["grants"].clone();
    names.insert("grants".to_owned(), grants["id"].clone());
    names.insert("grantsRevision".to_owned(), grants["revision"].clone());
    names.insert("role".to_owned(), role);
    names.insert("reader".to_owned(), reader);
    names.insert("rule".to_owned(), rule["assignmentRule"]["id"].clone());
    names.insert("user".to_owned(), user);
}

/// An input with the names of a situation filled in: `"$name"` becomes the value, `{n}` in a text the number.
pub fn filled(input: &Value, names: &Names) -> Value {
    match input {
        Value::String(text) => match text.strip_prefix('$') {
            Some(name) => names.get(name).unwrap_or_else(|| panic!("the situation has no {name}: {names:?}")).clone(),
            None => json!(text.replace("{n}", names.get("n").and_then(Value::as_str).unwrap_or_default())),
        },
        Value::Array(values) => values.iter().map(|value| filled(value, names)).collect(),
        Value::Object(values) => {
            let filled = values.iter().map(|(key, value)| (key.clone(), filled(value, names)));
            Value::Object(filled.collect::<Map<_, _>>())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => input.clone(),
    }
}

/// One operation of the matrix: a root field with what it is asked.
pub struct Asked {
    /// The root field, and what it is asked about where it stands in several rows.
    pub field: &'static str,
    pub about: &'static str,
    pub stage: Stage,
    /// The arguments of a query or subscription; the input of a mutation.
    pub arguments: Value,
}

fn asked(field: &'static str, stage: Stage, arguments: Value) -> Asked {
    Asked { field, about: "", stage, arguments }
}

/// Every query: what is asked of the one situation in which all queries are asked.
pub fn queries() -> Vec<Asked> {
    let of = |field, arguments| asked(field, Stage::Nothing, arguments);
    let about = |field, about, arguments| Asked { about, ..asked(field, Stage::Nothing, arguments) };
    let whole = json!({ "first": 100 });
    let mut all = vec![
        about("node", "a project", json!({ "id": "$project" })),
        about("node", "a bundle", json!({ "id": "$bundle" })),
        about("node", "a sign-off", json!({ "id": "$signOff" })),
        about("node", "a governed source object", json!({ "id": "$source" })),
        about("node", "a source object in the inbox", json!({ "id": "$waiting" })),
        about("node", "a hidden source object", json!({ "id": "$hidden" })),
        about("node", "a deleted project", json!({ "id": "$deleted" })),
        about("node", "a template", json!({ "id": "$projectTemplate" })),
        about("node", "an infrastructure", json!({ "id": "$dev" })),
        about("node", "a deployment", json!({ "id": "$deployment" })),
        about("node", "a person", json!({ "id": "$user" })),
        about("node", "a group", json!({ "id": "$group" })),
        of("nodes", json!({ "ids": ["$project", "$signOff", "$source", "$deployment", "$user"] })),
        about("sourceObject", "governed", json!({ "kind": "BUNDLE", "key": "B1", "node": "design-1" })),
        about("sourceObject", "in the inbox", json!({ "kind": "PROJECT", "key": "P2", "node": "design-1" })),
        of("governedItems", json!({ "first": 100, "filter": { "under": "$project" } })),
        of("deployments", json!({ "first": 100, "infrastructureId": "$dev" })),
        about("templates", "active", whole.clone()),
        about("templates", "drafts", json!({ "status": "DRAFT" })),
        of("timeline", json!({ "first": 100, "itemId": "$bundle" })),
    ];
    all.push(of("events", json!({ "first": 100, "after": "$before" })));
    let explain = |action, object| json!({ "action": action, "objectId": object });
    all.extend([
        about("explainAccess", "oneself, to a project", explain("READ_ITEM", "$project")),
        about("explainAccess", "oneself, to the inbox", explain("GOVERN_SOURCE_OBJECT", "$waiting")),
        about(
            "explainAccess",
            "somebody else",
            json!({ "actorId": "$bea", "action": "READ_ITEM", "objectId": "$project" }),
        ),
    ]);
    for list in [
        "governedProjects",
        "businessInitiatives",
        "bundleRegistry",
        "modelRegistry",
        "governableItems",
        "sourceObjects",
        "infrastructures",
        "users",
        "groups",
        "sourceNodes",
        "apiKeys",
        "roles",
        "assignmentRules",
        "grants",
        "authorizationMatrix",
        "tenants",
    ] {
        all.push(of(list, whole.clone()));
    }
    all.extend(["myReviewTasks", "instanceRules", "viewer", "tenant"].map(|field| of(field, json!({}))));
    all
}

/// Every mutation.
pub fn mutations() -> Vec<Asked> {
    use Stage as S;
    let mut all = items();
    all.extend(reviews());
    let deployment = json!({ "deploymentId": "$deployment" });
    all.extend([
        asked(
            "syncSourceObjects",
            S::Project,
            json!({ "objects": [{ "kind": "PROJECT", "key": "NEW{n}", "name": "New {n}" }] }),
        ),
        asked("deleteSourceObjects", S::Project, json!({ "objects": [{ "kind": "PROJECT", "key": "$key" }] })),
        asked(
            "governSourceObject",
            S::Project,
            json!({ "sourceObjectId": "$inbox", "templateId": "$projectTemplate" }),
        ),
        asked("hideSourceObject", S::Project, json!({ "sourceObjectId": "$inbox" })),
        asked("unhideSourceObject", S::Hidden, json!({ "sourceObjectId": "$inbox" })),
        asked(
            "setInstanceRules",
            S::People,
            json!({ "expectedRevision": "$rulesRevision", "rules": [{ "kind": "BUNDLE", "action": "HIDE" }] }),
        ),
        asked(
            "setChildRules",
            S::Project,
            json!({ "itemId": "$project", "expectedRevision": 0, "rules": [{ "kind": "BUNDLE", "action": "HIDE" }] }),
        ),
        asked("publishSourceObject", S::Approved, json!({ "sourceObjectId": "$source" })),
        asked(
            "createInfrastructure",
            S::People,
            json!({ "slug": "infra-{n}", "name": "Infrastructure {n}", "stage": "TEST", "policy": "WARN" }),
        ),
        asked(
            "updateInfrastructure",
            S::Project,
            json!({ "infrastructureId": "$dev", "expectedRevision": "$devRevision", "policy": "WARN" }),
        ),
        asked(
            "createDeployment",
            S::Published,
            json!({ "infrastructureId": "$dev", "sourceObjectId": "$source", "name": "Deployment {n}" }),
        ),
        asked(
            "updateDeployment",
            S::Deployment,
            json!({ "deploymentId": "$deployment", "expectedRevision": 1, "sourceObjectId": "$source" }),
        ),
        asked("deploy", S::Deployment, deployment.clone()),
        asked("reportDeploymentStatus", S::Deployment, json!({ "deploymentId": "$deployment", "status": "HEALTHY" })),
        asked("disableDeployment", S::Deployment, deployment.clone()),
        asked("deleteDeployment", S::Disabled, deployment),
    ]);
    all.extend(identities());
    all.extend(accesses());
    all
}

fn items() -> Vec<Asked> {
    use Stage as S;
    let step =
        |item: &str, step: &str, revision: &str| json!({ "itemId": item, "step": step, "expectedRevision": revision });
    let save =
        |fields: Value| json!({ "itemId": "$project", "expectedRevision": "$projectRevision", "fields": fields });
    let about = |about, asked: Asked| Asked { about, ..asked };
    vec![
        asked("createGovernedProject", S::Project, json!({ "templateId": "$projectTemplate", "name": "Another {n}" })),
        asked(
            "createBusinessInitiative",
            S::Project,
            json!({ "templateId": "$initiativeTemplate", "name": "Another {n}" }),
        ),
        about(
            "a text",
            asked("updateItem", S::Project, save(json!([{ "key": "description", "value": { "text": "Churn" } }]))),
        ),
        about(
            "its reviewers",
            asked(
                "updateItem",
                S::Project,
                save(json!([{ "key": "reviewers_business", "value": { "people": [{ "user": "$fin" }] } }])),
            ),
        ),
        asked("startStep", S::Governed, step("$bundle", "review", "$bundleRevision")),
        asked("finishStep", S::Project, step("$project", "qualification", "$projectRevision")),
        asked("reopenStep", S::Project, step("$project", "exploration", "$projectRevision")),
        asked("cancelStep", S::Project, step("$project", "qualification", "$projectRevision")),
        asked("followItem", S::Project, json!({ "itemId": "$project", "follow": true })),
        asked("deleteItem", S::Project, json!({ "itemId": "$project", "expectedRevision": "$projectRevision" })),
    ]
}

fn reviews() -> Vec<Asked> {
    use Stage as S;
    let sign_off = json!({ "signOffId": "$signOff" });
    let edit = json!({ "signOffId": "$signOff", "reviewId": "$feedback", "status": "MAJOR_ISSUE" });
    vec![
        asked(
            "requestFeedback",
            S::Review,
            json!({ "signOffId": "$signOff", "notify": [{ "group": "business", "users": ["$bea"] }] }),
        ),
        asked(
            "submitFeedback",
            S::Asked,
            json!({ "signOffId": "$signOff", "group": "business", "status": "APPROVED" }),
        ),
        asked("editFeedback", S::Given, edit),
        asked("deleteFeedback", S::Given, json!({ "signOffId": "$signOff", "reviewId": "$feedback" })),
        asked("requestFinalApproval", S::Given, json!({ "signOffId": "$signOff", "notify": ["$fin"] })),
        asked("returnToFeedback", S::Approval, sign_off.clone()),
        asked("decide", S::Approval, json!({ "signOffId": "$signOff", "decision": "APPROVED" })),
        asked("abandonSignOff", S::Approval, sign_off.clone()),
        asked("resumeSignOff", S::Abandoned, sign_off.clone()),
        asked("resetSignOff", S::Approved, sign_off),
    ]
}

fn identities() -> Vec<Asked> {
    let people = |field, input| asked(field, Stage::People, input);
    vec![
        people("signIn", json!({ "organisation": "acme", "email": "$email", "password": PASSWORD })),
        people("refreshSession", json!({ "refreshToken": "$refreshToken" })),
        people("setPassword", json!({ "token": "$link", "password": "another horse battery staple" })),
        asked("signOut", Stage::Nothing, Value::Null),
        people("endSession", json!({ "sessionId": "$session" })),
        people("endAllSessions", json!({ "userId": "$user" })),
        people("changePassword", json!({ "oldPassword": PASSWORD, "newPassword": "another horse battery staple" })),
        asked("rotateSigningKey", Stage::Nothing, Value::Null),
        people("createPasswordLink", json!({ "userId": "$user" })),
        people("createUser", json!({ "name": "Made {n}", "email": "made{n}@acme.example" })),
        people("updateUser", json!({ "userId": "$user", "expectedRevision": "$userRevision", "name": "Renamed" })),
        people("createUsers", json!({ "users": [{ "name": "Made {n}", "email": "made{n}@acme.example" }] })),
        people(
            "updateUsers",
            json!({ "users": [{ "userId": "$user", "expectedRevision": "$userRevision", "name": "Renamed" }] }),
        ),
        people("deleteUsers", json!({ "users": ["$user"] })),
        people("impersonate", json!({ "userId": "$user" })),
        people("createGroup", json!({ "name": "Made {n}", "members": ["$user"] })),
        people("updateGroup", json!({ "groupId": "$group", "expectedRevision": 1, "add": ["$user"] })),
        people("createSourceNode", json!({ "slug": "made-{n}", "name": "Made {n}" })),
        people("createApiKey", json!({ "name": "Made {n}", "owner": { "node": "$node" }, "scopes": ["SYNC"] })),
        people("rotateApiKey", json!({ "apiKeyId": "$apiKey" })),
        people("revokeApiKey", json!({ "apiKeyId": "$apiKey" })),
        people(
            "updateTenantSettings",
            json!({ "expectedRevision": "$tenantRevision", "requesterMayNotApprove": true }),
        ),
        people(
            "createTenant",
            json!({ "slug": "made-{n}", "name": "Made {n}", "administratorName": "Ada", "administratorEmail": "ada@made.example" }),
        ),
        asked(
            "setTenantQuota",
            Stage::Nothing,
            json!({ "slug": "globex", "expectedRevision": 1, "quota": { "items": 1_000 } }),
        ),
        asked("suspendTenant", Stage::Nothing, json!({ "slug": "globex" })),
        asked("resumeTenant", Stage::Nothing, json!({ "slug": "globex" })),
        asked("eraseTenant", Stage::Nothing, json!({ "slug": "globex" })),
    ]
}

fn accesses() -> Vec<Asked> {
    let access = |field, input| asked(field, Stage::Access, input);
    let read = json!({ "permissions": ["READ"] });
    vec![
        access("createRole", json!({ "slug": "made-{n}", "name": "Made {n}" })),
        Asked {
            about: "that audits",
            ..access("createRole", json!({ "slug": "made-{n}", "name": "Made {n}", "audits": true }))
        },
        access("updateRole", json!({ "roleId": "$role", "expectedRevision": 1, "name": "Renamed" })),
        access("deleteRole", json!({ "roleId": "$role", "expectedRevision": 1 })),
        access(
            "createAssignmentRule",
            json!({ "roleId": "$role", "scope": { "itemType": "GOVERNED_PROJECT" }, "actors": [{ "user": "$user" }] }),
        ),
        access(
            "updateAssignmentRule",
            json!({ "assignmentRuleId": "$rule", "expectedRevision": 1, "roleId": "$role" }),
        ),
        access("deleteAssignmentRule", json!({ "assignmentRuleId": "$rule", "expectedRevision": 1 })),
        access(
            "setGrants",
            json!({ "itemType": "BUSINESS_INITIATIVE", "expectedRevision": "$grantsRevision", "everyone": read }),
        ),
        access("deleteGrants", json!({ "grantsId": "$grants", "expectedRevision": "$grantsRevision" })),
    ]
}

/// Every subscription.
pub fn subscriptions() -> Vec<Asked> {
    ["feedbackRequests", "reviewRequests", "events"]
        .map(|field| asked(field, Stage::Nothing, json!({ "after": "$before" })))
        .into()
}
