//! To what something happened, and under whose timelines it stands.
//! Never decides who may read it: `reads` does.

use crate::domain::id::{DeploymentId, InfrastructureId, ItemId, SourceObjectId, TemplateId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// To what something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// An item, its fields, steps and sign-offs.
    Item(ItemId),
    /// A source object, and the item that governs it.
    Source(SourceObjectId, Option<ItemId>),
    /// An infrastructure.
    Infrastructure(InfrastructureId),
    /// A deployment of a source object, and the item that governs it.
    Deployment(DeploymentId, SourceObjectId, Option<ItemId>),
    /// A template.
    Template(TemplateId),
    /// A person, group, key, node or session; for administrators and auditors.
    Identity(Uuid),
    /// A role, a rule that gives one, or a set of grants; for those who manage, and auditors.
    Access(Uuid),
    /// The tenant itself; for administrators and auditors.
    Tenant,
}

impl Subject {
    /// The item that it concerns, if any.
    pub const fn item(&self) -> Option<ItemId> {
        match self {
            Self::Item(item) => Some(*item),
            Self::Source(_, item) | Self::Deployment(_, _, item) => *item,
            Self::Infrastructure(_) | Self::Template(_) | Self::Identity(_) | Self::Access(_) | Self::Tenant => None,
        }
    }

    /// Everything under whose timeline the event stands.
    pub fn mentions(&self) -> Vec<Uuid> {
        let item = self.item().map(ItemId::uuid);
        let own = match self {
            Self::Item(_) | Self::Tenant => None,
            Self::Source(source, _) => Some(source.uuid()),
            Self::Infrastructure(infrastructure) => Some(infrastructure.uuid()),
            Self::Deployment(deployment, source, _) => {
                return [Some(deployment.uuid()), Some(source.uuid()), item].into_iter().flatten().collect();
            }
            Self::Template(template) => Some(template.uuid()),
            Self::Identity(uuid) | Self::Access(uuid) => Some(*uuid),
        };
        own.into_iter().chain(item).collect()
    }
}
