//! Source objects as clients read them.
//! Never lets a person write one: only sync does.

use super::{
    api_key::SourceNode,
    call::{connection, page, snapshot},
    deployment::Deployment,
    error::{PageError, denied, failed},
    governance::EffectiveRule,
    id::global,
    identity::User,
    item::GovernedItem,
    scalar::DateTime,
};
use crate::{
    app::{self, Seen, source_by_key},
    domain::{
        record::Kind,
        source,
        text::{ExternalKey, Slug},
    },
};
use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};

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
#[graphql(remote = "app::GovernanceStatus")]
pub(super) enum GovernanceStatus {
    /// Nobody has decided.
    Ungoverned,
    /// An item is its governance side.
    Governed,
    /// Somebody decided that it need not be governed.
    Hidden,
}

/// The object on another node that a source object was made from.
#[derive(SimpleObject)]
pub(super) struct SourceOriginal {
    /// The other node's short name.
    node: String,
    /// What that node calls it.
    key: String,
}

/// That a bundle or version was published to the deployer.
#[derive(SimpleObject)]
pub(super) struct Publication {
    /// Who published it; null for a key.
    by: Option<User>,
    /// When.
    at: DateTime,
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

    /// The node that reports it.
    async fn node(&self) -> Option<SourceNode> {
        Seen::find(self.0.snapshot(), self.0.node).ok().map(SourceNode)
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
        self.0.parent_object().map(Self)
    }

    /// The objects directly below it that its node still has and you may read, oldest first.
    async fn children(
        &self,
        #[graphql(desc = "The first so many rows: 0 to 100; 25 where nothing is named.")] first: Option<i32>,
        #[graphql(desc = "Rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many rows: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Rows before this cursor.")] before: Option<String>,
    ) -> Result<SourceObjectConnection> {
        let request = page(first, after, last, before)?;
        let rows = self.0.children().into_iter().map(|child| (child.id.uuid(), child));
        Ok(request.by_age(rows).map_err(PageError::from)?.into())
    }

    /// The object on another node that it was made from.
    async fn original(&self) -> Option<SourceOriginal> {
        let original = self.0.original.as_ref()?;
        Some(SourceOriginal { node: original.node.to_string(), key: original.key.to_string() })
    }

    /// `sha256:` and the digest of its content; bundles and versions have one.
    async fn content_digest(&self) -> Option<&str> {
        self.0.content_digest.as_deref()
    }

    /// Whether it is governed.
    async fn governance_status(&self) -> GovernanceStatus {
        app::GovernanceStatus::from(self.0.governance).into()
    }

    /// What the instance rules say of such an object in its place, and whose rule that is.
    async fn effective_rule(&self) -> Option<EffectiveRule> {
        let rule = self.0.effective_rule().ok()?;
        Some(EffectiveRule::shown(self.0.snapshot(), rule))
    }

    /// The item that governs it; null where there is none, or you may not read it.
    async fn item(&self) -> Option<GovernedItem> {
        self.0.governed_item().map(GovernedItem)
    }

    /// What its governance has come to.
    async fn validation_status(&self) -> ValidationStatus {
        self.0.validation().map_or(ValidationStatus::NotGoverned, Into::into)
    }

    /// The key of the step that its item is in; null where none is ongoing.
    async fn current_step(&self) -> Option<String> {
        self.0.current_step().map(|step| step.to_string())
    }

    /// Whether it is published to the deployer.
    async fn published(&self) -> bool {
        self.0.published.is_some()
    }

    /// When it was published to the deployer, and by whom; null while it is not.
    async fn publication(&self) -> Option<Publication> {
        let publication = self.0.published.as_ref()?;
        let by = publication.by.and_then(|user| Seen::find(self.0.snapshot(), user).ok()).map(User);
        Some(Publication { by, at: publication.at.into() })
    }

    /// Where it is deployed.
    async fn deployments(&self) -> Vec<Deployment> {
        self.0.deployments().into_iter().map(Deployment).collect()
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

/// Queries of source objects by what their nodes call them.
#[derive(Default)]
pub(super) struct SourceQuery;

#[Object]
impl SourceQuery {
    /// The source object that a node calls by this key: how a node asks for the status of its own objects.
    /// An error NOT_FOUND where there is none for you.
    async fn source_object(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What it is.")] kind: SourceKind,
        #[graphql(desc = "What its node calls it.")] key: String,
        #[graphql(desc = "The node's short name; a node's own key may leave it out.")] node: Option<String>,
    ) -> Option<Result<SourceObject>> {
        let found = async {
            let snapshot = snapshot(ctx).await?;
            let node = node.map(|node| Slug::parse("node", &node)).transpose();
            let node = node.map_err(|refusal| failed(refusal.into()))?;
            let key = ExternalKey::parse("key", &key).map_err(|refusal| failed(refusal.into()))?;
            let source = source_by_key(snapshot, node.as_ref(), kind.into(), &key).map_err(denied)?;
            Ok(SourceObject(source))
        };
        Some(found.await)
    }
}
