//! Every kind of call that journal, keys and index make of the real disk fails once (`strace -e inject`), and a sync
//! for good: the server answers a clear error and goes on, or stops writing and says so, or ends and says why. What it
//! acknowledged is there after a restart, and what it refused is not.

use super::{
    Came, Plan,
    ledger::Ledger,
    load::{self, Load},
    server::{People, Process, Server},
};
use rustix::process::Signal;
use serde_json::json;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// How many failures the gate samples.
const SAMPLES: usize = 40;

/// The first so many calls of a kind are failed.
const CALLS_MAX: usize = 200;

const ERRORS: [&str; 2] = ["EIO", "ENOSPC"];

/// What can be failed, what fails with it (a file is cut only after a write to it has failed), and in which start of
/// a store: only a later one removes the mark of the stop before it.
const CALLS: [(&str, &str, Start); 11] = [
    ("pwrite64", "", Start::First),
    ("write", "", Start::First),
    ("fdatasync", "", Start::First),
    ("fsync", "", Start::First),
    ("openat", "", Start::First),
    ("rename", "", Start::First),
    ("pwrite64", "ftruncate", Start::First),
    ("unlink", "", Start::Later),
    ("fdatasync", "", Start::Later),
    ("fsync", "", Start::Later),
    ("openat", "", Start::Later),
];

const LOAD: Load = Load { clients: 2, name: String::new(), bundles: 20, batches: 12, text_max: 2_000, seed: 1 };

/// How a server is to be hurt.
#[derive(Clone, Debug)]
struct Fault {
    call: &'static str,
    with: &'static str,
    error: &'static str,
    start: Start,
    /// Which call of each thread: `7`, or `7+` for all from then on.
    when: String,
}

/// Which start of a store meets the failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    First,
    Later,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    NeverMet,
    DidNotStart,
    WentOn,
    StoppedWriting,
}

/// The names of all files that a first start makes: the demo's ids are counted, so that they are always the same.
async fn names() -> Vec<PathBuf> {
    let directory = tempfile::tempdir().unwrap();
    let (server, _) = Server::demo(directory.path()).await;
    server.stop().await;
    let (mut names, mut directories) = (vec![PathBuf::new()], vec![directory.path().to_path_buf()]);
    while let Some(path) = directories.pop() {
        for entry in fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()) {
            names.push(entry.strip_prefix(directory.path()).unwrap().to_path_buf());
            if entry.is_dir() {
                directories.push(entry);
            }
        }
    }
    names
}

/// `strace` around a server: it watches one kind of call on these files, and fails what it is told to.
fn strace(out: &Path, data: &Path, names: &[PathBuf], fault: &Fault) -> Vec<OsString> {
    let Fault { call, with, error, when, .. } = fault;
    let mut line: Vec<OsString> = ["strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o"].map(OsString::from).into();
    line.extend([out.into(), "-e".into()]);
    line.push(format!("trace={call}{}{with}", if with.is_empty() { "" } else { "," }).into());
    line.extend(["-e".into(), format!("inject={call}:error={error}:when={when}").into()]);
    if !with.is_empty() {
        line.extend(["-e".into(), format!("inject={with}:error=EIO:when=1").into()]);
    }
    for name in names {
        let path = data.join(name);
        let unfinished = PathBuf::from(format!("{}.temp", path.display()));
        for path in [path, unfinished] {
            line.extend(["-P".into(), path.into()]);
        }
    }
    line
}

fn has_strace() -> bool {
    std::process::Command::new("strace")
        .args(["-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "true"])
        .output()
        .is_ok_and(|probe| probe.status.success())
}

pub async fn faults(plan: Plan) -> Came {
    if !has_strace() {
        return Came::Ignored("strace is not installed, or may not trace".to_owned());
    }
    let (names, mut random) = (names().await, plan.random());
    let mut all: Vec<Vec<Fault>> = vec![];
    for (call, with, start) in CALLS {
        // A first run in which the call that fails is beyond the last tells how many there are.
        let untouched = Fault { call, with, start, error: "EIO", when: "65535".to_owned() };
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(run(directory.path(), &names, &untouched).await, End::NeverMet);
        let calls = calls(&directory.path().join("trace"), call).min(CALLS_MAX);
        assert!(calls > 0, "{call} is never called");
        let each =
            (1..=calls).flat_map(|n| ERRORS.map(|error| Fault { error, when: n.to_string(), ..untouched.clone() }));
        let mut each: Vec<_> = each.collect();
        random.shuffle(&mut each);
        all.push(each);
    }
    let (mut came, samples) = (BTreeMap::<End, usize>::new(), plan.rounds_or(SAMPLES));
    let possible: usize = all.iter().map(Vec::len).sum();
    // Kind by kind in turn, so that a rare one is not drowned.
    for n in 0..samples.min(possible) {
        let kind = (n..).map(|n| n % all.len()).find(|kind| !all[*kind].is_empty()).unwrap();
        let fault = all[kind].pop().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let end = run(directory.path(), &names, &fault).await;
        *came.entry(end).or_default() += 1;
    }
    println!(
        "faults: {} of {possible} failures of {} kinds of calls (seed {}), came to {came:?}",
        samples.min(possible),
        all.len(),
        plan.seed
    );
    assert!(samples.min(possible) > 2 * came.get(&End::NeverMet).copied().unwrap_or(0), "most failures were never met");
    Came::Held
}

/// The most calls that one thread made.
fn calls(out: &Path, call: &str) -> usize {
    let mut threads: BTreeMap<String, usize> = BTreeMap::new();
    let text = fs::read_to_string(out).unwrap();
    for line in text.lines().filter(|line| line.contains(&format!(" {call}("))) {
        *threads.entry(line.split(' ').next().unwrap().to_owned()).or_default() += 1;
    }
    threads.into_values().max().unwrap_or(0)
}

/// Runs a server into a failure, restarts it without one, and compares.
async fn run(directory: &Path, names: &[PathBuf], fault: &Fault) -> End {
    let (out, data, what) = (directory.join("trace"), directory.join("data"), format!("{fault:?}"));
    let (ledger, mut people, mut verb) = (Ledger::default(), None, "demo");
    if fault.start == Start::Later {
        let (server, known) = Server::demo(&data).await;
        server.stop().await;
        (people, verb) = (Some(known), "serve");
    }
    let mut end = match Process::start(&strace(&out, &data, names, fault), verb, &data).serving().await {
        Err(ended) => {
            clear(&ended.said, &what);
            assert_eq!(ended.code, Some(1), "{what}: {}", ended.said);
            assert!(ended.said.contains("countersign: "), "{what}: it ended without saying why: {}", ended.said);
            End::DidNotStart
        }
        Ok(server) => {
            let people = people.get_or_insert_with(|| server.people());
            work(server, people, &ledger, &what).await
        }
    };
    if !fs::read_to_string(&out).unwrap().contains("(INJECTED)") {
        assert_eq!(end, End::WentOn, "{what}: nothing failed, and it came to this");
        end = End::NeverMet;
    }
    let server = match people {
        Some(people) => {
            let server = Server::serve(&data).await;
            ledger.check(&server, &people, &what).await;
            server
        }
        None => Server::demo(&data).await.0,
    };
    server.stop().await;
    let checked = countersign::store::check(&data).unwrap();
    assert_eq!(checked.problems, Vec::<String>::new(), "{what}");
    end
}

/// Clients at work while something fails, and then a stop.
async fn work(server: Server, people: &People, ledger: &Ledger, what: &str) -> End {
    let server = Arc::new(server);
    let mut met = vec![];
    match load::govern_project(&server, people).await {
        Ok(()) => met.extend(load::start(&server, people, ledger, &LOAD).met().await),
        Err(told) => met.push(format!("{told:?}")),
    }
    let (status, reason) = server.readiness().await.unwrap_or_else(|| panic!("{what}: it is gone: {}", server.said()));
    assert!(status == 200 || status == 503 && reason.len() > 10, "{what}: /readyz says {status} {reason}");
    let stopped = met.iter().any(|met| met.contains("outcome is unknown") || met.contains("does not write any more"));
    assert!(!stopped || status == 503, "{what}: it does not write, and says it is ready: {met:?}");
    reads_go_on(&server, people).await;
    server.signal(Signal::TERM);
    let ended = Arc::into_inner(server).unwrap().ended().await;
    clear(&ended.said, what);
    let says_why = ended.code == Some(1) && ended.said.contains("countersign: ");
    assert!(ended.code == Some(0) || says_why, "{what}: {ended:?}");
    if stopped { End::StoppedWriting } else { End::WentOn }
}

async fn reads_go_on(server: &Server, people: &People) {
    let query = "{ templates { nodes { name } } }";
    server.caller(people, "ann").ask(query, json!({})).await.done();
}

/// Whoever reads the log is told what failed, not where the code broke.
fn clear(said: &str, what: &str) {
    assert!(!said.contains("panicked"), "{what}: it panicked: {said}");
}

/// A sync that fails, and goes on failing: writing stops for good, reading does not.
pub async fn failed_sync(plan: Plan) -> Came {
    if !has_strace() {
        return Came::Ignored("strace is not installed, or may not trace".to_owned());
    }
    let (names, mut random) = (vec![PathBuf::from("journal/0000000000000001.journal")], plan.random());
    let (mut unknown, mut settled) = (0, 0);
    let rounds = plan.rounds_or(3);
    for round in 0..rounds {
        let when = format!("seed {}, round {round}", plan.seed);
        let directory = tempfile::tempdir().unwrap();
        let (out, data) = (directory.path().join("trace"), directory.path().join("data"));
        let when_failing = format!("{}+", random.usize(60..140));
        let fault = Fault { call: "fdatasync", with: "", error: "EIO", start: Start::First, when: when_failing };
        let through = strace(&out, &data, &names, &fault);
        let server = Arc::new(Process::start(&through, "demo", &data).serving().await.unwrap());
        let (people, ledger) = (server.people(), Ledger::default());
        load::govern_project(&server, &people).await.unwrap();
        let load = Load { clients: 8, bundles: 500, batches: 500, seed: random.u64(..), ..LOAD };
        let met = load::start(&server, &people, &ledger, &load).met().await;
        let stopped = |met: &String| met.contains("outcome is unknown") || met.contains("does not write any more");
        assert!(met.len() == 9 && met.iter().all(stopped), "{when}: {met:?}");
        unknown += met.iter().filter(|met| met.contains("outcome is unknown")).count();
        let (status, reason) = server.readiness().await.unwrap();
        assert!(status == 503 && reason.contains("restart"), "{when}: /readyz says {status} {reason}");
        // What is shown was durable before the failure; what is unknown is not shown.
        ledger.compare(&server, &people, &format!("{when}, while writing is stopped")).await;
        tokio::time::sleep(Duration::from_millis(random.u64(0..200))).await;
        server.signal(if random.bool() { Signal::KILL } else { Signal::TERM });
        Arc::into_inner(server).unwrap().ended().await;
        let server = Server::serve(&data).await;
        settled += ledger.check(&server, &people, &when).await;
        ledger.check(&server, &people, &format!("{when}, settled")).await;
        server.stop().await;
    }
    println!(
        "failed_sync: {rounds} rounds, writing stopped in each and /readyz said so; {unknown} outcomes unknown, {settled} settled"
    );
    Came::Held
}
