//! An index that is damaged in whatever way is made anew, at the start or under a running server, and every answer is
//! what it was.
//! Never touches the journal.

use super::{
    command::{countersign, text},
    simulation::random::Random,
    store::{everything, something},
    world::{World, copy},
};
use countersign::{
    domain::id::TenantId,
    store::{
        check,
        index::{Batch, Index, Space},
        journal::{Checkpoint, Place},
    },
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use uuid::Uuid;

/// What lies in a directory, with what lies in its directories.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// What went wrong, in words, and as it is done to an index.
type Damage = (String, Box<dyn Fn(&Path)>);

/// The ways in which an index is found after something went wrong.
fn damages(index: &Path) -> Vec<Damage> {
    let mut damages: Vec<Damage> = vec![];
    let mut chance = Random::new(20_261_123);
    for path in files(index) {
        let name = path.strip_prefix(index).unwrap().to_owned();
        let length = fs::metadata(&path).unwrap().len();
        let shown = name.display().to_string();
        for _ in 0..if length == 0 { 0 } else { 6 } {
            let (byte, bit) = (usize::try_from(chance.below(length)).unwrap(), chance.below(8));
            let name = name.clone();
            let flip = move |index: &Path| change(&index.join(&name), |bytes| bytes[byte] ^= 1 << bit);
            damages.push((format!("bit {bit} of byte {byte} of {shown} flipped"), Box::new(flip)));
        }
        for part in [0, 1, 2] {
            let name = name.clone();
            let cut = move |index: &Path| {
                change(&index.join(&name), |bytes| bytes.truncate(bytes.len() * part / 3));
            };
            damages.push((format!("{shown} cut to {part} thirds"), Box::new(cut)));
        }
        let remove = move |index: &Path| fs::remove_file(index.join(&name)).unwrap();
        damages.push((format!("{shown} removed"), Box::new(remove)));
    }
    let emptied = |index: &Path| {
        fs::remove_dir_all(index).unwrap();
        fs::create_dir(index).unwrap();
    };
    damages.push(("everything removed".to_owned(), Box::new(emptied)));
    let left = |index: &Path| fs::write(index.join("sled").join("snap.0000000000000999.generating"), b"half").unwrap();
    damages.push(("a snapshot half written".to_owned(), Box::new(left)));
    let foreign = |index: &Path| {
        fs::remove_dir_all(index.join("sled")).unwrap();
        fs::write(index.join("sled"), b"not even a directory").unwrap();
    };
    damages.push(("a file in place of the directory".to_owned(), Box::new(foreign)));
    damages
}

#[tokio::test(flavor = "multi_thread")]
async fn however_the_index_is_damaged_the_answers_are_the_same() {
    let mut world = World::new().await;
    let project = something(&world).await;
    let before = everything(&world, &project).await;
    world.stop().await;
    let (index, directory) = (world.data().join("index"), tempfile::tempdir().unwrap());
    let kept = directory.path().join("index");
    copy(&index, &kept);
    for (what, damage) in damages(&kept) {
        fs::remove_dir_all(&index).unwrap();
        copy(&kept, &index);
        damage(&index);
        world.restart().await;
        assert_eq!(settled(&world, &project).await, before, "{what}");
        world.stop().await;
    }
    world.restart().await;
    world.end().await;
}

/// Everything, once nothing is being rebuilt any more.
async fn settled(world: &World, project: &str) -> Vec<Value> {
    for _ in 0..200 {
        let page = world.aud().ask("{ events(first: 100) { edges { cursor } } }", json!({})).await;
        if page.code() != "UNAVAILABLE" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    everything(world, project).await
}

/// Writes into the index of a stopped server what no server wrote, under a checkpoint that counts.
fn forge(data: &Path, forged: impl FnOnce(&Index, TenantId, &mut Batch)) {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let opened = Index::open(&data.join("index"), boot.trim()).unwrap();
    let checkpoint: Checkpoint = opened.checkpoint.expect("a clean stop");
    let heads = opened.index.heads().unwrap();
    // Acme has the longest history.
    let (acme, head) = heads.into_iter().max_by_key(|(_, head)| head.number).unwrap();
    let mut batch = Batch::new(checkpoint);
    batch.heads.push((acme, head));
    forged(&opened.index, acme, &mut batch);
    opened.index.apply(batch).unwrap();
    opened.index.close().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_read_is_made_good_under_the_running_server() {
    let mut world = World::new().await;
    let project = something(&world).await;
    let before = everything(&world, &project).await;
    world.stop().await;
    forge(&world.data(), |_, acme, batch| {
        let id = Uuid::from_u128(7).as_bytes().to_vec();
        batch.values.push((acme, Space(9), id, Some(b"no ciphertext of anybody".to_vec())));
    });
    // The start finds nothing wrong; the first who asks waits until the index is another one.
    world.restart().await;
    assert_eq!(everything(&world, &project).await, before);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_wrong_is_made_good_under_the_running_server() {
    let mut world = World::new().await;
    let project = something(&world).await;
    let before = everything(&world, &project).await;
    let ready = |world: &World| reqwest::get(format!("http://{}/readyz", world.ann().address));
    // Nothing lies there; or another organisation's record does, which must never be shown to this one.
    for of_another in [false, true] {
        world.stop().await;
        forge(&world.data(), |index, acme, batch| {
            let mut others = index.heads().unwrap().into_keys().filter(|tenant| *tenant != acme);
            let another = index.place(others.next().unwrap(), 1).unwrap().unwrap();
            let nothing = |number| Place { segment: 1, offset: 100 + number };
            let place = |number| if of_another { another } else { nothing(number) };
            batch.positions.extend((1..=3).map(|number| (acme, number, place(number))));
        });
        world.restart().await;
        assert_eq!(ready(&world).await.unwrap().status(), 200);
        // Whoever reads that far back is told to come again, and the rest goes on.
        world.aud().ask("{ events(first: 100) { edges { cursor } } }", json!({})).await.refused("UNAVAILABLE");
        world.ann().ask("{ governedItems(first: 1) { nodes { name } } }", json!({})).await.done();
        assert_eq!(settled(&world, &project).await, before);
        assert_eq!(ready(&world).await.unwrap().status(), 200);
    }
    world.ann().step("startStep", &project, "exploration").await.done();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_is_made_anew_by_command() {
    let mut world = World::new().await;
    let project = something(&world).await;
    let before = everything(&world, &project).await;
    let (code, said) = countersign(&["reindex", "--data-dir", text(&world.data())]).await;
    assert!(code == 1 && said.contains("another server uses the data directory"), "{said}");
    world.stop().await;
    for path in files(&world.data().join("index")) {
        fs::write(path, b"").unwrap();
    }
    let (code, said) = countersign(&["reindex", "--data-dir", text(&world.data())]).await;
    assert!(code == 0 && said.contains("was made anew from"), "{said}");
    // The command did it, and left nothing to the next start.
    assert_eq!(check(&world.data()).unwrap().problems, Vec::<String>::new());
    world.restart().await;
    assert_eq!(everything(&world, &project).await, before);
    world.end().await;
    let (code, said) = countersign(&["reindex", "--data-dir", "/nowhere/at/all"]).await;
    assert!(code == 1 && said.contains("is no data directory"), "{said}");
}
