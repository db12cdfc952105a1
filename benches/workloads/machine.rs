//! The benchmark's machine: the wall clock, seeded ids and seeded chance. Two runs build the same data set.
//! Never used by the server that is shipped, which has its own.

use countersign::{
    domain::{
        id::Ids,
        time::{Clock, Timestamp},
    },
    store::Machine,
};
use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};
use uuid::Uuid;

/// What stops a benchmark.
pub(crate) type Fault = Box<dyn Error + Send + Sync>;

/// A fault from anything that can only be shown.
pub(crate) fn fault(what: impl std::fmt::Debug) -> Fault {
    format!("{what:?}").into()
}

struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        now()
    }
}

/// The wall clock.
#[expect(clippy::disallowed_methods, reason = "a benchmark runs in real time")]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_milliseconds(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Ids in the shape of UUIDv7: in order of making, 16 to a millisecond, and random behind that.
pub(crate) struct SeededIds {
    seed: u64,
    made: AtomicU64,
}

impl SeededIds {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed, made: AtomicU64::new(0) }
    }
}

/// 2026-01-01, in milliseconds: when the first id was made.
const BEGINNING: u64 = 1_767_225_600_000;

impl Ids for SeededIds {
    fn next(&self) -> Uuid {
        let made = self.made.fetch_add(1, Ordering::Relaxed);
        let random = mixed(self.seed ^ made.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let bits = u128::from(BEGINNING + made / 16) << 80 | u128::from(made % 16) << 72 | u128::from(random);
        let versioned = bits & !(0xF << 76 | 0x3 << 62) | 0x7 << 76 | 0x2 << 62;
        Uuid::from_u128(versioned)
    }
}

/// The finaliser of SplitMix64.
const fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// Seeded chance: SplitMix64.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`; 0 where there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(mixed(self.0) % end).unwrap_or_default()
    }

    /// One of several, if there is any.
    pub(crate) fn one_of<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }
}

/// This machine, with ids from a seed.
pub(crate) fn machine(seed: u64) -> Machine {
    Machine::new(Arc::new(WallClock), Arc::new(SeededIds::new(seed)))
}
