//! What each tenant has stored, and how much it may: asked in the writer's turn, so that nothing overshoots.
//! Never sets a quota by itself: the platform's directory does, and has it said here at every start.

use super::queue::{Settle, Settled};
use crate::domain::{
    access::Principal,
    action::Action,
    id::TenantId,
    refusal::Refusal,
    state::State,
    tenant::{Quota, Stored},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// One tenant's.
#[derive(Default)]
pub(super) struct Account {
    /// How many bytes its durable records take in the journal.
    bytes: AtomicU64,
    /// The revision of its entry in the directory, and what that allows.
    quota: RwLock<(u64, Quota)>,
}

impl Account {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// Says how many they are now. Only from the writer.
    pub(super) fn reach(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Release);
    }

    pub(super) fn quota(&self) -> Quota {
        self.quota.read().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Sets what is allowed, unless something newer was set.
    pub(super) fn allow(&self, revision: u64, quota: Quota) {
        let mut known = self.quota.write().unwrap_or_else(PoisonError::into_inner);
        if revision >= known.0 {
            *known = (revision, quota);
        }
    }

    /// Decides on a commit that leads from one state to another and takes the bytes from so many to so many.
    pub(super) fn must_hold(
        &self,
        by: (Principal, Action),
        (before, bytes): (&State, u64),
        (after, reached): (&State, u64),
    ) -> Result<(), Refusal> {
        let stored = |state: &State, bytes| Stored { items: state.item_count(), bytes };
        self.quota().must_hold(by, stored(before, bytes), stored(after, reached))
    }
}

/// Every tenant's account; made when it is first asked for.
#[derive(Default)]
pub(super) struct Accounts {
    by_tenant: RwLock<BTreeMap<TenantId, Arc<Account>>>,
}

impl Accounts {
    /// The accounts of these tenants, with the bytes that the index says.
    pub(super) fn of(bytes: BTreeMap<TenantId, u64>) -> Self {
        let account = |bytes: u64| Account { bytes: bytes.into(), ..Account::default() };
        let by_tenant = bytes.into_iter().map(|(tenant, bytes)| (tenant, Arc::new(account(bytes)))).collect();
        Self { by_tenant: RwLock::new(by_tenant) }
    }

    pub(super) fn account(&self, tenant: TenantId) -> Arc<Account> {
        if let Some(account) = self.by_tenant.read().unwrap_or_else(PoisonError::into_inner).get(&tenant) {
            return Arc::clone(account);
        }
        let mut accounts = self.by_tenant.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(accounts.entry(tenant).or_default())
    }
}

/// Answers that a commit is more than is allowed, once what that rests on is durable.
pub(super) fn refused(settle: Settle, refusal: Refusal) -> Settle {
    Box::new(move |settled| {
        settle(match settled {
            Settled::Durable { .. } | Settled::Refused(_) => Settled::Refused(refusal),
            Settled::Failed(fault) => Settled::Failed(fault),
        });
    })
}
