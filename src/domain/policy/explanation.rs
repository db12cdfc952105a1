//! Why somebody may do something with an object, or may not: what the deciding functions say, and what they rest on.
//! Never decides anything itself, and never looks at an object for somebody who may not read it.

use super::{
    Holder, Permission,
    rights::{Gained, Right, Rights, Via, each_role, each_role_for_new},
};
use crate::{
    domain::{
        access::{Basis, Denied, Resource, View, Viewer, permitted},
        action::{Action, Need},
        caller::Caller,
        deployment::Deployment,
        id::{GrantsId, GroupId, ItemId},
        infrastructure::{Infrastructure, InfrastructureGrant},
        item::{Item, gives_roles},
        record::{Entity, Kind},
        sign_off::{MembershipBasis, SignOff, part_in},
        source::SourceObject,
        state::State,
        template::ItemType,
        text::FieldKey,
    },
    limits::INHERITANCE_LEVELS_MAX,
};
use uuid::Uuid;

/// What shall be explained.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What would be done.
    pub action: Action,
    /// To which object; none where it would be done to the tenant.
    pub object: Option<Uuid>,
    /// To which of its fields, where an item would be read or updated.
    pub field: Option<&'a FieldKey>,
}

/// What decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Yes, on this ground.
    Basis(Basis),
    /// Yes: she belongs to those who review or decide.
    Member(MembershipBasis),
    /// No, as any operation would be denied.
    Denied(Denied),
    /// No: she reads the review, and belongs to none of those who do this.
    NotAMember,
}

/// On what a right rests, or might.
#[derive(Clone, Debug)]
pub enum Ground<'s> {
    /// What everyone with an account may do.
    Everyone,
    /// A role, and how she came by it.
    Role(Gained<'s>),
    /// A group of hers that has a grant on the infrastructure.
    Group(GroupId),
}

/// Why somebody may, or may not.
#[derive(Clone, Debug)]
pub struct Explanation<'s> {
    /// What decided.
    pub why: Why,
    /// The permissions that are needed, and which of them she has; empty where it does not depend on roles.
    pub rights: Vec<(Right, bool)>,
    /// Everything that she is to the object, with those of the needed rights that it gives.
    pub grounds: Vec<(Ground<'s>, Vec<Right>)>,
    /// The item on which the roles are had, where there is one.
    pub item: Option<ItemId>,
    /// The grants that were asked, where it depends on roles.
    pub grants: Option<GrantsId>,
}

impl Explanation<'_> {
    /// The same of somebody whose credential has ended by itself.
    #[must_use]
    pub fn ended(self) -> Self {
        Self { why: Why::Denied(Denied::Unauthenticated), rights: vec![], grounds: vec![], ..self }
    }

    /// Whether she may.
    pub const fn allowed(&self) -> bool {
        matches!(self.why, Why::Basis(_) | Why::Member(_))
    }
}

/// On what the roles that count are had.
#[derive(Clone, Copy)]
pub(super) enum Place<'s> {
    /// On an item.
    Item(&'s Item),
    /// On a type, under a parent where there is one.
    New(ItemType, Option<&'s Item>),
}

impl<'s> View<'s> {
    /// Explains to whoever asks here why `actor` may do something, or may not.
    ///
    /// # Errors
    /// `NotFound` for an object, or a field of it, that the asker may not read.
    pub fn explain(self, actor: &'s Viewer, asked: Asked<'_>) -> Result<Explanation<'s>, Denied> {
        let actor = View::new(self.state(), actor);
        let (need, state) = (asked.action.need(), self.state());
        match asked.action.noun() {
            Kind::Tenant if asked.object.is_none() => {
                let verdict =
                    state.tenant().ok_or(Denied::NotFound).and_then(|tenant| permitted(&**tenant, need, actor));
                let place = if let Need::Create(item_type) = need { Some(Place::New(item_type, None)) } else { None };
                Ok(explained(actor, verdict, rights_of(need), place))
            }
            Kind::Item => self.explain_item(actor, asked),
            Kind::SignOff => {
                let (sign_off, verdict) = self.verdict::<SignOff>(actor, asked)?;
                let place = state.item(sign_off.item).map(|item| Place::Item(item));
                Ok(with_part(actor, sign_off, asked.action, explained(actor, verdict, rights_of(need), place)))
            }
            Kind::SourceObject => {
                let (source, verdict) = self.verdict::<SourceObject>(actor, asked)?;
                Ok(explained(actor, verdict, rights_of(need), Some(place_of(actor, source, need))))
            }
            Kind::Infrastructure => {
                let (infrastructure, verdict) = self.verdict::<Infrastructure>(actor, asked)?;
                Ok(with_groups(actor, infrastructure, need, explained(actor, verdict, vec![], None)))
            }
            Kind::Deployment => {
                let (deployment, verdict) = self.verdict::<Deployment>(actor, asked)?;
                let explanation = explained(actor, verdict, vec![], None);
                // Whoever reads a deployment need not see the infrastructure that it stands on.
                let place = self.readable::<Infrastructure>(deployment.infrastructure);
                Ok(match place {
                    Ok(infrastructure) => with_groups(actor, infrastructure, need, explanation),
                    Err(_) => explanation,
                })
            }
            Kind::Template => self.plain::<crate::domain::template::Template>(actor, asked),
            Kind::User => self.plain::<crate::domain::identity::User>(actor, asked),
            Kind::Group => self.plain::<crate::domain::identity::Group>(actor, asked),
            Kind::ApiKey => self.plain::<crate::domain::identity::ApiKey>(actor, asked),
            Kind::Session => self.plain::<crate::domain::identity::Session>(actor, asked),
            Kind::Role => self.plain::<super::Role>(actor, asked),
            Kind::AssignmentRule => self.plain::<super::AssignmentRule>(actor, asked),
            Kind::Grants => self.plain::<super::Grants>(actor, asked),
            Kind::Tenant
            | Kind::TenantEntry
            | Kind::SourceNode
            | Kind::PasswordLink
            | Kind::Receipt
            | Kind::InstanceRules => Err(Denied::NotFound),
        }
    }

    /// The object, which the asker must be allowed to read, and what the actor would be answered.
    fn verdict<T: Entity + Resource>(
        self,
        actor: View<'s>,
        asked: Asked<'_>,
    ) -> Result<(&'s T, Result<Basis, Denied>), Denied> {
        let record = self.readable::<T>(asked.object.ok_or(Denied::NotFound)?.into())?;
        Ok((record, permitted(&**record, asked.action.need(), actor)))
    }

    fn plain<T: Entity + Resource>(self, actor: View<'s>, asked: Asked<'_>) -> Result<Explanation<'s>, Denied> {
        let (_, verdict) = self.verdict::<T>(actor, asked)?;
        Ok(explained(actor, verdict, vec![], None))
    }

    fn explain_item(self, actor: View<'s>, asked: Asked<'_>) -> Result<Explanation<'s>, Denied> {
        let (item, verdict) = self.verdict::<Item>(actor, asked)?;
        let mut rights = rights_of(asked.action.need());
        if let Some(key) = asked.field {
            let definition = self.state().template(item.template).and_then(|template| template.field(key.as_str()));
            let shown = definition.filter(|_| self.rights(item).is_ok_and(|rights| rights.may_read_field(key)));
            let definition = shown.ok_or(Denied::NotFound)?;
            let changes = asked.action == Action::UpdateItem;
            let assigns = changes && gives_roles(self.state(), item.item_type, definition);
            rights.push(if changes { Right::WriteField(key.clone()) } else { Right::ReadField(key.clone()) });
            rights.extend(assigns.then_some(Right::On(Permission::Assign)));
        }
        let mut explanation = explained(actor, verdict, rights, Some(Place::Item(item)));
        let field = explanation.rights.iter().skip(1).find(|(_, has)| !has).map(|(right, _)| right.name());
        if let Some(missing) = field.filter(|_| explanation.allowed()) {
            explanation.why = Why::Denied(Denied::Forbidden(missing));
        }
        Ok(explanation)
    }
}

impl Right {
    /// The permission that gives it where no exception of a field does.
    pub const fn permission(&self) -> Permission {
        match self {
            Self::On(permission) => *permission,
            Self::ReadField(_) => Permission::FieldRead,
            Self::WriteField(_) => Permission::FieldWrite,
        }
    }

    /// What denials call it.
    const fn name(&self) -> &'static str {
        match self {
            Self::On(Permission::Assign) => "ASSIGN",
            Self::On(_) => "a permission on the item",
            Self::ReadField(_) => "FIELD_READ",
            Self::WriteField(_) => "FIELD_WRITE",
        }
    }
}

/// The permissions on items that a need comes down to.
fn rights_of(need: Need) -> Vec<Right> {
    let permissions: &[Permission] = match need {
        Need::Read | Need::Member => &[Permission::Read],
        Need::Write => &[Permission::Write],
        Need::Delete => &[Permission::Delete],
        // As `Rights::may_create` has it.
        Need::Create(_) | Need::Govern => &[Permission::Create, Permission::FieldWrite],
        Need::Sync
        | Need::Manage
        | Need::Administer
        | Need::Operate
        | Need::Deploy
        | Need::AdministerInfrastructure
        | Need::SelfOrAdminister => &[],
    };
    permissions.iter().copied().map(Right::On).collect()
}

/// Where the roles are had that count for a source object: on its item, or where one would be made.
fn place_of<'s>(actor: View<'s>, source: &SourceObject, need: Need) -> Place<'s> {
    let state = actor.state();
    let item = source.item().and_then(|item| state.item(item)).filter(|_| need == Need::Read);
    let parent = source.parent.and_then(|parent| state.source_object(parent)?.item());
    let parent = parent.and_then(|parent| state.item(parent)).map(AsRef::as_ref);
    item.map_or(Place::New(source.kind.item_type(), parent), |item| Place::Item(item))
}

fn explained<'s>(
    actor: View<'s>,
    verdict: Result<Basis, Denied>,
    rights: Vec<Right>,
    place: Option<Place<'s>>,
) -> Explanation<'s> {
    let why = verdict.map_or_else(Why::Denied, Why::Basis);
    let mut explanation = Explanation { why, rights: vec![], grounds: vec![], item: None, grants: None };
    let (Ok(caller), Some(place)) = (actor.caller(), place) else { return explanation };
    let state = actor.state();
    let item_type = match place {
        Place::Item(item) => item.item_type,
        Place::New(item_type, _) => item_type,
    };
    explanation.item = if let Place::Item(item) = place { Some(item.id) } else { None };
    explanation.grants = state.grants(item_type).map(|grants| grants.id);
    (explanation.grounds, explanation.rights) = rests_on(state, &caller, place, rights);
    explanation
}

/// What somebody is, with those of some rights that it gives; and which of the rights she has.
type RestsOn<'s> = (Vec<(Ground<'s>, Vec<Right>)>, Vec<(Right, bool)>);

/// On what rights rest in a place: the very rights and roles that decide, kept apart.
pub(super) fn rests_on<'s>(state: &'s State, caller: &Caller<'_>, place: Place<'s>, rights: Vec<Right>) -> RestsOn<'s> {
    let mut gained = vec![];
    let mut found = |role| gained.push(role);
    let had = match place {
        Place::Item(item) => {
            each_role(state, caller, item, INHERITANCE_LEVELS_MAX, Via::Own, &mut found);
            Rights::on(state, caller, item, None)
        }
        Place::New(item_type, parent) => {
            each_role_for_new(state, caller, item_type, parent, &mut found);
            Rights::on_type(state, caller, item_type, parent)
        }
    };
    let holders: Vec<_> = rights.iter().map(|right| (right, had.holders(right))).collect();
    let gives = |holder: Holder| {
        let given = holders.iter().filter(|(_, holders)| holders.contains(&holder));
        given.map(|(right, _)| (*right).clone()).collect::<Vec<_>>()
    };
    let everyone = caller.has_account().then(|| (Ground::Everyone, gives(Holder::Everyone)));
    let roles = gained.into_iter().map(|role| (gives(Holder::Role(role.rule.role)), role));
    let grounds = everyone.into_iter().chain(roles.map(|(gives, role)| (Ground::Role(role), gives))).collect();
    let has = rights.iter().map(|right| (right.clone(), had.has_right(right))).collect();
    (grounds, has)
}

/// What those decide who review: whether the actor is one of them.
fn with_part<'s>(actor: View<'s>, sign_off: &SignOff, action: Action, explanation: Explanation<'s>) -> Explanation<'s> {
    let (Ok(caller), Why::Basis(Basis::Membership)) = (actor.caller(), &explanation.why) else { return explanation };
    let writes = matches!(action, Action::AbandonSignOff | Action::ResumeSignOff);
    let item = actor.state().item(sign_off.item);
    let rights = item.filter(|_| writes).and_then(|item| actor.rights(item).ok());
    let why = match part_in(actor.state(), &caller, sign_off, action) {
        _ if rights.is_some_and(|rights| rights.may_write()) => {
            Why::Basis(if caller.manages() { Basis::Standing } else { Basis::Roles })
        }
        Some(basis) => Why::Member(basis),
        None => Why::NotAMember,
    };
    Explanation { why, ..explanation }
}

/// The groups by which the actor has the grant that is needed on an infrastructure.
fn with_groups<'s>(
    actor: View<'s>,
    infrastructure: &Infrastructure,
    need: Need,
    explanation: Explanation<'s>,
) -> Explanation<'s> {
    let Ok(caller) = actor.caller() else { return explanation };
    let grant = if need == Need::Deploy {
        InfrastructureGrant::Deploy
    } else if need == Need::AdministerInfrastructure {
        InfrastructureGrant::Administer
    } else {
        InfrastructureGrant::View
    };
    let groups = infrastructure.granting(actor.state(), &caller, grant);
    let grounds = groups.map(|group| (Ground::Group(group), vec![])).collect();
    Explanation { grounds, ..explanation }
}
