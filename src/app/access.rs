//! Roles, the rules that give them, and what they grant: what managers change and read.
//! Never decides who may do what: `domain/policy` does.

use super::{App, Call, Committed, Failed, Page, PageRequest, RefusedPage, Seen, page::Cursor};
use crate::{
    domain::{
        access::Denied,
        id::{AssignmentRuleId, GrantsId, ItemId, RoleId},
        item::Item,
        policy::{AssignmentRule, Grants, GrantsChange, NewRole, NewRule, Role, RoleChange, RuleChange, RuleScope},
        receipt::Gone,
        template::ItemType,
    },
    store::Snapshot,
};
use std::sync::Arc;

type Answer<T> = Result<Committed<Arc<T>>, Failed>;
type Deleted = Result<Committed<Gone>, Failed>;

impl App {
    /// Makes a role.
    ///
    /// # Errors
    /// As the rule: `ALREADY_EXISTS`.
    pub async fn create_role(&self, call: &Call, new: NewRole) -> Answer<Role> {
        self.write(call, move |turn| {
            let tenant = turn.view().tenant()?.authorize()?;
            turn.stage(tenant.create_role(new, turn.ids())?)
        })
        .await
    }

    /// Changes a role.
    ///
    /// # Errors
    /// As the rule: `REVISION_CONFLICT`.
    pub async fn update_role(&self, call: &Call, id: RoleId, change: RoleChange) -> Answer<Role> {
        self.write(call, move |turn| {
            let role = turn.view().role(id)?.authorize()?;
            turn.stage(role.update_role(change)?)
        })
        .await
    }

    /// Deletes a role that nothing uses any more.
    ///
    /// # Errors
    /// As the rule: `REVISION_CONFLICT`, `ROLE_IN_USE`.
    pub async fn delete_role(&self, call: &Call, id: RoleId, expected_revision: u64) -> Deleted {
        self.write(call, move |turn| {
            let role = turn.view().role(id)?.authorize()?;
            turn.stage(role.delete_role(expected_revision)?.map(|id| Gone(id.uuid())))
        })
        .await
    }

    /// Makes a rule that gives a role.
    ///
    /// # Errors
    /// As the rule: `UNKNOWN_OBJECT`, `WRONG_SHAPE`.
    pub async fn create_assignment_rule(&self, call: &Call, new: NewRule) -> Answer<AssignmentRule> {
        self.write(call, move |turn| {
            let tenant = turn.view().tenant()?.authorize()?;
            turn.stage(tenant.create_rule(new, turn.ids())?)
        })
        .await
    }

    /// Changes a rule that gives a role.
    ///
    /// # Errors
    /// As the rule: `REVISION_CONFLICT`, `UNKNOWN_OBJECT`, `WRONG_SHAPE`.
    pub async fn update_assignment_rule(
        &self,
        call: &Call,
        id: AssignmentRuleId,
        change: RuleChange,
    ) -> Answer<AssignmentRule> {
        self.write(call, move |turn| {
            let rule = turn.view().assignment_rule(id)?.authorize()?;
            turn.stage(rule.update_rule(change)?)
        })
        .await
    }

    /// Deletes a rule that gives a role.
    ///
    /// # Errors
    /// As the rule: `REVISION_CONFLICT`.
    pub async fn delete_assignment_rule(&self, call: &Call, id: AssignmentRuleId, expected_revision: u64) -> Deleted {
        self.write(call, move |turn| {
            let rule = turn.view().assignment_rule(id)?.authorize()?;
            turn.stage(rule.delete_rule(expected_revision)?.map(|id| Gone(id.uuid())))
        })
        .await
    }

    /// Sets what everyone and each role may do on items of a type, or by default.
    ///
    /// # Errors
    /// As the rule: `REVISION_CONFLICT`, `UNKNOWN_OBJECT`, `WRONG_SHAPE`, `INHERITANCE_CYCLE`.
    pub async fn set_grants(&self, call: &Call, change: GrantsChange) -> Answer<Grants> {
        self.write(call, move |turn| {
            let tenant = turn.view().tenant()?.authorize()?;
            turn.stage(tenant.set_grants(change, turn.ids())?)
        })
        .await
    }

    /// Deletes the grants of a type: the defaults hold for it.
    ///
    /// # Errors
    /// As the rule: `REVISION_CONFLICT`, `INHERITANCE_CYCLE`.
    pub async fn delete_grants(&self, call: &Call, id: GrantsId, expected_revision: u64) -> Deleted {
        self.write(call, move |turn| {
            let grants = turn.view().grants(id)?.authorize()?;
            turn.stage(grants.delete_grants(expected_revision)?.map(|id| Gone(id.uuid())))
        })
        .await
    }
}

/// A page of roles, by name.
///
/// # Errors
/// See [`RefusedPage`].
pub fn roles(snapshot: &Snapshot, request: &PageRequest) -> Result<Page<Seen<Role>>, RefusedPage> {
    let rows = Seen::all(snapshot, snapshot.view().all::<Role>());
    let by_name = |role: Seen<Role>| (Cursor { key: role.name.as_str().to_lowercase(), id: role.id.uuid() }, role);
    request.of(rows.map(by_name), false)
}

/// Which assignment rules; every part that is named must hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct RuleFilter {
    /// Those that give this role.
    pub role: Option<RoleId>,
    /// Those that hold on all items of this type.
    pub item_type: Option<ItemType>,
    /// Those that hold on this item alone.
    pub item: Option<ItemId>,
}

/// A page of assignment rules, oldest first.
///
/// # Errors
/// See [`RefusedPage`].
pub fn assignment_rules(
    snapshot: &Snapshot,
    filter: RuleFilter,
    request: &PageRequest,
) -> Result<Page<Seen<AssignmentRule>>, RefusedPage> {
    let rows = Seen::all(snapshot, snapshot.view().all::<AssignmentRule>()).filter(|rule| {
        filter.role.is_none_or(|role| rule.role == role)
            && filter.item_type.is_none_or(|item_type| rule.scope == RuleScope::Type(item_type))
            && filter.item.is_none_or(|item| rule.scope == RuleScope::Item(item))
    });
    request.by_age(rows.map(|rule| (rule.id.uuid(), rule)))
}

/// A page of the sets of grants, oldest first.
///
/// # Errors
/// See [`RefusedPage`].
pub fn grants(snapshot: &Snapshot, request: &PageRequest) -> Result<Page<Seen<Grants>>, RefusedPage> {
    let rows = Seen::all(snapshot, snapshot.view().all::<Grants>());
    request.by_age(rows.map(|grants| (grants.id.uuid(), grants)))
}

impl Seen<AssignmentRule> {
    /// The item that the rule holds on alone, where it is one's.
    ///
    /// # Errors
    /// `NotFound` when there is none for the viewer.
    pub fn item(&self) -> Result<Seen<Item>, Denied> {
        match self.scope {
            RuleScope::Item(item) => Seen::find(self.snapshot(), item),
            RuleScope::Type(_) => Err(Denied::NotFound),
        }
    }
}
