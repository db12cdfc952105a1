//! How much an organisation may have and ask, and what it uses: set by the platform operator, seen by its
//! administrators.
//! Never counts across organisations: what one uses costs no other anything.

use super::{App, Call, Committed, Failed, tenant::operates};
use crate::{
    domain::{
        access::{Principal, Viewer},
        action::ReadQuota,
        id::TenantId,
        tenant::{Quota, TenantEntry},
        time::Timestamp,
    },
    store::Snapshot,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

const MINUTE_MILLISECONDS: i64 = 60_000;

/// What one organisation is asking at the moment; a restart forgets it.
#[derive(Default)]
struct Meter {
    /// Connections that listen, of whom how many.
    sockets: Mutex<BTreeMap<Principal, u64>>,
    /// Which minute it is, and how many operations it had.
    minute: Mutex<(i64, u64)>,
}

/// Every organisation's meter; made when it is first asked for.
#[derive(Default)]
pub(super) struct Meters {
    by_tenant: RwLock<BTreeMap<TenantId, Arc<Meter>>>,
}

impl Meters {
    fn meter(&self, tenant: TenantId) -> Arc<Meter> {
        if let Some(meter) = self.by_tenant.read().unwrap_or_else(PoisonError::into_inner).get(&tenant) {
            return Arc::clone(meter);
        }
        let mut meters = self.by_tenant.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(meters.entry(tenant).or_default())
    }
}

impl Meter {
    /// Counts an operation, unless the minute has had as many as it may.
    fn count(&self, now: Timestamp, limit: Option<u64>) -> Result<(), Duration> {
        let now = now.milliseconds();
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, counted) = (now.div_euclid(MINUTE_MILLISECONDS), minute.1);
        // A clock that was set back opens no new minute before it has come so far again.
        let counted = if number > minute.0 { 0 } else { counted };
        if limit.is_some_and(|limit| counted >= limit) {
            let rest = MINUTE_MILLISECONDS - now.rem_euclid(MINUTE_MILLISECONDS);
            return Err(Duration::from_millis(u64::try_from(rest).unwrap_or(0)));
        }
        *minute = (number.max(minute.0), counted.saturating_add(1));
        Ok(())
    }

    fn sockets(&self) -> MutexGuard<'_, BTreeMap<Principal, u64>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counted(&self, now: Timestamp) -> u64 {
        let minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        if now.milliseconds().div_euclid(MINUTE_MILLISECONDS) > minute.0 { 0 } else { minute.1 }
    }
}

/// A connection that listens, as long as it does.
pub struct OpenSocket(Arc<Meter>, Principal);

impl Drop for OpenSocket {
    fn drop(&mut self) {
        let mut sockets = self.0.sockets();
        match sockets.get_mut(&self.1) {
            Some(own) if *own > 1 => *own -= 1,
            Some(_) | None => drop(sockets.remove(&self.1)),
        }
    }
}

/// What an organisation uses of its quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// Bytes of the journal.
    pub bytes: u64,
    /// Connections that listen.
    pub sockets: u64,
    /// Operations in this minute.
    pub requests: u64,
}

impl App {
    /// Sets how much an organisation may have and ask: from the answer on, nothing goes beyond it.
    ///
    /// # Errors
    /// `Forbidden` for everyone but the platform operator; otherwise as the rule.
    pub async fn set_tenant_quota(
        &self,
        call: &Call,
        slug: String,
        expected_revision: u64,
        quota: Quota,
    ) -> Result<Committed<Arc<TenantEntry>>, Failed> {
        operates(call)?;
        let set = self.write(call, move |turn| {
            let entry = turn.view().tenant_entry_called(&slug)?.authorize()?;
            turn.stage(entry.set_quota(expected_revision, quota)?)
        });
        let set = set.await?;
        self.allow(&set.outcome);
        Ok(set)
    }

    /// Has the store hold what an entry of the directory allows.
    pub(super) fn allow(&self, entry: &TenantEntry) {
        self.store.allow(entry.id, entry.revision, entry.quota);
    }

    /// What the viewer's organisation is allowed; none for whoever does not administer it.
    pub fn own_quota(&self, snapshot: &Snapshot) -> Option<Quota> {
        let tenant = snapshot.view().tenant().ok()?.authorize::<ReadQuota>().ok()?;
        Some(self.store.quota(tenant.id))
    }

    /// What an organisation uses at the moment, its items apart. Whoever asks was allowed to.
    pub fn used(&self, tenant: TenantId) -> Used {
        let meter = self.inner.meters.meter(tenant);
        Used {
            bytes: self.store.bytes(tenant),
            sockets: meter.sockets().values().sum(),
            requests: meter.counted(self.store.clock().now()),
        }
    }

    /// How many items an organisation has, deleted ones left out. Whoever asks was allowed to.
    ///
    /// # Errors
    /// A fault when it cannot be loaded.
    pub async fn items_of(&self, tenant: TenantId) -> Result<u64, Failed> {
        Ok(self.store.of(&super::founder(tenant)).read().await?.item_count())
    }

    /// Counts one operation of the viewer's organisation.
    ///
    /// # Errors
    /// How long to wait before another one is heard.
    pub fn count_request(&self, viewer: &Viewer) -> Result<(), Duration> {
        let tenant = viewer.tenant();
        let limit = self.store.quota(tenant).requests_per_minute;
        self.inner.meters.meter(tenant).count(self.store.clock().now(), limit)
    }

    /// Counts one more connection that listens, until it is dropped.
    ///
    /// # Errors
    /// `QUOTA_EXCEEDED`.
    pub fn open_socket(&self, viewer: &Viewer) -> Result<OpenSocket, Failed> {
        let (quota, meter) = (self.store.quota(viewer.tenant()), self.inner.meters.meter(viewer.tenant()));
        let mut sockets = meter.sockets();
        let own = sockets.get(&viewer.principal()).copied().unwrap_or(0);
        quota.must_allow_socket(sockets.values().sum(), own)?;
        sockets.insert(viewer.principal(), own + 1);
        drop(sockets);
        Ok(OpenSocket(meter, viewer.principal()))
    }
}
