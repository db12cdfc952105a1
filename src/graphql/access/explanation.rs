//! Why somebody may do something, or may not, in the words of the schema.
//! Never decides, and never names what the asker may not read.

use super::{AssignmentRule, Grants, Permission, Role};
use crate::{
    app::{Actor, NamedAs, ShownExplanation, ShownGround},
    domain::{
        access::{Basis, Denied},
        action::{Action, Need},
        policy::{Asked, Right, Why},
        record::Kind,
        text::FieldKey,
    },
    graphql::{
        call::{app, snapshot},
        error::{code, denied, error, failed},
        id::named,
        identity::Group,
        item::GovernedItem,
        template::ItemType,
    },
};
use async_graphql::{
    Context, Enum, ID, InputType, InputValueError, InputValueResult, Name, Object, Result, SimpleObject, Value,
    registry::{MetaEnumValue, MetaType, MetaTypeId, Registry},
};
use std::borrow::Cow;

/// What can be asked about: the domain's one table of actions, as an enum of the schema.
#[derive(Clone, Copy, Debug)]
struct AccessAction(Action);

impl AccessAction {
    /// What people and keys do; neither what the server does by itself, nor what the platform operator or whoever
    /// presents a credential does.
    fn all() -> impl Iterator<Item = Action> {
        use Action as A;
        let by_itself = [A::EndBroughtSessions, A::ReceiveTenant];
        let by_credential = [A::SetPassword, A::SignIn, A::RefreshSession, A::SignOut, A::ChangePassword];
        let others = Action::ALL.iter().copied().filter(|action| action.need() != Need::Operate);
        others.filter(move |action| !by_itself.contains(action) && !by_credential.contains(action))
    }

    /// As in `REQUEST_FEEDBACK`.
    fn name(action: Action) -> String {
        let mut name = String::new();
        for letter in action.as_str().chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
        }
        name
    }
}

impl InputType for AccessAction {
    type RawValueType = Self;

    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("AccessAction")
    }

    fn create_type_info(registry: &mut Registry) -> String {
        registry.create_input_type::<Self, _>(MetaTypeId::Enum, |_| {
            let values = Self::all().map(|action| {
                let description = Some(action.told().trim().to_owned());
                let value = MetaEnumValue { description, ..MetaEnumValue::new(Self::name(action)) };
                (Self::name(action), value)
            });
            MetaType::Enum {
                name: "AccessAction".to_owned(),
                description: Some("What somebody might do.".to_owned()),
                enum_values: values.collect(),
                visible: None,
                inaccessible: false,
                tags: vec![],
                rust_typename: Some(std::any::type_name::<Self>()),
                directive_invocations: vec![],
                requires_scopes: vec![],
            }
        })
    }

    fn parse(value: Option<Value>) -> InputValueResult<Self> {
        let name = if let Some(Value::Enum(name)) = &value {
            name.as_str()
        } else if let Some(Value::String(name)) = &value {
            name.as_str()
        } else {
            return Err(InputValueError::expected_type(value.unwrap_or_default()));
        };
        let found = Self::all().find(|action| Self::name(*action) == name).map(Self);
        found.ok_or_else(|| InputValueError::custom("this is not an action that one can ask about"))
    }

    fn to_value(&self) -> Value {
        Value::Enum(Name::new(Self::name(self.0)))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }
}

/// What decided whether somebody may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
enum AccessReason {
    /// Yes: everyone who is signed in may.
    SignedIn,
    /// Yes: she is a governance manager or administrator, or whatever else the action asks for.
    Standing,
    /// Yes: by what her roles, or everyone, are granted; the grounds say by which.
    Roles,
    /// Yes: she belongs to those who review or decide.
    Membership,
    /// Yes: the key has the scope.
    Scope,
    /// Yes: by a grant on an infrastructure.
    Grant,
    /// Yes: the object is her own.
    Own,
    /// No: she is disabled or deleted, or the key is revoked or has ended.
    ActorEnded,
    /// No: nothing lets her read the object, which is not found for her.
    NotReadable,
    /// No: she reads the object, and nothing gives her what `needs` names.
    RightMissing,
    /// No: she reads the review, and is none of those who review or decide.
    NotAMember,
}

impl AccessReason {
    const fn of(why: &Why) -> Self {
        match why {
            Why::Basis(Basis::SignedIn) => Self::SignedIn,
            Why::Basis(Basis::Standing | Basis::System) => Self::Standing,
            Why::Basis(Basis::Roles) => Self::Roles,
            Why::Basis(Basis::Membership) | Why::Member(_) => Self::Membership,
            Why::Basis(Basis::Scope) => Self::Scope,
            Why::Basis(Basis::Grant) => Self::Grant,
            Why::Basis(Basis::Own) => Self::Own,
            Why::Denied(Denied::Unauthenticated) => Self::ActorEnded,
            Why::Denied(Denied::NotFound) => Self::NotReadable,
            Why::Denied(Denied::Forbidden(_)) => Self::RightMissing,
            Why::NotAMember => Self::NotAMember,
        }
    }
}

/// As what a rule names somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "NamedAs")]
enum RuleNames {
    /// As herself.
    User,
    /// As a member of a group.
    Group,
    /// As an API key.
    Key,
    /// As one of the people in a field.
    Field,
}

/// A permission that the action needs.
#[derive(SimpleObject)]
struct NeededRight {
    /// The permission.
    permission: Permission,
    /// The field for which it is needed; null where it is needed for the whole item.
    field: Option<String>,
    /// Whether she has it.
    granted: bool,
}

/// What somebody is to the object: everyone with an account, a role, or a group with a grant on the infrastructure.
#[derive(SimpleObject)]
pub(super) struct AccessGround {
    /// Whether it is what everyone with an account may do.
    everyone: bool,
    /// The role; null where there is none, or you may not read it.
    role: Option<Role>,
    /// The rule that gives the role; null where there is none, or you may not read it.
    rule: Option<AssignmentRule>,
    /// As what the rule names her.
    named_as: Option<RuleNames>,
    /// The group that she is in; null where there is none, or you may not read it.
    group: Option<Group>,
    /// The key of the field that names her; null where there is none, or you may not read it.
    field: Option<String>,
    /// The other type from which the role is inherited.
    inherited_from_type: Option<ItemType>,
    /// The parent or referenced item from which the role is inherited; null where there is none, or you may not read it.
    inherited_from: Option<GovernedItem>,
    /// Whether a part is null because you may not read it.
    withheld: bool,
    /// Which of the permissions that are needed it gives; none where it gives others only.
    gives: Vec<Permission>,
}

/// Why somebody may do something, or may not. It says nothing of the moment: whether a step is ongoing, or somebody
/// has decided, is for the operation to say.
#[derive(SimpleObject)]
struct AccessExplanation {
    /// Whether she may.
    allowed: bool,
    /// What decided.
    reason: AccessReason,
    /// What the action needs, in words.
    needs: String,
    /// The permissions on items that it needs; empty where it does not depend on roles.
    rights: Vec<NeededRight>,
    /// What she is to the object, whether or not it gives what is needed.
    grounds: Vec<AccessGround>,
    /// The set of grants that says what each role may; null where it does not depend on roles, or you may not read it.
    grants: Option<Grants>,
}

impl NeededRight {
    fn shown((right, granted): &(Right, bool)) -> Self {
        let field = match right {
            Right::On(_) => None,
            Right::ReadField(key) | Right::WriteField(key) => Some(key.to_string()),
        };
        Self { permission: right.permission().into(), field, granted: *granted }
    }
}

impl AccessGround {
    pub(super) fn shown(ground: ShownGround) -> Self {
        Self {
            everyone: ground.everyone,
            role: ground.role.map(Role),
            rule: ground.rule.map(AssignmentRule),
            named_as: ground.named_as.map(Into::into),
            group: ground.group.map(Group),
            field: ground.field.map(|field| field.to_string()),
            inherited_from_type: ground.from_type.map(Into::into),
            inherited_from: ground.from_item.map(GovernedItem),
            withheld: ground.withheld,
            gives: ground.gives.iter().map(|right| right.permission().into()).collect(),
        }
    }
}

impl AccessExplanation {
    fn shown(action: Action, explained: ShownExplanation) -> Self {
        let needs = match &explained.why {
            Why::Denied(Denied::Forbidden(right)) => right,
            Why::Basis(_) | Why::Member(_) | Why::Denied(_) | Why::NotAMember => action.need().right(),
        };
        Self {
            allowed: explained.allowed,
            reason: AccessReason::of(&explained.why),
            needs: needs.to_owned(),
            rights: explained.rights.iter().map(NeededRight::shown).collect(),
            grounds: explained.grounds.into_iter().map(AccessGround::shown).collect(),
            grants: explained.grants.map(Grants),
        }
    }
}

/// Queries about why.
#[derive(Default)]
pub(in crate::graphql) struct ExplanationQuery;

#[Object]
impl ExplanationQuery {
    /// Why somebody may do something, or may not: you yourself, or, for whoever manages the organisation, anybody.
    /// NOT_FOUND for an object that you may not read yourself.
    async fn explain_access(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who would do it: a person or an API key; you where nobody is named.")] actor_id: Option<ID>,
        #[graphql(desc = "What would be done.")] action: AccessAction,
        #[graphql(desc = "To which object; none for what is done to the organisation, as making something new.")]
        object_id: Option<ID>,
        #[graphql(desc = "To which field of the item, with READ_ITEM and UPDATE_ITEM.")] field: Option<String>,
    ) -> Result<AccessExplanation> {
        let AccessAction(action) = action;
        if field.is_some() && !matches!(action, Action::ReadItem | Action::UpdateItem) {
            return Err(error(code::BAD_REQUEST, "A field goes with READ_ITEM and UPDATE_ITEM."));
        }
        let snapshot = snapshot(ctx).await?;
        let actor = match actor_id.map(|id| named(&id.0)) {
            None => None,
            Some(Some((Kind::User, user))) => Some(Actor::User(user.into())),
            Some(Some((Kind::ApiKey, key))) => Some(Actor::Key(key.into())),
            Some(_) => return Err(denied(Denied::NotFound)),
        };
        let object = match object_id.map(|id| named(&id.0)) {
            None => None,
            Some(Some((kind, object))) if kind == action.noun() => Some(object),
            Some(_) => return Err(denied(Denied::NotFound)),
        };
        let field = field.map(|field| FieldKey::parse("field", &field)).transpose();
        let field = field.map_err(|refusal| failed(refusal.into()))?;
        let asked = Asked { action, object, field: field.as_ref() };
        let explained = app(ctx).explain_access(snapshot, actor, asked).map_err(denied)?;
        Ok(AccessExplanation::shown(action, explained))
    }
}
