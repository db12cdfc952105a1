//! What somebody may do: the roles that she has, and what they grant together.
//! Never decides for a record: `Resource` does, by these rights.

use super::{AssignmentRule, Criterion, Grants, Permission, Permissions, RuleActor, RuleScope};
use crate::{
    domain::{
        caller::Caller,
        field::FieldValue,
        id::{ItemId, RoleId},
        item::Item,
        known::Known,
        record::Entity,
        state::State,
        template::ItemType,
        text::FieldKey,
    },
    limits::INHERITANCE_LEVELS_MAX,
};
use std::{collections::BTreeSet, sync::Arc};

/// What one caller may do on one item: the union of what everyone and each of her roles may.
pub struct Rights {
    all: bool,
    /// Her roles that read everything.
    auditing: BTreeSet<RoleId>,
    /// Those of everyone and her roles that the grants name.
    holders: Vec<Holder>,
    grants: Option<Arc<Grants>>,
}

/// One thing that may be granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Right {
    /// A permission on items.
    On(Permission),
    /// The field part of seeing a field.
    ReadField(FieldKey),
    /// The field part of changing a field.
    WriteField(FieldKey),
}

/// Whom a permission was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// Everyone with an account.
    Everyone,
    /// Whoever has this role.
    Role(RoleId),
}

/// A role that somebody has, and how she came by it.
#[derive(Clone, Debug)]
pub struct Gained<'s> {
    /// The rule that gives the role.
    pub rule: &'s Arc<AssignmentRule>,
    /// As what the rule names her.
    pub actor: &'s RuleActor,
    /// Where the rule holds, seen from the item that was asked about.
    pub via: Via,
}

/// From where a role comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Via {
    /// A rule on the item itself, or on its type.
    Own,
    /// A rule without criteria on another type, whose roles hold here too.
    Type(ItemType),
    /// A role on another item: the parent, or one that a declared field names.
    Item(ItemId),
}

impl Rights {
    /// The rights on an item; what is known of the caller in this state is not looked for again.
    pub(in crate::domain) fn on(state: &State, caller: &Caller<'_>, item: &Item, known: Option<&Known>) -> Self {
        let roles = roles_on(state, caller, item, INHERITANCE_LEVELS_MAX, known);
        Self::of_roles(state, caller, item.item_type, &roles)
    }

    /// The rights on a type of which no item exists yet, under a parent where it has one.
    pub fn on_type(state: &State, caller: &Caller<'_>, item_type: ItemType, parent: Option<&Item>) -> Self {
        let mut roles = BTreeSet::new();
        each_role_for_new(state, caller, item_type, parent, &mut |gained| {
            roles.insert(gained.rule.role);
        });
        Self::of_roles(state, caller, item_type, &roles)
    }

    /// The most that the caller may do on any item of a type: with every role that a rule would give her somewhere,
    /// should she stand in whatever field it names.
    pub(in crate::domain) fn at_most(state: &State, caller: &Caller<'_>, item_type: ItemType) -> Self {
        let could_be = |actor: &RuleActor| match actor {
            RuleActor::Field(_) => caller.user.is_some(),
            RuleActor::User(_) | RuleActor::Group(_) | RuleActor::Key(_) => is_actor(state, caller, actor, None),
        };
        let rules = AssignmentRule::table(state).values().filter(|rule| rule.actors.iter().any(could_be));
        Self::of_roles(state, caller, item_type, &rules.map(|rule| rule.role).collect())
    }

    fn of_roles(state: &State, caller: &Caller<'_>, item_type: ItemType, roles: &BTreeSet<RoleId>) -> Self {
        let grants = state.grants(item_type).filter(|_| caller.has_account() || caller.key.is_some()).map(Arc::clone);
        let mut holders = vec![];
        if let Some(grants) = &grants {
            // "Everyone" means everyone with an account: a node's key has its scopes and its own rules only.
            holders.extend(caller.has_account().then_some(Holder::Everyone));
            let granted = roles.iter().filter(|role| grants.roles.contains_key(role));
            holders.extend(granted.map(|role| Holder::Role(*role)));
        }
        let audits = |role: &&RoleId| state.role(**role).is_some_and(|role| role.audits);
        Self { all: caller.manages(), auditing: roles.iter().filter(audits).copied().collect(), holders, grants }
    }

    /// What is granted, and to whom of those that the caller is.
    fn granted(&self) -> impl Iterator<Item = (Holder, &Permissions)> {
        self.grants.iter().flat_map(|grants| {
            self.holders.iter().filter_map(|holder| match holder {
                Holder::Everyone => Some((*holder, &grants.everyone)),
                Holder::Role(role) => Some((*holder, grants.roles.get(role)?)),
            })
        })
    }

    fn audits(&self) -> bool {
        !self.auditing.is_empty()
    }

    fn has(&self, permission: Permission) -> bool {
        self.all || self.granted().any(|(_, permissions)| permissions.has(permission))
    }

    /// Whether the caller has a right by a grant or her standing.
    pub fn has_right(&self, right: &Right) -> bool {
        match right {
            Right::On(Permission::Read) => self.may_read(),
            Right::On(permission) => self.has(*permission),
            Right::ReadField(key) => self.reads_field(key),
            Right::WriteField(key) => self.writes_field(key),
        }
    }

    /// Who of those that the caller is has a right; nobody where her standing gives it, or nothing.
    pub fn holders(&self, right: &Right) -> BTreeSet<Holder> {
        let gives = |permissions: &Permissions| match right {
            Right::On(permission) => permissions.has(*permission),
            Right::ReadField(key) => permissions.reads_field(key),
            Right::WriteField(key) => permissions.writes_field(key),
        };
        let granted = self.granted().filter(|(_, permissions)| gives(permissions)).map(|(holder, _)| holder);
        let reads = matches!(right, Right::On(Permission::Read) | Right::ReadField(_));
        granted.chain(self.auditing.iter().filter(|_| reads).map(|role| Holder::Role(*role))).collect()
    }

    /// Whether the caller has a permission by a grant or her standing.
    pub fn includes(&self, permission: Permission) -> bool {
        self.has(permission)
    }

    /// Whether the item may be seen.
    pub fn may_read(&self) -> bool {
        self.audits() || self.has(Permission::Read)
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
        self.all || self.audits() || self.granted().any(|(_, permissions)| permissions.reads_field(key))
    }

    /// Whether the field part of changing a field is granted: the item part is WRITE, or CREATE for a new one.
    pub(in crate::domain) fn writes_field(&self, key: &FieldKey) -> bool {
        self.all || self.granted().any(|(_, permissions)| permissions.writes_field(key))
    }
}

/// Every role that the caller has on an item, each once; those on what it inherits from may be known.
pub(in crate::domain) fn roles_on(
    state: &State,
    caller: &Caller<'_>,
    item: &Item,
    levels: usize,
    known: Option<&Known>,
) -> BTreeSet<RoleId> {
    let mut roles = BTreeSet::new();
    each_own_role(state, caller, item, Via::Own, &mut |gained| {
        roles.insert(gained.rule.role);
    });
    for (source, levels) in inherited_from(state, item, levels) {
        let find = || roles_on(state, caller, source, levels, known);
        match known {
            Some(known) => roles.extend(known.roles(source.id, levels, find).iter()),
            None => roles.extend(find()),
        }
    }
    roles
}

/// Tells of every role that the caller has on an item: by rules on its type or itself, inherited from other types,
/// and through the parent and declared references, `levels` deep.
pub(in crate::domain) fn each_role<'s>(
    state: &'s State,
    caller: &Caller<'_>,
    item: &Item,
    levels: usize,
    via: Via,
    found: &mut dyn FnMut(Gained<'s>),
) {
    each_own_role(state, caller, item, via, found);
    for (source, levels) in inherited_from(state, item, levels) {
        each_role(state, caller, source, levels, Via::Item(source.id), found);
    }
}

/// The items whose roles hold on an item too, its parent and those in declared references, each with the levels that are
/// left to it.
fn inherited_from<'s>(state: &'s State, item: &Item, levels: usize) -> impl Iterator<Item = (&'s Item, usize)> {
    let grants = state.grants(item.item_type).filter(|_| levels > 0);
    let sources = grants.into_iter().flat_map(|grants| {
        let parent = item.parent.filter(|_| grants.inherits_parent);
        let fields = grants.inherits_fields.iter().filter_map(|key| item.fields.get(key));
        parent.into_iter().chain(fields.flat_map(FieldValue::references))
    });
    sources.filter_map(move |id| Some((&**state.item(id)?, levels.saturating_sub(1))))
}

/// Tells of the roles that the caller has on an item by rules on its type or itself, or inherited from other types.
fn each_own_role<'s>(state: &'s State, caller: &Caller<'_>, item: &Item, via: Via, found: &mut dyn FnMut(Gained<'s>)) {
    let on_item = [RuleScope::Type(item.item_type), RuleScope::Item(item.id)];
    for rule in on_item.into_iter().flat_map(|scope| state.rules_of(scope)) {
        if let Some(actor) = rule.actors.iter().find(|actor| is_actor(state, caller, actor, Some(item)))
            && rule.criteria.iter().all(|criterion| holds(criterion, item))
        {
            found(Gained { rule, actor, via });
        }
    }
    let Some(grants) = state.grants(item.item_type) else { return };
    for inherited in &grants.inherits_types {
        let via = if via == Via::Own { Via::Type(*inherited) } else { via };
        each_role_on_type(state, caller, *inherited, via, found);
    }
}

/// Tells of every role that the caller has on a type as such: by rules without criteria that name her, not a field.
fn each_role_on_type<'s>(
    state: &'s State,
    caller: &Caller<'_>,
    item_type: ItemType,
    via: Via,
    found: &mut dyn FnMut(Gained<'s>),
) {
    for rule in state.rules_of(RuleScope::Type(item_type)) {
        if rule.criteria.is_empty()
            && let Some(actor) = rule.actors.iter().find(|actor| is_actor(state, caller, actor, None))
        {
            found(Gained { rule, actor, via });
        }
    }
}

/// Tells of every role that the caller has where an item of a type would be made, under a parent where it has one.
pub(in crate::domain) fn each_role_for_new<'s>(
    state: &'s State,
    caller: &Caller<'_>,
    item_type: ItemType,
    parent: Option<&Item>,
    found: &mut dyn FnMut(Gained<'s>),
) {
    each_role_on_type(state, caller, item_type, Via::Own, found);
    let Some(grants) = state.grants(item_type) else { return };
    for inherited in &grants.inherits_types {
        each_role_on_type(state, caller, *inherited, Via::Type(*inherited), found);
    }
    if let Some(parent) = parent.filter(|_| grants.inherits_parent) {
        each_role(state, caller, parent, INHERITANCE_LEVELS_MAX - 1, Via::Item(parent.id), found);
    }
}

/// Whether the caller holds a role that audits anywhere: he reads the tenant's whole timeline.
pub fn audits(state: &State, caller: &Caller<'_>) -> bool {
    let mut audits = false;
    for item_type in ItemType::ALL {
        each_role_on_type(state, caller, item_type, Via::Own, &mut |gained| {
            audits |= state.role(gained.rule.role).is_some_and(|role| role.audits);
        });
    }
    audits
}

pub(super) fn is_actor(state: &State, caller: &Caller<'_>, actor: &RuleActor, item: Option<&Item>) -> bool {
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
