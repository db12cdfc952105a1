//! Writes a tenant's history and its key into two files, also from under a running server.
//! Never answers before what was written has been read again.

use super::{Header, TransferError, follow, read};
use crate::{
    domain::{
        id::TenantId,
        state::{State, Write as Stored},
        time::Timestamp,
    },
    store::{
        behind::opened,
        codec,
        disk::{Disk, FileDisk, UNFINISHED, sync_directory_of},
        journal::{Replayed, Survey, encode_record, survey, verify},
        keys::Keys,
        lock,
        open::decode_record,
    },
};
use std::{
    collections::BTreeSet,
    fs::{File, OpenOptions},
    io::{BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// A data directory from which tenants are exported, at one position.
pub struct Source {
    disk: FileDisk,
    keys: Keys,
    survey: Survey,
    directory: State,
    /// Whose history does not begin at its beginning.
    cut: BTreeSet<TenantId>,
}

impl Source {
    /// Reads the journal of a data directory, which a server may be using, and the platform's directory of tenants.
    ///
    /// # Errors
    /// [`TransferError`]
    pub fn open(data: &Path, platform: TenantId) -> Result<Self, TransferError> {
        lock::look(data)?;
        let path = data.join("journal");
        let disk = FileDisk::read_only(&path).map_err(TransferError::file(&path))?;
        let keys = Keys::look(&data.join("keys"))?;
        let mut directory = State::empty(platform);
        let mut cut = BTreeSet::new();
        let survey = survey(&disk, &mut |replayed| {
            match replayed {
                Replayed::Record { record, .. } if record.tenant == platform => {
                    let unread = || TransferError::Directory { number: record.number };
                    let commit = decode_record(&keys, &record)?.ok_or_else(unread)?;
                    follow(&mut directory, &commit).map_err(|_| unread())?;
                }
                Replayed::Kept(kept) if kept.tenant == platform => {
                    let unread = || TransferError::Directory { number: 0 };
                    let bytes = opened(&keys, &kept)?.ok_or_else(unread)?;
                    directory.restore(Stored::Put(codec::record(kept.kind, &bytes)?));
                }
                Replayed::Base(known) => cut.extend(known.heads.into_keys()),
                Replayed::Record { .. } | Replayed::Kept(_) | Replayed::Group(_) => {}
            }
            Ok(())
        })?;
        Ok(Self { disk, keys, survey, directory, cut })
    }

    /// The platform's own state.
    pub const fn directory(&self) -> &State {
        &self.directory
    }

    /// Writes a tenant's history to one new file and its key to another, both for their owner only. Answers how many
    /// records there are.
    ///
    /// # Errors
    /// [`TransferError`]; no file is left behind then.
    pub fn export(&self, tenant: TenantId, to: &Path, key_to: &Path, now: Timestamp) -> Result<u64, TransferError> {
        if let Some(taken) = [to, key_to].into_iter().find(|path| path.exists()) {
            return Err(TransferError::Taken(taken.to_path_buf()));
        }
        if self.cut.contains(&tenant) {
            return Err(TransferError::Cut(tenant));
        }
        let head = self.survey.heads.get(&tenant).copied();
        let head = head.filter(|_| self.keys.key(tenant).is_some()).ok_or(TransferError::Erased(tenant))?;
        let header = Header { tenant, records: head.number, head: head.hash, at: now };
        let mut name = to.as_os_str().to_owned();
        name.push(UNFINISHED);
        let unfinished = Path::new(&name);
        let written = self.write(&header, unfinished).and_then(|()| {
            self.keys.copy_out(tenant, key_to)?;
            std::fs::rename(unfinished, to).and_then(|()| sync_directory_of(to)).map_err(TransferError::file(to))
        });
        if let Err(error) = written {
            std::fs::remove_file(unfinished).ok();
            std::fs::remove_file(key_to).ok();
            return Err(error);
        }
        Ok(header.records)
    }

    /// Writes a tenant's key to a new file, for its owner only: what opens a file that was exported otherwise.
    ///
    /// # Errors
    /// [`TransferError`]; no file is left behind then.
    pub fn export_key(&self, tenant: TenantId, to: &Path) -> Result<(), TransferError> {
        if to.exists() {
            return Err(TransferError::Taken(to.to_path_buf()));
        }
        self.keys.key(tenant).ok_or(TransferError::Erased(tenant))?;
        Ok(self.keys.copy_out(tenant, to)?)
    }

    fn write(&self, header: &Header, path: &Path) -> Result<(), TransferError> {
        let refused = || TransferError::file(path);
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(path).map_err(refused())?;
        let mut out = BufWriter::new(file);
        out.write_all(&header.encode()).map_err(refused())?;
        verify(&self.disk as &dyn Disk, self.survey.last, &mut |replayed| {
            if let Replayed::Record { record, .. } = replayed
                && record.tenant == header.tenant
            {
                let mut bytes = vec![];
                let fields = (record.tenant, record.number, record.at);
                encode_record(&mut bytes, fields, record.previous, &record.payload).ok_or("a record is too large")?;
                out.write_all(&bytes)?;
            }
            Ok(())
        })?;
        let file = out.into_inner().map_err(|error| TransferError::file(path)(error.into_error()))?;
        file.sync_all().map_err(refused())?;
        let again = File::open(path).map_err(refused())?;
        read(path, &again, &mut |_| Ok(()))?;
        Ok(())
    }
}
