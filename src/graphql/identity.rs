//! People and groups: as others see them, and as administrators change them.
//! Never shows a hash, a secret or a session.

mod bulk;

pub(super) use bulk::BulkMutation;

use super::{
    call::{connection, mutate, page, payload, snapshot},
    error::PageError,
    id::{EventCursor, global, of_kind},
    scalar::DateTime,
    session::{Session, sessions_of},
    timeline::{EventConnection, by_actor},
};
use crate::{
    app::{EventsAsked, Seen, identity as people},
    domain::{
        identity::{self, GroupChange, NewGroup, NewUser, UserChange},
        record::Kind,
        text::Name,
    },
};
use async_graphql::{Context, Enum, ID, InputObject, Object, Result};
use std::sync::Arc;
use uuid::Uuid;

/// What somebody may do beyond roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "identity::Standing")]
pub(super) enum Standing {
    /// Acts through roles.
    Member,
    /// All items, templates, roles and settings of the organisation.
    GovernanceManager,
    /// The same, and its people.
    Administrator,
    /// Creates organisations, and sees no organisation's content. Only in the platform's own organisation.
    PlatformOperator,
}

/// A person of the organisation.
#[derive(Clone)]
pub(super) struct User(pub(super) Seen<identity::User>);

/// A person of the organisation.
#[Object]
impl User {
    /// The person's id.
    pub(super) async fn id(&self) -> ID {
        global(Kind::User, self.0.id.uuid())
    }

    /// Counts changes; name it when you change the person.
    async fn revision(&self) -> u64 {
        self.0.revision
    }

    /// What people call her.
    async fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// Her address; null for everybody but herself and administrators.
    async fn email(&self) -> Option<&str> {
        self.0.readable_email()
    }

    /// What she may do beyond her roles.
    async fn standing(&self) -> Standing {
        self.0.standing.into()
    }

    /// Whether she may sign in and act.
    async fn active(&self) -> bool {
        self.0.active
    }

    /// When she was entered.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When she was deleted; her name stays, because what she did stays.
    async fn deleted_at(&self) -> Option<DateTime> {
        self.0.deleted_at.map(Into::into)
    }

    /// What she did, newest first, as far as you may read it; also what an administrator did as her, or she as
    /// somebody else.
    async fn activity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many events: 0 to 100; 25 where nothing is named.")] first: Option<i32>,
        #[graphql(desc = "Events after this cursor in the order of the list.")] after: Option<EventCursor>,
        #[graphql(desc = "The last so many events: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Events before this cursor in the order of the list.")] before: Option<EventCursor>,
    ) -> Result<EventConnection> {
        let (after, before) = (after.map(Into::into), before.map(Into::into));
        by_actor(ctx, &self.0, EventsAsked { first, after, last, before, ..EventsAsked::default() }).await
    }

    /// Her sessions, oldest first, those included that end at their next use; none for everybody but herself and
    /// administrators.
    async fn sessions(&self) -> Vec<Session> {
        sessions_of(&self.0)
    }
}

/// A set of users.
pub(super) struct Group(pub(super) Seen<identity::Group>);

/// A set of users.
#[Object]
impl Group {
    /// The group's id.
    pub(super) async fn id(&self) -> ID {
        global(Kind::Group, self.0.id.uuid())
    }

    /// Counts changes; name it when you change the group.
    async fn revision(&self) -> u64 {
        self.0.revision
    }

    /// What people call it.
    async fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// Groups whose members are members of this one, too.
    async fn groups(&self) -> Vec<Self> {
        self.0.groups.iter().filter_map(|group| Seen::find(self.0.snapshot(), *group).ok().map(Group)).collect()
    }

    /// Its members, oldest first, those of its groups apart.
    async fn members(&self) -> Vec<User> {
        self.0.members.iter().filter_map(|user| Seen::find(self.0.snapshot(), *user).ok().map(User)).collect()
    }
}

connection! {
    /// A page of users.
    UserConnection, UserEdge of User(identity::User)
}

connection! {
    /// A page of groups.
    GroupConnection, GroupEdge of Group(identity::Group)
}

/// Which users; every part that is named must hold.
#[derive(InputObject)]
pub(super) struct UserFilter {
    /// With this text in the name, in any case.
    text: Option<String>,
    /// Those who may sign in, or those who may not.
    active: Option<bool>,
}

/// Queries about people.
#[derive(Default)]
pub(super) struct IdentityQuery;

#[Object]
impl IdentityQuery {
    /// The people of your organisation, by name.
    async fn users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only these.")] filter: Option<UserFilter>,
        #[graphql(desc = "The first so many rows: 0 to 100; 25 where nothing is named.")] first: Option<i32>,
        #[graphql(desc = "Rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many rows: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Rows before this cursor.")] before: Option<String>,
    ) -> Result<UserConnection> {
        let request = page(first, after, last, before)?;
        let filter = filter.map(|filter| people::UserFilter { text: filter.text, active: filter.active });
        let rows = people::users(snapshot(ctx).await?, &filter.unwrap_or_default(), &request);
        Ok(rows.map_err(PageError::from)?.into())
    }

    /// The groups of your organisation, by name.
    async fn groups(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those with this text in the name, in any case.")] text: Option<String>,
        #[graphql(desc = "The first so many rows: 0 to 100; 25 where nothing is named.")] first: Option<i32>,
        #[graphql(desc = "Rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many rows: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Rows before this cursor.")] before: Option<String>,
    ) -> Result<GroupConnection> {
        let request = page(first, after, last, before)?;
        let rows = people::groups(snapshot(ctx).await?, text.as_ref(), &request);
        Ok(rows.map_err(PageError::from)?.into())
    }
}

/// A new person.
#[derive(InputObject)]
pub(super) struct CreateUserInput {
    /// What people call her.
    name: String,
    /// Her address; one user of the organisation has it.
    email: String,
    /// What she may do beyond her roles.
    #[graphql(default_with = "Standing::Member")]
    standing: Standing,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// What changes of a person; what is not named stays.
#[derive(InputObject)]
pub(super) struct UpdateUserInput {
    /// The person.
    user_id: ID,
    /// The revision that you have read.
    expected_revision: u64,
    /// Her new name.
    name: Option<String>,
    /// Her new standing.
    standing: Option<Standing>,
    /// Whether she may sign in and act; disabling ends her sessions and keys at once.
    active: Option<bool>,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// A new group.
#[derive(InputObject)]
pub(super) struct CreateGroupInput {
    /// What people call it; one group of the organisation has this name.
    name: String,
    /// Its first members.
    #[graphql(default)]
    members: Vec<ID>,
    /// Groups whose members are to be members, too.
    #[graphql(default)]
    groups: Vec<ID>,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// What changes of a group; what is not named stays.
#[derive(InputObject)]
pub(super) struct UpdateGroupInput {
    /// The group.
    group_id: ID,
    /// The revision that you have read.
    expected_revision: u64,
    /// Its new name.
    name: Option<String>,
    /// Who becomes a member.
    #[graphql(default)]
    add: Vec<ID>,
    /// Who is no longer one.
    #[graphql(default)]
    remove: Vec<ID>,
    /// Groups whose members become members, too.
    #[graphql(default)]
    add_groups: Vec<ID>,
    /// Groups whose members no longer are.
    #[graphql(default)]
    remove_groups: Vec<ID>,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

payload! {
    /// What a change of a person answers.
    UserPayload {
        /// The person as she is now; null when the change was refused.
        user: User
    } from Arc<identity::User>, |committed| Seen::after(committed).ok().map(User)
}

payload! {
    /// What a change of a group answers.
    GroupPayload {
        /// The group as it is now; null when the change was refused.
        group: Group
    } from Arc<identity::Group>, |committed| Seen::after(committed).ok().map(Group)
}

fn ids<T: From<Uuid>>(kind: Kind, ids: &[ID]) -> Vec<T> {
    ids.iter().map(|id| of_kind(kind, id)).collect()
}

/// Mutations of people and groups.
#[derive(Default)]
pub(super) struct IdentityMutation;

#[Object]
impl IdentityMutation {
    /// Enters a person, who cannot sign in until she has set a password with a link. Needs an administrator.
    async fn create_user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new person.")] input: CreateUserInput,
    ) -> Option<Result<UserPayload>> {
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            let name = Name::parse("name", &input.name)?;
            app.create_user(&call, NewUser { name, email: input.email, standing: input.standing.into() }).await
        });
        Some(operation.await)
    }

    /// Changes a person's name, standing, or whether she may sign in. Needs an administrator; nobody disables
    /// or demotes himself, and one administrator stays.
    async fn update_user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The change.")] input: UpdateUserInput,
    ) -> Option<Result<UserPayload>> {
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            let UpdateUserInput { user_id, expected_revision, name, standing, active, .. } = input;
            let name = name.map(|name| Name::parse("name", &name)).transpose()?;
            let change = UserChange { expected_revision, name, standing: standing.map(Into::into), active };
            app.update_user(&call, of_kind(Kind::User, &user_id), change).await
        });
        Some(operation.await)
    }

    /// Makes a group. Needs an administrator.
    async fn create_group(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new group.")] input: CreateGroupInput,
    ) -> Option<Result<GroupPayload>> {
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            let new = NewGroup {
                name: Name::parse("name", &input.name)?,
                members: ids(Kind::User, &input.members),
                groups: ids(Kind::Group, &input.groups),
            };
            app.create_group(&call, new).await
        });
        Some(operation.await)
    }

    /// Changes a group's name or members. Needs an administrator.
    async fn update_group(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The change.")] input: UpdateGroupInput,
    ) -> Option<Result<GroupPayload>> {
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            let change = GroupChange {
                expected_revision: input.expected_revision,
                name: input.name.map(|name| Name::parse("name", &name)).transpose()?,
                add: ids(Kind::User, &input.add),
                remove: ids(Kind::User, &input.remove),
                add_groups: ids(Kind::Group, &input.add_groups),
                remove_groups: ids(Kind::Group, &input.remove_groups),
            };
            app.update_group(&call, of_kind(Kind::Group, &input.group_id), change).await
        });
        Some(operation.await)
    }
}
