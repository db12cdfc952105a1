//! A tenant and its settings, and the platform's directory of tenants.
//! Never holds a tenant's content: that is the rest of its state.

use super::{
    access::{Basis, Denied, Resource, View},
    action::Need,
    id::TenantId,
    identity::Scope,
    policy::Rights,
    text::{Name, Slug},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

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
    /// The directory is there for whoever operates the platform.
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
