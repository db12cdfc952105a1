//! Events: streams that go on from any cursor, requests that reach whom they name, and what is not for everyone.

use super::{
    fixture,
    machine::{CountedIds, HandClock, machine},
};
use async_graphql::{Variables, futures_util::stream::BoxStream};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign::{
    app::{App, Budgets, Call, demo, fixture::ACME, founder},
    domain::{
        access::{View, Viewer},
        action::CreateGovernedProject,
        event::EventKind,
        field::{FieldChange, FieldValue},
        id::TenantId,
        identity::{ApiKey, Group, GroupChange, User, UserChange},
        item::NewItem,
        policy::{FieldException, Grants},
        state::State,
        template::{ItemType, TemplateStatus},
        text::{FieldKey, Name, Text},
    },
    graphql::{self, Admitted, Api, ApiConnection, Asked, Begun, Told},
    store::Store,
};
use futures_util::{FutureExt, StreamExt, future::ready, stream::once};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Both organisations, without a wire.
struct Hall {
    app: App,
    api: Api,
    acme: TenantId,
    credentials: BTreeMap<String, String>,
    directory: tempfile::TempDir,
    clock: Arc<HandClock>,
}

type Heard = BoxStream<'static, Arc<Told>>;

const LOG: &str = "query($after: EventCursor, $first: Int) { events(after: $after, first: $first) {
    edges { cursor node { kind } } pageInfo { hasNextPage endCursor } } }";
const EVENTS: &str = "subscription($after: EventCursor, $filter: EventStreamFilter) {
    events(after: $after, filter: $filter) { cursor node { kind } } }";
const FEEDBACK: &str = "subscription($after: EventCursor) { feedbackRequests(after: $after) {
    cursor node { signOff { id } item { name } step groups requestedBy { name } } } }";
const REVIEWS: &str = "subscription($after: EventCursor) { reviewRequests(after: $after) {
    cursor node { kind signOff { id status } groups } } }";

/// What an operation tells.
fn told(socket: ApiConnection, admitted: Admitted) -> Heard {
    let begun = async move {
        match socket.begin(&admitted).await {
            Begun::Stream { answers, .. } => answers,
            Begun::Refused(answered) => once(ready(Arc::new(Told::of(&answered.response)))).boxed(),
        }
    };
    once(begun).flatten().boxed()
}

fn asked(query: &str, variables: Value) -> Asked {
    Asked { query: Some(query.to_owned()), variables: Variables::from_json(variables), ..Asked::default() }
}

impl Hall {
    async fn new() -> Self {
        let (clock, directory) = (HandClock::new(), tempfile::tempdir().unwrap());
        let store = Store::open(directory.path(), &machine(&clock, CountedIds::from(1))).unwrap();
        let app = App::open(store).await.unwrap();
        let mut credentials = BTreeMap::new();
        for fixture in demo::FIXTURES {
            for signed in demo::found(&app, fixture).await.unwrap() {
                credentials.insert(format!("{}/{}", fixture.slug, signed.handle), signed.credential);
            }
        }
        let admin = app.authenticate(&credentials["acme/admin"]).await.unwrap();
        Self {
            api: Api::new(app.clone(), &graphql::Options { budgets: Budgets::NONE, ..graphql::Options::default() })
                .unwrap(),
            app,
            acme: admin.tenant(),
            credentials,
            directory,
            clock,
        }
    }

    /// The same after a restart.
    async fn restarted(self) -> Self {
        let Self { app, api, acme, credentials, directory, clock } = self;
        let store = app.store().clone();
        drop((app, api));
        tokio::task::spawn_blocking(move || store.close()).await.unwrap();
        let store = Store::open(directory.path(), &machine(&clock, CountedIds::from(1_000_000))).unwrap();
        let app = App::open(store).await.unwrap();
        Self {
            api: Api::new(app.clone(), &graphql::Options { budgets: Budgets::NONE, ..graphql::Options::default() })
                .unwrap(),
            app,
            acme,
            credentials,
            directory,
            clock,
        }
    }

    fn credential(&self, who: &str) -> &str {
        let who = if who.contains('/') { who.to_owned() } else { format!("acme/{who}") };
        &self.credentials[&who]
    }

    async fn response(&self, who: &str, query: &str, variables: Value) -> Value {
        let admitted = self.api.admit(asked(query, variables)).unwrap();
        serde_json::to_value(self.api.request(Some(self.credential(who)), None, admitted).await.response).unwrap()
    }

    async fn ask(&self, who: &str, query: &str, variables: Value) -> Value {
        let response = self.response(who, query, variables).await;
        assert!(response.get("errors").is_none(), "{who}: {response:#}");
        for payload in response["data"].as_object().unwrap().values() {
            assert!(payload["userErrors"].as_array().is_none_or(Vec::is_empty), "{who}: {response:#}");
        }
        response["data"].clone()
    }

    /// A mutation; answers its payload.
    async fn does(&self, who: &str, mutation: &str, input: &str, shown: &str, given: Value) -> Value {
        let query = format!(
            "mutation($input: {input}!) {{ {mutation}(input: $input) {{ {shown} cursor userErrors {{ code path }} }} }}"
        );
        self.ask(who, &query, json!({ "input": given })).await[mutation].clone()
    }

    async fn listens(&self, who: &str, query: &str, variables: Value) -> Heard {
        let socket = self.api.connection(Some(self.credential(who)), None).await.unwrap();
        let mut heard = told(socket, self.api.admit(asked(query, variables)).unwrap());
        // Polled once, as a socket does, so that "from now on" means from here.
        assert!(poll(&mut heard).await.is_none(), "nothing has happened yet");
        heard
    }

    async fn replays(&self, who: &str, query: &str, variables: Value) -> Heard {
        let socket = self.api.connection(Some(self.credential(who)), None).await.unwrap();
        told(socket, self.api.admit(asked(query, variables)).unwrap())
    }

    /// Everything that somebody may read, page by page, with each cursor.
    async fn log(&self, who: &str, page_size: i32) -> Vec<(String, String)> {
        let (mut all, mut after) = (vec![], Value::Null);
        loop {
            let page = self.ask(who, LOG, json!({ "after": after, "first": page_size })).await["events"].clone();
            all.extend(page["edges"].as_array().unwrap().iter().map(edge));
            after = page["pageInfo"]["endCursor"].clone();
            if page["pageInfo"]["hasNextPage"] == false {
                return all;
            }
        }
    }

    async fn template(&self, item_type: &str) -> String {
        let query = "query($type: ItemType) { templates(itemType: $type) { nodes { id } } }";
        let found = self.ask("ann", query, json!({ "type": item_type })).await;
        text(&found, "/templates/nodes/0/id")
    }

    async fn user(&self, name: &str) -> User {
        let snapshot = self.app.snapshot(&founder(self.acme)).await.unwrap();
        (**snapshot.view().all::<User>().find(|user| user.name.as_str() == name).unwrap()).clone()
    }

    fn admin(&self) -> Call {
        Call { viewer: founder(self.acme), idempotency: None }
    }

    async fn disable(&self, name: &str) {
        let user = self.user(name).await;
        let change = UserChange { expected_revision: user.revision, name: None, standing: None, active: Some(false) };
        self.app.update_user(&self.admin(), user.id, change).await.unwrap();
    }
}

fn json_of(told: &Told) -> Value {
    serde_json::from_str(&told.json).unwrap()
}

/// What has come by now; none when nothing has.
async fn poll(heard: &mut Heard) -> Option<Value> {
    let next = tokio::time::timeout(Duration::from_millis(40), heard.next()).await;
    next.ok().flatten().map(|told| json_of(&told))
}

async fn next(heard: &mut Heard) -> Value {
    let response = tokio::time::timeout(Duration::from_secs(5), heard.next()).await.expect("an edge").unwrap();
    let response = json_of(&response);
    assert!(response.get("errors").is_none(), "{response:#}");
    response["data"].as_object().unwrap().values().next().unwrap().clone()
}

fn edge(edge: &Value) -> (String, String) {
    (text(edge, "/cursor"), text(edge, "/node/kind"))
}

#[track_caller]
fn text(value: &Value, pointer: &str) -> String {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no text at {pointer} in {value:#}")).to_owned()
}

/// The number of the commit that a cursor stands in.
fn commit_of(cursor: &str) -> u64 {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).unwrap();
    u64::from_be_bytes(bytes[16..24].try_into().unwrap())
}

/// A governed project with one bundle in review.
struct Story {
    project: String,
    bundle: String,
    sign_off: String,
}

impl Hall {
    /// Ann's project, with Bea in two of the groups of reviewers, and a first bundle whose Review is ongoing.
    async fn story(&self) -> Story {
        let (project_template, bundles) =
            (self.template("GOVERNED_PROJECT").await, self.template("GOVERNED_BUNDLE").await);
        let input = json!({ "templateId": project_template, "name": "Churn" });
        let made = self.does("ann", "createGovernedProject", "CreateGovernedProjectInput", "item { id }", input).await;
        let project = text(&made, "/item/id");
        let person = |id: &str| json!({ "people": [{ "user": id }] });
        let (bea, fin) = (self.global("Bea Business").await, self.global("Fin Approver").await);
        let input = json!({ "itemId": project, "expectedRevision": 1, "name": "Churn 2", "fields": [
            { "key": "reviewers_business", "value": person(&bea) },
            { "key": "reviewers_it_operations", "value": person(&bea) },
            { "key": "final_approvers", "value": person(&fin) },
        ] });
        self.does("ann", "updateItem", "UpdateItemInput", "item { id }", input).await;
        let objects = json!([{ "kind": "PROJECT", "key": "CHURN", "name": "Churn" }]);
        let source = text(&self.sync(objects).await, "/results/0/sourceObject/id");
        let input = json!({ "sourceObjectId": source, "itemId": project, "templateId": project_template,
            "existingChildren": [], "futureChildren": [{ "kind": "BUNDLE", "action": "GOVERN", "templateId": bundles }] });
        self.does("ann", "governSourceObject", "GovernSourceObjectInput", "item { id }", input).await;
        let objects = json!([{ "kind": "BUNDLE", "key": "v1", "name": "v1", "parentKey": "CHURN",
            "contentDigest": format!("sha256:{}", "a".repeat(64)) }]);
        let bundle = text(&self.sync(objects).await, "/results/0/sourceObject/item/id");
        let input = json!({ "itemId": bundle, "step": "review", "expectedRevision": 1 });
        let shown = "item { step(key: \"review\") { signOff { id } } }";
        let started = self.does("ann", "startStep", "StepInput", shown, input).await;
        Story { project, bundle, sign_off: text(&started, "/item/step/signOff/id") }
    }

    async fn sync(&self, objects: Value) -> Value {
        let shown = "results { sourceObject { id item { id } } }";
        let given = json!({ "objects": objects });
        self.does("design-1-sync", "syncSourceObjects", "SyncSourceObjectsInput", shown, given).await
    }

    async fn global(&self, name: &str) -> String {
        let bytes: Vec<u8> = [3].into_iter().chain(*self.user(name).await.id.uuid().as_bytes()).collect();
        URL_SAFE_NO_PAD.encode(bytes)
    }

    async fn request_feedback(&self, story: &Story) {
        let notify = json!([{ "group": "business" }, { "group": "it_operations" }]);
        let input = json!({ "signOffId": story.sign_off, "notify": notify });
        self.does("ann", "requestFeedback", "RequestFeedbackInput", "signOff { status }", input).await;
    }

    async fn request_approval(&self, story: &Story) {
        let input = json!({ "signOffId": story.sign_off });
        self.does("ann", "requestFinalApproval", "RequestFinalApprovalInput", "signOff { status }", input).await;
    }

    async fn feedback(&self, story: &Story) {
        let input =
            json!({ "signOffId": story.sign_off, "group": "business", "status": "MINOR_ISSUE", "comment": "Nearly" });
        self.does("bea", "submitFeedback", "SubmitFeedbackInput", "signOff { status }", input).await;
    }

    async fn rename(&self, item: &str, revision: u64, name: &str) -> String {
        let input = json!({ "itemId": item, "expectedRevision": revision, "name": name });
        text(&self.does("ann", "updateItem", "UpdateItemInput", "item { id }", input).await, "/cursor")
    }
}

#[tokio::test]
async fn whoever_goes_on_from_any_cursor_gets_exactly_the_rest() {
    let hall = Hall::new().await;
    let story = hall.story().await;
    hall.request_feedback(&story).await;
    hall.feedback(&story).await;
    let log = hall.log("ann", 100).await;
    assert_eq!(log, hall.log("ann", 3).await, "pages of any size make the same log");
    let inside = log.windows(2).filter(|two| commit_of(&two[0].0) == commit_of(&two[1].0)).count();
    assert!(inside > 5, "some cursors lie inside a commit");
    for (at, (cursor, _)) in log.iter().enumerate() {
        let mut heard = hall.replays("ann", EVENTS, json!({ "after": cursor })).await;
        for expected in &log[at + 1..] {
            assert_eq!(edge(&next(&mut heard).await), *expected, "after {at}");
        }
        if at % 8 == 0 {
            assert_eq!(poll(&mut heard).await, None, "nothing more after {at}");
        }
    }
    let hall = hall.restarted().await;
    assert_eq!(log, hall.log("ann", 7).await, "a restart changes nothing");
    let mut heard = hall.replays("ann", EVENTS, json!({ "after": log[2].0 })).await;
    assert_eq!(edge(&next(&mut heard).await), log[3]);
}

#[tokio::test]
async fn a_live_stream_hears_each_event_once_in_order() {
    let hall = Hall::new().await;
    let story = hall.story().await;
    let begin = hall.log("ann", 100).await.len();
    let mut live = hall.listens("ann", EVENTS, json!({})).await;
    for revision in 1..=20 {
        hall.rename(&story.bundle, revision + 1, &format!("v1 {revision}")).await;
    }
    let written = hall.log("ann", 100).await.split_off(begin);
    assert_eq!(written.len(), 20);
    for expected in written {
        assert_eq!(edge(&next(&mut live).await), expected);
    }
    assert_eq!(poll(&mut live).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_while_many_write_and_a_reader_comes_and_goes() {
    let hall = Arc::new(Hall::new().await);
    let template = hall.template("GOVERNED_PROJECT").await;
    let begin = hall.log("ann", 100).await.pop().unwrap().0;
    let mut reader = hall.replays("ann", EVENTS, json!({ "after": begin })).await;
    let writers = (0..8).map(|writer| {
        let (hall, template) = (Arc::clone(&hall), template.clone());
        tokio::spawn(async move {
            for n in 0..20 {
                let input = json!({ "templateId": template, "name": format!("{writer}-{n}"), "fields": [
                    { "key": "description", "value": { "text": "One of many" } } ] });
                hall.does("ann", "createGovernedProject", "CreateGovernedProjectInput", "item { id }", input).await;
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut heard = vec![];
    while heard.len() < 320 {
        let found = edge(&next(&mut reader).await);
        if heard.len() % 7 == 6 {
            reader = hall.replays("ann", EVENTS, json!({ "after": found.0 })).await;
        }
        heard.push(found);
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(poll(&mut reader).await, None);
    let mut log = hall.log("ann", 100).await;
    let from = log.iter().position(|(cursor, _)| *cursor == begin).unwrap();
    assert_eq!(heard, log.split_off(from + 1));
}

#[tokio::test]
async fn a_mutations_cursor_begins_behind_all_of_it() {
    let hall = Hall::new().await;
    let story = hall.story().await;
    let cursor = hall.rename(&story.bundle, 2, "v1 renamed").await;
    let mut heard = hall.listens("ann", EVENTS, json!({ "after": cursor })).await;
    hall.request_feedback(&story).await;
    assert_eq!(edge(&next(&mut heard).await).1, "FEEDBACK_REQUESTED");
}

#[tokio::test]
async fn a_request_reaches_those_it_notifies_once_and_nobody_else() {
    let hall = Hall::new().await;
    let story = hall.story().await;
    let before = hall.log("ann", 100).await.pop().unwrap().0;
    let mut bea = hall.listens("bea", FEEDBACK, json!({})).await;
    let mut bea_reviews = hall.listens("bea", REVIEWS, json!({})).await;
    let mut fin = hall.listens("fin", REVIEWS, json!({})).await;
    let mut silent = vec![];
    for (who, query) in [
        ("eve", FEEDBACK),
        ("eve", EVENTS),
        ("ann", FEEDBACK),
        ("aud", REVIEWS),
        ("globex/bea", FEEDBACK),
        ("globex/admin", EVENTS),
    ] {
        silent.push((who, query, hall.listens(who, query, json!({})).await));
    }
    hall.request_feedback(&story).await;
    let heard = next(&mut bea).await;
    let expected = json!({ "signOff": { "id": story.sign_off }, "item": { "name": "v1" }, "step": "review",
        "groups": ["business", "it_operations"], "requestedBy": { "name": "Ann Builder" } });
    assert_eq!(heard["node"], expected);
    assert_eq!(next(&mut bea_reviews).await["node"]["kind"], "FEEDBACK");
    hall.request_approval(&story).await;
    let asked = next(&mut fin).await;
    let expected = json!({ "kind": "FINAL_APPROVAL", "groups": [],
        "signOff": { "id": story.sign_off, "status": "WAITING_FOR_APPROVAL" } });
    assert_eq!(asked["node"], expected);
    for (_, mut stream) in [("bea", bea), ("bea", bea_reviews), ("fin", fin)] {
        assert_eq!(poll(&mut stream).await, None, "heard once");
    }
    for (who, query, mut stream) in silent {
        assert_eq!(poll(&mut stream).await, None, "{who} hears nothing of {query}");
    }
    let mut returned = hall.replays("bea", FEEDBACK, json!({ "after": before })).await;
    assert_eq!(next(&mut returned).await["cursor"], heard["cursor"], "the same request under the same cursor");
    let mut again = hall.replays("bea", FEEDBACK, json!({ "after": heard["cursor"] })).await;
    assert_eq!(poll(&mut again).await, None, "nothing twice");
}

#[tokio::test]
async fn a_stream_ends_when_its_viewer_no_longer_stands() {
    let hall = Hall::new().await;
    let story = hall.story().await;
    let mut rita = hall.listens("rita", EVENTS, json!({})).await;
    hall.rename(&story.bundle, 2, "before").await;
    assert_eq!(edge(&next(&mut rita).await).1, "ITEM_RENAMED");
    // What was committed before, and would be delivered after, is not delivered either.
    hall.rename(&story.bundle, 3, "between").await;
    hall.disable("Rita Reader").await;
    hall.rename(&story.bundle, 4, "after").await;
    let end = json_of(&rita.next().await.unwrap());
    assert_eq!(end["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{end:#}");
    assert!(end["data"].is_null() || end["data"]["events"].is_null(), "{end:#}");
    assert!(rita.next().await.is_none(), "and that is the end");

    // A revoked key, while nothing but the revocation happens.
    let mut node = hall.listens("design-1-sync", EVENTS, json!({})).await;
    let snapshot = hall.app.snapshot(&founder(hall.acme)).await.unwrap();
    let keys = snapshot.view().all::<ApiKey>();
    let key = keys.into_iter().find(|key| key.name.as_str() == "Sync of design-1").unwrap().id;
    hall.app.revoke_api_key(&hall.admin(), key).await.unwrap();
    let end = json_of(&node.next().await.unwrap());
    assert_eq!(end["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{end:#}");
    assert!(node.next().await.is_none());
}

#[tokio::test]
async fn nothing_is_delivered_once_a_right_is_gone() {
    let hall = Hall::new().await;
    let story = hall.story().await;
    let mut rita = hall.listens("rita", EVENTS, json!({})).await;
    hall.rename(&story.bundle, 2, "between").await;
    let snapshot = hall.app.snapshot(&founder(hall.acme)).await.unwrap();
    let readers = snapshot.view().all::<Group>().find(|group| group.name.as_str() == "Readers").unwrap().clone();
    let remove = vec![hall.user("Rita Reader").await.id];
    let change = GroupChange { expected_revision: readers.revision, remove, ..GroupChange::default() };
    hall.app.update_group(&hall.admin(), readers.id, change).await.unwrap();
    hall.rename(&story.bundle, 3, "after").await;
    assert_eq!(poll(&mut rita).await, None, "the right counts that holds at delivery");
    let own = hall.log("rita", 100).await;
    assert!(own.iter().all(|(_, kind)| !kind.starts_with("ITEM") && !kind.starts_with("STEP")), "{own:?}");
}

#[tokio::test]
async fn each_reads_the_kinds_that_are_for_him() {
    let hall = Hall::new().await;
    let story = hall.story().await;
    hall.request_feedback(&story).await;
    let mut rows = vec![];
    for who in ["aud", "gm", "ann", "dep", "eve", "design-1-sync", "auto-1-sync"] {
        let mut kinds: Vec<_> = hall.log(who, 100).await.into_iter().map(|(_, kind)| kind).collect();
        kinds.sort();
        kinds.dedup();
        rows.push(format!("{who}: {}", kinds.join(" ")));
    }
    insta::assert_snapshot!(rows.join("\n"), @r#"
    aud: ACCESS_CONFIGURED API_KEY_CREATED FEEDBACK_REQUESTED FIELD_CHANGED GROUP_CREATED INFRASTRUCTURE_CREATED INSTANCE_RULES_CHANGED ITEM_CREATED ITEM_RENAMED SIGNED_IN SOURCE_NODE_CREATED SOURCE_OBJECT_GOVERNED SOURCE_OBJECT_REPORTED STEP_STARTED TEMPLATE_CREATED TENANT_FOUNDED USER_CREATED VALIDATION_CHANGED
    gm: FEEDBACK_REQUESTED FIELD_CHANGED INFRASTRUCTURE_CREATED INSTANCE_RULES_CHANGED ITEM_CREATED ITEM_RENAMED SIGNED_IN SOURCE_OBJECT_GOVERNED SOURCE_OBJECT_REPORTED STEP_STARTED TEMPLATE_CREATED USER_CREATED VALIDATION_CHANGED
    ann: FEEDBACK_REQUESTED FIELD_CHANGED INFRASTRUCTURE_CREATED INSTANCE_RULES_CHANGED ITEM_CREATED ITEM_RENAMED SIGNED_IN SOURCE_OBJECT_GOVERNED SOURCE_OBJECT_REPORTED STEP_STARTED TEMPLATE_CREATED USER_CREATED VALIDATION_CHANGED
    dep: FEEDBACK_REQUESTED FIELD_CHANGED INFRASTRUCTURE_CREATED INSTANCE_RULES_CHANGED ITEM_CREATED ITEM_RENAMED SIGNED_IN SOURCE_OBJECT_GOVERNED SOURCE_OBJECT_REPORTED STEP_STARTED TEMPLATE_CREATED USER_CREATED VALIDATION_CHANGED
    eve: SIGNED_IN TEMPLATE_CREATED USER_CREATED
    design-1-sync: SOURCE_OBJECT_GOVERNED SOURCE_OBJECT_REPORTED VALIDATION_CHANGED
    auto-1-sync:
    "#);
    let own = hall.log("eve", 100).await.into_iter().filter(|(_, kind)| kind == "USER_CREATED").count();
    assert_eq!(own, 1, "of people, Eve reads herself only");
}

const TIMELINE: &str = "query($item: ID, $first: Int, $after: EventCursor, $last: Int, $before: EventCursor,
    $order: TimelineOrder, $kinds: [EventKind!], $actor: ID) {
    timeline(itemId: $item, first: $first, after: $after, last: $last, before: $before, orderBy: $order,
        kinds: $kinds, actorId: $actor) {
        edges { cursor node { kind } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";

#[tokio::test]
async fn a_timeline_is_the_same_from_both_ends_in_pages_of_any_size() {
    let hall = Hall::new().await;
    let story = hall.story().await;
    for (order, item) in [
        ("NEWEST_FIRST", Value::Null),
        ("OLDEST_FIRST", Value::Null),
        ("NEWEST_FIRST", json!(story.project)),
        ("OLDEST_FIRST", json!(story.project)),
    ] {
        let ask = async |more: Value| {
            let mut variables = json!({ "item": item, "order": order });
            variables.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            hall.ask("ann", TIMELINE, variables).await["timeline"].clone()
        };
        let rows = |page: &Value| page["edges"].as_array().unwrap().iter().map(edge).collect::<Vec<_>>();
        let whole = ask(json!({ "first": 100 })).await;
        let all = rows(&whole);
        assert!(all.len() >= 8, "{all:?}");
        assert_eq!(whole["pageInfo"]["hasNextPage"], false);
        for size in [1, 3, 4] {
            let (mut forward, mut after) = (vec![], Value::Null);
            loop {
                let page = ask(json!({ "first": size, "after": after })).await;
                forward.extend(rows(&page));
                after = page["pageInfo"]["endCursor"].clone();
                if page["pageInfo"]["hasNextPage"] == false {
                    break;
                }
            }
            assert_eq!(forward, all, "{order}, pages of {size}");
            let (mut backward, mut before) = (vec![], Value::Null);
            loop {
                let page = ask(json!({ "last": size, "before": before })).await;
                let found = rows(&page);
                backward = [found, backward].concat();
                before = page["pageInfo"]["startCursor"].clone();
                if page["pageInfo"]["hasPreviousPage"] == false {
                    break;
                }
            }
            assert_eq!(backward, all, "{order} from the end, pages of {size}");
        }
        let between = ask(json!({ "after": all[1].0, "before": all[5].0, "first": 100 })).await;
        assert_eq!(rows(&between), all[2..5]);
    }
    let newest = hall.ask("ann", TIMELINE, json!({ "first": 100 })).await;
    let oldest = hall.ask("ann", TIMELINE, json!({ "first": 100, "order": "OLDEST_FIRST" })).await;
    let kinds = |page: &Value| page["timeline"]["edges"].as_array().unwrap().iter().map(edge).collect::<Vec<_>>();
    let mut reversed = kinds(&newest);
    reversed.reverse();
    assert_eq!(reversed, kinds(&oldest));
    assert_eq!(
        hall.response("eve", TIMELINE, json!({ "item": story.project })).await["errors"][0]["extensions"]["code"],
        "NOT_FOUND"
    );
}

#[tokio::test]
async fn a_timeline_says_who_when_what_and_both_values() {
    let hall = Hall::new().await;
    let story = hall.story().await;
    hall.request_feedback(&story).await;
    hall.feedback(&story).await;
    let shown = "kind action actor { kind name } cause { kind name } name step attribute groups comment feedbackStatus
        oldValue { ... on TextValue { text } } newValue { ... on TextValue { text } ... on ListValue { values { ... on PersonValue { user { name } } } } }
        item { name } sourceObject { key }";
    let query =
        format!("query($item: ID) {{ timeline(itemId: $item, orderBy: OLDEST_FIRST) {{ nodes {{ {shown} }} }} }}");
    let nodes = async |item: &str| {
        let found = hall.ask("ann", &query, json!({ "item": item })).await;
        let nodes = found["timeline"]["nodes"].as_array().unwrap().clone();
        let bare = |node: Value| {
            let fields = node.as_object().unwrap().clone().into_iter();
            Value::Object(fields.filter(|(_, value)| !value.is_null() && *value != json!([])).collect())
        };
        nodes.into_iter().map(|node| bare(node).to_string()).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(nodes(&story.project).await, @r#"
    {"action":"createGovernedProject","actor":{"kind":"USER","name":"Ann Builder"},"item":{"name":"Churn 2"},"kind":"ITEM_CREATED","name":"Churn"}
    {"action":"updateItem","actor":{"kind":"USER","name":"Ann Builder"},"attribute":"name","item":{"name":"Churn 2"},"kind":"ITEM_RENAMED","name":"Churn 2","newValue":{"text":"Churn 2"},"oldValue":{"text":"Churn"}}
    {"action":"updateItem","actor":{"kind":"USER","name":"Ann Builder"},"attribute":"final_approvers","item":{"name":"Churn 2"},"kind":"FIELD_CHANGED","newValue":{"values":[{"user":{"name":"Fin Approver"}}]}}
    {"action":"updateItem","actor":{"kind":"USER","name":"Ann Builder"},"attribute":"reviewers_business","item":{"name":"Churn 2"},"kind":"FIELD_CHANGED","newValue":{"values":[{"user":{"name":"Bea Business"}}]}}
    {"action":"updateItem","actor":{"kind":"USER","name":"Ann Builder"},"attribute":"reviewers_it_operations","item":{"name":"Churn 2"},"kind":"FIELD_CHANGED","newValue":{"values":[{"user":{"name":"Bea Business"}}]}}
    {"action":"governSourceObject","actor":{"kind":"USER","name":"Ann Builder"},"item":{"name":"Churn 2"},"kind":"SOURCE_OBJECT_GOVERNED","sourceObject":{"key":"CHURN"}}
    {"action":"governSourceObject","actor":{"kind":"USER","name":"Ann Builder"},"item":{"name":"Churn 2"},"kind":"INSTANCE_RULES_CHANGED"}
    {"action":"governSourceObject","actor":{"kind":"SYSTEM","name":"Consequence"},"attribute":"validationStatus","cause":{"kind":"USER","name":"Ann Builder"},"item":{"name":"Churn 2"},"kind":"VALIDATION_CHANGED","newValue":{"text":"NOT_VALIDATED"},"oldValue":{"text":"NOT_GOVERNED"},"sourceObject":{"key":"CHURN"}}
    "#);
    insta::assert_snapshot!(nodes(&story.bundle).await, @r#"
    {"action":"syncSourceObjects","actor":{"kind":"SYSTEM","name":"Automatic governance"},"cause":{"kind":"KEY","name":"Sync of design-1"},"item":{"name":"v1"},"kind":"ITEM_CREATED","name":"v1"}
    {"action":"syncSourceObjects","actor":{"kind":"SYSTEM","name":"Automatic governance"},"cause":{"kind":"KEY","name":"Sync of design-1"},"item":{"name":"v1"},"kind":"SOURCE_OBJECT_GOVERNED","sourceObject":{"key":"v1"}}
    {"action":"startStep","actor":{"kind":"USER","name":"Ann Builder"},"item":{"name":"v1"},"kind":"STEP_STARTED","step":"review"}
    {"action":"requestFeedback","actor":{"kind":"USER","name":"Ann Builder"},"groups":["business","it_operations"],"item":{"name":"v1"},"kind":"FEEDBACK_REQUESTED","step":"review"}
    {"action":"requestFeedback","actor":{"kind":"SYSTEM","name":"Consequence"},"attribute":"validationStatus","cause":{"kind":"USER","name":"Ann Builder"},"item":{"name":"v1"},"kind":"VALIDATION_CHANGED","newValue":{"text":"IN_VALIDATION"},"oldValue":{"text":"NOT_VALIDATED"},"sourceObject":{"key":"v1"}}
    {"action":"submitFeedback","actor":{"kind":"USER","name":"Bea Business"},"comment":"Nearly","feedbackStatus":"MINOR_ISSUE","groups":["business"],"item":{"name":"v1"},"kind":"FEEDBACK_SUBMITTED","step":"review"}
    "#);
    let own = "query($id: ID!) { node(id: $id) { ... on GovernedItem { timeline(first: 1) { nodes { kind } } } } }";
    let own = hall.ask("ann", own, json!({ "id": story.bundle })).await;
    assert_eq!(text(&own, "/node/timeline/nodes/0/kind"), "FEEDBACK_SUBMITTED");
    let fin = hall.global("Fin Approver").await;
    let bea = hall.global("Bea Business").await;
    for (actor, kinds, count) in [(&bea, json!(null), 1), (&fin, json!(null), 0), (&bea, json!(["DECIDED"]), 0)] {
        let found = hall.ask("ann", TIMELINE, json!({ "item": story.bundle, "actor": actor, "kinds": kinds })).await;
        assert_eq!(found["timeline"]["edges"].as_array().unwrap().len(), count);
    }
}

#[tokio::test]
async fn history_outlives_what_it_tells_of() {
    let hall = Hall::new().await;
    let story = hall.story().await;
    let of_bundle = async || {
        let found = hall.ask("ann", TIMELINE, json!({ "item": story.bundle, "order": "OLDEST_FIRST" })).await;
        found["timeline"]["edges"].as_array().unwrap().iter().map(edge).collect::<Vec<_>>()
    };
    let before = of_bundle().await;
    let input = json!({ "itemId": story.project, "expectedRevision": 2, "mode": "DELETE_CHILDREN" });
    hall.does("admin", "deleteItem", "DeleteItemInput", "item { deleted }", input).await;
    let mut after = of_bundle().await;
    let told: Vec<_> = after.split_off(before.len()).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(after, before, "nothing of it is gone");
    assert_eq!(told, ["ITEM_DELETED", "SOURCE_OBJECT_UNGOVERNED", "VALIDATION_CHANGED"]);
    let eve = hall.response("eve", TIMELINE, json!({ "item": story.bundle })).await;
    let nonsense = hall.response("eve", TIMELINE, json!({ "item": "nonsense" })).await;
    assert_eq!(eve, nonsense, "to Eve it has never been");
}

#[tokio::test]
async fn a_cursor_of_another_log_or_beyond_the_end_has_expired() {
    let hall = Hall::new().await;
    hall.story().await;
    let first = hall.log("ann", 1).await.remove(0).0;
    let bytes = URL_SAFE_NO_PAD.decode(&first).unwrap();
    let mut other = bytes.clone();
    other[0] ^= 1;
    let mut beyond = bytes.clone();
    beyond[16..24].copy_from_slice(&u64::MAX.to_be_bytes());
    for cursor in [other, beyond] {
        let cursor = URL_SAFE_NO_PAD.encode(cursor);
        let mut heard = hall.replays("ann", EVENTS, json!({ "after": cursor })).await;
        let live = json_of(&heard.next().await.unwrap());
        let polled = hall.response("ann", LOG, json!({ "after": cursor })).await;
        for refused in [live, polled] {
            let extensions = &refused["errors"][0]["extensions"];
            assert_eq!(extensions["code"], "CURSOR_EXPIRED", "{refused:#}");
            let earliest = hall.ask("ann", LOG, json!({ "after": extensions["earliestCursor"], "first": 1 })).await;
            assert_eq!(earliest["events"]["edges"][0]["cursor"], first.as_str());
        }
    }
}

#[tokio::test]
async fn a_filter_leaves_out_what_is_not_wanted() {
    let hall = Hall::new().await;
    let begin = hall.log("aud", 100).await.pop().unwrap().0;
    let story = hall.story().await;
    let input = json!({ "templateId": hall.template("GOVERNED_PROJECT").await, "name": "Other" });
    hall.does("solo", "createGovernedProject", "CreateGovernedProjectInput", "item { id }", input).await;
    let all = async |filter: Value| {
        let mut heard = hall.replays("ann", EVENTS, json!({ "after": begin, "filter": filter })).await;
        let mut kinds = vec![];
        while let Some(heard) = poll(&mut heard).await {
            kinds.push(text(&heard, "/data/events/node/kind"));
        }
        kinds
    };
    let created = |kinds: &[String]| kinds.iter().filter(|kind| *kind == "ITEM_CREATED").count();
    assert_eq!(created(&all(Value::Null).await), 3);
    let within = all(json!({ "itemId": story.project })).await;
    assert_eq!((created(&within), within.contains(&"STEP_STARTED".to_owned())), (2, true), "{within:?}");
    let bundle = all(json!({ "itemId": story.bundle })).await;
    assert_eq!((created(&bundle), bundle.contains(&"FIELD_CHANGED".to_owned())), (1, false), "{bundle:?}");
    assert_eq!(created(&all(json!({ "followed": true })).await), 2, "hers and what lies below it");
    assert_eq!(all(json!({ "kinds": ["STEP_STARTED"] })).await, ["STEP_STARTED"]);
}

#[tokio::test]
async fn a_stream_waits_without_being_asked() {
    let hall = Hall::new().await;
    let story = hall.story().await;
    let mut heard = hall.listens("ann", EVENTS, json!({})).await;
    assert!(heard.next().now_or_never().is_none());
    hall.clock.advance(60);
    assert_eq!(poll(&mut heard).await, None, "the clock of the records does not wake it");
    hall.request_feedback(&story).await;
    assert_eq!(edge(&next(&mut heard).await).1, "FEEDBACK_REQUESTED");
}

#[test]
fn what_happens_to_a_hidden_field_is_hidden() {
    let mut resolved = fixture::resolved(ACME);
    let reader = resolved.founding.roles.iter().find(|role| role.slug.as_str() == "reader").unwrap().id;
    let hidden = FieldKey::new("exploration_notes");
    let of_projects = |grants: &&mut Grants| matches!(grants.item_type, None | Some(ItemType::GovernedProject));
    for grants in resolved.founding.grants.iter_mut().filter(of_projects) {
        let of_reader = grants.roles.get_mut(&reader).into_iter();
        of_reader.for_each(|granted| {
            granted.field_exceptions.insert(hidden.clone(), FieldException { read: false, write: false });
        });
    }
    let mut state = State::empty(resolved.founding.tenant.id);
    fixture::land(&mut state, resolved.founding.clone()).unwrap();
    let (ann, rita) = (fixture::viewer(&resolved, "ann"), fixture::viewer(&resolved, "rita"));
    let standard =
        resolved.founding.templates.iter().find(|template| {
            template.item_type == ItemType::GovernedProject && template.status == TemplateStatus::Active
        });
    let value = |words: &str| Some(FieldValue::Text(Text::parse("fields", words).unwrap()));
    let fields = [("description", "Churn"), ("exploration_notes", "Not for everyone")];
    let fields = fields.map(|(key, words)| FieldChange { key: key.to_owned(), value: value(words) });
    let new =
        NewItem { template: standard.unwrap().id, name: Name::parse("name", "Churn").unwrap(), fields: fields.into() };
    let ids = fixture::Counted(1_000.into());
    let create = View::new(&state, &ann).tenant().unwrap().authorize::<CreateGovernedProject>().unwrap();
    let (landed, _) =
        create.create(new, &ids, fixture::NOW).unwrap().land(&mut state).unwrap_or_else(|_| panic!("overtaken"));
    let told = |viewer: &Viewer| {
        let read = landed.events.iter().filter(|event| View::new(&state, viewer).may_read_event(event));
        let field = |kind: &EventKind| kind.field().map_or("the item".to_owned(), ToString::to_string);
        read.map(|event| field(&event.kind)).collect::<Vec<_>>()
    };
    assert_eq!(told(&ann), ["the item", "description", "exploration_notes"]);
    assert_eq!(told(&rita), ["the item", "description"]);
    assert_eq!(told(&fixture::viewer(&resolved, "eve")), Vec::<String>::new());
    assert_eq!(told(&fixture::founder(state.tenant_id())), Vec::<String>::new(), "the server reads no events");
}
