//! Source nodes and API keys: what machines are, and with what they ask.
//! Never shows a key's credential but in the answer that made it.

use super::{
    call::{Payload, app, connection, mutate, page, payload, snapshot},
    error::{PageError, UserError},
    id::{EventCursor, global, of_kind},
    identity::User,
    scalar::DateTime,
};
use crate::{
    app::{Committed, Seen, identity as people},
    domain::{
        identity::{self, KeyOwner, NewSourceNode},
        record::Kind,
        text::{Name, Slug},
    },
};
use async_graphql::{Context, Enum, ID, InputObject, Object, OneofObject, Result, SimpleObject};
use std::sync::Arc;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "identity::Scope")]
pub(super) enum Scope {
    /// Report the node's source objects.
    Sync,
    /// Read the governance status of the node's source objects.
    ReadStatus,
    /// Ask whether something may be deployed.
    CheckDeployment,
    /// Publish, create and operate deployments.
    Deploy,
    /// Do what its user may do, reviews and confirmations apart.
    UserRights,
}

/// A system that reports source objects.
pub(super) struct SourceNode(pub(super) Seen<identity::SourceNode>);

/// A system that reports source objects.
#[Object]
impl SourceNode {
    /// The node's id.
    pub(super) async fn id(&self) -> ID {
        global(Kind::SourceNode, self.0.id.uuid())
    }

    /// Its short name.
    async fn slug(&self) -> &str {
        self.0.slug.as_str()
    }

    /// What people call it.
    async fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// When it was entered.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }
}

/// A credential of a machine, or of a user's script; only administrators see keys.
pub(super) struct ApiKey(pub(super) Seen<identity::ApiKey>);

/// A credential of a machine, or of a user's script; only administrators see keys.
#[Object]
impl ApiKey {
    /// The key's id.
    pub(super) async fn id(&self) -> ID {
        global(Kind::ApiKey, self.0.id.uuid())
    }

    /// What people call it.
    async fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// The node as which it acts; null for the key of a user.
    async fn node(&self) -> Option<SourceNode> {
        match self.0.owner {
            KeyOwner::Node(node) => Seen::find(self.0.snapshot(), node).ok().map(SourceNode),
            KeyOwner::User(_) => None,
        }
    }

    /// The user as whom it acts; null for the key of a node.
    async fn user(&self) -> Option<User> {
        match self.0.owner {
            KeyOwner::Node(_) => None,
            KeyOwner::User(user) => Seen::find(self.0.snapshot(), user).ok().map(User),
        }
    }

    /// What it may do.
    async fn scopes(&self) -> Vec<Scope> {
        self.0.scopes.iter().map(|scope| (*scope).into()).collect()
    }

    /// When it ends by itself; null for never.
    async fn expires_at(&self) -> Option<DateTime> {
        self.0.expires_at.map(Into::into)
    }

    /// Until when the secret before the last rotation is good; null where it is not.
    async fn previous_valid_until(&self) -> Option<DateTime> {
        self.0.previous.as_ref().map(|old| old.until.into())
    }

    /// The hour in which it was last used; null when it never was, or when that is not known any more: after a crash
    /// or where the index was made anew.
    async fn last_used_at(&self, ctx: &Context<'_>) -> Option<DateTime> {
        app(ctx).last_use(&self.0).map(Into::into)
    }

    /// When it was revoked.
    async fn revoked_at(&self) -> Option<DateTime> {
        self.0.revoked_at.map(Into::into)
    }

    /// Who made it; null for the server itself.
    async fn created_by(&self) -> Option<User> {
        self.0.created_by.and_then(|user| Seen::find(self.0.snapshot(), user).ok()).map(User)
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }
}

connection! {
    /// A page of source nodes.
    SourceNodeConnection, SourceNodeEdge of SourceNode(identity::SourceNode)
}

connection! {
    /// A page of API keys.
    ApiKeyConnection, ApiKeyEdge of ApiKey(identity::ApiKey)
}

/// Queries about machines.
#[derive(Default)]
pub(super) struct ApiKeyQuery;

#[Object]
impl ApiKeyQuery {
    /// The source nodes of your organisation, oldest first.
    async fn source_nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many rows: 0 to 100; 25 where nothing is named.")] first: Option<i32>,
        #[graphql(desc = "Rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many rows: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Rows before this cursor.")] before: Option<String>,
    ) -> Result<SourceNodeConnection> {
        let request = page(first, after, last, before)?;
        let rows = people::source_nodes(snapshot(ctx).await?, &request);
        Ok(rows.map_err(PageError::from)?.into())
    }

    /// The API keys of your organisation, oldest first; empty for everybody but administrators.
    async fn api_keys(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many rows: 0 to 100; 25 where nothing is named.")] first: Option<i32>,
        #[graphql(desc = "Rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many rows: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Rows before this cursor.")] before: Option<String>,
    ) -> Result<ApiKeyConnection> {
        let request = page(first, after, last, before)?;
        let rows = people::api_keys(snapshot(ctx).await?, &request);
        Ok(rows.map_err(PageError::from)?.into())
    }
}

/// A new source node.
#[derive(InputObject)]
pub(super) struct CreateSourceNodeInput {
    /// Its short name; one node of the organisation has it.
    slug: String,
    /// What people call it.
    name: String,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// As whom a key acts: name exactly one.
#[derive(OneofObject)]
pub(super) enum KeyOwnerInput {
    /// A source node.
    Node(ID),
    /// A user: with USER_RIGHTS the key has her rights, but never reviews.
    User(ID),
}

/// A new API key.
#[derive(InputObject)]
pub(super) struct CreateApiKeyInput {
    /// What people call it.
    name: String,
    /// As whom it acts.
    owner: KeyOwnerInput,
    /// What it may do.
    scopes: Vec<Scope>,
    /// When it ends by itself; never where nothing is named.
    expires_at: Option<DateTime>,
    /// Repeats of the command under this key answer the same key, without its credential, and do nothing.
    idempotency_key: Option<String>,
}

/// A key that gets another secret.
#[derive(InputObject)]
pub(super) struct RotateApiKeyInput {
    /// The key.
    api_key_id: ID,
    /// Until when the old secret is good, at most 30 days ahead; it ends at once where nothing is named.
    previous_valid_until: Option<DateTime>,
    /// Repeats of the command under this key answer the same key, without its credential, and do nothing.
    idempotency_key: Option<String>,
}

/// A key that ends.
#[derive(InputObject)]
pub(super) struct RevokeApiKeyInput {
    /// The key.
    api_key_id: ID,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

payload! {
    /// What a change of a source node answers.
    SourceNodePayload {
        /// The node; null when the change was refused.
        source_node: SourceNode
    } from Arc<identity::SourceNode>, |committed| Seen::after(committed).ok().map(SourceNode)
}

payload! {
    /// What ending a key answers.
    ApiKeyPayload {
        /// The key as it is now; null when the change was refused.
        api_key: ApiKey
    } from Arc<identity::ApiKey>, |committed| Seen::after(committed).ok().map(ApiKey)
}

/// What making a key answers.
#[derive(SimpleObject)]
pub(super) struct CreateApiKeyPayload {
    /// The key; null when it was refused.
    api_key: Option<ApiKey>,
    /// What the machine presents as `Authorization: Bearer …`. It is shown this once; null when the command is
    /// repeated.
    credential: Option<String>,
    /// The rules that the request breaks; empty when it was done.
    user_errors: Vec<UserError>,
    /// The position of the change in the event log.
    cursor: Option<EventCursor>,
}

impl Payload for CreateApiKeyPayload {
    type Outcome = people::MadeKey;

    fn done(committed: Committed<people::MadeKey>, cursor: EventCursor) -> Self {
        let api_key = Seen::find(&committed.snapshot, committed.outcome.key.id).ok().map(ApiKey);
        Self { api_key, credential: committed.outcome.credential, user_errors: vec![], cursor: Some(cursor) }
    }

    fn refused(user_errors: Vec<UserError>) -> Self {
        Self { api_key: None, credential: None, user_errors, cursor: None }
    }
}

/// Mutations of machines.
#[derive(Default)]
pub(super) struct ApiKeyMutation;

#[Object]
impl ApiKeyMutation {
    /// Enters a system that will report source objects. Needs an administrator.
    async fn create_source_node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new node.")] input: CreateSourceNodeInput,
    ) -> Option<Result<SourceNodePayload>> {
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            let new =
                NewSourceNode { slug: Slug::parse("slug", &input.slug)?, name: Name::parse("name", &input.name)? };
            app.create_source_node(&call, new).await
        });
        Some(operation.await)
    }

    /// Makes an API key; its credential is in the answer and nowhere else. Needs an administrator in person.
    async fn create_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new key.")] input: CreateApiKeyInput,
    ) -> Option<Result<CreateApiKeyPayload>> {
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            let asked = people::AskedKey {
                name: Name::parse("name", &input.name)?,
                owner: match &input.owner {
                    KeyOwnerInput::Node(id) => KeyOwner::Node(of_kind(Kind::SourceNode, id)),
                    KeyOwnerInput::User(id) => KeyOwner::User(of_kind(Kind::User, id)),
                },
                scopes: input.scopes.into_iter().map(Into::into).collect(),
                expires_at: input.expires_at.map(|at| at.0),
            };
            app.create_api_key(&call, asked).await
        });
        Some(operation.await)
    }

    /// Gives an API key another secret; its credential is in the answer and nowhere else. The old one may stay good
    /// for a while; one that was rotated before ends. Needs an administrator in person.
    async fn rotate_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The key.")] input: RotateApiKeyInput,
    ) -> Option<Result<CreateApiKeyPayload>> {
        let (id, old_until) = (of_kind(Kind::ApiKey, &input.api_key_id), input.previous_valid_until.map(|at| at.0));
        let operation =
            mutate(ctx, input.idempotency_key, async |app, call| app.rotate_api_key(&call, id, old_until).await);
        Some(operation.await)
    }

    /// Ends an API key at once; ending it again changes nothing. Needs an administrator.
    async fn revoke_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The key.")] input: RevokeApiKeyInput,
    ) -> Option<Result<ApiKeyPayload>> {
        let id = of_kind(Kind::ApiKey, &input.api_key_id);
        let operation = mutate(ctx, input.idempotency_key, async |app, call| app.revoke_api_key(&call, id).await);
        Some(operation.await)
    }
}
