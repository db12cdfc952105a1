//! The tests' machine: a clock that is moved by hand and ids that are counted, so that nothing has to be redacted.

use countersign::{
    domain::{
        id::Ids,
        time::{Clock, Timestamp},
    },
    store::Machine,
};
use std::sync::{
    Arc, Condvar, Mutex,
    atomic::{AtomicI64, AtomicU64, Ordering},
};
use uuid::Uuid;

/// When every world begins: 2026-03-02T08:00:00Z.
pub const BEGINNING: Timestamp = Timestamp::from_milliseconds(1_772_438_400_000);

/// What reading the clock comes to: the machine under the server may fail it, too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Calm,
    /// Panics wherever requests are answered.
    BreaksRequests,
    /// Panics in the store's writer.
    BreaksWriter,
    /// Holds the store's writer until it is calm.
    HoldsWriter,
}

/// A clock that stands still until it is moved.
pub struct HandClock {
    milliseconds: AtomicI64,
    mood: Mutex<Mood>,
    calmed: Condvar,
    held: AtomicU64,
}

impl HandClock {
    /// A clock at the beginning.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            milliseconds: AtomicI64::new(BEGINNING.milliseconds()),
            mood: Mutex::new(Mood::Calm),
            calmed: Condvar::new(),
            held: AtomicU64::new(0),
        })
    }

    /// Moves it.
    pub fn advance(&self, seconds: i64) {
        self.milliseconds.fetch_add(seconds * 1_000, Ordering::Relaxed);
    }

    /// Changes what reading it comes to.
    pub fn is_now(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
        self.calmed.notify_all();
    }

    /// Whether it holds the writer.
    pub fn holds(&self) -> bool {
        self.held.load(Ordering::Acquire) > 0
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        let on = std::thread::current();
        let (writes, answers) = (on.name() == Some("writer"), on.name() == Some("tokio-rt-worker"));
        let mut mood = self.mood.lock().unwrap();
        while *mood == Mood::HoldsWriter && writes {
            self.held.fetch_add(1, Ordering::AcqRel);
            mood = self.calmed.wait(mood).unwrap();
            self.held.fetch_sub(1, Ordering::AcqRel);
        }
        let breaks = (*mood == Mood::BreaksWriter && writes) || (*mood == Mood::BreaksRequests && answers);
        drop(mood);
        assert!(!breaks, "the clock broke, as a test wants");
        Timestamp::from_milliseconds(self.milliseconds.load(Ordering::Relaxed))
    }
}

/// Ids that count up, in the shape of UUIDv7.
pub struct CountedIds(AtomicU64);

impl CountedIds {
    /// Ids from this count on.
    pub fn from(count: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(count)))
    }

    /// Counts on from here, whatever was given before.
    pub fn count_from(&self, count: u64) {
        self.0.store(count, Ordering::Relaxed);
    }
}

impl Ids for CountedIds {
    fn next(&self) -> Uuid {
        let count = u128::from(self.0.fetch_add(1, Ordering::Relaxed));
        Uuid::from_u128((0x019c_0000_0000_u128 << 80) | (0x7 << 76) | (0x2 << 62) | count)
    }
}

/// A machine of this clock and ids from this count on.
pub fn machine(clock: &Arc<HandClock>, ids: Arc<CountedIds>) -> Machine {
    Machine::new(Arc::clone(clock) as _, ids)
}
