//! `countersign compact`: gives disk space back.
//! Never decides what may go: the store does, by the retention floor.

use super::{machine::machine, progress::progress, serve::say, settings::DataDirectory};
use crate::{
    limits::RETENTION_MONTHS_MIN,
    store::{self, Compacted, Machine, Retention},
};
use std::{error::Error, path::PathBuf};

/// What to keep.
///
/// Stop the server first. What is cut is no longer in timelines, event logs and exports; everything that there is
/// stays as it is, in a base that this server signs. The journal is cut in whole segments of 64 MB, when all in them
/// is older. The disk needs room for a second index meanwhile. A run that was interrupted is finished by another.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    data: DataDirectory,
    /// How many months of history stay, at least 6.
    #[arg(long, default_value_t = RETENTION_MONTHS_MIN)]
    keep_months: u32,
    /// Move what is cut to this directory instead of removing it.
    #[arg(long)]
    archive: Option<PathBuf>,
    /// Print one line of JSON instead of sentences.
    #[arg(long)]
    json: bool,
}

/// Compacts a data directory.
pub(super) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let data = arguments.data.begin()?;
    if !data.is_dir() {
        return Err(format!("there is no data directory {}", data.display()).into());
    }
    let retention = Retention { keep_months: arguments.keep_months, archive: arguments.archive.clone() };
    let machine = Machine { progress: progress("reading"), ..machine() };
    let done = store::compact(&data, &machine, &retention)?;
    say(&if arguments.json { json(&done).to_string() } else { sentences(&done, arguments) });
    Ok(())
}

fn json(done: &Compacted) -> serde_json::Value {
    serde_json::json!({
        "segmentsCut": done.segments,
        "recordsCut": done.records,
        "historyBeginsAfter": done.begins_after.map(|at| at.to_string()),
        "journalBytes": { "before": done.journal_bytes.0, "after": done.journal_bytes.1 },
        "indexBytes": { "before": done.index_bytes.0, "after": done.index_bytes.1 },
    })
}

fn sentences(done: &Compacted, arguments: &Arguments) -> String {
    let cut = match (done.begins_after, &arguments.archive) {
        (None, _) => {
            format!("No segment of the journal holds only what is older than {} months.", arguments.keep_months)
        }
        (Some(at), None) => {
            format!("Cut {} segments with {} records; history begins after {at}.", done.segments, done.records)
        }
        (Some(at), Some(archive)) => format!(
            "Moved {} segments with {} records to {}; history begins after {at}.",
            done.segments,
            done.records,
            archive.display()
        ),
    };
    let changed = |what: &str, (before, after): (u64, u64)| format!("{what}: {before} bytes before, {after} after");
    [cut, changed("Journal", done.journal_bytes), changed("Index, rebuilt", done.index_bytes)].join("\n")
}
