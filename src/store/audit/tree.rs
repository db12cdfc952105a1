//! A Merkle tree over a tenant's records, by RFC 9162 (section 2.1): its root stands for all of them, and a path of
//! log₂ n hashes shows that one of them is among them.
//! Never reads a journal.

use crate::{
    domain::id::TenantId,
    store::journal::{Base, Hash, Head},
};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The leaf of a record.
fn leaf(record: Hash) -> Hash {
    hash(&[&[0], &record.bytes()])
}

/// The node above two.
fn node(left: Hash, right: Hash) -> Hash {
    hash(&[&[1], &left.bytes(), &right.bytes()])
}

fn hash(parts: &[&[u8]]) -> Hash {
    let mut digest = Sha256::new();
    parts.iter().for_each(|part| digest.update(part));
    Hash::from_bytes(digest.finalize().into())
}

/// A tree to which leaves are only ever added; it keeps one node of each height.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Tree {
    size: u64,
    /// The roots of the perfect trees that it consists of, the largest first, each with its size.
    perfect: Vec<(u64, Hash)>,
}

impl Tree {
    /// The tree of this size, from the roots of its perfect trees, the largest first: one for each bit of the size.
    pub(super) fn of(size: u64, peaks: &[Hash]) -> Self {
        let sizes = (0..u64::BITS).rev().map(|bit| 1_u64 << bit).filter(|perfect| size & perfect != 0);
        Self { size, perfect: sizes.zip(peaks.iter().copied()).collect() }
    }

    /// The trees of all tenants whose beginning was cut.
    pub(in crate::store) fn of_base(base: &Base) -> BTreeMap<TenantId, Self> {
        let tree = |(tenant, head): (&TenantId, &Head)| {
            (*tenant, Self::of(head.number, base.peaks.get(tenant).map(Vec::as_slice).unwrap_or_default()))
        };
        base.heads.iter().map(tree).collect()
    }

    /// The roots of the perfect trees, the largest first.
    pub(in crate::store) fn peaks(&self) -> Vec<Hash> {
        self.perfect.iter().map(|(_, root)| *root).collect()
    }

    /// How many leaves it has.
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Adds the leaf of a record.
    pub(in crate::store) fn push(&mut self, record: Hash) {
        let mut added = (1, leaf(record));
        while let Some((size, left)) = self.perfect.pop_if(|(size, _)| *size == added.0) {
            added = (size.saturating_mul(2), node(left, added.1));
        }
        self.perfect.push(added);
        self.size = self.size.saturating_add(1);
    }

    /// The root; of an empty tree the hash of nothing.
    pub(super) fn root(&self) -> Hash {
        let folded = self.perfect.iter().rev().map(|(_, root)| *root).reduce(|right, left| node(left, right));
        folded.unwrap_or_else(|| hash(&[]))
    }
}

/// The path from a leaf, counted from 0, to the root of the tree over what was cut and these records behind it, nearest
/// first; none when there is no such leaf, or it was cut.
pub(super) fn path(cut: &Tree, records: &[Hash], index: u64) -> Option<Vec<Hash>> {
    let mut level: Vec<Hash> = records.iter().map(|record| leaf(*record)).collect();
    let (mut begin, mut height, mut at) = (cut.size, 1_u64, index);
    let held = |level: &[Hash], begin: u64, at: u64| level.get(usize::try_from(at.checked_sub(begin)?).ok()?).copied();
    held(&level, begin, at)?;
    let mut path = vec![];
    while begin > 0 || level.len() > 1 {
        if begin % 2 == 1 {
            // What lies to the left of the first node is a perfect tree of its height.
            let (_, peak) = cut.perfect.iter().find(|(size, _)| *size == height)?;
            level.insert(0, *peak);
            begin -= 1;
        }
        // The last node of an odd level has no sibling, and goes up as it is.
        path.extend(held(&level, begin, at ^ 1));
        let pair = |pair: &[Hash]| match pair {
            [left, right] => Some(node(*left, *right)),
            [single] => Some(*single),
            _ => None,
        };
        level = level.chunks(2).filter_map(pair).collect();
        (begin, height, at) = (begin / 2, height.saturating_mul(2), at / 2);
    }
    Some(path)
}

/// The root that a leaf, counted from 0, and its path lead to in a tree of this size; none when the path does not fit.
pub(super) fn root(record: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut at, mut last, mut reached) = (index, size - 1, leaf(record));
    for sibling in path {
        if last == 0 {
            return None;
        }
        if at % 2 == 1 || at == last {
            reached = node(*sibling, reached);
            while at % 2 == 0 && at != 0 {
                (at, last) = (at / 2, last / 2);
            }
        } else {
            reached = node(reached, *sibling);
        }
        (at, last) = (at / 2, last / 2);
    }
    (last == 0).then_some(reached)
}
