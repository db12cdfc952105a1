//! Sign-offs as clients read and move them, and the tasks that wait for a reviewer.
//! Never holds a rule: it words inputs for the operations and their outcomes for the client.

use super::{
    call::{mutate, payload, snapshot},
    id::{EventCursor, global, of_kind},
    identity::User,
    item::GovernedItem,
    scalar::DateTime,
};
use crate::{
    app::{Committed, Seen, Task, my_review_tasks},
    domain::{
        id::{ReviewId, UserId},
        record::Kind,
        sign_off::{self, Notify, RequestedFeedback, Verdict, Whom},
        template,
        text::Text,
    },
};
use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use std::sync::Arc;

/// Where a sign-off stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "sign_off::SignOffStatus")]
pub(super) enum SignOffStatus {
    /// Nobody has asked for anything.
    NotStarted,
    /// Reviewers may give feedback.
    WaitingForFeedback,
    /// An approver has to decide.
    WaitingForApproval,
    /// An approver approved.
    Approved,
    /// An approver rejected.
    Rejected,
    /// Given up; it can be resumed or reset.
    Abandoned,
}

/// What a reviewer found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "sign_off::FeedbackStatus")]
pub(super) enum FeedbackStatus {
    /// Nothing against it.
    Approved,
    /// Something small.
    MinorIssue,
    /// Something grave.
    MajorIssue,
}

/// What an approver decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "sign_off::Decision")]
pub(super) enum Decision {
    /// It may go on.
    Approved,
    /// It may not.
    Rejected,
}

/// The review attached to one step of an item.
#[derive(Clone)]
pub(super) struct SignOff(pub(super) Seen<sign_off::SignOff>);

fn users(sign_off: &Seen<sign_off::SignOff>, ids: impl IntoIterator<Item = UserId>) -> Vec<User> {
    let found = ids.into_iter().filter_map(|user| Seen::find(sign_off.snapshot(), user).ok());
    found.map(User).collect()
}

/// The review attached to one step of an item.
#[Object]
impl SignOff {
    /// The sign-off's id.
    pub(super) async fn id(&self) -> ID {
        global(Kind::SignOff, self.0.id.uuid())
    }

    /// Counts changes.
    async fn revision(&self) -> u64 {
        self.0.revision
    }

    /// The item that it belongs to.
    async fn item(&self) -> Option<GovernedItem> {
        self.0.item().map(GovernedItem)
    }

    /// The key of the step that it belongs to.
    async fn step(&self) -> &str {
        self.0.step.as_str()
    }

    /// Where it stands.
    async fn status(&self) -> SignOffStatus {
        self.0.status().into()
    }

    /// Counts the rounds of review, from 1; resetting begins another.
    async fn cycle(&self) -> u32 {
        self.0.cycle
    }

    /// Whether its step can only be finished once it is approved.
    async fn mandatory(&self) -> bool {
        self.0.configuration.mandatory
    }

    /// The groups that give feedback, with who may review now.
    async fn feedback_groups(&self) -> Vec<FeedbackGroup> {
        let groups = self.0.configuration.feedback_groups.iter().cloned();
        groups.map(|group| FeedbackGroup { sign_off: self.0.clone(), group }).collect()
    }

    /// The users who may decide now.
    async fn approvers(&self) -> Vec<User> {
        users(&self.0, self.0.approvers())
    }

    /// The feedback of this cycle, oldest first.
    async fn feedback(&self) -> Vec<Feedback> {
        let feedback = self.0.stage.round().map(|round| round.feedback.clone()).unwrap_or_default();
        feedback.into_iter().map(|feedback| Feedback { sign_off: self.0.clone(), feedback }).collect()
    }

    /// The decision of this cycle; null before it.
    async fn final_review(&self) -> Option<FinalReview> {
        let review = self.0.stage.final_review()?.clone();
        Some(FinalReview { sign_off: self.0.clone(), review })
    }

    /// When somebody last asked for feedback or the decision in this cycle.
    async fn requested_at(&self) -> Option<DateTime> {
        self.0.stage.round().and_then(|round| round.requested_at).map(Into::into)
    }

    /// Who asked for feedback or the decision in this cycle.
    async fn requesters(&self) -> Vec<User> {
        users(&self.0, self.0.stage.round().map(|round| round.requesters.clone()).unwrap_or_default())
    }
}

/// One group of reviewers of a sign-off.
pub(super) struct FeedbackGroup {
    sign_off: Seen<sign_off::SignOff>,
    group: template::FeedbackGroup,
}

/// One group of reviewers of a sign-off.
#[Object]
impl FeedbackGroup {
    /// Names the group.
    async fn key(&self) -> &str {
        self.group.key.as_str()
    }

    /// What people call it.
    async fn label(&self) -> &str {
        self.group.label.as_str()
    }

    /// The users who may give feedback for it now.
    async fn reviewers(&self) -> Vec<User> {
        users(&self.sign_off, self.sign_off.reviewers(&self.group.key))
    }
}

/// One feedback.
pub(super) struct Feedback {
    sign_off: Seen<sign_off::SignOff>,
    feedback: sign_off::Feedback,
}

fn review_id(id: ReviewId) -> ID {
    ID(id.uuid().simple().to_string())
}

/// One feedback.
#[Object]
impl Feedback {
    /// Names the feedback within its sign-off.
    async fn id(&self) -> ID {
        review_id(self.feedback.id)
    }

    /// Who gave it.
    async fn author(&self) -> Option<User> {
        Seen::find(self.sign_off.snapshot(), self.feedback.author).ok().map(User)
    }

    /// The key of the feedback group that it was given for.
    async fn group(&self) -> &str {
        self.feedback.group.as_str()
    }

    /// What was found.
    async fn status(&self) -> FeedbackStatus {
        self.feedback.status.into()
    }

    /// The reviewer's words.
    async fn comment(&self) -> &str {
        self.feedback.comment.as_str()
    }

    /// When it was given.
    async fn at(&self) -> DateTime {
        self.feedback.at.into()
    }

    /// When it was last changed.
    async fn edited_at(&self) -> Option<DateTime> {
        self.feedback.edited_at.map(Into::into)
    }
}

/// The final approval, or rejection.
pub(super) struct FinalReview {
    sign_off: Seen<sign_off::SignOff>,
    review: sign_off::FinalReview,
}

/// The final approval, or rejection.
#[Object]
impl FinalReview {
    /// Who decided.
    async fn author(&self) -> Option<User> {
        Seen::find(self.sign_off.snapshot(), self.review.author).ok().map(User)
    }

    /// What was decided.
    async fn decision(&self) -> Decision {
        self.review.decision.into()
    }

    /// The approver's words.
    async fn comment(&self) -> &str {
        self.review.comment.as_str()
    }

    /// The digest of the content that was decided on; null where the item has none.
    async fn content_digest(&self) -> Option<&str> {
        self.review.content_digest.as_deref()
    }

    /// When it was decided.
    async fn at(&self) -> DateTime {
        self.review.at.into()
    }
}

/// What a review task asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(super) enum ReviewTaskKind {
    /// To give feedback for a group.
    GiveFeedback,
    /// To decide.
    Decide,
}

/// Something that waits for you as a reviewer or approver.
#[derive(SimpleObject)]
pub(super) struct ReviewTask {
    /// What it asks.
    kind: ReviewTaskKind,
    /// The sign-off.
    sign_off: SignOff,
    /// The key of the feedback group, where feedback is asked for.
    group: Option<String>,
}

/// Queries about sign-offs.
#[derive(Default)]
pub(super) struct SignOffQuery;

#[Object]
impl SignOffQuery {
    /// What waits for you yourself: feedback that you have not given yet, and decisions; oldest sign-off first.
    async fn my_review_tasks(&self, ctx: &Context<'_>) -> Result<Vec<ReviewTask>> {
        let tasks = my_review_tasks(snapshot(ctx).await?).into_iter().map(|(sign_off, task)| {
            let (kind, group) = match task {
                Task::GiveFeedback(group) => (ReviewTaskKind::GiveFeedback, Some(group.to_string())),
                Task::Decide => (ReviewTaskKind::Decide, None),
            };
            ReviewTask { kind, sign_off: SignOff(sign_off), group }
        });
        Ok(tasks.collect())
    }
}

/// Whom of a feedback group to tell.
#[derive(InputObject)]
pub(super) struct NotifyGroupInput {
    /// The key of the feedback group.
    group: String,
    /// These of its reviewers; everyone in it where nobody is named.
    users: Option<Vec<ID>>,
}

/// A request for feedback.
#[derive(InputObject)]
pub(super) struct RequestFeedbackInput {
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
pub(super) struct RequestFinalApprovalInput {
    /// The sign-off.
    sign_off_id: ID,
    /// Which approvers to tell; all of them where nobody is named, none with an empty list.
    notify: Option<Vec<ID>>,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// A feedback.
#[derive(InputObject)]
pub(super) struct SubmitFeedbackInput {
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
pub(super) struct EditFeedbackInput {
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
pub(super) struct DeleteFeedbackInput {
    /// The sign-off.
    sign_off_id: ID,
    /// The feedback.
    review_id: ID,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// A decision.
#[derive(InputObject)]
pub(super) struct DecideInput {
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
pub(super) struct SignOffInput {
    /// The sign-off.
    sign_off_id: ID,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// A new cycle.
#[derive(InputObject)]
pub(super) struct ResetSignOffInput {
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
pub(super) struct NotifyWarning {
    /// The user's id.
    user_id: ID,
    /// The key of the feedback group that the user is not in; null for the approvers.
    group: Option<String>,
    /// The same in a sentence.
    message: String,
}

/// What a request for feedback or approval answers.
#[derive(SimpleObject)]
pub(super) struct RequestReviewPayload {
    /// The sign-off as it is now; null when the request was refused.
    sign_off: Option<SignOff>,
    /// Users whom the request named and the configuration does not: they were not told.
    warnings: Vec<NotifyWarning>,
    /// The rules that the request breaks; empty when it was done.
    user_errors: Vec<super::error::UserError>,
    /// The position of the change in the event log: subscribe after it to read your own write.
    cursor: Option<EventCursor>,
}

impl super::call::Payload for RequestReviewPayload {
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

    fn refused(user_errors: Vec<super::error::UserError>) -> Self {
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
pub(super) struct SignOffMutation;

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
