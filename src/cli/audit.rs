//! `countersign audit`: what an auditor asks of a log, also of one that a server is writing.
//! Never needs the server, and never changes the log.

use super::{machine::machine, progress::progress, serve::say, settings::DataDirectory};
use crate::{
    app::{PLATFORM, tenant_listed},
    store::{
        audit::{Audit, Audited, Proof, SignedCheckpoint},
        disk::put_file,
        transfer::Source,
    },
};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use clap::Subcommand;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    error::Error,
    path::{Path, PathBuf},
    time::Instant,
};

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Arguments {
    /// Read the whole log and check every hash and both chains; with a checkpoint, that it is part of the log.
    Verify(Verify),
    /// Sign where the log stands. Keep the file elsewhere: it shows later that the log was not rewritten.
    Checkpoint(Checkpoint),
    /// Write a proof that an entry is in the log, which can be checked without the log.
    Prove(Prove),
    /// Check such a proof.
    CheckProof(CheckProof),
}

/// What to verify.
#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    #[command(flatten)]
    data: DataDirectory,
    /// A checkpoint that was kept.
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// The key that must have signed it, in base64; the data directory's own where none is named, which whoever
    /// rewrote the log may have changed, too.
    #[arg(long, requires = "checkpoint")]
    public_key: Option<String>,
    /// Print one line of JSON instead of sentences.
    #[arg(long)]
    json: bool,
}

/// What to sign.
#[derive(Debug, clap::Args)]
pub(super) struct Checkpoint {
    #[command(flatten)]
    data: DataDirectory,
    /// The file to write; standard output where none is named.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// What to prove.
#[derive(Debug, clap::Args)]
pub(super) struct Prove {
    #[command(flatten)]
    data: DataDirectory,
    /// The organisation's short name.
    #[arg(long)]
    tenant: String,
    /// The entry's number in the organisation's log, as an event's `number`.
    #[arg(long)]
    number: u64,
    /// The file to write; standard output where none is named.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// What to check.
#[derive(Debug, clap::Args)]
pub(super) struct CheckProof {
    /// The proof.
    proof: PathBuf,
    /// The key that must have signed it, in base64, as `audit verify` prints it.
    #[arg(long)]
    public_key: String,
}

/// Does what an auditor asked.
pub(super) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    match arguments {
        Arguments::Verify(arguments) => verify(arguments),
        Arguments::Checkpoint(arguments) => {
            let audit = Audit::open(&arguments.data.begin()?)?;
            let checkpoint = audit.checkpoint(now(), &*progress("verifying"))?;
            put(&checkpoint, arguments.out.as_deref())
        }
        Arguments::Prove(arguments) => {
            let data = arguments.data.begin()?;
            let tenant = tenant_listed(Source::open(&data, PLATFORM)?.directory(), &arguments.tenant);
            let tenant = tenant.ok_or_else(|| format!("there is no organisation called {:?}", arguments.tenant))?;
            let audit = Audit::open(&data)?;
            let proof = audit.prove(tenant, arguments.number, now(), &*progress("verifying"))?;
            put(&proof, arguments.out.as_deref())
        }
        Arguments::CheckProof(arguments) => {
            let proof: Proof = read(&arguments.proof)?;
            let at = proof.check(&key(&arguments.public_key)?)?;
            let Proof { tenant, number, checkpoint, .. } = proof;
            say(&format!(
                "record {number} of tenant {tenant}, accepted {at}, is part of the log that was signed {}",
                checkpoint.at
            ));
            Ok(())
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "how fast the log was read is told")]
fn verify(arguments: &Verify) -> Result<(), Box<dyn Error>> {
    let data = arguments.data.begin()?;
    let audit = Audit::open(&data)?;
    let own = audit.public_key()?;
    let checkpoint: Option<SignedCheckpoint> = arguments.checkpoint.as_deref().map(read).transpose()?;
    if let Some(checkpoint) = &checkpoint {
        checkpoint.check(&arguments.public_key.as_deref().map_or(Ok(own), key)?)?;
    }
    let begun = Instant::now();
    let Audited { survey, bytes, groups } = audit.verify(checkpoint.as_ref(), &*progress("verifying"))?;
    let seconds = begun.elapsed().as_secs_f64();
    let rate = bytes as f64 / 1e6 / seconds.max(1e-6);
    if arguments.json {
        let said = serde_json::json!({
            "groups": groups, "records": survey.records, "tenants": survey.heads.len(), "bytes": bytes,
            "group": survey.last.group, "hash": survey.last.hash.to_string(),
            "seconds": seconds, "megabytesPerSecond": rate,
            "checkpoint": checkpoint.as_ref().map(|checkpoint| checkpoint.group),
            "publicKey": BASE64.encode(own),
        });
        say(&said.to_string());
        return Ok(());
    }
    let tenants = survey.heads.len();
    say(&format!(
        "{} is sound: {groups} groups with {} records of {tenants} organisations, {bytes} bytes in {seconds:.1} s ({rate:.0} MB/s)",
        data.display(),
        survey.records,
    ));
    say(&format!("  last group  {} {}", survey.last.group, survey.last.hash));
    if let Some(checkpoint) = checkpoint {
        say(&format!("  contains    the checkpoint of {}, group {}", checkpoint.at, checkpoint.group));
    }
    say(&format!("  signs with  {}", BASE64.encode(own)));
    Ok(())
}

fn now() -> String {
    machine().clock.now().to_string()
}

fn key(text: &str) -> Result<[u8; 32], Box<dyn Error>> {
    let bytes = BASE64.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| format!("{text:?} is no public key: it has 32 bytes in base64").into())
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Box<dyn Error>> {
    let text = std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    serde_json::from_slice(&text)
        .map_err(|error| format!("{} is not what was asked for: {error}", path.display()).into())
}

/// Writes a document whole and durably, or prints it.
fn put<T: Serialize>(document: &T, path: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let text = serde_json::to_string_pretty(document)?;
    match path {
        None => say(&text),
        Some(path) => put_file(path, &[text.as_bytes(), b"\n"])
            .map_err(|error| format!("{} cannot be written: {error}", path.display()))?,
    }
    Ok(())
}
