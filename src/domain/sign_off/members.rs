//! Who belongs to a group of reviewers or approvers, as it is now.
//! Never remembers a membership: users, groups, roles and fields are asked anew each time.

use super::{MembershipBasis, SignOff};
use crate::domain::{
    action::Action,
    caller::Caller,
    field::{FieldValue, Person},
    id::UserId,
    item::Item,
    policy::roles_on,
    state::State,
    template::{FeedbackGroup, Membership},
    text::FieldKey,
};
use crate::limits::INHERITANCE_LEVELS_MAX;

/// The active users in a membership, each once, as they are now.
pub fn members(state: &State, item: &Item, membership: &Membership) -> Vec<UserId> {
    let named = membership.users.iter().copied().map(Person::User);
    let groups = membership.groups.iter().copied().map(Person::Group);
    let own = membership.own_fields.iter().flat_map(|field| people_in(Some(item), field));
    let project = project_of(state, item);
    let of_project = membership.project_fields.iter().flat_map(|field| people_in(project, field));
    let mut users = state.active_users(named.chain(groups).chain(own).chain(of_project));
    if !membership.roles.is_empty() {
        let with_role = state.tables.users.values().filter(|user| {
            let caller = Caller {
                user: Some(user),
                impersonator: None,
                key: None,
                system: None,
                credential: false,
                member_of: None,
            };
            user.active && has_role(state, &caller, item, membership)
        });
        users.extend(with_role.map(|user| user.id));
        users.sort_unstable();
        users.dedup();
    }
    users
}

/// The active users who may decide.
pub fn approvers(state: &State, sign_off: &SignOff) -> Vec<UserId> {
    let item = state.item(sign_off.item);
    item.map(|item| members(state, item, &sign_off.configuration.approvers)).unwrap_or_default()
}

/// On what ground a person belongs to a membership now, if she does.
pub(super) fn basis(
    state: &State,
    caller: &Caller<'_>,
    item: &Item,
    membership: &Membership,
) -> Option<MembershipBasis> {
    let user = caller.person()?;
    if membership.users.contains(&user) {
        return Some(MembershipBasis::Named);
    }
    if let Some(group) = membership.groups.iter().find(|group| caller.is_in(state, **group)) {
        return Some(MembershipBasis::Group(*group));
    }
    let names = |item: Option<&Item>, field: &FieldKey| {
        people_in(item, field).into_iter().any(|person| caller.is(state, person))
    };
    if let Some(field) = membership.own_fields.iter().find(|field| names(Some(item), field)) {
        return Some(MembershipBasis::OwnField(field.clone()));
    }
    let project = project_of(state, item);
    if let Some(field) = membership.project_fields.iter().find(|field| names(project, field)) {
        return Some(MembershipBasis::ProjectField(field.clone()));
    }
    let roles = roles_on(state, caller, item, INHERITANCE_LEVELS_MAX, None);
    membership.roles.iter().find(|role| roles.contains(role)).map(|role| MembershipBasis::Role(*role))
}

/// On what ground somebody takes part in a review by an action for members, as the rules of that action ask; none where
/// she does not. A writer abandons and resumes by her rights, without a membership.
pub(in crate::domain) fn part_in(
    state: &State,
    caller: &Caller<'_>,
    sign_off: &SignOff,
    action: Action,
) -> Option<MembershipBasis> {
    let item = state.item(sign_off.item)?;
    caller.must_be_in_person().ok()?;
    let configuration = &sign_off.configuration;
    let given = sign_off.stage.round().map(|round| round.feedback.as_slice()).unwrap_or_default();
    let own = |group: &&FeedbackGroup| {
        given.iter().any(|feedback| Some(feedback.author) == caller.person() && feedback.group == group.key)
    };
    let changes = matches!(action, Action::EditFeedback | Action::DeleteFeedback);
    if changes || action == Action::SubmitFeedback {
        let mut groups = configuration.feedback_groups.iter().filter(|group| !changes || own(group));
        return groups.find_map(|group| basis(state, caller, item, &group.members));
    }
    basis(state, caller, item, &configuration.approvers)
}

fn has_role(state: &State, caller: &Caller<'_>, item: &Item, membership: &Membership) -> bool {
    let roles = roles_on(state, caller, item, INHERITANCE_LEVELS_MAX, None);
    membership.roles.iter().any(|role| roles.contains(role))
}

fn people_in(item: Option<&Item>, field: &FieldKey) -> Vec<Person> {
    item.and_then(|item| item.fields.get(field)).map(FieldValue::people).unwrap_or_default()
}

/// The governed project that an item belongs to, or is.
fn project_of<'s>(state: &'s State, item: &'s Item) -> Option<&'s Item> {
    let mut top = item;
    for _ in 0..INHERITANCE_LEVELS_MAX {
        match top.parent.and_then(|parent| state.item(parent)) {
            Some(parent) => top = parent,
            None => break,
        }
    }
    Some(top)
}
