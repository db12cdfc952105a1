//! Who is in which group, directly or through groups in groups.
//! Never remembers a membership: groups are asked as they are.

use super::Group;
use crate::{
    domain::{
        field::Person,
        id::{GroupId, UserId},
        state::State,
        text::Name,
    },
    limits::GROUP_LEVELS_MAX,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

impl State {
    /// Whether a user is in a group, herself or through a group in it.
    pub(in crate::domain) fn is_member(&self, user: UserId, group: GroupId) -> bool {
        if self.is_listed(user, group) {
            return true;
        }
        // Most groups hold people only.
        let nested = self.group(group).is_some_and(|group| !group.groups.is_empty());
        nested && self.groups_of(user).contains(&group)
    }

    /// Every group that a user is in.
    pub(in crate::domain) fn groups_of(&self, user: UserId) -> BTreeSet<GroupId> {
        self.above(self.listed_in(user))
    }

    /// Whether a group is another one, or lies in it at any depth.
    pub(in crate::domain) fn lies_in(&self, group: GroupId, other: GroupId) -> bool {
        self.above(std::iter::once(group)).contains(&other)
    }

    /// Some groups, and every group that one of them lies in.
    fn above(&self, groups: impl Iterator<Item = GroupId>) -> BTreeSet<GroupId> {
        let mut found = BTreeSet::new();
        let mut open: Vec<_> = groups.collect();
        while let Some(group) = open.pop() {
            if found.insert(group) {
                open.extend(self.groups_above(group));
            }
        }
        found
    }

    /// Every active user whom a list of people names, each once, in order.
    pub(in crate::domain) fn active_users(&self, people: impl IntoIterator<Item = Person>) -> Vec<UserId> {
        let mut users = vec![];
        for person in people {
            match person {
                Person::User(user) => users.push(user),
                Person::Group(group) => {
                    let groups = self.below(group).into_keys().filter_map(|group| self.group(group));
                    users.extend(groups.flat_map(|group| &group.members));
                }
            }
        }
        users.sort_unstable();
        users.dedup();
        users.retain(|user| self.user(*user).is_some_and(|user| user.active));
        users
    }

    /// A group and all groups in it, each with one that it lies in directly.
    fn below(&self, group: GroupId) -> BTreeMap<GroupId, Option<GroupId>> {
        let mut found = BTreeMap::new();
        let mut open = vec![(group, None)];
        while let Some((group, within)) = open.pop() {
            if found.contains_key(&group) {
                continue;
            }
            found.insert(group, within);
            let inner = self.group(group).into_iter().flat_map(|group| &group.groups);
            open.extend(inner.map(|inner| (*inner, Some(group))));
        }
        found
    }

    /// The names of the groups on a way from one down to another that lies in it, both included.
    pub(in crate::domain) fn way_down(&self, from: GroupId, to: GroupId) -> Option<Vec<&Name>> {
        let below = self.below(from);
        let mut way = vec![];
        let mut at = Some(to);
        while let Some(group) = at {
            at = *below.get(&group)?;
            way.push(&self.group(group)?.name);
        }
        way.reverse();
        Some(way)
    }

    /// How many levels the deepest nesting has in which a group takes part.
    pub(in crate::domain) fn group_levels(&self, group: GroupId) -> usize {
        let inner = |group: Option<&Arc<Group>>| group.map(|group| group.groups.clone()).unwrap_or_default();
        let down = layers(group, |group| inner(self.group(group)));
        let up = layers(group, |group| self.groups_above(group).collect());
        (down + up).saturating_sub(1)
    }
}

/// How many steps the longest way from a group takes, the group itself counted; no more than would be refused.
fn layers(from: GroupId, next: impl Fn(GroupId) -> BTreeSet<GroupId>) -> usize {
    let mut layer = BTreeSet::from([from]);
    let mut levels = 0;
    while !layer.is_empty() && levels <= GROUP_LEVELS_MAX {
        levels += 1;
        layer = layer.into_iter().flat_map(&next).collect();
    }
    levels
}
