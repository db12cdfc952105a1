//! A disk in memory that fails on request, can be switched off before its n-th call, and forgets in a power cut what
//! was not synced: any subset of the sectors, the length, and of what was made, renamed and removed.
//! Never loses what was synced; whoever writes again after a failed sync is the only one to get those bytes down.

use crate::simulation::random::Random;
use countersign::store::disk::{Disk, DiskFile};
use std::{
    collections::BTreeMap,
    io::{Error, ErrorKind, Result},
    sync::{Arc, Mutex, MutexGuard},
};

/// What a disk writes all or nothing of, in bytes; the last one before a power cut may be torn nevertheless.
const SECTOR: usize = 512;

/// What a call of its kind does instead of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Writes at most that many bytes, then answers this.
    Write(usize, ErrorKind),
    Sync,
    Truncate,
    Create,
    Rename,
    Remove,
    SyncDirectory,
}

#[derive(Clone, Default)]
pub(crate) struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

struct MemoryFile {
    state: Arc<Mutex<State>>,
    inode: usize,
}

#[derive(Default)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    /// What the directory durably holds, and what was done to it since.
    durable_names: BTreeMap<String, usize>,
    unsynced: Vec<Renaming>,
    /// Each happens once that many calls of its kind went well.
    faults: Vec<(Fault, u32)>,
    full: bool,
    /// The disk answers this many more calls that change something, then none.
    calls_left: Option<u32>,
    chance: Random,
}

/// One change of the directory: the name that goes, and the one that comes, with its file.
#[derive(Clone)]
struct Renaming {
    from: Option<String>,
    to: Option<(String, usize)>,
}

/// A file as the operating system shows it, and the other bytes that the disk still has.
#[derive(Clone, Default)]
struct Inode {
    bytes: Vec<u8>,
    /// Sectors that wait for a sync, as they are on the disk.
    dirty: BTreeMap<usize, Vec<u8>>,
    /// Sectors that a failed sync left behind: clean in memory, old on the disk.
    forgotten: BTreeMap<usize, Vec<u8>>,
    durable_length: usize,
}

impl MemoryDisk {
    /// An empty disk whose power cuts are drawn from this seed.
    pub(crate) fn seeded(seed: u64) -> Self {
        let disk = Self::default();
        disk.state().chance = Random::new(seed);
        disk
    }

    /// A disk of its own with the same files.
    pub(crate) fn copy(&self) -> Self {
        let disk = Self::default();
        let state = self.state();
        for (name, inode) in &state.names {
            disk.put(name, state.inodes[*inode].bytes.clone());
        }
        drop(state);
        disk
    }

    /// Puts a file there, durably.
    pub(crate) fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut state = self.state();
        let durable_length = bytes.len();
        let inode = state.add(Inode { bytes, durable_length, ..Inode::default() });
        state.names.insert(name.to_owned(), inode);
        state.durable_names.insert(name.to_owned(), inode);
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.inodes[state.names[name]].bytes.clone()
    }

    /// Changes what lies on the disk.
    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let inode = state.names[name];
        let file = &mut state.inodes[inode];
        change(&mut file.bytes);
        file.durable_length = file.bytes.len();
    }

    /// Has the next call of its kind fail.
    pub(crate) fn fail(&self, fault: Fault) {
        self.fail_after(0, fault);
    }

    /// Has a call of its kind fail after that many others.
    pub(crate) fn fail_after(&self, others: u32, fault: Fault) {
        self.state().faults.push((fault, others));
    }

    /// Whether there is room for more.
    pub(crate) fn fill(&self, full: bool) {
        self.state().full = full;
    }

    /// Ends everything before the call that comes after that many.
    pub(crate) fn stop_after(&self, calls: u32) {
        self.state().calls_left = Some(calls);
    }

    /// Whether the disk answers no more.
    pub(crate) fn is_stopped(&self) -> bool {
        self.state().calls_left == Some(0)
    }

    /// The process ended and begins again: no fault is left of those that were planned.
    pub(crate) fn restart(&self) {
        let mut state = self.state();
        (state.calls_left, state.full) = (None, false);
        state.faults.clear();
    }

    /// The power was cut: what was not synced is there, or not.
    pub(crate) fn cut_power(&self) {
        let mut state = self.state();
        let State { inodes, names, durable_names, unsynced, chance, .. } = &mut *state;
        for change in unsynced.drain(..).filter(|_| chance.one_in(2)) {
            if let Some(from) = change.from {
                durable_names.remove(&from);
            }
            durable_names.extend(change.to);
        }
        names.clone_from(durable_names);
        inodes.iter_mut().for_each(|inode| inode.cut_power(chance));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn add(&mut self, inode: Inode) -> usize {
        self.inodes.push(inode);
        self.inodes.len() - 1
    }

    fn inode(&self, name: &str) -> Result<usize> {
        self.names.get(name).copied().ok_or(ErrorKind::NotFound.into())
    }

    /// A planned fault of this kind, if its turn has come; every call that changes something passes here.
    fn planned(&mut self, is: impl Fn(Fault) -> bool) -> Result<Option<Fault>> {
        match &mut self.calls_left {
            Some(0) => return Err(Error::other("the machine is off")),
            Some(left) => {
                *left -= 1;
                if *left == 0 {
                    return Err(Error::other("the machine went off"));
                }
            }
            None => {}
        }
        let Some(index) = self.faults.iter().position(|(fault, _)| is(*fault)) else { return Ok(None) };
        if self.faults[index].1 > 0 {
            self.faults[index].1 -= 1;
            return Ok(None);
        }
        Ok(Some(self.faults.remove(index).0))
    }

    fn call(&mut self, fault: Fault) -> Result<()> {
        match self.planned(|planned| planned == fault)? {
            Some(_) => Err(Error::other(format!("{fault:?} was made to fail"))),
            None => Ok(()),
        }
    }

    fn rename(&mut self, from: Option<&str>, to: Option<(&str, usize)>) {
        let change = Renaming { from: from.map(Into::into), to: to.map(|(to, inode)| (to.to_owned(), inode)) };
        if let Some(from) = from {
            self.names.remove(from);
        }
        self.names.extend(change.to.clone());
        self.unsynced.push(change);
    }
}

impl Inode {
    /// Remembers how these sectors lie on the disk, before they change in memory.
    fn soil(&mut self, from: usize, to: usize) {
        for sector in from / SECTOR..to.div_ceil(SECTOR) {
            let end = self.bytes.len().min((sector + 1) * SECTOR);
            let shown = self.bytes.get(sector * SECTOR..end).unwrap_or_default();
            let known = self.forgotten.remove(&sector);
            self.dirty.entry(sector).or_insert_with(|| known.unwrap_or_else(|| shown.to_vec()));
        }
    }

    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        self.soil(offset.min(self.bytes.len()), end);
        self.bytes.resize(end.max(self.bytes.len()), 0);
        self.bytes[offset..end].copy_from_slice(bytes);
    }

    fn truncate(&mut self, length: usize) {
        self.soil(length.min(self.bytes.len()), length.max(self.bytes.len()));
        self.bytes.resize(length, 0);
    }

    fn sync(&mut self) {
        self.dirty.clear();
        self.durable_length = self.bytes.len();
        self.forgotten.retain(|sector, _| sector * SECTOR < self.durable_length);
    }

    /// Some sectors arrived; memory takes the others for written, too.
    fn fail_to_sync(&mut self, chance: &mut Random) {
        let lost = std::mem::take(&mut self.dirty).into_iter().filter(|_| chance.one_in(2));
        self.forgotten.extend(lost);
        if chance.one_in(2) {
            self.durable_length = self.bytes.len();
        }
    }

    fn cut_power(&mut self, chance: &mut Random) {
        let lengths = [self.bytes.len(), self.durable_length];
        let (least, most) = (lengths[0].min(lengths[1]), lengths[0].max(lengths[1]));
        let length = match chance.below(4) {
            0 => least + chance.index(most - least + 1),
            1 => least,
            _ => most,
        };
        self.bytes.resize(most, 0);
        let last = self.dirty.keys().next_back().copied();
        let dirty = std::mem::take(&mut self.dirty).into_iter();
        let lost = dirty.filter_map(|(sector, old)| match chance.below(5) {
            0 if Some(sector) == last => Some((sector, chance.index(SECTOR), old)),
            0 | 1 => Some((sector, 0, old)),
            _ => None,
        });
        let lost: Vec<_> = lost.collect();
        let forgotten = std::mem::take(&mut self.forgotten).into_iter().map(|(sector, old)| (sector, 0, old));
        for (sector, kept, mut old) in lost.into_iter().chain(forgotten) {
            let (begin, end) = ((sector * SECTOR).min(most), ((sector + 1) * SECTOR).min(most));
            old.resize(SECTOR, 0);
            let begin_lost = (begin + kept).min(end);
            self.bytes[begin_lost..end].copy_from_slice(&old[begin_lost - begin..end - begin]);
        }
        self.bytes.truncate(length);
        self.durable_length = length;
    }
}

impl Disk for MemoryDisk {
    fn names(&self) -> Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.call(Fault::Create)?;
        if state.full {
            return Err(ErrorKind::StorageFull.into());
        }
        if state.inode(name).is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let inode = state.add(Inode::default());
        state.rename(None, Some((name, inode)));
        Ok(Arc::new(MemoryFile { state: Arc::clone(&self.state), inode }))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn DiskFile>> {
        let inode = self.state().inode(name)?;
        Ok(Arc::new(MemoryFile { state: Arc::clone(&self.state), inode }))
    }

    fn remove(&self, name: &str) -> Result<()> {
        let mut state = self.state();
        state.call(Fault::Remove)?;
        state.inode(name)?;
        state.rename(Some(name), None);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let mut state = self.state();
        state.call(Fault::Rename)?;
        let inode = state.inode(from)?;
        state.rename(Some(from), Some((to, inode)));
        Ok(())
    }

    fn sync_directory(&self) -> Result<()> {
        let mut state = self.state();
        state.call(Fault::SyncDirectory)?;
        state.durable_names = state.names.clone();
        state.unsynced.clear();
        Ok(())
    }
}

impl MemoryFile {
    fn with<T>(&self, call: impl FnOnce(&mut State, usize) -> Result<T>) -> Result<T> {
        call(&mut self.state.lock().unwrap(), self.inode)
    }
}

impl DiskFile for MemoryFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<usize> {
        self.with(|state, inode| {
            let rest = state.inodes[inode].bytes.get(offset as usize..).unwrap_or_default();
            let read = rest.len().min(bytes.len());
            bytes[..read].copy_from_slice(&rest[..read]);
            Ok(read)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.with(|state, inode| {
            let was_off = state.calls_left == Some(0);
            let (written, answer) = match state.planned(|fault| matches!(fault, Fault::Write(..))) {
                Err(error) if was_off => (0, Err(error)),
                // Whoever is killed in a write has written some of it.
                Err(error) => (state.chance.index(bytes.len() + 1), Err(error)),
                Ok(Some(Fault::Write(written, kind))) => (written.min(bytes.len()), Err(kind.into())),
                Ok(_) if state.full => (state.chance.index(bytes.len() + 1), Err(ErrorKind::StorageFull.into())),
                Ok(_) => (bytes.len(), Ok(())),
            };
            state.inodes[inode].write(&bytes[..written], offset as usize);
            answer
        })
    }

    fn length(&self) -> Result<u64> {
        self.with(|state, inode| Ok(state.inodes[inode].bytes.len() as u64))
    }

    fn truncate(&self, length: u64) -> Result<()> {
        self.with(|state, inode| {
            state.call(Fault::Truncate)?;
            state.inodes[inode].truncate(length as usize);
            Ok(())
        })
    }

    fn sync_data(&self) -> Result<()> {
        self.with(|state, inode| {
            let answer = state.call(Fault::Sync);
            let stopped = state.calls_left == Some(0);
            let State { inodes, chance, .. } = state;
            match answer {
                Ok(()) => inodes[inode].sync(),
                // A machine that is off syncs nothing.
                Err(_) if stopped => {}
                Err(_) => inodes[inode].fail_to_sync(chance),
            }
            answer
        })
    }
}
