//! Follows both chains through the segments, record by record: at the start, and to verify.
//! Never changes a byte: what a bad group means is decided by who walks.

use super::cursor::Cursor;
use super::format::{GROUP_HEADER_BYTES, GroupHeader, SEGMENT_HEADER_BYTES, SegmentHeader, Unread, decode_record};
use super::{Base, Checkpoint, Hash, Head, Kept, Known, Place, Record, base, segment};
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;
use crate::store::disk::Disk;
use std::collections::BTreeMap;
use std::error::Error;
use std::io;

/// What was read and verified, in the order in which it was written.
#[derive(Debug)]
pub enum Replayed {
    /// A record as the base holds it, where older history was cut.
    Kept(Kept),
    /// The end of the base: where the chains stood.
    Base(Base),
    /// A record.
    Record {
        /// Where it lies.
        place: Place,
        /// The record.
        record: Record,
    },
    /// The end of the group of the records before it; also of groups without records.
    Group(Checkpoint),
}

/// Why the caller could not take a record.
pub type Unreplayed = Box<dyn Error + Send + Sync>;

/// Why a journal was not opened, or not found sound.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Something that was acknowledged is damaged or gone. Nothing was changed.
    #[error("the journal is damaged: {file} at offset {offset}: {what}")]
    Damaged {
        /// The segment's file name.
        file: String,
        /// Where the damaged part begins, in bytes.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A later version wrote it. Nothing was changed.
    #[error(
        "the journal's file {file} has format {found}, and this version knows up to {known}; use the version that wrote it, or a later one"
    )]
    Newer {
        /// The file's name.
        file: String,
        /// Its format.
        found: u32,
        /// The newest format that is known.
        known: u32,
    },
    /// The checkpoint belongs to another log: open again without it.
    #[error("the journal does not know group {group} as the index does")]
    CheckpointUnknown {
        /// The checkpoint's group.
        group: u64,
    },
    /// The caller could not take a record.
    #[error("the journal could not be replayed: {0}")]
    Replay(#[source] Unreplayed),
    /// The disk refused.
    #[error("the journal's disk failed: {0}")]
    Disk(#[from] io::Error),
}

/// How many bytes all segments hold, for showing progress.
///
/// # Errors
/// What the disk answers.
pub fn length(disk: &dyn Disk) -> io::Result<u64> {
    let segments = segment::list(disk)?;
    segments
        .into_iter()
        .try_fold(0_u64, |sum, first| Ok(sum.saturating_add(disk.open(&segment::name(first))?.length()?)))
}

/// How many bytes lie before a place, for showing progress.
///
/// # Errors
/// What the disk answers.
pub fn length_before(disk: &dyn Disk, place: Place) -> io::Result<u64> {
    let earlier = segment::list(disk)?.into_iter().filter(|first| *first < place.segment);
    earlier
        .into_iter()
        .try_fold(place.offset, |sum, first| Ok(sum.saturating_add(disk.open(&segment::name(first))?.length()?)))
}

/// Reads everything up to a group that is known to be durable, and checks every hash and both
/// chains; safe while the writer appends. Everything read goes to `seen`.
///
/// # Errors
/// [`OpenError::Damaged`] names file and offset of the first thing that is wrong.
pub fn verify(
    disk: &dyn Disk,
    until: Checkpoint,
    seen: &mut dyn FnMut(Replayed) -> Result<(), Unreplayed>,
) -> Result<(), OpenError> {
    let (mut walk, cut) = Walk::begin(disk, seen)?;
    let mut end = walk.last.end;
    for first in segment::list_behind(disk, cut)? {
        if walk.last.group >= until.group {
            break;
        }
        let (mut cursor, _) = walk.enter(disk, first)?;
        let stopped = walk.groups(&mut cursor, first, SEGMENT_HEADER_BYTES as u64, until.group)?;
        end = Place { segment: first, offset: stopped };
        if walk.last.group < until.group && stopped < cursor.length() {
            let next = walk.last.group.saturating_add(1);
            return Err(damaged(first, stopped, format!("group {next} is damaged")));
        }
    }
    if (walk.last.group, walk.last.hash) == (until.group, until.hash) {
        return Ok(());
    }
    let (found, group, hash) = (walk.last.group, until.group, until.hash);
    let what = format!("group {found} is the last, or differs; group {group} with hash {hash} was acknowledged");
    Err(damaged(end.segment, end.offset, what))
}

pub(super) fn damaged(segment: u64, offset: u64, what: impl Into<String>) -> OpenError {
    OpenError::Damaged { file: segment::name(segment), offset, what: what.into() }
}

/// What a segment's header means that cannot be used.
pub(super) fn unread(segment: u64, why: Unread) -> OpenError {
    match why {
        Unread::Damaged(what) => damaged(segment, 0, what),
        Unread::Newer { found, known } => OpenError::Newer { file: segment::name(segment), found, known },
    }
}

/// Hands out what a base holds, and answers where the chains stood.
pub(super) fn replay_base(
    found: &base::Found,
    seen: &mut dyn FnMut(Replayed) -> Result<(), Unreplayed>,
) -> Result<Known, OpenError> {
    found.values(&mut |kept| seen(Replayed::Kept(kept)))?;
    seen(Replayed::Base(found.base.clone())).map_err(OpenError::Replay)?;
    Ok(Known { checkpoint: found.base.checkpoint, heads: found.base.heads.clone() })
}

/// Both chains, as far as they have been followed.
pub(super) struct Walk<'r> {
    pub(super) last: Checkpoint,
    pub(super) heads: BTreeMap<TenantId, Head>,
    /// The latest time of a group that has been followed.
    pub(super) at: Timestamp,
    pub(super) groups: u64,
    pub(super) records: u64,
    /// Whether the first record of a tenant is taken as the head that it follows: what lies before is not read.
    adopts: bool,
    seen: &'r mut dyn FnMut(Replayed) -> Result<(), Unreplayed>,
}

impl<'r> Walk<'r> {
    /// Begins after this checkpoint, at which these were the heads; without one at the beginning.
    pub(super) fn new(
        heads: BTreeMap<TenantId, Head>,
        from: Option<Checkpoint>,
        seen: &'r mut dyn FnMut(Replayed) -> Result<(), Unreplayed>,
    ) -> Self {
        let last = from.unwrap_or(Checkpoint::behind(0, Hash::ZERO));
        Self { last, heads, at: Timestamp::from_milliseconds(0), groups: 0, records: 0, adopts: false, seen }
    }

    /// Begins in the middle, before this segment, and takes its word for everything before.
    pub(super) fn amid(
        disk: &dyn Disk,
        first: u64,
        seen: &'r mut dyn FnMut(Replayed) -> Result<(), Unreplayed>,
    ) -> Result<Self, OpenError> {
        let file = disk.open(&segment::name(first))?;
        let header = segment::header(file.as_ref(), first)?.map_err(|why| unread(first, why))?;
        let mut walk = Self::new(BTreeMap::new(), None, seen);
        (walk.last.group, walk.last.hash, walk.adopts) = (first.saturating_sub(1), header.previous, first > 1);
        Ok(walk)
    }

    /// Begins where the journal does: behind the base, which is handed out, or at the first group. Answers also the
    /// last group that was cut.
    pub(super) fn begin(
        disk: &dyn Disk,
        seen: &'r mut dyn FnMut(Replayed) -> Result<(), Unreplayed>,
    ) -> Result<(Self, u64), OpenError> {
        let Some(found) = base::find(disk)? else { return Ok((Self::new(BTreeMap::new(), None, seen), 0)) };
        let known = replay_base(&found, seen)?;
        Ok((Self::new(known.heads, Some(known.checkpoint), seen), known.checkpoint.group))
    }

    /// Opens a segment from its beginning: it must continue what has been followed.
    pub(super) fn enter(&self, disk: &dyn Disk, first: u64) -> Result<(Cursor, SegmentHeader), OpenError> {
        let cursor = Cursor::new(disk.open(&segment::name(first))?)?;
        let header = segment::header(cursor.file().as_ref(), first)?.map_err(|why| unread(first, why))?;
        let next = self.last.group.saturating_add(1);
        if first != next {
            let what = format!("the segment begins with group {first}, where {next} belongs");
            return Err(damaged(first, 0, what));
        }
        if header.previous != self.last.hash {
            let what = "the segment does not continue the one before it";
            return Err(damaged(first, 0, what));
        }
        Ok((cursor, header))
    }

    /// Follows the groups of a segment from this offset, at most up to group `until`. Answers
    /// where it stopped: there the segment ends, or something lies that is no whole group.
    pub(super) fn groups(
        &mut self,
        cursor: &mut Cursor,
        segment: u64,
        begin: u64,
        until: u64,
    ) -> Result<u64, OpenError> {
        let mut offset = begin;
        while offset < cursor.length() && self.last.group < until {
            let Some((header, body)) = cursor.group(offset)? else {
                break;
            };
            self.group(Place { segment, offset }, &header, body)?;
            offset = self.last.end.offset;
        }
        Ok(offset)
    }

    fn group(&mut self, place: Place, header: &GroupHeader, body: &[u8]) -> Result<(), OpenError> {
        let Place { segment, offset } = place;
        let next = self.last.group.saturating_add(1);
        if header.number != next {
            let what = format!("group {} stands where group {next} belongs", header.number);
            return Err(damaged(segment, offset, what));
        }
        if header.previous != self.last.hash {
            let what = format!("group {next} does not continue the group before it");
            return Err(damaged(segment, offset, what));
        }
        let mut place = Place { segment, offset: offset.saturating_add(GROUP_HEADER_BYTES as u64) };
        let mut rest = body;
        for _ in 0..header.records {
            let (record, length) = decode_record(rest).map_err(|what| damaged(segment, place.offset, what))?;
            self.follow(&record).map_err(|what| damaged(segment, place.offset, what))?;
            (self.seen)(Replayed::Record { place, record }).map_err(OpenError::Replay)?;
            rest = rest.get(length..).unwrap_or_default();
            place.offset = place.offset.saturating_add(length as u64);
        }
        if !rest.is_empty() {
            return Err(damaged(segment, place.offset, "the group holds more than its records"));
        }
        let end = Place { segment, offset: offset.saturating_add(header.length()) };
        self.last = Checkpoint { group: next, hash: header.hash, begin: offset, end };
        self.at = self.at.max(header.at);
        self.groups = self.groups.saturating_add(1);
        self.records = self.records.saturating_add(u64::from(header.records));
        (self.seen)(Replayed::Group(self.last)).map_err(OpenError::Replay)
    }

    /// Follows a tenant's chain by one record.
    fn follow(&mut self, record: &Record) -> Result<(), String> {
        let Record { tenant, number, previous, hash, .. } = *record;
        let begin = Head { number: number.saturating_sub(1), hash: previous };
        let head = self.heads.entry(tenant).or_insert(if self.adopts { begin } else { Head::NONE });
        let next = head.number.saturating_add(1);
        if number != next {
            return Err(format!("record {number} of tenant {tenant} stands where {next} belongs"));
        }
        if previous != head.hash {
            return Err(format!("record {number} of tenant {tenant} does not continue its chain"));
        }
        *head = Head { number, hash };
        Ok(())
    }
}
