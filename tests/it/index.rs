//! The index: what a batch wrote is read back, and a checkpoint counts only when nothing of what
//! stands before it can be missing.

use crate::journal::tenant;
use crate::simulation::random::Random;
use countersign::domain::id::TenantId;
use countersign::store::index::{Batch, Index, IndexError, Numbers, Space};
use countersign::store::journal::{Checkpoint, Hash, Head, Place};
use std::collections::{BTreeMap, BTreeSet};
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

/// Places and mentions as they were written, for a comparison.
#[derive(Default)]
struct Model {
    places: BTreeMap<(TenantId, u64), Place>,
    mentions: BTreeSet<(TenantId, Uuid, u64)>,
}

impl Model {
    /// Commits that come in order; some are of entities as old as the first, most of new ones, and some come again.
    fn batch(&mut self, group: u64, random: &mut Random) -> Batch {
        let mut batch = batch(group);
        for step in 0..random.below(200) {
            let tenant = tenant(1 + u128::from(random.below(3)));
            let newest = self.places.range((tenant, 0)..=(tenant, u64::MAX)).next_back();
            let newest = newest.map_or(0, |((_, number), _)| *number);
            let number = if random.below(10) == 0 { newest.max(1) } else { newest + 1 };
            let place = Place { segment: group, offset: step };
            batch.positions.push((tenant, number, place));
            self.places.insert((tenant, number), place);
            for _ in 0..random.below(4) {
                let entity = if random.below(2) == 0 { group * 1_000 + random.below(50) } else { random.below(40) };
                batch.mentions.push((tenant, Uuid::from_u128(entity.into()), number));
                self.mentions.insert((tenant, Uuid::from_u128(entity.into()), number));
            }
        }
        batch
    }

    fn compare(&self, index: &Index, random: &mut Random) {
        for _ in 0..50 {
            let (tenant, from, limit) =
                (tenant(1 + u128::from(random.below(3))), random.below(900), random.below(150) as usize);
            let places = self.places.range((tenant, from + 1)..=(tenant, u64::MAX)).take(limit);
            let places: Vec<_> = places.map(|((_, number), place)| (*number, *place)).collect();
            assert_eq!(index.places(tenant, from, limit).unwrap(), places);
            assert_eq!(index.place(tenant, from).unwrap(), self.places.get(&(tenant, from)).copied());

            let entity = Uuid::from_u128(random.below(40).into());
            let of = |first, last| {
                self.mentions.range((tenant, entity, first)..=(tenant, entity, last)).map(|(_, _, number)| *number)
            };
            let after: Vec<_> = of(from + 1, u64::MAX).take(limit).collect();
            assert_eq!(index.mentions(tenant, entity, Numbers::After(from), limit).unwrap(), after);
            let before: Vec<_> = of(0, from).rev().take(limit).collect();
            assert_eq!(index.mentions(tenant, entity, Numbers::Before(from + 1), limit).unwrap(), before);
        }
    }
}

#[test]
fn places_and_mentions_are_those_of_a_plain_model_after_any_batches() {
    let directory = tempfile::tempdir().unwrap();
    let index = fresh(directory.path());
    let (mut model, mut random) = (Model::default(), Random::new(7));
    for group in 1..=40 {
        index.apply(model.batch(group, &mut random)).unwrap();
        model.compare(&index, &mut random);
    }
    assert!(model.mentions.len() > 4_000, "{}", model.mentions.len());
    drop(index);
    let tree = sled::open(directory.path().join("sled")).unwrap();
    let (entries, rows) = (model.places.len() + model.mentions.len(), tree.len());
    // Rows that are divided are half full at worst; a row for each entry is what this is there to save.
    assert!(rows < entries / 25, "{entries} entries lie in {rows} rows");
}

#[test]
fn a_reader_sees_no_gap_while_the_rows_that_it_reads_are_divided() {
    let directory = tempfile::tempdir().unwrap();
    let index = fresh(directory.path());
    let (ann, item) = (tenant(1), Uuid::from_u128(5));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for group in 1..=1_000 {
                let mut batch = batch(group);
                // So many that each batch fills the row that was last, and begins others behind it.
                for number in 100 * (group - 1) + 1..=100 * group {
                    batch.positions.push((ann, number, Place { segment: 1, offset: number }));
                    batch.mentions.push((ann, item, number));
                }
                index.apply(batch).unwrap();
            }
        });
        // Only the last row grows, so whoever reads on from there is hit most often.
        let mut seen = 0;
        while !writer.is_finished() {
            let places = index.places(ann, seen, usize::MAX).unwrap();
            let places = places.into_iter().map(|(number, _)| number).collect();
            let mentions = index.mentions(ann, item, Numbers::After(seen), usize::MAX).unwrap();
            let mut newest = index.mentions(ann, item, Numbers::Before(u64::MAX), 200).unwrap();
            newest.reverse();
            for numbers in [&places, &mentions, &newest] {
                assert!(numbers.is_sorted_by(|one, next| one + 1 == *next), "after {seen}: {numbers:?}");
            }
            seen = mentions.last().copied().unwrap_or(seen).saturating_sub(70);
        }
        writer.join().unwrap();
    });
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
