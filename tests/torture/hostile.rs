//! The hostile table: what somebody sends who means harm, what he hears, and that everybody else is answered on.
//! Each row compares with the same server's idle answers, taken around it: a machine that is busy otherwise makes both
//! slow. Never sends anything anywhere but to the server that it started.

mod attack;

use super::{
    Came, Plan,
    client::Caller,
    server::{People, Process, Server},
};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::json;
use std::{
    ffi::OsString,
    fmt::Write,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

/// How many times slower than idle others may be answered meanwhile, in the middle.
const SLOWER_MAX: u32 = 5;

/// Below this an answer is never slow: a machine with other work does not give a process its turn sooner.
const NEVER_SLOW: Duration = Duration::from_millis(20);

/// How much memory the server may take, in kilobytes.
const RESIDENT_KILOBYTES_MAX: u64 = 150 * 1024;

/// How many answers are measured at least.
const SAMPLES: usize = 60;

/// How often a row is tried that was slow: whatever else the machine does passes.
const TRIES: usize = 3;

/// Somebody else, who asks one thing after the other while it lasts.
struct Other {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<(Vec<Duration>, u64)>,
}

impl Other {
    fn asks(caller: &Caller, process: u32) -> Self {
        let (stop, caller) = (Arc::new(AtomicBool::new(false)), caller.clone());
        let stopped = Arc::clone(&stop);
        let asking = tokio::spawn(async move {
            let (mut took, mut resident) = (vec![], 0);
            while took.len() < SAMPLES || !stopped.load(Ordering::Acquire) {
                let begun = Instant::now();
                caller.ask("{ viewer { __typename } }", json!({})).await.done();
                took.push(begun.elapsed());
                resident = resident.max(resident_kilobytes(process));
                sleep(Duration::from_millis(2)).await;
            }
            (took, resident)
        });
        Self { stop, asking }
    }

    /// The median of his answers, and the most memory that the server took.
    async fn met(self) -> (Duration, u64) {
        self.stop.store(true, Ordering::Release);
        let (mut took, resident) = self.asking.await.expect("others are answered");
        took.sort_unstable();
        (took[took.len() / 2], resident)
    }
}

fn resident_kilobytes(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// How long a process has computed, in hundredths of a second.
fn ticks(process: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// A server under attack, and what was seen.
struct Table {
    server: Server,
    people: People,
    other: Caller,
    process: u32,
    lines: String,
}

impl Table {
    /// Runs an attack until it has ended and others were asked often enough, and says what came of it.
    async fn row(&mut self, name: &str, expected: &str, attack: impl AsyncFn(Caller) -> String) {
        for round in 1..=TRIES {
            let (before, _) = Other::asks(&self.other, self.process).met().await;
            let others = Other::asks(&self.other, self.process);
            let heard = attack(self.server.caller(&self.people, "eve")).await;
            assert_eq!(heard, expected, "{name}");
            let (during, resident) = others.met().await;
            let (after, left) = Other::asks(&self.other, self.process).met().await;
            let limit = (before * SLOWER_MAX).max(NEVER_SLOW);
            let resident = resident.max(left);
            writeln!(
                self.lines,
                "  {name:<44} {expected:<44} {:>7.1} {:>7.1} {:>7.1} {:>5}",
                milliseconds(before),
                milliseconds(during),
                milliseconds(after),
                resident / 1024,
            )
            .unwrap();
            assert!(resident < RESIDENT_KILOBYTES_MAX, "{name} takes {resident} kB\n{}", self.lines);
            if during <= limit && after <= limit {
                return;
            }
            assert!(round < TRIES, "{name}: others waited longer than {limit:?} each of {TRIES} times\n{}", self.lines);
        }
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

pub async fn hostile(_: Plan) -> Came {
    let directory = tempfile::tempdir().unwrap();
    let (server, people) = Server::demo(&directory.path().join("data")).await;
    let (other, process) = (server.caller(&people, "ann"), server.id());
    let mut table = Table { server, people, other, process, lines: String::new() };
    attack::all(&mut table).await;
    no_descriptors(&mut table).await;
    println!(
        "hostile: {:<44} {:<44} {:>7} {:>7} {:>7} {:>5}\n{}",
        "what is sent", "what is heard", "idle ms", "during", "after", "MB", table.lines
    );
    table.server.stop().await;
    few_descriptors().await;
    Came::Held
}

/// The system gives the server no descriptor for a connection: it waits without turning a processor, answers those that
/// it has, and takes new ones as soon as it can.
async fn no_descriptors(table: &mut Table) {
    let id = Pid::from_raw(i32::try_from(table.process).unwrap());
    let allowed = prlimit(id, Resource::Nofile, getrlimit(Resource::Nofile)).unwrap();
    // A first request opens the connection that is asked on meanwhile.
    table.other.ask("{ viewer { __typename } }", json!({})).await.done();
    prlimit(id, Resource::Nofile, Rlimit { current: Some(3), ..allowed }).unwrap();
    let mut waiting = vec![];
    for _ in 0..20 {
        waiting.push(attack::Wire::open(&table.other.address).await);
    }
    let (begun, computed) = (Instant::now(), ticks(table.process));
    sleep(Duration::from_secs(3)).await;
    let (waited, computed) = (begun.elapsed(), ticks(table.process) - computed);
    table.other.ask("{ viewer { __typename } }", json!({})).await.done();
    prlimit(id, Resource::Nofile, allowed).unwrap();
    for wire in &mut waiting {
        wire.send("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert_eq!(wire.status().await, "200");
    }
    let share = f64::from(u32::try_from(computed).unwrap()) / 100.0 / waited.as_secs_f64();
    assert!(share < 0.5, "it turned a processor for {share:.2} of the time");
    assert!(table.server.said().contains("no connection can be accepted"), "{}", table.server.said());
    writeln!(
        table.lines,
        "  20 connections without a descriptor for them: computed {:.0} % of the time, then answered",
        share * 100.0
    )
    .unwrap();
}

/// A server that may open few files takes as many connections as fit beside its store, and none where too few would.
async fn few_descriptors() {
    let directory = tempfile::tempdir().unwrap();
    let through = |files: &str| ["prlimit".to_owned(), format!("--nofile={files}:{files}")].map(OsString::from);
    let few = Process::start(&through("300"), "demo", &directory.path().join("few")).serving().await;
    let ended = few.err().expect("a start that is refused");
    assert_eq!(ended.code, Some(1));
    assert!(ended.said.contains("allows this process 300 open files"), "{}", ended.said);
    // 256 are kept, and one address has half of the rest.
    let some = Process::start(&through("456"), "demo", &directory.path().join("some")).serving().await.unwrap();
    let caller = some.caller(&some.people(), "ann");
    caller.ask("{ viewer { __typename } }", json!({})).await.done();
    let (mut held, mut refused, mut unheard) = (vec![], 0, 0);
    for _ in 0..300 {
        let mut wire = attack::Wire::open(&caller.address).await;
        wire.send("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
        match wire.status().await.as_str() {
            "200" => held.push(wire),
            "503" => refused += 1,
            "" => unheard += 1,
            other => panic!("a connection was answered {other}"),
        }
    }
    // The test's own client has one or two.
    assert!((96..100).contains(&held.len()), "{} are held", held.len());
    println!(
        "hostile: of 300 connections to a server with 456 descriptors {} are held, {refused} told 503, {unheard} closed",
        held.len()
    );
    drop(held);
    some.stop().await;
}
