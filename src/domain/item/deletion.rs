//! Deleting an item: what would go, and the two ways for what hangs on it.
//! Never removes history: a tombstone stays, with the fields that roles depend on.

use super::{Item, Life};
use crate::domain::{
    access::{Allowed, Stopped, SystemActor},
    action::{Asks, DeleteItem, PreviewDeletion},
    consequences,
    event::{EventKind, Subject},
    field::Fields,
    id::SourceObjectId,
    policy::{Criterion, RuleActor},
    refusal::Refusal,
    source::{Governance, SourceObject},
    state::{Change, State},
    time::Timestamp,
};
use crate::limits::CONSEQUENCES_MAX;
use std::{collections::BTreeSet, sync::Arc};

/// What happens to the items below a deleted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletionMode {
    /// They are archived.
    UngovernChildren,
    /// They are deleted too.
    DeleteChildren,
}

/// What a deletion would take along; the source objects become ungoverned in either mode.
#[derive(Clone, Debug)]
pub struct DeletionPreview {
    /// The items below it, parents before children.
    pub items: Vec<Arc<Item>>,
    /// The source objects of the item and of those below it.
    pub sources: Vec<Arc<SourceObject>>,
}

impl<A: Asks<Item>> Allowed<'_, A, Item> {
    fn affected(&self) -> Result<DeletionPreview, Refusal> {
        let state = self.state();
        let mut items: Vec<Arc<Item>> = vec![];
        let mut parents = vec![self.id];
        while let Some(parent) = parents.pop() {
            for child in state.children(parent).filter(|child| !child.is_deleted()) {
                parents.push(child.id);
                items.push(Arc::clone(child));
            }
            if items.len() > CONSEQUENCES_MAX {
                return Err(Refusal::TooManyConsequences { objects: items.len(), most: CONSEQUENCES_MAX });
            }
        }
        items.sort_by_key(|item| (item.item_type, item.id));
        let ids = std::iter::once(self.id).chain(items.iter().map(|item| item.id));
        let sources = ids.flat_map(|item| state.sources_of(item)).cloned().collect();
        Ok(DeletionPreview { items, sources })
    }
}

impl Allowed<'_, PreviewDeletion, Item> {
    /// What a deletion would take along now.
    ///
    /// # Errors
    /// `ITEM_DELETED`, or `TOO_MANY_CONSEQUENCES`.
    pub fn preview(&self) -> Result<DeletionPreview, Refusal> {
        if self.is_deleted() {
            return Err(Refusal::ItemDeleted {});
        }
        self.affected()
    }
}

impl Allowed<'_, DeleteItem, Item> {
    /// Deletes the item; what hangs on it is archived or deleted, and its source objects are ungoverned.
    ///
    /// # Errors
    /// `REVISION_CONFLICT`, `ITEM_DELETED`, or `TOO_MANY_CONSEQUENCES`.
    pub fn delete(
        self,
        mode: DeletionMode,
        expected_revision: u64,
        now: Timestamp,
    ) -> Result<Change<Arc<Item>>, Stopped> {
        if self.is_deleted() {
            return Err(Refusal::ItemDeleted {}.into());
        }
        self.must_be_at(expected_revision)?;
        let DeletionPreview { items, sources } = self.affected()?;
        let state = self.state();
        let mut draft = self.draft();
        let tombstone = buried(state, self.record(), now);
        let gone = EventKind::ItemDeleted { name: self.name.clone() };
        let deleted = draft.put(tombstone, Subject::Item(self.id), gone);
        for item in &items {
            let (next, event) = match mode {
                DeletionMode::DeleteChildren => {
                    (buried(state, item, now), EventKind::ItemDeleted { name: item.name.clone() })
                }
                DeletionMode::UngovernChildren => (
                    Item { life: Life::Archived(now), revision: item.revision + 1, ..(**item).clone() },
                    EventKind::ItemArchived { name: item.name.clone() },
                ),
            };
            draft.follow(SystemActor::Consequence, next, Subject::Item(item.id), event);
        }
        let mut touched: BTreeSet<SourceObjectId> = BTreeSet::new();
        for source in &sources {
            let Some(item) = source.item() else { continue };
            touched.insert(source.id);
            let next = SourceObject { governance: Governance::Ungoverned, ..(**source).clone() };
            let subject = Subject::Source(source.id, Some(item));
            draft.follow(SystemActor::Consequence, next, subject, EventKind::SourceObjectUngoverned { item });
        }
        consequences::of_sources(&mut draft, state, &touched);
        Ok(draft.done(deleted))
    }
}

/// What stays of a deleted item.
fn buried(state: &State, item: &Item, now: Timestamp) -> Item {
    let mut keys = BTreeSet::new();
    for rule in state.tables.assignment_rules.values() {
        keys.extend(rule.actors.iter().filter_map(|actor| match actor {
            RuleActor::Field(field) => Some(field.clone()),
            RuleActor::User(_) | RuleActor::Group(_) | RuleActor::Key(_) => None,
        }));
        keys.extend(rule.criteria.iter().filter_map(|criterion| match criterion {
            Criterion::FieldIs(field, _) => Some(field.clone()),
            Criterion::TemplateIs(_) | Criterion::ActiveStep(_) | Criterion::ItemExists | Criterion::ItemDeleted => {
                None
            }
        }));
    }
    keys.extend(state.grants(item.item_type).into_iter().flat_map(|grants| grants.inherits_fields.clone()));
    let fields: Fields = item.fields.clone().into_iter().filter(|(key, _)| keys.contains(key)).collect();
    Item { fields, life: Life::Deleted(now), revision: item.revision + 1, changed_at: now, ..item.clone() }
}
