//! `countersign reindex`: the index made anew from the journal.
//! Never touches the journal.

use super::{machine::machine, progress::progress, serve::say};
use crate::store::{Machine, reindex};
use std::{error::Error, path::PathBuf};

/// Whose index.
///
/// A server that finds its index missing or damaged makes it anew by itself; this is for whoever does not want to wait
/// for that at the next start, or wants the space back that the index never gives back by itself.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What the server keeps its data in.
    #[arg(long, env = "COUNTERSIGN_DATA_DIR", default_value = "countersign-data")]
    data_dir: PathBuf,
}

/// Makes the index anew.
pub(super) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let machine = Machine { progress: progress("rebuilding the index"), ..machine() };
    let records = reindex(&arguments.data_dir, &machine)?;
    say(&format!("The index of {} was made anew from {records} records", arguments.data_dir.display()));
    Ok(())
}
