//! The journal against damage: what a crash may leave is repaired, everything else is refused
//! with file and offset, and nothing that differs from what was written is ever replayed.

use crate::journal::{EPOCH, FIRST, append, entry, known, open, open_with, tenant, three_groups};
use crate::memory_disk::MemoryDisk;
use countersign::store::disk::Disk;
use countersign::store::journal::{Checkpoint, FileJournal, OpenError, Place, ReadError, Replayed, Settings, verify};
use std::sync::Arc;

/// Where the groups begin, and where the last one ends.
fn bounds(disk: &MemoryDisk) -> Vec<u64> {
    let mut bounds = Vec::new();
    let settings = Settings::new(EPOCH);
    let copy = Arc::new(disk.copy());
    FileJournal::open(copy, settings, None, &mut |seen| {
        if let Replayed::Group(Checkpoint { begin, end, .. }) = seen {
            bounds.pop();
            bounds.extend([begin, end.offset]);
        }
        Ok(())
    })
    .unwrap();
    bounds
}

#[track_caller]
fn refused_at<T>(opened: Result<T, OpenError>, name: &str, begin: u64) {
    match opened {
        Err(OpenError::Damaged { file, offset, .. }) => {
            assert_eq!((file.as_str(), offset), (name, begin));
        }
        Err(other) => panic!("refused otherwise: {other}"),
        Ok(_) => panic!("opened"),
    }
}

#[test]
fn a_torn_last_group_is_cut_whole_wherever_it_is_torn() {
    let disk = MemoryDisk::default();
    three_groups(&disk);
    let (whole, bounds) = (disk.bytes(FIRST), bounds(&disk));
    let (begin, end) = (bounds[2] as usize, bounds[3] as usize);
    for left in begin..end {
        // Cut off there; and cut off with the file's length already grown, as zeros.
        for length in [left, end, end + 4096] {
            let mut bytes = whole[..left].to_vec();
            bytes.resize(length, 0);
            if bytes[..] == whole[..] {
                continue;
            }
            disk.put(FIRST, bytes);
            let (mut journal, opened, replayed) = open(&disk).unwrap();
            assert_eq!(opened.bytes_cut, (length - begin) as u64, "{left} {length}");
            assert_eq!((opened.groups, replayed.len()), (2, 4));
            assert_eq!(disk.bytes(FIRST), whole[..begin]);
            append(&mut journal, vec![entry(tenant(2), 2, "due")]).unwrap();
            assert_eq!(disk.bytes(FIRST), whole);
        }
    }
}

#[test]
fn every_flipped_bit_is_refused_or_cut() {
    let disk = MemoryDisk::default();
    three_groups(&disk);
    let (whole, bounds) = (disk.bytes(FIRST), bounds(&disk));
    let (_, _, genuine) = open(&disk).unwrap();
    for byte in 0..whole.len() {
        let begin = bounds.iter().copied().rfind(|begin| *begin <= byte as u64).unwrap_or(0);
        for bit in 0..8 {
            disk.put(FIRST, whole.clone());
            disk.change(FIRST, |bytes| bytes[byte] ^= 1 << bit);
            let opened = open(&disk);
            if begin < bounds[2] {
                refused_at(opened, FIRST, begin);
            } else {
                let (_, opened, replayed) = opened.unwrap();
                assert_eq!(opened.bytes_cut, bounds[3] - bounds[2]);
                assert_eq!(replayed, genuine[..4]);
            }
        }
    }
}

#[test]
fn every_flipped_bit_of_what_was_sealed_is_found_by_verify_and_at_the_checkpoint() {
    let disk = MemoryDisk::default();
    let mut journal = three_groups(&disk);
    append(&mut journal, Vec::new()).unwrap();
    let (whole, bounds, until) = (disk.bytes(FIRST), bounds(&disk), journal.position());
    verify(&disk, until, &mut |_| Ok(())).unwrap();
    for byte in 0..whole.len() {
        let begin = bounds.iter().copied().rfind(|begin| *begin <= byte as u64).unwrap_or(0);
        for bit in 0..8 {
            disk.put(FIRST, whole.clone());
            disk.change(FIRST, |bytes| bytes[byte] ^= 1 << bit);
            refused_at(verify(&disk, until, &mut |_| Ok(())), FIRST, begin);
            if begin == 0 || begin == until.begin {
                refused_at(open_with(&disk, 1_000_000, known(&journal)), FIRST, begin);
            }
        }
    }
}

/// How much of a journal is flipped bit by bit, in bytes.
const FLIPPED_BYTES: usize = 64 * 1024;

#[test]
fn every_flipped_bit_of_64_kib_is_found_in_its_group() {
    let disk = MemoryDisk::default();
    let (mut journal, ..) = open(&disk).unwrap();
    let (ann, bob) = (tenant(1), tenant(2));
    for number in 1.. {
        // Records of all lengths, in groups of one and two.
        let mut entries = vec![entry(ann, number, &"so much to say ".repeat(number as usize % 60))];
        if number % 2 == 0 {
            entries.push(entry(bob, number / 2, "short"));
        }
        append(&mut journal, entries).unwrap();
        if disk.bytes(FIRST).len() >= FLIPPED_BYTES {
            break;
        }
    }
    append(&mut journal, Vec::new()).unwrap();
    let (bounds, until) = (bounds(&disk), journal.position());
    verify(&disk, until, &mut |_| Ok(())).unwrap();
    std::thread::scope(|scope| {
        for half in 0..2 {
            let (disk, bounds) = (disk.copy(), &bounds);
            scope.spawn(move || {
                for byte in (half..FLIPPED_BYTES).step_by(2) {
                    let begin = bounds.iter().copied().rfind(|begin| *begin <= byte as u64).unwrap_or(0);
                    for bit in 0..8 {
                        disk.change(FIRST, |bytes| bytes[byte] ^= 1 << bit);
                        refused_at(verify(&disk, until, &mut |_| Ok(())), FIRST, begin);
                        disk.change(FIRST, |bytes| bytes[byte] ^= 1 << bit);
                    }
                }
            });
        }
    });
    verify(&disk, until, &mut |_| Ok(())).unwrap();
}

#[test]
fn groups_that_were_swapped_doubled_or_taken_out_are_refused() {
    let disk = MemoryDisk::default();
    let mut journal = three_groups(&disk);
    append(&mut journal, vec![entry(tenant(2), 3, "tre")]).unwrap();
    let (whole, bounds) = (disk.bytes(FIRST), bounds(&disk));
    let head = &whole[..bounds[0] as usize];
    let group = |number: usize| &whole[bounds[number - 1] as usize..bounds[number] as usize];
    for (order, bad) in [
        (vec![2, 1, 3, 4], 0),
        (vec![1, 3, 2, 4], 1),
        (vec![1, 1, 2, 3, 4], 1),
        (vec![1, 2, 2, 3, 4], 2),
        (vec![1, 2, 3, 4, 4], 4),
        (vec![1, 2, 4, 3], 2),
        (vec![1, 2, 4], 2),
        (vec![2, 3, 4], 0),
        (vec![4], 0),
    ] {
        let mut bytes = head.to_vec();
        let mut begins = Vec::new();
        for number in &order {
            begins.push(bytes.len() as u64);
            bytes.extend_from_slice(group(*number));
        }
        disk.put(FIRST, bytes);
        refused_at(open(&disk), FIRST, begins[bad]);
    }
}

#[test]
fn a_journal_that_ends_before_its_checkpoint_is_refused() {
    let disk = MemoryDisk::default();
    let journal = three_groups(&disk);
    let (whole, bounds) = (disk.bytes(FIRST), bounds(&disk));
    for left in 0..whole.len() {
        disk.put(FIRST, whole[..left].to_vec());
        let file = if left < 100 { 0 } else { left as u64 };
        refused_at(open_with(&disk, 1_000_000, known(&journal)), FIRST, file);
        assert_eq!(disk.bytes(FIRST), whole[..left]);
    }
    disk.remove(FIRST).unwrap();
    refused_at(open_with(&disk, 1_000_000, known(&journal)), FIRST, 0);
    assert!(disk.names().unwrap().is_empty());
    assert_eq!(bounds.len(), 4);
}

#[test]
fn a_checkpoint_of_another_log_is_told_from_damage() {
    let (disk, other) = (MemoryDisk::default(), MemoryDisk::default());
    three_groups(&disk);
    let (mut journal, ..) = open(&other).unwrap();
    let (ann, bob) = (tenant(1), tenant(2));
    append(&mut journal, vec![entry(ann, 1, "eno"), entry(bob, 1, "uno")]).unwrap();
    append(&mut journal, vec![entry(ann, 2, "two"), entry(ann, 3, "three")]).unwrap();
    let opened = open_with(&disk, 1_000_000, known(&journal));
    assert!(matches!(opened.err().unwrap(), OpenError::CheckpointUnknown { group: 2 }));
    assert_eq!(open(&disk).unwrap().1.records, 5);
}

fn segments(disk: &MemoryDisk) -> FileJournal {
    let (mut journal, ..) = open_with(disk, 500, None).unwrap();
    for number in 1..=6 {
        append(&mut journal, vec![entry(tenant(1), number, "x")]).unwrap();
    }
    let names = disk.names().unwrap();
    assert_eq!(names, [FIRST, SECOND, THIRD]);
    journal
}

const SECOND: &str = "0000000000000003.journal";
const THIRD: &str = "0000000000000005.journal";

#[test]
fn a_segment_that_is_gone_swapped_or_cut_is_refused() {
    let whole = MemoryDisk::default();
    let journal = segments(&whole);
    for (gone, next) in [(FIRST, SECOND), (SECOND, THIRD)] {
        let disk = whole.copy();
        disk.remove(gone).unwrap();
        refused_at(open(&disk), next, 0);
    }
    let disk = whole.copy();
    disk.put(FIRST, whole.bytes(SECOND));
    disk.put(SECOND, whole.bytes(FIRST));
    refused_at(open(&disk), FIRST, 0);
    let disk = whole.copy();
    disk.put("0000000000000007.journal", whole.bytes(THIRD));
    refused_at(open(&disk), "0000000000000007.journal", 0);
    let length = whole.bytes(SECOND).len();
    for left in 100..length {
        let disk = whole.copy();
        disk.change(SECOND, |bytes| bytes.truncate(left));
        let (name, offset) = match left {
            // Between two groups nothing is broken, but the next segment does not continue it.
            100 => (THIRD, 0),
            297 => (THIRD, 0),
            left if left < 297 => (SECOND, 100),
            _ => (SECOND, 297),
        };
        refused_at(open(&disk), name, offset);
        refused_at(verify(&disk, journal.position(), &mut |_| Ok(())), name, offset);
    }
    let disk = whole.copy();
    disk.remove(THIRD).unwrap();
    refused_at(open_with(&disk, 500, known(&journal)), THIRD, 0);
}

#[test]
fn what_a_crash_leaves_of_a_new_segment_is_removed() {
    let whole = MemoryDisk::default();
    let journal = segments(&whole);
    let header = whole.bytes(THIRD)[..100].to_vec();
    for left in 0..100 {
        let disk = whole.copy();
        disk.put(THIRD, header[..left].to_vec());
        let (mut again, opened, _) = open_with(&disk, 500, None).unwrap();
        assert_eq!((opened.bytes_cut, opened.groups), (left as u64, 4));
        assert_eq!(disk.names().unwrap(), [FIRST, SECOND]);
        append(&mut again, vec![entry(tenant(1), 5, "x")]).unwrap();
        append(&mut again, vec![entry(tenant(1), 6, "x")]).unwrap();
        assert_eq!(again.position(), journal.position());
    }
    // The first of all, and one that has not got its name yet.
    let disk = MemoryDisk::default();
    disk.put(FIRST, header[..50].to_vec());
    disk.put("0000000000000001.journal.temp", header);
    let (_, opened, _) = open(&disk).unwrap();
    assert_eq!((opened.bytes_cut, opened.groups), (50, 0));
    assert_eq!(disk.names().unwrap(), [FIRST]);
    // Alone it tells that others were before it.
    let disk = MemoryDisk::default();
    disk.put(THIRD, vec![0; 50]);
    refused_at(open(&disk), THIRD, 0);
    assert_eq!(disk.names().unwrap(), [THIRD]);
    // A torn group cannot stand before a segment that was begun.
    let disk = whole.copy();
    disk.change(THIRD, |bytes| bytes.truncate(50));
    disk.change(SECOND, |bytes| bytes.truncate(400));
    refused_at(open(&disk), SECOND, 297);
    refused_at(open(&disk), SECOND, 297);
}

#[test]
fn a_record_is_read_only_where_one_lies_undamaged() {
    let disk = MemoryDisk::default();
    let mut journal = three_groups(&disk);
    let stored = append(&mut journal, vec![entry(tenant(1), 4, "four")]).unwrap();
    let (reader, place) = (journal.reader(), stored[0].place);
    for byte in place.offset as usize..disk.bytes(FIRST).len() {
        for bit in 0..8 {
            disk.change(FIRST, |bytes| bytes[byte] ^= 1 << bit);
            match reader.record(place) {
                Err(ReadError::Damaged { file, offset, .. }) => {
                    assert_eq!((file.as_str(), offset), (FIRST, place.offset));
                }
                Err(ReadError::Disk { source, .. }) => panic!("{source}"),
                Ok(record) => panic!("read {record:?}"),
            }
            disk.change(FIRST, |bytes| bytes[byte] ^= 1 << bit);
        }
    }
    assert_eq!(reader.record(place).unwrap().payload, b"four");
    let nowhere = Place { segment: 77, ..place };
    assert!(matches!(reader.record(nowhere).unwrap_err(), ReadError::Disk { .. }));
    let behind = Place { offset: 1_000_000, ..place };
    assert!(matches!(reader.record(behind).unwrap_err(), ReadError::Damaged { .. }));
}
