//! How often a password may be tried: for one account from one place, for one account, and from one place.
//! Never locks anybody out: a bucket that is empty fills again, and whoever waits as told is heard.

use crate::{
    domain::{
        identity::{hash_of_secret, normal_email},
        time::{Clock as StoreClock, Timestamp},
    },
    limits::{
        SIGN_INS_FROM_ADDRESS_BURST, SIGN_INS_OF_ACCOUNT_BURST, SIGN_INS_OF_ACCOUNT_HERE_BURST, THROTTLED_KEYS_MAX,
    },
};
use governor::{
    NotUntil, Quota, RateLimiter, clock::Clock, middleware::NoOpMiddleware, nanos::Nanos,
    state::keyed::DefaultKeyedStateStore,
};
use std::{hash::Hash, net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

/// The account that somebody tries to sign in to, whether or not there is such: a digest, however long the names are.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Account([u8; 32]);

impl Account {
    pub(super) fn new(organisation: &str, email: &str) -> Self {
        Self(hash_of_secret(format!("{organisation}\0{}", normal_email(email)).as_bytes()))
    }
}

/// The store's clock, as the buckets need it.
#[derive(Clone)]
struct Time(Arc<dyn StoreClock>);

impl Clock for Time {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Duration::from_millis(u64::try_from(Timestamp::milliseconds(self.0.now())).unwrap_or(0)).into()
    }
}

type Buckets<K> = RateLimiter<K, DefaultKeyedStateStore<K>, Time, NoOpMiddleware<Nanos>>;

/// The buckets of one server; they begin full.
pub(super) struct Throttle {
    time: Time,
    /// So that one guesser is slow.
    account_here: Buckets<(Account, IpAddr)>,
    /// So that many guessers together are slow.
    account: Buckets<Account>,
    /// So that one place does not try one password on everybody.
    address: Buckets<IpAddr>,
}

impl Throttle {
    pub(super) fn new(clock: Arc<dyn StoreClock>) -> Self {
        let time = Time(clock);
        Self {
            account_here: buckets(SIGN_INS_OF_ACCOUNT_HERE_BURST, Duration::from_secs(30), &time),
            account: buckets(SIGN_INS_OF_ACCOUNT_BURST, Duration::from_secs(6), &time),
            address: buckets(SIGN_INS_FROM_ADDRESS_BURST, Duration::from_secs(1), &time),
            time,
        }
    }

    /// Takes one attempt out of every bucket that it concerns; a caller in the same process has no address.
    ///
    /// # Errors
    /// How long to wait before another attempt is heard.
    pub(super) fn attempt(&self, account: Account, address: Option<IpAddr>) -> Result<(), Duration> {
        if let Some(address) = address.map(place) {
            self.take(&self.address, &address)?;
            self.take(&self.account_here, &(account, address))?;
        }
        self.take(&self.account, &account)
    }

    fn take<K: Clone + Eq + Hash>(&self, buckets: &Buckets<K>, key: &K) -> Result<(), Duration> {
        if buckets.len() > THROTTLED_KEYS_MAX {
            // Full buckets say nothing: only those are kept that somebody drank from.
            buckets.retain_recent();
        }
        let refused: Result<(), NotUntil<Nanos>> = buckets.check_key(key);
        refused.map_err(|until| until.wait_time_from(self.time.now()))
    }
}

fn buckets<K: Clone + Eq + Hash>(burst: NonZeroU32, refill: Duration, time: &Time) -> Buckets<K> {
    // A refill of no time at all would be no bucket; the quota refuses it, and none is asked for.
    let quota = Quota::with_period(refill).unwrap_or(Quota::per_second(burst)).allow_burst(burst);
    RateLimiter::new(quota, DefaultKeyedStateStore::default(), time.clone())
}

/// The place of an address: whoever has one IPv6 address has the 2⁶⁴ around it.
fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
    }
}
