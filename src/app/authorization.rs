//! The authorization matrix as a list: every person and group, and what she may do with the items of each type.
//! Never decides: `domain/policy` says what is granted, and by what.

use super::{Cursor, Page, PageRequest, RefusedPage, Seen, ShownGround};
use crate::{
    domain::{
        access::Denied,
        action::ReadAuthorizations,
        field::Person,
        identity::{Group, User},
        policy::{AssignmentRule, Permission},
        template::ItemType,
    },
    store::Snapshot,
};

/// Whose row it is.
#[derive(Clone)]
pub enum Authorized {
    /// A person.
    User(Seen<User>),
    /// Whoever is in a group.
    Group(Seen<Group>),
}

/// What somebody may do with every item of a type.
pub struct ShownOnType {
    /// The type.
    pub item_type: ItemType,
    /// Everything that is granted.
    pub permissions: Vec<Permission>,
    /// By what.
    pub grounds: Vec<ShownGround>,
    /// Rules that give a role on some of the items.
    pub conditional: Vec<Seen<AssignmentRule>>,
}

/// A page of the matrix: people by name, then groups by name.
///
/// # Errors
/// See [`RefusedPage`]; `Forbidden` for whoever does not manage the tenant.
pub fn authorizations(
    snapshot: &Snapshot,
    request: &PageRequest,
) -> Result<Result<Page<Authorized>, RefusedPage>, Denied> {
    let view = snapshot.view();
    view.tenant()?.authorize::<ReadAuthorizations>()?;
    let key = |kind: char, name: &str| format!("{kind}{}", name.to_lowercase());
    let users = Seen::all(snapshot, view.all::<User>()).filter(|user| user.deleted_at.is_none());
    let users = users.map(|user| {
        let cursor = Cursor { key: key('p', user.name.as_str()), id: user.id.uuid() };
        (cursor, Authorized::User(user))
    });
    let groups = Seen::all(snapshot, view.all::<Group>()).map(|group| {
        let cursor = Cursor { key: key('q', group.name.as_str()), id: group.id.uuid() };
        (cursor, Authorized::Group(group))
    });
    Ok(request.of(users.chain(groups), false))
}

impl Authorized {
    /// What she may do with the items of each type.
    ///
    /// # Errors
    /// `Forbidden` for whoever does not manage the tenant.
    pub fn on_types(&self) -> Result<Vec<ShownOnType>, Denied> {
        let (snapshot, holder) = match self {
            Self::User(user) => (user.snapshot(), Person::User(user.id)),
            Self::Group(group) => (group.snapshot(), Person::Group(group.id)),
        };
        let matrix = snapshot.view().tenant()?.authorize::<ReadAuthorizations>()?;
        let shown = matrix.of(holder).into_iter().map(|on| ShownOnType {
            item_type: on.item_type,
            permissions: on.permissions,
            grounds: on.grounds.into_iter().map(|(by, gives)| ShownGround::of(snapshot, &by, None, gives)).collect(),
            conditional: Seen::all(snapshot, on.conditional.into_iter()).collect(),
        });
        Ok(shown.collect())
    }
}
