//! Segments as files: their names, how one is begun, and what its header says.
//! Never looks at groups.

use super::format::{SEGMENT_HEADER_BYTES, SegmentHeader, Unread};
use super::{OpenError, base};
use crate::store::disk::{Disk, DiskFile, read_up_to};
use std::io;
use std::sync::Arc;

const SUFFIX: &str = ".journal";
const UNFINISHED: &str = ".temp";

/// The name of the segment whose first group has this number.
pub(super) fn name(first_group: u64) -> String {
    format!("{first_group:016}{SUFFIX}")
}

/// The number of the first group of the segment with this name; none for other files.
pub(super) fn first_group(file: &str) -> Option<u64> {
    let number = file.strip_suffix(SUFFIX)?.parse().ok()?;
    // Only the one spelling counts: a copy named `1.journal` is none of ours.
    (name(number) == file).then_some(number)
}

/// Removes what a crash left of a segment that was being begun, or of a base that was being written.
pub(super) fn remove_unfinished(disk: &dyn Disk) -> io::Result<()> {
    for file in disk.names()? {
        if file.strip_suffix(UNFINISHED).and_then(first_group).is_some() {
            disk.remove(&file)?;
        }
    }
    base::remove_unfinished(disk)
}

/// The first group numbers of all segments, ascending.
pub(super) fn list(disk: &dyn Disk) -> io::Result<Vec<u64>> {
    let mut segments: Vec<u64> = disk.names()?.iter().filter_map(|file| first_group(file)).collect();
    segments.sort_unstable();
    Ok(segments)
}

/// The names of the segments that lie before the base, oldest first: what a cut has still to remove.
///
/// # Errors
/// As `base`.
pub fn cut(disk: &dyn Disk) -> Result<Vec<String>, OpenError> {
    let Some(found) = base::find(disk)? else { return Ok(vec![]) };
    let group = found.base.checkpoint.group;
    Ok(list(disk)?.into_iter().filter(|first| *first <= group).map(name).collect())
}

/// Those behind a group, up to which the history was cut: a crash may leave some of the others.
pub(super) fn list_behind(disk: &dyn Disk, group: u64) -> io::Result<Vec<u64>> {
    let mut segments = list(disk)?;
    segments.retain(|first| *first > group);
    Ok(segments)
}

/// How a segment failed to be begun.
pub(super) enum NotBegun {
    /// It does not exist, and the disk may be used further.
    Refused(io::Error),
    /// A sync failed or the remains could not be removed.
    Unknown(io::Error),
}

/// Begins a segment: it appears under its name only when its header is durable.
pub(super) fn begin(disk: &dyn Disk, header: &SegmentHeader) -> Result<Arc<dyn DiskFile>, NotBegun> {
    let finished = name(header.first_group);
    let unfinished = format!("{finished}{UNFINISHED}");
    let withdraw = |error| match disk.remove(&unfinished) {
        Ok(()) => NotBegun::Refused(error),
        Err(_) => NotBegun::Unknown(error),
    };
    let file = disk.create(&unfinished).map_err(NotBegun::Refused)?;
    file.write_at(&header.encode(), 0).map_err(withdraw)?;
    file.sync_data().map_err(NotBegun::Unknown)?;
    disk.rename(&unfinished, &finished).map_err(withdraw)?;
    disk.sync_directory().map_err(NotBegun::Unknown)?;
    Ok(file)
}

/// Reads a segment's header; the inner error says what is wrong with it.
pub(super) fn header(file: &dyn DiskFile, first_group: u64) -> io::Result<Result<SegmentHeader, Unread>> {
    let mut bytes = [0; SEGMENT_HEADER_BYTES];
    let read = read_up_to(file, &mut bytes, 0)?;
    let header = SegmentHeader::decode(bytes.get(..read).unwrap_or_default());
    Ok(header.and_then(|header| {
        let foreign = Unread::Damaged("the segment bears the name of another one");
        if header.first_group == first_group { Ok(header) } else { Err(foreign) }
    }))
}
