//! How often a password may be tried: for one account from one place, for one account, and from one place.
//! Never locks anybody out: a bucket that is empty fills again, and whoever waits as told is heard.

use super::bucket::{Buckets, place};
use crate::{
    domain::{
        identity::{hash_of_secret, normal_email},
        time::Clock,
    },
    limits::{SIGN_INS_FROM_ADDRESS_BURST, SIGN_INS_OF_ACCOUNT_BURST, SIGN_INS_OF_ACCOUNT_HERE_BURST},
};
use std::{net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

/// The account that somebody tries to sign in to, whether or not there is such: a digest, however long the names are.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Account([u8; 32]);

impl Account {
    pub(super) fn new(organisation: &str, email: &str) -> Self {
        Self(hash_of_secret(format!("{organisation}\0{}", normal_email(email)).as_bytes()))
    }
}

/// The buckets of one server; they begin full.
pub(super) struct Throttle {
    /// So that one guesser is slow.
    account_here: Buckets<(Account, IpAddr)>,
    /// So that many guessers together are slow.
    account: Buckets<Account>,
    /// So that one place does not try one password on everybody.
    address: Buckets<IpAddr>,
}

impl Throttle {
    pub(super) fn new(clock: &Arc<dyn Clock>) -> Self {
        Self {
            account_here: Buckets::new(SIGN_INS_OF_ACCOUNT_HERE_BURST, Duration::from_secs(30), clock),
            account: Buckets::new(SIGN_INS_OF_ACCOUNT_BURST, Duration::from_secs(6), clock),
            address: Buckets::new(SIGN_INS_FROM_ADDRESS_BURST, Duration::from_secs(1), clock),
        }
    }

    /// Takes one attempt out of every bucket that it concerns; a caller in the same process has no address.
    ///
    /// # Errors
    /// How long to wait before another attempt is heard.
    pub(super) fn attempt(&self, account: Account, address: Option<IpAddr>) -> Result<(), Duration> {
        if let Some(address) = address.map(place) {
            self.address.take(&address, NonZeroU32::MIN)?;
            self.account_here.take(&(account, address), NonZeroU32::MIN)?;
        }
        self.account.take(&account, NonZeroU32::MIN).map(|_| ())
    }
}
