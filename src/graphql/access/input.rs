//! What clients say of roles, rules and grants, and the domain's words for it.
//! Never checks what only the organisation's state can tell.

use super::{ItemLife, Permission};
use crate::{
    domain::{
        policy::{self, Criterion, GrantsChange},
        record::Kind,
        refusal::Refusal,
        text::{FieldKey, StepKey},
    },
    graphql::{id::of_kind, scalar::FieldValueInput, template::ItemType},
};
use async_graphql::{ID, InputObject, OneofObject};

/// A new role.
#[derive(InputObject)]
pub(in crate::graphql) struct CreateRoleInput {
    /// Its short name, 1 to 100 of `a-z A-Z 0-9 _ - . /`; one role of the organisation has it.
    pub(super) slug: String,
    /// What people call it: 1 to 200 characters.
    pub(super) name: String,
    /// Whether it reads everything: deleted items, people and the whole timeline included. Only who reads that much
    /// can give it.
    #[graphql(default)]
    pub(super) audits: bool,
    /// Repeats of the command under this key answer the same and do nothing.
    pub(super) idempotency_key: Option<String>,
}

/// What changes of a role; what is not named stays.
#[derive(InputObject)]
pub(in crate::graphql) struct UpdateRoleInput {
    /// The role.
    pub(super) role_id: ID,
    /// The revision that you have read.
    pub(super) expected_revision: u64,
    /// Its new name.
    pub(super) name: Option<String>,
    /// Whether it reads everything from now on.
    pub(super) audits: Option<bool>,
    /// Repeats of the command under this key answer the same and do nothing.
    pub(super) idempotency_key: Option<String>,
}

/// The deletion of a role.
#[derive(InputObject)]
pub(in crate::graphql) struct DeleteRoleInput {
    /// The role.
    pub(super) role_id: ID,
    /// The revision that you have read.
    pub(super) expected_revision: u64,
    /// Repeats of the command under this key answer the same and do nothing.
    pub(super) idempotency_key: Option<String>,
}

/// Where a rule holds: name exactly one.
#[derive(OneofObject)]
pub(in crate::graphql) enum RuleScopeInput {
    /// On all items of a type.
    ItemType(ItemType),
    /// On one item.
    Item(ID),
}

/// To whom a rule gives its role: name exactly one.
#[derive(OneofObject)]
pub(in crate::graphql) enum RuleActorInput {
    /// A user.
    User(ID),
    /// The members of a group.
    Group(ID),
    /// An API key.
    ApiKey(ID),
    /// The people in the field of the item that has this key.
    Field(String),
}

/// A field and the value that it must have.
#[derive(InputObject)]
pub(in crate::graphql) struct FieldIsInput {
    /// The field's key.
    pub(super) field: String,
    /// The value.
    pub(super) value: FieldValueInput,
}

/// What must hold of an item: name exactly one.
#[derive(OneofObject)]
pub(in crate::graphql) enum RuleCriterionInput {
    /// It is made from this template.
    Template(ID),
    /// A field has a value.
    FieldIs(FieldIsInput),
    /// The step with this key is ongoing.
    ActiveStep(String),
    /// It exists, or was deleted.
    Item(ItemLife),
}

/// A new rule that gives a role.
#[derive(InputObject)]
pub(in crate::graphql) struct CreateAssignmentRuleInput {
    /// The role.
    pub(super) role_id: ID,
    /// Where it holds.
    pub(super) scope: RuleScopeInput,
    /// To whom it gives the role: to any of these, at most 100.
    pub(super) actors: Vec<RuleActorInput>,
    /// What must hold of the item, all of it.
    #[graphql(default)]
    pub(super) criteria: Vec<RuleCriterionInput>,
    /// Repeats of the command under this key answer the same and do nothing.
    pub(super) idempotency_key: Option<String>,
}

/// What changes of a rule; what is not named stays.
#[derive(InputObject)]
pub(in crate::graphql) struct UpdateAssignmentRuleInput {
    /// The rule.
    pub(super) assignment_rule_id: ID,
    /// The revision that you have read.
    pub(super) expected_revision: u64,
    /// The role that it gives from now on.
    pub(super) role_id: Option<ID>,
    /// All to whom it gives the role from now on.
    pub(super) actors: Option<Vec<RuleActorInput>>,
    /// All that must hold of the item from now on.
    pub(super) criteria: Option<Vec<RuleCriterionInput>>,
    /// Repeats of the command under this key answer the same and do nothing.
    pub(super) idempotency_key: Option<String>,
}

/// The deletion of a rule.
#[derive(InputObject)]
pub(in crate::graphql) struct DeleteAssignmentRuleInput {
    /// The rule.
    pub(super) assignment_rule_id: ID,
    /// The revision that you have read.
    pub(super) expected_revision: u64,
    /// Repeats of the command under this key answer the same and do nothing.
    pub(super) idempotency_key: Option<String>,
}

/// What holds for one field instead of FIELD_READ and FIELD_WRITE.
#[derive(InputObject)]
pub(in crate::graphql) struct FieldExceptionInput {
    /// The field's key.
    pub(super) field: String,
    /// Whether it may be seen.
    pub(super) read: bool,
    /// Whether it may be changed; implies seeing.
    pub(super) write: bool,
}

/// What may be done.
#[derive(InputObject)]
pub(in crate::graphql) struct PermissionsInput {
    /// The permissions.
    pub(super) permissions: Vec<Permission>,
    /// Fields for which something else holds.
    #[graphql(default)]
    pub(super) field_exceptions: Vec<FieldExceptionInput>,
}

/// What a role may do.
#[derive(InputObject)]
pub(in crate::graphql) struct RolePermissionsInput {
    /// The role.
    pub(super) role_id: ID,
    /// What whoever has it may do.
    pub(super) may: PermissionsInput,
}

/// What everyone and each role may do on items of a type; what is not named stays.
#[derive(InputObject)]
pub(in crate::graphql) struct SetGrantsInput {
    /// The type; leave it out for the defaults, which hold where a type has no grants of its own.
    pub(super) item_type: Option<ItemType>,
    /// The revision that you have read; 0 where there are none yet.
    pub(super) expected_revision: u64,
    /// What everyone with an account may do from now on.
    pub(super) everyone: Option<PermissionsInput>,
    /// What each role may do from now on; a role that is not named may nothing.
    pub(super) roles: Option<Vec<RolePermissionsInput>>,
    /// All types whose roles hold here too from now on, by rules without criteria.
    pub(super) inherits_types: Option<Vec<ItemType>>,
    /// Whether the roles on the parent item hold here too from now on.
    pub(super) inherits_parent: Option<bool>,
    /// The keys of all reference fields whose items' roles hold here too from now on.
    pub(super) inherits_fields: Option<Vec<String>>,
    /// Repeats of the command under this key answer the same and do nothing.
    pub(super) idempotency_key: Option<String>,
}

/// The deletion of the grants of a type.
#[derive(InputObject)]
pub(in crate::graphql) struct DeleteGrantsInput {
    /// The grants.
    pub(super) grants_id: ID,
    /// The revision that you have read.
    pub(super) expected_revision: u64,
    /// Repeats of the command under this key answer the same and do nothing.
    pub(super) idempotency_key: Option<String>,
}

pub(super) fn actors(named: Vec<RuleActorInput>) -> Result<Vec<policy::RuleActor>, Refusal> {
    use policy::RuleActor as A;
    let actor = |(n, actor)| {
        Ok(match actor {
            RuleActorInput::User(id) => A::User(of_kind(Kind::User, &id)),
            RuleActorInput::Group(id) => A::Group(of_kind(Kind::Group, &id)),
            RuleActorInput::ApiKey(id) => A::Key(of_kind(Kind::ApiKey, &id)),
            RuleActorInput::Field(key) => A::Field(FieldKey::parse(&format!("actors.{n}.field"), &key)?),
        })
    };
    named.into_iter().enumerate().map(actor).collect()
}

pub(super) fn criteria(named: Vec<RuleCriterionInput>) -> Result<Vec<Criterion>, Refusal> {
    let criterion = |(n, criterion)| {
        let path = |part: &str| format!("criteria.{n}.{part}");
        Ok(match criterion {
            RuleCriterionInput::Template(id) => Criterion::TemplateIs(of_kind(Kind::Template, &id)),
            RuleCriterionInput::FieldIs(FieldIsInput { field, value }) => {
                let key = FieldKey::parse(&path("fieldIs.field"), &field)?;
                Criterion::FieldIs(key, value.value(&path("fieldIs.value"))?)
            }
            RuleCriterionInput::ActiveStep(key) => Criterion::ActiveStep(StepKey::parse(&path("activeStep"), &key)?),
            RuleCriterionInput::Item(ItemLife::Exists) => Criterion::ItemExists,
            RuleCriterionInput::Item(ItemLife::Deleted) => Criterion::ItemDeleted,
        })
    };
    named.into_iter().enumerate().map(criterion).collect()
}

impl PermissionsInput {
    fn granted(self, path: &str) -> Result<policy::Permissions, Refusal> {
        let exception = |(n, exception): (usize, FieldExceptionInput)| {
            let key = FieldKey::parse(&format!("{path}.fieldExceptions.{n}.field"), &exception.field)?;
            Ok((key, policy::FieldException { read: exception.read, write: exception.write }))
        };
        Ok(policy::Permissions {
            on_items: self.permissions.into_iter().map(Into::into).collect(),
            field_exceptions: self.field_exceptions.into_iter().enumerate().map(exception).collect::<Result<_, _>>()?,
        })
    }
}

impl SetGrantsInput {
    pub(super) fn change(self) -> Result<GrantsChange, Refusal> {
        let role = |(n, role): (usize, RolePermissionsInput)| {
            Ok((of_kind(Kind::Role, &role.role_id), role.may.granted(&format!("roles.{n}.may"))?))
        };
        let field = |(n, key): (usize, String)| FieldKey::parse(&format!("inheritsFields.{n}"), &key);
        let roles = self.roles.map(|roles| roles.into_iter().enumerate().map(role).collect::<Result<_, _>>());
        let fields = self.inherits_fields;
        let fields = fields.map(|keys| keys.into_iter().enumerate().map(field).collect::<Result<_, _>>());
        Ok(GrantsChange {
            item_type: self.item_type.map(Into::into),
            expected_revision: self.expected_revision,
            everyone: self.everyone.map(|may| may.granted("everyone")).transpose()?,
            roles: roles.transpose()?,
            inherits_types: self.inherits_types.map(|types| types.into_iter().map(Into::into).collect()),
            inherits_parent: self.inherits_parent,
            inherits_fields: fields.transpose()?,
        })
    }
}
