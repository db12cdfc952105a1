//! The main job, row by row: from an empty organisation to an approved bundle in production, refusals included.
//! Each refusal is asserted by its code and by "nothing changed".

use super::{
    client::{Answer, Caller},
    operations::{digest, steps},
    world::{World, fields},
};
use serde_json::{Value, json};
use std::time::Duration;

/// Who plays which part: in the tutorial one person plays all.
#[derive(Clone, Copy)]
struct Cast {
    builder: &'static str,
    reviewer: &'static str,
    approver: &'static str,
    deployer: &'static str,
}

const COMPANY: Cast = Cast { builder: "ann", reviewer: "bea", approver: "fin", deployer: "dep" };
const SOLO: Cast = Cast { builder: "solo", reviewer: "solo", approver: "solo", deployer: "solo" };

/// The ids that the story picks up on its way.
#[derive(Default)]
struct Story {
    project: String,
    source: String,
    v1: Bundle,
    v2: Bundle,
    cursor: String,
}

#[derive(Clone, Default)]
struct Bundle {
    item: String,
    source: String,
    sign_off: String,
}

/// Asserts that an operation is refused with a code and leaves the item as it was.
#[track_caller]
fn unchanged(answer: &Answer, code: &str, before: &Value, after: &Value) {
    answer.refused(code);
    assert_eq!(before, after, "{} was refused with {code} and left a trace", answer.who);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_company() {
    let mut world = World::new().await;
    let story = tell(&mut world, COMPANY).await;
    everything_is_foreign_at_globex(&world, &story).await;
    the_auditor_reads_one_ordered_history(&world).await;
    the_end(&mut world, &story).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_restart_between_any_two_steps() {
    let mut world = World::restarting().await;
    let story = tell(&mut world, COMPANY).await;
    the_auditor_reads_one_ordered_history(&world).await;
    the_end(&mut world, &story).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_in_every_hat() {
    let mut world = World::new().await;
    tell(&mut world, SOLO).await;
    world.end().await;
}

/// Rows 1 to 33, in their order.
async fn tell(world: &mut World, cast: Cast) -> Story {
    let mut story = Story::default();
    a_project_is_described_and_qualified(world, cast, &mut story).await;
    world.between().await;
    a_node_reports_and_the_project_is_governed(world, cast, &mut story).await;
    world.between().await;
    the_first_version_is_reviewed_and_rejected(world, cast, &mut story).await;
    world.between().await;
    the_second_version_is_approved(world, cast, &mut story).await;
    world.between().await;
    deployments_ask_first(world, cast, &story).await;
    world.between().await;
    the_project_goes_into_production(world, cast, &story).await;
    story
}

/// Rows 2 to 6.
async fn a_project_is_described_and_qualified(world: &mut World, cast: Cast, story: &mut Story) {
    let builder = world.acme(cast.builder);
    world.between().await;

    // 2: only the active Standard.
    let templates = builder.templates("GOVERNED_PROJECT").await.at("/templates/nodes");
    let names: Vec<_> = templates.as_array().unwrap().iter().map(|found| found["name"].clone()).collect();
    assert_eq!(names, ["Standard"], "drafts and archived templates are absent");
    let template = templates[0]["id"].as_str().unwrap();

    // 3: created with nothing started, followed by its maker.
    world.eve().create_project(template, "AN Governance Lifecycle").await.refused("FORBIDDEN");
    builder.create_project(template, "  ").await.refused("NAME_EMPTY");
    builder
        .create_project(&world.admin_template("Old standard", "ARCHIVED").await, "Late")
        .await
        .refused("UNKNOWN_OBJECT");
    assert_eq!(builder.registry("governedProjects", Value::Null).await, Vec::<Value>::new(), "nothing was created");
    let created = builder.create_project(template, "AN Governance Lifecycle").await;
    story.project = created.text("/createGovernedProject/item/id");
    assert_eq!(
        steps(&created, "/createGovernedProject/item/steps"),
        ["exploration", "qualification", "progress", "rollout", "delivery"]
            .map(|key| (key.to_owned(), "NOT_STARTED".to_owned()))
    );
    assert_eq!(created.at("/createGovernedProject/item/followed"), true);
    world.between().await;
    // 4: no source object yet.
    assert_eq!(created.at("/createGovernedProject/item/sourceObjects"), json!([]));
    world.between().await;

    // 5: reviewers and approvers.
    let builder = world.acme(cast.builder);
    let (reviewer, approver) = (world.user(cast.reviewer).await, world.user(cast.approver).await);
    let people =
        |users: &[&str]| json!({ "people": users.iter().map(|user| json!({ "user": user })).collect::<Vec<_>>() });
    let set = |revision: i64, fields: Value| json!({ "itemId": story.project, "expectedRevision": revision, "fields": fields });
    let reviewers = json!([
        { "key": "reviewers_business", "value": people(&[&reviewer]) },
        { "key": "final_approvers", "value": people(&[&approver]) },
    ]);
    let before = builder.whole(&story.project).await;
    for (input, code) in [
        (set(1, json!([{ "key": "no_such_field", "value": { "text": "x" } }])), "UNKNOWN_FIELD"),
        (set(1, json!([{ "key": "reviewers_business", "value": { "person": { "user": reviewer } } }])), "WRONG_SHAPE"),
        (set(7, reviewers.clone()), "REVISION_CONFLICT"),
        (set(1, json!([{ "key": "technical_dimension", "value": { "category": "Magic" } }])), "UNKNOWN_CATEGORY"),
    ] {
        unchanged(&builder.update_item(input).await, code, &before, &builder.whole(&story.project).await);
    }
    world.eve().update_item(set(1, reviewers.clone())).await.refused("NOT_FOUND");
    world.acme("rita").update_item(set(1, reviewers.clone())).await.refused("FORBIDDEN");
    assert_eq!(before, builder.whole(&story.project).await, "nothing of any refusal landed");
    let saved = builder.update_item(set(1, reviewers)).await;
    assert_eq!(saved.number("/updateItem/item/revision"), 2);
    world.between().await;

    // 6: one save, or nothing of it.
    let builder = world.acme(cast.builder);
    let save = |decision: &str, moves: Value| {
        json!({ "itemId": story.project, "expectedRevision": 2, "steps": moves, "fields": [
            { "key": "exploration_notes", "value": { "text": "Churn costs us 3 % a month." } },
            { "key": "risk_rating", "value": { "category": "Low" } },
            { "key": "value_rating", "value": { "category": "High" } },
            { "key": "qualification_decision", "value": { "category": decision } },
        ] })
    };
    let step = |step: &str, to: &str| json!({ "step": step, "move": to });
    let through = json!([step("exploration", "START"), step("exploration", "FINISH"), step("qualification", "FINISH")]);
    let before = builder.whole(&story.project).await;
    for (input, code) in [
        (save("Maybe", through.clone()), "UNKNOWN_CATEGORY"),
        (save("Go", json!([step("qualification", "START")])), "STEP_OUT_OF_ORDER"),
        (save("Go", json!([step("exploration", "START"), step("qualification", "START")])), "STEP_ALREADY_ONGOING"),
        (
            save(
                "Go",
                json!([step("exploration", "START"), step("exploration", "FINISH"), step("delivery", "FINISH")]),
            ),
            "STEP_NOT_ONGOING",
        ),
        (save("Go", json!([step("no_such_step", "START")])), "UNKNOWN_STEP"),
    ] {
        unchanged(&builder.update_item(input).await, code, &before, &builder.whole(&story.project).await);
    }
    let saved = builder.update_item(save("Go", through)).await;
    let statuses = steps(&saved, "/updateItem/item/steps").into_iter().map(|(_, status)| status).collect::<Vec<_>>();
    assert_eq!(statuses, ["FINISHED", "FINISHED", "ONGOING", "NOT_STARTED", "NOT_STARTED"]);
    let values = fields(&saved.at("/updateItem/item"));
    assert_eq!(values["risk_score"]["integer"], 80);
    assert_eq!(values["value_score"]["integer"], 80);
}

/// Rows 7 to 11.
async fn a_node_reports_and_the_project_is_governed(world: &mut World, cast: Cast, story: &mut Story) {
    // 7: reported, ungoverned, in the inbox; again the same object.
    let node = world.design_1();
    let project = json!([{ "kind": "PROJECT", "key": "GOVLIFE", "name": "Govern lifecycle" }]);
    world.acme(cast.builder).sync(project.clone()).await.refused("FORBIDDEN");
    let first = node.sync(project.clone()).await.text("/syncSourceObjects/results/0/sourceObject/id");
    let again = node.sync(project).await.text("/syncSourceObjects/results/0/sourceObject/id");
    assert_eq!(first, again, "the same object");
    story.source = first;
    let builder = world.acme(cast.builder);
    let inbox = builder.ask("{ governableItems { nodes { id key } totalCount { count isMore } } }", json!({})).await;
    assert_eq!(inbox.at("/governableItems/nodes"), json!([{ "id": story.source, "key": "GOVLIFE" }]));
    assert_eq!(inbox.number("/governableItems/totalCount/count"), 1);
    world.between().await;

    // 8: governed into the project, with Standard for existing and future children.
    let builder = world.acme(cast.builder);
    let (bundles, models, versions) = (
        world.template("GOVERNED_BUNDLE").await,
        world.template("GOVERNED_MODEL").await,
        world.template("GOVERNED_MODEL_VERSION").await,
    );
    let rule = |kind: &str, template: &str| json!({ "kind": kind, "action": "GOVERN", "templateId": template });
    let govern = |template: &str| {
        json!({ "sourceObjectId": story.source, "itemId": story.project, "templateId": template,
            "existingChildren": [{ "kind": "BUNDLE", "templateId": bundles }],
            "futureChildren": [rule("BUNDLE", &bundles), rule("SAVED_MODEL", &models), rule("MODEL_VERSION", &versions)] })
    };
    let standard = world.template("GOVERNED_PROJECT").await;
    builder.govern(govern(&bundles)).await.refused("WRONG_TEMPLATE_TYPE");
    world.eve().govern(govern(&standard)).await.refused("NOT_FOUND");
    assert_eq!(world.design_1().status("PROJECT", "GOVLIFE").await["governanceStatus"], "UNGOVERNED");
    let governed = builder.govern(govern(&standard)).await;
    assert_eq!(governed.text("/governSourceObject/item/sourceObjects/0/key"), "GOVLIFE");
    builder.govern(govern(&standard)).await.refused("ALREADY_GOVERNED");
    assert_eq!(builder.registry("bundleRegistry", Value::Null).await, Vec::<Value>::new(), "no bundle yet");
    story.cursor = governed.text("/governSourceObject/cursor");
    world.between().await;

    // A bundle whose project nobody governs cannot be governed.
    let stray = json!([
        { "kind": "PROJECT", "key": "STRAY", "name": "Stray" },
        { "kind": "BUNDLE", "key": "stray-1", "name": "stray 1", "parentKey": "STRAY", "contentDigest": digest("stray") },
    ]);
    let reported = world.design_1().sync(stray).await;
    let stray = reported.text("/syncSourceObjects/results/1/sourceObject/id");
    let input = json!({ "sourceObjectId": stray, "templateId": bundles });
    world.acme(cast.builder).govern(input).await.refused("PARENT_NOT_GOVERNED");
    world.between().await;

    // 9 and 10: the first version is governed in the commit that reports it; followers hear it.
    story.v1 = report_bundle(world, cast, story, "v1").await;
    let events = "subscription($after: EventCursor) { events(after: $after, filter: { followed: true }) { cursor node { kind item { name } } } }";
    let mut follower = world.acme(cast.builder).subscribe(events, json!({ "after": story.cursor })).await;
    let heard = follower.rest().await;
    let created = heard.iter().filter(|edge| edge["node"]["kind"] == "ITEM_CREATED").collect::<Vec<_>>();
    assert_eq!(created.len(), 1, "{heard:#?}");
    assert_eq!(created[0]["node"]["item"]["name"], "v1");
    let status = world.design_1().status("BUNDLE", "v1").await;
    assert_eq!(
        (&status["governanceStatus"], &status["validationStatus"]),
        (&json!("GOVERNED"), &json!("NOT_VALIDATED"))
    );
    assert_eq!(status["deployments"], json!([]));
    world.between().await;

    // 11: found from the project and from the registry.
    let builder = world.acme(cast.builder);
    assert_eq!(builder.child(&story.project, "v1").await.as_ref(), Some(&story.v1.item));
    let registry = builder.registry("bundleRegistry", Value::Null).await;
    assert_eq!(registry.iter().map(|row| &row["id"]).collect::<Vec<_>>(), [&json!(story.v1.item)]);
}

/// A bundle of the project is reported; it is governed by itself.
async fn report_bundle(world: &World, cast: Cast, story: &Story, name: &str) -> Bundle {
    let bundle =
        json!([{ "kind": "BUNDLE", "key": name, "name": name, "parentKey": "GOVLIFE", "contentDigest": digest(name) }]);
    let reported = world.design_1().sync(bundle).await;
    assert_eq!(reported.text("/syncSourceObjects/results/0/sourceObject/validationStatus"), "NOT_VALIDATED");
    let builder = world.acme(cast.builder);
    let item = builder.child(&story.project, name).await.expect("governed in the same commit");
    Bundle {
        source: reported.text("/syncSourceObjects/results/0/sourceObject/id"),
        sign_off: builder.review_of(&item).await,
        item,
    }
}

const FEEDBACK_REQUESTS: &str = "subscription($after: EventCursor) { feedbackRequests(after: $after) {
    cursor node { signOff { id } item { name } requestedBy { name } } } }";
const REVIEW_REQUESTS: &str = "subscription($after: EventCursor) { reviewRequests(after: $after) {
    cursor node { kind signOff { id } } } }";

/// Rows 12 to 20.
async fn the_first_version_is_reviewed_and_rejected(world: &mut World, cast: Cast, story: &mut Story) {
    let v1 = story.v1.clone();
    let solo = cast.builder == cast.reviewer;
    let reviewer_id = world.user(cast.reviewer).await;
    let notify = json!([{ "group": "business", "users": [reviewer_id] }]);
    world.between().await;

    // 12 and 13: nothing is asked before Review has begun; without approval it does not end.
    let builder = world.acme(cast.builder);
    builder.request_feedback(&v1.sign_off, notify.clone()).await.refused("STEP_NOT_ONGOING");
    builder.step("startStep", &v1.item, "review").await.done();
    let before = builder.whole(&v1.item).await;
    let refused = builder.step("finishStep", &v1.item, "review").await;
    unchanged(&refused, "SIGN_OFF_NOT_APPROVED", &before, &builder.whole(&v1.item).await);
    world.between().await;

    // 14: whoever will be asked listens, and so do those who must not hear.
    let mut listeners = vec![];
    for outsider in [world.eve(), world.globex("bea"), world.globex("fin")] {
        listeners.push((outsider.clone(), outsider.subscribe(FEEDBACK_REQUESTS, json!({})).await));
    }
    let mut live = world.acme(cast.reviewer).subscribe(FEEDBACK_REQUESTS, json!({})).await;

    // 15: asked; heard once, within a second, by those notified; a name from outside is a warning.
    let sign_off = builder.sign_off(&v1.sign_off).await;
    let groups = sign_off.at("/node/feedbackGroups");
    let keys: Vec<_> = groups.as_array().unwrap().iter().map(|group| group["key"].clone()).collect();
    assert_eq!(keys, ["business", "it_operations", "risk_compliance"]);
    assert_eq!(groups[0]["reviewers"][0]["id"], reviewer_id);
    let eve = world.user("eve").await;
    let with_eve = json!([{ "group": "business", "users": [reviewer_id, eve] }]);
    builder
        .request_feedback(&v1.sign_off, json!([{ "group": "no_such_group" }]))
        .await
        .refused("UNKNOWN_FEEDBACK_GROUP");
    let asked = builder.request_feedback(&v1.sign_off, with_eve).await;
    assert_eq!(asked.text("/requestFeedback/signOff/status"), "WAITING_FOR_FEEDBACK");
    assert_eq!(asked.at("/requestFeedback/warnings").as_array().unwrap().len(), 1, "eve is outside the group");
    let heard = live.next(Duration::from_secs(1)).await.expect("heard within a second");
    assert_eq!(heard["node"]["signOff"]["id"], json!(v1.sign_off));
    assert_eq!(live.rest().await, Vec::<Value>::new(), "heard exactly once");
    for (outsider, mut listener) in listeners {
        assert_eq!(listener.rest().await, Vec::<Value>::new(), "{} hears nothing", outsider.name);
    }
    world.between().await;
    // Whoever was away and returns with an older cursor has it exactly once, too.
    let mut returned = world.acme(cast.reviewer).subscribe(FEEDBACK_REQUESTS, json!({ "after": story.cursor })).await;
    assert_eq!(returned.rest().await.len(), 1);
    let reviewer = world.acme(cast.reviewer);
    assert_eq!(reviewer.my_review_tasks().await.len(), 1);
    let builder = world.acme(cast.builder);
    builder.request_feedback(&v1.sign_off, notify).await.refused("FEEDBACK_ALREADY_REQUESTED");
    world.between().await;

    // 16 and 17: feedback from its group only; no decision before it was asked for.
    reviews_are_refused_to_outsiders(world, cast, &v1).await;
    world.acme(cast.approver).decide(&v1.sign_off, "APPROVED", "").await.refused("FINAL_APPROVAL_NOT_REQUESTED");
    let given = reviewer.submit_feedback(&v1.sign_off, "business", "APPROVED", "LGTM").await;
    assert_eq!(given.text("/submitFeedback/signOff/status"), "WAITING_FOR_FEEDBACK");
    assert_eq!(given.text("/submitFeedback/signOff/feedback/0/comment"), "LGTM");
    assert_eq!(reviewer.my_review_tasks().await, Vec::<Value>::new(), "the task is gone");
    world.between().await;

    // 18: the final approval is asked for; feedback only after the approver returned to it.
    let asked = world.acme(cast.builder).request_final_approval(&v1.sign_off).await;
    assert_eq!(asked.text("/requestFinalApproval/signOff/status"), "WAITING_FOR_APPROVAL");
    let mut approver_hears =
        world.acme(cast.approver).subscribe(REVIEW_REQUESTS, json!({ "after": story.cursor })).await;
    let approvals = approver_hears.rest().await;
    let approvals = approvals.iter().filter(|edge| edge["node"]["kind"] == "FINAL_APPROVAL").count();
    assert_eq!(approvals, 1, "heard once");
    let reviewer = world.acme(cast.reviewer);
    reviewer
        .submit_feedback(&v1.sign_off, "business", "MAJOR_ISSUE", "late")
        .await
        .refused("FINAL_APPROVAL_ALREADY_REQUESTED");
    let approver = world.acme(cast.approver);
    approver.return_to_feedback(&v1.sign_off).await.done();
    reviewer.submit_feedback(&v1.sign_off, "business", "MINOR_ISSUE", "One more thing").await.done();
    world.acme(cast.builder).request_final_approval(&v1.sign_off).await.done();
    world.between().await;

    // 19: rejected, and the source says so; nobody else decides, and nobody twice.
    if !solo {
        for outsider in [cast.reviewer, cast.builder, "admin"] {
            world.acme(outsider).decide(&v1.sign_off, "APPROVED", "").await.refused(match outsider {
                "nobody" => "NOT_FOUND",
                _ => "NOT_AN_APPROVER",
            });
        }
    }
    let approver = world.acme(cast.approver);
    let rejected = approver.decide(&v1.sign_off, "REJECTED", "Fails to meet requirements").await;
    assert_eq!(rejected.text("/decide/signOff/status"), "REJECTED");
    assert_eq!(world.design_1().status("BUNDLE", "v1").await["validationStatus"], "REJECTED");
    approver.decide(&v1.sign_off, "APPROVED", "").await.refused("ALREADY_DECIDED");
    world.between().await;

    // 20: a rejected step does not end.
    let refused = world.acme(cast.builder).step("finishStep", &v1.item, "review").await;
    refused.refused("SIGN_OFF_NOT_APPROVED");
    let message = refused.body.pointer("/data/finishStep/userErrors/0/message").unwrap().as_str().unwrap();
    assert!(message.contains("REJECTED"), "{message}");
}

/// Row 16's refusals.
async fn reviews_are_refused_to_outsiders(world: &World, cast: Cast, bundle: &Bundle) {
    let give = async |who: &Caller, group: &str| who.submit_feedback(&bundle.sign_off, group, "APPROVED", "").await;
    let before = world.acme(cast.builder).sign_off(&bundle.sign_off).await.body;
    if cast.builder != cast.reviewer {
        give(&world.acme(cast.builder), "business").await.refused("NOT_A_REVIEWER");
    }
    give(&world.acme(cast.reviewer), "risk_compliance").await.refused("NOT_A_REVIEWER");
    give(&world.eve(), "business").await.refused("NOT_FOUND");
    give(&world.admin(), "business").await.refused("NOT_A_REVIEWER");
    give(&world.stranger(), "business").await.refused("UNAUTHENTICATED");
    assert_eq!(before, world.acme(cast.builder).sign_off(&bundle.sign_off).await.body, "nothing was given");
}

/// Rows 21 to 25.
async fn the_second_version_is_approved(world: &mut World, cast: Cast, story: &mut Story) {
    // 21: a fresh sign-off, and the first version as it was.
    story.v2 = report_bundle(world, cast, story, "v2").await;
    let v2 = story.v2.clone();
    assert_eq!(world.design_1().status("BUNDLE", "v1").await["validationStatus"], "REJECTED");
    world.between().await;

    // 22: straight to the approval.
    let builder = world.acme(cast.builder);
    builder.step("startStep", &v2.item, "review").await.done();
    builder.request_feedback(&v2.sign_off, json!([{ "group": "business" }])).await.done();
    builder.request_final_approval(&v2.sign_off).await.done();
    world.between().await;

    // 23: approved, and the source says so in the same commit. Where duties are separated, not by the requester.
    let approver = world.acme(cast.approver);
    if cast.builder == cast.approver {
        world.requester_may_not_approve(true).await;
        approver.decide(&v2.sign_off, "APPROVED", "").await.refused("SEPARATION_OF_DUTIES");
        world.requester_may_not_approve(false).await;
    }
    let approved = approver.decide(&v2.sign_off, "APPROVED", "Well done").await;
    assert_eq!(approved.text("/decide/signOff/status"), "APPROVED");
    assert_eq!(approved.text("/decide/signOff/finalReview/contentDigest"), digest("v2"));
    assert_eq!(world.design_1().status("BUNDLE", "v2").await["validationStatus"], "APPROVED");
    world.between().await;

    // 24 and 25: Review ends, and the node sees where it stands.
    let finished = world.acme(cast.builder).step("finishStep", &v2.item, "review").await;
    let statuses = steps(&finished, "/finishStep/item/steps").into_iter().map(|(_, status)| status).collect::<Vec<_>>();
    assert_eq!(statuses, ["FINISHED", "ONGOING", "NOT_STARTED"]);
    let status = world.design_1().status("BUNDLE", "v2").await;
    assert_eq!((&status["validationStatus"], &status["currentStep"]), (&json!("APPROVED"), &json!("signed_off")));
}

/// Rows 26 to 31.
async fn deployments_ask_first(world: &mut World, cast: Cast, story: &Story) {
    let (v1, v2) = (&story.v1, &story.v2);
    world.between().await;
    // 26: published, and nothing deployed.
    let deployer = world.acme(cast.deployer);
    let dev = world.infrastructure("dev").await;
    deployer.create_deployment(&dev, &v1.source, None).await.refused("NOT_PUBLISHED");
    for bundle in [v2, v1] {
        let published = deployer.publish(&bundle.source).await;
        assert_eq!(published.at("/publishSourceObject/sourceObject/deployments"), json!([]));
    }
    world.between().await;

    // 27: three infrastructures, which deployers may not change.
    let deployer = world.acme(cast.deployer);
    let seen = deployer.infrastructures().await;
    let policies: Vec<_> =
        seen.iter().map(|found| (found["slug"].as_str().unwrap(), found["policy"].as_str().unwrap())).collect();
    assert_eq!(policies, [("dev", "NO_CHECK"), ("test", "WARN"), ("prod", "PREVENT")]);
    let change =
        "mutation($input: UpdateInfrastructureInput!) { updateInfrastructure(input: $input) { userErrors { code } } }";
    let input = json!({ "infrastructureId": seen[2]["id"], "expectedRevision": 1, "policy": "NO_CHECK" });
    deployer.ask(change, json!({ "input": input })).await.refused("FORBIDDEN");
    world.between().await;

    // 28: the rejected version: allowed, warned about, prevented.
    let [dev, test, prod] = [&seen[0], &seen[1], &seen[2]].map(|found| found["id"].as_str().unwrap().to_owned());
    let created = deployer.create_deployment(&dev, &v1.source, None).await;
    let deployed = deployer.deploy(&created.text("/createDeployment/deployment/id"), None).await;
    assert_eq!(deployed.text("/deploy/deployment/status"), "ACTIVE");
    assert_eq!(deployed.text("/deploy/deployment/health"), "NO_STATUS");
    let before = deployer.deployments().await;
    deployer.create_deployment(&test, &v1.source, None).await.refused("GOVERNANCE_WARNING");
    deployer.create_deployment(&test, &v1.source, Some("  ")).await.refused("REASON_MISSING");
    assert_eq!(before, deployer.deployments().await, "a warning creates nothing");
    let created = deployer.create_deployment(&test, &v1.source, Some("Load test over the weekend")).await;
    let deployed = deployer.deploy(&created.text("/createDeployment/deployment/id"), None).await;
    assert_eq!(deployed.text("/deploy/deployment/health"), "WARNING");
    assert_eq!(deployed.text("/deploy/deployment/confirmation/reason"), "Load test over the weekend");
    let before = deployer.deployments().await;
    for confirmation in [None, Some("We are in a hurry")] {
        let prevented = deployer.create_deployment(&prod, &v1.source, confirmation).await;
        prevented.refused("GOVERNANCE_PREVENTED");
        let message = prevented.body.pointer("/data/createDeployment/userErrors/0/message").unwrap().as_str().unwrap();
        for named in ["v1", "review", "REJECTED"] {
            assert!(message.contains(named), "{named} is missing from: {message}");
        }
    }
    let stray = world.design_1().status("BUNDLE", "stray-1").await["id"].as_str().unwrap().to_owned();
    deployer.publish(&stray).await.done();
    deployer.create_deployment(&prod, &stray, None).await.refused("GOVERNANCE_PREVENTED");
    assert_eq!(before, deployer.deployments().await, "prevented deployments leave nothing behind");
    world.between().await;

    // 29 and 30: the approved version goes everywhere, and is healthy where somebody asks.
    let deployer = world.acme(cast.deployer);
    for (infrastructure, health) in [(&dev, "NO_STATUS"), (&test, "HEALTHY"), (&prod, "HEALTHY")] {
        let created = deployer.create_deployment(infrastructure, &v2.source, None).await;
        let deployed = deployer.deploy(&created.text("/createDeployment/deployment/id"), None).await;
        assert_eq!(deployed.text("/deploy/deployment/governanceHealth"), health);
    }
    world.between().await;
    // 29b: the automation node's copy joins the project, by its original's key.
    let copy = json!([{ "kind": "PROJECT", "key": "GOVLIFE_AUTO", "name": "Govern lifecycle (automation)",
        "original": { "node": "design-1", "key": "GOVLIFE" } }]);
    world.auto_1().sync(copy).await.done();
    let sources = world.acme(cast.builder).item(&story.project).await.at("/node/sourceObjects");
    assert_eq!(sources.as_array().unwrap().len(), 2, "{sources}");
    world.between().await;

    // 31: the registry of what is deployed.
    let rows = world.acme(cast.builder).registry("bundleRegistry", json!({ "hasDeployments": true })).await;
    let rows: Vec<_> =
        rows.iter().map(|row| (row["name"].as_str().unwrap(), row["deployments"].as_array().unwrap().len())).collect();
    assert_eq!(rows, [("v1", 2), ("v2", 3)]);
}

/// Rows 32 to 34.
async fn the_project_goes_into_production(world: &mut World, cast: Cast, story: &Story) {
    // 32: the deployment to production moved the bundle on.
    let builder = world.acme(cast.builder);
    let bundle = builder.item(&story.v2.item).await;
    assert_eq!(steps(&bundle, "/node/steps")[2], ("production".to_owned(), "ONGOING".to_owned()));
    world.between().await;
    // 33
    let finished = builder.step("finishStep", &story.project, "progress").await;
    assert_eq!(steps(&finished, "/finishStep/item/steps")[3], ("rollout".to_owned(), "ONGOING".to_owned()));
    world.between().await;

    // 34: the same for a saved model and its version.
    let model = json!([
        { "kind": "SAVED_MODEL", "key": "churn", "name": "Churn", "parentKey": "GOVLIFE" },
        { "kind": "MODEL_VERSION", "key": "churn-1", "name": "Churn v1", "parentKey": "churn", "contentDigest": digest("churn-1") },
    ]);
    world.design_1().sync(model).await.done();
    let builder = world.acme(cast.builder);
    let model = builder.child(&story.project, "Churn").await.expect("the model is governed by itself");
    let version = builder.child(&model, "Churn v1").await.expect("and its version");
    let sign_off = builder.review_of(&version).await;
    builder.step("startStep", &version, "development").await.done();
    builder.step("finishStep", &version, "development").await.done();
    builder.request_final_approval(&sign_off).await.done();
    world.acme(cast.approver).decide(&sign_off, "APPROVED", "").await.done();
    builder.step("finishStep", &version, "review").await.done();
    let status = world.design_1().status("MODEL_VERSION", "churn-1").await;
    assert_eq!((&status["validationStatus"], &status["currentStep"]), (&json!("APPROVED"), &json!("signed_off")));
    let deployer = world.acme(cast.deployer);
    let (source, prod) = (status["id"].as_str().unwrap(), world.infrastructure("prod").await);
    deployer.publish(source).await.done();
    let created = deployer.create_deployment(&prod, source, None).await;
    let deployed = deployer.deploy(&created.text("/createDeployment/deployment/id"), None).await;
    assert_eq!(deployed.text("/deploy/deployment/governanceHealth"), "HEALTHY");
    let registry = world.acme(cast.builder).registry("modelRegistry", json!({ "hasDeployments": true })).await;
    assert_eq!(registry.len(), 1);
}

/// Rows 35 and 36.
async fn the_end(world: &mut World, story: &Story) {
    let ann = world.ann();
    let preview = "query($id: ID!) { node(id: $id) { ... on GovernedItem { revision deletionPreview {
        items { name } sourceObjects { key } } } } }";
    world.bea().ask(preview, json!({ "id": story.project })).await.refused("FORBIDDEN");
    let shown = ann.ask(preview, json!({ "id": story.project })).await;
    let names = |at: &str, key: &str| {
        let rows = shown.at(at);
        let mut names: Vec<_> =
            rows.as_array().unwrap().iter().map(|row| row[key].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names("/node/deletionPreview/items", "name"), ["Churn", "Churn v1", "v1", "v2"]);
    assert_eq!(
        names("/node/deletionPreview/sourceObjects", "key"),
        ["GOVLIFE", "GOVLIFE_AUTO", "churn", "churn-1", "v1", "v2"]
    );
    let revision = shown.number("/node/revision");
    world.bea().delete_item(&story.project, "UNGOVERN_CHILDREN", revision).await.refused("FORBIDDEN");
    ann.delete_item(&story.project, "UNGOVERN_CHILDREN", revision - 1).await.refused("REVISION_CONFLICT");
    ann.delete_item(&story.project, "UNGOVERN_CHILDREN", revision).await.done();
    assert_eq!(ann.item(&story.project).await.at("/node/deleted"), true, "its end can be read");
    assert_eq!(ann.item(&story.v2.item).await.at("/node/archived"), true);
    assert_eq!(world.design_1().status("BUNDLE", "v2").await["governanceStatus"], "UNGOVERNED");
    ann.step("startStep", &story.v1.item, "review").await.refused("ITEM_ARCHIVED");
    world.between().await;

    // 36: the sources and deployments go, and going twice does no harm.
    for _ in 0..2 {
        world.design_1().delete_sources(json!([{ "kind": "PROJECT", "key": "GOVLIFE" }])).await.done();
    }
    assert!(!world.design_1().status("PROJECT", "GOVLIFE").await["archivedAt"].is_null());
    assert!(!world.design_1().status("BUNDLE", "v1").await["archivedAt"].is_null(), "and what is below it");
    let dep = world.dep();
    for deployment in dep.deployments().await {
        let id = deployment["id"].as_str().unwrap();
        dep.delete_deployment(id).await.refused("DEPLOYMENT_STATE");
        dep.disable_deployment(id).await.done();
        dep.delete_deployment(id).await.done();
        dep.delete_deployment(id).await.refused("NOT_FOUND");
    }
    assert_eq!(dep.deployments().await, Vec::<Value>::new());
}

/// Row 38: every id of Acme in the hands of Globex is as if it had never been.
async fn everything_is_foreign_at_globex(world: &World, story: &Story) {
    let nonsense = &story.project.chars().rev().collect::<String>();
    let globex = world.globex("ann");
    for id in [&story.project, &story.source, &story.v1.item, &story.v1.sign_off, &story.v1.source, &story.v2.item] {
        let (foreign, missing) = (globex.item(id).await, globex.item(nonsense).await);
        foreign.refused("NOT_FOUND");
        assert_eq!(foreign.body, missing.body, "a foreign id answers like a nonsense one");
    }
    globex.step("startStep", &story.v1.item, "review").await.refused("NOT_FOUND");
    globex.request_feedback(&story.v1.sign_off, json!([])).await.refused("NOT_FOUND");
    world.globex("fin").decide(&story.v1.sign_off, "APPROVED", "").await.refused("NOT_FOUND");
    globex.govern(json!({ "sourceObjectId": story.source })).await.refused("NOT_FOUND");
    world.globex("dep").publish(&story.v2.source).await.refused("NOT_FOUND");
    globex.delete_item(&story.project, "DELETE_CHILDREN", 1).await.refused("NOT_FOUND");
}

/// Row 40: one ordered history of it all.
async fn the_auditor_reads_one_ordered_history(world: &World) {
    let query = "query($after: EventCursor) { events(after: $after, first: 100) {
        edges { cursor node { kind at actor { name } } } pageInfo { hasNextPage endCursor } } }";
    let (mut kinds, mut after, mut cursors) = (vec![], Value::Null, vec![]);
    loop {
        let page = world.aud().ask(query, json!({ "after": after })).await;
        for edge in page.at("/events/edges").as_array().unwrap() {
            kinds.push(edge["node"]["kind"].as_str().unwrap().to_owned());
            cursors.push(edge["cursor"].as_str().unwrap().to_owned());
        }
        if page.at("/events/pageInfo/hasNextPage") == false {
            break;
        }
        after = page.at("/events/pageInfo/endCursor");
    }
    let distinct: std::collections::BTreeSet<_> = cursors.iter().collect();
    assert_eq!(distinct.len(), cursors.len(), "each entry stands once");
    let position =
        |kind: &str| kinds.iter().position(|found| found == kind).unwrap_or_else(|| panic!("no {kind} in {kinds:?}"));
    let order = [
        "ITEM_CREATED",
        "FIELD_CHANGED",
        "STEP_STARTED",
        "SOURCE_OBJECT_REPORTED",
        "SOURCE_OBJECT_GOVERNED",
        "FEEDBACK_REQUESTED",
        "FEEDBACK_SUBMITTED",
        "FINAL_APPROVAL_REQUESTED",
        "DECIDED",
        "SOURCE_OBJECT_PUBLISHED",
        "DEPLOYMENT_CREATED",
        "DEPLOYED",
        "WARNING_CONFIRMED",
        "DEPLOYMENT_REFUSED",
    ];
    let mut last = 0;
    for kind in &order[..11] {
        assert!(position(kind) >= last, "{kind} stands too early in {kinds:?}");
        last = position(kind);
    }
    for kind in order {
        position(kind);
    }
    let eve = world.eve().ask(query, json!({})).await.at("/events/edges");
    for edge in eve.as_array().unwrap() {
        let kind = edge["node"]["kind"].as_str().unwrap();
        assert!(
            ["USER_CREATED", "SIGNED_IN", "TEMPLATE_CREATED"].contains(&kind),
            "eve reads of more than herself and the active templates: {edge}"
        );
    }
}
