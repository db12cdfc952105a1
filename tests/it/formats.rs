//! What a later version wrote is refused in a sentence that names the place and its format, by the real binary: in
//! the data directory, the journal's segments, its base, its records' encryption and encoding, and the keys. An index
//! of another format is made anew.

use super::{
    command::binary,
    demo::Demo,
    machine::BEGINNING,
    world::{World, copy},
};
use countersign::{
    domain::id::TenantId,
    store::{
        cipher,
        disk::FileDisk,
        journal::{Entry, FileJournal, Journal, Settings},
        keys::Keys,
    },
};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{fs, path::Path, sync::Arc};

const SEGMENT: &str = "journal/0000000000000001.journal";

/// What the server says when it is started on this directory; it must not serve.
async fn refusal(data: &Path) -> String {
    let mut serve = binary();
    serve.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data).kill_on_drop(true);
    let ended = tokio::time::timeout(std::time::Duration::from_secs(60), serve.output()).await;
    let ended = ended.expect("it serves what a later version wrote").unwrap();
    assert_eq!(ended.status.code(), Some(1));
    String::from_utf8(ended.stderr).unwrap()
}

/// Appends one more record of some tenant, whose payload is this.
async fn append(data: &Path, payload: impl FnOnce(&Keys, TenantId, u64) -> Vec<u8>) {
    let keys = Keys::open(&data.join("keys")).unwrap();
    let disk = Arc::new(FileDisk::open(&data.join("journal")).unwrap());
    let (mut journal, _) = FileJournal::open(disk, Settings::new([0; 16]), None, &mut |_| Ok(())).unwrap();
    let (tenant, number) = journal.heads().iter().map(|(tenant, head)| (*tenant, head.number + 1)).next().unwrap();
    let payload = payload(&keys, tenant, number);
    journal.append(vec![Entry { tenant, number, at: BEGINNING, payload }], BEGINNING).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_version_is_refused_by_place_and_format() {
    let mut world = World::new().await;
    world.stop().await;
    let directory = tempfile::tempdir().unwrap();
    let fresh = |name: &str| {
        let data = directory.path().join(name);
        copy(&world.data(), &data);
        data
    };

    let data = fresh("directory");
    fs::write(data.join("format"), "2\n").unwrap();
    let said = refusal(&data).await;
    assert!(said.contains("has format \"2\", and this version knows up to 1"), "{said}");

    let data = fresh("segment");
    let mut segment = fs::read(data.join(SEGMENT)).unwrap();
    segment[8] = 2;
    let hash = Sha256::digest(&segment[..68]);
    segment[68..100].copy_from_slice(&hash);
    fs::write(data.join(SEGMENT), segment).unwrap();
    let said = refusal(&data).await;
    assert!(said.contains("0000000000000001.journal has format 2, and this version knows up to 1"), "{said}");

    let data = fresh("base");
    let mut base = vec![0; 300];
    base[..12].copy_from_slice(b"CSJRBASE\x02\0\0\0");
    fs::write(data.join("journal/base"), base).unwrap();
    let said = refusal(&data).await;
    assert!(said.contains("the journal's file base has format 2, and this version knows up to 1"), "{said}");

    let data = fresh("encryption");
    append(&data, |_, _, _| vec![3; 64]).await;
    let said = refusal(&data).await;
    assert!(said.contains("its encryption has format 3, and this version knows up to 2"), "{said}");

    let data = fresh("encoding");
    append(&data, |keys, tenant, number| {
        let key = keys.key(tenant).unwrap();
        cipher::seal(&key, tenant, &number.to_le_bytes(), &[2, 0x80]).unwrap()
    })
    .await;
    let said = refusal(&data).await;
    assert!(said.contains("its encoding has format 2, and this version knows up to 1"), "{said}");

    let data = fresh("keys");
    let key = fs::read_dir(data.join("keys")).unwrap().map(|entry| entry.unwrap().path());
    let key = key.filter(|path| path.extension().is_some_and(|extension| extension == "key")).min().unwrap();
    let mut bytes = fs::read(&key).unwrap();
    bytes[0] = 2;
    fs::write(&key, bytes).unwrap();
    let said = refusal(&data).await;
    assert!(said.contains(".key has format 2, and this version knows up to 1"), "{said}");

    world.start().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_another_format_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut demo = Demo::start(&data).await;
    // Whoever is answered finds a server that listens to signals, too.
    demo.caller("ann").ask("{ templates { nodes { name } } }", json!({})).await.done();
    demo.stop().await;
    let format_key = [0_u8; 17];
    {
        let index = sled::Config::new().path(data.join("index/sled")).flush_every_ms(None).open().unwrap();
        // Its nil tenant's row 0 says the format.
        let key = &format_key[..];
        assert_eq!(index.get(key).unwrap().unwrap(), 3_u32.to_be_bytes());
        index.insert(key, &4_u32.to_be_bytes()).unwrap();
        index.flush().unwrap();
    }
    let mut demo = Demo::start(&data).await;
    let answer = demo.caller("ann").ask("{ templates(first: 50) { nodes { name } } }", json!({})).await;
    assert!(!answer.at("/templates/nodes").as_array().unwrap().is_empty());
    demo.stop().await;
    let index = sled::Config::new().path(data.join("index/sled")).flush_every_ms(None).open().unwrap();
    assert_eq!(index.get(&format_key[..]).unwrap().unwrap(), 3_u32.to_be_bytes());
}
