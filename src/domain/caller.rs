//! The principal as a tenant's state knows it now: the person or key, her groups, her standing.
//! Never trusts the credential for more than a name: disabled, revoked and expired end here.

use super::{
    access::{Denied, Principal, SystemActor, Viewer},
    field::Person,
    id::{GroupId, SourceNodeId, UserId},
    identity::{ApiKey, KeyOwner, Scope, Session, Standing, User},
    refusal::Refusal,
    state::State,
};
use std::sync::Arc;

/// Whoever asks, looked up.
#[derive(Clone, Debug)]
pub struct Caller<'s> {
    /// The person, or the person whose rights a key carries.
    pub user: Option<&'s Arc<User>>,
    /// The administrator who acts as the person.
    pub impersonator: Option<&'s Arc<User>>,
    /// The key, when a key asks.
    pub key: Option<&'s Arc<ApiKey>>,
    /// The server itself.
    pub system: Option<SystemActor>,
    /// Whether the caller presents a password, refresh token or link and is nobody yet.
    pub credential: bool,
    /// The group, where it is asked what its members may do as such, whoever they are.
    pub member_of: Option<GroupId>,
}

impl<'s> Caller<'s> {
    /// Looks the viewer's principal up.
    ///
    /// # Errors
    /// `Unauthenticated` when it is unknown, disabled, revoked, or of another tenant. Expiry is
    /// checked where the clock is, before the viewer is made.
    pub fn resolve(state: &'s State, viewer: &Viewer) -> Result<Self, Denied> {
        if state.tenant_id() != viewer.tenant() {
            return Err(Denied::Unauthenticated);
        }
        let suspended = state.tenant().is_some_and(|tenant| tenant.suspended);
        if suspended && !matches!(viewer.principal(), Principal::System(_)) {
            return Err(Denied::Unauthenticated);
        }
        let nobody =
            Self { user: None, impersonator: None, key: None, system: None, credential: false, member_of: None };
        match viewer.principal() {
            Principal::System(system) => Ok(Self { system: Some(system), ..nobody }),
            Principal::Credential => Ok(Self { credential: true, ..nobody }),
            Principal::User(id) => {
                let user = Self::active(state, id)?;
                // A session that ended takes every token with it that it gave out.
                let stands =
                    |id| state.session(id).is_some_and(|known| Self::stands_in(state, known, viewer.principal()));
                if !viewer.session().is_none_or(stands) {
                    return Err(Denied::Unauthenticated);
                }
                Ok(Self { user: Some(user), ..nobody })
            }
            Principal::Impersonated { user, by } => {
                let session = viewer.session().and_then(|session| state.session(session));
                if !session.is_some_and(|session| Self::stands_in(state, session, viewer.principal())) {
                    return Err(Denied::Unauthenticated);
                }
                let (user, impersonator) = (Self::active(state, user)?, Self::active(state, by)?);
                Ok(Self { user: Some(user), impersonator: Some(impersonator), ..nobody })
            }
            Principal::Key(id) => {
                let key = state.api_key(id).filter(|key| key.revoked_at.is_none());
                let key = key.ok_or(Denied::Unauthenticated)?;
                let user = match key.owner {
                    KeyOwner::Node(_) => None,
                    KeyOwner::User(user) => Some(Self::active(state, user)?),
                };
                // Without the scope, a user's key has none of her rights, only the other scopes.
                let user = user.filter(|_| key.scopes.contains(&Scope::UserRights));
                Ok(Self { user, key: Some(key), ..nobody })
            }
        }
    }

    /// Whether a session is this principal's, and goes on: an impersonated one as long as its administrator might
    /// begin it now.
    pub fn stands_in(state: &State, session: &Session, principal: Principal) -> bool {
        let active = |user| Self::active(state, user).ok();
        let impersonated = |by: UserId| {
            let (by, user) = (active(by), active(session.user));
            by.zip(user).is_some_and(|(by, user)| by.may_impersonate(user))
        };
        session.principal() == principal
            && active(session.user).is_some()
            && session.impersonator.is_none_or(impersonated)
    }

    /// Whoever is in a group and nothing else: nobody asks anything as this.
    pub(in crate::domain) const fn member_of(group: GroupId) -> Self {
        let member_of = Some(group);
        Self { user: None, impersonator: None, key: None, system: None, credential: false, member_of }
    }

    /// Whether it is somebody with an account, or a key with the rights of one.
    pub const fn has_account(&self) -> bool {
        self.user.is_some() || self.member_of.is_some()
    }

    /// Checks that a person reviews or confirms for herself.
    ///
    /// # Errors
    /// `KEYS_DO_NOT_REVIEW`, `IMPERSONATORS_DO_NOT_REVIEW`.
    pub const fn must_be_in_person(&self) -> Result<(), Refusal> {
        if self.key.is_some() {
            return Err(Refusal::KeysDoNotReview {});
        }
        if self.impersonator.is_some() {
            return Err(Refusal::ImpersonatorsDoNotReview {});
        }
        Ok(())
    }

    fn active(state: &State, user: UserId) -> Result<&Arc<User>, Denied> {
        state.user(user).filter(|user| user.active).ok_or(Denied::Unauthenticated)
    }

    /// The user's id, when a person asks or a key carries her rights.
    pub fn user_id(&self) -> Option<UserId> {
        self.user.map(|user| user.id)
    }

    /// The person herself, not a key in her name.
    pub fn person(&self) -> Option<UserId> {
        if self.key.is_some() { None } else { self.user_id() }
    }

    /// Whether the caller may do everything with items, templates, roles and settings.
    pub fn manages(&self) -> bool {
        self.stands(&[Standing::GovernanceManager, Standing::Administrator]) || self.system.is_some()
    }

    /// Whether the caller administers the tenant, its people included.
    pub fn administers(&self) -> bool {
        self.stands(&[Standing::Administrator]) || self.system.is_some()
    }

    /// Whether the caller operates the platform.
    pub fn operates(&self) -> bool {
        self.stands(&[Standing::PlatformOperator]) || self.system == Some(SystemActor::Founding)
    }

    fn stands(&self, standings: &[Standing]) -> bool {
        self.user.is_some_and(|user| standings.contains(&user.standing))
    }

    /// The node that the key belongs to, when the key has this scope.
    pub fn node(&self, scope: Scope) -> Option<SourceNodeId> {
        let key = self.key.filter(|key| key.scopes.contains(&scope))?;
        match key.owner {
            KeyOwner::Node(node) => Some(node),
            KeyOwner::User(_) => None,
        }
    }

    /// The node of the key, whatever its scopes.
    pub fn any_node(&self) -> Option<SourceNodeId> {
        match self.key?.owner {
            KeyOwner::Node(node) => Some(node),
            KeyOwner::User(_) => None,
        }
    }

    /// Whether the key has this scope.
    pub fn has_scope(&self, scope: Scope) -> bool {
        self.key.is_some_and(|key| key.scopes.contains(&scope))
    }

    /// Whether the person whose rights the caller has is, or is in, `person`.
    pub fn is(&self, state: &State, person: Person) -> bool {
        if let (Some(own), Person::Group(group)) = (self.member_of, person) {
            return state.lies_in(own, group);
        }
        let Some(user) = self.user_id() else { return false };
        match person {
            Person::User(other) => other == user,
            Person::Group(group) => state.is_member(user, group),
        }
    }

    /// Whether the person whose rights the caller has is in `group`.
    pub fn is_in(&self, state: &State, group: GroupId) -> bool {
        self.is(state, Person::Group(group))
    }
}
