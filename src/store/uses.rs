//! When each API key was last used, to the hour: in memory, and written behind into the index.
//! Never in the journal: a crash may lose the last hours, and an index that is made anew begins without any.

use super::index::{Index, IndexError, KeyUse};
use crate::{
    domain::{
        id::{ApiKeyId, TenantId},
        time::Timestamp,
    },
    limits::KEY_USE_MILLISECONDS,
};
use std::{
    collections::BTreeMap,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

/// The hour in which a key was last used, and the one that the index has, in milliseconds.
struct Use {
    hour: AtomicI64,
    written: AtomicI64,
}

/// The last use of every key of the tenants that were in memory.
#[derive(Default)]
pub(super) struct Uses {
    by_key: RwLock<BTreeMap<(TenantId, ApiKeyId), Use>>,
    /// Whether the index lacks something of it.
    changed: AtomicBool,
}

impl Uses {
    /// Notes that a key is used; within an hour that was noted this is one comparison.
    pub(super) fn note(&self, tenant: TenantId, key: ApiKeyId, now: Timestamp) {
        let now = now.milliseconds();
        let hour = now - now.rem_euclid(KEY_USE_MILLISECONDS);
        let known = self.by_key.read().unwrap_or_else(PoisonError::into_inner).get(&(tenant, key)).map(|known| {
            // A clock that was set back takes nothing back.
            let newer = known.hour.load(Ordering::Relaxed) < hour;
            if newer {
                known.hour.fetch_max(hour, Ordering::Relaxed);
            }
            newer
        });
        match known {
            Some(false) => return,
            Some(true) => {}
            None => self.remember((tenant, key), hour, i64::MIN),
        }
        self.changed.store(true, Ordering::Release);
    }

    fn remember(&self, key: (TenantId, ApiKeyId), hour: i64, written: i64) {
        let mut uses = self.by_key.write().unwrap_or_else(PoisonError::into_inner);
        let known = uses.entry(key).or_insert_with(|| Use { hour: hour.into(), written: written.into() });
        known.hour.fetch_max(hour, Ordering::Relaxed);
    }

    /// The hour in which a key was last used, if that is known.
    pub(super) fn of(&self, tenant: TenantId, key: ApiKeyId) -> Option<Timestamp> {
        let uses = self.by_key.read().unwrap_or_else(PoisonError::into_inner);
        uses.get(&(tenant, key)).map(|known| Timestamp::from_milliseconds(known.hour.load(Ordering::Relaxed)))
    }

    /// Takes over what the index has of a tenant that is loaded.
    pub(super) fn restore(&self, index: &Index, tenant: TenantId) -> Result<(), IndexError> {
        for KeyUse { key, hour, .. } in index.uses(tenant)? {
            self.remember((tenant, key), hour, hour);
        }
        Ok(())
    }

    /// Forgets the keys of a tenant.
    pub(super) fn forget(&self, tenant: TenantId) {
        self.by_key.write().unwrap_or_else(PoisonError::into_inner).retain(|(whose, _), _| *whose != tenant);
    }

    /// Writes what the index lacks. Only from the thread that writes it.
    pub(super) fn write(&self, index: &Index) -> Result<(), IndexError> {
        if !self.changed.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let lacking = self.lacking();
        let written = index.note(lacking.iter().copied());
        if written.is_err() {
            self.changed.store(true, Ordering::Release);
            return written;
        }
        let uses = self.by_key.read().unwrap_or_else(PoisonError::into_inner);
        for KeyUse { tenant, key, hour } in lacking {
            uses.get(&(tenant, key)).iter().for_each(|known| known.written.store(hour, Ordering::Relaxed));
        }
        Ok(())
    }

    fn lacking(&self) -> Vec<KeyUse> {
        let uses = self.by_key.read().unwrap_or_else(PoisonError::into_inner);
        let lacking = uses.iter().filter_map(|(&(tenant, key), known)| {
            let hour = known.hour.load(Ordering::Relaxed);
            (known.written.load(Ordering::Relaxed) < hour).then_some(KeyUse { tenant, key, hour })
        });
        lacking.collect()
    }

    /// Has everything written again: the index is another one.
    pub(super) fn all_anew(&self) {
        let uses = self.by_key.read().unwrap_or_else(PoisonError::into_inner);
        uses.values().for_each(|known| known.written.store(i64::MIN, Ordering::Relaxed));
        self.changed.store(true, Ordering::Release);
    }
}
