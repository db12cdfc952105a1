//! Backup and restore through the real binary: under load, verified, with a new log epoch and without old sessions;
//! and what is refused, with file and offset.

use super::{
    command::{back_up, binary, countersign, restore, text},
    demo::Demo,
    journal::{append, entry, tenant},
    machine::{CountedIds, HandClock, machine},
    operations::digest,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign::{
    domain::time::Clock,
    store::{
        Store, Unwatched,
        backup::{Manifest, Restore, Target, take},
        disk::FileDisk,
        journal::{FileJournal, Settings},
        lock::Lock,
    },
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Backups under load, into the same directory.
const ROUNDS: usize = 5;
const CLIENTS: usize = 8;

/// Where a test puts things.
struct Places {
    _directory: tempfile::TempDir,
    data: PathBuf,
    backup: PathBuf,
    keys: PathBuf,
    restored: PathBuf,
}

impl Places {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        Self {
            data: at("data"),
            backup: at("backup"),
            keys: at("keys"),
            restored: at("restored"),
            _directory: directory,
        }
    }

    fn take(&self) -> Result<countersign::store::backup::Taken, countersign::store::backup::BackupError> {
        let target = Target { backup: &self.backup, keys: Some(&self.keys) };
        take(&self.data, target, HandClock::new().now(), &Unwatched)
    }

    fn begin(&self) -> Result<Restore, countersign::store::backup::BackupError> {
        let machine = machine(&HandClock::new(), CountedIds::from(1));
        Restore::begin(&self.restored, &self.backup, &self.keys, &machine)
    }

    async fn back_up(&self) -> (i32, String) {
        back_up(&self.data, &self.backup, &self.keys).await
    }

    async fn restore(&self, to: &Path) -> (i32, String) {
        restore(&self.backup, &self.keys, to).await
    }
}

/// The commit of each bundle that a report of was acknowledged.
type Acknowledged = Arc<Mutex<BTreeMap<String, u64>>>;

/// Clients that report bundles until they are told to stop.
fn load(server: &Demo, round: usize, seen: &Acknowledged, stop: &Arc<AtomicBool>) -> Vec<tokio::task::JoinHandle<()>> {
    let client = |client: usize| {
        let (node, seen, stop) = (server.caller("design-1-sync"), Arc::clone(seen), Arc::clone(stop));
        tokio::spawn(async move {
            for n in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let key = format!("r{round}-c{client}-{n}");
                let object = json!({ "kind": "BUNDLE", "key": key, "name": key, "parentKey": "LOAD", "contentDigest": digest(&key) });
                let answer = node.sync(json!([object])).await;
                let cursor = URL_SAFE_NO_PAD.decode(answer.text("/syncSourceObjects/cursor")).unwrap();
                let number = u64::from_be_bytes(cursor[16..24].try_into().unwrap());
                seen.lock().unwrap().insert(key, number);
            }
        })
    };
    (0..CLIENTS).map(client).collect()
}

/// The organisation of a key of the demo.
fn tenant_of(server: &Demo) -> uuid::Uuid {
    let key = server.caller("design-1-sync").credential.unwrap();
    let name = key.strip_prefix("csk_").unwrap().split('.').next().unwrap();
    uuid::Uuid::from_slice(&URL_SAFE_NO_PAD.decode(name).unwrap()[..16]).unwrap()
}

/// The keys of all bundles that the server knows, governed or not.
async fn bundles(server: &Demo) -> BTreeSet<String> {
    let query = "query($after: String) { sourceObjects(first: 100, after: $after, filter: { kind: BUNDLE }) {
        nodes { key } pageInfo { hasNextPage endCursor } } }";
    let (mut found, mut after) = (BTreeSet::new(), Value::Null);
    loop {
        let page = server.caller("ann").ask(query, json!({ "after": after })).await;
        let nodes = page.at("/sourceObjects/nodes");
        found.extend(nodes.as_array().unwrap().iter().map(|node| node["key"].as_str().unwrap().to_owned()));
        if page.at("/sourceObjects/pageInfo/hasNextPage") == false {
            return found;
        }
        after = page.at("/sourceObjects/pageInfo/endCursor");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_is_what_the_server_held_at_its_position() {
    let places = Places::new();
    let server = Demo::start(&places.data).await;
    let project = json!([{ "kind": "PROJECT", "key": "LOAD", "name": "Load" }]);
    let sync = server.caller("design-1-sync").sync(project).await;
    let old_cursor = sync.text("/syncSourceObjects/cursor");
    let (tenant, seen) = (tenant_of(&server), Acknowledged::default());
    for round in 0..ROUNDS {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = load(&server, round, &seen, &stop);
        tokio::time::sleep(Duration::from_millis(100 + round as u64 * 77 % 300)).await;
        let before = seen.lock().unwrap().clone();
        let (code, said) = places.back_up().await;
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.unwrap();
        }
        assert_eq!(code, 0, "{said}");
        let manifest: Manifest = serde_json::from_str(&said).unwrap();
        let head = manifest.tenants.iter().find(|held| held.id.uuid() == tenant).unwrap().records;
        let missing: Vec<_> = before.iter().filter(|(_, number)| **number > head).collect();
        assert!(missing.is_empty(), "round {round}: acknowledged before the backup and not in it: {missing:?}");
        let model: BTreeSet<String> =
            seen.lock().unwrap().iter().filter(|(_, number)| **number <= head).map(|(key, _)| key.clone()).collect();
        assert!(before.len() > 5, "the load was too small to say anything: {}", before.len());
        assert!(model.len() < seen.lock().unwrap().len(), "round {round}: nothing was written during the backup");

        let restored = places.restored.join(round.to_string());
        let (code, said) = places.restore(&restored).await;
        assert_eq!(code, 0, "{said}");
        let checked = countersign::store::check(&restored).unwrap();
        assert_eq!(checked.problems, Vec::<String>::new());
        let again = Demo::start(&restored).await;
        assert_eq!(bundles(&again).await, model, "round {round}");

        // Whoever was signed in is not any more; whoever reads on begins anew.
        let here = again.caller("ann");
        let there = super::client::Caller { credential: server.caller("ann").credential, ..here.clone() };
        there.ask("{ templates { nodes { name } } }", json!({})).await.refused("UNAUTHENTICATED");
        let events = "query($after: EventCursor) { events(after: $after, first: 1) { edges { cursor } } }";
        here.ask(events, json!({ "after": old_cursor })).await.refused("CURSOR_EXPIRED");
        let kinds = "query($after: EventCursor) { events(after: $after, first: 100) {
            edges { node { kind } } pageInfo { hasNextPage endCursor } } }";
        let (mut told, mut after) = (vec![], Value::Null);
        loop {
            let page = again.caller("admin").ask(kinds, json!({ "after": after })).await;
            told.extend(page.at("/events/edges").as_array().unwrap().iter().map(|edge| edge["node"]["kind"].clone()));
            after = page.at("/events/pageInfo/endCursor");
            if page.at("/events/pageInfo/hasNextPage") == false {
                break;
            }
        }
        assert_eq!(told.iter().filter(|kind| **kind == "TENANT_RESTORED").count(), 1);
    }
    println!("{ROUNDS} rounds, {} bundles", seen.lock().unwrap().len());
    // What another server has goes neither into this backup nor among these keys.
    let mut another = Places::new();
    let other = Demo::start(&another.data).await;
    other.caller("ann").ask("{ templates { nodes { name } } }", json!({})).await.done();
    another.backup.clone_from(&places.backup);
    let (code, said) = another.back_up().await;
    assert!(code == 1 && said.contains("holds a backup that this log does not continue"), "{said}");
    another.backup = another.data.with_file_name("fresh");
    another.keys.clone_from(&places.keys);
    let (code, said) = another.back_up().await;
    assert!(code == 1 && said.contains("holds other files than the keys of this server"), "{said}");
}

/// A data directory with a journal of many small segments; its tenants have no keys, as if they had been erased.
fn segmented(places: &Places, groups: u64) {
    drop(Lock::take(&places.data).unwrap());
    std::fs::create_dir_all(places.data.join("keys")).unwrap();
    go_on(places, (1, groups), "x");
}

fn go_on(places: &Places, (from, to): (u64, u64), payload: &str) {
    let disk = Arc::new(FileDisk::open(&places.data.join("journal")).unwrap());
    let settings = Settings { segment_bytes_max: 2_000, ..Settings::new(*b"sixteen bytes, b") };
    let (mut journal, _) = FileJournal::open(disk, settings, None, &mut |_| Ok(())).unwrap();
    for number in from..=to {
        append(&mut journal, vec![entry(tenant(7), number, &payload.repeat(300))]).unwrap();
    }
}

#[test]
fn a_later_backup_copies_only_what_is_new_and_an_interrupted_one_harms_nothing() {
    let places = Places::new();
    segmented(&places, 20);
    let first = places.take().unwrap();
    assert_eq!(first.bytes_copied, first.manifest.bytes());
    assert!(first.manifest.segments.len() > 4, "{:?}", first.manifest.segments);
    assert!(!first.manifest.tenants[0].key);
    let oldest = places.backup.join("journal").join(&first.manifest.segments[0].name);
    let inode = oldest.metadata().unwrap().ino();
    assert_eq!(oldest.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    go_on(&places, (21, 25), "x");
    // As if a backup had been killed before its manifest: the files are newer than the manifest says.
    let manifest = std::fs::read(places.backup.join("manifest.json")).unwrap();
    let second = places.take().unwrap();
    assert!(second.bytes_copied < second.manifest.bytes() / 2, "{} bytes", second.bytes_copied);
    assert_eq!(oldest.metadata().unwrap().ino(), inode, "a closed segment was copied again");
    assert_eq!((first.manifest.records, second.manifest.records), (20, 25));
    std::fs::write(places.backup.join("manifest.json"), &manifest).unwrap();
    std::fs::write(places.backup.join("journal/0000000000000009.journal.temp"), b"half").unwrap();
    assert_eq!(places.begin().unwrap().manifest().records, 20);
    assert_eq!(places.take().unwrap().manifest.records, 25);
    assert!(!places.backup.join("journal/0000000000000009.journal.temp").exists());

    // A group that is being written does not count, and is not in the backup.
    let newest = places.data.join("journal").join(&second.manifest.segments.last().unwrap().name);
    let whole = std::fs::read(&newest).unwrap();
    std::fs::write(&newest, [whole.as_slice(), b"CSGROUP\n and not all of it"].concat()).unwrap();
    let third = places.take().unwrap();
    assert_eq!((third.manifest.group, third.manifest.hash), (second.manifest.group, second.manifest.hash));
    assert_eq!(third.manifest.segments, second.manifest.segments);
    std::fs::write(&newest, &whole).unwrap();

    // Another log never goes into the same directory.
    let earlier = std::fs::read(places.backup.join("manifest.json")).unwrap();
    std::fs::remove_dir_all(places.data.join("journal")).unwrap();
    for groups in [24, 26, 40] {
        go_on(&places, (1, groups), "y");
        let refused = places.take().unwrap_err().to_string();
        assert!(refused.contains("holds a backup that this log does not continue"), "{refused}");
        assert_eq!(std::fs::read(places.backup.join("manifest.json")).unwrap(), earlier);
        std::fs::remove_dir_all(places.data.join("journal")).unwrap();
    }
    assert_eq!(places.begin().unwrap().manifest().records, 25);
}

/// Every byte is flipped, or the file cut there, at some offsets of every file.
#[test]
fn a_damaged_backup_is_refused_with_file_and_offset_and_leaves_nothing() {
    let places = Places::new();
    segmented(&places, 12);
    let manifest = places.take().unwrap().manifest;
    let mut tried = 0;
    for part in &manifest.segments {
        let path = places.backup.join("journal").join(&part.name);
        let sound = std::fs::read(&path).unwrap();
        for at in (0..sound.len()).step_by(37) {
            let mut flipped = sound.clone();
            flipped[at] ^= 1 << (at % 8);
            for damaged in [flipped.as_slice(), &sound[..at]] {
                std::fs::write(&path, damaged).unwrap();
                let refused = places.begin().err().map(|error| error.to_string());
                let refused = refused.unwrap_or_else(|| panic!("{} was restored, damaged at {at}", part.name));
                let named = refused.split(" at offset ").nth(1).and_then(|rest| rest.split(':').next());
                let offset: usize = named.and_then(|offset| offset.parse().ok()).unwrap_or_else(|| panic!("{refused}"));
                assert!(refused.contains(".journal at offset") && offset <= at.max(sound.len()), "{refused}");
                assert!(!refused.contains(&part.name) || offset <= at, "{refused}: damaged at {at}");
                assert!(!places.restored.exists(), "{refused}: something was written");
                tried += 1;
            }
        }
        std::fs::write(&path, &sound).unwrap();
    }
    assert!(tried > 200, "{tried}");
    places.begin().unwrap();

    // The server's own journal is not backed up damaged, either.
    let source = places.data.join("journal").join(&manifest.segments[1].name);
    let sound = std::fs::read(&source).unwrap();
    std::fs::write(&source, &sound[..150]).unwrap();
    let refused = places.take().unwrap_err().to_string();
    let named = format!("{} at offset 150: the segment has 150 bytes and had", manifest.segments[1].name);
    assert!(refused.contains(&named), "{refused}");
    std::fs::remove_dir_all(&places.backup).unwrap();
    let refused = places.take().unwrap_err().to_string();
    assert!(refused.contains(&format!("{} at offset 100: group", manifest.segments[1].name)), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_restored_is_refused_and_says_what_to_do() {
    let places = Places::new();
    drop(Demo::start(&places.data).await);
    let (code, said) = places.back_up().await;
    assert_eq!(code, 0, "{said}");
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&places.keys), mode(&places.backup)), (0o700, 0o700));
    for key in std::fs::read_dir(&places.keys).unwrap() {
        assert_eq!(mode(&key.unwrap().path()), 0o600);
    }

    let refused = async |because: &str| {
        let (code, said) = places.restore(&places.restored).await;
        assert!(code == 1 && said.contains(because), "{because}: {said}");
        assert!(!places.restored.join("format").exists() && !places.restored.join("restoring").exists());
    };
    // A key is missing, or another tenant's.
    let tenant = std::fs::read_dir(&places.keys).unwrap().map(|entry| entry.unwrap().path());
    let keys: Vec<_> = tenant.filter(|path| path.extension().is_some_and(|extension| extension == "key")).collect();
    let key = std::fs::read(&keys[0]).unwrap();
    std::fs::remove_file(&keys[0]).unwrap();
    refused("has no key for the organisation").await;
    std::fs::copy(&keys[1], &keys[0]).unwrap();
    refused("does not open the records of the organisation").await;
    std::fs::write(&keys[0], &key).unwrap();
    // A later format, no backup, something in the way.
    let manifest = std::fs::read_to_string(places.backup.join("manifest.json")).unwrap();
    let newer = manifest.replace("\"format\": 1", "\"format\": 2");
    std::fs::write(places.backup.join("manifest.json"), newer).unwrap();
    refused("use a later version").await;
    std::fs::remove_file(places.backup.join("manifest.json")).unwrap();
    refused("its manifest.json is missing").await;
    std::fs::write(places.backup.join("manifest.json"), manifest).unwrap();
    std::fs::create_dir_all(&places.restored).unwrap();
    std::fs::write(places.restored.join("mine"), b"precious").unwrap();
    refused("is not empty; restore into a new directory").await;
    assert_eq!(std::fs::read(places.restored.join("mine")).unwrap(), b"precious");
    std::fs::remove_file(places.restored.join("mine")).unwrap();
    let together = places.backup.join("keys");
    let arguments =
        ["backup", "--data-dir", text(&places.data), "--to", text(&places.backup), "--keys-to", text(&together)];
    let (code, said) = countersign(&arguments).await;
    assert!(code == 1 && said.contains("the keys go to another place"), "{said}");
    assert_eq!(countersign(&arguments[..5]).await.0, 64);
    let (code, said) = places.restore(&places.restored).await;
    assert_eq!(code, 0, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_killed_leaves_nothing_that_a_server_would_take_for_its_own() {
    let places = Places::new();
    drop(Demo::start(&places.data).await);
    assert_eq!(places.back_up().await.0, 0);
    let (mut unfinished, mut finished) = (0, 0);
    for round in 0..12_u64 {
        let to = places.restored.join(round.to_string());
        let mut restoring = binary()
            .args(["restore", "--from", text(&places.backup), "--keys", text(&places.keys), "--data-dir", text(&to)])
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(10 + round * round * 4)).await;
        restoring.kill().await.unwrap();
        let opened = Store::open(&to, &machine(&HandClock::new(), CountedIds::from(1)));
        match opened {
            Ok(store) => {
                let is_empty = Store::epoch(&store) == [0; 16] || !to.join("keys/token-signing-key.secret").exists();
                store.close();
                let records = countersign::store::check(&to).unwrap().records;
                // Killed before it began, or whole.
                assert!(is_empty && records == 0 || records > 10, "round {round}: {records} records");
                finished += u64::from(records > 0);
            }
            Err(error) => {
                assert!(error.to_string().contains("was not finished"), "round {round}: {error}");
                let (code, said) = places.restore(&to).await;
                assert!(code == 1 && said.contains("is not empty"), "{said}");
                unfinished += 1;
            }
        }
    }
    println!("{unfinished} unfinished, {finished} finished");
    assert!(unfinished > 0, "no round hit a restore under way");
}

#[tokio::test]
async fn a_restore_that_stops_between_its_last_moves_is_still_told_as_unfinished() {
    let places = Places::new();
    drop(Demo::start(&places.data).await);
    assert_eq!(places.back_up().await.0, 0);
    let restore = places.begin().unwrap();
    let staging = restore.directory().to_path_buf();
    // Killed: nobody clears up.
    std::mem::forget(restore);
    for name in ["journal", "keys"] {
        std::fs::rename(staging.join(name), places.restored.join(name)).unwrap();
        let refused = Lock::take(&places.restored).unwrap_err().to_string();
        assert!(refused.contains("was not finished"), "{name} in place: {refused}");
    }
}
