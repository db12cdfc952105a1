//! The power goes: the disk as it is at one moment, copied under load, is all that is left.
//! An ext4 image on a loop device lies on btrfs, where a copy of it is made at once; the copy is mounted, which replays
//! ext4's own journal, and opened by the real binary in what it must take for another boot of the machine.

use super::{
    Came, Plan,
    ledger::Ledger,
    load::{self, Load},
    mount::{self, Mount},
    sandbox,
    server::{Process, Server},
};
use std::{
    ffi::{OsStr, OsString},
    fs,
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::time::sleep;

const ROUNDS: usize = 10;
const MIB: u64 = 1024 * 1024;

/// A sparse file: the copies share what they have in common.
const POOL_BYTES: u64 = 16 * 1024 * MIB;
const DISK_BYTES: u64 = 768 * MIB;

/// So many rounds share a store: every round compares everything since the first.
const SERIES: usize = 20;

pub async fn power(plan: Plan) -> Came {
    if !sandbox::exists() {
        return Came::Ignored("it needs root, and a mount namespace of its own".to_owned());
    }
    let (rounds, mut random) = (plan.rounds_or(ROUNDS), plan.random());
    let mut acknowledged = 0;
    for first in (0..rounds).step_by(SERIES) {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let pool = match Mount::image("btrfs", &["--quiet"], &at("pool.image"), POOL_BYTES, &at("pool")) {
            Ok(pool) => pool,
            Err(why) => return Came::Ignored(why),
        };
        let options = ["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"];
        let image = pool.path().join("disk.image");
        let disk = match Mount::image("ext4", &options, &image, DISK_BYTES, &at("disk")) {
            Ok(disk) => disk,
            Err(why) => return Came::Ignored(why),
        };
        let rounds = first..rounds.min(first + SERIES);
        acknowledged += series(plan.seed, rounds, &mut random, (disk.path(), &image)).await;
    }
    println!(
        "power: {rounds} rounds, {acknowledged} commands acknowledged before the power went, 0 lost, 0 half, 0 unopenable"
    );
    assert!(acknowledged > 20 * rounds, "the load was too small to say anything: {acknowledged}");
    Came::Held
}

/// Rounds over one store; answers how many commands were acknowledged before the last of them.
async fn series(
    seed: u64,
    rounds: std::ops::Range<usize>,
    random: &mut fastrand::Rng,
    (disk, image): (&Path, &Path),
) -> usize {
    let (server, people) = Server::demo(&disk.join("data")).await;
    load::govern_project(&server, &people).await.unwrap();
    let (server, ledger) = (Arc::new(server), Ledger::default());
    let mut acknowledged = 0;
    for round in rounds {
        let when = format!("seed {seed}, round {round}");
        let load = Load {
            clients: 8,
            name: format!("r{round}"),
            bundles: usize::MAX,
            batches: 10,
            text_max: 19_000,
            seed: random.u64(..),
        };
        let running = load::start(&server, &people, &ledger, &load);
        sleep(Duration::from_millis(random.u64(100..600))).await;
        let before = ledger.book().clone();
        let copy = image.with_file_name("copy.image");
        mount::run("cp", ["--reflink=always".as_ref(), image.as_os_str(), copy.as_os_str()]).unwrap();
        let after = ledger.book().clone();
        running.stop().await;
        let left = Ledger::between(before, after);
        acknowledged = left.acknowledged();
        let mounted = ["-o".as_ref(), "loop".as_ref(), copy.as_os_str()];
        let mounted = Mount::new(&mounted, &disk.with_file_name("copy")).unwrap();
        let process =
            Process::start(&rebooted(&disk.with_file_name("boot_id"), random), "serve", &mounted.path().join("data"));
        let reopened = process.serving().await.unwrap_or_else(|ended| panic!("{when}: it cannot be opened: {ended:?}"));
        left.compare(&reopened, &people, &when).await;
        reopened.kill().await;
        drop(mounted);
        fs::remove_file(copy).unwrap();
    }
    let server = Arc::into_inner(server).unwrap();
    ledger.check(&server, &people, "at the end").await;
    server.stop().await;
    acknowledged
}

/// Starts a program in what it takes for a later boot: the index may trust what it wrote within one boot only.
fn rebooted(file: &Path, random: &mut fastrand::Rng) -> Vec<OsString> {
    fs::write(file, format!("{:032x}\n", random.u128(..))).unwrap();
    let script = "mount --bind \"$0\" /proc/sys/kernel/random/boot_id && exec \"$@\"";
    let words = ["unshare", "--mount", "--", "sh", "-c", script].map(OsStr::new);
    words.into_iter().chain([file.as_os_str()]).map(OsString::from).collect()
}
