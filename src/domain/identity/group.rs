//! Making and changing groups, of people and of groups.
//! Never lets a group contain itself, at any depth.

use super::Group;
use crate::{
    domain::{
        access::{Allowed, Stopped},
        action::{CreateGroup, UpdateGroup},
        event::{EventKind, Subject},
        id::{GroupId, Ids, UserId},
        refusal::Refusal,
        state::{Change, State},
        tenant::Tenant,
        text::Name,
    },
    limits::{GROUP_LEVELS_MAX, GROUP_MEMBERS_MAX},
};
use std::{collections::BTreeSet, sync::Arc};

/// What a new group is made of.
#[derive(Clone, Debug)]
pub struct NewGroup {
    /// What people call it.
    pub name: Name,
    /// Its first members.
    pub members: Vec<UserId>,
    /// Groups whose members are to be members too.
    pub groups: Vec<GroupId>,
}

/// What changes of a group; what is not named stays.
#[derive(Clone, Debug, Default)]
pub struct GroupChange {
    /// The revision that the caller has read.
    pub expected_revision: u64,
    /// Its new name.
    pub name: Option<Name>,
    /// Who becomes a member.
    pub add: Vec<UserId>,
    /// Who is no longer one; whoever is named in both is not.
    pub remove: Vec<UserId>,
    /// Which groups' members become members.
    pub add_groups: Vec<GroupId>,
    /// Which groups' members no longer are.
    pub remove_groups: Vec<GroupId>,
}

/// Checks that all of these groups exist; `path` is their list in the input.
fn known_groups(state: &State, path: &str, groups: &[GroupId]) -> Result<(), Refusal> {
    match groups.iter().position(|group| state.group(*group).is_none()) {
        Some(n) => Err(Refusal::PersonUnknown { path: format!("{path}.{n}") }),
        None => Ok(()),
    }
}

/// Checks that all of these users exist; `path` is their list in the input.
fn known(state: &State, path: &str, users: &[UserId]) -> Result<(), Refusal> {
    let exists = |user| state.user(user).is_some_and(|user| user.deleted_at.is_none());
    match users.iter().position(|user| !exists(*user)) {
        Some(n) => Err(Refusal::PersonUnknown { path: format!("{path}.{n}") }),
        None => Ok(()),
    }
}

/// Checks that a group does not grow beyond its bound.
fn few_enough(path: &str, members: usize) -> Result<(), Refusal> {
    if members <= GROUP_MEMBERS_MAX {
        return Ok(());
    }
    Err(Refusal::TooManyValues { path: path.to_owned(), values: members, most: GROUP_MEMBERS_MAX })
}

/// Checks that no other group has this name.
fn free_group_name(state: &State, name: &Name, own: Option<GroupId>) -> Result<(), Refusal> {
    let taken = state.tables.groups.values().any(|group| group.name == *name && Some(group.id) != own);
    if taken { Err(Refusal::AlreadyExists { what: "group", name: name.to_string() }) } else { Ok(()) }
}

/// Checks that none of these groups contains the one that they are added to.
fn acyclic(state: &State, group: &Group, added: &[GroupId]) -> Result<(), Refusal> {
    for (n, child) in added.iter().enumerate() {
        if let Some(way) = state.way_down(*child, group.id) {
            let names = std::iter::once(&group.name).chain(way);
            let names: Vec<_> = names.map(ToString::to_string).collect();
            return Err(Refusal::GroupCycle { path: format!("addGroups.{n}"), groups: names.join(" > ") });
        }
    }
    Ok(())
}

/// Checks that groups do not lie too deep in groups.
fn flat_enough(state: &State, group: GroupId) -> Result<(), Refusal> {
    let levels = state.group_levels(group);
    if levels <= GROUP_LEVELS_MAX {
        return Ok(());
    }
    Err(Refusal::GroupsTooDeep { levels, most: GROUP_LEVELS_MAX })
}

impl Allowed<'_, CreateGroup, Tenant> {
    /// Makes a group.
    ///
    /// # Errors
    /// `ALREADY_EXISTS`, `UNKNOWN_PERSON`, `TOO_MANY_VALUES`, `GROUP_CYCLE`, `GROUPS_TOO_DEEP`.
    pub fn create_group(self, new: NewGroup, ids: &dyn Ids) -> Result<Change<Arc<Group>>, Stopped> {
        free_group_name(self.state(), &new.name, None)?;
        few_enough("members", new.members.len().saturating_add(new.groups.len()))?;
        known(self.state(), "members", &new.members)?;
        known_groups(self.state(), "groups", &new.groups)?;
        let id = GroupId::new(ids);
        let members: BTreeSet<_> = new.members.into_iter().collect();
        let groups: BTreeSet<_> = new.groups.into_iter().collect();
        let told = EventKind::GroupCreated {
            group: id,
            name: new.name.clone(),
            members: members.iter().copied().collect(),
            groups: groups.iter().copied().collect(),
        };
        let mut draft = self.draft();
        let group = Group { id, revision: 1, name: new.name, members, groups };
        let group = draft.put(group, Subject::Identity(id.uuid()), told);
        flat_enough(draft.next(), id)?;
        Ok(draft.done(group))
    }
}

impl Allowed<'_, UpdateGroup, Group> {
    /// Changes a group's name or members. Adding who is in it and removing who is not changes nothing.
    ///
    /// # Errors
    /// `REVISION_CONFLICT`, `NOTHING_TO_SAVE`, `ALREADY_EXISTS`, `UNKNOWN_PERSON`, `TOO_MANY_VALUES`, `GROUP_CYCLE`, `GROUPS_TOO_DEEP`.
    pub fn update_group(self, change: GroupChange) -> Result<Change<Arc<Group>>, Stopped> {
        Refusal::unless_at(self.revision, change.expected_revision)?;
        let moves_people = !change.add.is_empty() || !change.remove.is_empty();
        let moves_groups = !change.add_groups.is_empty() || !change.remove_groups.is_empty();
        if change.name.is_none() && !moves_people && !moves_groups {
            return Err(Refusal::NothingToSave {}.into());
        }
        let old = &**self.record();
        let name = change.name.unwrap_or_else(|| old.name.clone());
        free_group_name(self.state(), &name, Some(old.id))?;
        known(self.state(), "add", &change.add)?;
        known_groups(self.state(), "addGroups", &change.add_groups)?;
        acyclic(self.state(), old, &change.add_groups)?;
        let mut members = old.members.clone();
        members.extend(change.add);
        for user in &change.remove {
            members.remove(user);
        }
        let mut groups = old.groups.clone();
        groups.extend(change.add_groups);
        for group in &change.remove_groups {
            groups.remove(group);
        }
        few_enough("add", members.len().saturating_add(groups.len()))?;
        let mut draft = self.draft();
        if name == old.name && members == old.members && groups == old.groups {
            return Ok(draft.done(Arc::clone(self.record())));
        }
        let added = members.difference(&old.members).copied().collect();
        let removed = old.members.difference(&members).copied().collect();
        let added_groups = groups.difference(&old.groups).copied().collect();
        let removed_groups = old.groups.difference(&groups).copied().collect();
        let name_now = name.clone();
        let told =
            EventKind::GroupUpdated { group: old.id, name: name_now, added, removed, added_groups, removed_groups };
        let next = Group { id: old.id, revision: old.revision + 1, name, members, groups };
        let group = draft.put(next, Subject::Identity(old.id.uuid()), told);
        flat_enough(draft.next(), old.id)?;
        Ok(draft.done(group))
    }
}
