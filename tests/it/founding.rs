//! Founding: once, by the server alone, whole or not at all; and what the fixtures' people may do then.

use crate::fixture::{Counted, NOW, founded, founder, land, resolved, viewer};
use countersign::{
    app::fixture::{ACME, GLOBEX},
    domain::{
        access::{Denied, Principal, Stopped, SystemActor, View, Viewer},
        action::{
            CreateBusinessInitiative, CreateGovernedProject, CreateTenant, DeleteItem, ReadItem, ReadTemplate,
            UpdateItem,
        },
        event::EventKind,
        field::{FieldChange, FieldValue, Person},
        founding::{Founding, found},
        id::{GroupId, TenantId, UserId},
        item::{NewItem, Save},
        policy::RuleActor,
        record::Kind,
        refusal::Refusal,
        state::State,
        template::{ItemType, TemplateStatus},
        tenant::{Quota, TenantEntry, TenantStatus},
        text::{Name, Slug, Text},
    },
};
use insta::assert_snapshot;
use std::{collections::BTreeSet, sync::atomic::AtomicU64};
use uuid::Uuid;

#[test]
fn access_is_told_once_and_everything_else_by_itself() {
    let (state, landed, _) = founded(ACME);
    let access = [Kind::Role, Kind::AssignmentRule, Kind::Grants];
    let others = state.counts().into_iter().filter(|(kind, _)| !access.contains(kind)).map(|(_, count)| count);
    assert_eq!(landed.events.len(), others.sum::<usize>() + 1);
    let configured = landed.events.iter().filter(|event| matches!(event.kind, EventKind::AccessConfigured {}));
    assert_eq!(configured.count(), 1);
}

#[test]
fn who_may_begin_something_follows_from_the_groups() {
    let (state, _, resolved) = founded(ACME);
    let mut rows = vec![];
    for user in &resolved.credentials.users {
        let viewer = viewer(&resolved, &user.handle);
        let tenant = || View::new(&state, &viewer).tenant().unwrap();
        let word = |may: Result<(), Denied>| may.map_or_else(|denied| format!("{denied:?}"), |()| "ok".to_owned());
        let project = word(tenant().authorize::<CreateGovernedProject>().map(drop));
        let initiative = word(tenant().authorize::<CreateBusinessInitiative>().map(drop));
        rows.push(format!("{}: project {project}, initiative {initiative}", user.handle));
    }
    assert_snapshot!(rows.join("\n"), @r#"
    admin: project ok, initiative ok
    gm: project ok, initiative ok
    ann: project ok, initiative ok
    bea: project Forbidden("CREATE"), initiative Forbidden("CREATE")
    fin: project Forbidden("CREATE"), initiative Forbidden("CREATE")
    dep: project Forbidden("CREATE"), initiative Forbidden("CREATE")
    eve: project Forbidden("CREATE"), initiative Forbidden("CREATE")
    solo: project ok, initiative ok
    aud: project Forbidden("CREATE"), initiative Forbidden("CREATE")
    rita: project Forbidden("CREATE"), initiative Forbidden("CREATE")
    con: project Forbidden("CREATE"), initiative Forbidden("CREATE")
    "#);
}

#[test]
fn drafts_and_archived_templates_are_there_for_those_who_manage() {
    let (state, _, resolved) = founded(ACME);
    let readable = |handle: &str| {
        let viewer = viewer(&resolved, handle);
        let templates = resolved.founding.templates.iter();
        let projects = templates.filter(|template| template.item_type == ItemType::GovernedProject);
        let view = View::new(&state, &viewer);
        let seen = projects.filter(|one| view.template(one.id).unwrap().authorize::<ReadTemplate>().is_ok());
        seen.map(|template| (template.name.to_string(), template.status)).collect::<Vec<_>>()
    };
    let named = |name: &str, status| (name.to_owned(), status);
    let standard = || named("Standard", TemplateStatus::Active);
    assert_eq!(readable("ann"), [standard()]);
    let (old, next) = (named("Old standard", TemplateStatus::Archived), named("Next standard", TemplateStatus::Draft));
    assert_eq!(readable("gm"), [standard(), old, next]);
}

#[test]
fn a_dangling_id_is_refused_with_its_path_and_nothing_is_founded() {
    let nobody = UserId::from_uuid(Uuid::from_u128(u128::MAX));
    let nothing = GroupId::from_uuid(Uuid::from_u128(u128::MAX));
    let refused = |spoil: &dyn Fn(&mut Founding)| {
        let mut founding = resolved(ACME).founding;
        spoil(&mut founding);
        let mut state = State::empty(founding.tenant.id);
        let Err(Stopped::Refused(refusal)) = land(&mut state, founding) else { panic!("it was founded") };
        assert!(state.counts().iter().all(|(_, count)| *count == 0));
        refusal.sentence()
    };
    assert_snapshot!(refused(&|founding| { founding.groups[1].members.insert(nobody); }), @"The object at groups.1.members.2 does not exist.");
    assert_snapshot!(refused(&|founding| founding.assignment_rules[0].actors.push(RuleActor::Group(nothing))), @"The object at assignment_rules.0.actors.1 does not exist.");
    assert_snapshot!(refused(&|founding| { founding.roles.remove(1); }), @"The object at assignment_rules.26.role does not exist.");
    assert_snapshot!(refused(&|founding| { founding.templates.retain(|one| one.item_type != ItemType::GovernedProject); }), @"The object at templates.1.steps.review.sign_off.feedback_groups.business.members.project_fields.reviewers_business does not exist.");
    assert_snapshot!(refused(&|founding| founding.source_nodes.clear()), @"The object at api_keys.0.node does not exist.");
    assert_snapshot!(refused(&|founding| { founding.infrastructures[0].grants.insert(nothing, BTreeSet::new()); }), @"The object at infrastructures.dev.grants.3 does not exist.");
    assert_snapshot!(refused(&|founding| founding.users[1].id = founding.users[0].id), @"A user called 00000000-0000-0000-0000-00000000000e exists already.");
    assert_snapshot!(refused(&|founding| founding.users.clear()), @"The tenant would be left without an administrator.");
}

#[test]
fn only_the_founding_server_founds_and_only_once() {
    let (mut state, _, resolved) = founded(ACME);
    let again = land(&mut state, resolved.founding.clone());
    let Err(Stopped::Refused(refusal)) = again else { panic!("it was founded twice") };
    assert_snapshot!(refusal.sentence(), @"A tenant called acme exists already.");

    let mut empty = State::empty(resolved.founding.tenant.id);
    for principal in [Principal::System(SystemActor::Consequence), Principal::Credential] {
        let viewer = Viewer::verified(empty.tenant_id(), principal);
        let founded = found(View::new(&empty, &viewer), resolved.founding.clone()).map(drop);
        assert_eq!(founded, Err(Stopped::Denied(Denied::Forbidden("platform operator"))));
    }
    let mut other = resolved.founding.clone();
    other.tenant.id = TenantId::from_uuid(Uuid::from_u128(7_000));
    let wrong = land(&mut empty, other).map(drop);
    assert_eq!(wrong, Err(Stopped::Refused(Refusal::Unknown { path: "tenant.id".to_owned() })));
}

#[test]
fn a_slug_is_entered_once_in_the_directory() {
    let (mut platform, _, resolved) = founded(GLOBEX);
    let entry = |id: u128, slug: &str| TenantEntry {
        revision: 1,
        quota: Quota::default(),
        status: TenantStatus::Active,
        id: TenantId::from_uuid(Uuid::from_u128(id)),
        slug: Slug::new(slug),
        name: Name::parse("name", "Some name").unwrap(),
        created_at: NOW,
    };
    let enter = |platform: &mut State, entry: TenantEntry| {
        let viewer = founder(platform.tenant_id());
        let allowed = View::new(platform, &viewer).tenant()?.authorize::<CreateTenant>()?;
        let change = allowed.enter(entry)?;
        Ok::<_, Stopped>(change.land(platform).map_err(|_| "overtaken").unwrap().0.events.len())
    };
    assert_eq!(enter(&mut platform, entry(9_001, "acme")), Ok(1));
    assert_eq!(enter(&mut platform, entry(9_001, "acme")), Ok(0));
    for (id, slug) in [(9_002, "acme"), (9_003, "globex"), (9_001, "other")] {
        let stopped = enter(&mut platform, entry(id, slug)).unwrap_err();
        let Stopped::Refused(refusal) = stopped else { panic!("{stopped:?}") };
        assert_eq!(refusal.code().as_str(), "ALREADY_EXISTS", "{slug}");
    }
    let listed = |viewer: &Viewer| View::new(&platform, viewer).all::<TenantEntry>().count();
    assert_eq!(listed(&founder(platform.tenant_id())), 1);
    let viewer = viewer(&resolved, "admin");
    assert_eq!(listed(&viewer), 0);
    let denied = View::new(&platform, &viewer).tenant().unwrap().authorize::<CreateTenant>().map(drop);
    assert_eq!(denied, Err(Denied::Forbidden("platform operator")));
}

#[test]
fn the_people_in_fields_gain_what_standard_says_and_no_more() {
    let (mut state, _, resolved) = founded(ACME);
    let person = |handle: &str| {
        let user = resolved.credentials.users.iter().find(|user| user.handle == handle).unwrap();
        FieldValue::List(vec![FieldValue::Person(Person::User(user.id))])
    };
    let set = |key: &str, value: FieldValue| FieldChange { key: key.to_owned(), value: Some(value) };
    let mut projects = resolved.founding.templates.iter().filter(|one| one.item_type == ItemType::GovernedProject);
    let new = NewItem {
        template: projects.find(|one| one.status == TemplateStatus::Active).unwrap().id,
        name: Name::parse("name", "A project").unwrap(),
        fields: vec![set("reviewers_business", person("bea")), set("owners", person("eve"))],
    };
    let ann = viewer(&resolved, "ann");
    let (ids, later) = (Counted(AtomicU64::new(50_000)), NOW.plus_seconds(60));
    let allowed = View::new(&state, &ann).tenant().unwrap().authorize::<CreateGovernedProject>().unwrap();
    let (_, project) = allowed.create(new, &ids, later).unwrap().land(&mut state).map_err(|_| "overtaken").unwrap();

    let mut rows = vec![];
    for user in &resolved.credentials.users {
        let viewer = viewer(&resolved, &user.handle);
        let item = || View::new(&state, &viewer).item(project.id).unwrap();
        let word = |may: Result<(), Denied>| may.map_or_else(|denied| format!("{denied:?}"), |()| "ok".to_owned());
        let save = |change: FieldChange| {
            let allowed = item().authorize::<UpdateItem>()?;
            allowed.update(Save { expected_revision: 1, fields: vec![change], ..Save::default() }, later).map(drop)
        };
        let saved = |change| match save(change) {
            Ok(()) => "ok".to_owned(),
            Err(Stopped::Denied(denied)) => format!("{denied:?}"),
            Err(Stopped::Refused(refusal)) => refusal.sentence(),
        };
        let read = word(item().authorize::<ReadItem>().map(drop));
        let notes = saved(set("exploration_notes", FieldValue::Text(Text::parse("notes", "Tried it.").unwrap())));
        let assign = saved(set("final_approvers", person("fin")));
        let delete = word(item().authorize::<DeleteItem>().map(drop));
        rows.push(format!("{}: read {read}, notes {notes}, approvers {assign}, delete {delete}", user.handle));
    }
    assert_snapshot!(rows.join("\n"), @r#"
    admin: read ok, notes ok, approvers ok, delete ok
    gm: read ok, notes ok, approvers ok, delete ok
    ann: read ok, notes ok, approvers ok, delete ok
    bea: read ok, notes Forbidden("WRITE"), approvers Forbidden("WRITE"), delete Forbidden("DELETE")
    fin: read NotFound, notes NotFound, approvers NotFound, delete NotFound
    dep: read ok, notes Forbidden("WRITE"), approvers Forbidden("WRITE"), delete Forbidden("DELETE")
    eve: read ok, notes ok, approvers ok, delete ok
    solo: read ok, notes ok, approvers ok, delete ok
    aud: read ok, notes Forbidden("WRITE"), approvers Forbidden("WRITE"), delete Forbidden("DELETE")
    rita: read ok, notes Forbidden("WRITE"), approvers Forbidden("WRITE"), delete Forbidden("DELETE")
    con: read ok, notes ok, approvers Forbidden("FIELD_WRITE"), delete Forbidden("DELETE")
    "#);
}
