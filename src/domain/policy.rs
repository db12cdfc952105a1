//! Roles, the rules that give them, and what they grant: the whole algorithm, additive, without a deny.
//! Never knows a role by name: Standard's roles are data like any other.

pub(in crate::domain) mod consistency;
mod explanation;
mod matrix;
mod rights;
mod rules;

pub use explanation::{Asked, Explanation, Ground, Why};
pub use matrix::OnType;
pub(in crate::domain) use rights::roles_on;
pub use rights::{Gained, Holder, Right, Rights, Via, audits};
pub use rules::{GrantsChange, NewRole, NewRule, RoleChange, RuleChange};

use super::{
    access::{Basis, Denied, Resource, View},
    action::Need,
    field::FieldValue,
    id::{ApiKeyId, AssignmentRuleId, GrantsId, GroupId, ItemId, RoleId, TemplateId, UserId},
    template::ItemType,
    text::{FieldKey, Name, Slug, StepKey},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The revision of what was stored before its changes were counted.
const fn first() -> u64 {
    1
}

/// What people are to an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// The role's id.
    pub id: RoleId,
    /// Counts changes, from 1.
    #[serde(default = "first")]
    pub revision: u64,
    /// Its short name; one role of the tenant has it.
    pub slug: Slug,
    /// What people call it.
    pub name: Name,
    /// Whether it reads everything: deleted items, people and the whole timeline included.
    #[serde(default)]
    pub audits: bool,
}

/// A rule that gives a role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AssignmentRule {
    /// The rule's id.
    pub id: AssignmentRuleId,
    /// Counts changes, from 1.
    #[serde(default = "first")]
    pub revision: u64,
    /// The role that it gives.
    pub role: RoleId,
    /// Where it holds.
    pub scope: RuleScope,
    /// To whom it gives the role.
    pub actors: Vec<RuleActor>,
    /// What must hold of the item, all of it.
    #[serde(default)]
    pub criteria: Vec<Criterion>,
}

/// Where an assignment rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleScope {
    /// On all items of a type.
    Type(ItemType),
    /// On one item.
    Item(ItemId),
}

/// To whom an assignment rule gives its role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleActor {
    /// A user.
    User(UserId),
    /// The members of a group.
    Group(GroupId),
    /// An API key.
    Key(ApiKeyId),
    /// The people in a field of the item.
    Field(FieldKey),
}

/// What must hold of an item. Without an item, none holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// The item is made from this template.
    TemplateIs(TemplateId),
    /// The field has this value.
    FieldIs(FieldKey, FieldValue),
    /// This step is ongoing.
    ActiveStep(StepKey),
    /// The item exists and is not deleted.
    ItemExists,
    /// The item was deleted.
    ItemDeleted,
}

/// One permission on items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Everything below.
    Admin,
    /// Making items.
    Create,
    /// Seeing them.
    Read,
    /// Changing them; implies seeing.
    Write,
    /// Deleting them; implies seeing.
    Delete,
    /// Seeing their fields.
    FieldRead,
    /// Changing their fields; implies seeing those.
    FieldWrite,
    /// Changing who gains roles by a field.
    Assign,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 8] = [
        Self::Admin,
        Self::Create,
        Self::Read,
        Self::Write,
        Self::Delete,
        Self::FieldRead,
        Self::FieldWrite,
        Self::Assign,
    ];
}

/// What one role, or everyone, may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// The permissions.
    pub on_items: BTreeSet<Permission>,
    /// Fields for which other permissions hold than `FieldRead` and `FieldWrite` above.
    #[serde(default)]
    pub field_exceptions: BTreeMap<FieldKey, FieldException>,
}

/// What holds for one field instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldException {
    /// Whether it may be seen.
    pub read: bool,
    /// Whether it may be changed; implies seeing.
    pub write: bool,
}

/// The grants of one item type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// The grants' id.
    pub id: GrantsId,
    /// Counts changes, from 1.
    #[serde(default = "first")]
    pub revision: u64,
    /// The item type, or none for the defaults, which hold where a type has no grants of its own.
    pub item_type: Option<ItemType>,
    /// What everyone who is signed in may do.
    #[serde(default)]
    pub everyone: Permissions,
    /// What each role may do.
    pub roles: BTreeMap<RoleId, Permissions>,
    /// Other types whose role rules (those without criteria) hold here too.
    #[serde(default)]
    pub inherits_types: Vec<ItemType>,
    /// Whether the roles on the parent item hold here too.
    #[serde(default)]
    pub inherits_parent: bool,
    /// Reference fields whose items' roles hold here too.
    #[serde(default)]
    pub inherits_fields: Vec<FieldKey>,
}

impl Permissions {
    fn has(&self, permission: Permission) -> bool {
        use Permission as P;
        let any = |implying: &[P]| implying.iter().any(|p| self.on_items.contains(p));
        match permission {
            P::Read => any(&[P::Read, P::Write, P::Delete, P::Admin]),
            P::FieldRead => any(&[P::FieldRead, P::FieldWrite, P::Admin]),
            P::Admin | P::Create | P::Write | P::Delete | P::FieldWrite | P::Assign => any(&[permission, P::Admin]),
        }
    }

    fn reads_field(&self, key: &FieldKey) -> bool {
        let exception = self.field_exceptions.get(key).filter(|_| !self.has(Permission::Admin));
        exception.map_or_else(|| self.has(Permission::FieldRead), |exception| exception.read || exception.write)
    }

    fn writes_field(&self, key: &FieldKey) -> bool {
        let exception = self.field_exceptions.get(key).filter(|_| !self.has(Permission::Admin));
        exception.map_or_else(|| self.has(Permission::FieldWrite), |exception| exception.write)
    }
}

/// Roles, rules and grants are there for those who manage: others learn from `explainAccess` what decided for them.
fn for_managers(need: Need, view: View<'_>) -> Result<Basis, Denied> {
    if !view.caller()?.manages() {
        return Err(Denied::NotFound);
    }
    match need {
        Need::Read | Need::Manage => Ok(Basis::Standing),
        Need::Write
        | Need::Delete
        | Need::Create(_)
        | Need::Govern
        | Need::Member
        | Need::Sync
        | Need::Administer
        | Need::Operate
        | Need::Deploy
        | Need::AdministerInfrastructure
        | Need::SelfOrAdminister => Err(Denied::Forbidden(need.right())),
    }
}

impl Resource for Role {
    fn may(&self, need: Need, view: View<'_>) -> Result<Basis, Denied> {
        for_managers(need, view)
    }
}

impl Resource for AssignmentRule {
    fn may(&self, need: Need, view: View<'_>) -> Result<Basis, Denied> {
        for_managers(need, view)
    }
}

impl Resource for Grants {
    fn may(&self, need: Need, view: View<'_>) -> Result<Basis, Denied> {
        for_managers(need, view)
    }
}
