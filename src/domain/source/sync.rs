//! Nodes report their objects in idempotent batches; what is new may come under governance in the same change.
//! Never renames an item, never lets one bad row stop the others, never touches another node's objects.

use super::{Governance, Original, SourceKind, SourceObject};
use crate::domain::{
    access::{Allowed, Denied, Stopped, View},
    action::{Asks, SyncSourceObjects},
    consequences,
    event::{EventKind, Subject},
    governance::govern_by_rule,
    id::{Ids, SourceNodeId, SourceObjectId},
    identity::Scope,
    receipt::Outcome,
    refusal::Refusal,
    state::{Change, Draft, State},
    tenant::Tenant,
    text::{ExternalKey, Name, Slug, Text},
    time::Timestamp,
};
use crate::limits::SYNC_ROWS_MAX;
use std::{collections::BTreeSet, sync::Arc};
use uuid::Uuid;

/// One object, whole, as its node wrote it: what is left out is empty.
#[derive(Clone, Debug)]
pub struct Reported {
    /// What it is.
    pub kind: SourceKind,
    /// What the node calls it, unique within node and kind.
    pub key: String,
    /// What people call it.
    pub name: String,
    /// What the node says about it.
    pub description: Option<String>,
    /// The key of the object that it belongs to, reported by the same node before or earlier in the batch.
    pub parent_key: Option<String>,
    /// The object on another node that it was made from.
    pub original: Option<ReportedOriginal>,
    /// `sha256:` and 64 hexadecimal digits; bundles and versions need it.
    pub content_digest: Option<String>,
}

/// An object on another node, as the reporting node wrote it.
#[derive(Clone, Debug)]
pub struct ReportedOriginal {
    /// The other node's short name.
    pub node: String,
    /// What that node calls it.
    pub key: String,
}

/// What became of one row of a batch.
#[derive(Clone, Debug)]
pub struct SyncRow {
    /// What the row is about.
    pub kind: SourceKind,
    /// What the node calls it, as it wrote it.
    pub key: String,
    /// The object as it is after the whole batch, or why this row did nothing.
    pub result: Result<Arc<SourceObject>, Refusal>,
}

/// What a batch says of one row, before it is known what came after it.
pub(super) struct Handled {
    pub(super) kind: SourceKind,
    pub(super) key: String,
    pub(super) result: Result<SourceObjectId, Refusal>,
}

/// A row, read.
struct Sighting {
    kind: SourceKind,
    key: ExternalKey,
    name: Name,
    description: Text,
    parent: Option<SourceObjectId>,
    original: Option<Original>,
    content_digest: Option<String>,
}

struct Batch<'s> {
    view: View<'s>,
    node: SourceNodeId,
    draft: Draft,
    ids: &'s dyn Ids,
    now: Timestamp,
}

impl Outcome for Vec<SyncRow> {
    /// Reporting again changes nothing and answers the same, so there is nothing to remember.
    fn ids(&self) -> Option<Vec<Uuid>> {
        None
    }

    fn again(_: &[Uuid], _: View<'_>) -> Result<Self, Denied> {
        Err(Denied::NotFound)
    }
}

impl<A: Asks<Tenant>> Allowed<'_, A, Tenant> {
    /// The node whose sync key asks.
    pub(super) fn own_node(&self) -> Result<SourceNodeId, Denied> {
        self.caller()?.node(Scope::Sync).ok_or(Denied::Forbidden("the scope SYNC"))
    }
}

/// # Errors
/// `TOO_MANY_ROWS`.
pub(super) const fn rows_must_fit(rows: usize) -> Result<(), Refusal> {
    if rows > SYNC_ROWS_MAX { Err(Refusal::TooManyRows { rows, most: SYNC_ROWS_MAX }) } else { Ok(()) }
}

/// The rows with their objects as they are in `state`.
pub(super) fn answered(state: &State, rows: Vec<Handled>) -> Vec<SyncRow> {
    let answer = |Handled { kind, key, result }| {
        let object =
            |id| state.source_object(id).cloned().ok_or_else(|| Refusal::Unknown { path: "objects".to_owned() });
        SyncRow { kind, key, result: result.and_then(object) }
    };
    rows.into_iter().map(answer).collect()
}

impl Allowed<'_, SyncSourceObjects, Tenant> {
    /// Enters what the node reports, in the order of the rows, and answers each row. What is as it was
    /// writes nothing and tells nothing; a bad row is answered with its refusal and stops no other.
    ///
    /// # Errors
    /// `TOO_MANY_ROWS`; `Forbidden` for whoever is not a node's sync key.
    pub fn sync(self, batch: Vec<Reported>, ids: &dyn Ids, now: Timestamp) -> Result<Change<Vec<SyncRow>>, Stopped> {
        rows_must_fit(batch.len())?;
        let node = self.own_node()?;
        let mut sync = Batch { view: self.view(), node, draft: self.draft(), ids, now };
        let rows = batch.into_iter().enumerate().map(|(n, reported)| {
            let (kind, key) = (reported.kind, reported.key.clone());
            Handled { kind, key, result: sync.row(n, &reported) }
        });
        let rows: Vec<_> = rows.collect();
        let mut draft = sync.draft;
        let touched: BTreeSet<_> = rows.iter().filter_map(|row| row.result.as_ref().ok().copied()).collect();
        consequences::of_sources(&mut draft, self.state(), &touched);
        let rows = answered(draft.next(), rows);
        Ok(draft.done(rows))
    }
}

impl Batch<'_> {
    fn row(&mut self, n: usize, reported: &Reported) -> Result<SourceObjectId, Refusal> {
        let seen = self.read(n, reported)?;
        let known = self.draft.next().source_by_key(self.node, seen.kind, &seen.key).cloned();
        let (source, fresh) = match known {
            None => (self.enter(seen), true),
            Some(known) => self.refresh(n, &known, seen)?,
        };
        govern_by_rule(&mut self.draft, self.view, &source, fresh, self.ids, self.now);
        Ok(source.id)
    }

    fn read(&self, n: usize, reported: &Reported) -> Result<Sighting, Refusal> {
        let path = |field: &str| format!("objects.{n}.{field}");
        let key = ExternalKey::parse(&path("key"), &reported.key)?;
        let name = Name::parse(&path("name"), &reported.name)?;
        let description = Text::parse(&path("description"), reported.description.as_deref().unwrap_or_default())?;
        let parent = self.parent(&path("parentKey"), reported)?;
        let original = match &reported.original {
            None => None,
            Some(original) => Some(Original {
                node: Slug::parse(&path("original.node"), &original.node)?,
                key: ExternalKey::parse(&path("original.key"), &original.key)?,
            }),
        };
        let content_digest = digest(path("contentDigest"), reported)?;
        Ok(Sighting { kind: reported.kind, key, name, description, parent, original, content_digest })
    }

    /// The live parent, which only the same node can have reported.
    fn parent(&self, path: &str, reported: &Reported) -> Result<Option<SourceObjectId>, Refusal> {
        let wrong = |wanted: String| Err(Refusal::WrongParent { path: path.to_owned(), wanted });
        match (reported.kind.parent(), &reported.parent_key) {
            (None, None) => Ok(None),
            (None, Some(_)) => wrong("no parent".to_owned()),
            (Some(kind), None) => wrong(format!("a parent of the kind {}", kind.as_str())),
            (Some(kind), Some(key)) => {
                let key = ExternalKey::parse(path, key)?;
                let parent = self.draft.next().source_by_key(self.node, kind, &key);
                let parent = parent.filter(|parent| parent.archived_at.is_none());
                parent.map(|parent| Some(parent.id)).ok_or_else(|| Refusal::UnknownParent { path: path.to_owned() })
            }
        }
    }

    fn enter(&mut self, seen: Sighting) -> Arc<SourceObject> {
        let Sighting { kind, key, name, description, parent, original, content_digest } = seen;
        let source = SourceObject {
            id: SourceObjectId::new(self.ids),
            node: self.node,
            kind,
            key,
            name: name.clone(),
            description,
            parent,
            original,
            content_digest: content_digest.clone(),
            governance: Governance::Ungoverned,
            published: None,
            archived_at: None,
            created_at: self.now,
            changed_at: self.now,
        };
        let subject = Subject::Source(source.id, None);
        self.draft.put(source, subject, EventKind::SourceObjectReported { kind, name, content_digest })
    }

    /// The known object as it is reported now, and whether it came back from being archived.
    fn refresh(
        &mut self,
        n: usize,
        known: &Arc<SourceObject>,
        seen: Sighting,
    ) -> Result<(Arc<SourceObject>, bool), Refusal> {
        // Items keep their place: an object does not move below another parent under its own key.
        if known.parent != seen.parent {
            let parent = known.parent.and_then(|parent| self.draft.next().source_object(parent));
            let parent = parent.map(|parent| parent.key.to_string()).unwrap_or_default();
            let wanted = format!("the parent {parent}, under which it was reported before");
            return Err(Refusal::WrongParent { path: format!("objects.{n}.parentKey"), wanted });
        }
        let back = known.archived_at.is_some();
        let same = !back
            && known.name == seen.name
            && known.description == seen.description
            && known.original == seen.original
            && known.content_digest == seen.content_digest;
        if same {
            return Ok((Arc::clone(known), false));
        }
        let Sighting { kind, name, description, original, content_digest, .. } = seen;
        let event = if back {
            EventKind::SourceObjectReported { kind, name: name.clone(), content_digest: content_digest.clone() }
        } else {
            EventKind::SourceObjectChanged { name: name.clone(), content_digest: content_digest.clone() }
        };
        let changed_at = self.now;
        let own = (**known).clone();
        let next = SourceObject { name, description, original, content_digest, archived_at: None, changed_at, ..own };
        let subject = Subject::Source(next.id, next.item());
        Ok((self.draft.put(next, subject, event), back))
    }
}

/// The digest in lower case, so that equal content is written in one way.
fn digest(path: String, reported: &Reported) -> Result<Option<String>, Refusal> {
    match &reported.content_digest {
        None if reported.kind.is_deployable() => Err(Refusal::DigestMissing { path }),
        None => Ok(None),
        Some(digest) => {
            let hexadecimal = digest.strip_prefix("sha256:");
            let sound = hexadecimal.is_some_and(|hex| hex.len() == 64 && hex.chars().all(|c| c.is_ascii_hexdigit()));
            if sound { Ok(Some(digest.to_ascii_lowercase())) } else { Err(Refusal::DigestNotAllowed { path }) }
        }
    }
}
