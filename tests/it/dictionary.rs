//! What compressed records were encrypted with stays readable for ever: the dictionary is the one that they were
//! written with, and records from before there was one open.
//! `COUNTERSIGN_RECORD_SAMPLES=DIRECTORY cargo test --test it -- dictionary` writes what one is made of.

use super::{demo::Demo, journal::tenant, walkthrough::walk, world::World};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use countersign::store::{
    cipher,
    codec::{Commit, decode},
    disk::FileDisk,
    journal::{Replayed, survey},
    keys::Keys,
};
use sha2::{Digest, Sha256};
use std::{fs, path::Path};

/// Of the first dictionary, which version 2 of the cipher's format names.
const FIRST: &str = "589c88bec055e0dd4ffcc9462e607d47cf0b9f4a30656151cbde019412b9215d";
const SECRET: [u8; 32] = [7; 32];
/// The last 300 bytes of the dictionary, as version 2 encrypted them on 2026-11-23 for tenant 7 under `SECRET`.
const COMPRESSED: &str = "023e1a3252e62d7a0398ed733a9fb3056b2536a52c1a79943c0dc63959574acc7b84f83dfd22ebdaeeb684588de0ed4f70ab6e992fd9415b455e88129432";
const PLAIN: &[u8] =
    b"{\"name\":\"Kept\",\"status\":\"NOT_STARTED\",\"steps\":\"NOT_STARTED NOT_STARTED NOT_STARTED\"}";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The keys of a server on which tenant 7 has this secret.
fn keys(directory: &Path) -> Keys {
    let file = [&[1], &Sha256::digest(SECRET)[..8], &SECRET].concat();
    fs::write(directory.join(format!("{}.key", tenant(7))), file).unwrap();
    Keys::open(directory).unwrap()
}

#[test]
fn the_dictionary_is_the_one_that_records_were_written_with() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/compression/1.dictionary");
    let dictionary = fs::read(path).unwrap();
    assert_eq!(hex(&Sha256::digest(&dictionary)), FIRST, "records that lie on disks need this very file");
    let known = &dictionary[dictionary.len() - 300..];
    let directory = tempfile::tempdir().unwrap();
    let key = keys(directory.path()).key(tenant(7)).unwrap();
    let sealed = cipher::seal(&key, tenant(7), b"record 1", known).unwrap();
    assert!(sealed[0] == 2 && sealed.len() < 41 + 30, "it is not made smaller by the dictionary: {}", hex(&sealed));
    assert_eq!(cipher::open(&key, tenant(7), b"record 1", &unhex(COMPRESSED)).unwrap(), known);
}

#[test]
fn a_record_from_before_compression_opens() {
    let directory = tempfile::tempdir().unwrap();
    let key = keys(directory.path()).key(tenant(7)).unwrap();
    // Version 1, by its description: nonce, ciphertext and tag, bound to the tenant and the context alone.
    let nonce = [3; 24];
    let aad = [tenant(7).uuid().as_bytes().as_slice(), b"record 1"].concat();
    let ciphertext = XChaCha20Poly1305::new(&SECRET.into())
        .encrypt(&XNonce::from(nonce), Payload { msg: PLAIN, aad: &aad })
        .unwrap();
    let sealed = [&[1], nonce.as_slice(), &ciphertext].concat();
    assert_eq!(cipher::open(&key, tenant(7), b"record 1", &sealed).unwrap(), PLAIN);
    // Nobody makes one version of the other.
    for version in [0, 2, 3] {
        let other = [&[version], &sealed[1..]].concat();
        cipher::open(&key, tenant(7), b"record 1", &other).unwrap_err();
    }
}

/// The plain bytes of every commit of a stopped server, and of every record that they wrote.
fn samples(data: &Path) -> Vec<Vec<u8>> {
    let keys = Keys::look(&data.join("keys")).unwrap();
    let mut samples = vec![];
    survey(&FileDisk::read_only(&data.join("journal")).unwrap(), &mut |replayed| {
        if let Replayed::Record { record, .. } = replayed
            && let Some(key) = keys.key(record.tenant)
        {
            let plain = cipher::open(&key, record.tenant, &record.number.to_le_bytes(), &record.payload).unwrap();
            let commit: Commit = decode(&plain).unwrap();
            samples.extend(commit.writes.into_iter().filter_map(|write| Some(write.bytes?.into_vec())));
            samples.push(plain);
        }
        Ok(())
    })
    .unwrap();
    samples
}

/// What the next dictionary would be made of: organisations that went through the tutorial.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dictionary_is_made_of_compresses_with_the_one_there_is() {
    let directory = tempfile::tempdir().unwrap();
    let mut demo = Demo::start(&directory.path().join("data")).await;
    walk(&demo).await;
    demo.stop().await;
    let world = World::new().await;
    let world = world.left().await;
    let samples = [samples(&directory.path().join("data")), samples(&world.path().join("data"))].concat();
    if let Some(to) = std::env::var_os("COUNTERSIGN_RECORD_SAMPLES") {
        fs::create_dir_all(&to).unwrap();
        for (n, sample) in samples.iter().enumerate() {
            fs::write(Path::new(&to).join(format!("{n:05}")), sample).unwrap();
        }
    }
    // The dictionary still knows what today's records look like; it says when another is worth its version.
    let key = keys(directory.path()).key(tenant(7)).unwrap();
    let (mut plain, mut sealed) = (0, 0);
    for sample in &samples {
        plain += sample.len();
        sealed += cipher::seal(&key, tenant(7), b"", sample).unwrap().len() - 41;
    }
    println!(
        "{} samples, {plain} bytes, {sealed} compressed: {:.1} times smaller",
        samples.len(),
        plain as f64 / sealed as f64
    );
    assert!(samples.len() > 500 && sealed * 3 < plain, "{} samples: {plain} bytes became {sealed}", samples.len());
}
