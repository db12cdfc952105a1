//! How clients move sign-offs.
//! Never holds a rule: it words inputs for the operations and their outcomes for the client.

use super::{Decision, FeedbackStatus, SignOff};
use crate::{
    app::{Committed, Seen},
    domain::{
        id::ReviewId,
        record::Kind,
        sign_off::{self, Notify, RequestedFeedback, Verdict, Whom},
        text::Text,
    },
    graphql::{
        call::{Payload, mutate, payload},
        error::UserError,
        id::{EventCursor, global, of_kind},
    },
};
use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use std::sync::Arc;

/// Whom of a feedback group to tell.
#[derive(InputObject)]
pub(in crate::graphql) struct NotifyGroupInput {
    /// The key of the feedback group.
    group: String,
    /// These of its reviewers; everyone in it where nobody is named.
    users: Option<Vec<ID>>,
}

/// A request for feedback.
#[derive(InputObject)]
pub(in crate::graphql) struct RequestFeedbackInput {
    /// The sign-off.
    sign_off_id: ID,
    /// Whom to tell; nobody of the groups that are not listed.
    #[graphql(default)]
    notify: Vec<NotifyGroupInput>,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// A request for the final approval.
#[derive(InputObject)]
pub(in crate::graphql) struct RequestFinalApprovalInput {
    /// The sign-off.
    sign_off_id: ID,
    /// Which approvers to tell; all of them where nobody is named, none with an empty list.
    notify: Option<Vec<ID>>,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// A feedback.
#[derive(InputObject)]
pub(in crate::graphql) struct SubmitFeedbackInput {
    /// The sign-off.
    sign_off_id: ID,
    /// The key of the feedback group that you review for.
    group: String,
    /// What you found.
    status: FeedbackStatus,
    /// Your words.
    #[graphql(default)]
    comment: String,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// A change of one's feedback.
#[derive(InputObject)]
pub(in crate::graphql) struct EditFeedbackInput {
    /// The sign-off.
    sign_off_id: ID,
    /// The feedback.
    review_id: ID,
    /// What you found.
    status: FeedbackStatus,
    /// Your words.
    #[graphql(default)]
    comment: String,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// The withdrawal of one's feedback.
#[derive(InputObject)]
pub(in crate::graphql) struct DeleteFeedbackInput {
    /// The sign-off.
    sign_off_id: ID,
    /// The feedback.
    review_id: ID,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// A decision.
#[derive(InputObject)]
pub(in crate::graphql) struct DecideInput {
    /// The sign-off.
    sign_off_id: ID,
    /// What you decide.
    decision: Decision,
    /// Your words.
    #[graphql(default)]
    comment: String,
    /// The digest of the content that you saw: the decision is refused when it is another by now.
    expected_digest: Option<String>,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// A move of a sign-off that needs no more words.
#[derive(InputObject)]
pub(in crate::graphql) struct SignOffInput {
    /// The sign-off.
    sign_off_id: ID,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// A new cycle.
#[derive(InputObject)]
pub(in crate::graphql) struct ResetSignOffInput {
    /// The sign-off.
    sign_off_id: ID,
    /// Read the groups and approvers from the template anew.
    #[graphql(default)]
    reload_configuration: bool,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

payload! {
    /// What a move of a sign-off answers.
    SignOffPayload {
        /// The sign-off as it is now; null when the move was refused.
        sign_off: SignOff
    } from Arc<sign_off::SignOff>, |committed| Seen::after(committed).ok().map(SignOff)
}

/// A user whom the request named and who was not told.
#[derive(SimpleObject)]
pub(in crate::graphql) struct NotifyWarning {
    /// The user's id.
    user_id: ID,
    /// The key of the feedback group that the user is not in; null for the approvers.
    group: Option<String>,
    /// The same in a sentence.
    message: String,
}

/// What a request for feedback or approval answers.
#[derive(SimpleObject)]
pub(in crate::graphql) struct RequestReviewPayload {
    /// The sign-off as it is now; null when the request was refused.
    sign_off: Option<SignOff>,
    /// Users whom the request named and the configuration does not: they were not told.
    warnings: Vec<NotifyWarning>,
    /// The rules that the request breaks; empty when it was done.
    user_errors: Vec<UserError>,
    /// The position of the change in the event log: subscribe after it to read your own write.
    cursor: Option<EventCursor>,
}

impl Payload for RequestReviewPayload {
    type Outcome = RequestedFeedback;

    fn done(committed: Committed<RequestedFeedback>, cursor: EventCursor) -> Self {
        let RequestedFeedback { sign_off, warnings } = &committed.outcome;
        let warnings = warnings.iter().map(|warning| NotifyWarning {
            user_id: global(Kind::User, warning.user.uuid()),
            group: warning.group.as_ref().map(ToString::to_string),
            message: match &warning.group {
                Some(group) => format!("This user is not a reviewer of the feedback group {group} and was not told."),
                None => "This user is not an approver and was not told.".to_owned(),
            },
        });
        let warnings = warnings.collect();
        let sign_off = Seen::find(&committed.snapshot, sign_off.id).ok().map(SignOff);
        Self { sign_off, warnings, user_errors: vec![], cursor: Some(cursor) }
    }

    fn refused(user_errors: Vec<UserError>) -> Self {
        Self { sign_off: None, warnings: vec![], user_errors, cursor: None }
    }
}

fn whom(users: Option<Vec<ID>>) -> Whom {
    match users {
        None => Whom::Everyone,
        Some(users) => Whom::Users(users.iter().map(|user| of_kind(Kind::User, user)).collect()),
    }
}

fn review(id: &ID) -> ReviewId {
    ReviewId::from_uuid(uuid::Uuid::parse_str(&id.0).unwrap_or(uuid::Uuid::max()))
}

/// Mutations of sign-offs.
#[derive(Default)]
pub(in crate::graphql) struct SignOffMutation;

#[Object]
impl SignOffMutation {
    /// Asks the reviewers for feedback and tells those named. Needs WRITE on the item; its step must be ongoing.
    async fn request_feedback(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The request.")] input: RequestFeedbackInput,
    ) -> Option<Result<RequestReviewPayload>> {
        let id = of_kind(Kind::SignOff, &input.sign_off_id);
        let groups = input.notify.into_iter();
        let notify = groups.map(|asked| Notify { group: asked.group, whom: whom(asked.users) }).collect();
        let operation =
            mutate(ctx, input.idempotency_key, async |app, call| app.request_feedback(&call, id, notify).await);
        Some(operation.await)
    }

    /// Gives feedback for a group that you are a reviewer of, while feedback is waited for.
    async fn submit_feedback(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The feedback.")] input: SubmitFeedbackInput,
    ) -> Option<Result<SignOffPayload>> {
        let id = of_kind(Kind::SignOff, &input.sign_off_id);
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            let comment = Text::parse("comment", &input.comment)?;
            app.submit_feedback(&call, id, input.group, input.status.into(), comment).await
        });
        Some(operation.await)
    }

    /// Changes your own feedback, while feedback is waited for.
    async fn edit_feedback(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The change.")] input: EditFeedbackInput,
    ) -> Option<Result<SignOffPayload>> {
        let (id, feedback) = (of_kind(Kind::SignOff, &input.sign_off_id), review(&input.review_id));
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            let comment = Text::parse("comment", &input.comment)?;
            app.edit_feedback(&call, id, feedback, input.status.into(), comment).await
        });
        Some(operation.await)
    }

    /// Takes your own feedback back, while feedback is waited for.
    async fn delete_feedback(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The feedback.")] input: DeleteFeedbackInput,
    ) -> Option<Result<SignOffPayload>> {
        let (id, feedback) = (of_kind(Kind::SignOff, &input.sign_off_id), review(&input.review_id));
        let operation =
            mutate(ctx, input.idempotency_key, async |app, call| app.delete_feedback(&call, id, feedback).await);
        Some(operation.await)
    }

    /// Asks the approvers for the decision and tells them; feedback is optional. Needs WRITE on the item; its step
    /// must be ongoing, and somebody must be able to decide.
    async fn request_final_approval(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The request.")] input: RequestFinalApprovalInput,
    ) -> Option<Result<RequestReviewPayload>> {
        let (id, notify) = (of_kind(Kind::SignOff, &input.sign_off_id), whom(input.notify));
        let operation =
            mutate(ctx, input.idempotency_key, async |app, call| app.request_final_approval(&call, id, notify).await);
        Some(operation.await)
    }

    /// Goes from approval back to feedback, which may then be given and edited again. For approvers.
    async fn return_to_feedback(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The sign-off.")] input: SignOffInput,
    ) -> Option<Result<SignOffPayload>> {
        let id = of_kind(Kind::SignOff, &input.sign_off_id);
        let operation = mutate(ctx, input.idempotency_key, async |app, call| app.return_to_feedback(&call, id).await);
        Some(operation.await)
    }

    /// Approves or rejects. For approvers; administrators are none by being administrators. Of two decisions at
    /// once exactly one is made.
    async fn decide(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The decision.")] input: DecideInput,
    ) -> Option<Result<SignOffPayload>> {
        let id = of_kind(Kind::SignOff, &input.sign_off_id);
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            let comment = Text::parse("comment", &input.comment)?;
            let (decision, expected_digest) = (input.decision.into(), input.expected_digest);
            app.decide(&call, id, Verdict { decision, comment, expected_digest }).await
        });
        Some(operation.await)
    }

    /// Gives a waiting sign-off up; its reviews are kept. Needs WRITE on the item, or to be an approver.
    async fn abandon_sign_off(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The sign-off.")] input: SignOffInput,
    ) -> Option<Result<SignOffPayload>> {
        let id = of_kind(Kind::SignOff, &input.sign_off_id);
        let operation = mutate(ctx, input.idempotency_key, async |app, call| app.abandon_sign_off(&call, id).await);
        Some(operation.await)
    }

    /// Takes an abandoned sign-off up again where it was. Needs WRITE on the item, or to be an approver.
    async fn resume_sign_off(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The sign-off.")] input: SignOffInput,
    ) -> Option<Result<SignOffPayload>> {
        let id = of_kind(Kind::SignOff, &input.sign_off_id);
        let operation = mutate(ctx, input.idempotency_key, async |app, call| app.resume_sign_off(&call, id).await);
        Some(operation.await)
    }

    /// Begins a new cycle of a sign-off that was decided or abandoned; its reviews go to the timeline. Needs WRITE.
    async fn reset_sign_off(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The sign-off.")] input: ResetSignOffInput,
    ) -> Option<Result<SignOffPayload>> {
        let id = of_kind(Kind::SignOff, &input.sign_off_id);
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            app.reset_sign_off(&call, id, input.reload_configuration).await
        });
        Some(operation.await)
    }
}
