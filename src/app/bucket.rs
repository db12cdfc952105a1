//! Buckets of tokens, one for each key, that fill again by the server's clock: what every limit on how often is made of.
//! Never locks anybody out: whoever waits as told is heard.

use crate::{
    domain::time::{Clock as StoreClock, Timestamp},
    limits::THROTTLED_KEYS_MAX,
};
use governor::{
    Quota, RateLimiter, clock::Clock, middleware::StateInformationMiddleware, nanos::Nanos,
    state::keyed::DefaultKeyedStateStore,
};
use std::{hash::Hash, net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

/// The store's clock, as the buckets need it.
#[derive(Clone)]
struct Time(Arc<dyn StoreClock>);

impl Clock for Time {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Duration::from_millis(u64::try_from(Timestamp::milliseconds(self.0.now())).unwrap_or(0)).into()
    }
}

/// A bucket for each key; all begin full.
pub(super) struct Buckets<K: Eq + Hash + Clone> {
    time: Time,
    holds: NonZeroU32,
    limiter: RateLimiter<K, DefaultKeyedStateStore<K>, Time, StateInformationMiddleware>,
}

impl<K: Eq + Hash + Clone> Buckets<K> {
    /// Buckets that hold so many tokens, of which one comes back in each `refill`.
    pub(super) fn new(holds: NonZeroU32, refill: Duration, clock: &Arc<dyn StoreClock>) -> Self {
        let time = Time(Arc::clone(clock));
        // A refill of no time at all would be no bucket; the quota refuses it, and none is asked for.
        let quota = Quota::with_period(refill).unwrap_or(Quota::per_second(holds)).allow_burst(holds);
        let limiter = RateLimiter::new(quota, DefaultKeyedStateStore::default(), time.clone());
        Self { time, holds, limiter }
    }

    /// How many tokens a full one holds.
    pub(super) const fn holds(&self) -> NonZeroU32 {
        self.holds
    }

    /// Takes so many tokens out of a bucket, all of them where it cannot hold so many; answers how many are left.
    ///
    /// # Errors
    /// How long to wait until so many are in it; none was taken.
    pub(super) fn take(&self, key: &K, tokens: NonZeroU32) -> Result<u32, Duration> {
        if self.limiter.len() > THROTTLED_KEYS_MAX {
            // Full buckets say nothing: only those are kept that somebody drank from.
            self.limiter.retain_recent();
        }
        match self.limiter.check_key_n(key, tokens.min(self.holds)) {
            Ok(Ok(left)) => Ok(left.remaining_burst_capacity()),
            Ok(Err(until)) => Err(until.wait_time_from(self.time.now())),
            // Never: no more is asked for than it holds.
            Err(_) => Ok(0),
        }
    }
}

/// The place of an address: whoever has one IPv6 address has the 2⁶⁴ around it.
pub fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
    }
}
