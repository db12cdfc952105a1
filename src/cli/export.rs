//! `countersign export`: one organisation as a file that another server imports.
//! Never puts the key into that file.

use super::{machine::machine, serve::say, settings::DataDirectory};
use crate::{
    app::{PLATFORM, tenant_listed},
    store::transfer::Source,
};
use std::{error::Error, path::PathBuf};

/// What to export, and where to.
///
/// The file holds everything that ever happened in the organisation, encrypted as it lies on the server, in a chain
/// of hashes that can be verified anywhere. The key goes into a file of its own: whoever has both can read
/// everything, so send them two ways. The server may be running; what it acknowledged before is in the file.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    data: DataDirectory,
    /// The organisation's short name.
    #[arg(long)]
    tenant: String,
    /// The file to write; none where the platform operator downloads it from `/tenants/SLUG/export`.
    #[arg(long)]
    out: Option<PathBuf>,
    /// The file to write the organisation's key to.
    #[arg(long)]
    key_out: PathBuf,
}

/// Exports an organisation.
pub(super) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let data = arguments.data.begin()?;
    let source = Source::open(&data, PLATFORM)?;
    let tenant = tenant_listed(source.directory(), &arguments.tenant);
    let tenant = tenant.ok_or_else(|| format!("there is no organisation called {:?}", arguments.tenant))?;
    match &arguments.out {
        Some(out) => {
            let records = source.export(tenant, out, &arguments.key_out, machine().clock.now())?;
            let (out, tenant) = (out.display(), &arguments.tenant);
            say(&format!("{out} holds all {records} records of {tenant}; all of it was verified"));
        }
        None => source.export_key(tenant, &arguments.key_out)?,
    }
    say(&format!("  its key     {}: whoever has both can read everything", arguments.key_out.display()));
    Ok(())
}
