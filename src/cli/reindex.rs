//! `countersign reindex`: the index made anew from the journal.
//! Never touches the journal.

use super::{machine::machine, progress::progress, serve::say, settings::DataDirectory};
use crate::store::{Machine, reindex};
use std::error::Error;

/// Whose index.
///
/// A server that finds its index missing or damaged makes it anew by itself; this is for whoever does not want to wait
/// for that at the next start, or wants the space back that the index never gives back by itself.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    data: DataDirectory,
}

/// Makes the index anew.
pub(super) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let data = arguments.data.begin()?;
    let machine = Machine { progress: progress("rebuilding the index"), ..machine() };
    let records = reindex(&data, &machine)?;
    say(&format!("The index of {} was made anew from {records} records", data.display()));
    Ok(())
}
