//! Sign-offs as clients read and move them, and the tasks that wait for a reviewer.
//! Never holds a rule: it words inputs for the operations and their outcomes for the client.

mod mutation;

use super::{call::snapshot, id::global, identity::User, item::GovernedItem, scalar::DateTime};
use crate::{
    app::{Seen, Task, my_review_tasks},
    domain::{
        id::{ReviewId, UserId},
        record::Kind,
        sign_off, template,
    },
};
use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
pub(super) use mutation::SignOffMutation;

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
