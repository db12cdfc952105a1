//! A tenant and its settings, and the platform's directory of tenants.
//! Never holds a tenant's content: that is the rest of its state.

mod quota;

pub use quota::{Quota, Stored};

use super::{
    access::{Allowed, Basis, Denied, Resource, Stopped, View},
    action::{
        Asks, EraseTenant, ExportTenant, FollowDirectory, Need, ResumeTenant, SuspendTenant, UpdateTenantSettings,
    },
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
    /// Whether the platform's directory has suspended it: then nobody stands in it but the server itself.
    #[serde(default)]
    pub suspended: bool,
}

impl Tenant {
    /// A tenant that is being founded.
    pub const fn new(id: TenantId, slug: Slug, name: Name, settings: Settings, created_at: Timestamp) -> Self {
        Self { id, revision: 1, slug, name, settings, created_at, suspended: false }
    }
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
    /// Counts the entry's changes, from 1.
    #[serde(default = "first_revision")]
    pub revision: u64,
    /// Its name in addresses and at sign-in; one tenant has it.
    pub slug: Slug,
    /// What people call it.
    pub name: Name,
    /// When it was entered.
    pub created_at: Timestamp,
    /// Whether it is served.
    #[serde(default)]
    pub status: TenantStatus,
    /// How much it may have and ask.
    #[serde(default)]
    pub quota: Quota,
}

const fn first_revision() -> u64 {
    1
}

impl TenantEntry {
    /// The entry of a tenant that is new here: nothing of it is limited.
    pub fn new(tenant: Tenant) -> Self {
        let Tenant { id, slug, name, created_at, suspended, .. } = tenant;
        let status = if suspended { TenantStatus::Suspended } else { TenantStatus::Active };
        Self { id, revision: 1, slug, name, created_at, status, quota: Quota::default() }
    }
}

/// Whether a tenant is served. It goes back and forth between the first two, and never returns from the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenantStatus {
    /// Everyone in it is served.
    #[default]
    Active,
    /// Nobody is; everything is kept.
    Suspended,
    /// Its key was destroyed: nothing of it can be read any more, by anybody.
    Erased,
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
        let by_role = matches!(need, Need::Create(_)) && !caller.manages();
        let by_scope = if need == Need::Sync { Basis::Scope } else { Basis::Standing };
        let basis = if by_role { Basis::Roles } else { by_scope };
        if granted { Ok(basis) } else { Err(Denied::Forbidden(need.right())) }
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
        let entry = self.state().tenant_entry_by_slug(slug);
        let entered = entry.filter(|entry| entry.status != TenantStatus::Erased).map(|entry| entry.id);
        platform.or(entered).filter(|_| self.presents_credential()).ok_or(Denied::NotFound)
    }

    /// Whether the platform's directory has this tenant, and it was not erased; for the same callers.
    pub fn is_tenant(self, tenant: TenantId) -> bool {
        let entry = self.state().tenant_entry(tenant);
        self.presents_credential() && entry.is_some_and(|entry| entry.status != TenantStatus::Erased)
    }

    fn presents_credential(self) -> bool {
        self.caller().is_ok_and(|caller| caller.credential || caller.system.is_some())
    }
}

impl Allowed<'_, SuspendTenant, TenantEntry> {
    /// Stops serving a tenant; one that is suspended stays so.
    ///
    /// # Errors
    /// `TENANT_ERASED`.
    pub fn suspend(self) -> Result<Change<Arc<TenantEntry>>, Stopped> {
        let name = self.name.clone();
        match self.status {
            TenantStatus::Active => Ok(self.becomes(TenantStatus::Suspended, EventKind::TenantSuspended { name })),
            TenantStatus::Suspended => Ok(self.stays()),
            TenantStatus::Erased => Err(self.is_erased().into()),
        }
    }
}

impl Allowed<'_, ResumeTenant, TenantEntry> {
    /// Serves a tenant again; one that is active stays so.
    ///
    /// # Errors
    /// `TENANT_ERASED`.
    pub fn resume(self) -> Result<Change<Arc<TenantEntry>>, Stopped> {
        let name = self.name.clone();
        match self.status {
            TenantStatus::Active => Ok(self.stays()),
            TenantStatus::Suspended => Ok(self.becomes(TenantStatus::Active, EventKind::TenantResumed { name })),
            TenantStatus::Erased => Err(self.is_erased().into()),
        }
    }
}

impl Allowed<'_, EraseTenant, TenantEntry> {
    /// Records that a tenant is erased; its key is destroyed next.
    ///
    /// # Errors
    /// `TENANT_NOT_SUSPENDED`: its people must have had the time to object.
    pub fn erase(self) -> Result<Change<Arc<TenantEntry>>, Stopped> {
        let name = self.name.clone();
        match self.status {
            TenantStatus::Active => Err(Refusal::TenantNotSuspended { name: self.slug.to_string() }.into()),
            TenantStatus::Suspended => Ok(self.becomes(TenantStatus::Erased, EventKind::TenantErased { name })),
            TenantStatus::Erased => Ok(self.stays()),
        }
    }
}

impl<A: Asks<TenantEntry>> Allowed<'_, A, TenantEntry> {
    fn becomes(self, status: TenantStatus, told: EventKind) -> Change<Arc<TenantEntry>> {
        let mut draft = self.draft();
        let next = TenantEntry { status, revision: self.revision + 1, ..(**self.record()).clone() };
        let entry = draft.put(next, Subject::Tenant, told);
        draft.done(entry)
    }

    fn stays(self) -> Change<Arc<TenantEntry>> {
        self.draft().done(Arc::clone(self.record()))
    }

    fn is_erased(&self) -> Refusal {
        Refusal::TenantErased { name: self.slug.to_string() }
    }
}

impl Allowed<'_, ExportTenant, TenantEntry> {
    /// Records that a tenant is handed out.
    ///
    /// # Errors
    /// `TENANT_ERASED`.
    pub fn export(self) -> Result<Change<Arc<TenantEntry>>, Stopped> {
        self.must_be_there()?;
        let mut draft = self.draft();
        draft.tell(None, Subject::Tenant, EventKind::TenantExported { name: self.name.clone() });
        Ok(draft.done(Arc::clone(self.record())))
    }

    /// # Errors
    /// `TENANT_ERASED`: nothing of it can be read any more.
    pub fn must_be_there(&self) -> Result<(), Refusal> {
        if self.status == TenantStatus::Erased { Err(self.is_erased()) } else { Ok(()) }
    }
}

impl Allowed<'_, FollowDirectory, Tenant> {
    /// Takes over what the platform's directory says: whether anybody is served here.
    pub fn follow_directory(self, suspended: bool) -> Change<Arc<Tenant>> {
        let mut draft = self.draft();
        if self.suspended == suspended {
            return draft.done(Arc::clone(self.record()));
        }
        let name = self.name.clone();
        let told = if suspended { EventKind::TenantSuspended { name } } else { EventKind::TenantResumed { name } };
        let next = Tenant { revision: self.revision + 1, suspended, ..(**self.record()).clone() };
        let tenant = draft.put(next, Subject::Tenant, told);
        draft.done(tenant)
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
