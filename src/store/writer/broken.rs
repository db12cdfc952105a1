//! What a writer says that cannot decide or write any more: everyone who waits hears it, and nobody waits in vain.
//! Never appends anything.

use super::{Positioned, Writer};
use crate::{
    domain::{id::TenantId, state::State},
    limits::GROUP_COMMANDS_MAX,
    store::{
        fault::Fault,
        queue::{Job, Settled, Work},
        turn::Turn,
    },
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Says that nothing is written any more before those hear of it who wait for a group that a panic took.
pub(super) struct StopsOnPanic(pub(super) Arc<AtomicBool>);

impl Drop for StopsOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Release);
        }
    }
}

impl<J: Positioned> Writer<J> {
    /// Answers everyone that nothing is written any more, until the queue stops.
    pub(super) fn refuse_all(&mut self, patience: Duration) {
        for (tenant, parked) in std::mem::take(&mut self.parked) {
            parked.waiters.into_iter().for_each(|waiter| drop(waiter.send(Err(Fault::Stopped))));
            parked.jobs.into_iter().for_each(|job| self.refuse(tenant, job, Fault::Stopped));
        }
        loop {
            match self.queue.take(GROUP_COMMANDS_MAX, patience) {
                Work::Jobs(jobs) => jobs.into_iter().for_each(|(tenant, job)| self.refuse(tenant, job, Fault::Stopped)),
                Work::Need(tenant, waiter) => {
                    let version = self.slots.slot(tenant).version.load_full();
                    // Whoever no longer waits needs no answer.
                    waiter.send(version.ok_or(Fault::Stopped)).ok();
                }
                Work::Forget(tenant) => self.forget(tenant),
                Work::Loaded(..) | Work::Idle => {}
                Work::Stop => return,
            }
        }
    }

    /// Answers a command that cannot be decided: the closure owns the way to its caller, so it runs on nothing.
    pub(super) fn refuse(&self, tenant: TenantId, job: Job, fault: Fault) {
        let Job { viewer, decide } = job;
        let (state, now) = (State::empty(tenant), self.journal.at());
        let mut turn = Turn { state, viewer: &viewer, now, ids: &*self.ids, landed: vec![] };
        if let Ok((_, settle)) = catch_unwind(AssertUnwindSafe(|| decide(&mut turn))) {
            settle(Settled::Failed(fault));
        }
    }
}
