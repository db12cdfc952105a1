//! What follows from a change in records that nobody touched: statuses and health, announced in the same commit.
//! Never stores a status: it compares what is computed before with what is computed after.

use super::{
    access::SystemActor,
    deployment::health,
    event::{EventKind, Subject},
    id::{ItemId, SourceObjectId},
    source::validation,
    state::{Draft, State},
};
use std::collections::BTreeSet;

/// Announces what changed for the source objects of an item because one of its sign-offs moved.
pub(in crate::domain) fn of_sign_off(draft: &mut Draft, before: &State, item: ItemId) {
    let sources = before.sources_of(item).map(|source| source.id).collect();
    of_sources(draft, before, &sources);
}

/// Announces what changed for these source objects and their deployments since `before`.
pub(in crate::domain) fn of_sources(draft: &mut Draft, before: &State, sources: &BTreeSet<SourceObjectId>) {
    let mut announced = vec![];
    let after = draft.next();
    for id in sources {
        let Some(source) = after.source_object(*id) else { continue };
        // What ends with its item is told where the item's history stands.
        let item = source.item().or_else(|| before.source_object(*id).and_then(|source| source.item()));
        let new = validation(after, source);
        let old = before.source_object(*id).map(|source| validation(before, source));
        if let Some(old) = old.filter(|old| *old != new) {
            announced.push((Subject::Source(*id, item), EventKind::ValidationChanged { old, new }));
        }
        for deployment in after.deployments_of(*id) {
            let new = health(after, deployment);
            let old = before.deployment(deployment.id).map(|deployment| health(before, deployment));
            if let Some(old) = old.filter(|old| *old != new) {
                let subject = Subject::Deployment(deployment.id, *id, item);
                announced.push((subject, EventKind::HealthChanged { old, new }));
            }
        }
    }
    for (subject, event) in announced {
        draft.tell(Some(SystemActor::Consequence), subject, event);
    }
}
