//! Opens the journal: repairs what a crash may leave, refuses what a crash cannot explain, and
//! replays the rest. A group is written only after the one before it was synced, so that only
//! the last one may be torn; damage anywhere else was acknowledged and stops the server.
//! Never cuts anything that a whole group follows, or that a checkpoint covers.

use super::cursor::Cursor;
use super::format::{SEGMENT_HEADER_BYTES, SegmentHeader, Unread, find_group};
use super::segment::{self, NotBegun};
use super::walk::{OpenError, Replayed, Unreplayed, Walk, damaged, replay_base, unread};
use super::{Checkpoint, FileJournal, Hash, Head, JournalReader, Place, base};
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;
use crate::limits::JOURNAL_SEGMENT_BYTES_MAX;
use crate::store::disk::Disk;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How a journal is kept.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The size at which another segment is begun, in bytes.
    pub segment_bytes_max: u64,
    /// The log epoch of a journal that does not exist yet: random bytes.
    pub new_epoch: [u8; 16],
}

impl Settings {
    /// The server's settings.
    pub const fn new(new_epoch: [u8; 16]) -> Self {
        Self { segment_bytes_max: JOURNAL_SEGMENT_BYTES_MAX, new_epoch }
    }
}

/// What the index remembers of the journal.
#[derive(Clone, Debug)]
pub struct Known {
    /// The last group that the index holds.
    pub checkpoint: Checkpoint,
    /// The head of every tenant at that group.
    pub heads: BTreeMap<TenantId, Head>,
}

/// What opening found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// How many bytes of an unfinished last group or segment were removed.
    pub bytes_cut: u64,
    /// How many groups were read and verified.
    pub groups: u64,
    /// How many records were replayed.
    pub records: u64,
}

impl FileJournal {
    /// Opens the journal in a directory, beginning it where there is none, and replays what comes
    /// after the checkpoint, or everything without one. The replay may see records before an
    /// error is found behind them: after an error, drop what was replayed.
    ///
    /// # Errors
    /// [`OpenError`]. After `CheckpointUnknown` open again without checkpoint.
    pub fn open(
        disk: Arc<dyn Disk>,
        settings: Settings,
        from: Option<Known>,
        replay: &mut dyn FnMut(Replayed) -> Result<(), Unreplayed>,
    ) -> Result<(Self, Opened), OpenError> {
        segment::remove_unfinished(disk.as_ref())?;
        disk.sync_directory()?;
        let found = base::find(disk.as_ref())?;
        let (base, begins_behind) = match &found {
            Some(found) => (Some(found.base.checkpoint), found.base.heads.clone()),
            None => (None, BTreeMap::new()),
        };
        let from = known_behind(base, from)?;
        let cut = base.map_or(0, |base| base.group);
        let mut segments = segment::list_behind(disk.as_ref(), cut)?;
        let unfinished = torn_segment(disk.as_ref(), &mut segments, from.as_ref())?;
        if segments.is_empty() {
            if let Some(Known { checkpoint, .. }) = from {
                return Err(damaged(checkpoint.end.segment, 0, missing(checkpoint)));
            }
            let first_group = cut.saturating_add(1);
            if let Some((first, _)) = unfinished.filter(|(first, _)| *first > first_group) {
                return Err(damaged(first, 0, "the segments before this one are gone"));
            }
            let epoch = found.as_ref().map_or(settings.new_epoch, |found| found.base.epoch);
            let previous = base.map_or(Hash::ZERO, |base| base.hash);
            begin_first(disk.as_ref(), &SegmentHeader { epoch, first_group, previous })?;
            segments.push(first_group);
        }
        let (mut walk, checkpoint) = match (from, &found) {
            (Some(known), _) => (Walk::new(known.heads, Some(known.checkpoint), replay), Some(known.checkpoint)),
            (None, Some(found)) => {
                let known = replay_base(found, replay)?;
                (Walk::new(known.heads, Some(known.checkpoint), replay), None)
            }
            (None, None) => (Walk::new(BTreeMap::new(), None, replay), None),
        };
        // Behind the base the first segment is entered from its beginning.
        let checkpoint = checkpoint.filter(|known| known.group > cut);
        walk.at = found.as_ref().map_or(walk.at, |found| found.base.at);
        let mut end = follow(disk.as_ref(), &segments, checkpoint, &mut walk)?;
        let mut bytes_cut = cut_torn_group(&mut end, &walk, unfinished.is_some())?;
        if let Some((first, length)) = unfinished {
            // The first of all was replaced already.
            if first != end.tail.segment {
                disk.remove(&segment::name(first))?;
                disk.sync_directory()?;
            }
            bytes_cut = bytes_cut.saturating_add(length);
        }
        if walk.groups > 0 && walk.last.end == end.tail {
            write_again(&mut end.cursor, &walk.last)?;
        }
        let opened = Opened { bytes_cut, groups: walk.groups, records: walk.records };
        let journal = Self {
            reader: JournalReader::new(Arc::clone(&disk)),
            disk,
            segment_bytes_max: settings.segment_bytes_max,
            epoch: end.epoch,
            file: Arc::clone(end.cursor.file()),
            tail: end.tail,
            last: walk.last,
            at: walk.at,
            heads: walk.heads,
            begins_behind,
            stopped: false,
        };
        Ok((journal, opened))
    }
}

/// What the index knows, if the journal still holds what comes behind it: behind the base it does.
fn known_behind(base: Option<Checkpoint>, from: Option<Known>) -> Result<Option<Known>, OpenError> {
    let Some(known) = from else { return Ok(None) };
    let Some(base) = base else { return Ok(Some(known).filter(|known| known.checkpoint.group > 0)) };
    let group = known.checkpoint.group;
    if group > base.group {
        return Ok(Some(known));
    }
    if (group, known.checkpoint.hash) == (base.group, base.hash) {
        // Where that group lay is gone; what follows it begins the first segment.
        return Ok(Some(Known { checkpoint: base, ..known }));
    }
    Err(OpenError::CheckpointUnknown { group })
}

/// The last segment, and how far it is sound.
struct End {
    cursor: Cursor,
    epoch: [u8; 16],
    tail: Place,
}

/// Follows all segments from the checkpoint on. All but the last must be sound to their ends.
fn follow(
    disk: &dyn Disk,
    segments: &[u64],
    checkpoint: Option<Checkpoint>,
    walk: &mut Walk<'_>,
) -> Result<End, OpenError> {
    let mut end: Option<End> = None;
    for first in segments.iter().copied() {
        let (cursor, header, begin) = match checkpoint {
            Some(known) if first < known.end.segment => continue,
            Some(known) if first == known.end.segment => {
                let (cursor, header, at) = resume(disk, known)?;
                walk.at = walk.at.max(at);
                (cursor, header, known.end.offset)
            }
            Some(known) if end.is_none() => return Err(elsewhere(known, segments)),
            Some(_) | None => {
                let (cursor, header) = walk.enter(disk, first)?;
                (cursor, header, SEGMENT_HEADER_BYTES as u64)
            }
        };
        let mut this = End { cursor, epoch: header.epoch, tail: Place { segment: first, offset: begin } };
        this.tail.offset = walk.groups(&mut this.cursor, first, begin, u64::MAX)?;
        if this.tail.offset < this.cursor.length() && segments.last() != Some(&first) {
            return Err(followed(&this, walk));
        }
        end = Some(this);
    }
    end.ok_or_else(|| {
        checkpoint.map_or_else(|| damaged(1, 0, "the journal has no segments"), |known| elsewhere(known, segments))
    })
}

/// A crash while a segment was begun may leave one without a sound header and with nothing behind
/// it. Takes it off the list; answers its number and length in bytes.
fn torn_segment(
    disk: &dyn Disk,
    segments: &mut Vec<u64>,
    from: Option<&Known>,
) -> Result<Option<(u64, u64)>, OpenError> {
    let Some(first) = segments.last().copied() else {
        return Ok(None);
    };
    let file = disk.open(&segment::name(first))?;
    let length = file.length()?;
    if length > SEGMENT_HEADER_BYTES as u64 {
        return Ok(None);
    }
    let what = match segment::header(file.as_ref(), first)? {
        Ok(_) => return Ok(None),
        Err(Unread::Damaged(what)) => what,
        Err(newer @ Unread::Newer { .. }) => return Err(unread(first, newer)),
    };
    if from.is_some_and(|known| known.checkpoint.group >= first) {
        return Err(damaged(first, 0, what));
    }
    segments.pop();
    Ok(Some((first, length)))
}

fn begin_first(disk: &dyn Disk, header: &SegmentHeader) -> Result<(), OpenError> {
    match segment::begin(disk, header) {
        Ok(_) => Ok(()),
        Err(NotBegun::Refused(error) | NotBegun::Unknown(error)) => Err(OpenError::Disk(error)),
    }
}

/// Opens the checkpoint's segment and checks that its group is there; answers also that group's time.
fn resume(disk: &dyn Disk, known: Checkpoint) -> Result<(Cursor, SegmentHeader, Timestamp), OpenError> {
    let Place { segment: first, offset: end } = known.end;
    let mut cursor = Cursor::new(disk.open(&segment::name(first))?)?;
    let header = segment::header(cursor.file().as_ref(), first)?.map_err(|why| unread(first, why))?;
    if cursor.length() < end {
        return Err(damaged(first, cursor.length(), missing(known)));
    }
    let Some((group, _)) = cursor.group(known.begin)? else {
        let what = format!("group {}, which was acknowledged, is damaged", known.group);
        return Err(damaged(first, known.begin, what));
    };
    let (found, at) = ((group.number, group.hash, known.begin.saturating_add(group.length())), group.at);
    if found != (known.group, known.hash, end) {
        return Err(OpenError::CheckpointUnknown { group: known.group });
    }
    Ok((cursor, header, at))
}

/// The checkpoint's segment is not there: either the log is another one, which reaches that far
/// in other segments, or its end was removed.
fn elsewhere(known: Checkpoint, segments: &[u64]) -> OpenError {
    if segments.last().is_some_and(|first| *first > known.group) {
        OpenError::CheckpointUnknown { group: known.group }
    } else {
        damaged(known.end.segment, 0, missing(known))
    }
}

fn missing(known: Checkpoint) -> String {
    format!("the journal ends before group {}, which was acknowledged", known.group)
}

/// Cuts what is no whole group off the last segment, unless it cannot have been torn: a whole
/// group follows it, or a segment was begun after it. Answers how many bytes were cut.
fn cut_torn_group(end: &mut End, walk: &Walk<'_>, another: bool) -> Result<u64, OpenError> {
    let Place { segment, offset } = end.tail;
    let length = end.cursor.length().saturating_sub(offset);
    if length == 0 {
        return Ok(0);
    }
    if another {
        return Err(followed(end, walk));
    }
    if let Some((skipped, later)) = find_group(end.cursor.bytes(offset, length)?) {
        let group = walk.last.group.saturating_add(1);
        let later = later.number;
        let at = offset.saturating_add(skipped as u64);
        let what = format!("group {group} is damaged, and group {later} follows at offset {at}");
        return Err(damaged(segment, offset, what));
    }
    end.cursor.file().truncate(offset)?;
    end.cursor.file().sync_data()?;
    Ok(length)
}

fn followed(end: &End, walk: &Walk<'_>) -> OpenError {
    let group = walk.last.group.saturating_add(1);
    let what = format!("group {group} is damaged, and another segment follows");
    damaged(end.tail.segment, end.tail.offset, what)
}

/// Nobody knows whether the last group reached the disk: the process may have died before its
/// sync, or after a sync that failed and left the pages clean in memory. Written again, its pages
/// are dirty, so that this sync means something.
fn write_again(cursor: &mut Cursor, last: &Checkpoint) -> Result<(), OpenError> {
    let bytes = cursor.bytes(last.begin, last.bytes())?.to_vec();
    cursor.file().write_at(&bytes, last.begin)?;
    cursor.file().sync_data()?;
    Ok(())
}
