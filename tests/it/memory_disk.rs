//! A disk in memory that fails on request. Never forgets what was not synced: losing power is
//! the matter of a simulation of its own.

use countersign::store::disk::{Disk, DiskFile};
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex};

/// What the next call of its kind does instead of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Writes that many bytes, then answers this.
    Write(usize, ErrorKind),
    Sync,
    Truncate,
    Create,
    Rename,
    SyncDirectory,
}

type Faults = Arc<Mutex<Vec<Fault>>>;

#[derive(Clone, Default)]
pub(crate) struct MemoryDisk {
    files: Arc<Mutex<BTreeMap<String, Arc<MemoryFile>>>>,
    faults: Faults,
}

struct MemoryFile {
    bytes: Mutex<Vec<u8>>,
    faults: Faults,
}

impl MemoryDisk {
    /// A disk of its own with the same files.
    pub(crate) fn copy(&self) -> Self {
        let disk = Self::default();
        for (name, file) in self.files.lock().unwrap().iter() {
            disk.put(name, file.bytes.lock().unwrap().clone());
        }
        disk
    }

    pub(crate) fn put(&self, name: &str, bytes: Vec<u8>) {
        let file = MemoryFile { bytes: Mutex::new(bytes), faults: Arc::clone(&self.faults) };
        self.files.lock().unwrap().insert(name.to_owned(), Arc::new(file));
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        self.files.lock().unwrap()[name].bytes.lock().unwrap().clone()
    }

    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.files.lock().unwrap()[name].bytes.lock().unwrap());
    }

    pub(crate) fn fail(&self, fault: Fault) {
        self.faults.lock().unwrap().push(fault);
    }

    fn file(&self, name: &str) -> Result<Arc<MemoryFile>> {
        self.files.lock().unwrap().get(name).cloned().ok_or(ErrorKind::NotFound.into())
    }
}

fn fails(faults: &Faults, fault: Fault) -> Result<()> {
    let mut faults = faults.lock().unwrap();
    match faults.iter().position(|planned| *planned == fault) {
        Some(index) => {
            faults.remove(index);
            Err(Error::other(format!("{fault:?} was made to fail")))
        }
        None => Ok(()),
    }
}

impl Disk for MemoryDisk {
    fn names(&self) -> Result<Vec<String>> {
        Ok(self.files.lock().unwrap().keys().cloned().collect())
    }

    fn create(&self, name: &str) -> Result<Arc<dyn DiskFile>> {
        fails(&self.faults, Fault::Create)?;
        if self.file(name).is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        self.put(name, Vec::new());
        self.open(name)
    }

    fn open(&self, name: &str) -> Result<Arc<dyn DiskFile>> {
        Ok(self.file(name)?)
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.files.lock().unwrap().remove(name).map(|_| ()).ok_or(ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        fails(&self.faults, Fault::Rename)?;
        let file = self.file(from)?;
        self.remove(from)?;
        self.files.lock().unwrap().insert(to.to_owned(), file);
        Ok(())
    }

    fn sync_directory(&self) -> Result<()> {
        fails(&self.faults, Fault::SyncDirectory)
    }
}

impl DiskFile for MemoryFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<usize> {
        let held = self.bytes.lock().unwrap();
        let rest = held.get(offset as usize..).unwrap_or_default();
        let read = rest.len().min(bytes.len());
        bytes[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let mut faults = self.faults.lock().unwrap();
        let planned = faults.iter().position(|fault| matches!(fault, Fault::Write(..)));
        let fault = planned.map(|index| faults.remove(index));
        let (written, answer) = match fault {
            Some(Fault::Write(written, kind)) => (written, Err(kind.into())),
            _ => (bytes.len(), Ok(())),
        };
        let mut held = self.bytes.lock().unwrap();
        let end = (offset as usize + written).max(held.len());
        held.resize(end, 0);
        held[offset as usize..offset as usize + written].copy_from_slice(&bytes[..written]);
        answer
    }

    fn length(&self) -> Result<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }

    fn truncate(&self, length: u64) -> Result<()> {
        fails(&self.faults, Fault::Truncate)?;
        self.bytes.lock().unwrap().resize(length as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        fails(&self.faults, Fault::Sync)
    }
}
