//! An item's way through the steps of its template: the moves W1 to W4 as a pure state machine.
//! Never looks at rights, fields or sign-offs: whoever moves says what the gates of the steps are.

use super::{
    refusal::Refusal,
    sign_off::SignOffStatus,
    template::StepDefinition,
    text::{FieldKey, StepKey},
};
use serde::{Deserialize, Serialize};

/// Where one step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Nothing has begun.
    NotStarted,
    /// The item is in this step; at most one step of an item is.
    Ongoing,
    /// Done.
    Finished,
}

/// One step of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Which step of the template.
    pub key: StepKey,
    /// Where it stands.
    pub status: StepStatus,
}

/// The steps of an item, in the template's order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Workflow {
    steps: Vec<Step>,
}

/// A move of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// W1: not started → ongoing.
    Start,
    /// W2: ongoing → finished, and the next step becomes ongoing.
    Finish,
    /// W3: finished → ongoing, and later steps return to not started.
    Reopen,
    /// W4: ongoing → not started.
    Cancel,
}

/// What stands between a step and its next status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gate {
    /// The status of its sign-off, if it has one.
    pub sign_off: Option<SignOffStatus>,
    /// Whether the sign-off must be approved before the step is finished.
    pub mandatory: bool,
    /// The required fields that are empty.
    pub missing: Vec<FieldKey>,
}

/// What a move did to which step, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// The step is ongoing.
    Started,
    /// The step is finished.
    Finished,
    /// The finished step is ongoing again.
    Reopened,
    /// The step's start was taken back.
    StartCancelled,
    /// The step returned to not started because an earlier one was reopened.
    Returned,
}

impl Workflow {
    /// A workflow of these steps, none of them started.
    pub fn new(steps: impl IntoIterator<Item = StepKey>) -> Self {
        let steps = steps.into_iter().map(|key| Step { key, status: StepStatus::NotStarted });
        Self { steps: steps.collect() }
    }

    /// Takes the keys from the steps of the template where they are equal, so that they are kept once.
    pub(in crate::domain) fn share_keys(&mut self, definitions: &[StepDefinition]) {
        for step in &mut self.steps {
            if let Some(definition) = definitions.iter().find(|definition| definition.key == step.key) {
                step.key = definition.key.clone();
            }
        }
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The step that the item is in.
    pub fn ongoing(&self) -> Option<&StepKey> {
        self.steps.iter().find(|step| step.status == StepStatus::Ongoing).map(|step| &step.key)
    }

    /// Where a step stands.
    pub fn status(&self, key: &StepKey) -> Option<StepStatus> {
        self.steps.iter().find(|step| step.key == *key).map(|step| step.status)
    }

    /// Makes one move, or says which rule forbids it. `path` names the step in the input; `gate` tells what
    /// stands between a step and its next status.
    ///
    /// # Errors
    /// The rule of the workflow that the move breaks; the workflow is unchanged then.
    pub fn step(
        &mut self,
        path: &str,
        key: &StepKey,
        step_move: Move,
        gate: &dyn Fn(&StepKey) -> Gate,
    ) -> Result<Vec<(StepKey, Moved)>, Refusal> {
        let Some(at) = self.steps.iter().position(|step| step.key == *key) else {
            return Err(Refusal::UnknownStep { path: path.to_owned() });
        };
        let (earlier, rest) = self.steps.split_at_mut(at);
        let Some((step, later)) = rest.split_first_mut() else { return Ok(vec![]) };
        match step_move {
            Move::Start => start(earlier, step, later),
            Move::Finish => finish(step, later, &gate(key)),
            Move::Reopen => reopen(step, later, gate),
            Move::Cancel => cancel(step, &gate(key)),
        }
    }
}

fn start(earlier: &[Step], step: &mut Step, later: &[Step]) -> Result<Vec<(StepKey, Moved)>, Refusal> {
    let key = || step.key.clone();
    match step.status {
        StepStatus::Ongoing => return Err(Refusal::StepAlreadyOngoing { step: key(), ongoing: key() }),
        StepStatus::Finished => return Err(Refusal::StepAlreadyFinished { step: key() }),
        StepStatus::NotStarted => {}
    }
    let ongoing = earlier.iter().chain(later).find(|other| other.status == StepStatus::Ongoing);
    if let Some(ongoing) = ongoing {
        return Err(Refusal::StepAlreadyOngoing { step: key(), ongoing: ongoing.key.clone() });
    }
    if let Some(before) = earlier.iter().find(|before| before.status != StepStatus::Finished) {
        return Err(Refusal::StepOutOfOrder { step: key(), before: before.key.clone() });
    }
    step.status = StepStatus::Ongoing;
    Ok(vec![(step.key.clone(), Moved::Started)])
}

fn finish(step: &mut Step, later: &mut [Step], gate: &Gate) -> Result<Vec<(StepKey, Moved)>, Refusal> {
    let key = || step.key.clone();
    match step.status {
        StepStatus::NotStarted => return Err(Refusal::StepNotOngoing { step: key() }),
        StepStatus::Finished => return Err(Refusal::StepAlreadyFinished { step: key() }),
        StepStatus::Ongoing => {}
    }
    if let Some(status) = gate.sign_off.filter(|status| gate.mandatory && *status != SignOffStatus::Approved) {
        return Err(Refusal::SignOffNotApproved { step: key(), status });
    }
    if !gate.missing.is_empty() {
        let fields: Vec<&str> = gate.missing.iter().map(FieldKey::as_str).collect();
        return Err(Refusal::MissingFields { step: key(), fields: fields.join(", ") });
    }
    step.status = StepStatus::Finished;
    let mut moved = vec![(step.key.clone(), Moved::Finished)];
    if let Some(next) = later.first_mut() {
        next.status = StepStatus::Ongoing;
        moved.push((next.key.clone(), Moved::Started));
    }
    Ok(moved)
}

fn reopen(
    step: &mut Step,
    later: &mut [Step],
    gate: &dyn Fn(&StepKey) -> Gate,
) -> Result<Vec<(StepKey, Moved)>, Refusal> {
    match step.status {
        StepStatus::NotStarted | StepStatus::Ongoing => {
            return Err(Refusal::StepNotFinished { step: step.key.clone() });
        }
        StepStatus::Finished => {}
    }
    for other in later.iter() {
        if let Some(status) = gate(&other.key).sign_off.filter(|status| status.is_waiting()) {
            return Err(Refusal::SignOffInProgress { step: other.key.clone(), status });
        }
    }
    step.status = StepStatus::Ongoing;
    let mut moved = vec![(step.key.clone(), Moved::Reopened)];
    for other in later.iter_mut().filter(|other| other.status != StepStatus::NotStarted) {
        other.status = StepStatus::NotStarted;
        moved.push((other.key.clone(), Moved::Returned));
    }
    Ok(moved)
}

fn cancel(step: &mut Step, gate: &Gate) -> Result<Vec<(StepKey, Moved)>, Refusal> {
    match step.status {
        StepStatus::NotStarted | StepStatus::Finished => {
            return Err(Refusal::StepNotOngoing { step: step.key.clone() });
        }
        StepStatus::Ongoing => {}
    }
    if let Some(status) = gate.sign_off.filter(|status| *status != SignOffStatus::NotStarted) {
        return Err(Refusal::SignOffInProgress { step: step.key.clone(), status });
    }
    step.status = StepStatus::NotStarted;
    Ok(vec![(step.key.clone(), Moved::StartCancelled)])
}
