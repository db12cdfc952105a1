//! The commands that wait for the writer: one bounded line for each tenant, served in turns.
//! Never lets one tenant's flood stand before another's command.

use super::{fault::Fault, slot::Version, turn::Turn};
use crate::{
    domain::{access::Viewer, id::TenantId, refusal::Refusal},
    limits::QUEUE_COMMANDS_MAX,
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::oneshot;

/// What became of a command's group.
pub(super) enum Settled {
    /// It is durable; the tenant's version after it, and the number of the command's own commit.
    Durable { version: Arc<Version>, number: u64 },
    /// It is durable, without the command, which is more than the tenant is allowed.
    Refused(Refusal),
    /// It is not.
    Failed(Fault),
}

/// Answers the caller, once the group is settled.
pub(super) type Settle = Box<dyn FnOnce(Settled) + Send>;

/// A command, with its answer's type erased: says whether what it staged stands, and how to answer.
pub(super) type Decide = Box<dyn FnOnce(&mut Turn<'_>) -> (bool, Settle) + Send>;

/// A command and who gave it.
pub(super) struct Job {
    pub(super) viewer: Arc<Viewer>,
    pub(super) decide: Decide,
}

/// Whoever waits for a tenant's state.
pub(super) type Waiter = oneshot::Sender<Result<Arc<Version>, Fault>>;

/// What the writer has to do next.
pub(super) enum Work {
    /// These commands, at most so many, fairly taken.
    Jobs(Vec<(TenantId, Job)>),
    /// A reader needs a tenant that is not in memory.
    Need(TenantId, Waiter),
    /// A tenant was loaded.
    Loaded(TenantId, Result<Box<Version>, Fault>),
    /// A tenant was erased: its state must not be shown any more.
    Forget(TenantId),
    /// Nothing came for a while.
    Idle,
    /// The server stops, and everything before was done.
    Stop,
}

#[derive(Default)]
struct Lines {
    jobs: BTreeMap<TenantId, VecDeque<Job>>,
    turns: VecDeque<TenantId>,
    calls: VecDeque<Work>,
    stopping: bool,
}

/// The lines before the writer.
#[derive(Default)]
pub(super) struct Queue {
    lines: Mutex<Lines>,
    more: Condvar,
}

impl Queue {
    /// Puts a command at the end of its tenant's line.
    ///
    /// # Errors
    /// `Overloaded` when the line is full, `Stopping` when the server stops.
    pub(super) fn push(&self, tenant: TenantId, job: Job) -> Result<(), Fault> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.stopping {
            return Err(Fault::Stopping);
        }
        let line = lines.jobs.entry(tenant).or_default();
        if line.len() >= QUEUE_COMMANDS_MAX {
            return Err(Fault::Overloaded);
        }
        line.push_back(job);
        if line.len() == 1 {
            lines.turns.push_back(tenant);
        }
        drop(lines);
        self.more.notify_one();
        Ok(())
    }

    /// Tells the writer something; before any command.
    pub(super) fn call(&self, work: Work) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).calls.push_back(work);
        self.more.notify_one();
    }

    /// Takes no more commands; the writer stops once the lines are empty.
    pub(super) fn stop(&self) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).stopping = true;
        self.more.notify_one();
    }

    /// What to do next; waits for it, at most so long.
    pub(super) fn take(&self, most: usize, patience: Duration) -> Work {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(call) = lines.calls.pop_front() {
                return call;
            }
            let jobs = lines.next_jobs(most);
            if !jobs.is_empty() {
                return Work::Jobs(jobs);
            }
            if lines.stopping {
                return Work::Stop;
            }
            let (next, waited) = self.more.wait_timeout(lines, patience).unwrap_or_else(PoisonError::into_inner);
            lines = next;
            if waited.timed_out() && lines.calls.is_empty() && lines.turns.is_empty() && !lines.stopping {
                return Work::Idle;
            }
        }
    }
}

impl Lines {
    /// One command of each tenant in turn, until there are enough.
    fn next_jobs(&mut self, most: usize) -> Vec<(TenantId, Job)> {
        let mut taken = vec![];
        while taken.len() < most {
            let Some(tenant) = self.turns.pop_front() else { break };
            let Some(line) = self.jobs.get_mut(&tenant) else { continue };
            taken.extend(line.pop_front().map(|job| (tenant, job)));
            if line.is_empty() {
                self.jobs.remove(&tenant);
            } else {
                self.turns.push_back(tenant);
            }
        }
        taken
    }
}
