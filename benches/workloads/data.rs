//! The data set: organisations with projects, bundles, sign-offs, source objects, reviewers and people.
//! Built by the rules that the server has, in large commands; never by a way around them.

use crate::machine::{Fault, fault, machine, now};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign::{
    app::{
        App, Call, PLATFORM,
        fixture::{Makers, Resolved, resolve},
        founder,
    },
    domain::{
        access::{Principal, Viewer},
        field::{FieldChange, FieldValue, Person},
        id::{ItemId, SignOffId, TenantId, UserId},
        item::{Save, StepMove},
        lookup::Ages,
        receipt::Gone,
        record::Kind,
        sign_off::SignOffStatus,
        source::{Reported, SourceKind},
        template::ItemType,
        workflow::Move,
    },
    store::{Snapshot, Store},
};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{cell::Cell, path::Path, sync::Arc};
use uuid::Uuid;

/// How large the data set is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Organisations.
    pub(crate) tenants: usize,
    /// Governed projects of each.
    pub(crate) projects: usize,
    /// Governed bundles of each project.
    pub(crate) bundles: usize,
    /// People of each organisation.
    pub(crate) users: usize,
}

/// What the load needs to know of the data set.
#[derive(Serialize, Deserialize)]
pub(crate) struct World {
    pub(crate) tenants: Vec<Organisation>,
}

/// One organisation. Ids are those of the API.
#[derive(Serialize, Deserialize)]
pub(crate) struct Organisation {
    /// The access tokens of those who may change everything.
    pub(crate) builders: Vec<String>,
    /// The access tokens of everyone.
    pub(crate) people: Vec<String>,
    pub(crate) projects: Vec<Project>,
    /// The cursor of a registry page that begins after four fifths of the bundles.
    pub(crate) deep: String,
}

/// One project.
#[derive(Serialize, Deserialize)]
pub(crate) struct Project {
    pub(crate) id: String,
    /// The two who give feedback for the business.
    pub(crate) reviewers: [String; 2],
    /// The sign-offs of its bundles for which nobody has asked yet.
    pub(crate) untouched: Vec<String>,
}

/// The id of an object as the API shows it.
pub(crate) fn global(kind: Kind, uuid: Uuid) -> String {
    let bytes: Vec<u8> = std::iter::once(kind.number()).chain(*uuid.as_bytes()).collect();
    URL_SAFE_NO_PAD.encode(bytes)
}

const SEED: u64 = 0xC0DE_51D3;

/// How many changes go into one command.
const CHANGES_OF_A_COMMAND: usize = 500;

/// Of the bundles of each project, how many are under review.
const UNDER_REVIEW: usize = 5;

const TOKEN_LIFETIME_SECONDS: i64 = 30 * 24 * 60 * 60;

/// The field that names the reviewers for the business.
const BUSINESS: &str = "reviewers_business";

/// Builds the data set in a directory, and beside it the list of what is in it, shortened by `shorten`.
pub(crate) async fn build(directory: &Path, size: Size, shorten: fn(&mut Organisation)) -> Result<(), Fault> {
    let path = directory.join("data");
    let store = tokio::task::spawn_blocking(move || Store::open(&path, &machine(SEED))).await??;
    let app = App::open(store.clone()).await?;
    let mut tenants = vec![];
    for n in 0..size.tenants {
        let mut organisation = organisation(&app, n, size).await?;
        shorten(&mut organisation);
        tenants.push(organisation);
    }
    drop(app);
    tokio::task::spawn_blocking(move || store.close()).await?;
    std::fs::write(directory.join("world.json"), serde_json::to_vec(&World { tenants })?)?;
    Ok(())
}

/// Reads the list of what a data set holds.
pub(crate) fn read(directory: &Path) -> Result<World, Fault> {
    Ok(serde_json::from_slice(&std::fs::read(directory.join("world.json"))?)?)
}

/// People in three groups with a role each on every type, a node that reports, and the Standard beside a template
/// of projects with six steps.
fn file(n: usize, size: Size) -> String {
    let users = (0..size.users).map(|user| {
        let standing = if user == 0 { "administrator" } else { "member" };
        let (handle, email) = (format!("u{user}"), format!("u{user}@t{n}.example"));
        json!({ "handle": handle, "name": format!("Person {user} of organisation {n}"), "email": email, "standing": standing })
    });
    let members =
        |of: usize| (1..size.users).filter(|user| user % 3 == of).map(|user| format!("u{user}")).collect::<Vec<_>>();
    let types: Vec<_> = ItemType::ALL.iter().map(|item_type| json!(item_type)).collect();
    let people = |key: &str| json!({ "key": key, "label": key, "about": "People.", "shape": "person", "list": true, "assigns_roles": true });
    let steps = ["exploration", "qualification", "progress", "validation", "rollout", "delivery"];
    let steps = steps.map(|step| json!({ "key": step, "label": step, "about": "A step." }));
    json!({
        "about": "An organisation of the benchmark.",
        "tenant": { "slug": format!("t{n}"), "name": format!("Organisation {n}") },
        "users": users.collect::<Vec<_>>(),
        "groups": [
            { "handle": "builders", "name": "Builders", "members": members(1) },
            { "handle": "contributors", "name": "Contributors", "members": members(2) },
            { "handle": "readers", "name": "Readers", "members": members(0) },
        ],
        "assignment_rules": [
            { "role": "project_manager", "item_types": types, "groups": ["builders"] },
            { "role": "contributor", "item_types": types, "groups": ["contributors"] },
            { "role": "reader", "item_types": types, "groups": ["readers"] },
        ],
        "templates": [{
            "about": "Projects with six steps.", "handle": "six_steps", "name": "Six steps",
            "item_type": "governed_project", "status": "active",
            "fields": [
                { "key": "description", "label": "Description", "about": "What it is for.", "shape": "text" },
                people("owners"), people(BUSINESS), people("reviewers_it_operations"),
                people("reviewers_risk_compliance"), people("final_approvers"),
            ],
            "steps": steps,
        }],
        "source_nodes": [{ "handle": "node", "name": "Node" }],
        "api_keys": [{ "handle": "sync", "name": "Sync", "node": "node", "scopes": ["sync"] }],
        "instance_rules": {
            "project": { "govern": "six_steps" }, "bundle": { "govern": "standard_governed_bundle" },
        },
    })
    .to_string()
}

async fn organisation(app: &App, n: usize, size: Size) -> Result<Organisation, Fault> {
    let name = format!("organisation {n}");
    let resolved = {
        // Nobody presents the key: whoever builds the data set acts as its node.
        let secrets = Cell::new(0_u8);
        let secret = || {
            secrets.set(secrets.get().wrapping_add(1));
            [secrets.get(); 32]
        };
        resolve(&name, &file(n, size), Makers { ids: &**app.store().ids(), secret: &secret, now: now() })?
    };
    let Resolved { founding, credentials } = resolved;
    let tenant = founding.tenant.id;
    app.create_tenant(&Call { viewer: founder(PLATFORM), idempotency: None }, founding).await.map_err(fault)?;
    let key = credentials.keys.first().ok_or("the organisation has no node")?.id;
    report(app, tenant, Principal::Key(key), size).await?;
    let users: Vec<UserId> = credentials.users.iter().map(|user| user.id).collect();
    let administrator = Principal::User(*users.first().ok_or("the organisation has no people")?);
    let administrator = Arc::new(Viewer::verified(tenant, administrator));
    let snapshot = app.snapshot(&administrator).await.map_err(fault)?;
    describe(app, &administrator, &snapshot, &users).await?;
    review(app, &administrator, &snapshot).await?;
    let tokens = users.iter().map(|user| app.issue_access_token(tenant, *user, TOKEN_LIFETIME_SECONDS));
    let tokens = try_join_all(tokens).await.map_err(fault)?;
    let people: Vec<String> = tokens.into_iter().map(|token| token.outcome.access_token).collect();
    let builders =
        people.iter().enumerate().filter(|(user, _)| user % 3 == 1).map(|(_, token)| token.clone()).collect();
    let snapshot = app.snapshot(&administrator).await.map_err(fault)?;
    let (projects, deep) = listed(&snapshot);
    Ok(Organisation { builders, people, projects, deep })
}

/// The node reports every project with its bundles; instance rules make the items and their sign-offs.
async fn report(app: &App, tenant: TenantId, key: Principal, size: Size) -> Result<(), Fault> {
    let call = Call { viewer: Arc::new(Viewer::verified(tenant, key)), idempotency: None };
    let rows = |project: usize| {
        let key = format!("project-{project:05}");
        let parent = Reported {
            kind: SourceKind::Project,
            key: key.clone(),
            name: format!("Churn model {project:05}"),
            description: Some("Who is about to leave, and why.".to_owned()),
            parent_key: None,
            original: None,
            content_digest: None,
        };
        let bundles = (0..size.bundles).map(move |bundle| Reported {
            kind: SourceKind::Bundle,
            key: format!("{key}-v{bundle:03}"),
            name: format!("Churn model {project:05} v{bundle:03}"),
            description: None,
            parent_key: Some(key.clone()),
            original: None,
            content_digest: Some(format!("sha256:{:064x}", project * 1_000 + bundle)),
        });
        std::iter::once(parent).chain(bundles)
    };
    let projects: Vec<usize> = (0..size.projects).collect();
    let together = (CHANGES_OF_A_COMMAND / (size.bundles + 1)).max(1);
    for some in projects.chunks(together) {
        let batch = some.iter().copied().flat_map(rows).collect();
        let rows = app.sync_source_objects(&call, batch).await.map_err(fault)?.outcome;
        if let Some(refused) = rows.into_iter().find_map(|row| row.result.err()) {
            return Err(fault(refused));
        }
    }
    Ok(())
}

fn people(users: [UserId; 2]) -> FieldValue {
    FieldValue::List(users.map(|user| FieldValue::Person(Person::User(user))).to_vec())
}

/// Every project gets its reviewers and approvers and its first step; every bundle goes into review.
async fn describe(app: &App, viewer: &Arc<Viewer>, snapshot: &Snapshot, users: &[UserId]) -> Result<(), Fault> {
    let started = |step: &str| vec![StepMove { step: step.to_owned(), step_move: Move::Start }];
    let user = |n: usize| users.get(n % users.len().max(1)).copied().ok_or("the organisation has no people");
    let mut saves = vec![];
    for (n, project) in snapshot.view().items_of_type(ItemType::GovernedProject, Ages::ALL).enumerate() {
        let named = |key: &str, first: usize| {
            let pair = people([user(n + first)?, user(n + first + 1)?]);
            Ok::<_, Fault>(FieldChange { key: key.to_owned(), value: Some(pair) })
        };
        let fields = vec![named(BUSINESS, 1)?, named("final_approvers", 3)?];
        let save = Save { expected_revision: project.revision, name: None, fields, moves: started("exploration") };
        saves.push((project.id, save));
    }
    for bundle in snapshot.view().items_of_type(ItemType::GovernedBundle, Ages::ALL) {
        let moves = started("review");
        saves.push((bundle.id, Save { expected_revision: bundle.revision, moves, ..Save::default() }));
    }
    for some in saves.chunks(CHANGES_OF_A_COMMAND) {
        let some: Vec<(ItemId, Save)> = some.to_vec();
        let data = app.store().of(viewer);
        let saved = data.write(None, move |turn| {
            for (id, save) in some {
                let item = turn.view().item(id)?.authorize()?;
                turn.stage(item.update(save, turn.now())?)?;
            }
            Ok(Gone(Uuid::nil()))
        });
        saved.await.map_err(fault)?;
    }
    Ok(())
}

/// The first bundles of each project wait for feedback.
async fn review(app: &App, viewer: &Arc<Viewer>, snapshot: &Snapshot) -> Result<(), Fault> {
    let view = snapshot.view();
    let projects = view.items_of_type(ItemType::GovernedProject, Ages::ALL);
    let bundles = projects.flat_map(|project| view.children(project.id).take(UNDER_REVIEW));
    let sign_offs: Vec<SignOffId> =
        bundles.flat_map(|bundle| view.sign_offs_of(bundle.id).map(|sign_off| sign_off.id)).collect();
    for some in sign_offs.chunks(CHANGES_OF_A_COMMAND) {
        let some = some.to_vec();
        let data = app.store().of(viewer);
        let asked = data.write(None, move |turn| {
            for id in some {
                let sign_off = turn.view().sign_off(id)?.authorize()?;
                turn.stage(sign_off.request_feedback(&[], turn.now())?)?;
            }
            Ok(Gone(Uuid::nil()))
        });
        asked.await.map_err(fault)?;
    }
    Ok(())
}

/// What the organisation holds now, as the load will ask for it.
fn listed(snapshot: &Snapshot) -> (Vec<Project>, String) {
    let view = snapshot.view();
    let projects = view.items_of_type(ItemType::GovernedProject, Ages::ALL).map(|project| {
        let named = project.fields.iter().find(|(key, _)| key.as_str() == BUSINESS);
        let named = named.map(|(_, value)| value.people()).unwrap_or_default();
        let mut reviewers = named.into_iter().map(|person| match person {
            Person::User(user) => global(Kind::User, user.uuid()),
            Person::Group(group) => global(Kind::Group, group.uuid()),
        });
        let reviewers = [reviewers.next().unwrap_or_default(), reviewers.next().unwrap_or_default()];
        let sign_offs = view.children(project.id).flat_map(|bundle| view.sign_offs_of(bundle.id));
        let untouched = sign_offs.filter(|sign_off| sign_off.status() == SignOffStatus::NotStarted);
        let untouched = untouched.map(|sign_off| global(Kind::SignOff, sign_off.id.uuid())).collect();
        Project { id: global(Kind::Item, project.id.uuid()), reviewers, untouched }
    });
    let projects = projects.collect();
    let bundles: Vec<Uuid> =
        view.items_of_type(ItemType::GovernedBundle, Ages::ALL).map(|bundle| bundle.id.uuid()).collect();
    let deep = bundles.get(bundles.len() * 4 / 5).map(|id| URL_SAFE_NO_PAD.encode(id.as_bytes()));
    (projects, deep.unwrap_or_default())
}
