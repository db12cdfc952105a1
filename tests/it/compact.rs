//! Old history is cut behind a signed base: the state stays, what is left of history reads on, positions before the
//! cut say so, and a crash at any moment leaves a store that opens and can be compacted again.

use super::{
    command::{back_up, countersign, restore, text},
    machine::{BEGINNING, CountedIds, HandClock, machine},
    store::something,
    transfer::key_of,
    world::{World, copy},
};
use countersign::{
    app::{App, founder},
    domain::{identity::User, item::Item, sign_off::SignOff, source::SourceObject},
    limits::RETENTION_MONTHS_MIN,
    store::{
        CompactError, Compacted, Machine, Retention, Store, Unwatched,
        audit::{Audit, AuditError},
        check, compact,
        disk::{Disk, DiskFile, FileDisk},
    },
};
use serde_json::{Value, json};
use std::{
    fs,
    io::{Error, Result},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

const RETENTION: Retention = Retention { keep_months: RETENTION_MONTHS_MIN, archive: None };
/// Six months after the worlds began: at this hour nothing of them is older, at the next what they began with.
const HALF_A_YEAR: i64 = 184 * 24;
const LOG: &str = "query($after: EventCursor) { events(after: $after, first: 100) {
    edges { cursor node { kind at actor { name } attribute } } pageInfo { hasNextPage endCursor } } }";
const TIMELINE: &str = "query($item: ID!) { timeline(itemId: $item, first: 100, orderBy: OLDEST_FIRST) {
    nodes { kind actor { name } attribute } } }";

/// A machine on which so many hours have passed since the worlds began.
fn later(hours: i64) -> Machine {
    let clock = HandClock::new();
    clock.advance(hours * 60 * 60);
    machine(&clock, CountedIds::from(7_000_000))
}

async fn compacted(
    data: &Path,
    machine: Machine,
    retention: Retention,
) -> std::result::Result<Compacted, CompactError> {
    let data = data.to_path_buf();
    tokio::task::spawn_blocking(move || compact(&data, &machine, &retention)).await.unwrap()
}

/// The whole log of Acme from a position on.
async fn log(world: &World, mut after: Value) -> Vec<Value> {
    let mut edges = vec![];
    loop {
        let page = world.aud().ask(LOG, json!({ "after": after })).await;
        edges.extend(page.at("/events/edges").as_array().unwrap().clone());
        after = page.at("/events/pageInfo/endCursor");
        if page.at("/events/pageInfo/hasNextPage") == false {
            return edges;
        }
    }
}

/// Renames an item a few times, at least twice to change anything for sure: history, and nothing else.
pub async fn rename(world: &World, item: &str, times: usize) {
    for n in 0..times {
        let revision = world.ann().item(item).await.number("/node/revision");
        let input = json!({ "itemId": item, "expectedRevision": revision, "name": format!("Name {n}") });
        let query = "mutation($input: UpdateItemInput!) { updateItem(input: $input) { userErrors { code } } }";
        world.ann().ask(query, json!({ "input": input })).await.done();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_stays_and_what_is_left_of_history_reads_on() {
    let mut world = World::of_small_segments().await;
    let project = something(&world).await;
    rename(&world, &project, 20).await;
    world.clock.advance(10 * 60 * 60);
    rename(&world, &project, 10).await;
    let all = log(&world, Value::Null).await;
    let timeline = world.aud().ask(TIMELINE, json!({ "item": project })).await.at("/timeline/nodes");
    let whole = world.ann().whole(&project).await;
    world.stop().await;

    let audit = Audit::open(&world.data()).unwrap();
    let signed = audit.checkpoint("2026-03-02T08:00:00Z".to_owned(), &Unwatched).unwrap();
    // Nothing is old enough: nothing is cut.
    let done = compacted(&world.data(), later(HALF_A_YEAR), RETENTION).await.unwrap();
    assert_eq!((done.segments, done.begins_after), (0, None));
    assert!(!world.data().join("journal/base").exists());
    // The rule.
    let short = Retention { keep_months: RETENTION_MONTHS_MIN - 1, archive: None };
    let refused = compacted(&world.data(), later(5 * HALF_A_YEAR), short).await.unwrap_err();
    assert_eq!(refused.to_string(), "history is kept for at least 6 months; 5 are too few");

    let done = compacted(&world.data(), later(HALF_A_YEAR + 1), RETENTION).await.unwrap();
    assert!(done.segments > 2, "{done:?}");
    assert_eq!(done.begins_after, Some(BEGINNING));
    assert!(done.index_bytes.1 > 0 && done.journal_bytes.1 > 0, "{done:?}");
    assert_eq!(check(&world.data()).unwrap().problems, Vec::<String>::new());
    // The log is still the one that was signed before, and what is left of it can be proved under the same roots.
    audit.verify(Some(&signed), &Unwatched).unwrap();
    for standing in &signed.tenants {
        let now = audit.checkpoint(String::new(), &Unwatched).unwrap();
        let now = now.tenants.iter().find(|now| now.tenant == standing.tenant).unwrap();
        assert_eq!((now.head, now.root, now.records), (standing.head, standing.root, standing.records));
        let newest = audit.prove(standing.tenant, standing.records, "2026-03-02T08:00:00Z".to_owned(), &Unwatched);
        match newest {
            Ok(proof) => assert!(proof.check(&audit.public_key().unwrap()).is_ok()),
            Err(refused) => assert!(matches!(refused, AuditError::NotIncluded { .. }), "{refused}"),
        }
    }

    for from_the_base in [false, true] {
        if from_the_base {
            fs::remove_dir_all(world.data().join("index")).unwrap();
        }
        world.start().await;
        assert_eq!(whole, world.ann().whole(&project).await);
        // An old position says that it is gone, and which is the earliest.
        let expired = world.aud().ask(LOG, json!({ "after": all[0]["cursor"] })).await;
        expired.refused("CURSOR_EXPIRED");
        let earliest = expired.body.pointer("/errors/0/extensions/earliestCursor").unwrap().clone();
        let left = log(&world, earliest.clone()).await;
        // Who might read what then is known from the base on.
        let listen = "subscription($after: EventCursor) { events(after: $after) { cursor node { kind } } }";
        let mut listening = world.aud().subscribe(listen, json!({ "after": earliest })).await;
        for edge in &left {
            let heard = listening.next(Duration::from_secs(60)).await.expect("what is left of history");
            assert_eq!(heard["cursor"], edge["cursor"]);
        }
        drop(listening);
        assert!(left.len() >= 10 && left.len() < all.len(), "{} of {}", left.len(), all.len());
        assert_eq!(left, all[all.len() - left.len()..]);
        assert_eq!(left, log(&world, Value::Null).await[..left.len()]);
        // A timeline ends there.
        let ends = world.aud().ask(TIMELINE, json!({ "item": project })).await.at("/timeline/nodes");
        let (ends, timeline) = (ends.as_array().unwrap(), timeline.as_array().unwrap());
        assert!(ends.len() >= 10 && ends.len() < timeline.len(), "{} of {}", ends.len(), timeline.len());
        assert_eq!(ends[..], timeline[timeline.len() - ends.len()..]);
        world.stop().await;
    }

    // It goes on from there, and is cut again, behind another base.
    world.start().await;
    rename(&world, &project, 20).await;
    let whole = world.ann().whole(&project).await;
    world.stop().await;
    let archive = world.data().parent().unwrap().join("archive");
    let kept = Retention { archive: Some(archive.clone()), ..RETENTION };
    let again = compacted(&world.data(), later(2 * HALF_A_YEAR), kept.clone()).await.unwrap();
    assert!(again.segments > 2, "{again:?}");
    assert_eq!(fs::read_dir(&archive).unwrap().count(), again.segments);
    assert_eq!(compacted(&world.data(), later(2 * HALF_A_YEAR), kept).await.unwrap().segments, 0);
    world.start().await;
    assert_eq!(whole, world.ann().whole(&project).await);
    world.restart_without_index().await;
    assert_eq!(whole, world.ann().whole(&project).await);
    rename(&world, &project, 1).await;
    world.end().await;
}

/// What somebody sees of an item with API keys, which outlive a restore.
async fn seen(world: &World, (ann, aud): &(String, String), item: &str) -> Value {
    let (ann, aud) = (world.with_credential("ann", Some(ann)), world.with_credential("aud", Some(aud)));
    let timeline = aud.ask(TIMELINE, json!({ "item": item })).await.at("/timeline/nodes");
    json!([ann.whole(item).await, ann.registry("governedItems", Value::Null).await, timeline])
}

/// A world whose log was compacted, with an item and API keys of two people; before that it was backed up.
async fn compacted_world(at: &dyn Fn(&str) -> PathBuf) -> (World, String, (String, String)) {
    let mut world = World::of_small_segments().await;
    let project = something(&world).await;
    let keys = (key_of(&world, "ann").await, key_of(&world, "aud").await);
    rename(&world, &project, 10).await;
    world.clock.advance(10 * 60 * 60);
    rename(&world, &project, 5).await;
    let (code, said) = back_up(&world.data(), &at("whole"), &at("keys")).await;
    assert_eq!(code, 0, "{said}");
    world.stop().await;
    assert!(compacted(&world.data(), later(HALF_A_YEAR + 1), RETENTION).await.unwrap().segments > 2);
    world.start().await;
    (world, project, keys)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_log_is_backed_up_and_restored_with_the_same_answers() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let (world, project, keys) = compacted_world(&at).await;
    // Under the running server, and once more behind what it did next.
    let mut before = Value::Null;
    for round in 0..2 {
        rename(&world, &project, 2).await;
        before = seen(&world, &keys, &project).await;
        let (code, said) = back_up(&world.data(), &at("backup"), &at("keys")).await;
        assert_eq!(code, 0, "round {round}: {said}");
        assert!(at("backup").join("journal/base").exists());
    }
    assert!(before[2].as_array().unwrap().len() >= 9, "{before}");
    let restored = tempfile::tempdir().unwrap();
    let data = restored.path().join("data");
    let (code, said) = restore(&at("backup"), &at("keys"), &data).await;
    assert_eq!(code, 0, "{said}");
    let (code, said) = countersign(&["audit", "verify", "--data-dir", text(&data)]).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(check(&data).unwrap().problems, Vec::<String>::new());
    let mut again = World::over(restored).await;
    assert_eq!(seen(&again, &keys, &project).await, before);
    // All that was cut comes from the base.
    again.restart_without_index().await;
    assert_eq!(seen(&again, &keys, &project).await, before);
    again.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_log_is_no_half_backup_and_no_half_export() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let (world, ..) = compacted_world(&at).await;
    // The backup from before does not go on in it, and stays as it is.
    let manifest = fs::read(at("whole").join("manifest.json")).unwrap();
    let (code, said) = back_up(&world.data(), &at("whole"), &at("keys")).await;
    assert!(code == 1 && said.contains("before the log was compacted"), "{said}");
    assert_eq!(fs::read(at("whole").join("manifest.json")).unwrap(), manifest);
    // A damaged base is told by its name, and nothing is restored from it.
    let (code, said) = back_up(&world.data(), &at("backup"), &at("keys")).await;
    assert_eq!(code, 0, "{said}");
    let base = at("backup").join("journal/base");
    let sound = fs::read(&base).unwrap();
    for byte in [10, 150, sound.len() / 2, sound.len() - 1] {
        let mut flipped = sound.clone();
        flipped[byte] ^= 1;
        fs::write(&base, flipped).unwrap();
        let (code, said) = restore(&at("backup"), &at("keys"), &at("nowhere")).await;
        assert!(code == 1 && said.contains("base") && !at("nowhere").exists(), "{byte}: {said}");
    }
    // An organisation whose beginning is gone is not exported.
    let (data, out, key) = (world.data(), at("acme.export"), at("acme.key"));
    let export =
        ["export", "--data-dir", text(&data), "--tenant", "acme", "--out", text(&out), "--key-out", text(&key)];
    let (code, said) = countersign(&export).await;
    assert!(code == 1 && said.contains("was cut by `compact`; move it with `backup` and `restore`"), "{said}");
    assert!(!out.exists() && !key.exists());
    world.end().await;
}

/// All that Acme holds, and how far its history reaches; opens and closes the store.
async fn contents(data: &Path) -> Vec<String> {
    let store = Store::open(data, &later(0)).unwrap();
    let app = App::open(store.clone()).await.unwrap();
    let tenant = app.tenant_called("acme").await.unwrap().unwrap();
    let snapshot = app.snapshot(&founder(tenant)).await.unwrap();
    let view = snapshot.view();
    let mut seen = vec![snapshot.number().to_string()];
    seen.extend(view.all::<Item>().map(|record| format!("{record:?}")));
    seen.extend(view.all::<SignOff>().map(|record| format!("{record:?}")));
    seen.extend(view.all::<SourceObject>().map(|record| format!("{record:?}")));
    seen.extend(view.all::<User>().map(|record| format!("{record:?}")));
    drop((snapshot, app));
    tokio::task::spawn_blocking(move || store.close()).await.unwrap();
    seen
}

/// A disk that does so many calls that change something, and none after that.
struct Dying {
    disk: Arc<dyn Disk>,
    left: Arc<AtomicI64>,
}

struct DyingFile {
    file: Arc<dyn DiskFile>,
    left: Arc<AtomicI64>,
}

fn lives(left: &AtomicI64) -> Result<()> {
    if left.fetch_sub(1, Ordering::Relaxed) > 0 { Ok(()) } else { Err(Error::other("the disk died")) }
}

impl Dying {
    fn file(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(DyingFile { file, left: Arc::clone(&self.left) })
    }
}

impl Disk for Dying {
    fn names(&self) -> Result<Vec<String>> {
        self.disk.names()
    }

    fn create(&self, name: &str) -> Result<Arc<dyn DiskFile>> {
        lives(&self.left)?;
        Ok(self.file(self.disk.create(name)?))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn DiskFile>> {
        Ok(self.file(self.disk.open(name)?))
    }

    fn remove(&self, name: &str) -> Result<()> {
        lives(&self.left)?;
        self.disk.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        lives(&self.left)?;
        self.disk.rename(from, to)
    }

    fn sync_directory(&self) -> Result<()> {
        lives(&self.left)?;
        self.disk.sync_directory()
    }
}

impl DiskFile for DyingFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<usize> {
        self.file.read_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        // What dies in the middle of a write has written a part of it.
        lives(&self.left).or_else(|died| self.file.write_at(&bytes[..bytes.len() / 2], offset).and(Err(died)))?;
        self.file.write_at(bytes, offset)
    }

    fn length(&self) -> Result<u64> {
        self.file.length()
    }

    fn truncate(&self, length: u64) -> Result<()> {
        lives(&self.left)?;
        self.file.truncate(length)
    }

    fn sync_data(&self) -> Result<()> {
        lives(&self.left)?;
        self.file.sync_data()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_dies_at_any_call_loses_nothing() {
    let mut world = World::of_small_segments().await;
    let project = something(&world).await;
    rename(&world, &project, 10).await;
    world.stop().await;
    let wanted = contents(&world.data()).await;
    let (mut deaths, mut with_base) = (0, 0);
    for calls in 0.. {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        copy(&world.data(), &data);
        let left = Arc::new(AtomicI64::new(calls));
        let dying = Arc::clone(&left);
        let open = move |path: &Path| {
            let disk = Arc::new(FileDisk::open(path)?);
            Ok(Arc::new(Dying { disk, left: Arc::clone(&dying) }) as Arc<dyn Disk>)
        };
        let ended = compacted(&data, Machine { journal: Arc::new(open), ..later(2 * HALF_A_YEAR) }, RETENTION).await;
        assert_eq!(ended.is_err(), left.load(Ordering::Relaxed) < 0, "{calls} calls: {ended:?}");
        with_base += usize::from(ended.is_err() && data.join("journal/base").exists());
        assert_eq!(contents(&data).await, wanted, "after {calls} calls");
        if ended.is_ok() {
            break;
        }
        deaths += 1;
        // And it can be finished.
        let done = compacted(&data, later(2 * HALF_A_YEAR), RETENTION).await.unwrap();
        let segments = fs::read_dir(data.join("journal")).unwrap().count();
        assert!(segments < 5, "after {calls} calls {segments} files are left: {done:?}");
        assert_eq!(check(&data).unwrap().problems, Vec::<String>::new(), "after {calls} calls");
        assert_eq!(contents(&data).await, wanted, "after {calls} calls, and again");
    }
    assert!(deaths > 10 && with_base > 2, "{deaths} deaths, {with_base} of them with a base in place");
    world.start().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_is_not_what_this_server_signed_is_refused() {
    let mut world = World::of_small_segments().await;
    let project = something(&world).await;
    rename(&world, &project, 5).await;
    world.stop().await;
    compacted(&world.data(), later(2 * HALF_A_YEAR), RETENTION).await.unwrap();
    let base = world.data().join("journal/base");
    let sound = fs::read(&base).unwrap();
    let refusal = |data: &Path| Store::open(data, &later(0)).err().map(|error| error.to_string());
    // The values are read only when the index is rebuilt.
    fs::remove_dir_all(world.data().join("index")).unwrap();
    let bits = (0..230 * 8).step_by(37).chain((230 * 8..sound.len() * 8).step_by(sound.len() * 8 / 40));
    for bit in bits {
        let mut bytes = sound.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&base, &bytes).unwrap();
        let said = refusal(&world.data()).unwrap_or_else(|| panic!("bit {bit} was not missed"));
        assert!(said.contains("base"), "{said}");
    }
    for left in [0, 100, 219, 300, sound.len() - 1] {
        fs::write(&base, &sound[..left]).unwrap();
        let said = refusal(&world.data()).unwrap_or_else(|| panic!("cut at {left}, and nobody missed it"));
        assert!(said.contains("base"), "{said}");
    }
    fs::write(&base, &sound).unwrap();
    // Another server's key: whoever can write the journal cannot say what everything was.
    let secret = world.data().join("keys/audit-signing-key.secret");
    let own = fs::read(&secret).unwrap();
    fs::remove_file(&secret).unwrap();
    let said = refusal(&world.data()).unwrap();
    assert!(said.contains("signed with another key"), "{said}");
    fs::write(&secret, own).unwrap();
    // Without the base the journal has no beginning.
    fs::rename(&base, world.data().join("journal/away")).unwrap();
    let said = refusal(&world.data()).unwrap();
    assert!(said.contains("where 1 belongs"), "{said}");
    fs::rename(world.data().join("journal/away"), &base).unwrap();
    world.start().await;
    world.end().await;
}
