//! The authorization matrix in the words of the schema.
//! Never shows a row to whoever does not manage the organisation.

use super::{AssignmentRule, Permission, explanation::AccessGround};
use crate::{
    app::{Authorized, ShownOnType, authorizations},
    graphql::{
        call::{connection, page, snapshot},
        error::{PageError, denied},
        identity::{Group, Standing, User},
        template::ItemType,
    },
};
use async_graphql::{Context, Object, Result, SimpleObject};

/// What somebody may do with every item of a type.
#[derive(SimpleObject)]
struct ItemTypeAuthorization {
    /// The type.
    item_type: ItemType,
    /// Everything that she may do with every such item, by her standing or a grant.
    permissions: Vec<Permission>,
    /// By what she may: the grants of everyone, and her roles, with what each gives. None where her standing is enough.
    grounds: Vec<AccessGround>,
    /// Rules with criteria that name her: they give a role on those items of which the criteria hold.
    conditional: Vec<AssignmentRule>,
}

impl From<ShownOnType> for ItemTypeAuthorization {
    fn from(shown: ShownOnType) -> Self {
        Self {
            item_type: shown.item_type.into(),
            permissions: shown.permissions.into_iter().map(Into::into).collect(),
            grounds: shown.grounds.into_iter().map(AccessGround::shown).collect(),
            conditional: shown.conditional.into_iter().map(AssignmentRule).collect(),
        }
    }
}

/// What a person, or whoever is in a group, may do. It does not say what she gains by a field or a parent of a single
/// item; `explainAccess` does.
#[derive(Clone)]
struct Authorization(Authorized);

/// What a person, or whoever is in a group, may do. It does not say what she gains by a field or a parent of a single
/// item; `explainAccess` does.
#[Object]
impl Authorization {
    /// The person; null where the row is a group's.
    async fn user(&self) -> Option<User> {
        if let Authorized::User(user) = &self.0 { Some(User(user.clone())) } else { None }
    }

    /// The group, whose row says what being in it gives; null where the row is a person's.
    async fn group(&self) -> Option<Group> {
        if let Authorized::Group(group) = &self.0 { Some(Group(group.clone())) } else { None }
    }

    /// What the person may do beyond her roles; null where the row is a group's.
    async fn standing(&self) -> Option<Standing> {
        if let Authorized::User(user) = &self.0 { Some(user.standing.into()) } else { None }
    }

    /// What she may do with the items of each type; nothing for whoever is disabled.
    async fn on_types(&self) -> Result<Vec<ItemTypeAuthorization>> {
        let shown = self.0.on_types().map_err(denied)?;
        Ok(shown.into_iter().map(Into::into).collect())
    }
}

connection! {
    /// A page of the authorization matrix.
    AuthorizationConnection, AuthorizationEdge of Authorization from Authorized
}

/// Queries about what each person and group may do.
#[derive(Default)]
pub(in crate::graphql) struct MatrixQuery;

#[Object]
impl MatrixQuery {
    /// What each person, and then each group, may do with the items of each type, by name; FORBIDDEN for whoever does
    /// not manage the organisation.
    async fn authorization_matrix(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many rows: 0 to 100; 25 where nothing is named.")] first: Option<i32>,
        #[graphql(desc = "Rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many rows: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Rows before this cursor.")] before: Option<String>,
    ) -> Result<AuthorizationConnection> {
        let request = page(first, after, last, before)?;
        let rows = authorizations(snapshot(ctx).await?, &request).map_err(denied)?;
        Ok(rows.map_err(PageError::from)?.into())
    }
}
