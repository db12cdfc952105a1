//! Fixtures resolve, found what they say, and name file and place where they do not.

use countersign::{
    app::fixture::{
        ACME, Administrator, Fixture, FixtureError, GLOBEX, Makers, Organisation, Resolved, resolve, standard_founding,
    },
    domain::{
        access::{Principal, Stopped, SystemActor, View, Viewer},
        founding::{Founding, found},
        id::{Ids, TenantId},
        identity::Scope,
        policy::Permission,
        state::{Landed, State},
        template::{FieldShape, ItemType},
        text::{Name, Slug},
        time::Timestamp,
    },
};
use insta::assert_snapshot;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU8, AtomicU64, Ordering},
};
use uuid::Uuid;

pub(crate) const NOW: Timestamp = Timestamp::from_milliseconds(1_795_305_600_000);

#[derive(Default)]
pub(crate) struct Counted(pub(crate) AtomicU64);

impl Ids for Counted {
    fn next(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed)) + 1)
    }
}

fn with_makers<T>(make: impl FnOnce(Makers<'_>) -> T) -> T {
    let (ids, secrets) = (Counted::default(), AtomicU8::new(1));
    let secret = || [secrets.fetch_add(1, Ordering::Relaxed); 32];
    make(Makers { ids: &ids, secret: &secret, now: NOW })
}

pub(crate) fn resolved(fixture: Fixture) -> Resolved {
    with_makers(|makers| resolve(fixture.file, fixture.text, makers)).unwrap()
}

/// Acme with one piece of its text replaced, and what is wrong with that.
fn mistake(right: &str, wrong: &str) -> FixtureError {
    assert!(ACME.text.contains(right), "{right} does not stand in {}", ACME.file);
    let text = ACME.text.replacen(right, wrong, 1);
    with_makers(|makers| resolve(ACME.file, &text, makers)).unwrap_err()
}

pub(crate) fn founder(tenant: TenantId) -> Viewer {
    Viewer::verified(tenant, Principal::System(SystemActor::Founding))
}

pub(crate) fn land(state: &mut State, founding: Founding) -> Result<Landed, Stopped> {
    let viewer = founder(state.tenant_id());
    let change = found(View::new(state, &viewer), founding)?;
    Ok(change.land(state).map_err(|_| "overtaken").unwrap().0)
}

pub(crate) fn founded(fixture: Fixture) -> (State, Landed, Resolved) {
    let resolved = resolved(fixture);
    let mut state = State::empty(resolved.founding.tenant.id);
    let landed = land(&mut state, resolved.founding.clone()).unwrap();
    (state, landed, resolved)
}

pub(crate) fn viewer(resolved: &Resolved, handle: &str) -> Viewer {
    let user = resolved.credentials.users.iter().find(|user| user.handle == handle).unwrap();
    Viewer::verified(resolved.founding.tenant.id, Principal::User(user.id))
}

pub(crate) fn counts(state: &State) -> String {
    let counts = state.counts();
    let present = counts.iter().filter(|(_, count)| *count > 0);
    present.map(|(kind, count)| format!("{kind:?} {count}")).collect::<Vec<_>>().join("\n")
}

fn told(landed: &Landed) -> Vec<String> {
    let kinds = landed.events.iter().map(|event| format!("{:?}", event.kind));
    kinds.map(|kind| kind.split([' ', '{']).next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_founded_state_has_what_the_files_say() {
    let (state, landed, resolved) = founded(ACME);
    assert_snapshot!(counts(&state), @r#"
    Tenant 1
    User 11
    Group 5
    Role 8
    AssignmentRule 31
    Grants 4
    SourceNode 3
    ApiKey 3
    Template 7
    InstanceRules 1
    Infrastructure 3
    "#);
    assert_eq!(landed.writes.len(), state.counts().iter().map(|(_, count)| count).sum::<usize>());
    let mut told = told(&landed);
    told.dedup();
    assert_snapshot!(told.join("\n"), @r#"
    TenantFounded
    UserCreated
    GroupCreated
    TemplateCreated
    AccessConfigured
    SourceNodeCreated
    ApiKeyCreated
    InfrastructureCreated
    InstanceRulesChanged
    "#);
    let tenant = state.tenant().unwrap();
    assert_eq!((tenant.slug.as_str(), tenant.created_at), ("acme", NOW));
    assert_eq!(resolved.credentials.users.len(), 11);
    assert!(resolved.founding.users.iter().all(|user| user.password_hash.is_none()));
}

#[test]
fn both_tenants_have_the_same_names_inside() {
    let (acme, globex) = (resolved(ACME), resolved(GLOBEX));
    let handles = |resolved: &Resolved| {
        let users = resolved.credentials.users.iter().map(|user| user.handle.clone());
        users.chain(resolved.credentials.keys.iter().map(|key| key.handle.clone())).collect::<Vec<_>>()
    };
    assert_eq!(handles(&acme), handles(&globex));
    let (acme, globex) = (founded(ACME).0, founded(GLOBEX).0);
    assert_eq!(acme.counts(), globex.counts());
}

#[test]
fn keys_get_secrets_that_only_the_credentials_hold() {
    let resolved = resolved(ACME);
    let mut secrets = BTreeSet::new();
    for made in &resolved.credentials.keys {
        let key = resolved.founding.api_keys.iter().find(|key| key.id == made.id).unwrap();
        let hash: [u8; 32] = Sha256::digest(made.secret).into();
        assert_eq!(key.secret_hash, hash);
        assert_ne!(key.secret_hash, made.secret);
        assert!(secrets.insert(made.secret), "two keys share a secret");
        assert!(!format!("{made:?}").contains("secret"), "{made:?}");
    }
    let scopes = resolved.founding.api_keys.iter().map(|key| (key.name.to_string(), key.scopes.clone()));
    let node = BTreeSet::from([Scope::Sync, Scope::ReadStatus]);
    let deployer = BTreeSet::from([Scope::Deploy, Scope::CheckDeployment, Scope::ReadStatus]);
    let names = ["Sync of design-1", "Sync of auto-1", "Deployer"].map(str::to_owned);
    assert_eq!(scopes.collect::<Vec<_>>(), names.into_iter().zip([node.clone(), node, deployer]).collect::<Vec<_>>());
}

#[test]
fn standard_is_the_specified_one() {
    let resolved = resolved(ACME);
    let mut rows = vec![];
    for template in resolved.founding.templates.iter().filter(|template| template.name.as_str() == "Standard") {
        rows.push(format!("{}", template.item_type));
        for step in &template.steps {
            let sign_off = step.sign_off.as_ref().map(|sign_off| {
                let groups = sign_off
                    .feedback_groups
                    .iter()
                    .map(|group| format!("{} {:?}", group.label, group.members.project_fields));
                let approvers = &sign_off.approvers.project_fields;
                format!(
                    "; mandatory {}: {}; approvers {approvers:?}",
                    sign_off.mandatory,
                    groups.collect::<Vec<_>>().join(", ")
                )
            });
            rows.push(format!("  {} {}{}", step.key, step.label, sign_off.unwrap_or_default()));
        }
        rows.push(format!("  fields: {}", template.fields.len()));
        for field in template.fields.iter().filter(|field| field.assigns_roles) {
            rows.push(format!("  {} gives roles", field.key));
        }
        for field in &template.fields {
            if let FieldShape::Score { from, scores } = &field.shape {
                rows.push(format!("  {} from {from}: {scores:?}", field.key));
            }
        }
    }
    assert_snapshot!(rows.join("\n"), @r#"
    business initiative
      ideation Ideation
      progress In progress
      decision Decision
      fields: 15
      owners gives roles
    governed project
      exploration Exploration
      qualification Qualification
      progress In progress
      rollout Validation and roll-out
      delivery Delivered
      fields: 36
      owners gives roles
      reviewers_business gives roles
      reviewers_it_operations gives roles
      reviewers_risk_compliance gives roles
      final_approvers gives roles
      value_score from value_rating: {"High": 80, "Low": 20, "Medium high": 60, "Medium low": 40}
      risk_score from risk_rating: {"High": 20, "Low": 80, "Medium high": 40, "Medium low": 60}
    governed bundle
      review Review; mandatory true: Business [FieldKey(reviewers_business)], IT & Operations [FieldKey(reviewers_it_operations)], Risk & Compliance [FieldKey(reviewers_risk_compliance)]; approvers [FieldKey(final_approvers)]
      signed_off Signed-off
      production Production
      fields: 1
    governed model
      fields: 1
    governed model version
      development Development
      review Review; mandatory true: Business [FieldKey(reviewers_business)], IT & Operations [FieldKey(reviewers_it_operations)], Risk & Compliance [FieldKey(reviewers_risk_compliance)]; approvers [FieldKey(final_approvers)]
      signed_off Signed-off
      production Production
      fields: 1
    "#);
}

#[test]
fn a_new_organisation_has_standard_and_one_administrator() {
    let name = |name: &str| Name::parse("name", name).unwrap();
    let organisation = Organisation { slug: Slug::new("default"), name: name("Default") };
    let someone = |email: &str| Administrator { name: name("Someone"), email: email.to_owned() };
    let new = |email: &str| with_makers(|makers| standard_founding(organisation.clone(), someone(email), makers));
    let resolved = new("someone@default.example").unwrap();
    let mut state = State::empty(resolved.founding.tenant.id);
    land(&mut state, resolved.founding.clone()).unwrap();
    assert_snapshot!(counts(&state), @r#"
    Tenant 1
    User 1
    Role 8
    AssignmentRule 6
    Grants 4
    Template 5
    "#);
    let viewer = viewer(&resolved, "administrator");
    assert!(View::new(&state, &viewer).caller().unwrap().administers());
    assert_snapshot!(new("Someone").unwrap_err(), @"the new organisation default: The value at users.0.email is not an e-mail address.");
}

#[test]
fn a_mistake_is_named_with_file_and_place() {
    // A handle that nothing has.
    assert_snapshot!(mistake(r#"["ann", "solo"]"#, r#"["anne", "solo"]"#), @r#"fixtures/acme.json, groups.0.members.0: there is no person "anne"; there are: admin, ann, aud, bea, con, dep, eve, fin, gm, rita, solo"#);
    assert_snapshot!(mistake(r#""role": "reader""#, r#""role": "raeder""#), @r#"fixtures/acme.json, assignment_rules.1.role: there is no role "raeder"; there are: auditor, business_reviewer, contributor, final_approver, it_operations_reviewer, project_manager, reader, risk_compliance_reviewer"#);
    assert_snapshot!(mistake(r#""groups": ["auditors"]"#, r#""groups": ["auditor"]"#), @r#"fixtures/acme.json, assignment_rules.2.groups.0: there is no group "auditor"; there are: auditors, builders, contributors, deployers, readers"#);
    assert_snapshot!(mistake(r#""groups": ["readers"]"#, r#""fields": ["owner"]"#).to_string().split(';').next().unwrap(), @r#"fixtures/acme.json, assignment_rules.3.fields.0: there is no field "owner""#);
    assert_snapshot!(mistake(r#""node": "auto-1""#, r#""node": "auto-2""#), @r#"fixtures/acme.json, api_keys.1.node: there is no source node "auto-2"; there are: auto-1, deployer-1, design-1"#);
    assert_snapshot!(mistake(r#"{"deployers": ["deploy"]"#, r#"{"deployer": ["deploy"]"#), @r#"fixtures/acme.json, infrastructures.0.grants.deployer: there is no group "deployer"; there are: auditors, builders, contributors, deployers, readers"#);
    // A field of a step that the template does not have, though another one does.
    assert_snapshot!(mistake(r#""fields": ["legal_notes"]"#, r#""fields": ["countries"]"#), @"fixtures/acme.json: The template Next standard has no field at templates.1.steps.legal.fields.countries.");
    // A handle for two things.
    assert_snapshot!(mistake(r#""handle": "solo""#, r#""handle": "ann""#), @r#"fixtures/acme.json, users.7: the person "ann" stands there twice"#);
    // Words that the format does not have; a password is one of them.
    assert_snapshot!(mistake(r#""slug": "acme""#, r#""slug": "acme", "password": "x""#), @"fixtures/acme.json: unknown field `password`, expected one of `slug`, `name`, `settings` at line 3 column 39");
    assert_snapshot!(mistake(r#""standing": "administrator""#, r#""standing": "king""#), @"fixtures/acme.json: unknown variant `king`, expected one of `member`, `governance_manager`, `administrator`, `platform_operator` at line 5 column 94");
    assert_snapshot!(mistake(r#"  "about": "The organisation"#, r#"  "abuot": "The organisation"#), @"fixtures/acme.json: unknown field `abuot`, expected one of `about`, `tenant`, `users`, `groups`, `assignment_rules`, `templates`, `source_nodes`, `api_keys`, `infrastructures`, `instance_rules` at line 2 column 9");
}

#[test]
fn a_fixture_keeps_the_rules_of_the_domain() {
    assert_snapshot!(mistake(r#""name": "Eve Outsider""#, r#""name": " ""#), @"fixtures/acme.json: The name at users.6.name is empty.");
    assert_snapshot!(mistake(r#""standing": "administrator""#, r#""standing": "member""#), @"fixtures/acme.json: The tenant would be left without an administrator.");
    assert_snapshot!(mistake("eve@acme.example", "ann@acme.example"), @"fixtures/acme.json: A user called ann@acme.example exists already.");
    assert_snapshot!(mistake(r#""name": "Deployers""#, r#""name": "Builders""#), @"fixtures/acme.json: A group called Builders exists already.");
    assert_snapshot!(mistake(r#""node": "deployer-1", "#, ""), @"fixtures/acme.json, api_keys.2: a key names either its node or its user");
    assert_snapshot!(mistake(r#""node": "design-1""#, r#""user": "ann""#), @"fixtures/acme.json: The scopes at api_keys.0.scopes belong to a source node, and the key names none.");
    assert_snapshot!(mistake(r#""project": "nothing""#, r#""project": {"govern": "next_standard"}"#), @"fixtures/acme.json: The template Next standard is not active.");
    assert_snapshot!(mistake(r#""bundle": "nothing""#, r#""bundle": {"govern": "standard_governed_model"}"#), @"fixtures/acme.json: The template Standard defines a governed model; a governed bundle is needed.");
    assert_snapshot!(mistake(r#""shape": "person""#, r#""shape": "text""#), @"fixtures/acme.json: The value at templates.0.fields.owners must be a user or group, but is text.");
    let (plain, score) = (r#""shape": "text"}"#, r#""shape": {"score": {"from": "owners", "scores": {}}}}"#);
    assert_snapshot!(mistake(plain, score), @"fixtures/acme.json: The value at templates.0.fields.description.owners must be a category, but is a user or group.");
}

#[test]
fn contributors_read_the_fields_that_give_roles_and_do_not_write_them() {
    let resolved = resolved(ACME);
    let role = |slug: &str| resolved.founding.roles.iter().find(|role| role.slug.as_str() == slug).unwrap().id;
    let defaults = resolved.founding.grants.iter().find(|grants| grants.item_type.is_none()).unwrap();
    let contributor = &defaults.roles[&role("contributor")];
    let projects = resolved.founding.templates.iter().find(|one| one.item_type == ItemType::GovernedProject).unwrap();
    let giving = projects.fields.iter().filter(|field| field.assigns_roles).map(|field| &field.key);
    assert_eq!(giving.collect::<BTreeSet<_>>(), contributor.field_exceptions.keys().collect());
    assert!(contributor.field_exceptions.values().all(|exception| exception.read && !exception.write));
    assert!(!contributor.on_items.contains(&Permission::Create) && !contributor.on_items.contains(&Permission::Assign));
    let auditors: Vec<_> = resolved.founding.roles.iter().filter(|role| role.audits).map(|role| role.id).collect();
    assert_eq!(auditors, [role("auditor")]);
}
