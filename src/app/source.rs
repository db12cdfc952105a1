//! What nodes and callers ask of source objects: reports, deletions, publication; and what is read of one.
//! Never checks a rule: `domain/source` and `domain/deployment` do.

use super::{App, Call, Committed, Failed, Seen};
use crate::domain::{
    access::{Allowed, Denied},
    action::{DeleteSourceObjects, PublishSourceObject, ReadSourceObject, SyncSourceObjects},
    deployment::Deployment,
    governance::EffectiveRule,
    id::SourceObjectId,
    identity::SourceNode,
    item::Item,
    source::{Reported, SourceKey, SourceKind, SourceObject, SyncRow, ValidationStatus},
    text::{ExternalKey, Slug, StepKey},
};
use crate::store::Snapshot;
use std::sync::Arc;

impl App {
    /// Enters what a node reports, row by row.
    ///
    /// # Errors
    /// As the rule; a bad row is answered in its place.
    pub async fn sync_source_objects(
        &self,
        call: &Call,
        batch: Vec<Reported>,
    ) -> Result<Committed<Vec<SyncRow>>, Failed> {
        self.write(call, move |turn| {
            let tenant = turn.view().tenant()?.authorize::<SyncSourceObjects>()?;
            turn.stage(tenant.sync(batch, turn.ids(), turn.now())?)
        })
        .await
    }

    /// Archives what a node reports as gone, row by row.
    ///
    /// # Errors
    /// As the rule; an unknown key is answered in its place.
    pub async fn delete_source_objects(
        &self,
        call: &Call,
        keys: Vec<SourceKey>,
    ) -> Result<Committed<Vec<SyncRow>>, Failed> {
        self.write(call, move |turn| {
            let tenant = turn.view().tenant()?.authorize::<DeleteSourceObjects>()?;
            turn.stage(tenant.delete_sources(keys, turn.now())?)
        })
        .await
    }

    /// Publishes a bundle or version to the deployer.
    ///
    /// # Errors
    /// As the rule.
    pub async fn publish_source_object(
        &self,
        call: &Call,
        id: SourceObjectId,
    ) -> Result<Committed<Arc<SourceObject>>, Failed> {
        self.write(call, move |turn| {
            let source = turn.view().source_object(id)?.authorize::<PublishSourceObject>()?;
            turn.stage(source.publish(turn.now())?)
        })
        .await
    }
}

/// The source object that a node, or else the caller's own node, calls by this key.
///
/// # Errors
/// `NotFound` when there is none for the viewer.
pub fn source_by_key(
    snapshot: &Snapshot,
    node: Option<&Slug>,
    kind: SourceKind,
    key: &ExternalKey,
) -> Result<Seen<SourceObject>, Denied> {
    Seen::find(snapshot, snapshot.view().source_by_key(node, kind, key)?.id)
}

impl Seen<SourceObject> {
    fn opened(&self) -> Result<Allowed<'_, ReadSourceObject, SourceObject>, Denied> {
        self.view().source_object(self.id)?.authorize()
    }

    /// What its governance has come to.
    ///
    /// # Errors
    /// None in the version in which it was read.
    pub fn validation(&self) -> Result<ValidationStatus, Denied> {
        Ok(self.opened()?.validation())
    }

    /// The key of the step that its item is in.
    pub fn current_step(&self) -> Option<StepKey> {
        self.opened().ok()?.current_step().cloned()
    }

    /// The node that reports it.
    pub fn source_node(&self) -> Option<Arc<SourceNode>> {
        self.opened().ok()?.node().cloned()
    }

    /// The object that it belongs to.
    pub fn parent_object(&self) -> Option<Self> {
        self.parent.and_then(|parent| Self::find(self.snapshot(), parent).ok())
    }

    /// The objects directly below it that its node still has, oldest first.
    pub fn children(&self) -> Vec<Self> {
        let children: Vec<_> = self.opened().map(|source| source.children().collect()).unwrap_or_default();
        Self::all(self.snapshot(), children.into_iter()).collect()
    }

    /// How many of those there are.
    pub fn children_count(&self) -> usize {
        self.opened().map(|source| source.children_count()).unwrap_or_default()
    }

    /// The item that governs it.
    pub fn governed_item(&self) -> Option<Seen<Item>> {
        self.item().and_then(|item| Seen::find(self.snapshot(), item).ok())
    }

    /// Its deployments, oldest first.
    pub fn deployments(&self) -> Vec<Seen<Deployment>> {
        Seen::all(self.snapshot(), self.view().deployments_of(self.id)).collect()
    }

    /// What the instance rules say of such an object under its parent, and whose rule that is.
    ///
    /// # Errors
    /// None in the version in which it was read.
    pub fn effective_rule(&self) -> Result<EffectiveRule, Denied> {
        Ok(self.opened()?.effective_rule())
    }
}
