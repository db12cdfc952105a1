//! Publishing and deploying behind the gate, as rules: rows 26 to 32 and 36 of the tutorial.

use crate::desk::{Desk, Done, bundle, code, project};
use crate::governance::{govern, new_project, source, standard_rules, sync};
use countersign::domain::{
    action::{
        CreateDeployment, DeleteDeployment, Deploy, DisableDeployment, PublishSourceObject, ReadDeployment,
        ReportDeploymentStatus, UpdateDeployment, UpdateInfrastructure,
    },
    deployment::{Deployment, DeploymentStatus, Health, NewDeployment, UpdatedDeployment},
    field::{FieldChange, FieldValue, Person},
    governance::Govern,
    id::{DeploymentId, SourceObjectId},
    infrastructure::{InfrastructureChanges, Policy},
    item::Save,
    refusal::Refusal,
    sign_off::{Decision, Verdict, Whom},
    source::SourceObject,
    text::{Name, StepKey, Text},
    workflow::StepStatus,
};
use std::sync::Arc;

const SYNC: &str = "design-1-sync";
type Gated = Result<Arc<Deployment>, Refusal>;

fn publish(desk: &mut Desk, who: &str, id: SourceObjectId) -> Done<Arc<SourceObject>> {
    desk.act(who, |view, _, now| view.source_object(id)?.authorize::<PublishSourceObject>()?.publish(now))
}

fn reason(text: Option<&str>) -> Option<Text> {
    text.map(|text| Text::parse("confirmationReason", text).unwrap())
}

fn create(desk: &mut Desk, who: &str, on: &str, source: SourceObjectId, why: Option<&str>) -> Done<Gated> {
    let on = desk.infrastructure(on);
    let name = Name::parse("name", "churn").unwrap();
    let new = NewDeployment { name, source, confirmation_reason: reason(why) };
    desk.act(who, |view, ids, now| {
        view.infrastructure(on)?.authorize::<CreateDeployment>()?.create_deployment(new, ids, now)
    })
}

fn deploy(desk: &mut Desk, who: &str, id: DeploymentId, why: Option<&str>) -> Done<Gated> {
    desk.act(who, |view, _, now| view.deployment(id)?.authorize::<Deploy>()?.deploy(reason(why), now))
}

fn update(desk: &mut Desk, deployment: &Deployment, source: SourceObjectId) -> Done<Gated> {
    let updated = UpdatedDeployment { expected_revision: deployment.revision, source, confirmation_reason: None };
    let id = deployment.id;
    desk.act("dep", |view, _, now| {
        view.deployment(id)?.authorize::<UpdateDeployment>()?.update_deployment(updated, now)
    })
}

fn health(desk: &Desk, id: DeploymentId) -> (Health, Health) {
    desk.look("dep", |view| {
        let deployment = view.deployment(id).unwrap().authorize::<ReadDeployment>().unwrap();
        (deployment.governance_health(), deployment.health())
    })
}

fn deployments(desk: &Desk) -> usize {
    desk.look("admin", |view| view.all::<Deployment>().count())
}

/// A governed project with two governed bundles, of which nothing is approved.
pub(crate) fn two_bundles(desk: &mut Desk) -> (Arc<SourceObject>, Arc<SourceObject>) {
    let item = new_project(desk);
    let fin = FieldValue::List(vec![FieldValue::Person(Person::User(desk.user("fin")))]);
    let fields = vec![FieldChange { key: "final_approvers".to_owned(), value: Some(fin) }];
    let save = Save { expected_revision: 1, fields, ..Save::default() };
    desk.act("ann", |view, _, now| view.item(item.id)?.authorize()?.update(save, now)).unwrap();
    let (rows, _) = sync(desk, SYNC, vec![project("GOVLIFE")]).unwrap();
    let future_children = standard_rules(desk);
    let plan = Govern { into: Some(item.id), future_children, ..Govern::default() };
    govern(desk, "ann", source(&rows, 0).id, plan).unwrap();
    let (rows, _) = sync(desk, SYNC, vec![bundle("GOVLIFE", "v1", 'a'), bundle("GOVLIFE", "v2", 'b')]).unwrap();
    (source(&rows, 0), source(&rows, 1))
}

/// Has fin approve a bundle, and ann finish its review.
fn approve(desk: &mut Desk, source: &SourceObject) -> Vec<String> {
    let item = source.item().unwrap();
    desk.act("ann", |view, _, now| view.item(item)?.authorize()?.start_step("review", 1, now)).unwrap();
    let review = StepKey::new("review");
    let whom = Whom::Everyone;
    desk.act("ann", |view, _, now| view.sign_off_of(item, &review)?.authorize()?.request_final_approval(&whom, now))
        .unwrap();
    let verdict = Verdict { decision: Decision::Approved, comment: Text::default(), expected_digest: None };
    let decided =
        desk.act("fin", |view, ids, now| view.sign_off_of(item, &review)?.authorize()?.decide(verdict, ids, now));
    desk.act("ann", |view, _, now| view.item(item)?.authorize()?.finish_step("review", 2, now)).unwrap();
    decided.unwrap().1
}

#[test]
fn what_is_not_approved_passes_warns_or_is_prevented_and_a_refusal_leaves_only_its_entry() {
    let mut desk = Desk::acme();
    let (v1, _) = two_bundles(&mut desk);
    assert_eq!(code(create(&mut desk, "dep", "dev", v1.id, None)), "NOT_PUBLISHED");
    assert_eq!(code(publish(&mut desk, "ann", v1.id)), "Forbidden(\"the grant DEPLOY\")");
    assert_eq!(publish(&mut desk, "dep", v1.id).unwrap().1, ["source_object_published"]);
    assert_eq!(publish(&mut desk, "dep", v1.id).unwrap().1.len(), 0);
    assert_eq!(code(create(&mut desk, "ann", "dev", v1.id, None)), "Forbidden(\"the grant DEPLOY\")");
    let unknown = SourceObjectId::from_uuid(uuid::Uuid::from_u128(9));
    assert_eq!(code(create(&mut desk, "dep", "dev", unknown, None)), "UNKNOWN_OBJECT at sourceObjectId");

    let (on_dev, told) = create(&mut desk, "dep", "dev", v1.id, None).unwrap();
    assert_eq!(told, ["deployment_created"]);
    let (on_dev, told) = deploy(&mut desk, "dep", on_dev.unwrap().id, None).unwrap();
    assert_eq!(told, ["deployed"]);
    let on_dev = on_dev.unwrap();
    assert_eq!((on_dev.status, health(&desk, on_dev.id).1), (DeploymentStatus::Active, Health::NoStatus));

    let (refused, told) = create(&mut desk, "dep", "test", v1.id, None).unwrap();
    assert_eq!(told, ["deployment_refused"]);
    insta::assert_snapshot!(refused.unwrap_err().sentence(), @"The infrastructure warns: the sign-off of v1 at the step review is NOT_STARTED, not APPROVED.");
    assert_eq!(code(create(&mut desk, "dep", "test", v1.id, Some(" \n"))), "REASON_MISSING at confirmation.reason");
    assert_eq!(code(create(&mut desk, "deployer", "test", v1.id, Some("it is urgent"))), "KEYS_DO_NOT_REVIEW");
    assert_eq!(deployments(&desk), 1);
    let (on_test, told) = create(&mut desk, "dep", "test", v1.id, Some("it is urgent")).unwrap();
    assert_eq!(told, ["deployment_created", "warning_confirmed"]);
    let on_test = on_test.unwrap();
    let (deployed, told) = deploy(&mut desk, "deployer", on_test.id, None).unwrap();
    assert_eq!((told, deployed.unwrap().status), (vec!["deployed".to_owned()], DeploymentStatus::Active));
    assert_eq!(health(&desk, on_test.id).0, Health::Warning);

    for why in [None, Some("it is urgent")] {
        let (refused, told) = create(&mut desk, "dep", "prod", v1.id, why).unwrap();
        assert_eq!(told, ["deployment_refused"]);
        assert_eq!(refused.unwrap_err().code().as_str(), "GOVERNANCE_PREVENTED");
    }
    assert_eq!(deployments(&desk), 2);
}

#[test]
fn other_content_needs_another_confirmation() {
    let mut desk = Desk::acme();
    let (v1, v2) = two_bundles(&mut desk);
    publish(&mut desk, "dep", v1.id).unwrap();
    let (made, _) = create(&mut desk, "dep", "test", v1.id, Some("it is urgent")).unwrap();
    let made = made.unwrap();
    sync(&mut desk, SYNC, vec![bundle("GOVLIFE", "v1", 'c')]).unwrap();
    let (refused, told) = deploy(&mut desk, "dep", made.id, None).unwrap();
    assert_eq!(
        (refused.unwrap_err().code().as_str(), told),
        ("GOVERNANCE_WARNING", vec!["deployment_refused".to_owned()])
    );
    let (active, told) = deploy(&mut desk, "dep", made.id, Some("still urgent")).unwrap();
    assert_eq!(told, ["deployed", "warning_confirmed"]);
    assert_eq!(deploy(&mut desk, "dep", made.id, None).unwrap().1.len(), 0);
    let active = active.unwrap();
    assert_eq!(code(update(&mut desk, &made, v2.id)), "REVISION_CONFLICT");
    assert_eq!(code(update(&mut desk, &active, v2.id)), "NOT_PUBLISHED");
    publish(&mut desk, "dep", v2.id).unwrap();
    let (refused, _) = update(&mut desk, &active, v2.id).unwrap();
    assert_eq!(refused.unwrap_err().code().as_str(), "GOVERNANCE_WARNING");
    let same = desk.look("dep", |view| view.readable::<Deployment>(made.id).unwrap().revision);
    assert_eq!(same, active.revision);
    approve(&mut desk, &v2);
    let (updated, told) = update(&mut desk, &active, v2.id).unwrap();
    assert_eq!(told, ["deployment_updated", "health_changed by Consequence"]);
    let updated = updated.unwrap();
    assert_eq!(
        (updated.source, updated.status, &updated.deployed_digest),
        (v2.id, DeploymentStatus::Active, &v2.content_digest)
    );
}

#[test]
fn what_is_approved_is_deployed_and_moves_to_production() {
    let mut desk = Desk::acme();
    let (_, v2) = two_bundles(&mut desk);
    publish(&mut desk, "deployer", v2.id).unwrap();
    let (on_test, _) = create(&mut desk, "dep", "test", v2.id, Some("a rehearsal")).unwrap();
    let on_test = on_test.unwrap();
    let told = approve(&mut desk, &v2);
    assert_eq!(told, ["decided", "validation_changed by Consequence", "health_changed by Consequence"]);
    assert_eq!(health(&desk, on_test.id), (Health::Healthy, Health::Healthy));
    let (on_prod, _) = create(&mut desk, "dep", "prod", v2.id, None).unwrap();
    let on_prod = on_prod.unwrap();
    let (_, told) = deploy(&mut desk, "dep", on_prod.id, None).unwrap();
    assert_eq!(told, ["deployed", "step_finished by AfterDeployment", "step_started by AfterDeployment"]);
    let item = desk.item(v2.item().unwrap());
    assert_eq!(item.workflow.status(&StepKey::new("production")), Some(StepStatus::Ongoing));
    assert_eq!(health(&desk, on_prod.id).0, Health::Healthy);

    let report = |desk: &mut Desk, status| {
        let message = Text::parse("message", "as reported").unwrap();
        desk.act("deployer", |view, _, now| {
            view.deployment(on_prod.id)?.authorize::<ReportDeploymentStatus>()?.report_status(status, message, now)
        })
    };
    let (_, told) = report(&mut desk, Health::Error).unwrap();
    assert_eq!(told, ["deployment_status_reported", "health_changed by Consequence"]);
    assert_eq!(report(&mut desk, Health::Error).unwrap().1.len(), 0);
    assert_eq!(health(&desk, on_prod.id), (Health::Healthy, Health::Error));
}

#[test]
fn an_approval_counts_for_the_content_that_was_approved() {
    let mut desk = Desk::acme();
    let (_, v2) = two_bundles(&mut desk);
    publish(&mut desk, "dep", v2.id).unwrap();
    approve(&mut desk, &v2);
    let (on_prod, _) = create(&mut desk, "dep", "prod", v2.id, None).unwrap();
    let id = on_prod.unwrap().id;
    let (_, told) = sync(&mut desk, SYNC, vec![bundle("GOVLIFE", "v2", 'c')]).unwrap();
    let expected = ["source_object_changed", "validation_changed by Consequence", "health_changed by Consequence"];
    assert_eq!((told, health(&desk, id).0), (expected.map(str::to_owned).to_vec(), Health::Error));
    let (refused, _) = deploy(&mut desk, "dep", id, None).unwrap();
    insta::assert_snapshot!(refused.unwrap_err().sentence(), @"The infrastructure prevents this: the sign-off of v2 at the step review is APPROVED for other content.");
    sync(&mut desk, SYNC, vec![bundle("GOVLIFE", "v2", 'b')]).unwrap();
    assert_eq!(deploy(&mut desk, "dep", id, None).unwrap().0.unwrap().status, DeploymentStatus::Active);
}

#[test]
fn only_a_disabled_deployment_is_deleted() {
    let mut desk = Desk::acme();
    let (v1, _) = two_bundles(&mut desk);
    publish(&mut desk, "dep", v1.id).unwrap();
    let id = create(&mut desk, "dep", "dev", v1.id, None).unwrap().0.unwrap().id;
    let delete =
        |desk: &mut Desk| desk.act("dep", |view, _, _| view.deployment(id)?.authorize::<DeleteDeployment>()?.delete());
    let disable = |desk: &mut Desk| {
        desk.act("dep", |view, _, _| view.deployment(id)?.authorize::<DisableDeployment>()?.disable())
    };
    assert_eq!(code(delete(&mut desk)), "DEPLOYMENT_STATE");
    assert_eq!(disable(&mut desk).unwrap().1, ["deployment_disabled"]);
    assert_eq!(disable(&mut desk).unwrap().1.len(), 0);
    assert_eq!(delete(&mut desk).unwrap().1, ["deployment_deleted"]);
    assert_eq!((deployments(&desk), code(delete(&mut desk))), (0, "NotFound".to_owned()));
}

#[test]
fn a_new_policy_changes_the_health_of_what_runs_there() {
    let mut desk = Desk::acme();
    let (v1, _) = two_bundles(&mut desk);
    publish(&mut desk, "dep", v1.id).unwrap();
    let id = create(&mut desk, "dep", "dev", v1.id, None).unwrap().0.unwrap().id;
    let on = desk.infrastructure("dev");
    let change = |desk: &mut Desk, who: &str, changes: InfrastructureChanges| {
        desk.act(who, |view, _, _| {
            view.infrastructure(on)?.authorize::<UpdateInfrastructure>()?.update_infrastructure(changes)
        })
    };
    let stricter = |expected_revision| InfrastructureChanges {
        expected_revision,
        policy: Some(Policy::Prevent),
        ..Default::default()
    };
    assert_eq!(code(change(&mut desk, "dep", stricter(1))), "Forbidden(\"the grant ADMINISTER\")");
    assert_eq!(code(change(&mut desk, "admin", stricter(2))), "REVISION_CONFLICT");
    let (_, told) = change(&mut desk, "admin", stricter(1)).unwrap();
    assert_eq!(told, ["infrastructure_updated", "health_changed by Consequence"]);
    assert_eq!(health(&desk, id).0, Health::Error);
    let taken = InfrastructureChanges { slug: Some(countersign::domain::text::Slug::new("prod")), ..stricter(2) };
    assert_eq!(code(change(&mut desk, "admin", taken)), "ALREADY_EXISTS");
}
