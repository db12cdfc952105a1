//! What people do with a sign-off, each a method on the permission it needs.
//! Never holds a stage's rule: those are the state machine's.

use super::{
    Decision, FinalReview, MembershipBasis, SignOff, Stage,
    members::{approvers, basis, members},
};
use crate::domain::{
    access::{Allowed, Basis, Denied, Resource, Stopped, View},
    action::{
        AbandonSignOff, Asks, Decide, Need, ReadSignOff, RequestFeedback, RequestFinalApproval, ResetSignOff,
        ResumeSignOff, ReturnToFeedback,
    },
    consequences,
    event::{EventKind, Notified, Subject},
    id::{Ids, ReviewId, UserId},
    item::Item,
    receipt::Outcome,
    refusal::Refusal,
    state::Change,
    template::Membership,
    text::{FeedbackGroupKey, Text},
    time::Timestamp,
    workflow::StepStatus,
};
use std::sync::Arc;
use uuid::Uuid;

/// Whom of a feedback group to tell; nobody of the groups that are not listed.
#[derive(Clone, Debug)]
pub struct Notify {
    /// The feedback group, as the caller wrote it.
    pub group: String,
    /// Whom of it.
    pub whom: Whom,
}

/// Whom of a group to tell.
#[derive(Clone, Debug)]
pub enum Whom {
    /// All its members.
    Everyone,
    /// These of them.
    Users(Vec<UserId>),
}

/// Something that was left out, and did not stop the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The user who was not told, being outside the configuration.
    pub user: UserId,
    /// The feedback group in question; none for the approvers.
    pub group: Option<FeedbackGroupKey>,
}

/// A sign-off that waits, and who was left out.
#[derive(Clone, Debug)]
pub struct RequestedFeedback {
    /// The sign-off.
    pub sign_off: Arc<SignOff>,
    /// Whom the request named and the configuration does not.
    pub warnings: Vec<Warning>,
}

impl Outcome for RequestedFeedback {
    fn ids(&self) -> Option<Vec<Uuid>> {
        self.sign_off.ids()
    }

    fn again(ids: &[Uuid], view: View<'_>) -> Result<Self, Denied> {
        Ok(Self { sign_off: Outcome::again(ids, view)?, warnings: vec![] })
    }
}

impl Resource for SignOff {
    fn may(&self, need: Need, view: View<'_>) -> Result<Basis, Denied> {
        let item = view.state().item(self.item).ok_or(Denied::NotFound)?;
        // A node sees where its object's review has come to, not what the reviewers said.
        if !view.rights(item)?.may_read() {
            return Err(Denied::NotFound);
        }
        match need {
            Need::Member => item.may(Need::Read, view).map(|_| Basis::Membership),
            Need::Read | Need::Write | Need::Delete => item.may(need, view),
            Need::Create(_)
            | Need::Govern
            | Need::Sync
            | Need::Manage
            | Need::Administer
            | Need::Operate
            | Need::Deploy
            | Need::AdministerInfrastructure
            | Need::SelfOrAdminister => Err(Denied::Forbidden("a right that sign-offs do not have")),
        }
    }
}

impl<A: Asks<SignOff>> Allowed<'_, A, SignOff> {
    fn item(&self) -> Result<&Arc<Item>, Denied> {
        self.state().item(self.item).ok_or(Denied::NotFound)
    }

    fn live_item(&self) -> Result<&Arc<Item>, Stopped> {
        let item = self.item()?;
        item.must_be_live()?;
        Ok(item)
    }

    fn step_must_be_ongoing(&self, item: &Item) -> Result<(), Refusal> {
        match item.workflow.status(&self.step) {
            Some(StepStatus::Ongoing) => Ok(()),
            Some(StepStatus::NotStarted | StepStatus::Finished) | None => {
                Err(Refusal::StepNotOngoing { step: self.step.clone() })
            }
        }
    }

    /// The person who asks, and why she belongs to `membership`; `outside` says what she is not.
    fn member(&self, membership: &Membership, outside: Refusal) -> Result<(UserId, MembershipBasis), Stopped> {
        let caller = self.caller()?;
        caller.must_be_in_person()?;
        let basis = basis(self.state(), &caller, self.live_item()?, membership);
        Ok(caller.person().zip(basis).ok_or(outside)?)
    }

    fn approver(&self) -> Result<(UserId, MembershipBasis), Stopped> {
        self.member(&self.configuration.approvers, Refusal::NotAnApprover {})
    }

    pub(super) fn reviewer(
        &self,
        path: &str,
        group: &str,
    ) -> Result<(UserId, FeedbackGroupKey, MembershipBasis), Stopped> {
        let key = FeedbackGroupKey::parse(path, group)?;
        let found = self.group(&key).ok_or_else(|| Refusal::UnknownFeedbackGroup { path: path.to_owned() })?;
        let (user, basis) = self.member(&found.members, Refusal::NotAReviewer { group: group.to_owned() })?;
        Ok((user, key, basis))
    }

    /// The change of this sign-off to its next stage, with whatever statuses and health follow.
    pub(super) fn moved(&self, next: SignOff, event: EventKind) -> Change<Arc<SignOff>> {
        let mut draft = self.draft();
        let sign_off = draft.put(next, Subject::Item(self.item), event);
        consequences::of_sign_off(&mut draft, self.state(), self.item);
        draft.done(sign_off)
    }

    /// Whom of `all` the caller listed, and whom he listed besides.
    fn told(&self, listed: &Whom, all: Vec<UserId>) -> (Vec<UserId>, Vec<UserId>) {
        match listed {
            Whom::Everyone => (all, vec![]),
            Whom::Users(users) => users.iter().partition(|user| all.contains(user)),
        }
    }
}

impl Allowed<'_, ReadSignOff, SignOff> {
    /// Who may give feedback for a group now.
    pub fn reviewers(&self, group: &FeedbackGroupKey) -> Vec<UserId> {
        let item = self.item().ok();
        let found = self.group(group);
        item.zip(found).map(|(item, group)| members(self.state(), item, &group.members)).unwrap_or_default()
    }

    /// Who may decide now.
    pub fn approvers(&self) -> Vec<UserId> {
        approvers(self.state(), self)
    }
}

impl Allowed<'_, RequestFeedback, SignOff> {
    /// S1: asks the reviewers and tells those in `notify`; the step must be ongoing.
    ///
    /// # Errors
    /// `STEP_NOT_ONGOING`, `NO_FEEDBACK_GROUP`, `UNKNOWN_FEEDBACK_GROUP`, or the stage's refusal.
    pub fn request_feedback(self, notify: &[Notify], now: Timestamp) -> Result<Change<RequestedFeedback>, Stopped> {
        let item = self.live_item()?;
        let stage = self.stage.clone().request_feedback(self.caller()?.user_id(), now)?;
        self.step_must_be_ongoing(item)?;
        if self.configuration.feedback_groups.is_empty() {
            return Err(Refusal::NoFeedbackGroup {}.into());
        }
        let (mut notified, mut warnings) = (vec![], vec![]);
        for (n, asked) in notify.iter().enumerate() {
            let path = format!("notify.{n}.group");
            let key = FeedbackGroupKey::parse(&path, &asked.group)?;
            let group = self.group(&key).ok_or(Refusal::UnknownFeedbackGroup { path })?;
            let (users, outside) = self.told(&asked.whom, members(self.state(), item, &group.members));
            warnings.extend(outside.into_iter().map(|user| Warning { user, group: Some(key.clone()) }));
            notified.push(Notified { group: key, users });
        }
        let event = EventKind::FeedbackRequested { sign_off: self.id, step: self.step.clone(), notified };
        Ok(self.moved(self.at(stage), event).map(|sign_off| RequestedFeedback { sign_off, warnings }))
    }
}

impl Allowed<'_, RequestFinalApproval, SignOff> {
    /// S2 and S3: asks the approvers and tells `whom`; somebody must be able to decide.
    ///
    /// # Errors
    /// `STEP_NOT_ONGOING`, `NO_APPROVER`, or the stage's refusal.
    pub fn request_final_approval(self, whom: &Whom, now: Timestamp) -> Result<Change<RequestedFeedback>, Stopped> {
        let item = self.live_item()?;
        let stage = self.stage.clone().request_approval(self.caller()?.user_id(), now)?;
        self.step_must_be_ongoing(item)?;
        let approvers = approvers(self.state(), &self);
        if approvers.is_empty() {
            return Err(Refusal::NoApprover {}.into());
        }
        let (notified, outside) = self.told(whom, approvers);
        let warnings = outside.into_iter().map(|user| Warning { user, group: None }).collect();
        let event = EventKind::FinalApprovalRequested { sign_off: self.id, step: self.step.clone(), notified };
        Ok(self.moved(self.at(stage), event).map(|sign_off| RequestedFeedback { sign_off, warnings }))
    }
}

impl Allowed<'_, ReturnToFeedback, SignOff> {
    /// S4: an approver wants the reviewers to look again.
    ///
    /// # Errors
    /// `NOT_AN_APPROVER`, or the stage's refusal.
    pub fn return_to_feedback(self) -> Result<Change<Arc<SignOff>>, Stopped> {
        self.approver()?;
        let stage = self.stage.clone().return_to_feedback()?;
        let event = EventKind::ReturnedToFeedback { sign_off: self.id, step: self.step.clone() };
        Ok(self.moved(self.at(stage), event))
    }
}

/// What an approver says.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The decision.
    pub decision: Decision,
    /// The words that go with it.
    pub comment: Text,
    /// The digest of the content that the approver saw, where he says so.
    pub expected_digest: Option<String>,
}

impl Allowed<'_, Decide, SignOff> {
    /// S5: an approver decides; the decision binds the content as it is now.
    ///
    /// # Errors
    /// `NOT_AN_APPROVER`, `KEYS_DO_NOT_REVIEW`, `SEPARATION_OF_DUTIES`, `CONTENT_CHANGED`, or the stage's refusal.
    pub fn decide(self, verdict: Verdict, ids: &dyn Ids, now: Timestamp) -> Result<Change<Arc<SignOff>>, Stopped> {
        let (author, basis) = self.approver()?;
        let Verdict { decision, comment, expected_digest } = verdict;
        let sources = self.state().sources_of(self.item);
        let content_digest = sources.filter_map(|source| source.content_digest.clone()).next();
        let review = FinalReview {
            id: ReviewId::new(ids),
            author,
            decision,
            comment: comment.clone(),
            basis,
            content_digest: content_digest.clone(),
            at: now,
        };
        let stage = self.stage.clone().decide(review)?;
        self.duties_must_be_separate(author, &stage)?;
        if let Some(expected) = expected_digest
            && content_digest.as_ref() != Some(&expected)
        {
            let current = content_digest.unwrap_or_else(|| "none".to_owned());
            return Err(Refusal::ContentChanged { expected, current }.into());
        }
        let (step, cycle) = (self.step.clone(), self.cycle);
        let event = EventKind::Decided { sign_off: self.id, step, cycle, decision, comment, content_digest };
        Ok(self.moved(self.at(stage), event))
    }

    fn duties_must_be_separate(&self, approver: UserId, stage: &Stage) -> Result<(), Refusal> {
        let separated = self.state().tenant().is_some_and(|tenant| tenant.settings.requester_may_not_approve);
        let requested = stage.round().is_some_and(|round| round.requesters.contains(&approver));
        if separated && requested {
            return Err(Refusal::SeparationOfDuties { pair: "whoever requested the review may not decide it" });
        }
        Ok(())
    }
}

impl<A: Asks<SignOff>> Allowed<'_, A, SignOff> {
    /// Whoever may write the item, or decide on it.
    fn writer_or_approver(&self) -> Result<(), Stopped> {
        if self.view().rights(self.live_item()?)?.may_write() {
            return Ok(());
        }
        match self.approver() {
            // Whoever is neither lacks both: that he does not approve is only half of it.
            Err(Stopped::Refused(Refusal::NotAnApprover {})) => {
                Err(Denied::Forbidden("WRITE, or to be a final approver").into())
            }
            other => other.map(drop),
        }
    }
}

impl Allowed<'_, AbandonSignOff, SignOff> {
    /// S6: gives a waiting sign-off up.
    ///
    /// # Errors
    /// `Forbidden` for whoever may neither write nor decide, or the stage's refusal.
    pub fn abandon(self) -> Result<Change<Arc<SignOff>>, Stopped> {
        self.writer_or_approver()?;
        let stage = self.stage.clone().abandon()?;
        let event = EventKind::SignOffAbandoned { sign_off: self.id, step: self.step.clone() };
        Ok(self.moved(self.at(stage), event))
    }
}

impl Allowed<'_, ResumeSignOff, SignOff> {
    /// S7: takes an abandoned sign-off up again.
    ///
    /// # Errors
    /// `Forbidden` for whoever may neither write nor decide, or the stage's refusal.
    pub fn resume(self) -> Result<Change<Arc<SignOff>>, Stopped> {
        self.writer_or_approver()?;
        let stage = self.stage.clone().resume()?;
        let event = EventKind::SignOffResumed { sign_off: self.id, step: self.step.clone() };
        Ok(self.moved(self.at(stage), event))
    }
}

impl Allowed<'_, ResetSignOff, SignOff> {
    /// S8: begins a new cycle, with the template's present configuration where `reload` says so.
    ///
    /// # Errors
    /// `INVALID_TRANSITION` while somebody is waited for: abandon first.
    pub fn reset(self, reload: bool) -> Result<Change<Arc<SignOff>>, Stopped> {
        let item = self.live_item()?;
        let (stage, reviews) = self.stage.clone().reset()?;
        let template = self.state().template(item.template).filter(|_| reload);
        let configuration = template.and_then(|template| template.step(&self.step)?.sign_off.clone());
        let next = SignOff {
            cycle: self.cycle + 1,
            configuration: configuration.unwrap_or_else(|| Arc::clone(&self.configuration)),
            ..self.at(stage)
        };
        let (step, cycle) = (self.step.clone(), self.cycle);
        let event = EventKind::SignOffReset { sign_off: self.id, step, cycle, reviews };
        Ok(self.moved(next, event))
    }
}
