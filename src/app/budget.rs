//! How much may be asked of the server in a minute, in points of what it costs: by one principal, by one organisation,
//! and by one place from which nobody signed in. It keeps one of them from taking the machine from all others, and is
//! set by whoever runs it; how many requests an organisation may make is its quota (`quota.rs`), which the platform
//! operator sets and which is counted first.
//! Never shared: what one organisation, or one place, spends is not missing anywhere else.

use super::bucket::{Buckets, place};
use crate::domain::{
    access::{Principal, Viewer},
    id::TenantId,
    time::Clock,
};
use std::{hash::Hash, net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

/// How long a budget that was spent takes to be there again, in seconds.
pub const BUDGET_SECONDS: u32 = 60;

/// How many points may be spent in each minute; a whole minute's at once. 0, as long as nobody says anything, for as
/// many as one likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budgets {
    /// By one person, or one API key.
    pub principal: u32,
    /// By all of an organisation together.
    pub organisation: u32,
    /// By everybody at one address who is not signed in; an IPv6 address stands for its /64.
    pub address: u32,
}

impl Budgets {
    /// Everybody as much as he likes.
    pub const NONE: Self = Self { principal: 0, organisation: 0, address: 0 };
}

/// Whose budget it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purse {
    /// A person's, or an API key's.
    Principal,
    /// An organisation's.
    Organisation,
    /// An address's.
    Address,
}

/// What is left of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Whose it is.
    pub purse: Purse,
    /// In points.
    pub points: u32,
    /// How many a whole one has.
    pub limit: u32,
    /// In how many seconds it is whole again; of one in which too little was left, in how many there is enough.
    pub seconds: u64,
}

/// A budget in which too little is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overdrawn {
    /// Whose it is.
    pub purse: Purse,
    /// How many points a whole one has.
    pub limit: u32,
    /// How long to wait until enough is in it.
    pub wait: Duration,
}

impl Overdrawn {
    /// In how many seconds there is enough.
    pub fn seconds(&self) -> u64 {
        u64::try_from(self.wait.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX)
    }

    /// What is left to spend until then: nothing of what was asked for.
    pub fn left(&self) -> Left {
        Left { purse: self.purse, points: 0, limit: self.limit, seconds: self.seconds() }
    }
}

/// Everybody's budgets; they begin whole, and a restart makes them so.
pub struct Budget {
    principals: Option<Buckets<(TenantId, Principal)>>,
    organisations: Option<Buckets<TenantId>>,
    addresses: Option<Buckets<IpAddr>>,
}

impl Budget {
    pub(super) fn new(budgets: Budgets, clock: &Arc<dyn Clock>) -> Self {
        Self {
            principals: buckets(budgets.principal, clock),
            organisations: buckets(budgets.organisation, clock),
            addresses: buckets(budgets.address, clock),
        }
    }

    /// Spends points of whoever asks: a viewer, or somebody at an address whom nobody knows. Answers what is left.
    /// What costs more than a whole budget takes a whole one.
    ///
    /// # Errors
    /// The first budget in which too little is left, the principal's before the organisation's: what one of many
    /// cannot pay is not taken from all. A principal whose organisation cannot pay has paid his own.
    pub fn spend(&self, viewer: Option<&Viewer>, address: Option<IpAddr>, points: u64) -> Result<Vec<Left>, Overdrawn> {
        let Some(points) = NonZeroU32::new(u32::try_from(points).unwrap_or(u32::MAX)) else { return Ok(vec![]) };
        let mut left = vec![];
        match (viewer, address) {
            (Some(viewer), _) => {
                let (tenant, principal) = (viewer.tenant(), viewer.principal());
                left.extend(take(self.principals.as_ref(), Purse::Principal, &(tenant, principal), points)?);
                left.extend(take(self.organisations.as_ref(), Purse::Organisation, &tenant, points)?);
            }
            (None, Some(address)) => {
                left.extend(take(self.addresses.as_ref(), Purse::Address, &place(address), points)?);
            }
            // Whoever asks from the same process is nowhere.
            (None, None) => {}
        }
        Ok(left)
    }
}

fn buckets<K: Clone + Eq + Hash>(points: u32, clock: &Arc<dyn Clock>) -> Option<Buckets<K>> {
    let points = NonZeroU32::new(points)?;
    Some(Buckets::new(points, Duration::from_secs(u64::from(BUDGET_SECONDS)) / points.get(), clock))
}

fn take<K: Clone + Eq + Hash>(
    buckets: Option<&Buckets<K>>,
    purse: Purse,
    key: &K,
    points: NonZeroU32,
) -> Result<Option<Left>, Overdrawn> {
    let Some(buckets) = buckets else { return Ok(None) };
    let limit = buckets.holds().get();
    match buckets.take(key, points) {
        Ok(points) => {
            let spent = u64::from(limit.saturating_sub(points));
            let seconds = spent.saturating_mul(u64::from(BUDGET_SECONDS)).div_ceil(u64::from(limit));
            Ok(Some(Left { purse, points, limit, seconds }))
        }
        Err(wait) => Err(Overdrawn { purse, limit, wait }),
    }
}
