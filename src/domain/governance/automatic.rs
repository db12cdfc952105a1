//! Governance that the server does by itself, in the same change as the report: by instance rules and originals.
//! Never fails a report: what a rule cannot do, it leaves to people.

use super::{InstanceRule, effective_rule};
use crate::domain::{
    access::{SystemActor, View},
    event::{EventKind, Subject},
    field::Fields,
    id::{Ids, ItemId, TemplateId},
    item::{Item, Origin, create, usable_template},
    source::{Governance, SourceKind, SourceObject},
    state::{Draft, State},
    time::Timestamp,
};
use std::sync::Arc;

const BY: SystemActor = SystemActor::AutomaticGovernance;

/// Governs or hides a reported object where its original, its parent or the effective rule says so.
/// A rule is applied once, to a `fresh` object; an original that is governed counts at every report.
pub(in crate::domain) fn govern_by_rule(
    draft: &mut Draft,
    view: View<'_>,
    source: &SourceObject,
    fresh: bool,
    ids: &dyn Ids,
    now: Timestamp,
) {
    if !source.is_governable() {
        return;
    }
    // The project is governed already, on the node that it comes from.
    if let Some(item) = item_of_original(draft.next(), source) {
        return link(draft, source, item);
    }
    if !fresh {
        return;
    }
    let parent = source.parent.and_then(|parent| draft.next().source_object(parent));
    if parent.is_some_and(|parent| parent.governance == Governance::Hidden) {
        return hide(draft, source);
    }
    match effective_rule(draft.next(), source.kind, source.parent).rule {
        InstanceRule::Govern(template) => govern(draft, view, source, template, ids, now),
        InstanceRule::Hide => hide(draft, source),
        InstanceRule::Recommend(_) | InstanceRule::Nothing => {}
    }
}

/// The live item that governs the object's parent.
pub(super) fn item_of_parent<'s>(state: &'s State, source: &SourceObject) -> Option<&'s Arc<Item>> {
    let parent = state.source_object(source.parent?)?;
    state.item(parent.item()?).filter(|item| item.is_live())
}

/// The live item that governs the project from which this one was made on another node.
fn item_of_original(state: &State, source: &SourceObject) -> Option<ItemId> {
    let original = source.original.as_ref().filter(|_| source.kind == SourceKind::Project)?;
    let node = state.source_node_by_slug(original.node.as_str())?;
    let project = state.source_by_key(node.id, SourceKind::Project, &original.key)?;
    state.item(project.item()?).filter(|item| item.is_live()).map(|item| item.id)
}

fn govern(
    draft: &mut Draft,
    view: View<'_>,
    source: &SourceObject,
    template: TemplateId,
    ids: &dyn Ids,
    now: Timestamp,
) {
    let parent = item_of_parent(draft.next(), source).map(|parent| parent.id);
    if parent.is_none() && source.kind.parent().is_some() {
        return;
    }
    let Ok(template) = usable_template(view, "templateId", template, source.kind.item_type()) else { return };
    let origin = Origin { template, parent, creator: None, by: Some(BY) };
    let item = create(draft, &origin, source.name.clone(), Fields::new(), ids, now);
    link(draft, source, item.id);
}

fn link(draft: &mut Draft, source: &SourceObject, item: ItemId) {
    let next = SourceObject { governance: Governance::Governed(item), ..source.clone() };
    let subject = Subject::Source(source.id, Some(item));
    draft.follow(BY, next, subject, EventKind::SourceObjectGoverned { item });
}

fn hide(draft: &mut Draft, source: &SourceObject) {
    let next = SourceObject { governance: Governance::Hidden, ..source.clone() };
    draft.follow(BY, next, Subject::Source(source.id, None), EventKind::SourceObjectHidden {});
}
