//! Reporting, governing and hiding, as rules: rows 7 to 10, 21, 29b, 34 and 36 of the tutorial.

use crate::desk::{Desk, Done, bundle, child, code, copy_of, digest, project};
use countersign::domain::{
    action::{
        CreateGovernedProject, DeleteSourceObjects, GovernSourceObject, HideSourceObject, ReadSourceObject,
        SetChildRules, SetInstanceRules, SyncSourceObjects, UnhideSourceObject,
    },
    governance::{EffectiveRule, Govern, InstanceRule, NewRules, RuleOrigin},
    id::{ItemId, SourceObjectId},
    item::{Item, NewItem},
    lookup::Ages,
    source::{Governance, Reported, SourceKey, SourceKind, SourceObject, SyncRow, ValidationStatus},
    template::ItemType,
    text::Name,
};
use std::{collections::BTreeMap, sync::Arc};

const SYNC: &str = "design-1-sync";

pub(crate) fn sync(desk: &mut Desk, key: &str, batch: Vec<Reported>) -> Done<Vec<SyncRow>> {
    desk.act(key, |view, ids, now| view.tenant()?.authorize::<SyncSourceObjects>()?.sync(batch, ids, now))
}

fn delete(desk: &mut Desk, keys: &[(SourceKind, &str)]) -> Done<Vec<SyncRow>> {
    let keys = keys.iter().map(|(kind, key)| SourceKey { kind: *kind, key: (*key).to_owned() }).collect();
    desk.act(SYNC, |view, _, now| view.tenant()?.authorize::<DeleteSourceObjects>()?.delete_sources(keys, now))
}

pub(crate) fn source(rows: &[SyncRow], n: usize) -> Arc<SourceObject> {
    Arc::clone(rows[n].result.as_ref().unwrap())
}

fn refusal(row: &SyncRow) -> String {
    let refusal = row.result.as_ref().unwrap_err();
    format!("{} at {}", refusal.code().as_str(), refusal.path().join("."))
}

pub(crate) fn govern(desk: &mut Desk, who: &str, id: SourceObjectId, govern: Govern) -> Done<Arc<Item>> {
    desk.act(who, |view, ids, now| view.source_object(id)?.authorize::<GovernSourceObject>()?.govern(govern, ids, now))
}

pub(crate) fn new_project(desk: &mut Desk) -> Arc<Item> {
    let template = desk.template(ItemType::GovernedProject);
    let name = Name::parse("name", "AN Governance Lifecycle").unwrap();
    let new = NewItem { template, name, fields: vec![] };
    let made =
        desk.act("ann", |view, ids, now| view.tenant()?.authorize::<CreateGovernedProject>()?.create(new, ids, now));
    made.unwrap().0
}

/// Every kind below a project, governed with Standard as it is reported.
pub(crate) fn standard_rules(desk: &Desk) -> BTreeMap<SourceKind, InstanceRule> {
    let below = SourceKind::Project.below().iter();
    below.map(|kind| (*kind, InstanceRule::Govern(desk.template(kind.item_type())))).collect()
}

fn now(desk: &Desk, id: SourceObjectId) -> Arc<SourceObject> {
    desk.look("admin", |view| Arc::clone(view.readable::<SourceObject>(id).unwrap()))
}

#[test]
fn a_batch_is_idempotent_and_a_bad_row_stops_no_other() {
    let mut desk = Desk::acme();
    let batch = || {
        vec![
            project("GOVLIFE"),
            bundle("GOVLIFE", "v1", 'a'),
            Reported { content_digest: None, ..bundle("GOVLIFE", "v2", 'b') },
            Reported { content_digest: Some("md5:00".to_owned()), ..bundle("GOVLIFE", "v3", 'b') },
            bundle("NOWHERE", "v4", 'b'),
            Reported { parent_key: None, ..bundle("GOVLIFE", "v5", 'b') },
            Reported { name: " ".to_owned(), ..project("EMPTY") },
            Reported { key: "a b".to_owned(), ..project("SPACE") },
            Reported { parent_key: Some("GOVLIFE".to_owned()), ..project("BELOW") },
        ]
    };
    let (rows, told) = sync(&mut desk, SYNC, batch()).unwrap();
    assert_eq!(told, ["source_object_reported", "source_object_reported"]);
    let refused: Vec<_> = rows[2..].iter().map(refusal).collect();
    let expected = [
        "DIGEST_MISSING at objects.2.contentDigest",
        "DIGEST_NOT_ALLOWED at objects.3.contentDigest",
        "UNKNOWN_PARENT at objects.4.parentKey",
        "WRONG_PARENT at objects.5.parentKey",
        "NAME_EMPTY at objects.6.name",
        "KEY_NOT_ALLOWED at objects.7.key",
        "WRONG_PARENT at objects.8.parentKey",
    ];
    assert_eq!(refused, expected);
    let (again, told) = sync(&mut desk, SYNC, batch()).unwrap();
    assert_eq!(told, [""; 0]);
    assert_eq!((source(&again, 0).id, source(&again, 1).id), (source(&rows, 0).id, source(&rows, 1).id));

    let other = Reported { content_digest: Some(digest('B')), ..bundle("GOVLIFE", "v1", 'a') };
    let (rows, told) = sync(&mut desk, SYNC, vec![other]).unwrap();
    assert_eq!(told, ["source_object_changed"]);
    assert_eq!(source(&rows, 0).content_digest, Some(digest('b')));

    let (rows, _) = sync(&mut desk, SYNC, vec![project("OTHER"), bundle("OTHER", "v1", 'a')]).unwrap();
    assert_eq!(refusal(&rows[1]), "WRONG_PARENT at objects.1.parentKey");
    let (rows, _) = sync(&mut desk, "auto-1-sync", vec![bundle("GOVLIFE", "v9", 'a')]).unwrap();
    assert_eq!(refusal(&rows[0]), "UNKNOWN_PARENT at objects.0.parentKey");
    let many = (0..1_001).map(|n| project(&n.to_string())).collect();
    assert_eq!(code(sync(&mut desk, SYNC, many)), "TOO_MANY_ROWS");
    for who in ["ann", "admin", "deployer"] {
        let outcome = code(sync(&mut desk, who, vec![project("MINE")]));
        assert_eq!(outcome, "Forbidden(\"the scope SYNC\")", "{who}");
    }
}

#[test]
fn a_project_is_governed_into_an_existing_item_and_its_children_by_themselves() {
    let mut desk = Desk::acme();
    let item = new_project(&mut desk);
    let batch =
        vec![project("GOVLIFE"), bundle("GOVLIFE", "v1", 'a'), child(SourceKind::SavedModel, "GOVLIFE", "m", None)];
    let (rows, _) = sync(&mut desk, SYNC, batch).unwrap();
    let (govlife, v1) = (source(&rows, 0).id, source(&rows, 1).id);
    let into = |desk: &Desk, into: ItemId| Govern {
        template: None,
        into: Some(into),
        existing_children: BTreeMap::from([(SourceKind::Bundle, desk.template(ItemType::GovernedBundle))]),
        future_children: standard_rules(desk),
        ..Govern::default()
    };
    let plan = into(&desk, item.id);
    let with = |template| Govern { template: Some(template), ..Govern::default() };
    let bundles = desk.template(ItemType::GovernedBundle);
    let archived = desk.archived_template();
    assert_eq!(code(govern(&mut desk, "ann", v1, with(bundles))), "PARENT_NOT_GOVERNED");
    assert_eq!(code(govern(&mut desk, "ann", govlife, with(bundles))), "WRONG_TEMPLATE_TYPE");
    assert_eq!(code(govern(&mut desk, "ann", govlife, with(archived))), "UNKNOWN_OBJECT at templateId");
    assert_eq!(code(govern(&mut desk, "ann", govlife, Govern::default())), "UNKNOWN_OBJECT at templateId");
    let wrong = Govern { existing_children: BTreeMap::from([(SourceKind::Project, bundles)]), ..plan.clone() };
    assert_eq!(code(govern(&mut desk, "ann", govlife, wrong)), "WRONG_SHAPE at existingChildren.PROJECT");
    assert_eq!(code(govern(&mut desk, "eve", govlife, plan.clone())), "NotFound");
    assert_eq!(code(govern(&mut desk, SYNC, govlife, plan.clone())), "NotFound");

    let (governed, told) = govern(&mut desk, "ann", govlife, plan.clone()).unwrap();
    let expected = [
        "source_object_governed",
        "item_created",
        "source_object_governed",
        "instance_rules_changed",
        "validation_changed by Consequence",
        "validation_changed by Consequence",
    ];
    assert_eq!(told, expected);
    assert_eq!((governed.id, &governed.name), (item.id, &item.name));
    assert_eq!(code(govern(&mut desk, "ann", govlife, plan)), "ALREADY_GOVERNED");
    let child_item = desk.item(now(&desk, v1).item().unwrap());
    assert_eq!((child_item.parent, child_item.item_type), (Some(item.id), ItemType::GovernedBundle));

    let batch = vec![
        bundle("GOVLIFE", "v2", 'b'),
        child(SourceKind::SavedModel, "GOVLIFE", "churn", None),
        child(SourceKind::ModelVersion, "churn", "churn-1", Some(digest('c'))),
        child(SourceKind::ModelVersion, "m", "m-1", Some(digest('d'))),
    ];
    let (rows, told) = sync(&mut desk, SYNC, batch).unwrap();
    let one = [
        "source_object_reported",
        "item_created by AutomaticGovernance",
        "source_object_governed by AutomaticGovernance",
    ];
    // The model m is not governed, so neither is its version.
    assert_eq!(told, [&one[..], &one[..], &one[..], &one[..1]].concat());
    let version = desk.item(source(&rows, 2).item().unwrap());
    assert_eq!(version.parent, source(&rows, 1).item());
    assert_eq!((version.created_by, version.followers.len()), (None, 0));
    let explained = desk.look("ann", |view| {
        let v2 = view.source_object(source(&rows, 0).id).unwrap().authorize::<ReadSourceObject>().unwrap();
        assert_eq!(v2.validation(), ValidationStatus::NotValidated);
        v2.effective_rule()
    });
    let expected = EffectiveRule { rule: InstanceRule::Govern(bundles), origin: RuleOrigin::Item(item.id) };
    assert_eq!(explained, expected);
    assert_eq!(code(govern(&mut desk, "ann", source(&rows, 3).id, with(bundles))), "PARENT_NOT_GOVERNED");
}

#[test]
fn an_existing_item_must_be_able_to_stand_for_the_object() {
    let mut desk = Desk::acme();
    let (first, second) = (new_project(&mut desk), new_project(&mut desk));
    let batch = vec![
        project("ONE"),
        bundle("ONE", "v1", 'a'),
        bundle("ONE", "v2", 'b'),
        project("TWO"),
        bundle("TWO", "w1", 'c'),
    ];
    let (rows, _) = sync(&mut desk, SYNC, batch).unwrap();
    let id = |n| source(&rows, n).id;
    let into = |item: &Item| Govern { into: Some(item.id), ..Govern::default() };
    govern(&mut desk, "ann", id(0), into(&first)).unwrap();
    govern(&mut desk, "ann", id(3), into(&second)).unwrap();
    let template = Some(desk.template(ItemType::GovernedBundle));
    let (v1, _) = govern(&mut desk, "ann", id(1), Govern { template, ..Govern::default() }).unwrap();
    assert!(v1.followers.contains(&desk.user("ann")));
    assert_eq!(code(govern(&mut desk, "ann", id(2), into(&v1))), "ITEM_HAS_SOURCE");
    assert_eq!(code(govern(&mut desk, "ann", id(2), into(&first))), "WRONG_ITEM_TYPE at itemId");
    assert_eq!(code(govern(&mut desk, "ann", id(4), into(&v1))), "WRONG_PARENT at itemId");
    let nowhere = Govern { into: Some(ItemId::from_uuid(uuid::Uuid::from_u128(9))), ..Govern::default() };
    assert_eq!(code(govern(&mut desk, "ann", id(2), nowhere)), "UNKNOWN_ITEM at itemId");
    let under = Govern { template, initiative: Some(first.id), ..Govern::default() };
    assert_eq!(code(govern(&mut desk, "ann", id(2), under)), "WRONG_ITEM_TYPE at businessInitiativeId");
    let (more, _) = sync(&mut desk, "auto-1-sync", vec![project("THREE")]).unwrap();
    let renamed = Govern { name: Some(first.name.clone()), ..into(&first) };
    assert_eq!(code(govern(&mut desk, "ann", source(&more, 0).id, renamed)), "WRONG_SHAPE at name");
    govern(&mut desk, "ann", source(&more, 0).id, into(&first)).unwrap();
}

#[test]
fn a_copy_on_another_node_joins_the_project_of_its_original() {
    let mut desk = Desk::acme();
    let item = new_project(&mut desk);
    let (early, _) = sync(&mut desk, "auto-1-sync", vec![copy_of("design-1", "GOVLIFE")]).unwrap();
    assert_eq!(source(&early, 0).governance, Governance::Ungoverned);
    let (rows, _) = sync(&mut desk, SYNC, vec![project("GOVLIFE")]).unwrap();
    govern(&mut desk, "ann", source(&rows, 0).id, Govern { into: Some(item.id), ..Govern::default() }).unwrap();
    let (rows, told) = sync(&mut desk, "auto-1-sync", vec![copy_of("design-1", "GOVLIFE")]).unwrap();
    assert_eq!(told, ["source_object_governed by AutomaticGovernance", "validation_changed by Consequence"]);
    assert_eq!(source(&rows, 0).governance, Governance::Governed(item.id));
    let (_, told) =
        sync(&mut desk, "auto-1-sync", vec![copy_of("design-1", "GOVLIFE"), copy_of("design-1", "ELSE")]).unwrap();
    assert_eq!(told, ["source_object_reported"]);
    assert_eq!(desk.look("ann", |view| view.sources_of(item.id).count()), 2);
}

#[test]
fn deleted_objects_are_archived_with_all_below_and_come_back_one_by_one() {
    let mut desk = Desk::acme();
    let batch = || vec![project("P"), bundle("P", "v1", 'a'), child(SourceKind::SavedModel, "P", "m", None)];
    let (rows, _) = sync(&mut desk, SYNC, batch()).unwrap();
    let template = Some(desk.template(ItemType::GovernedProject));
    let (item, _) = govern(&mut desk, "ann", source(&rows, 0).id, Govern { template, ..Govern::default() }).unwrap();
    let keys = [(SourceKind::Project, "P"), (SourceKind::Bundle, "P"), (SourceKind::Bundle, "v1")];
    let (gone, told) = delete(&mut desk, &keys).unwrap();
    let below = "source_object_archived by Consequence";
    assert_eq!(told, ["source_object_archived", below, below]);
    assert_eq!(refusal(&gone[1]), "UNKNOWN_OBJECT at objects.1.key");
    assert!(source(&gone, 0).archived_at.is_some() && source(&gone, 2).archived_at.is_some());
    assert_eq!(source(&gone, 0).item(), Some(item.id));
    let (again, told) = delete(&mut desk, &keys).unwrap();
    assert_eq!((told.len(), source(&again, 0).archived_at), (0, source(&gone, 0).archived_at));
    let template = Some(desk.template(ItemType::GovernedBundle));
    let late = govern(&mut desk, "ann", source(&rows, 1).id, Govern { template, ..Govern::default() });
    assert_eq!(code(late), "SOURCE_ARCHIVED");
    let (back, told) =
        sync(&mut desk, SYNC, vec![bundle("P", "v1", 'a'), project("P"), bundle("P", "v1", 'a')]).unwrap();
    assert_eq!(refusal(&back[0]), "UNKNOWN_PARENT at objects.0.parentKey");
    assert_eq!(told, ["source_object_reported", "source_object_reported"]);
    assert_eq!((source(&back, 1).item(), source(&back, 2).id), (Some(item.id), source(&rows, 1).id));
    assert!(now(&desk, source(&rows, 2).id).archived_at.is_some());
}

#[test]
fn hiding_takes_along_what_lies_below_and_what_is_reported_there_later() {
    let mut desk = Desk::acme();
    let (rows, _) = sync(&mut desk, SYNC, vec![project("P"), bundle("P", "v1", 'a')]).unwrap();
    let (id, template) = (source(&rows, 0).id, Some(desk.template(ItemType::GovernedProject)));
    let hide = |desk: &mut Desk, id| {
        desk.act("ann", |view, _, _| view.source_object(id)?.authorize::<HideSourceObject>()?.hide())
    };
    let unhide = |desk: &mut Desk, id| {
        desk.act("ann", |view, _, _| view.source_object(id)?.authorize::<UnhideSourceObject>()?.unhide())
    };
    assert_eq!(code(unhide(&mut desk, id)), "SOURCE_NOT_HIDDEN");
    let (_, told) = hide(&mut desk, id).unwrap();
    assert_eq!(told, ["source_object_hidden", "source_object_hidden by Consequence"]);
    assert_eq!(hide(&mut desk, id).unwrap().1.len(), 0);
    assert_eq!(code(govern(&mut desk, "ann", id, Govern { template, ..Govern::default() })), "SOURCE_HIDDEN");
    let (_, told) = sync(&mut desk, SYNC, vec![bundle("P", "v2", 'b')]).unwrap();
    assert_eq!(told, ["source_object_reported", "source_object_hidden by AutomaticGovernance"]);
    assert_eq!(desk.look("ann", |view| view.governable(Ages::ALL).count()), 0);
    let (_, told) = unhide(&mut desk, id).unwrap();
    assert_eq!(told.len(), 3);
    assert_eq!(desk.look("ann", |view| view.governable(Ages::ALL).count()), 3);
    govern(&mut desk, "ann", id, Govern { template, ..Govern::default() }).unwrap();
    assert_eq!(code(hide(&mut desk, id)), "ALREADY_GOVERNED");
}

#[test]
fn the_nearest_rule_decides_and_says_whose_it_is() {
    let mut desk = Desk::acme();
    let item = new_project(&mut desk);
    let projects = desk.template(ItemType::GovernedProject);
    let tenant_rules = |desk: &mut Desk, who: &str, expected_revision, rules| {
        let new = NewRules { expected_revision, rules };
        desk.act(who, |view, _, _| view.tenant()?.authorize::<SetInstanceRules>()?.set_instance_rules(new))
    };
    let all = BTreeMap::from([
        (SourceKind::Project, InstanceRule::Govern(projects)),
        (SourceKind::Bundle, InstanceRule::Hide),
    ]);
    assert_eq!(code(tenant_rules(&mut desk, "ann", 1, all.clone())), "Forbidden(\"governance manager\")");
    assert_eq!(code(tenant_rules(&mut desk, "gm", 0, all.clone())), "REVISION_CONFLICT");
    let wrong = BTreeMap::from([(SourceKind::Bundle, InstanceRule::Recommend(projects))]);
    assert_eq!(code(tenant_rules(&mut desk, "gm", 1, wrong)), "WRONG_TEMPLATE_TYPE");
    let (rules, _) = tenant_rules(&mut desk, "gm", 1, all.clone()).unwrap();
    assert_eq!((rules.revision, tenant_rules(&mut desk, "gm", 2, all).unwrap().1.len()), (2, 0));

    let (rows, _) = sync(&mut desk, SYNC, vec![project("P"), bundle("P", "v1", 'a')]).unwrap();
    let governed = source(&rows, 0).item().unwrap();
    assert_eq!(source(&rows, 1).governance, Governance::Hidden);
    assert_ne!(governed, item.id);
    let child_rules = |desk: &mut Desk, rules| {
        let new = NewRules { expected_revision: 0, rules };
        desk.act("ann", |view, _, _| view.item(governed)?.authorize::<SetChildRules>()?.set_child_rules(new))
    };
    let above = BTreeMap::from([(SourceKind::Project, InstanceRule::Hide)]);
    assert_eq!(code(child_rules(&mut desk, above)), "WRONG_SHAPE at rules.PROJECT");
    child_rules(&mut desk, BTreeMap::from([(SourceKind::Bundle, InstanceRule::Nothing)])).unwrap();
    let batch = vec![bundle("P", "v2", 'a'), child(SourceKind::SavedModel, "P", "m", None)];
    let (rows, told) = sync(&mut desk, SYNC, batch).unwrap();
    assert_eq!(told, ["source_object_reported", "source_object_reported"]);
    let rule = |n: usize| {
        let id = source(&rows, n).id;
        desk.look("ann", |view| {
            view.source_object(id).unwrap().authorize::<ReadSourceObject>().unwrap().effective_rule()
        })
    };
    assert_eq!(rule(0), EffectiveRule { rule: InstanceRule::Nothing, origin: RuleOrigin::Item(governed) });
    assert_eq!(rule(1), EffectiveRule { rule: InstanceRule::Nothing, origin: RuleOrigin::None });
}
