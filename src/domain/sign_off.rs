//! The sign-off of one step: its stages as a pure state machine, and the reviews in them.
//! Never asks who moves it: `rules` does, with a permission in hand.

mod feedback;
mod members;
mod rules;

use super::{
    id::{GroupId, ItemId, ReviewId, RoleId, SignOffId, UserId},
    refusal::Refusal,
    template::{FeedbackGroup, SignOffConfiguration},
    text::{FeedbackGroupKey, FieldKey, StepKey, Text},
    time::Timestamp,
};
pub(in crate::domain) use members::part_in;
pub use members::{approvers, members};
pub use rules::{Notify, RequestedFeedback, Verdict, Warning, Whom};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// The sign-off attached to one step of one item.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignOff {
    /// The sign-off's id.
    pub id: SignOffId,
    /// Counts changes, from 1.
    pub revision: u64,
    /// The item.
    pub item: ItemId,
    /// The step of the item.
    pub step: StepKey,
    /// Counts the rounds of review, from 1.
    pub cycle: u32,
    /// How it is given, as the template said when the item was created or the sign-off reloaded it.
    pub configuration: Arc<SignOffConfiguration>,
    /// Where it stands.
    pub stage: Stage,
}

/// Where a sign-off stands, with what belongs to that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nobody has asked for anything.
    NotStarted,
    /// Reviewers may give feedback.
    WaitingForFeedback(Round),
    /// An approver has to decide.
    WaitingForApproval(Round),
    /// Decided.
    Decided(Round, FinalReview),
    /// Given up; it goes on where it was when it is resumed.
    Abandoned(Round, WaitedFor),
}

/// For what an abandoned sign-off had waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitedFor {
    /// For feedback.
    Feedback,
    /// For the final approval.
    Approval,
}

/// What has happened in this cycle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// Who asked for feedback or approval, each once.
    pub requesters: Vec<UserId>,
    /// When it was last asked.
    pub requested_at: Option<Timestamp>,
    /// The feedback, oldest first.
    pub feedback: Vec<Feedback>,
}

/// The status of a sign-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignOffStatus {
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
    /// Given up.
    Abandoned,
}

/// What a reviewer found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedbackStatus {
    /// Nothing against it.
    Approved,
    /// Something small.
    MinorIssue,
    /// Something grave.
    MajorIssue,
}

/// What an approver decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It may go on.
    Approved,
    /// It may not.
    Rejected,
}

/// On what ground somebody belongs to a group of reviewers or approvers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MembershipBasis {
    /// The configuration names her.
    Named,
    /// The configuration names her group.
    Group(GroupId),
    /// The configuration names a role that she has on the item.
    Role(RoleId),
    /// A field of the item names her.
    OwnField(FieldKey),
    /// A field of the governed project names her.
    ProjectField(FieldKey),
}

/// One feedback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// Its id.
    pub id: ReviewId,
    /// Who gave it.
    pub author: UserId,
    /// For which feedback group.
    pub group: FeedbackGroupKey,
    /// What she found.
    pub status: FeedbackStatus,
    /// Her words.
    pub comment: Text,
    /// Why she was entitled.
    pub basis: MembershipBasis,
    /// When it was given.
    pub at: Timestamp,
    /// When it was last changed.
    pub edited_at: Option<Timestamp>,
}

/// The final approval, or rejection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalReview {
    /// Its id.
    pub id: ReviewId,
    /// Who decided.
    pub author: UserId,
    /// What was decided.
    pub decision: Decision,
    /// The approver's words.
    pub comment: Text,
    /// Why he was entitled.
    pub basis: MembershipBasis,
    /// The digest of the content that was decided on, where the item has content.
    pub content_digest: Option<String>,
    /// When it was decided.
    pub at: Timestamp,
}

/// One review, as the timeline keeps it after its cycle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Review {
    /// One feedback.
    Feedback(Feedback),
    /// The decision.
    Final(FinalReview),
}

impl SignOffStatus {
    /// Whether somebody is expected to do something.
    pub const fn is_waiting(self) -> bool {
        matches!(self, Self::WaitingForFeedback | Self::WaitingForApproval)
    }
}

impl fmt::Display for SignOffStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotStarted => "NOT_STARTED",
            Self::WaitingForFeedback => "WAITING_FOR_FEEDBACK",
            Self::WaitingForApproval => "WAITING_FOR_APPROVAL",
            Self::Approved => "APPROVED",
            Self::Rejected => "REJECTED",
            Self::Abandoned => "ABANDONED",
        })
    }
}

impl SignOff {
    /// Where it stands.
    pub const fn status(&self) -> SignOffStatus {
        self.stage.status()
    }

    /// A feedback group of its configuration.
    pub fn group(&self, key: &FeedbackGroupKey) -> Option<&FeedbackGroup> {
        self.configuration.feedback_groups.iter().find(|group| group.key == *key)
    }

    /// The next version of this sign-off, in another stage.
    fn at(&self, stage: Stage) -> Self {
        Self { revision: self.revision + 1, stage, ..self.clone() }
    }
}

impl Stage {
    /// The status of the stage.
    pub const fn status(&self) -> SignOffStatus {
        match self {
            Self::NotStarted => SignOffStatus::NotStarted,
            Self::WaitingForFeedback(_) => SignOffStatus::WaitingForFeedback,
            Self::WaitingForApproval(_) => SignOffStatus::WaitingForApproval,
            Self::Decided(_, FinalReview { decision: Decision::Approved, .. }) => SignOffStatus::Approved,
            Self::Decided(_, FinalReview { decision: Decision::Rejected, .. }) => SignOffStatus::Rejected,
            Self::Abandoned(..) => SignOffStatus::Abandoned,
        }
    }

    /// What has happened in this cycle; nothing before it began.
    pub const fn round(&self) -> Option<&Round> {
        match self {
            Self::NotStarted => None,
            Self::WaitingForFeedback(round)
            | Self::WaitingForApproval(round)
            | Self::Decided(round, _)
            | Self::Abandoned(round, _) => Some(round),
        }
    }

    /// The decision, when there is one.
    pub const fn final_review(&self) -> Option<&FinalReview> {
        match self {
            Self::Decided(_, review) => Some(review),
            Self::NotStarted | Self::WaitingForFeedback(_) | Self::WaitingForApproval(_) | Self::Abandoned(..) => None,
        }
    }

    /// S1: the reviewers are asked.
    ///
    /// # Errors
    /// Unless nothing was asked yet.
    pub fn request_feedback(self, by: Option<UserId>, now: Timestamp) -> Result<Self, Refusal> {
        match self {
            Self::NotStarted => Ok(Self::WaitingForFeedback(Round::default().requested(by, now))),
            Self::WaitingForFeedback(_) => Err(Refusal::FeedbackAlreadyRequested {}),
            Self::WaitingForApproval(_) => Err(Refusal::ApprovalAlreadyRequested {}),
            Self::Decided(..) => Err(Refusal::AlreadyDecided { status: self.status() }),
            Self::Abandoned(..) => Err(Refusal::SignOffAbandoned {}),
        }
    }

    /// S2 and S3: the approvers are asked, with or without feedback before.
    ///
    /// # Errors
    /// Unless nothing, or only feedback, was asked.
    pub fn request_approval(self, by: Option<UserId>, now: Timestamp) -> Result<Self, Refusal> {
        match self {
            Self::NotStarted => Ok(Self::WaitingForApproval(Round::default().requested(by, now))),
            Self::WaitingForFeedback(round) => Ok(Self::WaitingForApproval(round.requested(by, now))),
            Self::WaitingForApproval(_) => Err(Refusal::ApprovalAlreadyRequested {}),
            Self::Decided(..) => Err(Refusal::AlreadyDecided { status: self.status() }),
            Self::Abandoned(..) => Err(Refusal::SignOffAbandoned {}),
        }
    }

    /// Feedback is given, changed or taken back by `change`.
    ///
    /// # Errors
    /// Unless feedback is waited for; whatever `change` refuses.
    pub fn review(self, change: impl FnOnce(&mut Vec<Feedback>) -> Result<(), Refusal>) -> Result<Self, Refusal> {
        match self {
            Self::WaitingForFeedback(mut round) => {
                change(&mut round.feedback)?;
                Ok(Self::WaitingForFeedback(round))
            }
            Self::NotStarted => Err(Refusal::FeedbackNotRequested {}),
            Self::WaitingForApproval(_) => Err(Refusal::ApprovalAlreadyRequested {}),
            Self::Decided(..) => Err(Refusal::AlreadyDecided { status: self.status() }),
            Self::Abandoned(..) => Err(Refusal::SignOffAbandoned {}),
        }
    }

    /// S4: back to the reviewers.
    ///
    /// # Errors
    /// Unless the approval is waited for.
    pub fn return_to_feedback(self) -> Result<Self, Refusal> {
        match self {
            Self::WaitingForApproval(round) => Ok(Self::WaitingForFeedback(round)),
            Self::NotStarted | Self::WaitingForFeedback(_) => Err(Refusal::ApprovalNotRequested {}),
            Self::Decided(..) => Err(Refusal::AlreadyDecided { status: self.status() }),
            Self::Abandoned(..) => Err(Refusal::SignOffAbandoned {}),
        }
    }

    /// S5: an approver decides; of two at once, the second finds it decided.
    ///
    /// # Errors
    /// Unless the approval is waited for.
    pub fn decide(self, review: FinalReview) -> Result<Self, Refusal> {
        match self {
            Self::WaitingForApproval(round) => Ok(Self::Decided(round, review)),
            Self::NotStarted | Self::WaitingForFeedback(_) => Err(Refusal::ApprovalNotRequested {}),
            Self::Decided(..) => Err(Refusal::AlreadyDecided { status: self.status() }),
            Self::Abandoned(..) => Err(Refusal::SignOffAbandoned {}),
        }
    }

    /// S6: given up while somebody was waited for.
    ///
    /// # Errors
    /// Unless somebody is waited for.
    pub fn abandon(self) -> Result<Self, Refusal> {
        match self {
            Self::WaitingForFeedback(round) => Ok(Self::Abandoned(round, WaitedFor::Feedback)),
            Self::WaitingForApproval(round) => Ok(Self::Abandoned(round, WaitedFor::Approval)),
            Self::NotStarted => Err(Refusal::InvalidTransition { status: self.status() }),
            Self::Decided(..) => Err(Refusal::AlreadyDecided { status: self.status() }),
            Self::Abandoned(..) => Err(Refusal::SignOffAbandoned {}),
        }
    }

    /// S7: taken up again where it was given up.
    ///
    /// # Errors
    /// Unless it was abandoned.
    pub fn resume(self) -> Result<Self, Refusal> {
        match self {
            Self::Abandoned(round, WaitedFor::Feedback) => Ok(Self::WaitingForFeedback(round)),
            Self::Abandoned(round, WaitedFor::Approval) => Ok(Self::WaitingForApproval(round)),
            Self::NotStarted | Self::WaitingForFeedback(_) | Self::WaitingForApproval(_) | Self::Decided(..) => {
                Err(Refusal::InvalidTransition { status: self.status() })
            }
        }
    }

    /// S8: a new cycle begins; answers the reviews of the one that ended.
    ///
    /// # Errors
    /// Unless it was decided or abandoned.
    pub fn reset(self) -> Result<(Self, Vec<Review>), Refusal> {
        let feedback = |round: Round| round.feedback.into_iter().map(Review::Feedback);
        match self {
            Self::Decided(round, review) => {
                Ok((Self::NotStarted, feedback(round).chain([Review::Final(review)]).collect()))
            }
            Self::Abandoned(round, _) => Ok((Self::NotStarted, feedback(round).collect())),
            Self::NotStarted | Self::WaitingForFeedback(_) | Self::WaitingForApproval(_) => {
                Err(Refusal::InvalidTransition { status: self.status() })
            }
        }
    }
}

impl Round {
    fn requested(mut self, by: Option<UserId>, now: Timestamp) -> Self {
        self.requesters.extend(by.filter(|by| !self.requesters.contains(by)));
        self.requested_at = Some(now);
        self
    }
}
