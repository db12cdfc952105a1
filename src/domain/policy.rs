//! Roles, the rules that give them, and what they grant: the whole algorithm, additive, without a deny.
//! Never knows a role by name: Standard's roles are data like any other.

use super::{
    caller::Caller,
    field::FieldValue,
    id::{ApiKeyId, AssignmentRuleId, GrantsId, GroupId, ItemId, RoleId, TemplateId, UserId},
    item::Item,
    state::State,
    template::ItemType,
    text::{FieldKey, Name, Slug, StepKey},
};
use crate::limits::INHERITANCE_LEVELS_MAX;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What people are to an item.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Role {
    /// The role's id.
    pub id: RoleId,
    /// Its short name; one role of the tenant has it.
    pub slug: Slug,
    /// What people call it.
    pub name: Name,
    /// Whether it reads everything: deleted items, people and the whole timeline included.
    #[serde(default)]
    pub audits: bool,
}

/// A rule that gives a role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AssignmentRule {
    /// The rule's id.
    pub id: AssignmentRuleId,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Grants {
    /// The grants' id.
    pub id: GrantsId,
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

/// What one caller may do on one item: the union of what everyone and each of her roles may.
pub struct Rights<'s> {
    all: bool,
    audits: bool,
    granted: Vec<&'s Permissions>,
}

impl<'s> Rights<'s> {
    /// The rights on an item.
    pub fn on(state: &'s State, caller: &Caller<'_>, item: &Item) -> Self {
        Self::of_roles(state, caller, item.item_type, &roles_on(state, caller, item, INHERITANCE_LEVELS_MAX))
    }

    /// The rights on a type of which no item exists yet, under a parent where it has one.
    pub fn on_type(state: &'s State, caller: &Caller<'_>, item_type: ItemType, parent: Option<&Item>) -> Self {
        let mut roles = roles_on_type(state, caller, item_type);
        if let Some(parent) = parent
            && state.grants(item_type).is_some_and(|grants| grants.inherits_parent)
        {
            roles.extend(roles_on(state, caller, parent, INHERITANCE_LEVELS_MAX - 1));
        }
        Self::of_roles(state, caller, item_type, &roles)
    }

    fn of_roles(state: &'s State, caller: &Caller<'_>, item_type: ItemType, roles: &BTreeSet<RoleId>) -> Self {
        let mut granted = vec![];
        if let Some(grants) = state.grants(item_type)
            && (caller.user.is_some() || caller.key.is_some())
        {
            // "Everyone" means everyone with an account: a node's key has its scopes and its own rules only.
            granted.extend(caller.user.map(|_| &grants.everyone));
            granted.extend(roles.iter().filter_map(|role| grants.roles.get(role)));
        }
        let audits = roles.iter().any(|role| state.role(*role).is_some_and(|role| role.audits));
        Self { all: caller.manages(), audits, granted }
    }

    fn has(&self, permission: Permission) -> bool {
        self.all || self.granted.iter().any(|permissions| permissions.has(permission))
    }

    /// Whether the item may be seen.
    pub fn may_read(&self) -> bool {
        self.audits || self.has(Permission::Read)
    }

    /// Whether the item may be changed.
    pub fn may_write(&self) -> bool {
        self.has(Permission::Write)
    }

    /// Whether the item may be deleted.
    pub fn may_delete(&self) -> bool {
        self.has(Permission::Delete)
    }

    /// Whether such an item may be made.
    pub fn may_create(&self) -> bool {
        self.has(Permission::Create) && self.has(Permission::FieldWrite)
    }

    /// Whether fields that give roles may be changed.
    pub fn may_assign(&self) -> bool {
        self.has(Permission::Assign)
    }

    /// Whether a field may be seen on an item that exists.
    pub fn may_read_field(&self, key: &FieldKey) -> bool {
        self.may_read() && self.reads_field(key)
    }

    /// Whether the field part of seeing a field is granted: the item part is READ, or CREATE for a new one.
    pub(in crate::domain) fn reads_field(&self, key: &FieldKey) -> bool {
        self.all || self.audits || self.granted.iter().any(|permissions| permissions.reads_field(key))
    }

    /// Whether the field part of changing a field is granted: the item part is WRITE, or CREATE for a new one.
    pub(in crate::domain) fn writes_field(&self, key: &FieldKey) -> bool {
        self.all || self.granted.iter().any(|permissions| permissions.writes_field(key))
    }
}

/// Every role that the caller has on an item: by rules on its type or itself, inherited from other types,
/// and through the parent and declared references, `levels` deep.
pub fn roles_on(state: &State, caller: &Caller<'_>, item: &Item, levels: usize) -> BTreeSet<RoleId> {
    let on_item = |rule: &AssignmentRule| match rule.scope {
        RuleScope::Type(item_type) => item_type == item.item_type,
        RuleScope::Item(id) => id == item.id,
    };
    let matching = state.assignment_rules().filter(|rule| {
        on_item(rule)
            && rule.actors.iter().any(|actor| is_actor(state, caller, actor, Some(item)))
            && rule.criteria.iter().all(|criterion| holds(criterion, item))
    });
    let mut roles: BTreeSet<RoleId> = matching.map(|rule| rule.role).collect();
    let Some(grants) = state.grants(item.item_type) else { return roles };
    for inherited in &grants.inherits_types {
        roles.extend(roles_on_type(state, caller, *inherited));
    }
    if levels > 0 {
        let parent = item.parent.filter(|_| grants.inherits_parent);
        let fields = grants.inherits_fields.iter().filter_map(|key| item.fields.get(key));
        let sources = parent.into_iter().chain(fields.flat_map(FieldValue::references));
        for source in sources.filter_map(|id| state.item(id)) {
            roles.extend(roles_on(state, caller, source, levels - 1));
        }
    }
    roles
}

/// Every role that the caller has on a type as such: by rules without criteria that name her, not a field.
fn roles_on_type(state: &State, caller: &Caller<'_>, item_type: ItemType) -> BTreeSet<RoleId> {
    let matching = state.assignment_rules().filter(|rule| {
        rule.scope == RuleScope::Type(item_type)
            && rule.criteria.is_empty()
            && rule.actors.iter().any(|actor| is_actor(state, caller, actor, None))
    });
    matching.map(|rule| rule.role).collect()
}

/// Whether the caller holds a role that audits anywhere: he reads the tenant's whole timeline.
pub fn audits(state: &State, caller: &Caller<'_>) -> bool {
    let roles = ItemType::ALL.into_iter().flat_map(|item_type| roles_on_type(state, caller, item_type));
    roles.into_iter().any(|role| state.role(role).is_some_and(|role| role.audits))
}

fn is_actor(state: &State, caller: &Caller<'_>, actor: &RuleActor, item: Option<&Item>) -> bool {
    match actor {
        RuleActor::User(user) => caller.user_id() == Some(*user),
        RuleActor::Group(group) => caller.is_in(state, *group),
        RuleActor::Key(key) => caller.key.is_some_and(|own| own.id == *key),
        RuleActor::Field(field) => {
            let value = item.and_then(|item| item.fields.get(field));
            value.is_some_and(|value| value.people().into_iter().any(|person| caller.is(state, person)))
        }
    }
}

fn holds(criterion: &Criterion, item: &Item) -> bool {
    match criterion {
        Criterion::TemplateIs(template) => item.template == *template,
        Criterion::FieldIs(field, value) => item.fields.get(field) == Some(value),
        Criterion::ActiveStep(step) => item.workflow.ongoing() == Some(step),
        Criterion::ItemExists => item.is_live(),
        Criterion::ItemDeleted => item.is_deleted(),
    }
}
