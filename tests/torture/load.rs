//! Clients that lead bundles through their life, each with one command at a time: reported alone or in a batch and
//! governed in the same commit, described, reviewed, decided.
//! Never sends a command without noting it first, nor the next one before the last was answered.

use super::{
    client::Answer,
    ledger::{Bundle, Ledger},
    server::{People, Server},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::task::JoinSet;

/// How many commands a bundle goes through.
pub const LAST: usize = 5;

/// How many bundles one batch reports.
const BATCH_ROWS: usize = 8;

/// What a client was told of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It was done.
    Done,
    /// The server could not, and says that nothing was changed: code and message.
    Refused(String),
    /// Nobody answered, or the server does not know itself.
    Unknown(String),
}

/// What is asked of the clients.
#[derive(Clone)]
pub struct Load {
    /// How many lead one bundle after the other; one more reports batches.
    pub clients: usize,
    /// What distinguishes this load's bundles from those of others.
    pub name: String,
    /// After how many bundles a client is done.
    pub bundles: usize,
    /// After how many batches the other one is.
    pub batches: usize,
    /// The longest text, in characters.
    pub text_max: usize,
    pub seed: u64,
}

/// Clients at work.
pub struct Running {
    clients: JoinSet<Vec<String>>,
    stop: Arc<AtomicBool>,
}

impl Running {
    /// Waits until each has done its bundles or met a server that does not answer or write; answers what was met.
    pub async fn met(mut self) -> Vec<String> {
        let mut met = vec![];
        while let Some(client) = self.clients.join_next().await {
            met.extend(client.unwrap_or_else(|error| panic!("a client met something else than an answer: {error}")));
        }
        met
    }

    /// Lets each finish the command that it has sent.
    pub async fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.met().await
    }
}

/// Governs a project whose bundles are governed in the commit that reports them, with an approver.
pub async fn govern_project(server: &Server, people: &People) -> Result<(), Told> {
    let (ann, node) = (server.caller(people, "ann"), server.caller(people, "design-1-sync"));
    let template = async |item_type: &str| {
        let query = "query($type: ItemType) { templates(itemType: $type) { nodes { id } } }";
        let answer = told(ann.try_ask(query, json!({ "type": item_type })).await)?;
        Ok::<_, Told>(answer.text("/templates/nodes/0/id"))
    };
    let admin = server.caller(people, "admin");
    let users =
        told(admin.try_ask("{ users(first: 100) { nodes { id email } } }", json!({})).await)?.at("/users/nodes");
    let approver = users.as_array().unwrap().iter().find(|user| user["email"] == "fin@acme.example").unwrap();
    let objects = json!([{ "kind": "PROJECT", "key": "LOAD", "name": "Load" }]);
    let reported = told(node.try_ask(SYNC, json!({ "input": { "objects": objects } })).await)?;
    let rule = json!({ "kind": "BUNDLE", "action": "GOVERN", "templateId": template("GOVERNED_BUNDLE").await? });
    let query = "mutation($input: GovernSourceObjectInput!) { governSourceObject(input: $input) {
        item { id revision } userErrors { code } } }";
    let input = json!({ "sourceObjectId": reported.text("/syncSourceObjects/results/0/sourceObject/id"),
        "templateId": template("GOVERNED_PROJECT").await?, "futureChildren": [rule] });
    let governed = told(ann.try_ask(query, json!({ "input": input })).await)?;
    let approver = json!({ "people": [{ "user": approver["id"] }] });
    let input = json!({ "itemId": governed.text("/governSourceObject/item/id"),
        "expectedRevision": governed.number("/governSourceObject/item/revision"),
        "fields": [{ "key": "final_approvers", "value": approver }] });
    told(ann.try_ask(UPDATE, json!({ "input": input })).await).map(drop)
}

/// Starts the clients.
pub fn start(server: &Arc<Server>, people: &People, ledger: &Ledger, load: &Load) -> Running {
    let (mut clients, stop) = (JoinSet::new(), Arc::<AtomicBool>::default());
    for client in 0..=load.clients {
        let (server, people, ledger) = (Arc::clone(server), people.clone(), ledger.clone());
        let (load, stop) = (load.clone(), Arc::clone(&stop));
        clients.spawn(async move {
            let mut random = fastrand::Rng::with_seed(load.seed ^ client as u64);
            let mut met = vec![];
            let batch = client == load.clients;
            for n in 0..if batch { load.batches } else { load.bundles } {
                let key = format!("{}-{client}-{n}", load.name);
                enter(&ledger, &key, batch, length(&mut random, load.text_max));
                let first = if batch { format!("{key}-0") } else { key };
                for _ in 0..if batch { 1 } else { LAST } {
                    if stop.load(Ordering::Relaxed) {
                        return met;
                    }
                    match sent(&server, &people, &ledger, &first).await {
                        Told::Done => {}
                        Told::Refused(why) | Told::Unknown(why) => {
                            met.push(why);
                            return met;
                        }
                    }
                }
            }
            met
        });
    }
    Running { clients, stop }
}

/// As many short texts as long ones: evenly over the orders of magnitude.
fn length(random: &mut fastrand::Rng, longest: usize) -> usize {
    let mut longest = longest;
    while longest > 20 && random.bool() {
        longest /= 2;
    }
    random.usize(10..=longest.max(10))
}

/// Notes the bundles that a client is about to report.
fn enter(ledger: &Ledger, key: &str, batch: bool, text: usize) {
    let rows = if batch { BATCH_ROWS } else { 1 };
    for row in 0..rows {
        let named = if batch { format!("{key}-{row}") } else { key.to_owned() };
        let siblings = if batch { key.to_owned() } else { String::new() };
        ledger.book().bundles.insert(named, Bundle { text, batch: siblings, ..Bundle::default() });
    }
}

/// Sends a bundle's next command, and once more what the server refused without doing it.
async fn sent(server: &Server, people: &People, ledger: &Ledger, key: &str) -> Told {
    each(ledger, key, |bundle| bundle.sent += 1);
    let mut told = send(server, people, ledger, key).await;
    if let Err(Told::Refused(_)) = told {
        told = send(server, people, ledger, key).await;
    }
    let told = match told {
        Ok(number) => {
            ledger.told(key, number);
            Told::Done
        }
        Err(told) => told,
    };
    if let Told::Refused(_) = told {
        each(ledger, key, |bundle| bundle.sent -= 1);
    }
    told
}

/// Does something to a bundle and its siblings.
fn each(ledger: &Ledger, key: &str, change: impl Fn(&mut Bundle)) {
    let mut book = ledger.book();
    let batch = book.bundles[key].batch.clone();
    let all = book.bundles.iter_mut();
    all.filter(|(name, bundle)| *name == key || !batch.is_empty() && bundle.batch == batch)
        .for_each(|(_, bundle)| change(bundle));
}

const SYNC: &str = "mutation($input: SyncSourceObjectsInput!) { syncSourceObjects(input: $input) {
    results { sourceObject { id item { id } } userErrors { code } } userErrors { code } cursor } }";
const UPDATE: &str = "mutation($input: UpdateItemInput!) { updateItem(input: $input) {
    item { revision step(key: \"review\") { signOff { id } } } userErrors { code } cursor } }";
const START: &str =
    "mutation($input: StepInput!) { startStep(input: $input) { item { revision } userErrors { code } cursor } }";
const REQUEST: &str = "mutation($input: RequestFinalApprovalInput!) { requestFinalApproval(input: $input) {
    signOff { status } userErrors { code } cursor } }";
const DECIDE: &str =
    "mutation($input: DecideInput!) { decide(input: $input) { signOff { status } userErrors { code } cursor } }";

/// Sends the command that a bundle has noted last, the first time or again: its key is the same. Answers the number of
/// its commit; one that was done before answers the newest.
pub async fn send(server: &Server, people: &People, ledger: &Ledger, key: &str) -> Result<u64, Told> {
    let bundle = ledger.bundle(key);
    let idempotency = format!("{key}/{}", bundle.sent);
    let (who, query, mut input) = match bundle.sent {
        1 => ("design-1-sync", SYNC, json!({ "objects": reported(ledger, key, &bundle) })),
        2 => {
            let text = json!({ "key": "description", "value": { "text": text(key, bundle.text) } });
            let input =
                json!({ "itemId": bundle.item, "expectedRevision": 1, "name": name(key, true), "fields": [text] });
            ("ann", UPDATE, input)
        }
        3 => ("ann", START, json!({ "itemId": bundle.item, "step": "review", "expectedRevision": bundle.revision })),
        4 => ("ann", REQUEST, json!({ "signOffId": bundle.sign_off })),
        LAST => ("fin", DECIDE, json!({ "signOffId": bundle.sign_off, "decision": "APPROVED", "comment": key })),
        other => panic!("there is no command {other}"),
    };
    input["idempotencyKey"] = json!(idempotency);
    let answer = told(server.caller(people, who).try_ask(query, json!({ "input": input })).await)?;
    Ok(note(ledger, key, &bundle, &answer))
}

/// Notes what an answer says, and answers the number of its commit.
fn note(ledger: &Ledger, key: &str, bundle: &Bundle, answer: &Answer) -> u64 {
    let field = answer.body["data"].as_object().unwrap().values().next().unwrap().clone();
    let mut siblings: Vec<String> = vec![key.to_owned()];
    if !bundle.batch.is_empty() {
        siblings = rows(ledger, &bundle.batch);
    }
    for (row, sibling) in siblings.iter().enumerate() {
        let mut book = ledger.book();
        let noted = book.bundles.get_mut(sibling).unwrap();
        noted.done = noted.sent;
        if let Some(item) = field["results"][row]["sourceObject"]["item"]["id"].as_str() {
            noted.item = item.to_owned();
        }
        if let Some(revision) = field["item"]["revision"].as_i64() {
            noted.revision = revision;
        }
        if let Some(sign_off) = field["item"]["step"]["signOff"]["id"].as_str() {
            noted.sign_off = sign_off.to_owned();
        }
    }
    // The cursor: sixteen bytes that name the log, then the commit's number.
    let cursor = URL_SAFE_NO_PAD.decode(field["cursor"].as_str().unwrap()).unwrap();
    u64::from_be_bytes(cursor[16..24].try_into().unwrap())
}

fn rows(ledger: &Ledger, batch: &str) -> Vec<String> {
    let book = ledger.book();
    let all = book.bundles.iter().filter(|(_, bundle)| bundle.batch == batch);
    all.map(|(key, _)| key.clone()).collect()
}

fn reported(ledger: &Ledger, key: &str, bundle: &Bundle) -> Value {
    let keys = if bundle.batch.is_empty() { vec![key.to_owned()] } else { rows(ledger, &bundle.batch) };
    let object = |key: &String| json!({ "kind": "BUNDLE", "key": key, "name": name(key, false), "parentKey": "LOAD", "contentDigest": digest(1) });
    keys.iter().map(object).collect()
}

/// What a bundle is called, first and at last.
pub fn name(key: &str, renamed: bool) -> String {
    if renamed { format!("{key} described") } else { key.to_owned() }
}

/// What it is described with, of this length in characters.
pub fn text(key: &str, length: usize) -> String {
    key.chars().chain([' ']).cycle().take(length).collect::<String>().trim_end().to_owned()
}

/// The digest of some content.
pub fn digest(of: u64) -> String {
    format!("sha256:{of:064x}")
}

/// Sorts what came back: an answer, or what it says of a command that was not done.
pub fn told(answer: reqwest::Result<Answer>) -> Result<Answer, Told> {
    let answer = answer.map_err(|error| Told::Unknown(format!("nobody answered: {error}")))?;
    let Some(error) = answer.body.pointer("/errors/0") else {
        answer.done();
        return Ok(answer);
    };
    let (code, message) =
        (error["extensions"]["code"].as_str().unwrap_or_default(), error["message"].as_str().unwrap_or_default());
    let met = format!("{code}: {message}");
    match code {
        "STORAGE_FULL" | "UNAVAILABLE" | "INTERNAL" if message.contains("outcome is unknown") => {
            Err(Told::Unknown(met))
        }
        "STORAGE_FULL" | "UNAVAILABLE" | "INTERNAL" => Err(Told::Refused(met)),
        _ => panic!("a command was answered {:#}", answer.body),
    }
}
