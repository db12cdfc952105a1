//! Who may do what: a guarded record opens to a permission, and only a permission carries rules.
//! Never lets a record out otherwise: `Guarded` shows nothing of what it holds.

use super::{
    action::{Asks, Need},
    caller::Caller,
    id::{ApiKeyId, ItemId, SessionId, TenantId, UserId},
    item::Item,
    known::Known,
    policy::Rights,
    refusal::Refusal,
    state::{Draft, State},
};
use serde::{Deserialize, Serialize};
use std::{marker::PhantomData, ops::Deref, sync::Arc};
use uuid::Uuid;

/// As whom something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Principal {
    /// A person.
    User(UserId),
    /// An API key.
    Key(ApiKeyId),
    /// The server itself, under a name.
    System(SystemActor),
    /// Whoever presented a credential of its own kind: a password, a refresh token, a one-time link.
    Credential,
    /// A person, as whom an administrator acts in a session that he began for that.
    Impersonated {
        /// The person.
        user: UserId,
        /// The administrator.
        by: UserId,
    },
}

impl Principal {
    /// The bytes of the person's or key's id.
    pub const fn uuid(self) -> Option<Uuid> {
        match self {
            Self::User(user) | Self::Impersonated { user, .. } => Some(user.uuid()),
            Self::Key(key) => Some(key.uuid()),
            Self::System(_) | Self::Credential => None,
        }
    }

    /// The administrator who acts as the person.
    pub const fn impersonator(self) -> Option<UserId> {
        if let Self::Impersonated { by, .. } = self { Some(by) } else { None }
    }

    /// Whether the person or key with these bytes did it, or acted as who did.
    pub fn is_by(self, actor: Uuid) -> bool {
        self.uuid() == Some(actor) || self.impersonator().map(UserId::uuid) == Some(actor)
    }
}

/// The server's own names: each stands in the timeline where a person would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SystemActor {
    /// Founds a tenant from a fixture or for the platform operator.
    Founding,
    /// Governs newly reported objects by the instance rules.
    AutomaticGovernance,
    /// Lets statuses and health follow from decisions.
    Consequence,
    /// Moves a bundle to Production after its deployment.
    AfterDeployment,
    /// Brings the organisations of a backup back.
    Restoring,
    /// Brings an organisation from another server.
    Importing,
}

/// Who asks, as the verified credential says. Carries the tenant; whether the principal still stands
/// is read from the state each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    tenant: TenantId,
    principal: Principal,
    session: Option<SessionId>,
}

impl Viewer {
    /// The viewer that a verified credential, or the server itself, stands for.
    /// Only the session's home and the server's own workers may call this.
    pub const fn verified(tenant: TenantId, principal: Principal) -> Self {
        Self { tenant, principal, session: None }
    }

    /// The same viewer, who stands only as long as this session does.
    #[must_use]
    pub const fn within(self, session: SessionId) -> Self {
        Self { session: Some(session), ..self }
    }

    /// The same person or key, whatever session she came with: sessions begin and end, and rights are hers.
    #[must_use]
    pub const fn in_any_session(&self) -> Self {
        let principal = match self.principal {
            Principal::Impersonated { user, .. } => Principal::User(user),
            Principal::User(_) | Principal::Key(_) | Principal::System(_) | Principal::Credential => self.principal,
        };
        Self::verified(self.tenant, principal)
    }

    /// The tenant that everything of this viewer happens in.
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// As whom the viewer acts.
    pub const fn principal(&self) -> Principal {
        self.principal
    }

    /// The session that the credential belongs to; keys and the server itself have none.
    pub const fn session(&self) -> Option<SessionId> {
        self.session
    }
}

/// Why a caller may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The principal is unknown, disabled or ended.
    Unauthenticated,
    /// There is no such record, or the caller may not read it; the two cannot be told apart.
    NotFound,
    /// The caller may read the record, and lacks this right on it.
    Forbidden(&'static str),
}

/// Why a command did nothing: not allowed, or against a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The caller may not.
    Denied(Denied),
    /// A rule refuses it.
    Refused(Refusal),
}

impl From<Denied> for Stopped {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// On what ground a permission stands; stored with reviews.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Everyone who is signed in has it.
    SignedIn,
    /// The caller is an administrator or governance manager.
    Standing,
    /// Roles on the item.
    Roles,
    /// A membership that the rule itself checks.
    Membership,
    /// A scope of an API key.
    Scope,
    /// A grant on an infrastructure.
    Grant,
    /// The object is the caller's own.
    Own,
    /// The server acts by itself.
    System,
}

/// One state, seen by one caller.
#[derive(Clone, Copy)]
pub struct View<'s> {
    state: &'s State,
    viewer: &'s Viewer,
    /// What was found out about the viewer in exactly this state.
    known: Option<&'s Known>,
}

impl<'s> View<'s> {
    /// A look at `state` through the eyes of `viewer`.
    pub const fn new(state: &'s State, viewer: &'s Viewer) -> Self {
        Self { state, viewer, known: None }
    }

    /// The same look, which remembers what it finds out about the viewer: for a state that does not change any more.
    #[must_use]
    pub const fn remembering(self, known: &'s Known) -> Self {
        Self { known: Some(known), ..self }
    }

    /// The state; rules read the rest of the tenant in it.
    pub(in crate::domain) const fn state(self) -> &'s State {
        self.state
    }

    /// Who asks.
    pub const fn viewer(self) -> &'s Viewer {
        self.viewer
    }

    /// The principal as the state knows it now.
    ///
    /// # Errors
    /// `Unauthenticated` when it is unknown, disabled or ended, or belongs to another tenant.
    pub fn caller(self) -> Result<Caller<'s>, Denied> {
        match self.known {
            Some(known) => known.caller(self.state, self.viewer),
            None => Caller::resolve(self.state, self.viewer),
        }
    }

    /// What the caller may do on an item.
    pub(in crate::domain) fn rights(self, item: &Item) -> Result<Arc<Rights>, Denied> {
        let caller = self.caller()?;
        let find = || Rights::on(self.state, &caller, item, self.known);
        // An item that is only being thought of has other rights under the same id.
        let is_stored = || self.state.item(item.id).is_some_and(|stored| std::ptr::eq(&**stored, item));
        Ok(match self.known.filter(|_| is_stored()) {
            Some(known) => known.rights(item.id, find),
            None => Arc::new(find()),
        })
    }

    /// Whether the caller may read an item.
    pub fn may_read_item(self, item: ItemId) -> bool {
        let item = self.state.item(item);
        item.is_some_and(|item| self.rights(item).is_ok_and(|rights| rights.may_read()))
    }

    /// A record, closed; a missing one is found as little as an unreadable one.
    pub(in crate::domain) fn guard<T>(self, record: Option<&'s Arc<T>>) -> Result<Guarded<'s, T>, Denied> {
        record.map(|record| Guarded { view: self, record }).ok_or(Denied::NotFound)
    }
}

/// A record that knows who may do what with it.
pub trait Resource {
    /// Whether the caller of `view` has the right, and why.
    ///
    /// # Errors
    /// `NotFound` when she may not even read the record, `Forbidden` when she may read it only.
    fn may(&self, need: Need, view: View<'_>) -> Result<Basis, Denied>;
}

/// Whether the caller of `view` has a right on a record: what every permission, and every explanation of one, rests on.
///
/// # Errors
/// See [`Resource::may`]; `Unauthenticated` when the caller no longer stands.
pub(in crate::domain) fn permitted<T: Resource>(record: &T, need: Need, view: View<'_>) -> Result<Basis, Denied> {
    view.caller()?;
    record.may(Need::Read, view)?;
    record.may(need, view)
}

/// A record nobody has asked a permission for yet.
pub struct Guarded<'s, T> {
    view: View<'s>,
    record: &'s Arc<T>,
}

/// The permission of one caller for one action on one record.
pub struct Allowed<'s, A, T> {
    view: View<'s>,
    record: &'s Arc<T>,
    basis: Basis,
    action: PhantomData<A>,
}

impl<'s, T: Resource> Guarded<'s, T> {
    /// Asks for the permission of an action; which one follows from the rule called next.
    ///
    /// # Errors
    /// See [`Resource::may`]; `Unauthenticated` when the caller no longer stands.
    pub fn authorize<A: Asks<T>>(self) -> Result<Allowed<'s, A, T>, Denied> {
        let basis = permitted(&**self.record, A::NEED, self.view)?;
        Ok(Allowed { view: self.view, record: self.record, basis, action: PhantomData })
    }
}

impl<'s, A, T> Allowed<'s, A, T> {
    /// The state and the caller.
    pub(in crate::domain) const fn view(&self) -> View<'s> {
        self.view
    }

    /// The rest of the tenant.
    pub(in crate::domain) const fn state(&self) -> &'s State {
        self.view.state
    }

    /// The principal, as it stood when the permission was given.
    pub(in crate::domain) fn caller(&self) -> Result<Caller<'s>, Denied> {
        self.view.caller()
    }

    /// The ground of the permission.
    pub const fn basis(&self) -> &Basis {
        &self.basis
    }

    /// The record, to keep.
    pub fn record(&self) -> &'s Arc<T> {
        self.record
    }

    /// The next state in the making, under this permission's action.
    pub(in crate::domain) fn draft(&self) -> Draft
    where
        A: Asks<T>,
    {
        Draft::new(self.view.state, A::ACTION)
    }
}

impl<A, T> Deref for Allowed<'_, A, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.record
    }
}
