//! The journal: what is appended is replayed and read back, a failing disk is answered with what
//! is known, and segments are begun and continued.

use crate::memory_disk::{Fault, MemoryDisk};
use countersign::domain::id::TenantId;
use countersign::domain::time::Timestamp;
use countersign::store::disk::FileDisk;
use countersign::store::journal::{
    AppendError, Entry, FileJournal, Hash, Journal, Known, OpenError, Opened, Place, Record, Replayed, Settings,
    Stored, length, record_hash, verify,
};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use uuid::Uuid;

pub(crate) const FIRST: &str = "0000000000000001.journal";
pub(crate) const EPOCH: [u8; 16] = *b"sixteen bytes, a";

pub(crate) fn tenant(number: u128) -> TenantId {
    TenantId::from_uuid(Uuid::from_u128(number))
}

pub(crate) fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_milliseconds(milliseconds)
}

pub(crate) fn entry(tenant: TenantId, number: u64, payload: &str) -> Entry {
    Entry { tenant, number, at: at(1_000), payload: payload.as_bytes().to_vec() }
}

pub(crate) fn append(journal: &mut FileJournal, entries: Vec<Entry>) -> Result<Vec<Stored>, AppendError> {
    pollster::block_on(journal.append(entries, at(2_000)))
}

pub(crate) type Replay = Vec<(Place, Record)>;

pub(crate) fn open_with(
    disk: &MemoryDisk,
    segment_bytes_max: u64,
    from: Option<Known>,
) -> Result<(FileJournal, Opened, Replay), OpenError> {
    let mut replayed = Vec::new();
    let settings = Settings { segment_bytes_max, ..Settings::new(EPOCH) };
    let (journal, opened) = FileJournal::open(Arc::new(disk.clone()), settings, from, &mut |seen| {
        if let Replayed::Record { place, record } = seen {
            replayed.push((place, record));
        }
        Ok(())
    })?;
    Ok((journal, opened, replayed))
}

pub(crate) fn open(disk: &MemoryDisk) -> Result<(FileJournal, Opened, Replay), OpenError> {
    open_with(disk, 1_000_000, None)
}

pub(crate) fn known(journal: &FileJournal) -> Option<Known> {
    Some(Known { checkpoint: journal.position(), heads: journal.heads().clone() })
}

/// A journal of three groups: two tenants, one tenant twice, one record.
pub(crate) fn three_groups(disk: &MemoryDisk) -> FileJournal {
    let (mut journal, ..) = open(disk).unwrap();
    let (ann, bob) = (tenant(1), tenant(2));
    append(&mut journal, vec![entry(ann, 1, "one"), entry(bob, 1, "uno")]).unwrap();
    append(&mut journal, vec![entry(ann, 2, "two"), entry(ann, 3, "three")]).unwrap();
    append(&mut journal, vec![entry(bob, 2, "due")]).unwrap();
    journal
}

#[test]
fn what_is_appended_is_replayed_in_order_and_read_back() {
    let disk = MemoryDisk::default();
    let journal = three_groups(&disk);
    let (again, opened, replayed) = open(&disk).unwrap();
    assert_eq!(opened, Opened { bytes_cut: 0, groups: 3, records: 5 });
    let seen: Vec<_> =
        replayed.iter().map(|(_, record)| (record.tenant, record.number, record.payload.as_slice())).collect();
    let (ann, bob) = (tenant(1), tenant(2));
    assert_eq!(
        seen,
        [(ann, 1, b"one".as_slice()), (bob, 1, b"uno"), (ann, 2, b"two"), (ann, 3, b"three"), (bob, 2, b"due")]
    );
    let reader = journal.reader();
    for (place, record) in &replayed {
        assert_eq!(&reader.record(*place).unwrap(), record);
    }
    assert_eq!(again.position(), journal.position());
    assert_eq!(again.heads(), journal.heads());
    assert_eq!(again.log_epoch(), EPOCH);
    assert_eq!(again.position().end.offset, disk.bytes(FIRST).len() as u64);
    assert_eq!(length(&disk).unwrap(), disk.bytes(FIRST).len() as u64);
}

#[test]
fn append_answers_places_and_hashes_of_the_chain() {
    let disk = MemoryDisk::default();
    let (mut journal, ..) = open(&disk).unwrap();
    let ann = tenant(1);
    let stored = append(&mut journal, vec![entry(ann, 1, "one"), entry(ann, 2, "two")]).unwrap();
    let first = record_hash(Hash::ZERO, ann, 1, at(1_000), b"one");
    let second = record_hash(first, ann, 2, at(1_000), b"two");
    assert_eq!([stored[0].hash, stored[1].hash], [first, second]);
    let record = journal.reader().record(stored[1].place).unwrap();
    assert_eq!((record.previous, record.hash), (first, second));
}

#[test]
fn a_large_payload_and_an_empty_one_are_read_back() {
    let disk = MemoryDisk::default();
    let (mut journal, ..) = open(&disk).unwrap();
    let large = "x".repeat(3_000_000);
    let entries = vec![entry(tenant(1), 1, &large), entry(tenant(1), 2, "")];
    let stored = append(&mut journal, entries).unwrap();
    let reader = journal.reader();
    assert_eq!(reader.record(stored[0].place).unwrap().payload, large.as_bytes());
    assert!(reader.record(stored[1].place).unwrap().payload.is_empty());
    assert_eq!(open(&disk).unwrap().1.records, 2);
}

/// The digest was computed from the specification in `format.rs` by other means (Python's
/// `struct` and `hashlib`). It never changes: journals of this format are out in the world.
#[test]
fn the_bytes_of_format_1_stay_what_they_are() {
    let disk = MemoryDisk::default();
    three_groups(&disk);
    let bytes = disk.bytes(FIRST);
    let digest = record_hash(Hash::ZERO, tenant(0), 0, at(0), &bytes);
    assert_eq!(
        (bytes.len(), digest.to_string().as_str()),
        (905, "f9ec9441e676dc24b165405f31f8648456a0c2d495b35628a07a7b5638e284a1")
    );
}

#[test]
fn an_entry_that_does_not_follow_the_head_is_refused_and_nothing_is_written() {
    let disk = MemoryDisk::default();
    let mut journal = three_groups(&disk);
    let (before, position) = (disk.bytes(FIRST), journal.position());
    let (ann, new) = (tenant(1), tenant(9));
    for (entries, head, number) in [
        (vec![entry(ann, 3, "again")], 3, 3),
        (vec![entry(ann, 5, "gap")], 3, 5),
        (vec![entry(ann, 4, "fine"), entry(ann, 4, "twice")], 4, 4),
        (vec![entry(new, 2, "not the first")], 0, 2),
        (vec![entry(new, 0, "nought")], 0, 0),
    ] {
        let error = append(&mut journal, entries).unwrap_err();
        assert!(
            matches!(error, AppendError::NotTheHead { head: h, number: n, .. } if (h, n) == (head, number)),
            "{error}"
        );
    }
    assert_eq!((disk.bytes(FIRST), journal.position()), (before, position));
    append(&mut journal, vec![entry(ann, 4, "follows")]).unwrap();
}

#[test]
fn after_a_failed_sync_the_outcome_is_unknown_and_writing_stops() {
    let disk = MemoryDisk::default();
    let mut journal = three_groups(&disk);
    let position = journal.position();
    disk.fail(Fault::Sync);
    let error = append(&mut journal, vec![entry(tenant(1), 4, "who knows")]).unwrap_err();
    assert!(matches!(error, AppendError::Unknown(_)), "{error}");
    for _ in 0..2 {
        let error = append(&mut journal, vec![entry(tenant(1), 4, "again")]).unwrap_err();
        assert!(matches!(error, AppendError::Stopped), "{error}");
    }
    assert_eq!(journal.position(), position);
    // The bytes had reached the file, so that after a restart the command did happen.
    assert_eq!(open(&disk).unwrap().0.heads()[&tenant(1)].number, 4);
}

#[test]
fn a_short_write_leaves_nothing_behind() {
    let disk = MemoryDisk::default();
    let mut journal = three_groups(&disk);
    let before = disk.bytes(FIRST);
    for written in [0, 1, 50, 96, 120, 200] {
        disk.fail(Fault::Write(written, ErrorKind::StorageFull));
        let error = append(&mut journal, vec![entry(tenant(1), 4, "full")]).unwrap_err();
        assert!(matches!(error, AppendError::Full(_)), "{error}");
        assert_eq!(disk.bytes(FIRST), before);
    }
    disk.fail(Fault::Write(10, ErrorKind::Other));
    let error = append(&mut journal, vec![entry(tenant(1), 4, "refused")]).unwrap_err();
    assert!(matches!(error, AppendError::Refused(_)), "{error}");
    append(&mut journal, vec![entry(tenant(1), 4, "room again")]).unwrap();
    assert_eq!(open(&disk).unwrap().1, Opened { bytes_cut: 0, groups: 4, records: 6 });
}

#[test]
fn when_a_short_write_cannot_be_cut_back_writing_stops() {
    for cut in [Fault::Truncate, Fault::Sync] {
        let disk = MemoryDisk::default();
        let mut journal = three_groups(&disk);
        disk.fail(Fault::Write(50, ErrorKind::StorageFull));
        disk.fail(cut);
        let error = append(&mut journal, vec![entry(tenant(1), 4, "full")]).unwrap_err();
        assert!(matches!(error, AppendError::Unknown(_)), "{error}");
        let error = append(&mut journal, vec![entry(tenant(1), 4, "full")]).unwrap_err();
        assert!(matches!(error, AppendError::Stopped), "{error}");
        assert_eq!(open(&disk).unwrap().1.records, 5);
    }
}

#[test]
fn segments_are_begun_at_the_limit_and_continued() {
    let disk = MemoryDisk::default();
    let (mut journal, ..) = open_with(&disk, 700, None).unwrap();
    let ann = tenant(1);
    for number in 1..=20 {
        append(&mut journal, vec![entry(ann, number, "a payload")]).unwrap();
        if number % 5 == 0 {
            (journal, ..) = open_with(&disk, 700, known(&journal)).unwrap();
        }
    }
    append(&mut journal, vec![entry(ann, 21, &"larger than a segment".repeat(100))]).unwrap();
    append(&mut journal, vec![entry(ann, 22, "behind it")]).unwrap();
    let names = countersign::store::disk::Disk::names(&disk).unwrap();
    assert_eq!(names.len(), 12, "{names:?}");
    let (again, opened, replayed) = open_with(&disk, 700, None).unwrap();
    assert_eq!(opened, Opened { bytes_cut: 0, groups: 22, records: 22 });
    assert_eq!(again.position(), journal.position());
    for (place, record) in &replayed {
        assert_eq!(&again.reader().record(*place).unwrap(), record);
    }
    verify(&disk, journal.position(), &mut |_| Ok(())).unwrap();
}

#[test]
fn a_segment_that_cannot_be_begun_is_begun_later() {
    for fault in [Fault::Create, Fault::Write(20, ErrorKind::StorageFull), Fault::Rename] {
        let disk = MemoryDisk::default();
        let (mut journal, ..) = open_with(&disk, 300, None).unwrap();
        append(&mut journal, vec![entry(tenant(1), 1, "one")]).unwrap();
        disk.fail(fault);
        let error = append(&mut journal, vec![entry(tenant(1), 2, "two")]).unwrap_err();
        assert!(matches!(error, AppendError::Full(_) | AppendError::Refused(_)), "{error}");
        append(&mut journal, vec![entry(tenant(1), 2, "two")]).unwrap();
        assert_eq!(open(&disk).unwrap().1, Opened { bytes_cut: 0, groups: 2, records: 2 });
    }
    for fault in [Fault::Sync, Fault::SyncDirectory] {
        let disk = MemoryDisk::default();
        let (mut journal, ..) = open_with(&disk, 300, None).unwrap();
        append(&mut journal, vec![entry(tenant(1), 1, "one")]).unwrap();
        disk.fail(fault);
        let error = append(&mut journal, vec![entry(tenant(1), 2, "two")]).unwrap_err();
        assert!(matches!(error, AppendError::Unknown(_)), "{error}");
        let error = append(&mut journal, Vec::new()).unwrap_err();
        assert!(matches!(error, AppendError::Stopped), "{error}");
        assert_eq!(open(&disk).unwrap().1.records, 1);
    }
}

#[test]
fn a_group_that_does_not_fit_a_begun_segment_leaves_it_empty_and_usable() {
    let disk = MemoryDisk::default();
    let (mut journal, ..) = open_with(&disk, 300, None).unwrap();
    append(&mut journal, vec![entry(tenant(1), 1, "one")]).unwrap();
    disk.fail(Fault::Rename);
    append(&mut journal, vec![entry(tenant(1), 2, "two")]).unwrap_err();
    let position = journal.position();
    append(&mut journal, vec![entry(tenant(1), 2, "two")]).unwrap();
    // As after a crash between beginning the segment and writing its first group.
    disk.change("0000000000000002.journal", |bytes| bytes.truncate(100));
    let (mut journal, opened, _) = open_with(&disk, 300, None).unwrap();
    assert_eq!((opened.bytes_cut, journal.position()), (0, position));
    append(&mut journal, vec![entry(tenant(1), 2, "two")]).unwrap();
    assert_eq!(journal.position().end.segment, 2);
}

#[test]
fn only_what_comes_after_the_checkpoint_is_replayed() {
    let disk = MemoryDisk::default();
    let mut journal = three_groups(&disk);
    let from = known(&journal);
    let (_, opened, replayed) = open_with(&disk, 1_000_000, from.clone()).unwrap();
    assert_eq!((opened.groups, replayed.len()), (0, 0));
    append(&mut journal, vec![entry(tenant(1), 4, "four")]).unwrap();
    append(&mut journal, Vec::new()).unwrap();
    let (again, opened, replayed) = open_with(&disk, 1_000_000, from).unwrap();
    assert_eq!(opened, Opened { bytes_cut: 0, groups: 2, records: 1 });
    assert_eq!(replayed[0].1.payload, b"four");
    assert_eq!((again.position(), again.heads()), (journal.position(), journal.heads()));
}

#[test]
fn a_replay_that_fails_is_an_error_and_changes_nothing() {
    let disk = MemoryDisk::default();
    three_groups(&disk);
    let settings = Settings::new(EPOCH);
    let opened = FileJournal::open(Arc::new(disk.clone()), settings, None, &mut |seen| match seen {
        Replayed::Record { record, .. } if record.number == 3 => Err("no".into()),
        Replayed::Record { .. } | Replayed::Kept(_) | Replayed::Base(_) | Replayed::Group(_) => Ok(()),
    });
    assert!(matches!(opened.err().unwrap(), OpenError::Replay(_)));
    assert_eq!(open(&disk).unwrap().1.records, 5);
}

#[test]
fn another_epoch_begins_in_a_segment_of_its_own() {
    let disk = MemoryDisk::default();
    let mut journal = three_groups(&disk);
    let restored = *b"another epoch...";
    journal.begin_epoch(restored, at(3_000)).unwrap();
    assert_eq!(journal.log_epoch(), restored);
    let (mut again, opened, _) = open(&disk).unwrap();
    assert_eq!((again.log_epoch(), opened.groups), (restored, 4));
    append(&mut again, vec![entry(tenant(1), 4, "four")]).unwrap();
    again.begin_epoch(EPOCH, at(4_000)).unwrap();
    again.begin_epoch(restored, at(5_000)).unwrap();
    assert_eq!(open(&disk).unwrap().1, Opened { bytes_cut: 0, groups: 7, records: 6 });
}

#[test]
fn in_a_real_directory_the_files_are_the_owners_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data/journal");
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let settings = Settings::new(EPOCH);
    for round in 1..=3 {
        let disk = Arc::new(FileDisk::open(&path).unwrap());
        let mut records = 0;
        let (mut journal, _) = FileJournal::open(disk, settings, None, &mut |seen| {
            records += u64::from(matches!(seen, Replayed::Record { .. }));
            Ok(())
        })
        .unwrap();
        assert_eq!(records, round - 1);
        let stored = append(&mut journal, vec![entry(tenant(1), round, "x")]).unwrap();
        assert_eq!(journal.reader().record(stored[0].place).unwrap().number, round);
    }
    assert_eq!((mode(&path), mode(&path.join(FIRST))), (0o700, 0o600));
    let torn = std::fs::read(path.join(FIRST)).unwrap();
    std::fs::write(path.join(FIRST), &torn[..torn.len() - 1]).unwrap();
    let disk = Arc::new(FileDisk::open(&path).unwrap());
    let (_, opened) = FileJournal::open(disk, settings, None, &mut |_| Ok(())).unwrap();
    assert_eq!((opened.groups, opened.bytes_cut), (2, 196));
}
