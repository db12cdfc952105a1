//! How many syncs the journal made for its records: each group is one write and one sync.
//! Reads the journal of a server that has ended.

use crate::machine::Fault;
use countersign::{
    domain::time::Timestamp,
    store::{
        disk::FileDisk,
        journal::{FileJournal, Replayed, Settings},
    },
};
use std::{path::Path, sync::Arc};

/// The time between two moments.
pub(crate) struct Window {
    /// What was going on.
    pub(crate) connections: usize,
    pub(crate) begin: Timestamp,
    pub(crate) end: Timestamp,
}

/// A group of the journal.
struct Group {
    at: Timestamp,
    records: usize,
}

fn groups(directory: &Path) -> Result<Vec<Group>, Fault> {
    let disk = Arc::new(FileDisk::open(&directory.join("data").join("journal"))?);
    let (mut groups, mut open): (Vec<Group>, Option<Group>) = (vec![], None);
    FileJournal::open(disk, Settings::new([0; 16]), None, &mut |replayed| {
        match replayed {
            Replayed::Record { record, .. } => {
                let group = open.get_or_insert(Group { at: record.at, records: 0 });
                group.records += 1;
            }
            // A group without records only seals.
            Replayed::Group(_) => groups.extend(open.take()),
            Replayed::Kept(_) | Replayed::Base(_) => {}
        }
        Ok(())
    })?;
    Ok(groups)
}

/// How many records the journal holds.
pub(crate) fn records(directory: &Path) -> Result<usize, Fault> {
    Ok(groups(directory)?.iter().map(|group| group.records).sum())
}

/// Prints the syncs for each record of some windows.
pub(crate) fn print(directory: &Path, windows: &[Window]) -> Result<(), Fault> {
    let groups = groups(directory)?;
    for window in windows {
        let inside = || groups.iter().filter(|group| group.at >= window.begin && group.at <= window.end);
        let (syncs, records) = (inside().count(), inside().map(|group| group.records).sum::<usize>());
        let each = syncs as f64 / (records.max(1)) as f64;
        println!(
            "M at {:>2} connections: {records} commits in {syncs} groups, {each:.3} syncs a mutation",
            window.connections
        );
    }
    Ok(())
}
