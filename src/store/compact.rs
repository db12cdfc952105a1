//! Gives space back: cuts history that is older than the retention floor, behind a signed base that holds every
//! record as it was then, and rebuilds the index without it.
//! Never cuts what it has not verified, and never removes a segment before the base is durable.

use super::{
    audit::Tree,
    disk::{Disk, DiskFile, FileDisk, read_up_to},
    index::{Index, IndexError},
    journal::{self, Base, Checkpoint, Draft, Kept, Replayed},
    keys::{Keys, KeysError},
    lock::{Lock, LockError},
    machine::Machine,
    open::{self, OpenError},
    replay::Replay,
    signing::signing_key,
};
use crate::{
    domain::{id::TenantId, time::Timestamp},
    limits::RETENTION_MONTHS_MIN,
};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};
use uuid::Uuid;

/// Where the state at the cut is gathered, beside the index.
const GATHERING: &str = "compact.temp";

/// What to keep.
#[derive(Clone, Debug)]
pub struct Retention {
    /// How many months of history stay, at least [`RETENTION_MONTHS_MIN`].
    pub keep_months: u32,
    /// Where the segments go that are cut; without it they are removed.
    pub archive: Option<PathBuf>,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// How many segments were cut.
    pub segments: usize,
    /// How many records they held.
    pub records: u64,
    /// When the newest of them was accepted: history begins behind it.
    pub begins_after: Option<Timestamp>,
    /// The journal's bytes before and after.
    pub journal_bytes: (u64, u64),
    /// The index's bytes before and after.
    pub index_bytes: (u64, u64),
}

/// Why nothing, or not all, was given back; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// The floor is lower than the rule allows.
    #[error("history is kept for at least {RETENTION_MONTHS_MIN} months; {0} are too few")]
    TooShort(u32),
    /// The data directory is in use, or not one.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The keys cannot be read.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The store cannot be opened; nothing was cut.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The journal cannot be read; nothing was cut.
    #[error(transparent)]
    Journal(#[from] journal::OpenError),
    /// The index cannot be read or written; run it again.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The archive holds another file under a segment's name.
    #[error("{} is there already and is not the same; choose another directory for the archive", .0.display())]
    Archived(PathBuf),
    /// The file system refused; run it again.
    #[error("the disk refused: {0}; nothing is lost, run it again")]
    File(#[from] io::Error),
}

/// A segment that is closed, and what is in it.
#[derive(Default)]
struct Segment {
    last: Option<Checkpoint>,
    records: u64,
    newest: Option<Timestamp>,
}

/// Cuts what is older than asked, rebuilds the index, and says what that gave. Offline: takes the lock. A crash at
/// any moment leaves a store that opens, and running it again finishes the work.
///
/// # Errors
/// See [`CompactError`].
pub fn compact(directory: &Path, machine: &Machine, retention: &Retention) -> Result<Compacted, CompactError> {
    if retention.keep_months < RETENTION_MONTHS_MIN {
        return Err(CompactError::TooShort(retention.keep_months));
    }
    let _lock = Lock::take(directory)?;
    let keys = Keys::open(&directory.join("keys"))?;
    let disk = (machine.journal)(&directory.join("journal"))?;
    let index_path = directory.join("index");
    let mut done = Compacted {
        journal_bytes: (journal_bytes(&*disk)?, 0),
        index_bytes: (bytes_below(&index_path)?, 0),
        ..Compacted::default()
    };
    // Repairs what a crash left, and says how far the journal reaches.
    let (journal, opened) = open::open_journal(directory, &keys, machine)?;
    let (until, epoch) = (journal.position(), journal.log_epoch());
    drop((journal, opened));

    let floor = machine.clock.now().months_earlier(retention.keep_months);
    let cut = old_segments(&*disk, until, floor)?;
    if let Some((last, newest)) = cut.end {
        write_base(directory, machine, &keys, &*disk, (last, newest, epoch))?;
        (done.segments, done.records, done.begins_after) = (cut.segments, cut.records, Some(newest));
    }
    // Also what a crash left behind an earlier base.
    remove_cut(&disk, retention.archive.as_deref())?;

    let (index, _) = open::rebuild_index(directory, &keys, machine)?;
    index.close()?;
    done.journal_bytes.1 = journal_bytes(&*disk)?;
    done.index_bytes.1 = bytes_below(&index_path)?;
    Ok(done)
}

/// The oldest segments that may go.
#[derive(Default)]
struct Cut {
    /// The last group in them, and when the newest record was accepted; none when nothing may go.
    end: Option<(Checkpoint, Timestamp)>,
    segments: usize,
    records: u64,
}

/// Verifies everything, and finds the closed segments in front whose records are all older than the floor.
fn old_segments(disk: &dyn Disk, until: Checkpoint, floor: Timestamp) -> Result<Cut, CompactError> {
    let mut segments: BTreeMap<u64, Segment> = BTreeMap::new();
    journal::verify(disk, until, &mut |replayed| {
        match replayed {
            Replayed::Record { place, record } => {
                let segment = segments.entry(place.segment).or_default();
                segment.records = segment.records.saturating_add(1);
                segment.newest = segment.newest.max(Some(record.at));
            }
            Replayed::Group(checkpoint) => segments.entry(checkpoint.end.segment).or_default().last = Some(checkpoint),
            Replayed::Kept(_) | Replayed::Base(_) => {}
        }
        Ok(())
    })?;
    // The last one is still written to.
    segments.pop_last();
    let mut cut = Cut::default();
    let mut newest = None;
    for segment in segments.into_values() {
        newest = newest.max(segment.newest);
        let (Some(last), Some(at)) = (segment.last, newest) else { continue };
        if at >= floor {
            break;
        }
        cut.end = Some((last, at));
        cut.segments = cut.segments.saturating_add(1);
        cut.records = cut.records.saturating_add(segment.records);
    }
    Ok(cut)
}

/// Gathers the state at a group in an index of its own, and puts it in place as the journal's base.
fn write_base(
    directory: &Path,
    machine: &Machine,
    keys: &Keys,
    disk: &dyn Disk,
    (last, at, epoch): (Checkpoint, Timestamp, [u8; 16]),
) -> Result<(), CompactError> {
    let key = signing_key(keys)?;
    let gathering = directory.join(GATHERING);
    let index = Index::open_empty(&gathering, &machine.boot)?;
    let mut replay = Replay::new(&index, keys);
    let mut trees: BTreeMap<TenantId, Tree> = BTreeMap::new();
    journal::verify(disk, last, &mut |replayed| {
        match &replayed {
            Replayed::Base(base) => trees = Tree::of_base(base),
            Replayed::Record { record, .. } => trees.entry(record.tenant).or_default().push(record.hash),
            Replayed::Kept(_) | Replayed::Group(_) => {}
        }
        replay.take(replayed)
    })?;
    replay.finish()?;
    let heads = index.heads()?;
    let peaks = trees.iter().map(|(tenant, tree)| (*tenant, tree.peaks())).collect();
    let checkpoint = Checkpoint::behind(last.group, last.hash);
    let tenants: Vec<_> = heads.keys().copied().collect();
    let base = Base { epoch, checkpoint, heads, peaks, at, signed_by: key.verifying_key().to_bytes() };
    let mut draft = Draft::begin(disk, base)?;
    for tenant in tenants {
        for (space, id, sealed) in index.load(tenant)? {
            let id = Uuid::from_slice(&id).map_err(|_| IndexError::Damaged("a value's key"))?;
            draft.keep(&Kept { tenant, kind: space.0, id, sealed })?;
        }
    }
    draft.finish(&key)?;
    drop(index);
    Ok(fs::remove_dir_all(&gathering)?)
}

/// Removes what lies before the base, oldest first; what is to be archived is copied durably before that.
fn remove_cut(disk: &Arc<dyn Disk>, archive: Option<&Path>) -> Result<(), CompactError> {
    let archive = archive.map(|path| FileDisk::open(path).map(|disk| (disk, path))).transpose()?;
    for name in journal::cut_segments(&**disk)? {
        if let Some((archive, path)) = &archive {
            copy(&**disk, &name, archive, path)?;
        }
        disk.remove(&name)?;
    }
    Ok(disk.sync_directory()?)
}

/// How much is copied at once, in bytes.
const BUFFER_BYTES: usize = 1024 * 1024;

/// Copies a file so that it is there whole and durably; a copy that is there already stands.
fn copy(from: &dyn Disk, name: &str, to: &FileDisk, path: &Path) -> Result<(), CompactError> {
    let file = from.open(name)?;
    match to.open(name) {
        Ok(there) if same(&*file, &*there)? => return Ok(()),
        Ok(_) => return Err(CompactError::Archived(path.join(name))),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        Err(_) => {}
    }
    let unfinished = format!("{name}.temp");
    match to.remove(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    let copy = to.create(&unfinished)?;
    let (mut buffer, mut offset) = (vec![0; BUFFER_BYTES], 0_u64);
    loop {
        let read = read_up_to(&*file, &mut buffer, offset)?;
        if read == 0 {
            break;
        }
        copy.write_at(buffer.get(..read).unwrap_or_default(), offset)?;
        offset = offset.saturating_add(read as u64);
    }
    copy.sync_data()?;
    to.rename(&unfinished, name)?;
    Ok(to.sync_directory()?)
}

fn same(one: &dyn DiskFile, other: &dyn DiskFile) -> io::Result<bool> {
    if one.length()? != other.length()? {
        return Ok(false);
    }
    let (mut left, mut right, mut offset) = (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES], 0_u64);
    loop {
        let read = read_up_to(one, &mut left, offset)?;
        if read_up_to(other, &mut right, offset)? != read || left.get(..read) != right.get(..read) {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
        offset = offset.saturating_add(read as u64);
    }
}

fn journal_bytes(disk: &dyn Disk) -> io::Result<u64> {
    disk.names()?.iter().try_fold(0_u64, |sum, name| Ok(sum.saturating_add(disk.open(name)?.length()?)))
}

/// The bytes of all files below a directory.
fn bytes_below(directory: &Path) -> io::Result<u64> {
    let mut sum = 0_u64;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let bytes = if metadata.is_dir() { bytes_below(&entry.path())? } else { metadata.len() };
        sum = sum.saturating_add(bytes);
    }
    Ok(sum)
}
