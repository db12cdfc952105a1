//! `kill -9` at any moment, over a store of 100,000 events: under load, while it opens, while it rebuilds its index,
//! while it stops. What was acknowledged is there, nothing is there by half, and it is ready again at once.

use super::{
    Came, Plan,
    ledger::Ledger,
    load::{self, Load},
    server::{People, Process, Server},
};
use rustix::process::Signal;
use serde_json::json;
use std::{fs, ops::Range, path::Path, sync::Arc, time::Duration};
use tokio::time::sleep;

const ROUNDS: usize = 50;
const LOAD: Load = Load { clients: 8, name: String::new(), bundles: usize::MAX, batches: 1, text_max: 19_000, seed: 0 };
const EVENTS: u64 = 100_000;

/// The median of all restarts, index at hand.
const READY_MEDIAN_MAX: Duration = Duration::from_secs(2);

/// Any single restart: the gate shares its machine.
const READY_MAX: Duration = Duration::from_secs(15);

/// When a round kills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    UnderLoad,
    WhileOpening,
    WhileRebuilding,
    WhileStopping,
}

/// So many rounds share a store: every round compares everything since the first.
const SERIES: usize = 100;

pub async fn crash(plan: Plan) -> Came {
    let (rounds, mut random) = (plan.rounds_or(ROUNDS), plan.random());
    for first in (0..rounds).step_by(SERIES) {
        series(plan.seed, first..rounds.min(first + SERIES), &mut random).await;
    }
    Came::Held
}

async fn series(seed: u64, rounds: Range<usize>, random: &mut fastrand::Rng) {
    use Moment::{UnderLoad, WhileOpening, WhileRebuilding, WhileStopping};
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let people = fill(&data).await;
    let ledger = Ledger::default();
    let mut server = Server::serve(&data).await;
    let (mut ready, mut rebuilt, mut unanswered) = (vec![], vec![], 0);
    for round in rounds.clone() {
        let moment = [UnderLoad, WhileOpening, WhileStopping, UnderLoad, WhileOpening][round % 5];
        let moment = if round % 16 == 8 { WhileRebuilding } else { moment };
        let when = format!("seed {seed}, round {round}, killed {moment:?}");
        let load = Load { name: format!("r{round}"), seed: random.u64(..), ..LOAD };
        kill(server, &people, &ledger, &load, moment, random).await;
        if moment == WhileRebuilding {
            fs::remove_dir_all(data.join("index")).unwrap();
        }
        if matches!(moment, WhileOpening | WhileRebuilding) {
            for _ in 0..random.usize(1..=3) {
                let opening = Process::start(&[], "serve", &data);
                sleep(Duration::from_millis(random.u64(1..if moment == WhileOpening { 150 } else { 2_000 }))).await;
                opening.kill().await;
            }
        }
        server = Server::serve(&data).await;
        if moment == WhileRebuilding {
            rebuilt.push(server.ready)
        } else {
            ready.push(server.ready)
        };
        unanswered += ledger.check(&server, &people, &when).await;
    }
    ledger.check(&server, &people, "at the end").await;
    server.stop().await;
    let checked = countersign::store::check(&data).unwrap();
    assert_eq!(checked.problems, Vec::<String>::new());
    assert!(checked.events >= EVENTS, "{} events say nothing about {EVENTS}", checked.events);
    report((&ledger, unanswered), rounds.len(), checked.events, (ready, rebuilt));
}

/// Puts a server under load and kills it.
async fn kill(
    server: Server,
    people: &People,
    ledger: &Ledger,
    load: &Load,
    moment: Moment,
    random: &mut fastrand::Rng,
) {
    let server = Arc::new(server);
    let running = load::start(&server, people, ledger, load);
    sleep(Duration::from_millis(random.u64(50..350))).await;
    if moment == Moment::WhileStopping {
        server.signal(Signal::TERM);
        sleep(Duration::from_millis(random.u64(0..60))).await;
    }
    server.signal(Signal::KILL);
    running.met().await;
    Arc::into_inner(server).unwrap().ended().await;
}

fn report(
    (ledger, unanswered): (&Ledger, usize),
    rounds: usize,
    events: u64,
    (mut ready, mut rebuilt): (Vec<Duration>, Vec<Duration>),
) {
    ready.sort_unstable();
    rebuilt.sort_unstable();
    let (median, longest) = (ready[ready.len() / 2], ready[ready.len() - 1]);
    println!(
        "crash: {rounds} rounds, {} commands acknowledged, {unanswered} of them only when sent again, 0 lost, 0 half, 0 unopenable; {events} events, \
         ready again after {median:?} (median), {longest:?} at most; index rebuilt {} times, {:?} at most",
        ledger.acknowledged(),
        rebuilt.len(),
        rebuilt.last().unwrap_or(&Duration::ZERO),
    );
    assert!(ledger.acknowledged() > 20 * rounds, "the load was too small to say anything: {}", ledger.acknowledged());
    assert!(median < READY_MEDIAN_MAX, "ready again only after {median:?} in the median");
    assert!(longest < READY_MAX, "ready again only after {longest:?}");
}

/// Makes a store of so many events, most of them of another project: two thousand bundles reported fifty times.
async fn fill(data: &Path) -> People {
    let (server, people) = Server::demo(data).await;
    load::govern_project(&server, &people).await.unwrap();
    let node = server.caller(&people, "auto-1-sync");
    let query =
        "mutation($input: SyncSourceObjectsInput!) { syncSourceObjects(input: $input) { userErrors { code } } }";
    let sync = async |objects| node.ask(query, json!({ "input": { "objects": objects } })).await.done().code();
    sync(json!([{ "kind": "PROJECT", "key": "BULK", "name": "Bulk" }])).await;
    for n in 0..EVENTS / 1_000 {
        let object = |row: u64| {
            json!({ "kind": "BUNDLE", "key": format!("b{}", n % 2 * 1_000 + row), "name": "b", "parentKey": "BULK",
                "contentDigest": load::digest(n) })
        };
        sync((0..1_000).map(object).collect()).await;
    }
    server.stop().await;
    people
}
