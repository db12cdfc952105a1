//! A world: a running server on a data directory of its own, with the people and nodes of both fixtures.
//! Every world is a copy of one prepared state; when it ends, the store's invariants are checked.

use super::{
    client::{Answer, Caller},
    machine::{CountedIds, HandClock, machine},
};
use countersign::{
    app::{App, Budgets, OPERATOR_EMAIL, PLATFORM, PLATFORM_SLUG, demo, founder},
    domain::identity::User,
    graphql::{self, Api},
    http,
    limits::JOURNAL_SEGMENT_BYTES_MAX,
    store::{Machine, Store},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// The prepared state and everyone's credentials in it, by organisation and handle.
struct Prepared {
    directory: tempfile::TempDir,
    credentials: Credentials,
}

#[derive(Clone, Serialize, Deserialize)]
struct Credentials(BTreeMap<String, BTreeMap<String, String>>);

fn prepared() -> &'static Prepared {
    static PREPARED: OnceLock<Prepared> = OnceLock::new();
    PREPARED.get_or_init(|| {
        // A thread of its own: whoever asks first may be inside another runtime.
        std::thread::spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(prepare())).join().unwrap()
    })
}

async fn prepare() -> Prepared {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("data"), &machine(&HandClock::new(), CountedIds::from(1))).unwrap();
    let app = App::open(store.clone()).await.unwrap();
    let mut credentials = BTreeMap::new();
    for fixture in demo::FIXTURES {
        let people = demo::found(&app, fixture).await.unwrap();
        let named = people.into_iter().map(|person| (person.handle, person.credential));
        credentials.insert(fixture.slug.to_owned(), named.collect());
    }
    credentials.insert(PLATFORM_SLUG.to_owned(), BTreeMap::from([("operator".to_owned(), operator(&app).await)]));
    drop(app);
    tokio::task::spawn_blocking(move || store.close()).await.unwrap();
    Prepared { directory, credentials: Credentials(credentials) }
}

/// The platform operator, signed in for a day.
async fn operator(app: &App) -> String {
    let platform = app.snapshot(&founder(PLATFORM)).await.unwrap();
    let operator = platform.view().all::<User>().find(|user| user.email == OPERATOR_EMAIL).unwrap().id;
    app.issue_access_token(PLATFORM, operator, 24 * 60 * 60).await.unwrap().outcome.access_token
}

/// Copies a directory with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A running server.
struct Running {
    store: Store,
    app: App,
    api: Api,
    address: String,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

/// A world, with everyone in it.
pub struct World {
    pub clock: Arc<HandClock>,
    ids: Arc<CountedIds>,
    directory: tempfile::TempDir,
    running: Option<Running>,
    address: Option<String>,
    http: reqwest::Client,
    restarts_between_steps: bool,
    /// The size at which the journal begins another segment, in bytes.
    pub segment_bytes_max: u64,
    /// What its operator decides about the API. Nothing is spent: the clock stands still, and no budget would fill again.
    pub api: graphql::Options,
    /// How many connections there may be.
    pub bounds: http::Bounds,
    /// Which proxies are believed.
    pub trusted_proxies: Vec<http::Network>,
    /// How much is worked on at a time.
    pub load: http::Load,
    /// What the server serves with; its own clients speak plain HTTP.
    pub tls: Option<http::Tls>,
}

impl World {
    /// A world in the prepared state.
    pub async fn new() -> Self {
        let prepared = prepared();
        let directory = tempfile::tempdir().unwrap();
        copy(&prepared.directory.path().join("data"), &directory.path().join("data"));
        Self::over(directory).await
    }

    /// A world over the `data` in a directory, whatever it holds.
    pub async fn over(directory: tempfile::TempDir) -> Self {
        let mut world = Self {
            clock: HandClock::new(),
            ids: CountedIds::from(1_000_000),
            directory,
            running: None,
            address: None,
            http: reqwest::Client::new(),
            restarts_between_steps: false,
            segment_bytes_max: JOURNAL_SEGMENT_BYTES_MAX,
            api: graphql::Options { budgets: Budgets::NONE, ..graphql::Options::default() },
            bounds: http::Bounds::default(),
            trusted_proxies: vec![],
            load: http::Load::default(),
            tls: None,
        };
        world.start().await;
        world
    }

    /// A world whose journal consists of many segments.
    pub async fn of_small_segments() -> Self {
        let mut world = Self::new().await;
        world.segment_bytes_max = 2_048;
        world.restart().await;
        world
    }

    /// A world that restarts whenever a story says that a step ends.
    pub async fn restarting() -> Self {
        Self { restarts_between_steps: true, ..Self::new().await }
    }

    /// Where everything is kept.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub async fn start(&mut self) {
        let machine = machine(&self.clock, Arc::clone(&self.ids));
        let machine = Machine { journal_segment_bytes_max: self.segment_bytes_max, ..machine };
        let store = Store::open(&self.data(), &machine).unwrap();
        let app = App::open(store.clone()).await.unwrap();
        // A restarted server is where it was, so that its callers find it again.
        let listener = TcpListener::bind(self.address.as_deref().unwrap_or("127.0.0.1:0")).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        self.address = Some(address.clone());
        let (stop, stopped) = oneshot::channel();
        let api = Api::new(app.clone(), &self.api).unwrap();
        let options = http::Options {
            bounds: self.bounds,
            load: self.load,
            tls: self.tls.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
            ..http::Options::default()
        };
        let serving = http::serve(listener, api.clone(), options, async move {
            stopped.await.ok();
        });
        let served = tokio::spawn(serving);
        self.running = Some(Running { store, app, api, address, stop, served });
    }

    /// The next ids are those from this count on, even where they were given before.
    pub fn count_ids_from(&self, count: u64) {
        self.ids.count_from(count);
    }

    /// The API without a server before it.
    pub fn api(&self) -> Api {
        self.running.as_ref().unwrap().api.clone()
    }

    /// How many organisations the server holds in memory.
    pub fn loaded_tenants(&self) -> usize {
        self.running.as_ref().unwrap().store.loaded_tenants()
    }

    /// Stops the server as an operator does, and leaves the data.
    pub async fn stop(&mut self) {
        let Some(Running { store, app, api, stop, served, .. }) = self.running.take() else { return };
        drop((app, api));
        // Connections that are kept alive would be waited for.
        self.http = reqwest::Client::new();
        stop.send(()).ok();
        served.await.unwrap();
        tokio::task::spawn_blocking(move || store.close()).await.unwrap();
    }

    /// Stops the server for good; its data stays.
    pub async fn left(mut self) -> tempfile::TempDir {
        self.stop().await;
        self.directory
    }

    /// Stops and starts it.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    /// Removes the index while the server is stopped: the next start rebuilds it.
    pub async fn restart_without_index(&mut self) {
        self.stop().await;
        std::fs::remove_dir_all(self.data().join("index")).unwrap();
        self.start().await;
    }

    /// Between two steps of a story: nothing, or a restart.
    pub async fn between(&mut self) {
        if self.restarts_between_steps {
            self.restart().await;
        }
    }

    /// What nobody is answered who asks in the server's own process, as if from this address.
    pub async fn in_process(&self, address: Option<IpAddr>, query: &str) -> Value {
        let api = &self.running.as_ref().unwrap().api;
        let admitted =
            api.admit(graphql::Asked { query: Some(query.to_owned()), ..graphql::Asked::default() }).unwrap();
        serde_json::to_value(api.request(None, address, admitted).await.response).unwrap()
    }

    /// How many documents the server keeps that were asked before.
    pub fn documents_kept(&self) -> usize {
        self.running.as_ref().unwrap().api.documents_kept()
    }

    fn caller(&self, organisation: &str, name: &'static str) -> Caller {
        let credential = prepared().credentials.0[organisation].get(name);
        let credential = credential.unwrap_or_else(|| panic!("nobody is called {name}"));
        self.with_credential(name, Some(credential))
    }

    /// Whoever presents this credential.
    pub fn with_credential(&self, name: &'static str, credential: Option<&str>) -> Caller {
        let address = self.running.as_ref().unwrap().address.clone();
        Caller { name, credential: credential.map(Into::into), address, http: self.http.clone() }
    }

    /// Somebody at Acme: a person or the key of a node.
    pub fn acme(&self, name: &'static str) -> Caller {
        self.caller("acme", name)
    }

    /// Somebody at Globex, where everyone has the same names.
    pub fn globex(&self, name: &'static str) -> Caller {
        self.caller("globex", name)
    }

    /// Who runs the platform and sees no organisation's content.
    pub fn operator(&self) -> Caller {
        self.caller("platform", "operator")
    }

    /// Somebody who has just signed in, for so many seconds.
    pub async fn token(&self, name: &'static str, organisation: &str, handle: &str, seconds: i64) -> Caller {
        let app = &self.running.as_ref().unwrap().app;
        let tenant = app.tenant_called(organisation).await.unwrap().unwrap();
        let email = format!("{handle}@{organisation}.example");
        let snapshot = app.snapshot(&founder(tenant)).await.unwrap();
        let user = snapshot.view().all::<User>().find(|user| user.email == email).unwrap().id;
        let token = app.issue_access_token(tenant, user, seconds).await.unwrap().outcome.access_token;
        self.with_credential(name, Some(&token))
    }

    /// How many commits the history of an organisation has: a request that left a trace has moved it.
    pub async fn position(&self, organisation: &str) -> u64 {
        let app = &self.running.as_ref().unwrap().app;
        let tenant = app.tenant_called(organisation).await.unwrap().unwrap();
        app.snapshot(&founder(tenant)).await.unwrap().number()
    }

    /// Nobody.
    pub fn stranger(&self) -> Caller {
        self.with_credential("a stranger", None)
    }

    pub fn admin(&self) -> Caller {
        self.acme("admin")
    }

    pub fn ann(&self) -> Caller {
        self.acme("ann")
    }

    pub fn bea(&self) -> Caller {
        self.acme("bea")
    }

    pub fn fin(&self) -> Caller {
        self.acme("fin")
    }

    pub fn dep(&self) -> Caller {
        self.acme("dep")
    }

    pub fn eve(&self) -> Caller {
        self.acme("eve")
    }

    pub fn aud(&self) -> Caller {
        self.acme("aud")
    }

    pub fn design_1(&self) -> Caller {
        self.acme("design-1-sync")
    }

    pub fn auto_1(&self) -> Caller {
        self.acme("auto-1-sync")
    }

    /// The id of a user of Acme, by the name before the at sign.
    pub async fn user(&self, handle: &str) -> String {
        let answer: Answer = self.admin().ask("{ users(first: 100) { nodes { id email } } }", json!({})).await;
        let users = answer.at("/users/nodes");
        let found = users.as_array().unwrap().iter().find(|user| user["email"] == format!("{handle}@acme.example"));
        found.and_then(|user| user["id"].as_str()).unwrap_or_else(|| panic!("no user {handle}")).to_owned()
    }

    /// The id of the active template of a type.
    pub async fn template(&self, item_type: &str) -> String {
        self.ann().templates(item_type).await.text("/templates/nodes/0/id")
    }

    /// The id of an infrastructure of Acme.
    pub async fn infrastructure(&self, slug: &str) -> String {
        let found = self.dep().infrastructures().await.into_iter().find(|found| found["slug"] == slug);
        found
            .map(|found| found["id"].as_str().unwrap().to_owned())
            .unwrap_or_else(|| panic!("no infrastructure {slug}"))
    }

    /// Ends the world, and checks for everyone what must hold of every store: the chain of the journal verifies,
    /// numbers have no gap, every change has its event, and the index answers what the journal says.
    pub async fn end(mut self) {
        self.stop().await;
        let checked = countersign::store::check(&self.data()).unwrap();
        assert_eq!(checked.problems, Vec::<String>::new());
    }
}

/// The fields of an item as key and shown value, for comparing.
pub fn fields(item: &Value) -> BTreeMap<String, Value> {
    let fields = item["fields"].as_array().cloned().unwrap_or_default();
    fields.into_iter().map(|field| (field["key"].as_str().unwrap().to_owned(), field["value"].clone())).collect()
}

impl World {
    /// The id of a template of Acme that is not active, as its administrator finds it.
    pub async fn admin_template(&self, name: &str, status: &str) -> String {
        let query = "query($status: TemplateStatus) { templates(status: $status) { nodes { id name } } }";
        let templates = self.admin().ask(query, json!({ "status": status })).await.at("/templates/nodes");
        let found = templates.as_array().unwrap().iter().find(|template| template["name"] == name);
        found.unwrap_or_else(|| panic!("no template {name}"))["id"].as_str().unwrap().to_owned()
    }

    /// Turns the separation of requester and approver on or off.
    pub async fn requester_may_not_approve(&self, on: bool) {
        let read = self.admin().ask("{ tenant { revision } }", json!({})).await;
        let query = "mutation($input: UpdateTenantSettingsInput!) { updateTenantSettings(input: $input) { userErrors { code } } }";
        let input = json!({ "expectedRevision": read.number("/tenant/revision"), "requesterMayNotApprove": on });
        self.admin().ask(query, json!({ "input": input })).await.done();
    }
}
