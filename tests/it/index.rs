//! The index: what a batch wrote is read back, and a checkpoint counts only when nothing of what
//! stands before it can be missing.

use crate::journal::tenant;
use countersign::store::index::{Batch, Index, IndexError, Numbers, Space};
use countersign::store::journal::{Checkpoint, Hash, Head, Place};
use std::path::Path;
use uuid::Uuid;

fn checkpoint(group: u64) -> Checkpoint {
    let end = Place { segment: 1, offset: group * 1_000 };
    let hash = Hash::from_bytes([group as u8; 32]);
    Checkpoint { group, hash, begin: end.offset - 7, end }
}

fn batch(group: u64) -> Batch {
    Batch::new(checkpoint(group))
}

fn fresh(directory: &Path) -> Index {
    let opened = Index::open(directory, "boot 1").unwrap();
    assert_eq!(opened.checkpoint, None);
    opened.index
}

/// Bytes that differ from chunk to chunk.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index / 251 + index) as u8).collect()
}

#[test]
fn values_of_every_size_are_read_back_and_leave_nothing_when_they_shrink() {
    let directory = tempfile::tempdir().unwrap();
    let index = fresh(directory.path());
    let (ann, bob) = (tenant(1), tenant(2));
    let sizes = [0, 1, 8_189, 8_190, 8_191, 8_192, 16_380, 16_381, 100_000, 9_000, 5, 20_000];
    for (group, size) in (1..).zip(sizes) {
        let mut batch = batch(group);
        let value = bytes(size);
        batch.values.push((ann, Space(7), b"item".to_vec(), Some(vec![9; 50_000])));
        batch.values.push((ann, Space(7), b"item".to_vec(), Some(value.clone())));
        batch.values.push((ann, Space(7), b"item\0\0".to_vec(), Some(b"neighbour".to_vec())));
        batch.values.push((bob, Space(7), b"item".to_vec(), Some(b"another's".to_vec())));
        index.apply(batch).unwrap();
        let loaded = index.load(ann).unwrap();
        assert!(
            loaded == [(Space(7), b"item".to_vec(), value), (Space(7), b"item\0\0".to_vec(), b"neighbour".to_vec())],
            "{size}"
        );
    }
    let mut removal = batch(99);
    removal.values.push((ann, Space(7), b"item".to_vec(), None));
    index.apply(removal).unwrap();
    let neighbour = (Space(7), b"item\0\0".to_vec(), b"neighbour".to_vec());
    assert_eq!(index.load(ann).unwrap(), [neighbour]);
    assert_eq!(index.load(bob).unwrap().len(), 1);
    assert!(index.load(tenant(3)).unwrap().is_empty());
}

#[test]
fn spaces_and_keys_keep_values_apart() {
    let directory = tempfile::tempdir().unwrap();
    let index = fresh(directory.path());
    let mut batch = batch(1);
    for space in [0, 1, 2, 254, 255] {
        for key in [vec![], vec![0], vec![0, 0], vec![255; 255]] {
            let value = [key.as_slice(), &[space]].concat();
            batch.values.push((tenant(1), Space(space), key, Some(value)));
        }
    }
    let mut written: Vec<_> =
        batch.values.iter().map(|(_, space, key, value)| (*space, key.clone(), value.clone().unwrap())).collect();
    index.apply(batch.clone()).unwrap();
    let mut loaded = index.load(tenant(1)).unwrap();
    written.sort();
    loaded.sort();
    assert_eq!(loaded, written);
    batch.values = vec![(tenant(1), Space(1), vec![0; 256], Some(vec![]))];
    assert!(matches!(index.apply(batch), Err(IndexError::TooLarge)));
}

#[test]
fn places_are_found_by_number_and_paged() {
    let directory = tempfile::tempdir().unwrap();
    let index = fresh(directory.path());
    let (ann, bob) = (tenant(1), tenant(2));
    let place = |number: u64| Place { segment: 1 + number / 100, offset: number * 300 };
    let mut batch = batch(1);
    batch.positions = (1..=600).map(|number| (ann, number, place(number))).collect();
    batch.positions.push((bob, 1, place(9)));
    batch.heads.push((ann, Head { number: 600, hash: Hash::from_bytes([6; 32]) }));
    batch.heads.push((bob, Head { number: 1, hash: Hash::from_bytes([1; 32]) }));
    index.apply(batch.clone()).unwrap();
    assert_eq!(index.place(ann, 256).unwrap(), Some(place(256)));
    assert_eq!(index.place(ann, 601).unwrap(), None);
    assert_eq!(index.place(tenant(3), 1).unwrap(), None);
    let page: Vec<_> = (255..=257).map(|number| (number, place(number))).collect();
    assert_eq!(index.places(ann, 254, 3).unwrap(), page);
    assert_eq!(index.places(ann, 598, 100).unwrap().len(), 2);
    assert_eq!(index.places(bob, 0, 100).unwrap(), [(1, place(9))]);
    assert!(index.places(ann, u64::MAX, 100).unwrap().is_empty());
    assert_eq!(index.heads().unwrap().into_iter().collect::<Vec<_>>(), batch.heads);
}

#[test]
fn mentions_are_paged_in_both_directions() {
    let directory = tempfile::tempdir().unwrap();
    let index = fresh(directory.path());
    let (ann, item, other) = (tenant(1), Uuid::from_u128(5), Uuid::from_u128(6));
    let mut batch = batch(1);
    batch.mentions = [1, 4, 255, 256, 70_000].map(|number| (ann, item, number)).to_vec();
    batch.mentions.extend([(ann, other, 2), (tenant(2), item, 3)]);
    index.apply(batch).unwrap();
    let of = |from, limit| index.mentions(ann, item, from, limit).unwrap();
    assert_eq!(of(Numbers::After(0), 10), [1, 4, 255, 256, 70_000]);
    assert_eq!(of(Numbers::After(4), 2), [255, 256]);
    assert!(of(Numbers::After(70_000), 2).is_empty());
    assert!(of(Numbers::After(u64::MAX), 2).is_empty());
    assert_eq!(of(Numbers::Before(u64::MAX), 3), [70_000, 256, 255]);
    assert_eq!(of(Numbers::Before(255), 10), [4, 1]);
    assert!(of(Numbers::Before(1), 10).is_empty());
    assert!(of(Numbers::Before(0), 10).is_empty());
    assert_eq!(index.mentions(ann, other, Numbers::Before(9), 10).unwrap(), [2]);
}

/// Writes one value at a checkpoint and leaves without a clean stop.
fn leave(directory: &Path, group: u64, boot: &str) {
    let index = Index::open(directory, boot).unwrap().index;
    let mut batch = batch(group);
    batch.values.push((tenant(1), Space(1), b"key".to_vec(), Some(bytes(10_000))));
    index.apply(batch).unwrap();
    index.flush().unwrap();
}

#[test]
fn a_checkpoint_counts_within_its_boot_only() {
    let directory = tempfile::tempdir().unwrap();
    leave(directory.path(), 3, "boot 1");
    let opened = Index::open(directory.path(), "boot 1").unwrap();
    assert_eq!(opened.checkpoint, Some(checkpoint(3)));
    assert_eq!(opened.index.load(tenant(1)).unwrap()[0].2, bytes(10_000));
    drop(opened);
    let opened = Index::open(directory.path(), "boot 2").unwrap();
    assert_eq!(opened.checkpoint, None);
    assert!(opened.index.load(tenant(1)).unwrap().is_empty());
}

#[test]
fn after_a_clean_stop_the_checkpoint_counts_once_in_another_boot() {
    let directory = tempfile::tempdir().unwrap();
    leave(directory.path(), 3, "boot 1");
    Index::open(directory.path(), "boot 1").unwrap().index.close().unwrap();
    let opened = Index::open(directory.path(), "boot 2").unwrap();
    assert_eq!(opened.checkpoint, Some(checkpoint(3)));
    assert_eq!(opened.index.load(tenant(1)).unwrap().len(), 1);
    opened.index.close().unwrap();
    assert_eq!(Index::open(directory.path(), "boot 3").unwrap().checkpoint, Some(checkpoint(3)));
    // Nothing was written in boot 3, and yet the stop was not clean.
    assert_eq!(Index::open(directory.path(), "boot 4").unwrap().checkpoint, None);
}

#[test]
fn a_mark_of_another_state_does_not_count() {
    let directory = tempfile::tempdir().unwrap();
    leave(directory.path(), 3, "boot 1");
    Index::open(directory.path(), "boot 1").unwrap().index.close().unwrap();
    let mark = std::fs::read(directory.path().join("clean")).unwrap();
    leave(directory.path(), 4, "boot 1");
    std::fs::write(directory.path().join("clean"), mark).unwrap();
    assert_eq!(Index::open(directory.path(), "boot 2").unwrap().checkpoint, None);
}

#[test]
fn an_index_that_does_not_open_is_begun_again() {
    type Damage = fn(&Path);
    let damages: [Damage; 3] = [
        |sled| std::fs::write(sled.join("db"), b"").unwrap(),
        |sled| {
            let mut bytes = std::fs::read(sled.join("db")).unwrap();
            let length = bytes.len().min(200_000);
            bytes[..length].fill(0xA5);
            std::fs::write(sled.join("db"), bytes).unwrap();
        },
        |sled| std::fs::remove_dir_all(sled).unwrap(),
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let directory = tempfile::tempdir().unwrap();
        leave(directory.path(), 3, "boot 1");
        std::thread::sleep(std::time::Duration::from_millis(20));
        damage(&directory.path().join("sled"));
        let opened = Index::open(directory.path(), "boot 1").unwrap();
        assert_eq!(opened.checkpoint, None, "damage {number}");
        assert!(opened.index.load(tenant(1)).unwrap().is_empty());
        drop(opened);
        leave(directory.path(), 4, "boot 1");
        let opened = Index::open(directory.path(), "boot 1").unwrap();
        assert_eq!(opened.checkpoint, Some(checkpoint(4)));
    }
}

#[test]
fn a_snapshot_that_a_kill_left_unfinished_does_not_keep_the_index_closed() {
    let directory = tempfile::tempdir().unwrap();
    leave(directory.path(), 3, "boot 1");
    let left = directory.path().join("sled/snap.00000000000000FF.generating");
    std::fs::write(left, b"half").unwrap();
    let opened = Index::open(directory.path(), "boot 1").unwrap();
    let loaded = opened.index.load(tenant(1)).unwrap();
    // Either sled opened it wholly, or it is empty and says so.
    assert_eq!(loaded.len(), usize::from(opened.checkpoint.is_some()));
}

#[test]
fn an_index_can_be_emptied() {
    let directory = tempfile::tempdir().unwrap();
    leave(directory.path(), 3, "boot 1");
    let index = Index::open_empty(directory.path(), "boot 1").unwrap();
    assert!(index.load(tenant(1)).unwrap().is_empty());
    drop(index);
    assert_eq!(Index::open(directory.path(), "boot 1").unwrap().checkpoint, None);
}
