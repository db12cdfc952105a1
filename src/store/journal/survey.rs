//! Reads a journal that somebody else may be writing, from its beginning to its last whole group.
//! Never waits for the writer, never takes the lock, and never changes a byte.

use super::format::{SEGMENT_HEADER_BYTES, find_group};
use super::walk::{OpenError, Replayed, Unreplayed, Walk, damaged};
use super::{Checkpoint, Head, Place, base, segment};
use crate::domain::id::TenantId;
use crate::store::disk::Disk;
use std::collections::BTreeMap;

/// How far a journal reaches that is sound so far.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The last whole group; group 0 before the first.
    pub last: Checkpoint,
    /// Where the newest segment ends that counts.
    pub end: Place,
    /// Which log it is: the epoch of its newest segment.
    pub epoch: [u8; 16],
    /// The newest record of every tenant.
    pub heads: BTreeMap<TenantId, Head>,
    /// How many records were read.
    pub records: u64,
}

/// Reads every group and checks every hash and both chains; all of it goes to `seen`. Where the last segment ends
/// in something that is no whole group, the writer is about to finish it, or a crash left it: it does not count.
///
/// # Errors
/// [`OpenError::Damaged`] names file and offset of the first thing that is wrong.
pub fn survey(disk: &dyn Disk, seen: &mut dyn FnMut(Replayed) -> Result<(), Unreplayed>) -> Result<Survey, OpenError> {
    let (walk, cut) = Walk::begin(disk, seen)?;
    follow(disk, &segment::list_behind(disk, cut)?, walk)
}

/// Reads the newest segment only, and takes its word for what lies before it.
///
/// # Errors
/// As [`survey`].
pub fn survey_newest(
    disk: &dyn Disk,
    seen: &mut dyn FnMut(Replayed) -> Result<(), Unreplayed>,
) -> Result<Survey, OpenError> {
    match segment::list(disk)?.last() {
        Some(newest) => follow(disk, &[*newest], Walk::amid(disk, *newest, seen)?),
        None => Err(damaged(1, 0, "the journal has no segments")),
    }
}

fn follow(disk: &dyn Disk, segments: &[u64], mut walk: Walk<'_>) -> Result<Survey, OpenError> {
    let mut newest = None;
    for first in segments.iter().copied() {
        let (mut cursor, header) = walk.enter(disk, first)?;
        let end = walk.groups(&mut cursor, first, SEGMENT_HEADER_BYTES as u64, u64::MAX)?;
        newest = Some((header.epoch, Place { segment: first, offset: end }));
        let rest = cursor.length().saturating_sub(end);
        let next = walk.last.group.saturating_add(1);
        if rest > 0 && segments.last() != Some(&first) {
            return Err(damaged(first, end, format!("group {next} is damaged, and another segment follows")));
        }
        if rest > 0
            && let Some((skipped, later)) = find_group(cursor.bytes(end, rest)?)
        {
            let (at, later) = (end.saturating_add(skipped as u64), later.number);
            let what = format!("group {next} is damaged, and group {later} follows at offset {at}");
            return Err(damaged(first, end, what));
        }
    }
    let (epoch, end) = newest.ok_or_else(|| damaged(1, 0, "the journal has no segments"))?;
    Ok(Survey { last: walk.last, end, epoch, heads: walk.heads, records: walk.records })
}

/// The names of all segments with the number of their first group, in their order; before them the base, if there is
/// one, under number 0.
///
/// # Errors
/// What the disk answers.
pub fn segments(disk: &dyn Disk) -> std::io::Result<Vec<(u64, String)>> {
    let base = disk.names()?.into_iter().filter(|name| name == base::FILE).map(|name| (0, name));
    Ok(base.chain(segment::list(disk)?.into_iter().map(|first| (first, segment::name(first)))).collect())
}
