//! An organisation moves from one server to another in a file: the same answers, ids included; and what is refused.

use super::{
    client::Caller,
    command::{countersign, text},
    machine::{CountedIds, HandClock, machine},
    store::{everything_seen_by, something},
    world::World,
};
use countersign::store::Store;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

struct Files {
    directory: tempfile::TempDir,
    export: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (export, key) = (directory.path().join("acme.export"), directory.path().join("acme.key"));
        Self { directory, export, key }
    }

    /// The data directory of the other server.
    fn there(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    async fn export(&self, data: &Path, tenant: &str) -> (i32, String) {
        let (out, key) = (text(&self.export), text(&self.key));
        countersign(&["export", "--data-dir", text(data), "--tenant", tenant, "--out", out, "--key-out", key]).await
    }

    async fn import(&self, more: &[&str]) -> (i32, String) {
        let there = self.there();
        let first = ["import", "--data-dir", text(&there), "--from", text(&self.export), "--key", text(&self.key)];
        countersign(&[&first[..], more].concat()).await
    }
}

/// A key with a person's rights: what still works after a move.
pub async fn key_of(world: &World, name: &'static str) -> String {
    let query =
        "mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { credential userErrors { code } } }";
    let owner = json!({ "user": world.user(name).await });
    let input = json!({ "name": name, "owner": owner, "scopes": ["USER_RIGHTS"] });
    world.admin().ask(query, json!({ "input": input })).await.text("/createApiKey/credential")
}

/// What a caller with this key sees, cursors left out: they belong to their log.
async fn seen(world: &World, (ann, aud): (&str, &str), project: &str) -> (Vec<Value>, Vec<Value>) {
    let caller = |key: &str| -> Caller { world.with_credential("a key", Some(key)) };
    let mut seen = everything_seen_by(&caller(ann), &caller(aud), project).await;
    let events = seen.split_off(2);
    let events = events.into_iter().flat_map(|page| page.as_array().unwrap().clone());
    (seen, events.map(|mut edge| edge["node"].take()).collect())
}

/// Every file of a directory with its content, but for the lock.
fn content(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = vec![];
    for name in ["journal", "keys"] {
        for entry in std::fs::read_dir(directory.join(name)).unwrap() {
            let path = entry.unwrap().path();
            files.push((path.clone(), std::fs::read(path).unwrap()));
        }
    }
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_moves_to_another_server_and_answers_the_same() {
    let world = World::new().await;
    let project = something(&world).await;
    let keys = (key_of(&world, "ann").await, key_of(&world, "aud").await);
    let keys = (keys.0.as_str(), keys.1.as_str());
    let (before, events) = seen(&world, keys, &project).await;
    let old_session = world.ann().credential.unwrap();

    let files = Files::new();
    let (code, said) = files.export(&world.data(), "acme").await;
    assert_eq!(code, 0, "{said}");
    let there = World::over(Files::new().directory).await;
    let there = there.left().await;
    let files = Files { directory: there, ..files };
    let (code, said) = files.import(&[]).await;
    assert_eq!(code, 0, "{said}");
    let (code, said) = files.import(&[]).await;
    assert!(code == 1 && said.contains("is on this server already"), "{said}");

    let Files { directory, .. } = files;
    let moved = World::over(directory).await;
    let (after, told) = seen(&moved, keys, &project).await;
    assert_eq!(before, after);
    assert_eq!(told[..events.len()], events);
    let tail: Vec<_> = told[events.len()..].iter().map(|event| event["kind"].as_str().unwrap()).collect();
    let (last, ended) = tail.split_last().unwrap();
    assert!(ended.len() > 3 && ended.iter().all(|kind| *kind == "SESSION_ENDED"), "{tail:?}");
    assert_eq!(*last, "TENANT_IMPORTED");
    let old = moved.with_credential("an old session", Some(&old_session));
    old.ask("{ templates { nodes { name } } }", json!({})).await.refused("UNAUTHENTICATED");
    // It goes on here, and there.
    moved.with_credential("ann's key", Some(keys.0)).step("startStep", &project, "exploration").await.done();
    world.ann().step("startStep", &project, "exploration").await.done();
    moved.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_imported_changes_nothing() {
    let world = World::new().await;
    let files = Files::new();
    let refused = async |what: (i32, String), because: &str| {
        assert!(what.0 == 1 && what.1.contains(because), "{because}: {}", what.1);
    };
    refused(files.export(&world.data(), "nobody").await, "there is no organisation called \"nobody\"").await;
    refused(files.export(&world.data(), "platform").await, "there is no organisation called").await;
    assert!(!files.export.exists() && !files.key.exists());
    assert_eq!(files.export(&world.data(), "acme").await.0, 0);
    refused(files.export(&world.data(), "acme").await, "is there already; name another file").await;

    // A server that has an organisation of the same short name.
    let store = World::new().await;
    let files = Files { directory: store.left().await, ..files };
    refused(files.import(&[]).await, "is on this server already").await;
    let empty = Files::new().directory;
    Store::open(&empty.path().join("data"), &machine(&HandClock::new(), CountedIds::from(5))).unwrap().close();
    let files = Files { directory: empty, ..files };
    let nothing = content(&files.there());

    let sound = std::fs::read(&files.export).unwrap();
    let mut tried = 0;
    for at in (0..sound.len()).step_by(sound.len() / 60) {
        let mut flipped = sound.clone();
        flipped[at] ^= 1 << (at % 8);
        let longer = [sound.as_slice(), b"x"].concat();
        for damaged in [flipped.as_slice(), &sound[..at], &longer] {
            std::fs::write(&files.export, damaged).unwrap();
            let import = countersign::store::transfer::Import::open(&files.export, &files.key);
            let told = import.err().unwrap_or_else(|| panic!("damage at {at} was not seen")).to_string();
            let offset = told.split(" at offset ").nth(1).and_then(|rest| rest.split(':').next());
            let offset: usize = offset.unwrap_or_else(|| panic!("{told}")).parse().unwrap();
            assert!(offset <= at || damaged.len() > sound.len() && offset == sound.len(), "{told}: damaged at {at}");
            tried += 1;
        }
    }
    assert!(tried > 150, "{tried}");
    std::fs::write(&files.export, &sound[..sound.len() - 1]).unwrap();
    refused(files.import(&[]).await, "acme.export at offset ").await;
    std::fs::write(&files.export, &sound).unwrap();
    let key = std::fs::read(&files.key).unwrap();
    let other = std::fs::read_dir(world.data().join("keys")).unwrap().map(|entry| entry.unwrap().path());
    let other = other.filter(|path| path.extension().is_some_and(|extension| extension == "key"));
    let other = other.map(|path| std::fs::read(path).unwrap()).find(|other| *other != key).unwrap();
    std::fs::write(&files.key, other).unwrap();
    refused(files.import(&[]).await, "does not open the export").await;
    std::fs::write(&files.key, &key).unwrap();
    assert_eq!(content(&files.there()), nothing);

    // Under another name, where the short name is taken.
    let (code, said) = files.import(&["--slug", "acme-2"]).await;
    assert_eq!(code, 0, "{said}");
    world.end().await;
}

/// An import that ended between its steps is taken up again; another history of the same organisation is refused.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_import_goes_on_where_it_ended() {
    let world = World::new().await;
    let files = Files::new();
    assert_eq!(files.export(&world.data(), "acme").await.0, 0);
    // The organisation goes on where it comes from: what is exported then is longer.
    something(&world).await;
    let later = Files::new();
    assert_eq!(later.export(&world.data(), "acme").await.0, 0);
    let there = files.there();
    let machine = machine(&HandClock::new(), CountedIds::from(77));
    Store::open(&there, &machine).unwrap().close();
    let import = |files: &Files| countersign::store::transfer::Import::open(&files.export, &files.key).unwrap();
    import(&files).append(&there, &machine).unwrap();
    let half = content(&there);
    import(&files).append(&there, &machine).unwrap();
    let records = countersign::store::check(&there).unwrap().records;
    assert_eq!(records, import(&files).records(), "the records were appended twice, or not all of them");
    assert_eq!(half.len(), content(&there).len());
    // Nobody reaches it before the last step.
    assert_eq!(Files::new().export(&there, "acme").await.0, 1);
    // A longer history of the same organisation goes on from there.
    import(&later).append(&there, &machine).unwrap();
    let Files { export, key, .. } = later;
    let files = Files { export, key, directory: files.directory };
    let (code, said) = files.import(&[]).await;
    assert_eq!(code, 0, "{said}");
    world.end().await;
}

/// What a caller is answered who downloads an organisation: the status, the code of a refusal, and the bytes.
async fn download(caller: &Caller, slug: &str) -> (u16, String, Vec<u8>) {
    let request = caller.http.get(format!("http://{}/tenants/{slug}/export", caller.address));
    let request = match &caller.credential {
        Some(credential) => request.bearer_auth(credential),
        None => request,
    };
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.bytes().await.unwrap().to_vec();
    let refused: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    (status, refused["errors"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned(), bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_downloads_what_the_command_exports_and_no_key() {
    let world = World::new().await;
    let project = something(&world).await;
    let keys = (key_of(&world, "ann").await, key_of(&world, "aud").await);
    let keys = (keys.0.as_str(), keys.1.as_str());
    let (before, events) = seen(&world, keys, &project).await;
    let (status, _, downloaded) = download(&world.operator(), "acme").await;
    assert_eq!(status, 200);
    let files = Files::new();
    let (code, said) = files.export(&world.data(), "acme").await;
    assert_eq!(code, 0, "{said}");
    // Apart from the time in the header, and the header's hash.
    let exported = std::fs::read(&files.export).unwrap();
    assert_eq!(downloaded[..68], exported[..68]);
    assert!(downloaded[108..] == exported[108..], "the records are not those of the command");
    // All of it counts, and nothing else.
    let bytes = "{ tenant { quota { bytes { used } } } }";
    let used = world.admin().ask(bytes, json!({})).await.number("/tenant/quota/bytes/used");
    assert_eq!(used, i64::try_from(exported.len() - 108).unwrap());
    let key = std::fs::read(&files.key).unwrap();
    let secret = &key[key.len() - 32..];
    assert!(!downloaded.windows(16).any(|window| secret.windows(16).any(|part| part == window)), "the key is in it");

    // What an operator of the machine adds to the download is its key.
    let (key_again, there) = (files.directory.path().join("again.key"), World::over(Files::new().directory).await);
    let (data, out) = (world.data(), text(&key_again));
    let (code, said) = countersign(&["export", "--data-dir", text(&data), "--tenant", "acme", "--key-out", out]).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(std::fs::read(&key_again).unwrap(), key);
    std::fs::write(&files.export, &downloaded).unwrap();
    let files = Files { directory: there.left().await, ..files };
    let (code, said) = files.import(&[]).await;
    assert_eq!(code, 0, "{said}");
    let moved = World::over(files.directory).await;
    let (after, told) = seen(&moved, keys, &project).await;
    assert_eq!(before, after);
    assert_eq!(told[..events.len()], events);
    moved.end().await;

    // The platform's directory records it; the organisation's own history does not.
    let told = world.operator().ask("{ events(first: 100) { nodes { kind } } }", json!({})).await.at("/events/nodes");
    let told = told.as_array().unwrap().iter().filter(|node| node["kind"] == "TENANT_EXPORTED").count();
    assert_eq!(told, 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_operator_downloads_an_organisation() {
    let world = World::new().await;
    let position = (world.position("acme").await, world.position("platform").await);
    let refused = [
        (world.stranger(), 401, "UNAUTHENTICATED"),
        (world.with_credential("nobody", Some("csk_x.y")), 401, "UNAUTHENTICATED"),
        (world.admin(), 403, "FORBIDDEN"),
        (world.ann(), 403, "FORBIDDEN"),
        (world.design_1(), 403, "FORBIDDEN"),
        (world.globex("admin"), 403, "FORBIDDEN"),
    ];
    for (caller, status, code) in refused {
        // Whether there is such an organisation is not told either.
        for slug in ["acme", "nobody"] {
            let (answered, said, _) = download(&caller, slug).await;
            assert_eq!((answered, said.as_str()), (status, code), "{} downloads {slug}", caller.name);
        }
    }
    for slug in ["nobody", "platform", "..%2F..", "%00"] {
        assert_eq!(download(&world.operator(), slug).await.1, "NOT_FOUND", "{slug}");
    }
    assert_eq!((world.position("acme").await, world.position("platform").await), position);

    // A suspended one is there to be taken along; an erased one is not.
    for (mutation, status) in [("suspendTenant", 200), ("eraseTenant", 409)] {
        let query = format!("mutation {{ {mutation}(input: {{ slug: \"globex\" }}) {{ userErrors {{ code }} }} }}");
        world.operator().ask(&query, json!({})).await.done();
        assert_eq!(download(&world.operator(), "globex").await.0, status, "after {mutation}");
    }
    assert_eq!(download(&world.operator(), "globex").await.1, "TENANT_ERASED");
    world.end().await;
}

/// What is exported while it grows is whole up to some commit, and has all that was acknowledged before.
#[tokio::test(flavor = "multi_thread")]
async fn a_download_under_writes_is_whole() {
    let world = World::new().await;
    let template = world.template("GOVERNED_PROJECT").await;
    let (ann, operator) = (world.ann(), world.operator());
    let writing = async {
        for n in 0..40 {
            ann.create_project(&template, &format!("Project {n}")).await.done();
        }
    };
    let downloading = async {
        let mut records = vec![];
        for _ in 0..5 {
            let acknowledged = world.position("acme").await;
            let (status, _, downloaded) = download(&operator, "acme").await;
            assert_eq!(status, 200);
            let files = Files::new();
            assert_eq!(files.export(&world.data(), "acme").await.0, 0);
            std::fs::write(&files.export, downloaded).unwrap();
            let import = countersign::store::transfer::Import::open(&files.export, &files.key).unwrap();
            assert!(import.records() >= acknowledged);
            records.push(import.records());
        }
        records
    };
    let ((), records) = tokio::join!(writing, downloading);
    assert!(records.is_sorted(), "{records:?}");
    world.end().await;
}
