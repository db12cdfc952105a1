//! The doctor: what it finds, each thing by its line, and that it changes nothing.

use super::{
    command::{binary, text},
    journal::{append, entry, open_with, tenant},
    memory_disk::MemoryDisk,
    store::something,
    world::{World, copy},
};
use countersign::{
    domain::time::Timestamp,
    store::{
        Unwatched,
        doctor::{Examined, Health, examine},
        journal::survey_newest,
    },
};
use serde_json::Value;
use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// The exit code, and each check's health and sentences.
async fn doctor(data: &Path, more: &[&str], variables: &[(&str, &str)]) -> (i32, Vec<(String, String, String)>) {
    let mut command = binary();
    command.args(["doctor", "--json", "--data-dir", text(data)]).args(more).envs(variables.iter().copied());
    let done = command.output().await.unwrap();
    let said: Value = serde_json::from_slice(&done.stdout).unwrap();
    let word = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    let told = |finding: &Value| {
        let sentences = format!("{}; {}", word(finding, "found"), word(finding, "remedy"));
        (word(finding, "check"), word(finding, "health"), sentences)
    };
    (done.status.code().unwrap(), said["findings"].as_array().unwrap().iter().map(told).collect())
}

/// Asserts that a check came out so, that its sentences say this, and that the exit code follows from it.
async fn finds(data: &Path, expected: (&str, &str, &str), more: &[&str], variables: &[(&str, &str)]) {
    let (check, health, because) = expected;
    let (code, found) = doctor(data, more, variables).await;
    let one = found.iter().find(|(name, ..)| name == check).unwrap_or_else(|| panic!("no {check} in {found:?}"));
    assert!(one.1 == health && one.2.contains(because), "{expected:?}: {found:?}");
    assert_eq!(code, i32::from(found.iter().any(|(_, health, _)| health == "problem")), "{found:?}");
    let others: Vec<_> = found.iter().filter(|(name, health, _)| name != check && health == "problem").collect();
    assert!(others.is_empty() || health == "problem", "{others:?}");
}

/// Every file below a directory with its content.
fn content(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = vec![];
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(content(&path));
        } else {
            files.push((path.clone(), std::fs::read(path).unwrap()));
        }
    }
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_what_is_wrong_and_changes_nothing() {
    let world = World::new().await;
    // What a test copies is everybody's to read; a server makes its files its owner's only.
    let directory = world.data();
    close_to_others(&directory);
    finds(&directory, ("lock", "ok", "a server is using"), &[], &[]).await;
    finds(&directory, ("index", "ok", "the server has it open"), &["--full"], &[]).await;
    // An index from before the last change, for later.
    let left = world.left().await;
    let older = tempfile::tempdir().unwrap();
    copy(&left.path().join("data/index"), &older.path().join("index"));
    let world = World::over(left).await;
    something(&world).await;
    let left = world.left().await;
    let data = left.path().join("data");
    close_to_others(&data);
    let before = content(&data);
    let (code, found) = doctor(&data, &["--full"], &[]).await;
    assert_eq!(code, 0, "{found:?}");
    assert!(found.iter().all(|(check, health, _)| health == "ok" || check == "space"), "{found:?}");
    finds(&data, ("lock", "ok", "no server is using"), &[], &[]).await;
    finds(&data, ("index", "ok", "a copy of it opens and holds what the journal says"), &["--full"], &[]).await;
    assert_eq!(content(&data), before, "the doctor changed something");

    let mistyped = [("COUNTERSIGN_LISTN", "127.0.0.1:1")];
    finds(&data, ("configuration", "problem", "did you mean COUNTERSIGN_LISTEN?"), &[], &mistyped).await;
    let wrong = [("COUNTERSIGN_LISTEN", "here")];
    finds(&data, ("configuration", "problem", "COUNTERSIGN_LISTEN is \"here\""), &[], &wrong).await;

    let keys = || std::fs::read_dir(data.join("keys")).unwrap().map(|entry| entry.unwrap().path());
    let key = keys().find(|path| path.extension().is_some_and(|extension| extension == "key")).unwrap();
    std::fs::set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
    finds(&data, ("permissions", "problem", &format!("others may use {} (mode 640)", text(&key))), &[], &[]).await;
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let sound = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    finds(&data, ("keys", "warning", "1 organisations have no key"), &[], &[]).await;
    let mark = key.with_extension("erased");
    std::fs::write(&mark, b"").unwrap();
    std::fs::set_permissions(&mark, Permissions::from_mode(0o600)).unwrap();
    finds(&data, ("keys", "ok", "have their key, 1 were erased"), &[], &[]).await;
    std::fs::remove_file(&mark).unwrap();
    std::fs::write(&key, &sound[1..]).unwrap();
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    finds(&data, ("keys", "problem", "is damaged"), &[], &[]).await;
    std::fs::write(&key, &sound).unwrap();

    let clean = std::fs::read(data.join("index/clean")).unwrap();
    std::fs::write(data.join("index/clean"), b"of another boot, or nonsense").unwrap();
    std::fs::rename(data.join("index/sled"), data.join("index/gone")).unwrap();
    finds(&data, ("index", "warning", "does not open, or differs"), &["--full"], &[]).await;
    copy(&older.path().join("index/sled"), &data.join("index/sled"));
    finds(&data, ("index", "warning", "does not open, or differs"), &["--full"], &[]).await;
    std::fs::remove_dir_all(data.join("index/sled")).unwrap();
    std::fs::rename(data.join("index/gone"), data.join("index/sled")).unwrap();
    std::fs::remove_file(data.join("index/clean")).unwrap();
    finds(&data, ("index", "warning", "not closed cleanly"), &[], &[]).await;
    std::fs::write(data.join("index/clean"), clean).unwrap();

    // The clock was set back behind what is written.
    let early = Examined { data: &data, now: Timestamp::from_milliseconds(1_772_000_000_000), full: false };
    let found = examine(early, &Unwatched);
    let clock = found.iter().find(|finding| finding.check == "clock").unwrap();
    assert!(clock.health == Health::Problem && clock.found.contains("the newest record was written at"), "{clock:?}");
    let never = Examined { now: Timestamp::from_milliseconds(1_000), ..early };
    let found = examine(never, &Unwatched);
    assert!(
        found.iter().any(|finding| finding.check == "clock" && finding.found.contains("it cannot be")),
        "{found:?}"
    );

    let segment = data.join("journal/0000000000000001.journal");
    let mut journal = std::fs::read(&segment).unwrap();
    journal[300] ^= 4;
    std::fs::write(&segment, &journal).unwrap();
    finds(&data, ("journal", "problem", "0000000000000001.journal at offset 100: group 1 is damaged"), &[], &[]).await;
    std::fs::write(data.join("format"), "2\n").unwrap();
    finds(&data, ("format", "problem", "use the version that wrote it"), &[], &[]).await;
    finds(&left.path().join("nowhere"), ("format", "problem", "is no data directory"), &[], &[]).await;
    assert!(!left.path().join("nowhere").exists());
}

/// Gives the files that a test copied the modes that a server gives them.
fn close_to_others(path: &Path) {
    let is_directory = path.is_dir();
    std::fs::set_permissions(path, Permissions::from_mode(if is_directory { 0o700 } else { 0o600 })).unwrap();
    if is_directory {
        std::fs::read_dir(path).unwrap().for_each(|entry| close_to_others(&entry.unwrap().path()));
    }
}

#[test]
fn of_a_long_journal_the_newest_segment_is_read_by_itself() {
    let disk = MemoryDisk::default();
    let (mut journal, ..) = open_with(&disk, 900, None).unwrap();
    for number in 1..=9 {
        append(&mut journal, vec![entry(tenant(1), number, &"x".repeat(200))]).unwrap();
    }
    let newest = "0000000000000009.journal";
    let found = survey_newest(&disk, &mut |_| Ok(())).unwrap();
    assert_eq!((found.last, found.records), (journal.position(), 1));
    assert_eq!(found.heads, *journal.heads());
    for at in 0..disk.bytes(newest).len() {
        let flipped = MemoryDisk::copy(&disk);
        flipped.change(newest, |bytes| bytes[at] ^= 1);
        let found = survey_newest(&flipped, &mut |_| Ok(()));
        // A last group that is not whole may be one that is being written.
        assert!(found.is_err() || found.unwrap().records == 0, "{at}");
    }
}
