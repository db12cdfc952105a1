//! What callers ask of sign-offs: requests, reviews, decisions; and what they read of one.
//! Never checks a rule: `domain/sign_off` does.

use super::{App, Call, Committed, Failed, Seen};
use crate::{
    domain::{
        action::ReadSignOff,
        id::{ReviewId, SignOffId, UserId},
        item::Item,
        sign_off::{FeedbackStatus, Notify, RequestedFeedback, SignOff, SignOffStatus, Verdict, Whom},
        text::{FeedbackGroupKey, Text},
    },
    store::Snapshot,
};
use std::sync::Arc;

type Answer = Result<Committed<Arc<SignOff>>, Failed>;

/// What a review task asks of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// To give feedback for a group.
    GiveFeedback(FeedbackGroupKey),
    /// To decide.
    Decide,
}

impl App {
    /// Asks reviewers for feedback.
    ///
    /// # Errors
    /// As the rule S1.
    pub async fn request_feedback(
        &self,
        call: &Call,
        id: SignOffId,
        notify: Vec<Notify>,
    ) -> Result<Committed<RequestedFeedback>, Failed> {
        self.write(call, move |turn| {
            let sign_off = turn.view().sign_off(id)?.authorize()?;
            turn.stage(sign_off.request_feedback(&notify, turn.now())?)
        })
        .await
    }

    /// Gives feedback for a group.
    ///
    /// # Errors
    /// As the rule.
    pub async fn submit_feedback(
        &self,
        call: &Call,
        id: SignOffId,
        group: String,
        status: FeedbackStatus,
        comment: Text,
    ) -> Answer {
        self.write(call, move |turn| {
            let sign_off = turn.view().sign_off(id)?.authorize()?;
            turn.stage(sign_off.submit_feedback(&group, status, comment, turn.ids(), turn.now())?)
        })
        .await
    }

    /// Changes one's feedback.
    ///
    /// # Errors
    /// As the rule.
    pub async fn edit_feedback(
        &self,
        call: &Call,
        id: SignOffId,
        review: ReviewId,
        status: FeedbackStatus,
        comment: Text,
    ) -> Answer {
        self.write(call, move |turn| {
            let sign_off = turn.view().sign_off(id)?.authorize()?;
            turn.stage(sign_off.edit_feedback(review, status, comment, turn.now())?)
        })
        .await
    }

    /// Takes one's feedback back.
    ///
    /// # Errors
    /// As the rule.
    pub async fn delete_feedback(&self, call: &Call, id: SignOffId, review: ReviewId) -> Answer {
        self.write(call, move |turn| {
            let sign_off = turn.view().sign_off(id)?.authorize()?;
            turn.stage(sign_off.delete_feedback(review)?)
        })
        .await
    }

    /// Asks the approvers for the decision.
    ///
    /// # Errors
    /// As the rules S2 and S3.
    pub async fn request_final_approval(
        &self,
        call: &Call,
        id: SignOffId,
        notify: Whom,
    ) -> Result<Committed<RequestedFeedback>, Failed> {
        self.write(call, move |turn| {
            let sign_off = turn.view().sign_off(id)?.authorize()?;
            turn.stage(sign_off.request_final_approval(&notify, turn.now())?)
        })
        .await
    }

    /// Goes back to the reviewers.
    ///
    /// # Errors
    /// As the rule S4.
    pub async fn return_to_feedback(&self, call: &Call, id: SignOffId) -> Answer {
        self.write(call, move |turn| {
            let sign_off = turn.view().sign_off(id)?.authorize()?;
            turn.stage(sign_off.return_to_feedback()?)
        })
        .await
    }

    /// Approves or rejects.
    ///
    /// # Errors
    /// As the rule S5.
    pub async fn decide(&self, call: &Call, id: SignOffId, verdict: Verdict) -> Answer {
        self.write(call, move |turn| {
            let sign_off = turn.view().sign_off(id)?.authorize()?;
            turn.stage(sign_off.decide(verdict, turn.ids(), turn.now())?)
        })
        .await
    }

    /// Gives a waiting sign-off up.
    ///
    /// # Errors
    /// As the rule S6.
    pub async fn abandon_sign_off(&self, call: &Call, id: SignOffId) -> Answer {
        self.write(call, move |turn| {
            let sign_off = turn.view().sign_off(id)?.authorize()?;
            turn.stage(sign_off.abandon()?)
        })
        .await
    }

    /// Takes an abandoned sign-off up again.
    ///
    /// # Errors
    /// As the rule S7.
    pub async fn resume_sign_off(&self, call: &Call, id: SignOffId) -> Answer {
        self.write(call, move |turn| {
            let sign_off = turn.view().sign_off(id)?.authorize()?;
            turn.stage(sign_off.resume()?)
        })
        .await
    }

    /// Begins a new cycle.
    ///
    /// # Errors
    /// As the rule S8.
    pub async fn reset_sign_off(&self, call: &Call, id: SignOffId, reload_configuration: bool) -> Answer {
        self.write(call, move |turn| {
            let sign_off = turn.view().sign_off(id)?.authorize()?;
            turn.stage(sign_off.reset(reload_configuration)?)
        })
        .await
    }
}

/// What waits for the viewer herself, oldest sign-off first: feedback that she has not given yet, and decisions.
pub fn my_review_tasks(snapshot: &Snapshot) -> Vec<(Seen<SignOff>, Task)> {
    let Ok(Some(me)) = snapshot.view().caller().map(|caller| caller.person()) else { return vec![] };
    let waiting = Seen::all(snapshot, snapshot.view().waiting_sign_offs());
    waiting.flat_map(|sign_off| tasks_in(&sign_off, me).into_iter().map(move |task| (sign_off.clone(), task))).collect()
}

fn tasks_in(sign_off: &Seen<SignOff>, me: UserId) -> Vec<Task> {
    match sign_off.status() {
        SignOffStatus::WaitingForApproval => {
            if sign_off.approvers().contains(&me) {
                vec![Task::Decide]
            } else {
                vec![]
            }
        }
        SignOffStatus::WaitingForFeedback => {
            let given = |group: &FeedbackGroupKey| {
                let round = sign_off.stage.round();
                round.is_some_and(|round| round.feedback.iter().any(|own| own.author == me && own.group == *group))
            };
            let groups = sign_off.configuration.feedback_groups.iter().map(|group| &group.key);
            let mine = groups.filter(|group| !given(group) && sign_off.reviewers(group).contains(&me));
            mine.map(|group| Task::GiveFeedback(group.clone())).collect()
        }
        SignOffStatus::NotStarted | SignOffStatus::Approved | SignOffStatus::Rejected | SignOffStatus::Abandoned => {
            vec![]
        }
    }
}

impl Seen<SignOff> {
    /// The item that it belongs to.
    pub fn item(&self) -> Option<Seen<Item>> {
        Seen::find(self.snapshot(), self.item).ok()
    }

    /// The users who may give feedback for a group now.
    pub fn reviewers(&self, group: &FeedbackGroupKey) -> Vec<UserId> {
        let sign_off = self.view().sign_off(self.id).and_then(|sign_off| sign_off.authorize::<ReadSignOff>());
        sign_off.map(|sign_off| sign_off.reviewers(group)).unwrap_or_default()
    }

    /// The users who may decide now.
    pub fn approvers(&self) -> Vec<UserId> {
        let sign_off = self.view().sign_off(self.id).and_then(|sign_off| sign_off.authorize::<ReadSignOff>());
        sign_off.map(|sign_off| sign_off.approvers()).unwrap_or_default()
    }
}
