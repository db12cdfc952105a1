//! The transition tables of sign-offs and steps, as a governance officer reads them.

use super::golden;
use countersign::domain::{
    id::{ReviewId, UserId},
    refusal::Refusal,
    sign_off::{Decision, FinalReview, MembershipBasis, SignOffStatus, Stage},
    text::{StepKey, Text},
    time::Timestamp,
    workflow::{Gate, Move, StepStatus, Workflow},
};
use std::fmt::Write;
use uuid::Uuid;

const NOW: Timestamp = Timestamp::from_milliseconds(0);

fn review(decision: Decision) -> FinalReview {
    FinalReview {
        id: ReviewId::from_uuid(Uuid::from_u128(1)),
        author: UserId::from_uuid(Uuid::from_u128(2)),
        decision,
        comment: Text::default(),
        basis: MembershipBasis::Named,
        content_digest: None,
        at: NOW,
    }
}

/// Every stage, each reached by moves alone.
fn stages() -> Vec<(&'static str, Stage)> {
    let feedback = Stage::NotStarted.request_feedback(None, NOW).unwrap();
    let approval = feedback.clone().request_approval(None, NOW).unwrap();
    vec![
        ("not started", Stage::NotStarted),
        ("waiting for feedback", feedback.clone()),
        ("waiting for approval", approval.clone()),
        ("approved", approval.clone().decide(review(Decision::Approved)).unwrap()),
        ("rejected", approval.clone().decide(review(Decision::Rejected)).unwrap()),
        ("abandoned in feedback", feedback.abandon().unwrap()),
        ("abandoned in approval", approval.abandon().unwrap()),
    ]
}

type StageMove = fn(Stage) -> Result<Stage, Refusal>;

const MOVES: [(&str, StageMove); 9] = [
    ("request feedback", |stage| stage.request_feedback(None, NOW)),
    ("give feedback", |stage| stage.review(|_| Ok(()))),
    ("request final approval", |stage| stage.request_approval(None, NOW)),
    ("return to feedback", Stage::return_to_feedback),
    ("decide: approve", |stage| stage.decide(review(Decision::Approved))),
    ("decide: reject", |stage| stage.decide(review(Decision::Rejected))),
    ("abandon", Stage::abandon),
    ("resume", Stage::resume),
    ("reset", |stage| stage.reset().map(|(stage, _)| stage)),
];

fn label(status: SignOffStatus) -> String {
    status.to_string().to_lowercase().replace('_', " ")
}

#[test]
fn sign_off_table() {
    let mut table = String::new();
    for (name, stage) in stages() {
        for (move_name, step) in MOVES {
            let outcome = match step(stage.clone()) {
                Ok(next) => label(next.status()),
                Err(refusal) => format!("✘ {}", refusal.code().as_str()),
            };
            writeln!(table, "{name:<22} {move_name:<23} -> {outcome}").unwrap();
        }
        table.push('\n');
    }
    golden::compare("sign_off_transitions", &table);
}

/// What stands between the middle step and its next status, in words.
fn gates() -> Vec<(&'static str, Gate)> {
    let gate = |status, mandatory| Gate { sign_off: Some(status), mandatory, missing: vec![] };
    vec![
        ("no sign-off", Gate::default()),
        ("mandatory, not started", gate(SignOffStatus::NotStarted, true)),
        ("mandatory, waiting", gate(SignOffStatus::WaitingForApproval, true)),
        ("mandatory, approved", gate(SignOffStatus::Approved, true)),
        ("mandatory, rejected", gate(SignOffStatus::Rejected, true)),
        ("mandatory, abandoned", gate(SignOffStatus::Abandoned, true)),
        ("optional, waiting", gate(SignOffStatus::WaitingForFeedback, false)),
        (
            "a required field is empty",
            Gate { missing: vec![countersign::domain::text::FieldKey::new("notes")], ..Gate::default() },
        ),
    ]
}

/// Three steps in every combination that moves can reach.
fn workflows() -> Vec<Workflow> {
    let free = |_: &StepKey| Gate::default();
    let keys = || ["first", "middle", "last"].map(StepKey::new);
    let mut reached = vec![Workflow::new(keys())];
    let mut at = 0;
    while at < reached.len() {
        for key in keys() {
            for step_move in [Move::Start, Move::Finish, Move::Reopen, Move::Cancel] {
                let mut next = reached[at].clone();
                if next.step("step", &key, step_move, &free).is_ok() && !reached.contains(&next) {
                    reached.push(next);
                }
            }
        }
        at += 1;
    }
    reached
}

fn shown(workflow: &Workflow) -> String {
    let mark = |status| match status {
        StepStatus::NotStarted => "·",
        StepStatus::Ongoing => "▶",
        StepStatus::Finished => "✔",
    };
    workflow.steps().iter().map(|step| mark(step.status)).collect::<Vec<_>>().join(" ")
}

#[test]
fn step_table() {
    let mut table =
        String::from("Three steps: · not started, ▶ ongoing, ✔ finished. The move is made on the middle one.\n\n");
    for workflow in workflows() {
        for (gate_name, gate) in gates() {
            for (move_name, step_move) in
                [("start", Move::Start), ("finish", Move::Finish), ("reopen", Move::Reopen), ("cancel", Move::Cancel)]
            {
                let mut next = workflow.clone();
                let middle = StepKey::new("middle");
                let moved = next.step("step", &middle, step_move, &|key| {
                    if *key == middle { gate.clone() } else { Gate::default() }
                });
                let outcome = match moved {
                    Ok(_) => shown(&next),
                    Err(refusal) => format!("✘ {}", refusal.code().as_str()),
                };
                writeln!(table, "{}   {gate_name:<26} {move_name:<7} -> {outcome}", shown(&workflow)).unwrap();
            }
        }
        table.push('\n');
    }
    golden::compare("step_transitions", &table);
}

#[test]
fn a_waiting_later_sign_off_forbids_reopening() {
    let mut workflow = Workflow::new(["first", "review"].map(StepKey::new));
    let free = |_: &StepKey| Gate::default();
    workflow.step("step", &StepKey::new("first"), Move::Start, &free).unwrap();
    workflow.step("step", &StepKey::new("first"), Move::Finish, &free).unwrap();
    let before = workflow.clone();
    let waiting =
        |_: &StepKey| Gate { sign_off: Some(SignOffStatus::WaitingForFeedback), mandatory: true, missing: vec![] };
    let refusal = workflow.step("step", &StepKey::new("first"), Move::Reopen, &waiting).unwrap_err();
    assert_eq!(refusal.code().as_str(), "SIGN_OFF_IN_PROGRESS");
    assert_eq!(workflow, before, "a refused move changes nothing");
}

#[test]
fn error_catalogue() {
    use countersign::domain::refusal::RefusalCode;
    let mut table = String::from("code: sentence\n    what the caller can do\n\n");
    for code in RefusalCode::ALL {
        writeln!(table, "{}: {}\n    {}", code.as_str(), code.template(), code.remedy()).unwrap();
    }
    golden::compare("error_catalogue", &table);
}
