//! `countersign import`: an organisation from the file that another server exported.
//! Never begins before the whole file was verified, and never lets anybody in before the whole of it is there.

use super::{machine::machine, offline::with_app, progress::progress, serve::say, settings::DataDirectory};
use crate::{
    app::Failed,
    domain::text::Slug,
    store::{Machine, transfer::Import},
};
use std::{error::Error, path::PathBuf};

/// What to import, and where to.
///
/// The server must be stopped. The whole file is verified before anything is written. Everyone of the organisation
/// has to sign in again; API keys work as before. Until the last step nobody can reach the organisation; an import
/// that was interrupted goes on where it ended when it is repeated.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    data: DataDirectory,
    /// The file that `export --out` wrote.
    #[arg(long)]
    from: PathBuf,
    /// The key that `export --key-out` wrote.
    #[arg(long)]
    key: PathBuf,
    /// Another short name for the organisation here.
    #[arg(long)]
    slug: Option<String>,
}

/// Imports an organisation.
pub(super) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let data = arguments.data.begin()?;
    let refused = |failed: Failed| match failed {
        Failed::Refused(refusal) => format!("{} {}", refusal.sentence(), refusal.code().remedy()),
        Failed::Denied(_) | Failed::Fault(_) => format!("the organisation cannot be entered: {failed:?}"),
    };
    let named = arguments.slug.as_deref().map(|slug| Slug::parse("slug", slug)).transpose();
    let named = named.map_err(|refusal| refused(refusal.into()))?;
    let import = Import::open(&arguments.from, &arguments.key)?;
    let slug = named.unwrap_or_else(|| import.slug().clone());
    let machine = Machine { progress: progress("importing"), ..machine() };
    with_app(&data, &machine, async |app| Ok(app.must_be_new(import.tenant(), &slug).await?))?;
    import.append(&data, &machine)?;
    with_app(&data, &machine, async |app| {
        Ok(app.receive_imported(import.tenant(), slug.clone()).await.map_err(refused)?)
    })?;
    say(&format!("{slug} is here with all {} records of its history", import.records()));
    say("  Everyone has to sign in again. Remove the organisation where it comes from, or both go on apart.");
    Ok(())
}
