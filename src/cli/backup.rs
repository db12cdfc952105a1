//! `countersign backup`: what a server holds, copied while it runs, and verified.
//! Never puts keys and content into one place.

use super::{machine::machine, progress::progress, serve::say, settings::DataDirectory};
use crate::store::{
    backup::{Target, take},
    note_backup,
};
use std::{error::Error, path::PathBuf};

/// What to back up, and where to.
///
/// Two directories are written, to be kept in two places: the backup itself, which is encrypted, and the keys,
/// without which nobody can read it. Backing up into the same directories again copies only what is new. The server
/// may be running. When this ends with 0, everything that it had acknowledged before is in the backup, and every
/// hash and key in it was checked.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("keys").required(true))]
pub(super) struct Arguments {
    #[command(flatten)]
    data: DataDirectory,
    /// Where the backup goes: an empty directory, or the one of an earlier backup.
    #[arg(long)]
    to: PathBuf,
    /// Where the keys go: another place, that only its owner may enter. Without the keys nothing can be read.
    #[arg(long, group = "keys")]
    keys_to: Option<PathBuf>,
    /// Leave the keys out, because you save the data directory's `keys` in another way, after this.
    #[arg(long, group = "keys")]
    without_keys: bool,
    /// Print one line of JSON, the backup's manifest, instead of sentences.
    #[arg(long)]
    json: bool,
}

/// Takes a backup.
pub(super) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let data = arguments.data.begin()?;
    let target = Target { backup: &arguments.to, keys: arguments.keys_to.as_deref() };
    let taken = take(&data, target, machine().clock.now(), &*progress("copying"))?;
    // A directory that cannot be written to is backed up all the same; its server then tells the age of an older backup.
    note_backup(&data).unwrap_or_else(|error| tracing::warn!(%error, "the data directory does not note the backup"));
    let manifest = &taken.manifest;
    if arguments.json {
        say(&serde_json::to_string(manifest)?);
        return Ok(());
    }
    say(&format!(
        "{} holds {} records of {} organisations, up to group {}, taken {}; all of it was verified",
        arguments.to.display(),
        manifest.records,
        manifest.tenants.len(),
        manifest.group,
        manifest.taken_at,
    ));
    say(&format!("  copied      {} of {} bytes; the rest was there", taken.bytes_copied, manifest.bytes()));
    match &arguments.keys_to {
        Some(keys) => say(&format!("  its keys    {}: keep them in another place than the backup", keys.display())),
        None => say(&format!("  its keys    not saved: save {} now", data.join("keys").display())),
    }
    Ok(())
}
