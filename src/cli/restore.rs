//! `countersign restore`: a data directory from a backup and its keys.
//! Never restores over anything, and never lets a session go on that came with the backup.

use super::{machine::machine, offline::with_app, progress::progress, serve::say, settings::DataDirectory};
use crate::{
    app::Failed,
    store::{Machine, backup::Restore},
};
use std::{error::Error, path::PathBuf};

/// From what to restore, and where to.
///
/// The backup and its keys are verified before anything is written. Everyone has to sign in again, and readers of
/// events begin anew: what happened after the backup is gone, and its positions mean nothing any more. API keys are
/// as they were; those that were revoked after the backup have to be revoked again. Organisations that were erased
/// after the backup do not come back, if the keys are newer than the erasure.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The backup: the directory that `backup --to` named.
    #[arg(long)]
    from: PathBuf,
    /// Its keys: the directory that `backup --keys-to` named, or a copy of the data directory's `keys`.
    #[arg(long)]
    keys: PathBuf,
    #[command(flatten)]
    data: DataDirectory,
}

/// Restores a backup.
pub(super) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let data = arguments.data.begin()?;
    let machine = Machine { progress: progress("restoring"), ..machine() };
    let restore = Restore::begin(&data, &arguments.from, &arguments.keys, &machine)?;
    let (tenants, taken_at) = (restore.tenants(), restore.taken_at());
    with_app(restore.directory(), &machine, async |app| {
        for tenant in tenants {
            let failed = |failed: Failed| format!("the organisation {tenant} cannot be restored: {failed:?}");
            app.receive_restored(tenant, taken_at).await.map_err(failed)?;
        }
        Ok(())
    })?;
    let (manifest, erased_since) = (restore.manifest().clone(), restore.erased_since().to_vec());
    restore.finish()?;
    say(&format!(
        "{} holds {} records of {} organisations, as they were at {}",
        data.display(),
        manifest.records,
        manifest.tenants.len(),
        manifest.taken_at,
    ));
    let erased = manifest.tenants.iter().filter(|held| !held.key).count();
    if erased > 0 {
        say(&format!("  {erased} of them had been erased, and stay erased"));
    }
    for tenant in erased_since {
        say(&format!("  the organisation {tenant} was erased after that, and stays erased"));
    }
    say("  Everyone has to sign in again. Revoke the API keys anew that were revoked after that time.");
    Ok(())
}
