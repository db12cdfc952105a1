//! Isolation, over HTTP and across three SIGKILLs: the history of 16 clients is strictly serialisable (`adya` checks it).
//! Two lists a project: the names of its bundles, which a node appends to by reporting (one batch, two projects, one
//! transaction), and the numbers in its description, which a person appends to by a save against the revision read.
//! One query reads both lists of three projects. Each operation is one transaction, from its sending to its answer.
//! What a kill left open is asked again under its idempotency key, so that every outcome is known in the end.
//! Never looks into the server: the history holds only what clients sent and read.

use super::{
    client::{Answer, Caller},
    demo::Demo,
    operations::digest,
};
use adya::{
    History, Opts, Report, Valid, Workload,
    r#gen::Rng,
    history::{Interner, Mop, Op, OpType, ReadValue, Scalar},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, task::JoinSet};

const CLIENTS: usize = 16;
const KILLS: usize = 3;

/// How many transactions are done at least; the torture run asks for 200,000 by `COUNTERSIGN_ISOLATION_TRANSACTIONS`.
const TRANSACTIONS: usize = 10_000;

/// How many projects are fought over at a time.
const CONTENDED: usize = 6;
/// How many of them one query reads, and one batch writes.
const READ_TOGETHER: usize = 3;
const WRITTEN_TOGETHER: usize = 2;
/// After how many transactions the fight moves on by one project, so that no list grows long.
const TRANSACTIONS_A_PROJECT: usize = 60;

/// No answer takes longer, restarts included.
const PATIENCE: Duration = Duration::from_secs(60);

/// Those who act, at the server as it runs now.
struct Actors {
    /// Counts the starts.
    start: usize,
    person: Caller,
    node: Caller,
}

impl Actors {
    fn of(server: &Demo, start: usize) -> Self {
        Self { start, person: server.caller("ann"), node: server.caller("design-1-sync") }
    }
}

/// What was sent and answered, in the order in which it happened.
#[derive(Default)]
struct Recorder {
    ops: Vec<Op>,
    names: Interner,
}

/// One micro-operation: on which list, and the number appended or the numbers read.
enum Did {
    Append(String, i64),
    Read(String, Vec<i64>),
}

impl Recorder {
    fn note(&mut self, process: usize, kind: OpType, did: &[Did]) {
        let names = &mut self.names;
        let value = did.iter().map(|did| match did {
            Did::Append(list, number) => {
                Mop::Append { key: names.intern(Scalar::Str(list.clone())), value: names.intern(Scalar::Int(*number)) }
            }
            Did::Read(list, numbers) => {
                let read = numbers.iter().map(|number| names.intern(Scalar::Int(*number))).collect();
                Mop::Read { key: names.intern(Scalar::Str(list.clone())), value: ReadValue::List(read) }
            }
        });
        let value = value.collect();
        let index = self.ops.len() as u64;
        self.ops.push(Op { index, kind, process: Some(process as i64), value, time: None });
    }
}

/// One project's lists as they were read.
struct Lists {
    project: usize,
    revision: i64,
    bundles: Vec<i64>,
    description: Vec<i64>,
}

impl Lists {
    fn of(project: usize, node: &Value) -> Self {
        let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("not one of ours: {text}"));
        let bundles = node["children"].as_array().unwrap_or_else(|| panic!("no project: {node}")).iter();
        let bundles = bundles.map(|child| number(child["name"].as_str().unwrap())).collect();
        let description = node["field"]["text"].as_str().unwrap_or_default();
        let description = description.split_whitespace().map(number).collect();
        Self { project, revision: node["revision"].as_i64().unwrap(), bundles, description }
    }

    fn reads(&self) -> [Did; 2] {
        [
            Did::Read(bundles_of(self.project), self.bundles.clone()),
            Did::Read(description_of(self.project), self.description.clone()),
        ]
    }
}

fn bundles_of(project: usize) -> String {
    format!("bundles {project}")
}

fn description_of(project: usize) -> String {
    format!("description {project}")
}

struct Run {
    server: watch::Receiver<Arc<Actors>>,
    recorder: Mutex<Recorder>,
    /// The items, as the API names them.
    projects: Vec<String>,
    wanted: usize,
    done: AtomicUsize,
    conflicts: AtomicUsize,
    asked_again: AtomicUsize,
    numbers: AtomicI64,
}

const LISTS: &str = "revision children { name } field(key: \"description\") { ... on TextValue { text } }";

impl Run {
    /// The answer of the server, or of the next one where it was killed; and whether it was asked more than once.
    async fn ask(&self, who: impl Fn(&Actors) -> &Caller, query: &str, variables: &Value) -> (Answer, bool) {
        let mut server = self.server.clone();
        let mut again = false;
        loop {
            let actors = Arc::clone(&server.borrow_and_update());
            if let Ok(answer) = who(&actors).try_ask(query, variables.clone()).await {
                return (answer, again);
            }
            again = true;
            self.asked_again.fetch_add(1, Ordering::Relaxed);
            let next = server.wait_for(|next| next.start > actors.start);
            tokio::time::timeout(PATIENCE, next).await.expect("a server that answers").unwrap();
        }
    }

    fn note(&self, process: usize, kind: OpType, did: &[Did]) {
        self.recorder.lock().unwrap().note(process, kind, did);
        if kind == OpType::Ok {
            self.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The projects that are fought over now.
    fn contended(&self) -> Range<usize> {
        let begin = (self.done.load(Ordering::Relaxed) / TRANSACTIONS_A_PROJECT).min(self.projects.len() - CONTENDED);
        begin..begin + CONTENDED
    }

    async fn read(&self, process: usize, projects: &[usize]) -> Vec<Lists> {
        let query = format!("query($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on GovernedItem {{ {LISTS} }} }} }}");
        let ids: Vec<_> = projects.iter().map(|project| &self.projects[*project]).collect();
        self.note(process, OpType::Invoke, &[]);
        let (answer, _) = self.ask(|actors| &actors.person, &query, &json!({ "ids": ids })).await;
        let nodes = answer.at("/nodes");
        let read = projects.iter().zip(nodes.as_array().unwrap());
        let read: Vec<_> = read.map(|(project, node)| Lists::of(*project, node)).collect();
        let did: Vec<_> = read.iter().flat_map(Lists::reads).collect();
        self.note(process, OpType::Ok, &did);
        read
    }

    /// A node reports a bundle of each project in one batch: all appends, or none.
    async fn report(&self, process: usize, projects: &[usize]) {
        let (mut did, mut objects) = (vec![], vec![]);
        for project in projects {
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            let name = number.to_string();
            did.push(Did::Append(bundles_of(*project), number));
            objects.push(json!({ "kind": "BUNDLE", "key": name, "name": name, "parentKey": key(*project), "contentDigest": digest(&name) }));
        }
        let query = "mutation($input: SyncSourceObjectsInput!) { syncSourceObjects(input: $input) {
            results { sourceObject { governanceStatus } userErrors { code } } userErrors { code } } }";
        let input = json!({ "objects": objects, "idempotencyKey": self.once() });
        self.note(process, OpType::Invoke, &did);
        let (answer, _) = self.ask(|actors| &actors.node, query, &json!({ "input": input })).await;
        for result in answer.at("/syncSourceObjects/results").as_array().unwrap() {
            assert_eq!(result["sourceObject"]["governanceStatus"], "GOVERNED", "{}", answer.body);
        }
        self.note(process, OpType::Ok, &did);
    }

    /// A person appends to what she read, unless somebody else has written since.
    async fn save(&self, process: usize, seen: &Lists) {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let numbers: Vec<i64> = seen.description.iter().copied().chain([number]).collect();
        let text = numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(" ");
        let fields = json!([{ "key": "description", "value": { "text": text } }]);
        let input = json!({ "itemId": self.projects[seen.project], "expectedRevision": seen.revision, "fields": fields,
            "idempotencyKey": self.once() });
        let query = format!(
            "mutation($input: UpdateItemInput!) {{ updateItem(input: $input) {{ item {{ {LISTS} }} userErrors {{ code }} }} }}"
        );
        let list = description_of(seen.project);
        let append = Did::Append(list.clone(), number);
        self.note(process, OpType::Invoke, std::slice::from_ref(&append));
        let (answer, again) = self.ask(|actors| &actors.person, &query, &json!({ "input": input })).await;
        if answer.code() == "REVISION_CONFLICT" {
            self.conflicts.fetch_add(1, Ordering::Relaxed);
            return self.note(process, OpType::Fail, &[append]);
        }
        let mut did = vec![Did::Read(list.clone(), seen.description.clone()), append];
        // Asked again, the answer shows the item as it is by then: no part of the transaction any more.
        if !again {
            let after = Lists::of(seen.project, &answer.at("/updateItem/item"));
            did.push(Did::Read(list, after.description));
        }
        self.note(process, OpType::Ok, &did);
    }

    /// A new idempotency key.
    fn once(&self) -> String {
        format!("once-{}", self.numbers.fetch_add(1, Ordering::Relaxed))
    }

    async fn client(self: Arc<Self>, process: usize) {
        let mut chance = Rng::new(process as u64);
        while self.done.load(Ordering::Relaxed) < self.wanted {
            let mut some: Vec<usize> = self.contended().collect();
            while some.len() > READ_TOGETHER {
                some.swap_remove(chance.below(some.len() as u64) as usize);
            }
            match chance.below(3) {
                0 => drop(self.read(process, &some).await),
                1 => self.report(process, &some[..WRITTEN_TOGETHER]).await,
                _ => self.save(process, &self.read(process, &some).await[0]).await,
            }
        }
    }
}

fn key(project: usize) -> String {
    format!("project-{project}")
}

/// Projects whose bundles are governed in the commit that reports them.
async fn projects(server: &Demo, count: usize) -> Vec<String> {
    let ann = server.caller("ann");
    let template = async |item_type: &str| ann.templates(item_type).await.text("/templates/nodes/0/id");
    let (bundle, project) = (template("GOVERNED_BUNDLE").await, template("GOVERNED_PROJECT").await);
    let rules = json!([{ "kind": "BUNDLE", "action": "GOVERN", "templateId": bundle }]);
    let all: Vec<usize> = (0..count).collect();
    let mut items = vec![];
    for some in all.chunks(500) {
        let objects = some.iter().map(|n| json!({ "kind": "PROJECT", "key": key(*n), "name": key(*n) }));
        let reported = server.caller("design-1-sync").sync(objects.collect()).await.at("/syncSourceObjects/results");
        for result in reported.as_array().unwrap() {
            let source = &result["sourceObject"]["id"];
            let input = json!({ "sourceObjectId": source, "templateId": project, "futureChildren": rules });
            items.push(ann.govern(input).await.text("/governSourceObject/item/id"));
        }
    }
    items
}

fn checked(history: &History, model: &str) -> Report {
    let options = Opts { models: vec![model.to_owned()], timeout: PATIENCE, ..Opts::default() };
    adya::check(history, Workload::ListAppend, &options)
}

fn explained(report: &Report) -> String {
    let all = report.anomalies.values().flatten().take(3);
    all.map(|anomaly| format!("{}: {}", anomaly.kind, anomaly.explanation)).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_many_clients_over_three_kills_is_strictly_serialisable() {
    let wanted = std::env::var("COUNTERSIGN_ISOLATION_TRANSACTIONS").map(|text| text.parse().expect("a number"));
    let wanted = wanted.unwrap_or(TRANSACTIONS);
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = Demo::start(&data).await;
    let projects = projects(&server, wanted / TRANSACTIONS_A_PROJECT + CONTENDED).await;
    let (now_runs, server_now) = watch::channel(Arc::new(Actors::of(&server, 0)));
    let run = Arc::new(Run {
        server: server_now,
        recorder: Mutex::default(),
        projects,
        wanted,
        done: AtomicUsize::new(0),
        conflicts: AtomicUsize::new(0),
        asked_again: AtomicUsize::new(0),
        numbers: AtomicI64::new(1),
    });
    let mut clients: JoinSet<()> = (0..CLIENTS).map(|process| Arc::clone(&run).client(process)).collect();
    for kill in 1..=KILLS {
        while run.done.load(Ordering::Relaxed) < wanted * kill / (KILLS + 1) {
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert_eq!(clients.len(), CLIENTS, "a client broke down");
            if let Some(ended) = clients.try_join_next() {
                ended.expect("a client that goes on");
            }
        }
        server.process.kill().await.unwrap();
        server = Demo::start(&data).await;
        now_runs.send_replace(Arc::new(Actors::of(&server, kill)));
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("a client that comes to its end");
    }
    let acknowledged = run.recorder.lock().unwrap().ops.len();
    for some in (0..run.projects.len()).collect::<Vec<_>>().chunks(READ_TOGETHER) {
        run.read(CLIENTS, some).await;
    }
    let Recorder { ops, names } = std::mem::take(&mut *run.recorder.lock().unwrap());
    let lost = unread(&ops[..acknowledged], &ops[acknowledged..]);
    let mut history = History::from_ops(ops, names);
    let report = checked(&history, "strict-serializable");
    assert_eq!(report.valid, Valid::True, "{:?}\n{}", report.anomaly_types, explained(&report));
    assert!(lost.is_empty(), "{} were appended, acknowledged, and gone in the end", lost.len());
    let (done, again) = (run.done.load(Ordering::Relaxed), run.asked_again.load(Ordering::Relaxed));
    let conflicts = run.conflicts.load(Ordering::Relaxed);
    assert!(again >= KILLS && conflicts >= done / 100, "too little happened at once: {again} and {conflicts}");
    println!(
        "{done} transactions of {CLIENTS} clients over {KILLS} kills: 0 anomalies; {conflicts} conflicts refused, {again} asked again"
    );
    // The same history with one stale read in it, so that its being valid says something.
    shorten_the_longest_read(&mut history);
    assert_eq!(checked(&history, "strict-serializable").valid, Valid::False, "a stale read went unseen");
}

/// What was appended, acknowledged and never read again.
fn unread(before: &[Op], last_reads: &[Op]) -> BTreeSet<u32> {
    let done = |ops: &[Op]| ops.iter().filter(|op| op.kind == OpType::Ok).flat_map(|op| op.value.clone()).collect();
    let (before, last): (Vec<Mop>, Vec<Mop>) = (done(before), done(last_reads));
    let mut unread: BTreeSet<u32> =
        before.iter().filter_map(|mop| if let Mop::Append { value, .. } = mop { Some(*value) } else { None }).collect();
    for mop in last {
        if let Mop::Read { value: ReadValue::List(values), .. } = mop {
            for value in values {
                unread.remove(&value);
            }
        }
    }
    unread
}

/// Takes the newest element out of what the last query read of its longest list.
fn shorten_the_longest_read(history: &mut History) {
    let reads = history.ops.iter_mut().rev().filter(|op| op.kind == OpType::Ok).flat_map(|op| op.value.iter_mut());
    let lists = reads.filter_map(|mop| match mop {
        Mop::Read { value: ReadValue::List(values), .. } => Some(values),
        Mop::Read { .. } | Mop::Append { .. } | Mop::Write { .. } => None,
    });
    lists.take(2 * READ_TOGETHER).max_by_key(|values| values.len()).expect("a read").pop().expect("something read");
}

/// Histories that no correct server can make; each line is one transaction that ended before the next began.
fn one_after_another(transactions: &[Value]) -> History {
    let mut lines = vec![];
    for (process, transaction) in transactions.iter().enumerate() {
        for kind in ["invoke", "ok"] {
            lines.push(json!({ "type": kind, "process": process, "value": transaction }).to_string());
        }
    }
    History::from_json(&lines.join("\n")).unwrap()
}

#[test]
fn the_checker_finds_a_lost_update() {
    let history = one_after_another(&[
        json!([["r", "x", []], ["append", "x", 1]]),
        json!([["r", "x", []], ["append", "x", 2]]),
        json!([["r", "x", [2]]]),
    ]);
    let report = checked(&history, "strict-serializable");
    assert_eq!(report.valid, Valid::False);
    assert!(report.anomaly_types.iter().any(|found| found == "lost-update"), "{:?}", report.anomaly_types);
}

#[test]
fn the_checker_finds_half_a_batch() {
    let history = one_after_another(&[
        json!([["append", "x", 1], ["append", "y", 2]]),
        json!([["r", "x", [1]], ["r", "y", []]]),
        json!([["r", "x", [1]], ["r", "y", [2]]]),
    ]);
    assert_eq!(checked(&history, "serializable").anomaly_types, ["G-single-item"]);
}

#[test]
fn the_checker_finds_a_stale_read_that_only_real_time_betrays() {
    let history = one_after_another(&[json!([["append", "x", 1]]), json!([["r", "x", []]]), json!([["r", "x", [1]]])]);
    assert_eq!(checked(&history, "serializable").valid, Valid::True);
    let report = checked(&history, "strict-serializable");
    assert_eq!(report.valid, Valid::False);
    assert_eq!(report.anomaly_types, ["G-single-item-realtime"]);
}
