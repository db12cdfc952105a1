//! The authorization matrix: what a person, or the members of a group, may do with every item of each type.
//! Never decides: it asks the rights that decide, of a caller who is that person or whoever is in that group.

use super::{
    AssignmentRule, Ground, Permission, Right, RuleScope,
    explanation::{Place, rests_on},
    rights::is_actor,
};
use crate::domain::{
    access::{Allowed, Principal, Viewer},
    action::ReadAuthorizations,
    caller::Caller,
    field::Person,
    template::ItemType,
    tenant::Tenant,
};
use std::sync::Arc;

/// What somebody may do with every item of a type.
#[derive(Clone, Debug)]
pub struct OnType<'s> {
    /// The type.
    pub item_type: ItemType,
    /// Everything that is granted.
    pub permissions: Vec<Permission>,
    /// By what, and what each gives; nothing that gives nothing.
    pub grounds: Vec<(Ground<'s>, Vec<Right>)>,
    /// Rules that give a role on those items only of which something more holds.
    pub conditional: Vec<&'s Arc<AssignmentRule>>,
}

impl<'s> Allowed<'s, ReadAuthorizations, Tenant> {
    /// What somebody may do with the items of each type; nothing for whoever was disabled.
    pub fn of(&self, holder: Person) -> Vec<OnType<'s>> {
        let state = self.view().state();
        let caller = match holder {
            Person::User(user) => {
                // Only what is in the state: the viewer is asked nothing more.
                let viewer = Viewer::verified(self.view().viewer().tenant(), Principal::User(user));
                Caller::resolve(state, &viewer).ok()
            }
            Person::Group(group) => Some(Caller::member_of(group)),
        };
        let on = |item_type| {
            let rights = Permission::ALL.map(Right::On).into();
            let nothing = OnType { item_type, permissions: vec![], grounds: vec![], conditional: vec![] };
            let Some(caller) = &caller else { return nothing };
            let (grounds, rights) = rests_on(state, caller, Place::New(item_type, None), rights);
            let names = |rule: &&Arc<AssignmentRule>| {
                !rule.criteria.is_empty() && rule.actors.iter().any(|actor| is_actor(state, caller, actor, None))
            };
            let granted = rights.into_iter().filter(|(_, has)| *has);
            OnType {
                permissions: granted.map(|(right, _)| right.permission()).collect(),
                grounds: grounds.into_iter().filter(|(_, gives)| !gives.is_empty()).collect(),
                conditional: state.rules_of(RuleScope::Type(item_type)).filter(names).collect(),
                ..nothing
            }
        };
        ItemType::ALL.into_iter().map(on).collect()
    }
}
