//! The one writer: decides commands against the newest states, appends their group, and only then shows and answers.
//! Never reads the index, never frees a state, and never answers before the group is durable, refusals included.

mod broken;

use self::broken::StopsOnPanic;
use super::{
    behind::{Follow, Followed},
    cipher,
    codec::{self, Commit, EncodedWrite},
    fault::Fault,
    journal::{AppendError, Checkpoint, Entry as JournalEntry, Journal, Stored, record_bytes},
    keys::{Keys, TenantKey},
    queue::{Job, Queue, Settle, Settled, Waiter, Work},
    quota::{Account, Accounts, refused},
    slot::{Entry, Slots, Version},
    turn::Turn,
};
use crate::{
    domain::{
        id::{Ids, TenantId},
        state::{Landed, State},
        time::{Clock, Timestamp},
    },
    limits::{GROUP_COMMANDS_MAX, JOURNAL_SEAL_MILLISECONDS},
};
use std::{
    collections::{BTreeMap, btree_map},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Sender, SyncSender},
    },
    time::Duration,
};

/// A journal that can say where its last group lies, for the index's checkpoint, and the latest time in it.
pub(super) trait Positioned: Journal {
    fn position(&self) -> Checkpoint;
    fn at(&self) -> Timestamp;
}

/// Everything that the writer's thread owns or uses.
pub(super) struct Writer<J> {
    pub(super) journal: J,
    pub(super) heads: BTreeMap<TenantId, u64>,
    pub(super) slots: Arc<Slots>,
    pub(super) accounts: Arc<Accounts>,
    pub(super) queue: Arc<Queue>,
    pub(super) keys: Arc<Keys>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn Ids>,
    pub(super) behind: SyncSender<Followed>,
    pub(super) loader: Sender<(TenantId, u64)>,
    /// Set after a failed sync: whoever asks whether the server is ready hears of it.
    pub(super) stopped: Arc<AtomicBool>,
    pub(super) tenant_idle_seconds: i64,
    pub(super) parked: BTreeMap<TenantId, Parked>,
    /// Whether the last group holds commits that no later group seals yet.
    pub(super) unsealed: bool,
}

/// Who waits for a tenant that is being loaded.
#[derive(Default)]
pub(super) struct Parked {
    jobs: Vec<Job>,
    waiters: Vec<Waiter>,
}

/// What one group does to one tenant.
struct Working {
    state: State,
    number: u64,
    at: Timestamp,
    account: Arc<Account>,
    /// How many bytes the tenant's records take, the group's included.
    bytes: u64,
}

/// A commit that waits for its group.
struct Staged {
    tenant: TenantId,
    number: u64,
    at: Timestamp,
    commit: Commit,
    sealed: Vec<u8>,
    /// How many bytes its record takes.
    bytes: u64,
}

/// A command that waits for its group, and the number of its commit or of what it rests on.
struct Answer {
    tenant: TenantId,
    number: u64,
    settle: Settle,
}

#[derive(Default)]
struct Group {
    working: BTreeMap<TenantId, Working>,
    staged: Vec<Staged>,
    answers: Vec<Answer>,
}

impl<J: Positioned> Writer<J> {
    /// Works until the queue stops, then seals the journal. What a panic outside a command leaves of a group is not
    /// known, so that nothing is written after one, until a restart; whoever reads reads on.
    pub(super) fn run(mut self) {
        let patience = Duration::from_millis(JOURNAL_SEAL_MILLISECONDS);
        let worked = catch_unwind(AssertUnwindSafe(|| {
            while self.step(patience) {}
            self.seal();
        }));
        if worked.is_err() {
            tracing::error!("the writer panicked and writes no more: restart the server");
            self.stopped.store(true, Ordering::Release);
            self.refuse_all(patience);
        }
    }

    /// Does what comes next, or idles when nothing came for so long; answers whether to go on.
    pub(super) fn step(&mut self, patience: Duration) -> bool {
        match self.queue.take(GROUP_COMMANDS_MAX, patience) {
            Work::Jobs(jobs) => self.jobs(jobs),
            Work::Need(tenant, waiter) => self.need(tenant, waiter),
            Work::Loaded(tenant, loaded) => self.loaded(tenant, loaded),
            Work::Forget(tenant) => self.forget(tenant),
            Work::Idle => self.idle(),
            Work::Stop => return !self.parked.is_empty(),
        }
        true
    }

    fn jobs(&mut self, jobs: Vec<(TenantId, Job)>) {
        let mut group = Group::default();
        for (tenant, job) in jobs {
            self.decide(&mut group, tenant, job);
        }
        self.settle(group);
    }

    fn need(&mut self, tenant: TenantId, waiter: Waiter) {
        if let Some(version) = self.slots.slot(tenant).version.load_full() {
            // Whoever no longer waits needs no answer.
            waiter.send(Ok(version)).ok();
            return;
        }
        self.park(tenant).waiters.push(waiter);
    }

    fn park(&mut self, tenant: TenantId) -> &mut Parked {
        let number = self.heads.get(&tenant).copied().unwrap_or(0);
        let loader = &self.loader;
        self.parked.entry(tenant).or_insert_with(|| {
            if loader.send((tenant, number)).is_err() {
                tracing::error!(%tenant, "the loader is gone");
            }
            Parked::default()
        })
    }

    fn loaded(&mut self, tenant: TenantId, loaded: Result<Box<Version>, Fault>) {
        let parked = self.parked.remove(&tenant).unwrap_or_default();
        match loaded {
            Ok(version) => {
                let slot = self.slots.slot(tenant);
                let version: Arc<Version> = version.into();
                slot.head.send_replace(version.number);
                slot.indexed.store(version.number, Ordering::Release);
                slot.touch(self.clock.now());
                slot.past.mark(&version);
                slot.version.store(Some(Arc::clone(&version)));
                for waiter in parked.waiters {
                    waiter.send(Ok(Arc::clone(&version))).ok();
                }
                self.jobs(parked.jobs.into_iter().map(|job| (tenant, job)).collect());
            }
            Err(fault) => {
                for waiter in parked.waiters {
                    waiter.send(Err(fault)).ok();
                }
                parked.jobs.into_iter().for_each(|job| self.refuse(tenant, job, fault));
            }
        }
    }

    /// Decides one command against the newest state, its own group's included.
    fn decide(&mut self, group: &mut Group, tenant: TenantId, job: Job) {
        let _stops = StopsOnPanic(Arc::clone(&self.stopped));
        let now = self.clock.now();
        let slot = self.slots.slot(tenant);
        slot.touch(now);
        let working = match group.working.entry(tenant) {
            btree_map::Entry::Occupied(known) => known.into_mut(),
            btree_map::Entry::Vacant(new) => {
                let Some(version) = slot.version.load_full() else {
                    self.park(tenant).jobs.push(job);
                    return;
                };
                let (state, number) = (version.state.clone(), version.number);
                let account = self.accounts.account(tenant);
                let bytes = account.bytes();
                new.insert(Working { state, number, at: self.journal.at(), account, bytes })
            }
        };
        // A clock that was set back never reorders a tenant's history, nor does one that stood wrong before a restart.
        let at = now.max(working.at);
        let ids = Arc::clone(&self.ids);
        let Job { viewer, decide } = job;
        let mut turn = Turn { state: working.state.clone(), viewer: &viewer, now: at, ids: &*ids, landed: vec![] };
        let Ok((stands, settle)) = catch_unwind(AssertUnwindSafe(|| decide(&mut turn))) else {
            // The command broke down, and has told its caller so.
            tracing::error!(%tenant, "a command panicked; nothing of it was done");
            return;
        };
        let Turn { state, landed, .. } = turn;
        if !stands || landed.is_empty() {
            group.answers.push(Answer { tenant, number: working.number, settle });
            return;
        }
        let number = working.number + 1;
        match self.key(tenant, number).and_then(|key| {
            let commit = commit(viewer.principal(), landed)?;
            let plain = codec::encode(&commit).map_err(|_| Fault::Unreadable)?;
            let sealed = cipher::seal(&key, tenant, &number.to_le_bytes(), &plain).map_err(|_| Fault::Unreadable)?;
            Ok((commit, sealed))
        }) {
            Ok((commit, sealed)) => {
                let bytes = record_bytes(sealed.len());
                let (by, reached) = ((viewer.principal(), commit.action), working.bytes.saturating_add(bytes));
                let held = working.account.must_hold(by, (&working.state, working.bytes), (&state, reached));
                if let Err(refusal) = held {
                    group.answers.push(Answer { tenant, number: working.number, settle: refused(settle, refusal) });
                    return;
                }
                (working.state, working.number, working.at, working.bytes) = (state, number, at, reached);
                group.staged.push(Staged { tenant, number, at, commit, sealed, bytes });
                group.answers.push(Answer { tenant, number, settle });
            }
            Err(fault) => settle(Settled::Failed(fault)),
        }
    }

    /// The tenant's key; made with its first commit. Later a missing one means that the tenant was erased.
    fn key(&self, tenant: TenantId, number: u64) -> Result<TenantKey, Fault> {
        if number == 1 {
            return self.keys.create(tenant).map_err(|error| {
                tracing::error!(%tenant, %error, "the tenant's key cannot be made");
                Fault::Refused
            });
        }
        self.keys.key(tenant).ok_or(Fault::Unreadable)
    }

    /// Makes a group durable, shows it, answers, and lets the index follow; or answers that it failed.
    fn settle(&mut self, group: Group) {
        let Group { working, mut staged, answers } = group;
        let _stops = StopsOnPanic(Arc::clone(&self.stopped));
        let entries = staged.iter_mut().map(|staged| JournalEntry {
            tenant: staged.tenant,
            number: staged.number,
            at: staged.at,
            payload: std::mem::take(&mut staged.sealed),
        });
        let entries: Vec<_> = entries.collect();
        let stored = if entries.is_empty() {
            Ok(vec![])
        } else {
            pollster::block_on(self.journal.append(entries, self.clock.now()))
        };
        match stored {
            Ok(stored) => self.show(working, staged, &stored, answers),
            Err(error) => {
                let fault = self.fault(&error);
                answers.into_iter().for_each(|answer| (answer.settle)(Settled::Failed(fault)));
            }
        }
    }

    fn fault(&self, error: &AppendError) -> Fault {
        tracing::error!(%error, "a group was not written");
        match error {
            AppendError::Full(_) => Fault::StorageFull,
            AppendError::Refused(_) | AppendError::TooLarge { .. } | AppendError::NotTheHead { .. } => Fault::Refused,
            AppendError::Unknown(_) => {
                self.stopped.store(true, Ordering::Release);
                Fault::OutcomeUnknown
            }
            AppendError::Stopped => {
                self.stopped.store(true, Ordering::Release);
                Fault::Stopped
            }
        }
    }

    fn show(
        &mut self,
        working: BTreeMap<TenantId, Working>,
        staged: Vec<Staged>,
        stored: &[Stored],
        answers: Vec<Answer>,
    ) {
        let mut versions = BTreeMap::new();
        for (tenant, Working { state, number, account, bytes, .. }) in working {
            account.reach(bytes);
            let version = Arc::new(Version { number, state });
            let slot = self.slots.slot(tenant);
            // Only what changed is new; a refused command leaves the version that is there.
            if self.heads.get(&tenant).copied().unwrap_or(0) < number {
                slot.past.mark(&version);
                slot.version.store(Some(Arc::clone(&version)));
                self.heads.insert(tenant, number);
            }
            versions.insert(tenant, (version, slot));
        }
        let mut commits = Vec::with_capacity(staged.len());
        for (Staged { tenant, number, at, commit, bytes, .. }, Stored { place, hash }) in staged.into_iter().zip(stored)
        {
            commits.push(Follow::of((tenant, number), *place, (*hash, bytes), &commit));
            if let Some((_, slot)) = versions.get(&tenant) {
                slot.append(Arc::new(Entry { number, at, commit }));
            }
        }
        for Answer { tenant, number, settle } in answers {
            match versions.get(&tenant) {
                Some((version, _)) => settle(Settled::Durable { version: Arc::clone(version), number }),
                None => settle(Settled::Failed(Fault::Unreadable)),
            }
        }
        for (version, slot) in versions.values() {
            slot.head.send_if_modified(|head| std::mem::replace(head, version.number) != version.number);
        }
        if !commits.is_empty() {
            self.unsealed = true;
            self.follow(commits);
        }
    }

    fn follow(&self, commits: Vec<Follow>) {
        if self.behind.send(Followed { commits, checkpoint: self.journal.position() }).is_err() {
            tracing::error!("the index is not written any more");
        }
    }

    fn forget(&self, tenant: TenantId) {
        let slot = self.slots.slot(tenant);
        slot.version.store(None);
        slot.forget_tail();
    }

    /// Marks what was acknowledged, and lets tenants go that nobody uses.
    fn idle(&mut self) {
        self.seal();
        let now = self.clock.now();
        for (tenant, slot) in self.slots.all() {
            let Some(version) = slot.version.load_full() else { continue };
            let touched = Timestamp::from_milliseconds(slot.touched.load(Ordering::Relaxed));
            let idle = touched.plus_seconds(self.tenant_idle_seconds) <= now;
            let indexed = slot.indexed.load(Ordering::Acquire) >= version.number;
            if idle && indexed && slot.head.receiver_count() == 0 && !self.parked.contains_key(&tenant) {
                slot.version.store(None);
                slot.forget_tail();
                // Freeing a large state takes long; it must not hold up the next command.
                std::thread::spawn(move || drop(version));
            }
        }
    }

    fn seal(&mut self) {
        if !self.unsealed || self.stopped.load(Ordering::Acquire) {
            return;
        }
        match pollster::block_on(self.journal.append(vec![], self.clock.now())) {
            Ok(_) => {
                self.unsealed = false;
                self.follow(vec![]);
            }
            Err(error) => {
                self.fault(&error);
            }
        }
    }
}

/// One commit of all that a command staged; it bears the action of the first change.
fn commit(principal: crate::domain::access::Principal, landed: Vec<Landed>) -> Result<Commit, Fault> {
    let action = landed.first().map(|landed| landed.action).ok_or(Fault::Overtaken)?;
    let (mut events, mut writes) = (vec![], vec![]);
    for landed in landed {
        events.extend(landed.events);
        for write in &landed.writes {
            writes.push(EncodedWrite::of(write).map_err(|_| Fault::Unreadable)?);
        }
    }
    Ok(Commit { principal, action, events, writes })
}
