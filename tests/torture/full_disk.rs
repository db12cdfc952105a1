//! A disk that fills and is grown again, without a restart: writes are refused with STORAGE_FULL, reads and
//! subscriptions go on, and nothing of what was refused is there.

use super::{
    Came, Plan,
    client::Subscription,
    ledger::Ledger,
    load::{self, LAST, Load},
    mount::{self, Mount},
    sandbox,
    server::Server,
};
use serde_json::json;
use std::{ffi::OsStr, sync::Arc, time::Duration};
use tokio::time::sleep;

const ROUNDS: usize = 2;

/// More than six megabytes hold, of each client.
const BUNDLES_MAX: usize = 2_000;

/// How long a server may need to find that its disk has room again.
const RECOVERY_MAX: Duration = Duration::from_secs(30);

pub async fn full_disk(plan: Plan) -> Came {
    if !sandbox::exists() {
        return Came::Ignored("it needs root, and a mount namespace of its own".to_owned());
    }
    let (rounds, mut random) = (plan.rounds_or(ROUNDS), plan.random());
    for round in 0..rounds {
        let directory = tempfile::tempdir().unwrap();
        let mounted = ["-t", "tmpfs", "-o", "size=6m", "tmpfs"].map(OsStr::new);
        let disk = match Mount::new(&mounted, &directory.path().join("disk")) {
            Ok(disk) => disk,
            Err(why) => return Came::Ignored(why),
        };
        fill_and_grow(&disk, random.u64(..), &format!("seed {}, round {round}", plan.seed)).await;
    }
    Came::Held
}

async fn fill_and_grow(disk: &Mount, seed: u64, when: &str) {
    let data = disk.path().join("data");
    let (server, people) = Server::demo(&data).await;
    load::govern_project(&server, &people).await.unwrap();
    let (server, ledger) = (Arc::new(server), Ledger::default());
    let auditor = server.caller(&people, "aud");
    let decided = "subscription { events(filter: { kinds: [DECIDED] }) { cursor node { kind } } }";
    let mut subscription = auditor.subscribe(decided, json!({})).await;

    let load =
        Load { clients: 8, name: "full".into(), bundles: BUNDLES_MAX, batches: BUNDLES_MAX, text_max: 19_000, seed };
    let met = load::start(&server, &people, &ledger, &load).met().await;
    assert!(met.len() == 9 && met.iter().all(|met| met.starts_with("STORAGE_FULL")), "{when}: {met:?}");
    let full = ledger.acknowledged();
    ledger.check(&server, &people, &format!("{when}, while the disk is full")).await;
    let heard = hears(&mut subscription, approved(&ledger)).await;
    assert_eq!(heard, approved(&ledger), "{when}: the subscriber heard something else than was decided");
    let said = server.readiness().await;

    mount::run("mount", ["-o".as_ref(), "remount,size=64m".as_ref(), disk.path().as_os_str()]).unwrap();
    let load = Load { name: "grown".into(), bundles: 5, batches: 5, ..load };
    let met = load::start(&server, &people, &ledger, &load).met().await;
    assert_eq!(met, Vec::<String>::new(), "{when}: writing does not go on");
    ledger.check(&server, &people, &format!("{when}, after the disk was grown")).await;
    let more = hears(&mut subscription, approved(&ledger) - heard).await;
    assert_eq!(heard + more, approved(&ledger), "{when}: the subscription did not go on");
    let recovered = recovered(&server, when).await;
    history_is_read(&server, &people, when).await;
    println!(
        "full_disk: {when}: full after {full} commands (/readyz {said:?}); grown: {} more; ready again after {recovered:?}",
        ledger.acknowledged() - full
    );
    let server = Arc::into_inner(server).unwrap();
    server.kill().await;
    let server = Server::serve(&data).await;
    ledger.check(&server, &people, &format!("{when}, after a restart")).await;
    server.stop().await;
    assert_eq!(countersign::store::check(&data).unwrap().problems, Vec::<String>::new());
}

/// How much a subscriber hears until it is as much as there was, or nothing more has come for a while.
async fn hears(subscription: &mut Subscription, wanted: usize) -> usize {
    let mut heard = 0;
    for _ in 0..40 {
        heard += subscription.rest().await.len();
        if heard >= wanted {
            break;
        }
    }
    heard
}

/// How long it takes until the server says that it is ready.
async fn recovered(server: &Server, when: &str) -> Duration {
    let mut waited = Duration::ZERO;
    while server.readiness().await.is_none_or(|(status, _)| status != 200) {
        assert!(waited < RECOVERY_MAX, "{when}: it does not recover: {:?} {}", server.readiness().await, server.said());
        sleep(Duration::from_millis(100)).await;
        waited += Duration::from_millis(100);
    }
    waited
}

/// How many bundles were decided.
fn approved(ledger: &Ledger) -> usize {
    ledger.book().bundles.values().filter(|bundle| bundle.done == LAST).count()
}

/// The log can be read from its beginning: what lies before memory's newest commits is found by the index.
async fn history_is_read(server: &Server, people: &super::server::People, when: &str) {
    let query = "{ events(first: 100) { nodes { kind } } }";
    let answer = server.caller(people, "aud").ask(query, json!({})).await;
    assert_eq!(answer.at("/events/nodes").as_array().unwrap().len(), 100, "{when}: the log begins with a gap");
}
