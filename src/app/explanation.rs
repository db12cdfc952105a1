//! Why somebody may do something, or may not, as far as whoever asks may read what it rests on.
//! Never decides: `domain/policy` says what decided, here it is only closed to those who may not see it.

use super::{App, Seen};
use crate::{
    domain::{
        access::{Denied, Principal, Viewer},
        action::{ExplainAccess, ReadItem},
        id::{ApiKeyId, ItemId, UserId},
        identity::{ApiKey, Group, User},
        item::Item,
        policy::{Asked, AssignmentRule, Explanation, Gained, Grants, Ground, Right, Role, RuleActor, Via, Why},
        template::ItemType,
        text::FieldKey,
    },
    store::Snapshot,
};

/// Of whom it is asked.
#[derive(Clone, Copy, Debug)]
pub enum Actor {
    /// A person.
    User(UserId),
    /// An API key.
    Key(ApiKeyId),
}

/// As what a rule names somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedAs {
    /// As herself.
    User,
    /// As a member of a group.
    Group,
    /// As a key.
    Key,
    /// As one of the people in a field.
    Field,
}

/// What somebody is to the object, as far as the asker may read of it.
pub struct ShownGround {
    /// Whether it is what everyone with an account may do.
    pub everyone: bool,
    /// The role.
    pub role: Option<Seen<Role>>,
    /// The rule that gives the role.
    pub rule: Option<Seen<AssignmentRule>>,
    /// As what the rule names her.
    pub named_as: Option<NamedAs>,
    /// The group that she is in.
    pub group: Option<Seen<Group>>,
    /// The field that names her.
    pub field: Option<FieldKey>,
    /// The other type from which the role is inherited.
    pub from_type: Option<ItemType>,
    /// The other item from which the role is inherited.
    pub from_item: Option<Seen<Item>>,
    /// Whether there is more to it than the asker may read.
    pub withheld: bool,
    /// Which of the needed rights it gives.
    pub gives: Vec<Right>,
}

/// Why somebody may, or may not.
pub struct ShownExplanation {
    /// Whether she may.
    pub allowed: bool,
    /// What decided.
    pub why: Why,
    /// The permissions that are needed, and which of them she has.
    pub rights: Vec<(Right, bool)>,
    /// What she is to the object.
    pub grounds: Vec<ShownGround>,
    /// The grants that were asked.
    pub grants: Option<Seen<Grants>>,
}

impl App {
    /// Why somebody may do something, or may not; the asker herself where nobody is named.
    ///
    /// # Errors
    /// `NotFound` for an actor or object that the asker may not read, `Forbidden` where she asks about somebody else
    /// and does not manage the tenant.
    pub fn explain_access(
        &self,
        snapshot: &Snapshot,
        actor: Option<Actor>,
        asked: Asked<'_>,
    ) -> Result<ShownExplanation, Denied> {
        let view = snapshot.view();
        let caller = view.caller()?;
        let (viewer, lasts) = match actor {
            None => (view.viewer().clone(), true),
            Some(Actor::User(user)) => {
                view.readable::<User>(user)?;
                if caller.user_id() != Some(user) {
                    view.tenant()?.authorize::<ExplainAccess>()?;
                }
                (Viewer::verified(view.viewer().tenant(), Principal::User(user)), true)
            }
            Some(Actor::Key(key)) => {
                let lasts = view.readable::<ApiKey>(key)?.lasts(self.store.clock().now());
                view.tenant()?.authorize::<ExplainAccess>()?;
                (Viewer::verified(view.viewer().tenant(), Principal::Key(key)), lasts)
            }
        };
        let explanation = view.explain(&viewer, asked)?;
        Ok(ShownExplanation::of(snapshot, if lasts { explanation } else { explanation.ended() }))
    }
}

impl ShownExplanation {
    fn of(snapshot: &Snapshot, explanation: Explanation<'_>) -> Self {
        let allowed = explanation.allowed();
        let grants = explanation.grants.and_then(|grants| Seen::find(snapshot, grants).ok());
        let Explanation { why, rights, grounds, item, .. } = explanation;
        let grounds = grounds.into_iter().map(|(ground, gives)| ShownGround::of(snapshot, &ground, item, gives));
        Self { allowed, why, rights, grounds: grounds.collect(), grants }
    }
}

impl ShownGround {
    pub(super) fn of(snapshot: &Snapshot, ground: &Ground<'_>, item: Option<ItemId>, gives: Vec<Right>) -> Self {
        let nothing = Self {
            everyone: false,
            role: None,
            rule: None,
            named_as: None,
            group: None,
            field: None,
            from_type: None,
            from_item: None,
            withheld: false,
            gives,
        };
        match ground {
            Ground::Everyone => Self { everyone: true, ..nothing },
            Ground::Group(group) => {
                let group = Seen::find(snapshot, *group).ok();
                Self { withheld: group.is_none(), named_as: Some(NamedAs::Group), group, ..nothing }
            }
            Ground::Role(gained) => Self::of_role(snapshot, gained, item, nothing),
        }
    }

    fn of_role(snapshot: &Snapshot, gained: &Gained<'_>, item: Option<ItemId>, nothing: Self) -> Self {
        let (from_type, on) = match gained.via {
            Via::Own => (None, item),
            Via::Type(item_type) => (Some(item_type), None),
            Via::Item(other) => (None, Some(other)),
        };
        let inherited = matches!(gained.via, Via::Item(_));
        let from_item = on.filter(|_| inherited).and_then(|on| Seen::find(snapshot, on).ok());
        let (named_as, group, field) = match gained.actor {
            RuleActor::User(_) => (NamedAs::User, None, None),
            RuleActor::Key(_) => (NamedAs::Key, None, None),
            RuleActor::Group(group) => (NamedAs::Group, Seen::find(snapshot, *group).ok(), None),
            RuleActor::Field(field) => {
                let shown = on.is_some_and(|on| may_read_field(snapshot, on, field));
                (NamedAs::Field, None, shown.then(|| field.clone()))
            }
        };
        let role: Option<Seen<Role>> = Seen::find(snapshot, gained.rule.role).ok();
        let rule: Option<Seen<AssignmentRule>> = Seen::find(snapshot, gained.rule.id).ok();
        let withheld = role.is_none()
            || rule.is_none()
            || (inherited && from_item.is_none())
            || (named_as == NamedAs::Group && group.is_none())
            || (named_as == NamedAs::Field && field.is_none());
        Self { role, rule, named_as: Some(named_as), group, field, from_type, from_item, withheld, ..nothing }
    }
}

/// Whether whoever asks may see a field of an item.
fn may_read_field(snapshot: &Snapshot, item: ItemId, field: &FieldKey) -> bool {
    let item = snapshot.view().item(item).and_then(|item| item.authorize::<ReadItem>());
    item.and_then(|item| item.rights()).is_ok_and(|rights| rights.may_read_field(field))
}
