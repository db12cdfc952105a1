//! Entering, changing and deleting several people in one command, each row with a result of its own.
//! Never stops at a row that is refused, and finds a row that is done already done.

use crate::{
    app::{App, Call, Committed, Failed},
    domain::{
        access::{Denied, View},
        action::UpdateUsers,
        id::UserId,
        identity::{NewUser, User, UserChange},
        receipt::Outcome,
        refusal::Refusal,
    },
    store::Turn,
};
use std::sync::Arc;
use uuid::Uuid;

/// What became of one row.
#[derive(Clone, Debug)]
pub struct UserRow {
    /// Whom the row names; none for a new person.
    pub user: Option<UserId>,
    /// The person as she is then, or what refused the row.
    pub result: Result<Arc<User>, Refusal>,
}

/// What became of a batch, row by row.
#[derive(Clone, Debug)]
pub struct UserRows(pub Vec<UserRow>);

impl Outcome for UserRows {
    /// Asking again changes nothing and answers the same, so there is nothing to remember.
    fn ids(&self) -> Option<Vec<Uuid>> {
        None
    }

    fn again(_: &[Uuid], _: View<'_>) -> Result<Self, Denied> {
        Err(Denied::NotFound)
    }
}

/// Decides each row, and words what refuses it; what is no refusal of a row ends the batch.
fn each<N: Copy + Into<Option<UserId>>, R>(
    turn: &mut Turn<'_>,
    rows: Vec<(N, R)>,
    decide: impl Fn(&mut Turn<'_>, N, R) -> Result<Arc<User>, Failed>,
) -> Result<UserRows, Failed> {
    turn.view().tenant()?.authorize::<UpdateUsers>()?.rows_must_fit(rows.len())?;
    let rows = rows.into_iter().enumerate().map(|(n, (named, row))| {
        let path = format!("users.{n}");
        let result = match decide(turn, named, row) {
            Ok(user) => Ok(user),
            Err(Failed::Refused(refusal)) => Err(refusal),
            Err(Failed::Denied(Denied::NotFound)) => Err(Refusal::PersonUnknown { path }),
            Err(Failed::Denied(Denied::Forbidden(right))) => Err(Refusal::RowForbidden { path, right }),
            Err(other) => return Err(other),
        };
        Ok(UserRow { user: named.into(), result })
    });
    Ok(UserRows(rows.collect::<Result<_, _>>()?))
}

impl App {
    /// Enters several people. Whoever is there already under her address, as asked, is answered as she is.
    ///
    /// # Errors
    /// `TOO_MANY_ROWS`, `Forbidden`; a refused row is answered in its place.
    pub async fn create_users(&self, call: &Call, rows: Vec<NewUser>) -> Result<Committed<UserRows>, Failed> {
        let rows = rows.into_iter().map(|new| (None::<UserId>, new)).collect();
        self.write(call, move |turn| {
            each(turn, rows, |turn, _, new| {
                let tenant = turn.view().tenant()?.authorize()?;
                if let Some(known) = tenant.user_as_asked(&new) {
                    return Ok(Arc::clone(known));
                }
                turn.stage(tenant.create_user(new, turn.ids(), turn.now())?)
            })
        })
        .await
    }

    /// Changes several people. A row that finds its person as asked is done, whatever revision it names.
    ///
    /// # Errors
    /// `TOO_MANY_ROWS`, `Forbidden`; a refused row is answered in its place.
    pub async fn update_users(
        &self,
        call: &Call,
        rows: Vec<(UserId, UserChange)>,
    ) -> Result<Committed<UserRows>, Failed> {
        self.write(call, move |turn| {
            each(turn, rows, |turn, id, change| {
                let known = turn.view().readable::<User>(id)?;
                if known.deleted_at.is_none() && change.is_done(known) {
                    return Ok(Arc::clone(known));
                }
                let user = turn.view().user(id)?.authorize()?;
                turn.stage(user.update_user(change)?)
            })
        })
        .await
    }

    /// Deletes several people. Whoever is deleted already is answered as she is.
    ///
    /// # Errors
    /// `TOO_MANY_ROWS`, `Forbidden`; a refused row is answered in its place.
    pub async fn delete_users(&self, call: &Call, users: Vec<UserId>) -> Result<Committed<UserRows>, Failed> {
        let rows = users.into_iter().map(|user| (user, ())).collect();
        self.write(call, move |turn| {
            each(turn, rows, |turn, id, ()| {
                let known = turn.view().readable::<User>(id)?;
                if known.deleted_at.is_some() {
                    return Ok(Arc::clone(known));
                }
                let user = turn.view().user(id)?.authorize()?;
                turn.stage(user.delete_user(turn.now())?)
            })
        })
        .await
    }
}
