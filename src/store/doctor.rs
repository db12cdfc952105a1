//! Looks whether a data directory is as it should be: who may read it, whether it has room, whether it is sound.
//! Never changes anything, and never needs the server to be stopped.

use super::{
    disk::FileDisk,
    index::Index,
    journal::{self, Head, Replayed, Survey, survey, survey_newest},
    keys::Keys,
    lock,
    machine::{Progress, boot_id},
};
use crate::{
    domain::{id::TenantId, time::Timestamp},
    limits::{DOCTOR_JOURNAL_BYTES_MAX, FREE_BYTES_WARNED, JOURNAL_SEGMENT_BYTES_MAX},
};
use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// How something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// As it should be.
    Ok,
    /// Worth a look; the server works.
    Warning,
    /// Somebody has to do something.
    Problem,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which check.
    pub check: &'static str,
    /// How it was found.
    pub health: Health,
    /// What was found, in a sentence.
    pub found: String,
    /// What to do about it; empty where it is as it should be.
    pub remedy: String,
}

impl Finding {
    /// Something is as it should be.
    pub fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, health: Health::Ok, found: found.into(), remedy: String::new() }
    }

    /// Something is worth a look.
    pub fn warning(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, health: Health::Warning, found: found.into(), remedy: remedy.into() }
    }

    /// Somebody has to do something.
    pub fn problem(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, health: Health::Problem, found: found.into(), remedy: remedy.into() }
    }
}

/// What is looked at.
#[derive(Clone, Copy)]
pub struct Examined<'a> {
    /// The data directory.
    pub data: &'a Path,
    /// The time on the machine's clock.
    pub now: Timestamp,
    /// Whether the whole journal is read, however long it is, and a copy of the index opened.
    pub full: bool,
}

/// Looks at everything, in an order in which the first problem explains the later ones.
pub fn examine(examined: Examined<'_>, progress: &dyn Progress) -> Vec<Finding> {
    let Examined { data, now, full } = examined;
    if let Err(error) = lock::look(data) {
        return vec![Finding::problem("format", error.to_string(), "nothing else was looked at")];
    }
    let used = in_use(data);
    let mut findings = vec![
        Finding::ok("format", "the data directory has a format that this version knows"),
        permissions(data).unwrap_or_else(|error| unreadable("permissions", &error)),
        space(data).unwrap_or_else(|error| unreadable("space", &error)),
        match used {
            Ok(true) => Finding::ok("lock", "a server is using the data directory"),
            Ok(false) => Finding::ok("lock", "no server is using the data directory"),
            Err(ref error) => unreadable("lock", error),
        },
    ];
    let mut newest = None;
    let surveyed = journal(data, full, progress, &mut newest);
    let heads = match surveyed {
        Ok((survey, finding)) => {
            findings.push(finding);
            Some(survey.heads)
        }
        Err(error) => {
            let remedy = "restore the newest backup into another directory, and keep this one";
            findings.push(Finding::problem("journal", error.to_string(), remedy));
            None
        }
    };
    findings.push(clock(now, newest));
    if let Some(heads) = heads {
        findings.push(keys(data, &heads));
        let used = used.unwrap_or(true);
        findings.push(index(data, used, full.then_some(&heads)).unwrap_or_else(|error| unreadable("index", &error)));
    }
    findings
}

fn unreadable(check: &'static str, error: &io::Error) -> Finding {
    Finding::problem(check, format!("this cannot be looked at: {error}"), "run this as the user that runs the server")
}

/// Whether a process holds the lock. The lock is given back at once.
fn in_use(data: &Path) -> io::Result<bool> {
    match File::open(data.join("lock")) {
        Ok(file) => {
            let in_use = file.try_lock_shared().is_err();
            file.unlock().map(|()| in_use)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Only the owner may enter, and everything belongs to him.
fn permissions(data: &Path) -> io::Result<Finding> {
    let owner = data.metadata()?.uid();
    let mut paths = vec![data.to_path_buf()];
    for name in ["journal", "keys"] {
        let directory = data.join(name);
        for entry in std::fs::read_dir(&directory)? {
            paths.push(entry?.path());
        }
        paths.push(directory);
    }
    for path in paths {
        let metadata = path.metadata()?;
        if metadata.mode() & 0o077 != 0 {
            let found = format!("others may use {} (mode {:o})", path.display(), metadata.mode() & 0o777);
            return Ok(Finding::problem("permissions", found, format!("chmod go= {}", path.display())));
        }
        if metadata.uid() != owner {
            let found =
                format!("{} belongs to the user {}, the data directory to {owner}", path.display(), metadata.uid());
            return Ok(Finding::problem("permissions", found, format!("chown {owner} {}", path.display())));
        }
    }
    let us = rustix::process::geteuid();
    if !us.is_root() && us.as_raw() != owner {
        let found = format!("the data directory belongs to the user {owner}, and you are {}", us.as_raw());
        return Ok(Finding::warning("permissions", found, "run the server as the owner"));
    }
    Ok(Finding::ok("permissions", "only the owner may enter, and everything is his"))
}

fn space(data: &Path) -> io::Result<Finding> {
    let disk = rustix::fs::statvfs(data)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let found = format!("{} MB are free", free / 1_000_000);
    let remedy = "make room before the disk is full: then nothing can be written any more";
    Ok(match free {
        free if free < JOURNAL_SEGMENT_BYTES_MAX => Finding::problem("space", found, remedy),
        free if free < FREE_BYTES_WARNED => Finding::warning("space", found, remedy),
        _ => Finding::ok("space", found),
    })
}

/// Reads the journal, or its newest segment where it is long; notes the time of the newest record.
fn journal(
    data: &Path,
    full: bool,
    progress: &dyn Progress,
    newest: &mut Option<Timestamp>,
) -> Result<(Survey, Finding), journal::OpenError> {
    let disk = FileDisk::read_only(&data.join("journal"))?;
    let all = journal::length(&disk)?;
    let full = full || all <= DOCTOR_JOURNAL_BYTES_MAX;
    let mut read = 0_u64;
    let mut seen = |replayed| {
        match replayed {
            Replayed::Record { record, .. } => *newest = (*newest).max(Some(record.at)),
            Replayed::Group(group) => {
                read = read.saturating_add(group.bytes());
                progress.reached(read, all);
            }
            Replayed::Kept(_) | Replayed::Base(_) => {}
        }
        Ok(())
    };
    let surveyed = if full { survey(&disk, &mut seen) } else { survey_newest(&disk, &mut seen) }?;
    progress.reached(all, all);
    let (records, group) = (surveyed.records, surveyed.last.group);
    let finding = if full {
        Finding::ok("journal", format!("all {records} records up to group {group} verify"))
    } else {
        Finding::ok("journal", format!("the newest {records} records up to group {group} verify; --full reads all"))
    };
    Ok((surveyed, finding))
}

/// The first moment at which this program can have run: 2026-01-01.
const EARLIEST: Timestamp = Timestamp::from_milliseconds(1_767_225_600_000);
/// A clock past this is wrong: 2100-01-01.
const LATEST: Timestamp = Timestamp::from_milliseconds(4_102_444_800_000);

fn clock(now: Timestamp, newest: Option<Timestamp>) -> Finding {
    let remedy = "set the clock, and have it kept by NTP";
    match newest {
        _ if now < EARLIEST || now > LATEST => Finding::problem("clock", format!("it cannot be {now}"), remedy),
        Some(newest) if newest > now => {
            let found = format!("it is {now}, and the newest record was written at {newest}");
            Finding::problem("clock", found, remedy)
        }
        Some(_) | None => Finding::ok("clock", format!("it is {now}, after the newest record")),
    }
}

fn keys(data: &Path, heads: &BTreeMap<TenantId, Head>) -> Finding {
    let keys = match Keys::look(&data.join("keys")) {
        Ok(keys) => keys,
        Err(error) => return Finding::problem("keys", error.to_string(), "copy the file from a backup of the keys"),
    };
    let keyless = heads.keys().filter(|tenant| keys.key(**tenant).is_none());
    let (erased, missing): (Vec<&TenantId>, Vec<&TenantId>) = keyless.partition(|tenant| keys.is_erased(**tenant));
    if missing.is_empty() {
        let (have, erased) = (heads.len() - erased.len(), erased.len());
        return Finding::ok(
            "keys",
            format!("{have} organisations that were read have their key, {erased} were erased"),
        );
    }
    let names: Vec<_> = missing.iter().map(ToString::to_string).collect();
    let found = format!("{} organisations have no key: {}", missing.len(), names.join(", "));
    Finding::warning("keys", found, "if they were not erased, copy their keys from a backup of the keys")
}

/// Whether the index was closed cleanly; with the journal's heads also whether a copy of it opens and has them.
fn index(data: &Path, used: bool, heads: Option<&BTreeMap<TenantId, Head>>) -> io::Result<Finding> {
    let directory = data.join("index");
    if used {
        return Ok(Finding::ok("index", "the server has it open"));
    }
    let rebuilds = "nothing: the next start brings it up to date from the journal, which may take a while";
    if !directory.join("clean").exists() {
        return Ok(Finding::warning("index", "it was not closed cleanly, or there is none", rebuilds));
    }
    let Some(heads) = heads else {
        return Ok(Finding::ok("index", "it was closed cleanly; --full opens a copy of it"));
    };
    let copied = Copied::of(&directory)?;
    let opened = Index::open(&copied.0, &boot_id());
    let found = opened.ok().filter(|opened| opened.checkpoint.is_some()).and_then(|opened| opened.index.heads().ok());
    Ok(match found {
        Some(found) if found == *heads => Finding::ok("index", "a copy of it opens and holds what the journal says"),
        Some(_) | None => {
            Finding::warning("index", "a copy of it does not open, or differs from the journal", rebuilds)
        }
    })
}

/// A copy of a directory that is removed when it is dropped.
struct Copied(PathBuf);

impl Copied {
    fn of(directory: &Path) -> io::Result<Self> {
        let copied = Self(std::env::temp_dir().join(format!("countersign-doctor-{}", std::process::id())));
        copy(directory, &copied.0)?;
        Ok(copied)
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    super::disk::create_directory(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
