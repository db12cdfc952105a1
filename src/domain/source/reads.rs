//! What can be read from a source object on: only what its reader may read too.
//! Never computes a status of its own; those are in `source` and `deployment`.

use super::{SourceObject, ValidationStatus, validation};
use crate::domain::{
    access::{Allowed, Resource},
    action::{Need, ReadSourceObject},
    deployment::Deployment,
    governance::{EffectiveRule, effective_rule},
    identity::SourceNode,
    item::Item,
    text::StepKey,
};
use std::sync::Arc;

impl<'s> Allowed<'s, ReadSourceObject, SourceObject> {
    /// What its governance has come to.
    pub fn validation(&self) -> ValidationStatus {
        validation(self.state(), self)
    }

    /// The step that its item is in, while that is live: shown with the object, to its node too.
    pub fn current_step(&self) -> Option<&'s StepKey> {
        let item = self.item().and_then(|item| self.state().item(item)).filter(|item| item.is_live());
        item.and_then(|item| item.workflow.ongoing())
    }

    /// The node that reports it.
    pub fn node(&self) -> Option<&'s Arc<SourceNode>> {
        self.state().source_node(self.node)
    }

    /// The object that it belongs to, if the caller may read that.
    pub fn parent(&self) -> Option<&'s Arc<SourceObject>> {
        let parent = self.parent.and_then(|parent| self.state().source_object(parent));
        parent.filter(|parent| self.reads(parent.as_ref()))
    }

    /// The objects directly below it that its node still has and the caller may read, oldest first.
    pub fn children(&self) -> impl Iterator<Item = &'s Arc<SourceObject>> {
        let children = self.state().source_children(self.id);
        children.filter(|child| child.archived_at.is_none() && self.reads(child.as_ref()))
    }

    /// How many [`children`](Self::children) it has.
    pub fn children_count(&self) -> usize {
        self.children().count()
    }

    /// The item that governs it, if the caller may read that.
    pub fn governed_item(&self) -> Option<&'s Arc<Item>> {
        let item = self.item().and_then(|item| self.state().item(item));
        item.filter(|item| self.reads(item.as_ref()))
    }

    /// Its deployments that the caller may read, oldest first.
    pub fn deployments(&self) -> Vec<&'s Arc<Deployment>> {
        self.state().deployments_of(self.id).filter(|deployment| self.reads(deployment.as_ref())).collect()
    }

    /// What the instance rules say of such an object under its parent, and whose rule that is.
    pub fn effective_rule(&self) -> EffectiveRule {
        effective_rule(self.state(), self.kind, self.parent)
    }

    fn reads(&self, record: &impl Resource) -> bool {
        record.may(Need::Read, self.view()).is_ok()
    }
}
