//! The gate before content runs somewhere, and what follows once it does.
//! Never lets a confirmation pass where the policy prevents.

use super::{Confirmation, approval};
use crate::domain::{
    access::{Stopped, SystemActor},
    caller::Caller,
    event::Subject,
    infrastructure::{Infrastructure, Policy},
    item::{Item, step_event},
    refusal::Refusal,
    source::SourceObject,
    state::{Draft, State},
    text::{StepKey, Text},
    time::Timestamp,
    workflow::{Move, Moved, StepStatus},
};

/// The step that a deployment finishes, and the one that must become ongoing by it.
const SIGNED_OFF: &str = "signed_off";
const PRODUCTION: &str = "production";

/// What stands at the gate.
pub(super) struct Gate<'a> {
    pub(super) state: &'a State,
    pub(super) caller: &'a Caller<'a>,
    pub(super) infrastructure: &'a Infrastructure,
    pub(super) source: &'a SourceObject,
    /// The warning that was confirmed for this deployment before.
    pub(super) confirmed: Option<&'a Confirmation>,
    /// The reason with which the caller goes on now.
    pub(super) reason: Option<Text>,
    pub(super) now: Timestamp,
}

/// What the gate says.
pub(super) enum Answer {
    /// Go on.
    Passed,
    /// Go on, because this person confirms the warning now.
    Confirmed(Confirmation),
    /// No; only the timeline hears of it.
    Refused(Refusal),
}

impl Gate<'_> {
    /// # Errors
    /// `REASON_MISSING` for a blank reason, `KEYS_DO_NOT_REVIEW` for a confirmation that no person gives.
    pub(super) fn ask(self) -> Result<Answer, Stopped> {
        let lacking = approval(self.state, self.infrastructure, self.source);
        match (self.infrastructure.policy, lacking) {
            (Policy::NoCheck, _) | (Policy::Warn | Policy::Prevent, Ok(())) => Ok(Answer::Passed),
            (Policy::Prevent, Err(reason)) => Ok(Answer::Refused(Refusal::GovernancePrevented { reason })),
            (Policy::Warn, Err(reason)) => self.warn(reason),
        }
    }

    fn warn(self, warning: String) -> Result<Answer, Stopped> {
        let digest = &self.source.content_digest;
        let covers = |confirmed: &Confirmation| digest.is_some() && confirmed.content_digest == *digest;
        if self.confirmed.is_some_and(covers) {
            return Ok(Answer::Passed);
        }
        let Some(reason) = self.reason else {
            return Ok(Answer::Refused(Refusal::GovernanceWarning { reason: warning }));
        };
        self.caller.must_be_in_person()?;
        let by = self.caller.person().ok_or(Refusal::KeysDoNotReview {})?;
        if reason.is_blank() {
            return Err(Refusal::ReasonMissing { path: "confirmation.reason".to_owned() }.into());
        }
        Ok(Answer::Confirmed(Confirmation { by, reason, at: self.now, content_digest: digest.clone() }))
    }
}

/// Moves the item of deployed content from Signed-off to Production. It may find nothing to do, but it never
/// fails the deployment.
pub(super) fn move_to_production(draft: &mut Draft, source: &SourceObject, now: Timestamp) {
    let Some((next, moved)) = moved_to_production(draft.next(), source, now) else { return };
    let by = SystemActor::AfterDeployment;
    let subject = Subject::Item(next.id);
    let mut events = moved.into_iter().map(|(step, moved)| step_event(step, moved));
    let Some(first) = events.next() else { return };
    draft.follow(by, next, subject, first);
    for event in events {
        draft.tell(Some(by), subject, event);
    }
}

fn moved_to_production(state: &State, source: &SourceObject, now: Timestamp) -> Option<(Item, Vec<(StepKey, Moved)>)> {
    let item = state.item(source.item()?).filter(|item| item.is_live())?;
    let template = state.template(item.template)?;
    let signed_off = StepKey::new(SIGNED_OFF);
    if item.workflow.status(&signed_off) != Some(StepStatus::Ongoing) {
        return None;
    }
    let mut workflow = item.workflow.clone();
    let gate = |step: &StepKey| item.gate(state, template.step(step), step);
    let moved = workflow.step("step", &signed_off, Move::Finish, &gate).ok()?;
    workflow.ongoing().filter(|step| step.as_str() == PRODUCTION)?;
    Some((Item { workflow, revision: item.revision + 1, changed_at: now, ..(**item).clone() }, moved))
}
