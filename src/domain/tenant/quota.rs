//! How much an organisation may have and ask, as the platform allows it, and what goes on where that is used up.
//! Never counts by itself: what is used comes from the state and from the store.

use super::{TenantEntry, TenantStatus};
use crate::{
    domain::{
        access::{Allowed, Principal, Stopped},
        action::{Action, SetTenantQuota},
        event::{EventKind, Subject},
        refusal::Refusal,
        state::Change,
    },
    limits::SOCKETS_OF_PRINCIPAL_MAX,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How much an organisation may have and ask; what is not named is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// How many governed items, archived ones included and deleted ones not.
    #[serde(default)]
    pub items: Option<u64>,
    /// How many bytes of the journal.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// How many connections that listen, at a time.
    #[serde(default)]
    pub sockets: Option<u64>,
    /// How many operations in each minute.
    #[serde(default)]
    pub requests_per_minute: Option<u64>,
}

/// What an organisation has stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// How many items.
    pub items: u64,
    /// How many bytes of the journal.
    pub bytes: u64,
}

impl Quota {
    /// Decides on a commit that was decided already: what makes room, and what ends or takes away, goes on.
    ///
    /// # Errors
    /// `QUOTA_EXCEEDED`, with what is used before the commit.
    pub fn must_hold(
        &self,
        (principal, action): (Principal, Action),
        before: Stored,
        after: Stored,
    ) -> Result<(), Refusal> {
        if matches!(principal, Principal::System(_)) {
            return Ok(());
        }
        if after.items > before.items {
            unless_over("items", self.items, before.items, after.items)?;
        }
        if action.goes_on_when_full() {
            return Ok(());
        }
        unless_over("bytes", self.bytes, before.bytes, after.bytes)
    }

    /// Decides on one more connection beside so many, and so many of whoever asks.
    ///
    /// # Errors
    /// `QUOTA_EXCEEDED`.
    pub fn must_allow_socket(&self, open: u64, own: u64) -> Result<(), Refusal> {
        let of_one = "open connections of one person or key";
        unless_over(of_one, Some(SOCKETS_OF_PRINCIPAL_MAX), own, own.saturating_add(1))?;
        unless_over("open connections", self.sockets, open, open.saturating_add(1))
    }
}

fn unless_over(quota: &'static str, limit: Option<u64>, used: u64, wanted: u64) -> Result<(), Refusal> {
    match limit {
        Some(limit) if wanted > limit => Err(Refusal::QuotaExceeded { quota, limit, used }),
        Some(_) | None => Ok(()),
    }
}

impl Allowed<'_, SetTenantQuota, TenantEntry> {
    /// Sets how much a tenant may have and ask. What it has beyond that stays.
    ///
    /// # Errors
    /// `REVISION_CONFLICT`, `TENANT_ERASED`; `OUT_OF_RANGE` for a quota under which nobody could ask anything.
    pub fn set_quota(self, expected_revision: u64, quota: Quota) -> Result<Change<Arc<TenantEntry>>, Stopped> {
        if self.status == TenantStatus::Erased {
            return Err(self.is_erased().into());
        }
        Refusal::unless_at(self.revision, expected_revision)?;
        if quota.requests_per_minute == Some(0) {
            let path = "quota.requestsPerMinute".to_owned();
            return Err(Refusal::NumberOutOfRange { path, min: 1, max: i64::from(i32::MAX) }.into());
        }
        if self.quota == quota {
            return Ok(self.stays());
        }
        let told = EventKind::TenantQuotaSet { name: self.name.clone(), quota };
        let mut draft = self.draft();
        let next = TenantEntry { quota, revision: self.revision + 1, ..(**self.record()).clone() };
        let entry = draft.put(next, Subject::Tenant, told);
        Ok(draft.done(entry))
    }
}
