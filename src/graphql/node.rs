//! Any object by its id.
//! Never tells a missing object from one that the caller may not read.

use super::{
    access::{AssignmentRule, Grants, Role},
    api_key::{ApiKey, SourceNode},
    call::snapshot,
    deployment::Deployment,
    id::named,
    identity::{Group, User},
    infrastructure::Infrastructure,
    item::GovernedItem,
    sign_off::SignOff,
    source::SourceObject,
    template::Template,
};
use crate::{app::Seen, domain::access::Denied, domain::record::Kind, store::Snapshot};
use async_graphql::{Context, ID, Interface, Object, Result};

/// Anything with an id of its own.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "The object's id: opaque, and meaningless outside its organisation."))]
pub(super) enum Node {
    /// A governed item.
    GovernedItem(GovernedItem),
    /// A sign-off.
    SignOff(SignOff),
    /// A source object.
    SourceObject(SourceObject),
    /// A template.
    Template(Template),
    /// An infrastructure.
    Infrastructure(Infrastructure),
    /// A deployment.
    Deployment(Deployment),
    /// A person.
    User(User),
    /// A group.
    Group(Group),
    /// A source node.
    SourceNode(SourceNode),
    /// An API key.
    ApiKey(ApiKey),
    /// A role.
    Role(Role),
    /// A rule that gives a role.
    AssignmentRule(AssignmentRule),
    /// What everyone and each role may do.
    Grants(Grants),
}

fn find(snapshot: &Snapshot, id: &ID) -> Result<Node, Denied> {
    let (kind, uuid) = named(&id.0).ok_or(Denied::NotFound)?;
    match kind {
        Kind::Item => Seen::find(snapshot, uuid.into()).map(GovernedItem).map(Node::GovernedItem),
        Kind::SignOff => Seen::find(snapshot, uuid.into()).map(SignOff).map(Node::SignOff),
        Kind::SourceObject => Seen::find(snapshot, uuid.into()).map(SourceObject).map(Node::SourceObject),
        Kind::Template => Seen::find(snapshot, uuid.into()).map(Template).map(Node::Template),
        Kind::Infrastructure => Seen::find(snapshot, uuid.into()).map(Infrastructure).map(Node::Infrastructure),
        Kind::Deployment => Seen::find(snapshot, uuid.into()).map(Deployment).map(Node::Deployment),
        Kind::User => Seen::find(snapshot, uuid.into()).map(User).map(Node::User),
        Kind::Role => Seen::find(snapshot, uuid.into()).map(Role).map(Node::Role),
        Kind::AssignmentRule => Seen::find(snapshot, uuid.into()).map(AssignmentRule).map(Node::AssignmentRule),
        Kind::Grants => Seen::find(snapshot, uuid.into()).map(Grants).map(Node::Grants),
        Kind::Group => Seen::find(snapshot, uuid.into()).map(Group).map(Node::Group),
        Kind::SourceNode => Seen::find(snapshot, uuid.into()).map(SourceNode).map(Node::SourceNode),
        Kind::ApiKey => Seen::find(snapshot, uuid.into()).map(ApiKey).map(Node::ApiKey),
        Kind::Tenant | Kind::TenantEntry | Kind::Session | Kind::PasswordLink | Kind::Receipt | Kind::InstanceRules => {
            Err(Denied::NotFound)
        }
    }
}

/// Queries by id.
#[derive(Default)]
pub(super) struct NodeQuery;

#[Object]
impl NodeQuery {
    /// The object with this id; an error NOT_FOUND where there is none for you.
    async fn node(&self, ctx: &Context<'_>, #[graphql(desc = "The object's id.")] id: ID) -> Option<Result<Node>> {
        let found = async { find(snapshot(ctx).await?, &id).map_err(super::error::denied) };
        Some(found.await)
    }

    /// The objects with these ids, at most 100, in their order; null for each that is not there for you.
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The objects' ids, at most 100.")] ids: Vec<ID>,
    ) -> Result<Vec<Option<Node>>> {
        if ids.len() > crate::limits::PAGE_ROWS_MAX {
            return Err(super::error::error(super::error::code::BAD_REQUEST, "Name at most 100 ids."));
        }
        let snapshot = snapshot(ctx).await?;
        Ok(ids.iter().map(|id| find(snapshot, id).ok()).collect())
    }
}
