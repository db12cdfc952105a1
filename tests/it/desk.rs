//! Acme in memory: the rules alone, without a store or a server.
//! Never decides anything itself: it founds the tenant from its fixture, looks, and lands changes.

use countersign::app::fixture::{self, Makers};
use countersign::domain::{
    access::{Principal, Stopped, SystemActor, View, Viewer},
    event::Event,
    founding::found,
    id::{ApiKeyId, Ids, InfrastructureId, ItemId, TemplateId, TenantId, UserId},
    item::Item,
    record::Record,
    source::{Reported, ReportedOriginal, SourceKind},
    state::{Change, State},
    template::{ItemType, TemplateStatus},
    time::Timestamp,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use uuid::Uuid;

/// Ids in the order in which they were asked for.
pub(crate) struct Counted(AtomicU64);

impl Ids for Counted {
    fn next(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed)))
    }
}

pub(crate) struct Desk {
    state: State,
    pub(crate) ids: Counted,
    pub(crate) now: Timestamp,
    users: BTreeMap<String, UserId>,
    keys: BTreeMap<String, ApiKeyId>,
    infrastructures: BTreeMap<String, InfrastructureId>,
    templates: BTreeMap<ItemType, TemplateId>,
    archived_template: TemplateId,
}

/// What a command came to, and the names of its events; the server's own carry its name.
pub(crate) type Done<T> = Result<(T, Vec<String>), Stopped>;

impl Desk {
    pub(crate) fn acme() -> Self {
        let (ids, now) = (Counted(AtomicU64::new(1_000)), Timestamp::from_milliseconds(1_700_000_000_000));
        let makers = Makers { ids: &ids, secret: &|| [7; 32], now };
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/acme.json")).unwrap();
        let fixture::Resolved { founding, credentials } = fixture::resolve("acme.json", &text, makers).unwrap();
        let infrastructures = founding.infrastructures.iter().map(|all| (all.slug.to_string(), all.id)).collect();
        let active = founding.templates.iter().filter(|template| template.status == TemplateStatus::Active);
        let templates = active.map(|template| (template.item_type, template.id)).collect();
        let mut archived = founding.templates.iter().filter(|template| template.status == TemplateStatus::Archived);
        let archived_template = archived.next().unwrap().id;
        let mut state = State::empty(founding.tenant.id);
        let viewer = Viewer::verified(founding.tenant.id, Principal::System(SystemActor::Founding));
        let change = found(View::new(&state, &viewer), founding).unwrap();
        change.land(&mut state).unwrap();
        Self {
            state,
            ids,
            now,
            users: credentials.users.into_iter().map(|user| (user.handle, user.id)).collect(),
            keys: credentials.keys.into_iter().map(|key| (key.handle, key.id)).collect(),
            infrastructures,
            templates,
            archived_template,
        }
    }

    pub(crate) fn user(&self, handle: &str) -> UserId {
        self.users[handle]
    }

    pub(crate) fn infrastructure(&self, slug: &str) -> InfrastructureId {
        self.infrastructures[slug]
    }

    pub(crate) fn template(&self, item_type: ItemType) -> TemplateId {
        self.templates[&item_type]
    }

    pub(crate) const fn archived_template(&self) -> TemplateId {
        self.archived_template
    }

    /// A person, or else a key, by the fixture's handle.
    pub(crate) fn viewer(&self, handle: &str) -> Viewer {
        let principal = match self.users.get(handle) {
            Some(user) => Principal::User(*user),
            None => Principal::Key(self.keys[handle]),
        };
        Viewer::verified(self.state.tenant_id(), principal)
    }

    /// Has somebody do something, and lands it.
    pub(crate) fn act<T>(
        &mut self,
        handle: &str,
        command: impl FnOnce(View<'_>, &Counted, Timestamp) -> Result<Change<T>, Stopped>,
    ) -> Done<T> {
        self.now = self.now.plus_seconds(1);
        let viewer = self.viewer(handle);
        let change = command(View::new(&self.state, &viewer), &self.ids, self.now)?;
        let (landed, outcome) = change.land(&mut self.state).unwrap();
        Ok((outcome, landed.events.iter().map(name).collect()))
    }

    /// Lets somebody look.
    pub(crate) fn look<T>(&self, handle: &str, look: impl FnOnce(View<'_>) -> T) -> T {
        let viewer = self.viewer(handle);
        look(View::new(&self.state, &viewer))
    }

    pub(crate) fn tenant(&self) -> TenantId {
        self.state.tenant_id()
    }

    /// Everything that is kept.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.state.records().collect()
    }

    /// The present version of an item.
    pub(crate) fn item(&self, id: ItemId) -> Arc<Item> {
        self.look("admin", |view| Arc::clone(view.readable::<Item>(id).unwrap()))
    }
}

fn name(event: &Event) -> String {
    let kind = serde_json::to_value(&event.kind).unwrap();
    let kind = kind.as_object().unwrap().keys().next().unwrap().clone();
    event.by.map_or_else(|| kind.clone(), |by| format!("{kind} by {by:?}"))
}

/// The code of a refusal, or what was denied.
pub(crate) fn code<T>(outcome: Result<T, Stopped>) -> String {
    match outcome {
        Ok(_) => "done".to_owned(),
        Err(Stopped::Refused(refusal)) => {
            let path = refusal.path().join(".");
            let code = refusal.code().as_str();
            if path.is_empty() { code.to_owned() } else { format!("{code} at {path}") }
        }
        Err(Stopped::Denied(denied)) => format!("{denied:?}"),
    }
}

pub(crate) fn digest(digit: char) -> String {
    format!("sha256:{}", digit.to_string().repeat(64))
}

pub(crate) fn project(key: &str) -> Reported {
    Reported {
        kind: SourceKind::Project,
        key: key.to_owned(),
        name: format!("Project {key}"),
        description: None,
        parent_key: None,
        original: None,
        content_digest: None,
    }
}

pub(crate) fn copy_of(node: &str, key: &str) -> Reported {
    let original = Some(ReportedOriginal { node: node.to_owned(), key: key.to_owned() });
    Reported { original, ..project(key) }
}

pub(crate) fn bundle(project: &str, key: &str, digit: char) -> Reported {
    child(SourceKind::Bundle, project, key, Some(digest(digit)))
}

pub(crate) fn child(kind: SourceKind, parent: &str, key: &str, content_digest: Option<String>) -> Reported {
    Reported {
        kind,
        key: key.to_owned(),
        name: key.to_owned(),
        description: None,
        parent_key: Some(parent.to_owned()),
        original: None,
        content_digest,
    }
}
