//! Roles, the rules that give them, and what they grant, as those who manage read them.
//! Never decides who may do what, and never shows an item, person or key that the reader may not see.

pub(super) mod explanation;
mod input;
pub(super) mod matrix;
pub(super) mod mutation;

use super::{
    call::{connection, page, snapshot},
    error::PageError,
    id::{global, of_kind},
    identity::{Group, User},
    item::GovernedItem,
    scalar::FieldValue,
    template::{ItemType, Template},
};
use crate::{
    app::{
        Seen,
        access::{self, RuleFilter},
    },
    domain::{policy, record::Kind},
    store::Snapshot,
};
use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};

/// One permission on items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "policy::Permission")]
pub(super) enum Permission {
    /// Everything below.
    Admin,
    /// Making items; does not imply seeing them.
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

/// Whether an item is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(super) enum ItemLife {
    /// It exists.
    Exists,
    /// It was deleted, and its end can be read.
    Deleted,
}

/// What people are to an item.
#[derive(Clone)]
pub(super) struct Role(pub(super) Seen<policy::Role>);

/// What people are to an item.
#[Object]
impl Role {
    /// The role's id.
    pub(super) async fn id(&self) -> ID {
        global(Kind::Role, self.0.id.uuid())
    }

    /// Counts changes; name it when you change the role.
    async fn revision(&self) -> u64 {
        self.0.revision
    }

    /// Its short name.
    async fn slug(&self) -> &str {
        self.0.slug.as_str()
    }

    /// What people call it.
    async fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// Whether it reads everything: deleted items, people and the whole timeline included.
    async fn audits(&self) -> bool {
        self.0.audits
    }
}

/// To whom an assignment rule gives its role: one of these.
#[derive(Default, SimpleObject)]
pub(super) struct RuleActor {
    /// A user.
    user: Option<User>,
    /// The members of a group; null after it was removed.
    group: Option<Group>,
    /// The id of an API key.
    api_key_id: Option<ID>,
    /// The key of a field of the item: the people in it.
    field: Option<String>,
}

impl RuleActor {
    fn shown(snapshot: &Snapshot, actor: &policy::RuleActor) -> Self {
        use policy::RuleActor as A;
        match actor {
            A::User(user) => Self { user: Seen::find(snapshot, *user).ok().map(User), ..Self::default() },
            A::Group(group) => Self { group: Seen::find(snapshot, *group).ok().map(Group), ..Self::default() },
            A::Key(key) => Self { api_key_id: Some(global(Kind::ApiKey, key.uuid())), ..Self::default() },
            A::Field(field) => Self { field: Some(field.to_string()), ..Self::default() },
        }
    }
}

/// What must hold of an item: one of these.
#[derive(Default, SimpleObject)]
pub(super) struct RuleCriterion {
    /// It is made from this template.
    template: Option<Template>,
    /// The field with this key has the value.
    field: Option<String>,
    /// The value that the field has.
    value: Option<FieldValue>,
    /// The step with this key is ongoing.
    active_step: Option<String>,
    /// Whether it exists or was deleted.
    item: Option<ItemLife>,
}

impl RuleCriterion {
    fn shown(snapshot: &Snapshot, criterion: &policy::Criterion) -> Self {
        use policy::Criterion as C;
        match criterion {
            C::TemplateIs(id) => Self { template: Seen::find(snapshot, *id).ok().map(Template), ..Self::default() },
            C::FieldIs(key, value) => {
                let value = Some(FieldValue::shown(snapshot, value));
                Self { field: Some(key.to_string()), value, ..Self::default() }
            }
            C::ActiveStep(step) => Self { active_step: Some(step.to_string()), ..Self::default() },
            C::ItemExists => Self { item: Some(ItemLife::Exists), ..Self::default() },
            C::ItemDeleted => Self { item: Some(ItemLife::Deleted), ..Self::default() },
        }
    }
}

/// A rule that gives a role.
#[derive(Clone)]
pub(super) struct AssignmentRule(pub(super) Seen<policy::AssignmentRule>);

/// A rule that gives a role.
#[Object]
impl AssignmentRule {
    /// The rule's id.
    pub(super) async fn id(&self) -> ID {
        global(Kind::AssignmentRule, self.0.id.uuid())
    }

    /// Counts changes; name it when you change the rule.
    async fn revision(&self) -> u64 {
        self.0.revision
    }

    /// The role that it gives.
    async fn role(&self) -> Option<Role> {
        Seen::find(self.0.snapshot(), self.0.role).ok().map(Role)
    }

    /// The type on all of whose items it holds; null where it holds on one item.
    async fn item_type(&self) -> Option<ItemType> {
        if let policy::RuleScope::Type(item_type) = self.0.scope { Some(item_type.into()) } else { None }
    }

    /// The item on which alone it holds; null where it holds on a type.
    async fn item(&self) -> Option<GovernedItem> {
        self.0.item().ok().map(GovernedItem)
    }

    /// To whom it gives the role: to any of these.
    async fn actors(&self) -> Vec<RuleActor> {
        self.0.actors.iter().map(|actor| RuleActor::shown(self.0.snapshot(), actor)).collect()
    }

    /// What must hold of the item, all of it; without an item none holds.
    async fn criteria(&self) -> Vec<RuleCriterion> {
        self.0.criteria.iter().map(|criterion| RuleCriterion::shown(self.0.snapshot(), criterion)).collect()
    }
}

/// What holds for one field instead of FIELD_READ and FIELD_WRITE.
#[derive(SimpleObject)]
pub(super) struct FieldException {
    /// The field's key.
    field: String,
    /// Whether it may be seen.
    read: bool,
    /// Whether it may be changed; implies seeing.
    write: bool,
}

/// What a role, or everyone, may do.
#[derive(SimpleObject)]
pub(super) struct Permissions {
    /// The role; null where it is everyone with an account.
    role: Option<Role>,
    /// The permissions; they add up over everyone and each role that somebody has, and none takes another away.
    permissions: Vec<Permission>,
    /// Fields for which something else holds.
    field_exceptions: Vec<FieldException>,
}

impl Permissions {
    fn shown(role: Option<Role>, permissions: &policy::Permissions) -> Self {
        let exceptions = permissions.field_exceptions.iter();
        let exceptions = exceptions.map(|(key, exception)| FieldException {
            field: key.to_string(),
            read: exception.read || exception.write,
            write: exception.write,
        });
        Self {
            role,
            permissions: permissions.on_items.iter().copied().map(Into::into).collect(),
            field_exceptions: exceptions.collect(),
        }
    }
}

/// What everyone and each role may do on items of a type.
#[derive(Clone)]
pub(super) struct Grants(pub(super) Seen<policy::Grants>);

/// What everyone and each role may do on items of a type.
#[Object]
impl Grants {
    /// The id of this set of grants.
    pub(super) async fn id(&self) -> ID {
        global(Kind::Grants, self.0.id.uuid())
    }

    /// Counts changes; name it when you change the grants.
    async fn revision(&self) -> u64 {
        self.0.revision
    }

    /// The type; null for the defaults, which hold where a type has no grants of its own.
    async fn item_type(&self) -> Option<ItemType> {
        self.0.item_type.map(Into::into)
    }

    /// What everyone with an account may do.
    async fn everyone(&self) -> Permissions {
        Permissions::shown(None, &self.0.everyone)
    }

    /// What each role may do.
    async fn roles(&self) -> Vec<Permissions> {
        let of = |role: &_| Seen::find(self.0.snapshot(), *role).ok().map(Role);
        self.0.roles.iter().map(|(role, permissions)| Permissions::shown(of(role), permissions)).collect()
    }

    /// Other types whose roles hold here too, by rules without criteria.
    async fn inherits_types(&self) -> Vec<ItemType> {
        self.0.inherits_types.iter().copied().map(Into::into).collect()
    }

    /// Whether the roles on the parent item hold here too.
    async fn inherits_parent(&self) -> bool {
        self.0.inherits_parent
    }

    /// The keys of the reference fields whose items' roles hold here too.
    async fn inherits_fields(&self) -> Vec<String> {
        self.0.inherits_fields.iter().map(ToString::to_string).collect()
    }
}

connection! {
    /// A page of roles.
    RoleConnection, RoleEdge of Role(policy::Role)
}

connection! {
    /// A page of assignment rules.
    AssignmentRuleConnection, AssignmentRuleEdge of AssignmentRule(policy::AssignmentRule)
}

connection! {
    /// A page of sets of grants.
    GrantsConnection, GrantsEdge of Grants(policy::Grants)
}

/// Queries about who may do what.
#[derive(Default)]
pub(super) struct AccessQuery;

#[Object]
impl AccessQuery {
    /// The roles of your organisation, by name; none for whoever does not manage it.
    async fn roles(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many rows: 0 to 100; 25 where nothing is named.")] first: Option<i32>,
        #[graphql(desc = "Rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many rows: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Rows before this cursor.")] before: Option<String>,
    ) -> Result<RoleConnection> {
        let request = page(first, after, last, before)?;
        Ok(access::roles(snapshot(ctx).await?, &request).map_err(PageError::from)?.into())
    }

    /// The rules that give roles, oldest first; none for whoever does not manage the organisation.
    #[expect(clippy::too_many_arguments, reason = "each is an argument of the field")]
    async fn assignment_rules(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only rules that give this role.")] role_id: Option<ID>,
        #[graphql(desc = "Only rules that hold on all items of this type.")] item_type: Option<ItemType>,
        #[graphql(desc = "Only rules that hold on this item alone.")] item_id: Option<ID>,
        #[graphql(desc = "The first so many rows: 0 to 100; 25 where nothing is named.")] first: Option<i32>,
        #[graphql(desc = "Rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many rows: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Rows before this cursor.")] before: Option<String>,
    ) -> Result<AssignmentRuleConnection> {
        let request = page(first, after, last, before)?;
        let filter = RuleFilter {
            role: role_id.map(|id| of_kind(Kind::Role, &id)),
            item_type: item_type.map(Into::into),
            item: item_id.map(|id| of_kind(Kind::Item, &id)),
        };
        let rows = access::assignment_rules(snapshot(ctx).await?, filter, &request);
        Ok(rows.map_err(PageError::from)?.into())
    }

    /// What everyone and each role may do, a set for each type that has its own, and the defaults; none for whoever
    /// does not manage the organisation.
    async fn grants(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many rows: 0 to 100; 25 where nothing is named.")] first: Option<i32>,
        #[graphql(desc = "Rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many rows: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Rows before this cursor.")] before: Option<String>,
    ) -> Result<GrantsConnection> {
        let request = page(first, after, last, before)?;
        Ok(access::grants(snapshot(ctx).await?, &request).map_err(PageError::from)?.into())
    }
}
