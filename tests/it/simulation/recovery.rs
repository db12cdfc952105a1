//! How an incarnation of the store ends, and what is compared when the next one has started.
//! Never takes an unknown outcome for either before the store shows it: then it is that for good.

use super::run::{Run, TENANTS};
use crate::world::copy;
use countersign::store::{OpenError, Store, check_on, journal};
use std::{fs, hash::Hash, path::PathBuf};

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum End {
    Stop,
    Kill,
    PowerCut,
}

impl Run {
    fn path(&self, what: &str) -> PathBuf {
        self.directory.path().join(what)
    }

    pub(super) fn end_somehow(&mut self) -> Result<(), String> {
        let end = [End::Stop, End::Kill, End::PowerCut][self.chance.index(3)];
        self.end(end)
    }

    /// Ends it without asking it.
    pub(super) fn end_broken(&mut self) -> Result<(), String> {
        let end = [End::Kill, End::PowerCut][self.chance.index(2)];
        self.end(end)
    }

    /// Ends the store, starts it again, and compares.
    fn end(&mut self, end: End) -> Result<(), String> {
        end.hash(&mut self.trace);
        if end == End::Stop {
            self.stop()?;
            if self.chance.one_in(3) {
                self.cut_power();
            }
        } else {
            self.kill();
            if end == End::PowerCut {
                self.cut_power();
                self.lose_index();
            }
        }
        self.disk.restart();
        self.open()
    }

    fn stop(&mut self) -> Result<(), String> {
        self.pump()?;
        if self.disk.is_stopped() {
            self.kill();
            return Ok(());
        }
        self.counts.stops += 1;
        let (store, steps) = self.store.take().expect("the store is open");
        steps.close(store);
        if self.trouble { Ok(()) } else { self.check() }
    }

    /// Checks what lies on the disk after a clean stop, index and journal against each other.
    fn check(&mut self) -> Result<(), String> {
        let checked = check_on(&self.path("data"), &self.machine.journal, &self.machine.boot);
        let checked = checked.map_err(|error| format!("the check refuses: {error}"))?;
        let records: u64 = self.known.iter().map(|tenant| tenant.number).sum();
        if checked.records != records || !checked.problems.is_empty() {
            return Err(format!("{checked:?}, where {records} records were acknowledged"));
        }
        Ok(())
    }

    fn kill(&mut self) {
        self.counts.kills += 1;
        let waiting = std::mem::take(&mut self.pending);
        self.again.extend(waiting.into_iter().map(|(asked, _)| asked));
        self.store = None;
        if std::mem::take(&mut self.saves_index) {
            // The index as it was when the process began: nothing of what came since had left its buffers.
            fs::remove_dir_all(self.path("data/index")).unwrap();
            copy(&self.path("index"), &self.path("data/index"));
        }
    }

    fn cut_power(&mut self) {
        self.counts.power_cuts += 1;
        self.boots += 1;
        self.machine.boot = format!("boot {}", self.boots);
        self.disk.cut_power();
    }

    /// sled never syncs, so that a power cut takes any part of it; none of it may be believed.
    fn lose_index(&mut self) {
        let database = self.path("data/index/sled/db");
        match self.chance.below(4) {
            0 => fs::remove_dir_all(self.path("data/index/sled")).unwrap(),
            1 if database.is_file() => fs::write(&database, b"").unwrap(),
            _ => {}
        }
    }

    /// Starts the store, however often the disk makes that fail, and compares everything.
    pub(super) fn open(&mut self) -> Result<(), String> {
        for attempt in 0..5 {
            self.trouble = false;
            if attempt < 3 && self.chance.one_in(4) {
                if self.chance.one_in(2) {
                    self.disk.stop_after(1 + self.chance.below(7) as u32);
                    self.trouble = true;
                } else {
                    self.plan_failure();
                }
            }
            match Store::open_in_steps(&self.path("data"), &self.machine) {
                Ok(opened) => {
                    self.store = Some(opened);
                    return self.compare();
                }
                Err(OpenError::Journal(journal::OpenError::Disk(_))) if self.trouble => {
                    self.counts.failed_starts += 1;
                    if self.chance.one_in(2) {
                        self.cut_power();
                    }
                    self.disk.restart();
                }
                Err(error) => return Err(format!("the store does not open: {error}")),
            }
        }
        Err("the store does not open".to_owned())
    }

    fn compare(&mut self) -> Result<(), String> {
        self.saves_index = self.chance.one_in(2);
        if self.saves_index {
            fs::remove_dir_all(self.path("index")).ok();
            copy(&self.path("data/index"), &self.path("index"));
        }
        let shown: Result<Vec<_>, _> = (0..TENANTS).map(|tenant| self.read(tenant)).collect();
        let shown = shown?;
        if let Some(otherwise) = self.otherwise.take() {
            // Wholly there, in all tenants, or wholly not.
            if shown.iter().zip(&otherwise).all(|(shown, tenant)| shown.number() == tenant.number) {
                self.counts.unknown_done += 1;
                self.known = otherwise;
            }
        }
        for (tenant, shown) in shown.iter().enumerate() {
            self.known[tenant].compare(shown).map_err(|wrong| format!("tenant {tenant} after a start: {wrong}"))?;
            let seen = std::mem::take(&mut self.known[tenant].commits);
            let commits = self.commits_after(tenant, 0)?;
            if commits.len() as u64 != self.known[tenant].number || !commits.starts_with(&seen) {
                return Err(format!("the history of tenant {tenant} is not what was acknowledged"));
            }
            commits.hash(&mut self.trace);
            self.known[tenant].commits = commits;
        }
        Ok(())
    }

    /// The last stop is a clean one, of a disk that works.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        self.end(End::Kill)?;
        self.disk.restart();
        if self.trouble {
            // What was made to fail at the start may have come to pass.
            self.trouble = false;
            if self.store.as_ref().is_some_and(|(store, _)| store.is_stopped()) {
                return Ok(());
            }
        }
        self.stop()
    }
}
