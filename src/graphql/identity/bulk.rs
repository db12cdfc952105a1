//! Entering, changing and deleting several people at once, and acting as one.
//! Never stops at a row that is refused: each row is answered in its place.

use super::{Standing, User};
use crate::{
    app::{Committed, Seen, identity::UserRows},
    domain::{
        identity::{NewUser, UserChange},
        record::Kind,
        text::Name,
    },
    graphql::{
        call::{Payload, app, mutate, viewer, worded},
        error::UserError,
        id::{EventCursor, global, of_kind},
        session::SessionPayload,
    },
};
use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};

/// One of several new people.
#[derive(InputObject)]
pub(in crate::graphql) struct NewUserRowInput {
    /// What people call her.
    name: String,
    /// Her address; one user of the organisation has it.
    email: String,
    /// What she may do beyond her roles.
    #[graphql(default_with = "Standing::Member")]
    standing: Standing,
}

/// Several people who are entered.
#[derive(InputObject)]
pub(in crate::graphql) struct CreateUsersInput {
    /// The people, at most 100.
    users: Vec<NewUserRowInput>,
    /// Whoever is there already as asked is answered as she is, so that repeating is harmless with and without a key.
    idempotency_key: Option<String>,
}

/// What changes of one of several people; what is not named stays.
#[derive(InputObject)]
pub(in crate::graphql) struct UserRowInput {
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
}

/// Several people who change.
#[derive(InputObject)]
pub(in crate::graphql) struct UpdateUsersInput {
    /// The people, at most 100.
    users: Vec<UserRowInput>,
    /// A row that finds its person as asked is done, so that repeating is harmless with and without a key.
    idempotency_key: Option<String>,
}

/// Several people who are deleted.
#[derive(InputObject)]
pub(in crate::graphql) struct DeleteUsersInput {
    /// The people, at most 100.
    users: Vec<ID>,
    /// Whoever is deleted already is answered as she is, so that repeating is harmless with and without a key.
    idempotency_key: Option<String>,
}

/// As whom you want to act.
#[derive(InputObject)]
pub(in crate::graphql) struct ImpersonateInput {
    /// The person.
    user_id: ID,
}

/// What became of one row.
#[derive(SimpleObject)]
pub(in crate::graphql) struct UserResult {
    /// Whom the row names; null for a new person.
    user_id: Option<ID>,
    /// The person as she is now; null when the row was refused.
    user: Option<User>,
    /// The rules that the row breaks; empty when it was done.
    user_errors: Vec<UserError>,
}

/// What a batch of people answers.
#[derive(SimpleObject)]
pub(in crate::graphql) struct UsersPayload {
    /// One result for each row, in the order of the rows; empty when the whole batch was refused.
    results: Vec<UserResult>,
    /// The rules that the batch as a whole breaks; empty when it was done.
    user_errors: Vec<UserError>,
    /// The position of the change in the event log: subscribe after it to read your own write.
    cursor: Option<EventCursor>,
}

impl Payload for UsersPayload {
    type Outcome = UserRows;

    fn done(committed: Committed<UserRows>, cursor: EventCursor) -> Self {
        let Committed { outcome: UserRows(rows), snapshot, .. } = committed;
        let results = rows.into_iter().map(|row| {
            let (user, user_errors) = match row.result {
                Ok(user) => (Seen::find(&snapshot, user.id).ok().map(User), vec![]),
                Err(refusal) => (None, vec![UserError::from(&refusal)]),
            };
            let user_id = row.user.map(|user| global(Kind::User, user.uuid()));
            UserResult { user_id, user, user_errors }
        });
        Self { results: results.collect(), user_errors: vec![], cursor: Some(cursor) }
    }

    fn refused(user_errors: Vec<UserError>) -> Self {
        Self { results: vec![], user_errors, cursor: None }
    }
}

/// Mutations of several people, and acting as one.
#[derive(Default)]
pub(in crate::graphql) struct BulkMutation;

#[Object]
impl BulkMutation {
    /// Enters several people, row by row, who cannot sign in until they have set a password with a link. Needs an
    /// administrator.
    async fn create_users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The people.")] input: CreateUsersInput,
    ) -> Option<Result<UsersPayload>> {
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            let row = |(n, row): (usize, NewUserRowInput)| {
                let name = Name::parse(&format!("users.{n}.name"), &row.name)?;
                Ok(NewUser { name, email: row.email, standing: row.standing.into() })
            };
            let rows = input.users.into_iter().enumerate().map(row).collect::<Result<_, crate::app::Failed>>()?;
            app.create_users(&call, rows).await
        });
        Some(operation.await)
    }

    /// Changes several people, row by row. Needs an administrator; nobody disables or demotes himself, and one
    /// administrator stays.
    async fn update_users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The people.")] input: UpdateUsersInput,
    ) -> Option<Result<UsersPayload>> {
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            let row = |(n, row): (usize, UserRowInput)| {
                let UserRowInput { user_id, expected_revision, name, standing, active } = row;
                let name = name.map(|name| Name::parse(&format!("users.{n}.name"), &name)).transpose()?;
                let change = UserChange { expected_revision, name, standing: standing.map(Into::into), active };
                Ok((of_kind(Kind::User, &user_id), change))
            };
            let rows = input.users.into_iter().enumerate().map(row).collect::<Result<_, crate::app::Failed>>()?;
            app.update_users(&call, rows).await
        });
        Some(operation.await)
    }

    /// Deletes several people, row by row: their sessions, links and keys end, their groups lose them, their names
    /// stay where they did something. Needs an administrator; nobody deletes himself, and one administrator stays.
    async fn delete_users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The people.")] input: DeleteUsersInput,
    ) -> Option<Result<UsersPayload>> {
        let users = input.users.iter().map(|user| of_kind(Kind::User, user)).collect();
        let operation = mutate(ctx, input.idempotency_key, async |app, call| app.delete_users(&call, users).await);
        Some(operation.await)
    }

    /// Begins a session of an hour in which you act as somebody else, for instance to see what she sees. The timeline
    /// names both; reviewing and confirming stay with the person. Needs an administrator in person, and a person who
    /// does not stand above him. Not repeatable under a key: its answer is a secret.
    async fn impersonate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The person.")] input: ImpersonateInput,
    ) -> Option<Result<SessionPayload>> {
        let done = async {
            let viewer = viewer(ctx)?;
            let begun = app(ctx).impersonate(&viewer, of_kind(Kind::User, &input.user_id)).await;
            worded(app(ctx).store().epoch(), begun)
        };
        Some(done.await)
    }
}
