//! A tenant and its settings, and the platform's directory of tenants.
//! Never holds a tenant's content: that is the rest of its state.

use super::{
    access::{Allowed, Basis, Denied, Resource, Stopped, View},
    action::{Need, UpdateTenantSettings},
    event::{EventKind, Subject},
    id::TenantId,
    identity::Scope,
    policy::Rights,
    refusal::Refusal,
    state::Change,
    text::{Name, Slug},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One organisation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tenant {
    /// The tenant's id.
    pub id: TenantId,
    /// Counts its changes, from 1.
    pub revision: u64,
    /// Its name in addresses and at sign-in.
    pub slug: Slug,
    /// What people call it.
    pub name: Name,
    /// Rules that hold for the whole tenant.
    #[serde(default)]
    pub settings: Settings,
    /// When it was founded.
    pub created_at: Timestamp,
}

/// Rules that hold for a whole tenant, over whatever its templates say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Whoever requested feedback or the final approval may not decide.
    #[serde(default)]
    pub requester_may_not_approve: bool,
}

/// The platform's entry of a tenant: all that the platform operator sees of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TenantEntry {
    /// The tenant.
    pub id: TenantId,
    /// Its name in addresses and at sign-in; one tenant has it.
    pub slug: Slug,
    /// What people call it.
    pub name: Name,
    /// When it was entered.
    pub created_at: Timestamp,
}

impl Resource for Tenant {
    /// The tenant is there for everyone in it; what may be asked of it depends on standing, roles and scopes.
    fn may(&self, need: Need, view: View<'_>) -> Result<Basis, Denied> {
        let caller = view.caller()?;
        let granted = match need {
            Need::Read => return Ok(Basis::SignedIn),
            Need::Create(item_type) => Rights::on_type(view.state(), &caller, item_type, None).may_create(),
            Need::Sync => caller.node(Scope::Sync).is_some(),
            Need::Manage => caller.manages(),
            Need::Administer => caller.administers(),
            Need::Operate => caller.operates(),
            Need::Write
            | Need::Delete
            | Need::Govern
            | Need::Member
            | Need::Deploy
            | Need::AdministerInfrastructure
            | Need::SelfOrAdminister => false,
        };
        if granted { Ok(Basis::Standing) } else { Err(Denied::Forbidden(need.right())) }
    }
}

impl Resource for TenantEntry {
    /// The directory is there for the platform operator only.
    fn may(&self, need: Need, view: View<'_>) -> Result<Basis, Denied> {
        if !view.caller()?.operates() {
            return Err(Denied::NotFound);
        }
        match need {
            Need::Read | Need::Operate => Ok(Basis::Standing),
            Need::Write
            | Need::Delete
            | Need::Create(_)
            | Need::Govern
            | Need::Member
            | Need::Sync
            | Need::Manage
            | Need::Administer
            | Need::Deploy
            | Need::AdministerInfrastructure
            | Need::SelfOrAdminister => Err(Denied::Forbidden(need.right())),
        }
    }
}

impl View<'_> {
    /// The tenant that the platform's directory has under this short name, the platform's own included. Only whoever presents a
    /// credential may look: it names the organisation, and the answer is never shown.
    ///
    /// # Errors
    /// `NotFound` when there is none, or for everyone else.
    pub fn tenant_called(self, slug: &str) -> Result<TenantId, Denied> {
        let platform = self.state().tenant().filter(|tenant| tenant.slug.as_str() == slug).map(|tenant| tenant.id);
        let entered = self.state().tenant_entry_by_slug(slug).map(|entry| entry.id);
        platform.or(entered).filter(|_| self.presents_credential()).ok_or(Denied::NotFound)
    }

    /// Whether the platform's directory has this tenant; for the same callers.
    pub fn is_tenant(self, tenant: TenantId) -> bool {
        self.presents_credential() && self.state().tenant_entry(tenant).is_some()
    }

    fn presents_credential(self) -> bool {
        self.caller().is_ok_and(|caller| caller.credential || caller.system.is_some())
    }
}

/// What changes of a tenant's settings; what is not named stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct SettingsChange {
    /// The revision that the caller has read.
    pub expected_revision: u64,
    /// See [`Settings::requester_may_not_approve`].
    pub requester_may_not_approve: Option<bool>,
}

impl Allowed<'_, UpdateTenantSettings, Tenant> {
    /// Changes the tenant's settings.
    ///
    /// # Errors
    /// `REVISION_CONFLICT`, `NOTHING_TO_SAVE`.
    pub fn update_settings(self, change: SettingsChange) -> Result<Change<Arc<Tenant>>, Stopped> {
        Refusal::unless_at(self.revision, change.expected_revision)?;
        let Some(requester_may_not_approve) = change.requester_may_not_approve else {
            return Err(Refusal::NothingToSave {}.into());
        };
        let (old, new) = (self.settings.clone(), Settings { requester_may_not_approve });
        let mut draft = self.draft();
        if old == new {
            return Ok(draft.done(Arc::clone(self.record())));
        }
        let next = Tenant { revision: self.revision + 1, settings: new.clone(), ..(**self.record()).clone() };
        let tenant = draft.put(next, Subject::Tenant, EventKind::SettingsChanged { old, new });
        Ok(draft.done(tenant))
    }
}
