//! What auditors ask: that the log verifies while it is written, that it contains what was signed, and that an entry
//! is in it. Each lie that a log can tell is told once.

use super::{
    command::{countersign, text},
    world::{World, copy},
};
use countersign::store::{
    Unwatched,
    audit::{Audit, Proof, SignedCheckpoint},
};
use serde_json::{Value, json};
use std::{fs, path::Path};

const AT: &str = "2026-11-22T00:00:00Z";

async fn group(world: &World, name: &str) {
    let query = "mutation($name: String!) { createGroup(input: { name: $name, members: [] }) { userErrors { code } } }";
    world.admin().ask(query, json!({ "name": name })).await.done();
}

fn checkpoint(world: &World) -> SignedCheckpoint {
    Audit::open(&world.data()).unwrap().checkpoint(AT.to_owned(), &Unwatched).unwrap()
}

/// Verifies a data directory against a checkpoint, with the public key of the first.
async fn verified(data: &Path, checkpoint: &Path, key: &str) -> (i32, String) {
    countersign(&["audit", "verify", "--data-dir", text(data), "--checkpoint", text(checkpoint), "--public-key", key])
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_entry_is_provable_at_every_size_of_the_log() {
    let world = World::new().await;
    let audit = Audit::open(&world.data()).unwrap();
    let key = audit.public_key().unwrap();
    for n in 0..12 {
        group(&world, &format!("Group {n}")).await;
        let signed = checkpoint(&world);
        for standing in &signed.tenants {
            for number in 1..=standing.records {
                let proof = audit.prove(standing.tenant, number, AT.to_owned(), &Unwatched).unwrap();
                proof.check(&key).unwrap();
            }
            let beyond = audit.prove(standing.tenant, standing.records + 1, AT.to_owned(), &Unwatched);
            assert!(beyond.unwrap_err().to_string().contains("is not under the checkpoint's root"));
        }
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_was_changed_proves_nothing() {
    let world = World::new().await;
    for n in 0..6 {
        group(&world, &format!("Group {n}")).await;
    }
    let audit = Audit::open(&world.data()).unwrap();
    let key = audit.public_key().unwrap();
    let signed = checkpoint(&world);
    let standing = signed.tenants.iter().max_by_key(|standing| standing.records).unwrap();
    let proof = audit.prove(standing.tenant, 3, AT.to_owned(), &Unwatched).unwrap();
    let written = serde_json::to_value(&proof).unwrap();
    let other = audit.prove(standing.tenant, 4, AT.to_owned(), &Unwatched).unwrap();
    let other = serde_json::to_value(&other).unwrap();
    let changes: [(&str, Value); 8] = [
        ("/number", json!(4)),
        ("/number", json!(0)),
        ("/atMilliseconds", json!(1)),
        ("/previous", other["previous"].clone()),
        ("/payload", other["payload"].clone()),
        ("/path", other["path"].clone()),
        ("/path", json!([])),
        ("/checkpoint/at", json!("2026-11-23T00:00:00Z")),
    ];
    for (place, value) in changes {
        let mut changed = written.clone();
        *changed.pointer_mut(place).unwrap() = value.clone();
        let changed: Proof = serde_json::from_value(changed).unwrap();
        assert!(changed.check(&key).is_err(), "{place} = {value} still proves something");
    }
    // Every bit of every hash on the way.
    for step in 0..proof.path.len() {
        for bit in 0..256 {
            let mut changed = proof.clone();
            let mut bytes = changed.path[step].bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            changed.path[step] = countersign::store::journal::Hash::from_bytes(bytes);
            assert!(changed.check(&key).is_err());
        }
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_verifies_signs_and_proves_under_a_running_server() {
    let world = World::new().await;
    let (data, directory) = (world.data(), tempfile::tempdir().unwrap());
    let (kept, proof) = (directory.path().join("kept.json"), directory.path().join("proof.json"));
    let (code, said) = countersign(&["audit", "checkpoint", "--data-dir", text(&data), "--out", text(&kept)]).await;
    assert_eq!((code, said.as_str()), (0, ""));
    group(&world, "Later").await;
    let arguments = ["audit", "verify", "--data-dir", text(&data), "--checkpoint", text(&kept), "--json"];
    let (code, said) = countersign(&arguments).await;
    assert_eq!(code, 0, "{said}");
    let said: Value = serde_json::from_str(&said).unwrap();
    let signed: SignedCheckpoint = serde_json::from_slice(&fs::read(&kept).unwrap()).unwrap();
    assert_eq!(said["checkpoint"], signed.group);
    assert_eq!(said["publicKey"], signed.public_key);
    assert!(said["group"].as_u64().unwrap() > signed.group && said["records"].as_u64().unwrap() > 0);

    // An entry that somebody read in the timeline.
    let newest = world.admin().ask("{ timeline(first: 1) { nodes { number kind } } }", json!({})).await;
    let number = newest.number("/timeline/nodes/0/number").to_string();
    let prove = ["audit", "prove", "--data-dir", text(&data), "--tenant", "acme", "--number", &number];
    let (code, said) = countersign(&[prove.as_slice(), &["--out", text(&proof)]].concat()).await;
    assert_eq!((code, said.as_str()), (0, ""));
    let (code, said) = countersign(&["audit", "check-proof", text(&proof), "--public-key", &signed.public_key]).await;
    assert!(code == 0 && said.contains(&format!("record {number} of tenant")), "{said}");
    let (code, said) = countersign(&["audit", "check-proof", text(&proof), "--public-key", "AAAA"]).await;
    assert!(code == 1 && said.contains("is no public key"), "{said}");
    let (code, said) =
        countersign(&["audit", "prove", "--data-dir", text(&data), "--tenant", "nobody", "--number", "1"]).await;
    assert!(code == 1 && said.contains("there is no organisation called \"nobody\""), "{said}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_not_the_one_that_was_signed_is_told() {
    let mut world = World::new().await;
    let directory = tempfile::tempdir().unwrap();
    let (kept, older) = (directory.path().join("kept.json"), directory.path().join("older"));
    world.stop().await;
    copy(&world.data(), &older);
    world.restart().await;
    group(&world, "Signed").await;
    let signed = checkpoint(&world);
    let key = signed.public_key.clone();
    fs::write(&kept, serde_json::to_vec(&signed).unwrap()).unwrap();
    let (code, said) = verified(&world.data(), &kept, &key).await;
    assert!(code == 0 && said.contains("contains    the checkpoint"), "{said}");

    // Its end was taken away.
    let (code, said) = verified(&older, &kept, &key).await;
    assert!(code == 1 && said.contains("the log does not contain the checkpoint: it ends with group"), "{said}");
    // Something else was written instead, by a server that knows every key.
    world.stop().await;
    fs::remove_dir_all(world.data()).unwrap();
    copy(&older, &world.data());
    world.restart().await;
    group(&world, "Forged").await;
    group(&world, "Forged more").await;
    let (code, said) = verified(&world.data(), &kept, &key).await;
    assert!(code == 1 && said.contains("has another hash; it was rewritten, or is another one"), "{said}");
    // The checkpoint itself was changed to fit, or signed with another key.
    let mut changed = signed.clone();
    changed.group -= 1;
    fs::write(&kept, serde_json::to_vec(&changed).unwrap()).unwrap();
    let (code, said) = verified(&world.data(), &kept, &key).await;
    assert!(code == 1 && said.contains("it was changed after it was signed"), "{said}");
    let another = World::new().await;
    fs::remove_file(another.data().join("keys/audit-signing-key.secret")).ok();
    fs::write(&kept, serde_json::to_vec(&checkpoint(&another)).unwrap()).unwrap();
    let (code, said) = verified(&world.data(), &kept, &key).await;
    assert!(code == 1 && said.contains("the checkpoint was signed with the key"), "{said}");
    another.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_is_told_with_file_and_offset() {
    let mut world = World::new().await;
    world.stop().await;
    let segment = fs::read_dir(world.data().join("journal")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&segment).unwrap();
    bytes[300] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let (code, said) = countersign(&["audit", "verify", "--data-dir", text(&world.data())]).await;
    let name = segment.file_name().unwrap().to_str().unwrap();
    assert_eq!(code, 1);
    assert!(said.contains(&format!("the journal is damaged: {name} at offset 100")), "{said}");
    let nowhere = world.data().join("nowhere");
    let (code, said) = countersign(&["audit", "verify", "--data-dir", text(&nowhere)]).await;
    assert!(code == 1 && said.contains("is no data directory"), "{said}");
}
