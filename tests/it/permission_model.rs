//! A hundred thousand random grants, revocations and looks, against a model that is written from the specification's
//! pseudo-code alone and shares no code with the rules.

use crate::{
    desk::{Desk, bundle, child, code, digest, project},
    governance::{govern, source, sync},
};
use countersign::domain::{
    access::View,
    action::{
        Action, CreateAssignmentRule, CreateBusinessInitiative, CreateGovernedProject, DeleteAssignmentRule,
        DeleteGrants, DeleteItem, ReadItem, SetGrants, StartStep, UpdateAssignmentRule, UpdateGroup, UpdateItem,
    },
    field::{FieldChange, FieldValue, Person},
    governance::Govern,
    id::{GroupId, ItemId, RoleId, TemplateId, UserId},
    identity::{Group, GroupChange},
    item::{DeletionMode, Item, NewItem},
    lookup::Ages,
    policy::{
        Asked, AssignmentRule, Criterion, FieldException, Grants, GrantsChange, NewRule, Permission, Permissions, Role,
        RuleActor, RuleChange, RuleScope,
    },
    source::SourceKind,
    template::ItemType,
    text::{FieldKey, Name, StepKey, Text},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

const STEPS: usize = 100_000;
const LEVELS: usize = 4;
const PEOPLE: [&str; 8] = ["ann", "con", "rita", "bea", "fin", "eve", "dep", "gm"];
const FIELDS: [&str; 3] = ["description", "owners", "reviewers_business"];
const TYPES: [ItemType; 5] = ItemType::ALL;

/// SplitMix64: the same sequence in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 33).unwrap() % n
    }

    fn of<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        let n = self.below(all.len());
        &all[n]
    }

    fn word(&mut self, all: &[&'static str]) -> &'static str {
        self.of::<&'static str>(all)
    }

    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

fn key(key: &str) -> FieldKey {
    FieldKey::parse("field", key).unwrap()
}

/// Everything that the specification's algorithm speaks of, as plain lists.
struct Model {
    rules: Vec<AssignmentRule>,
    grants: Vec<Grants>,
    groups: BTreeMap<GroupId, BTreeSet<UserId>>,
    items: Vec<Arc<Item>>,
    auditing: BTreeSet<RoleId>,
    managers: BTreeSet<UserId>,
}

impl Model {
    fn is(&self, user: UserId, person: Person) -> bool {
        match person {
            Person::User(other) => other == user,
            Person::Group(group) => self.groups[&group].contains(&user),
        }
    }

    fn matches(&self, rule: &AssignmentRule, user: UserId, item: Option<&Item>) -> bool {
        let mut actor = false;
        for candidate in &rule.actors {
            actor |= match candidate {
                RuleActor::User(other) => *other == user,
                RuleActor::Group(group) => self.groups[group].contains(&user),
                RuleActor::Key(_) => false,
                RuleActor::Field(field) => match item.and_then(|item| item.fields.get(field)) {
                    Some(FieldValue::List(values)) => {
                        values.iter().any(|value| matches!(value, FieldValue::Person(person) if self.is(user, *person)))
                    }
                    Some(FieldValue::Person(person)) => self.is(user, *person),
                    _ => false,
                },
            };
        }
        let mut criteria = true;
        for criterion in &rule.criteria {
            criteria &= item.is_some_and(|item| match criterion {
                Criterion::TemplateIs(template) => item.template == *template,
                Criterion::FieldIs(field, value) => item.fields.get(field) == Some(value),
                Criterion::ActiveStep(step) => item.workflow.ongoing() == Some(step),
                Criterion::ItemExists => item.is_live(),
                Criterion::ItemDeleted => item.is_deleted(),
            });
        }
        actor && criteria
    }

    fn grants(&self, item_type: ItemType) -> Option<&Grants> {
        let own = self.grants.iter().find(|grants| grants.item_type == Some(item_type));
        own.or(self.grants.iter().find(|grants| grants.item_type.is_none()))
    }

    fn of_type(&self, user: UserId, item_type: ItemType) -> BTreeSet<RoleId> {
        let rules = self.rules.iter().filter(|rule| rule.scope == RuleScope::Type(item_type));
        let rules = rules.filter(|rule| rule.criteria.is_empty() && self.matches(rule, user, None));
        rules.map(|rule| rule.role).collect()
    }

    fn roles(&self, user: UserId, item: &Item, levels: usize) -> BTreeSet<RoleId> {
        let here = |rule: &&AssignmentRule| {
            rule.scope == RuleScope::Type(item.item_type) || rule.scope == RuleScope::Item(item.id)
        };
        let rules = self.rules.iter().filter(here).filter(|rule| self.matches(rule, user, Some(item)));
        let mut roles: BTreeSet<RoleId> = rules.map(|rule| rule.role).collect();
        let Some(grants) = self.grants(item.item_type) else { return roles };
        for other in &grants.inherits_types {
            roles.extend(self.of_type(user, *other));
        }
        if levels == 0 {
            return roles;
        }
        let mut above = vec![];
        if grants.inherits_parent {
            above.extend(item.parent);
        }
        for field in &grants.inherits_fields {
            if let Some(FieldValue::Reference(other)) = item.fields.get(field) {
                above.push(*other);
            }
        }
        for id in above {
            let other = self.items.iter().find(|item| item.id == id).unwrap();
            roles.extend(self.roles(user, other, levels - 1));
        }
        roles
    }

    /// What each of everyone and the roles may do, and whether a role audits.
    fn effective(&self, item_type: ItemType, roles: &BTreeSet<RoleId>) -> (Vec<&Permissions>, bool) {
        let mut effective = vec![];
        if let Some(grants) = self.grants(item_type) {
            effective.push(&grants.everyone);
            effective.extend(roles.iter().filter_map(|role| grants.roles.get(role)));
        }
        (effective, roles.iter().any(|role| self.auditing.contains(role)))
    }

    /// One line that says all that somebody may do on an item.
    fn answer(&self, user: UserId, item: &Item) -> String {
        use Permission as P;
        let roles = self.roles(user, item, LEVELS);
        let (effective, audits) = self.effective(item.item_type, &roles);
        let manages = self.managers.contains(&user);
        let any = |wanted: &[P]| {
            manages
                || effective.iter().any(|one| one.on_items.iter().any(|had| *had == P::Admin || wanted.contains(had)))
        };
        let read = audits || any(&[P::Read, P::Write, P::Delete]);
        let field = |name: &str, write: bool| {
            manages
                || (audits && !write)
                || effective.iter().any(|one| {
                    let has = |p: P| one.on_items.contains(&p);
                    match one.field_exceptions.get(&key(name)) {
                        _ if has(P::Admin) => true,
                        Some(exception) if write => exception.write,
                        Some(exception) => exception.read || exception.write,
                        None if write => has(P::FieldWrite),
                        None => has(P::FieldRead) || has(P::FieldWrite),
                    }
                })
        };
        if !read {
            return "nothing".to_owned();
        }
        let mut said = String::from("read");
        for (may, word) in
            [(any(&[P::Write]), " write"), (any(&[P::Delete]), " delete"), (any(&[P::Assign]), " assign")]
        {
            if may {
                said.push_str(word);
            }
        }
        for name in FIELDS.iter().filter(|name| field(name, false)) {
            said.push_str(&format!(" {name}"));
        }
        said
    }

    fn creates(&self, user: UserId, item_type: ItemType) -> bool {
        use Permission as P;
        let mut roles = self.of_type(user, item_type);
        for other in self.grants(item_type).iter().flat_map(|grants| &grants.inherits_types) {
            roles.extend(self.of_type(user, *other));
        }
        let (effective, _) = self.effective(item_type, &roles);
        let any =
            |wanted: P| effective.iter().any(|one| one.on_items.contains(&P::Admin) || one.on_items.contains(&wanted));
        self.managers.contains(&user) || (any(P::Create) && any(P::FieldWrite))
    }
}

/// The same line, from the rules.
fn answered(view: View<'_>, id: ItemId) -> String {
    let Ok(opened) = view.item(id).unwrap().authorize::<ReadItem>() else { return "nothing".to_owned() };
    let rights = opened.rights().unwrap();
    let mut said = String::from("read");
    let write = view.item(id).unwrap().authorize::<UpdateItem>().is_ok();
    let delete = view.item(id).unwrap().authorize::<DeleteItem>().is_ok();
    for (may, word) in [(write, " write"), (delete, " delete"), (rights.may_assign(), " assign")] {
        if may {
            said.push_str(word);
        }
    }
    for name in FIELDS.iter().filter(|name| rights.may_read_field(&key(name))) {
        said.push_str(&format!(" {name}"));
    }
    said
}

/// The same as `answered`, as an administrator has it explained: of fields, those that the template has.
fn explained(desk: &Desk, handle: &str, item: &Item, expected: &str) -> String {
    let actor = desk.viewer(handle);
    let may = |action: Action, field: Option<FieldKey>| {
        let asked = Asked { action, object: Some(item.id.uuid()), field: field.as_ref() };
        desk.look("admin", |view| view.explain(&actor, asked).map(|explained| explained.allowed()))
    };
    if !may(Action::ReadItem, None).unwrap() {
        return "nothing".to_owned();
    }
    let mut said = String::from("read");
    for (action, word) in [(Action::UpdateItem, " write"), (Action::DeleteItem, " delete")] {
        if may(action, None).unwrap() {
            said.push_str(word);
        }
    }
    for name in FIELDS {
        // A field that the template does not have cannot be asked about.
        if may(Action::ReadItem, Some(key(name))).unwrap_or(expected.contains(name)) {
            said.push_str(&format!(" {name}"));
        }
    }
    said
}

/// Initiatives, projects, bundles, models and a version; one project deleted, one bundle's step ongoing.
fn cast(desk: &mut Desk) -> Vec<ItemId> {
    let named = |name: &str| Name::parse("name", name).unwrap();
    let template = desk.template(ItemType::BusinessInitiative);
    let mut ids = vec![];
    for n in 0..2 {
        let fields = vec![];
        let new = NewItem { template, name: named(&format!("Initiative {n}")), fields };
        let made = desk
            .act("gm", |view, ids, now| view.tenant()?.authorize::<CreateBusinessInitiative>()?.create(new, ids, now));
        ids.push(made.unwrap().0.id);
    }
    let template = desk.template(ItemType::GovernedProject);
    for (n, person) in ["ann", "rita", "bea"].into_iter().enumerate() {
        let people = FieldValue::List(vec![FieldValue::Person(Person::User(desk.user(person)))]);
        let text = FieldValue::Text(Text::parse("text", ["one", "two", "two"][n]).unwrap());
        let change = |key: &str, value| FieldChange { key: key.to_owned(), value: Some(value) };
        let fields = vec![
            change("owners", people.clone()),
            change("reviewers_business", people),
            change("description", text),
            change("business_initiative", FieldValue::Reference(ids[n % 2])),
        ];
        let new = NewItem { template, name: named(&format!("Project {n}")), fields };
        let made =
            desk.act("gm", |view, ids, now| view.tenant()?.authorize::<CreateGovernedProject>()?.create(new, ids, now));
        ids.push(made.unwrap().0.id);
    }
    let version = child(SourceKind::ModelVersion, "M", "V", Some(digest('c')));
    let batch = vec![
        project("P"),
        bundle("P", "B1", 'a'),
        bundle("P", "B2", 'b'),
        child(SourceKind::SavedModel, "P", "M", None),
        version,
    ];
    let (rows, _) = sync(desk, "design-1-sync", batch).unwrap();
    let whole = Govern {
        into: Some(ids[2]),
        existing_children: SourceKind::Project
            .below()
            .iter()
            .map(|kind| (*kind, desk.template(kind.item_type())))
            .collect(),
        ..Govern::default()
    };
    govern(desk, "gm", source(&rows, 0).id, whole).unwrap();
    let below: Vec<_> = desk.look("admin", |view| view.descendants(ids[2]).into_iter().map(|item| item.id).collect());
    assert_eq!(below.len(), 4, "the project has two bundles, a model and a version");
    let review = StepKey::parse("step", "review").unwrap();
    let reviewed = below.iter().copied().find(|id| desk.item(*id).item_type == ItemType::GovernedBundle).unwrap();
    desk.act("gm", |view, _, now| view.item(reviewed)?.authorize::<StartStep>()?.start_step("review", 1, now)).unwrap();
    assert_eq!(desk.item(reviewed).workflow.ongoing(), Some(&review));
    ids.extend(below);
    let mode = DeletionMode::UngovernChildren;
    desk.act("gm", |view, _, now| view.item(ids[4])?.authorize::<DeleteItem>()?.delete(mode, 1, now)).unwrap();
    ids
}

/// What random rules and grants are made of.
struct Pool {
    users: Vec<UserId>,
    groups: Vec<GroupId>,
    roles: Vec<RoleId>,
    items: Vec<ItemId>,
    templates: Vec<TemplateId>,
}

impl Pool {
    fn actors(&self, dice: &mut Dice) -> Vec<RuleActor> {
        let actor = |dice: &mut Dice| match dice.below(4) {
            0 => RuleActor::Group(*dice.of(&self.groups)),
            1 => RuleActor::Field(key(dice.word(&["owners", "reviewers_business"]))),
            _ => RuleActor::User(*dice.of(&self.users)),
        };
        (0..=dice.below(2)).map(|_| actor(dice)).collect()
    }

    fn criteria(&self, dice: &mut Dice) -> Vec<Criterion> {
        if dice.once_in(2) {
            return vec![];
        }
        let criterion = |dice: &mut Dice| match dice.below(5) {
            0 => Criterion::TemplateIs(*dice.of(&self.templates)),
            1 => Criterion::FieldIs(
                key("description"),
                FieldValue::Text(Text::parse("t", dice.word(&["one", "two"])).unwrap()),
            ),
            2 => Criterion::ActiveStep(StepKey::parse("step", "review").unwrap()),
            3 => Criterion::ItemExists,
            _ => Criterion::ItemDeleted,
        };
        (0..=dice.below(2)).map(|_| criterion(dice)).collect()
    }

    fn permissions(dice: &mut Dice, exceptions: bool) -> Permissions {
        use Permission as P;
        let all = [P::Create, P::Read, P::Write, P::Delete, P::FieldRead, P::FieldWrite, P::Assign];
        let mut on_items: BTreeSet<_> = all.into_iter().filter(|_| dice.once_in(4)).collect();
        if dice.once_in(30) {
            on_items.insert(P::Admin);
        }
        let mut field_exceptions = BTreeMap::new();
        if exceptions && dice.once_in(2) {
            let exception = FieldException { read: dice.once_in(2), write: dice.once_in(3) };
            field_exceptions.insert(key(dice.word(&FIELDS)), exception);
        }
        Permissions { on_items, field_exceptions }
    }

    fn grants(&self, dice: &mut Dice) -> GrantsChange {
        let item_type = if dice.once_in(3) { None } else { Some(*dice.of(&TYPES)) };
        let project = item_type == Some(ItemType::GovernedProject);
        // Only projects and the defaults have all of the fields.
        let fields = project || item_type.is_none();
        let everyone = if dice.once_in(3) { Self::permissions(dice, fields) } else { Permissions::default() };
        let roles = self.roles.iter().filter(|_| !dice.0.is_multiple_of(3)).copied().collect::<Vec<_>>();
        let roles = roles.into_iter().map(|role| (role, Self::permissions(dice, fields))).collect();
        GrantsChange {
            item_type,
            expected_revision: 0,
            everyone: Some(everyone),
            roles: Some(roles),
            inherits_types: Some(if dice.once_in(3) { vec![*dice.of(&TYPES)] } else { vec![] }),
            inherits_parent: Some(dice.once_in(2)),
            inherits_fields: Some(if project && dice.once_in(2) { vec![key("business_initiative")] } else { vec![] }),
        }
    }
}

/// One random change, made by the rules and, where they made it, in the model; answers what came of it.
fn change(desk: &mut Desk, model: &mut Model, pool: &Pool, dice: &mut Dice) -> String {
    match dice.below(10) {
        0..=2 if model.rules.len() < 30 => {
            let on_type = RuleScope::Type(*dice.of(&TYPES));
            let scope = if dice.once_in(3) { RuleScope::Item(*dice.of(&pool.items)) } else { on_type };
            let (actors, criteria) = (pool.actors(dice), pool.criteria(dice));
            let new = NewRule { role: *dice.of(&pool.roles), scope, actors, criteria };
            let made = desk
                .act("admin", |view, ids, _| view.tenant()?.authorize::<CreateAssignmentRule>()?.create_rule(new, ids));
            model.rules.extend(made.iter().map(|(rule, _)| (**rule).clone()));
            code(made)
        }
        3 if !model.rules.is_empty() => {
            let n = dice.below(model.rules.len());
            let (id, revision) = (model.rules[n].id, model.rules[n].revision);
            let change = RuleChange {
                expected_revision: revision,
                actors: Some(pool.actors(dice)),
                criteria: Some(pool.criteria(dice)),
                role: None,
            };
            let made = desk.act("admin", |view, _, _| {
                view.assignment_rule(id)?.authorize::<UpdateAssignmentRule>()?.update_rule(change)
            });
            if let Ok((rule, _)) = &made {
                model.rules[n] = (**rule).clone();
            }
            code(made)
        }
        0..=5 if !model.rules.is_empty() => {
            let n = dice.below(model.rules.len());
            let rule = model.rules.swap_remove(n);
            code(desk.act("admin", |view, _, _| {
                view.assignment_rule(rule.id)?.authorize::<DeleteAssignmentRule>()?.delete_rule(rule.revision)
            }))
        }
        6 | 7 => {
            let mut change = pool.grants(dice);
            let old = model.grants.iter().position(|grants| grants.item_type == change.item_type);
            change.expected_revision = old.map_or(0, |old| model.grants[old].revision);
            let made =
                desk.act("admin", |view, ids, _| view.tenant()?.authorize::<SetGrants>()?.set_grants(change, ids));
            if let Ok((grants, _)) = &made {
                old.map(|old| model.grants.swap_remove(old));
                model.grants.push((**grants).clone());
            }
            code(made)
        }
        8 if model.grants.len() > 1 => {
            let n = dice.below(model.grants.len());
            let (id, revision) = (model.grants[n].id, model.grants[n].revision);
            let made =
                desk.act("admin", |view, _, _| view.grants(id)?.authorize::<DeleteGrants>()?.delete_grants(revision));
            if made.is_ok() {
                model.grants.swap_remove(n);
            }
            code(made)
        }
        _ => {
            let (id, user) = (*dice.of(&pool.groups), *dice.of(&pool.users));
            let expected_revision = desk.look("admin", |view| view.readable::<Group>(id).unwrap().revision);
            let joins = dice.once_in(2);
            let (add, remove) = if joins { (vec![user], vec![]) } else { (vec![], vec![user]) };
            let (add_groups, remove_groups) = (vec![], vec![]);
            let change = GroupChange { expected_revision, name: None, add, remove, add_groups, remove_groups };
            let made = desk.act("admin", |view, _, _| view.group(id)?.authorize::<UpdateGroup>()?.update_group(change));
            model.groups.insert(id, made.as_ref().unwrap().0.members.clone());
            code(made)
        }
    }
}

/// One look of one person: at one item, at the list of a type, at whether she may make one.
fn look(desk: &Desk, model: &Model, dice: &mut Dice) -> usize {
    let handle = *dice.of(&PEOPLE);
    let (user, item) = (desk.user(handle), Arc::clone(dice.of(&model.items)));
    let expected = model.answer(user, &item);
    let (one, listed, creates) = desk.look(handle, |view| {
        let tenant = || view.tenant().unwrap();
        let creates = match item.item_type {
            ItemType::GovernedProject => Some(tenant().authorize::<CreateGovernedProject>().is_ok()),
            ItemType::BusinessInitiative => Some(tenant().authorize::<CreateBusinessInitiative>().is_ok()),
            ItemType::GovernedBundle | ItemType::GovernedModel | ItemType::GovernedModelVersion => None,
        };
        let listed: Vec<_> = view.items_of_type(item.item_type, Ages::ALL).map(|item| item.id).collect();
        (answered(view, item.id), listed, creates)
    });
    assert_eq!(one, expected, "{handle} on {:?} {}", item.item_type, item.name);
    // Nobody asks for ASSIGN alone.
    let shown = expected.replace(" assign", "");
    assert_eq!(
        explained(desk, handle, &item, &expected),
        shown,
        "{handle} on {:?} {}, explained",
        item.item_type,
        item.name
    );
    let there = model.items.iter().filter(|other| other.item_type == item.item_type);
    let readable: BTreeSet<_> =
        there.filter(|other| model.answer(user, other) != "nothing").map(|item| item.id).collect();
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), readable, "{handle} lists {:?}", item.item_type);
    if let Some(creates) = creates {
        assert_eq!(creates, model.creates(user, item.item_type), "{handle} creates {:?}", item.item_type);
    }
    usize::from(expected != "nothing" && handle != "gm")
}

#[test]
fn a_random_sequence_of_grants_and_revocations_agrees_with_a_naive_model() {
    let mut desk = Desk::acme();
    let items = cast(&mut desk);
    let mut model = desk.look("admin", |view| Model {
        rules: view.all::<AssignmentRule>().map(|rule| (**rule).clone()).collect(),
        grants: view.all::<Grants>().map(|grants| (**grants).clone()).collect(),
        groups: view.all::<Group>().map(|group| (group.id, group.members.clone())).collect(),
        items: items.iter().map(|id| Arc::clone(view.readable::<Item>(*id).unwrap())).collect(),
        auditing: view.all::<Role>().filter(|role| role.audits).map(|role| role.id).collect(),
        managers: [desk.user("gm")].into(),
    });
    let pool = Pool {
        users: PEOPLE.iter().map(|handle| desk.user(handle)).collect(),
        groups: model.groups.keys().copied().collect(),
        roles: desk.look("admin", |view| view.all::<Role>().map(|role| role.id).collect()),
        items,
        templates: TYPES.map(|item_type| desk.template(item_type)).into(),
    };
    let mut dice = Dice(5);
    let (mut codes, mut read) = (BTreeMap::new(), 0);
    for _ in 0..STEPS {
        if dice.once_in(4) {
            let code = change(&mut desk, &mut model, &pool, &mut dice);
            let code = code.split(' ').next().unwrap().to_owned();
            *codes.entry(code).or_insert(0_usize) += 1;
        } else {
            read += look(&desk, &model, &mut dice);
        }
    }
    println!("{codes:?}, {read} looks found something");
    assert!(
        codes["done"] > STEPS / 10 && codes["INHERITANCE_CYCLE"] > 100,
        "the sequence changes too little: {codes:?}"
    );
    assert!(read > STEPS / 10, "only {read} looks found something: the sequence says little");
}
