//! Nodes report that objects are gone: they are archived, and everything below them.
//! Never removes a record, an item or a history.

use super::{
    SourceKind, SourceObject, descendants,
    sync::{Handled, SyncRow, answered, rows_must_fit},
};
use crate::domain::{
    access::{Allowed, Stopped, SystemActor},
    action::DeleteSourceObjects,
    event::{EventKind, Subject},
    id::{SourceNodeId, SourceObjectId},
    refusal::Refusal,
    state::{Change, Draft},
    tenant::Tenant,
    text::ExternalKey,
    time::Timestamp,
};
use crate::limits::CONSEQUENCES_MAX;

/// What a node calls one of its objects.
#[derive(Clone, Debug)]
pub struct SourceKey {
    /// What it is.
    pub kind: SourceKind,
    /// Its key, as the node wrote it.
    pub key: String,
}

impl Allowed<'_, DeleteSourceObjects, Tenant> {
    /// Archives the node's objects and all below them; what is archived already is answered as it is.
    /// An unknown key, or one with more below it than one change carries, refuses its row only.
    ///
    /// # Errors
    /// `TOO_MANY_ROWS`; `Forbidden` for whoever is not a node's sync key.
    pub fn delete_sources(self, keys: Vec<SourceKey>, now: Timestamp) -> Result<Change<Vec<SyncRow>>, Stopped> {
        rows_must_fit(keys.len())?;
        let node = self.own_node()?;
        let mut draft = self.draft();
        let mut room = CONSEQUENCES_MAX;
        let mut rows = vec![];
        for (n, SourceKey { kind, key }) in keys.into_iter().enumerate() {
            let result = archive(&mut draft, node, &format!("objects.{n}.key"), (kind, &key), &mut room, now);
            rows.push(Handled { kind, key, result });
        }
        let rows = answered(draft.next(), rows);
        Ok(draft.done(rows))
    }
}

fn archive(
    draft: &mut Draft,
    node: SourceNodeId,
    path: &str,
    (kind, key): (SourceKind, &str),
    room: &mut usize,
    now: Timestamp,
) -> Result<SourceObjectId, Refusal> {
    let key = ExternalKey::parse(path, key)?;
    let source = draft.next().source_by_key(node, kind, &key).cloned();
    let source = source.ok_or_else(|| Refusal::Unknown { path: path.to_owned() })?;
    if source.archived_at.is_some() {
        return Ok(source.id);
    }
    let below = descendants(draft.next(), source.id, *room, |child| child.archived_at.is_none())?;
    *room -= below.len();
    let (next, subject, event) = archived(&source, now);
    draft.put(next, subject, event);
    for child in &below {
        let (next, subject, event) = archived(child, now);
        draft.follow(SystemActor::Consequence, next, subject, event);
    }
    Ok(source.id)
}

fn archived(source: &SourceObject, now: Timestamp) -> (SourceObject, Subject, EventKind) {
    let event = EventKind::SourceObjectArchived { name: source.name.clone() };
    let next = SourceObject { archived_at: Some(now), changed_at: now, ..source.clone() };
    (next, Subject::Source(source.id, source.item()), event)
}
