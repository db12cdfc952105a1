//! The tests' machine: a clock that is moved by hand and ids that are counted, so that nothing has to be redacted.

use countersign::{
    domain::{
        id::Ids,
        time::{Clock, Timestamp},
    },
    store::Machine,
};
use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering},
};
use uuid::Uuid;

/// When every world begins: 2026-03-02T08:00:00Z.
pub const BEGINNING: Timestamp = Timestamp::from_milliseconds(1_772_438_400_000);

/// A clock that stands still until it is moved.
pub struct HandClock(AtomicI64);

impl HandClock {
    /// A clock at the beginning.
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(BEGINNING.milliseconds())))
    }

    /// Moves it.
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000, Ordering::Relaxed);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_milliseconds(self.0.load(Ordering::Relaxed))
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
