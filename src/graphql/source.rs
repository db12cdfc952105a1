//! Source objects as clients read them.
//! Never lets a person write one: only sync does.

use super::{call::connection, deployment::Deployment, id::global, item::GovernedItem, scalar::DateTime};
use crate::{
    app::Seen,
    domain::{action::ReadSourceObject, record::Kind, source},
};
use async_graphql::{Enum, ID, Object};

/// What a source object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Enum)]
#[graphql(remote = "source::SourceKind")]
pub(super) enum SourceKind {
    /// A project.
    Project,
    /// A bundle: one deployable state of a project.
    Bundle,
    /// A saved model of a project.
    SavedModel,
    /// A version of a saved model.
    ModelVersion,
}

/// What the governance of a source object has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "source::ValidationStatus")]
pub(super) enum ValidationStatus {
    /// No item governs it.
    NotGoverned,
    /// Nobody has asked for a sign-off yet, or there is none to give.
    NotValidated,
    /// A sign-off is waiting.
    InValidation,
    /// An approver approved.
    Approved,
    /// An approver rejected.
    Rejected,
    /// The sign-off was given up.
    Abandoned,
}

/// Whether a source object is governed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(super) enum GovernanceStatus {
    /// Nobody has decided.
    Ungoverned,
    /// An item is its governance side.
    Governed,
    /// Somebody decided that it need not be governed.
    Hidden,
}

/// What a node reports: a project, bundle, saved model or model version.
#[derive(Clone)]
pub(super) struct SourceObject(pub(super) Seen<source::SourceObject>);

/// What a node reports: a project, bundle, saved model or model version.
#[Object]
impl SourceObject {
    /// The object's id here.
    pub(super) async fn id(&self) -> ID {
        global(Kind::SourceObject, self.0.id.uuid())
    }

    /// What it is.
    async fn kind(&self) -> SourceKind {
        self.0.kind.into()
    }

    /// What its node calls it.
    async fn key(&self) -> &str {
        self.0.key.as_str()
    }

    /// What people call it on its node.
    async fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// What its node says about it.
    async fn description(&self) -> &str {
        self.0.description.as_str()
    }

    /// The object that it belongs to on its node.
    async fn parent(&self) -> Option<Self> {
        self.0.parent.and_then(|parent| Seen::find(self.0.snapshot(), parent).ok()).map(Self)
    }

    /// `sha256:` and the digest of its content; bundles and versions have one.
    async fn content_digest(&self) -> Option<&str> {
        self.0.content_digest.as_deref()
    }

    /// Whether it is governed.
    async fn governance_status(&self) -> GovernanceStatus {
        match self.0.governance {
            source::Governance::Ungoverned => GovernanceStatus::Ungoverned,
            source::Governance::Governed(_) => GovernanceStatus::Governed,
            source::Governance::Hidden => GovernanceStatus::Hidden,
        }
    }

    /// The item that governs it; null where there is none, or you may not read it.
    async fn item(&self) -> Option<GovernedItem> {
        self.0.item().and_then(|item| Seen::find(self.0.snapshot(), item).ok()).map(GovernedItem)
    }

    /// What its governance has come to.
    async fn validation_status(&self) -> ValidationStatus {
        let source = self.0.view().source_object(self.0.id).and_then(|source| source.authorize::<ReadSourceObject>());
        source.map_or(ValidationStatus::NotGoverned, |source| source.validation().into())
    }

    /// The key of the step that its item is in; null where none is ongoing.
    async fn current_step(&self) -> Option<String> {
        let item =
            self.0.item().and_then(|item| Seen::<crate::domain::item::Item>::find(self.0.snapshot(), item).ok())?;
        item.workflow.ongoing().map(ToString::to_string)
    }

    /// Whether it is published to the deployer.
    async fn published(&self) -> bool {
        self.0.published.is_some()
    }

    /// Where it is deployed.
    async fn deployments(&self) -> Vec<Deployment> {
        let deployments = self.0.view().deployments_of(self.0.id);
        deployments.filter_map(|found| Seen::find(self.0.snapshot(), found.id).ok()).map(Deployment).collect()
    }

    /// When its node reported that it is gone.
    async fn archived_at(&self) -> Option<DateTime> {
        self.0.archived_at.map(Into::into)
    }

    /// When it was first reported.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When its node last reported something new about it.
    async fn changed_at(&self) -> DateTime {
        self.0.changed_at.into()
    }
}

connection! {
    /// A page of source objects.
    SourceObjectConnection, SourceObjectEdge of SourceObject(source::SourceObject)
}
