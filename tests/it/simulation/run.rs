//! One run: operations drawn from a seed on the real store in steps, and its ends: stop, kill, power cut, in any moment.
//! Never lets a thread decide what comes first, so that the same seed is the same run.

use super::{
    command::{Answering, Asked, Command, tenant_id},
    model::Tenant,
    random::Random,
};
use crate::{
    machine::{CountedIds, HandClock, machine},
    memory_disk::{Fault as Failure, MemoryDisk},
};
use countersign::{
    app::founder,
    domain::time::Clock,
    store::{Data, Failed, Fault, Machine, Snapshot, Steps, Store, codec},
};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io::ErrorKind,
    path::PathBuf,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};
use tokio::runtime::Runtime;

pub(crate) const TENANTS: usize = 3;

/// What happened in a run, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) operations: u64,
    pub(crate) commits: u64,
    pub(crate) several_in_a_group: u64,
    pub(crate) refused: u64,
    pub(crate) full: u64,
    pub(crate) unknown: u64,
    pub(crate) unknown_done: u64,
    pub(crate) repeated: u64,
    pub(crate) loads: u64,
    pub(crate) stops: u64,
    pub(crate) kills: u64,
    pub(crate) power_cuts: u64,
    pub(crate) failed_starts: u64,
}

pub(crate) struct Run {
    pub(super) chance: Random,
    pub(super) clock: Arc<HandClock>,
    pub(super) disk: MemoryDisk,
    pub(super) machine: Machine,
    pub(super) boots: u32,
    pub(super) directory: tempfile::TempDir,
    pub(super) runtime: Runtime,
    pub(super) store: Option<(Store, Steps)>,
    pub(super) pending: Vec<(Asked, Answering)>,
    /// Commands that nobody answered: they come again under their keys.
    pub(super) again: Vec<Asked>,
    pub(super) known: Vec<Tenant>,
    /// What is known if the group of unknown outcome was written.
    pub(super) otherwise: Option<Vec<Tenant>>,
    /// Whether the disk was made to fail since the last start.
    pub(super) trouble: bool,
    pub(super) saves_index: bool,
    pub(super) counts: Counts,
    /// Everything that was decided, in order.
    pub(super) trace: DefaultHasher,
    keys: u64,
}

impl Run {
    /// Runs a seed; answers a digest of all that was decided, or what is wrong.
    pub(crate) fn seed(seed: u64, operations: u64) -> Result<(u64, Counts), String> {
        let mut run = Self::new(seed);
        run.open()?;
        while run.counts.operations < operations {
            run.counts.operations += 1;
            run.operation().map_err(|wrong| format!("operation {}: {wrong}", run.counts.operations))?;
        }
        run.finish().map_err(|wrong| format!("at the end: {wrong}"))?;
        run.counts.commits = run.known.iter().map(|tenant| tenant.number).sum();
        Ok((run.trace.finish(), run.counts))
    }

    fn new(seed: u64) -> Self {
        let mut chance = Random::new(seed);
        let memory = PathBuf::from("/dev/shm");
        let directory = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let clock = HandClock::new();
        let disk = MemoryDisk::seeded(chance.next());
        let opened = disk.clone();
        let machine = Machine {
            tenant_idle_seconds: 60,
            journal: Arc::new(move |_| Ok(Arc::new(opened.clone()))),
            journal_segment_bytes_max: 4_000 + chance.below(60_000),
            boot: "boot 0".to_owned(),
            ..machine(&clock, CountedIds::from(1 << 32))
        };
        Self {
            chance,
            clock,
            disk,
            machine,
            boots: 0,
            directory: directory.unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
            store: None,
            pending: vec![],
            again: vec![],
            known: vec![Tenant::default(); TENANTS],
            otherwise: None,
            trouble: false,
            saves_index: false,
            counts: Counts::default(),
            trace: DefaultHasher::new(),
            keys: 0,
        }
    }

    fn operation(&mut self) -> Result<(), String> {
        if self.store.as_ref().is_some_and(|(store, _)| store.is_stopped()) && self.chance.one_in(8) {
            return self.end_somehow();
        }
        match self.chance.below(1_000) {
            0..550 => self.ask()?,
            550..720 => self.pump()?,
            720..790 => {
                let tenant = self.chance.index(TENANTS);
                let shown = self.read(tenant)?;
                self.known[tenant].compare(&shown)?;
            }
            790..870 => _ = self.steps().index(),
            870..930 => {
                self.pump()?;
                if self.store.is_some() {
                    self.clock.advance(self.chance.below(90) as i64);
                    self.steps().write();
                }
            }
            930..950 => self.clock.advance(if self.chance.one_in(20) { 90_000 } else { 1 }),
            950..970 => self.plan_failure(),
            970..978 => {
                self.disk.fill(true);
                self.trouble = true;
            }
            978..986 => self.disk.fill(false),
            986..992 => {
                self.disk.stop_after(1 + self.chance.below(6) as u32);
                self.trouble = true;
            }
            _ => return self.end_somehow(),
        }
        if self.disk.is_stopped() { self.end_broken() } else { Ok(()) }
    }

    pub(super) fn plan_failure(&mut self) {
        let kind = [ErrorKind::Other, ErrorKind::StorageFull, ErrorKind::QuotaExceeded][self.chance.index(3)];
        let failure = match self.chance.below(10) {
            0..3 => Failure::Write(self.chance.index(2_000), kind),
            3..5 => Failure::Sync,
            5 => Failure::Truncate,
            6 => Failure::Create,
            7 => Failure::Rename,
            8 => Failure::Remove,
            _ => Failure::SyncDirectory,
        };
        self.disk.fail_after(self.chance.below(4) as u32, failure);
        self.trouble = true;
    }

    pub(super) fn steps(&mut self) -> &mut Steps {
        &mut self.store.as_mut().expect("the store is open").1
    }

    pub(super) fn data(&self, tenant: usize) -> Data {
        self.store.as_ref().expect("the store is open").0.of(&founder(tenant_id(tenant)))
    }

    /// Gives the writer one more command to wait for its turn.
    fn ask(&mut self) -> Result<(), String> {
        let asked = match self.again.pop() {
            Some(asked) => {
                self.counts.repeated += 1;
                asked
            }
            None => {
                let tenant = self.chance.index(TENANTS);
                let command = Command::draw(&self.known[tenant], &mut self.chance);
                let key = command.may_repeat().then(|| self.key(&command)).filter(|_| self.chance.one_in(2));
                Asked { tenant, command, key }
            }
        };
        format!("{asked:?}").hash(&mut self.trace);
        let mut answering = asked.ask(&self.store.as_ref().expect("the store is open").0);
        match answering.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => self.pending.push((asked, answering)),
            Poll::Ready(answer) => return Err(format!("{asked:?} was answered {answer:?} without the writer")),
        }
        if self.pending.len() > 12 { self.pump() } else { Ok(()) }
    }

    /// Mostly a new one, sometimes one that may have been used. Founding is the server's own, under keys of its own.
    fn key(&mut self, command: &Command) -> String {
        self.keys += 1;
        let number = if self.chance.one_in(20) { 1 + self.chance.below(self.keys) } else { self.keys };
        format!("{}{number}", if *command == Command::Found { "founding" } else { "key" })
    }

    /// Lets the writer work until everyone is answered or the machine is off.
    pub(super) fn pump(&mut self) -> Result<(), String> {
        for _ in 0..1_000 {
            if self.pending.is_empty() || self.disk.is_stopped() {
                return Ok(());
            }
            self.step()?;
        }
        Err(format!("nobody answers {:?}", self.pending.iter().map(|(asked, _)| asked).collect::<Vec<_>>()))
    }

    /// One turn of the loader or the writer, and what was answered in it.
    fn step(&mut self) -> Result<(), String> {
        if self.steps().load() {
            self.counts.loads += 1;
            return Ok(());
        }
        self.steps().write();
        let mut answers = vec![];
        for (asked, mut answering) in std::mem::take(&mut self.pending) {
            match answering.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => self.pending.push((asked, answering)),
                Poll::Ready(answer) => answers.push((asked, answer)),
            }
        }
        self.group(answers)
    }

    /// What one group came to: all of it, nothing of it, or nobody knows.
    fn group(&mut self, answers: Vec<(Asked, Result<super::command::Told, Failed>)>) -> Result<(), String> {
        format!("{answers:?}").hash(&mut self.trace);
        let fault = |answer: &Result<_, Failed>| match answer {
            Err(Failed::Fault(fault)) if *fault != Fault::Panicked => Some(*fault),
            Err(_) | Ok(_) => None,
        };
        let now = self.clock.now();
        let Some(failed) = answers.iter().find_map(|(_, answer)| fault(answer)) else {
            let before: u64 = self.known.iter().map(|tenant| tenant.number).sum();
            for (asked, answer) in &answers {
                self.counts.refused += u64::from(answer.is_err());
                self.known[asked.tenant].hear(asked, answer, now)?;
            }
            let after: u64 = self.known.iter().map(|tenant| tenant.number).sum();
            self.counts.several_in_a_group += u64::from(after > before + 1);
            return self.note_commits();
        };
        if !self.trouble {
            return Err(format!("{failed:?} though nothing was made to fail: {answers:?}"));
        }
        let whole = answers
            .iter()
            .all(|(_, answer)| fault(answer) == Some(failed) || matches!(answer, Err(Failed::Fault(Fault::Panicked))));
        if !whole {
            return Err(format!("a group failed by half: {answers:?}"));
        }
        self.again.extend(answers.iter().map(|(asked, _)| asked.clone()));
        match failed {
            Fault::OutcomeUnknown => self.suppose(&answers, now),
            // Nobody hears the answer of a machine that is off, whatever it was.
            Fault::StorageFull | Fault::Refused if self.disk.is_stopped() => self.suppose(&answers, now),
            Fault::StorageFull | Fault::Refused => {
                self.counts.full += 1;
                Ok(())
            }
            Fault::Stopped => Ok(()),
            Fault::Overloaded
            | Fault::Stopping
            | Fault::Panicked
            | Fault::Overtaken
            | Fault::Rebuilding
            | Fault::Unreadable => Err(format!("no disk leads to {failed:?}: {answers:?}")),
        }
    }

    fn suppose<T>(&mut self, answers: &[(Asked, T)], now: countersign::domain::time::Timestamp) -> Result<(), String> {
        self.counts.unknown += 1;
        let mut otherwise = self.known.clone();
        for (asked, _) in answers {
            otherwise[asked.tenant].suppose(asked, now);
        }
        match self.otherwise.replace(otherwise) {
            None => Ok(()),
            Some(_) => Err("two groups have an unknown outcome".to_owned()),
        }
    }

    /// Remembers every commit that was acknowledged, as the history shows it.
    fn note_commits(&mut self) -> Result<(), String> {
        for tenant in 0..TENANTS {
            let seen = self.known[tenant].commits.len() as u64;
            if self.known[tenant].number > seen {
                let more = self.commits_after(tenant, seen)?;
                more.hash(&mut self.trace);
                self.known[tenant].commits.extend(more);
            }
        }
        Ok(())
    }

    /// The digests of a tenant's commits after this number.
    pub(super) fn commits_after(&self, tenant: usize, number: u64) -> Result<Vec<u64>, String> {
        let history = self.data(tenant).history();
        let entries = self.runtime.block_on(history.after(number, usize::MAX)).map_err(|fault| fault.to_string())?;
        let mut next = number;
        let digests = entries.into_iter().map(|entry| {
            next += 1;
            if entry.number != next || entry.commit.events.is_empty() {
                return Err(format!("tenant {tenant}: commit {} stands where {next} belongs", entry.number));
            }
            let mut digest = DefaultHasher::new();
            (entry.number, entry.at.milliseconds()).hash(&mut digest);
            codec::encode(&entry.commit).unwrap().hash(&mut digest);
            Ok(digest.finish())
        });
        digests.collect()
    }

    /// The newest version of a tenant, loaded first where it was let go.
    pub(super) fn read(&mut self, tenant: usize) -> Result<Snapshot, String> {
        let data = self.data(tenant);
        let mut reading = pin!(data.read());
        for _ in 0..1_000 {
            if let Poll::Ready(shown) = reading.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return shown.map_err(|fault| format!("tenant {tenant} cannot be read: {fault}"));
            }
            self.step()?;
        }
        Err(format!("nobody answers the reader of tenant {tenant}"))
    }
}
