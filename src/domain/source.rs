//! Source objects: what nodes report. Read-only for people; only sync changes them.
//! Never stores what can be computed: the validation status follows from the item's sign-off.

mod deletion;
mod reads;
mod sync;

use super::{
    access::{Basis, Denied, Resource, View},
    action::Need,
    id::{ItemId, SourceNodeId, SourceObjectId, UserId},
    identity::Scope,
    infrastructure::{Infrastructure, InfrastructureGrant},
    item::Item,
    policy::Rights,
    refusal::Refusal,
    sign_off::{FinalReview, SignOff, SignOffStatus},
    state::State,
    template::ItemType,
    text::{ExternalKey, Name, Slug, StepKey, Text},
    time::Timestamp,
};
use crate::limits::CONSEQUENCES_MAX;
pub use deletion::SourceKey;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
pub use sync::{Reported, ReportedOriginal, SyncRow};

/// What a source object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// A project.
    Project,
    /// A bundle: one deployable state of a project.
    Bundle,
    /// A saved model of a project.
    SavedModel,
    /// A version of a saved model.
    ModelVersion,
}

/// What a node reports.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SourceObject {
    /// Its id here.
    pub id: SourceObjectId,
    /// The node that reports it.
    pub node: SourceNodeId,
    /// What it is.
    pub kind: SourceKind,
    /// What the node calls it, unique within node and kind.
    pub key: ExternalKey,
    /// What people call it on the node.
    pub name: Name,
    /// What the node says about it.
    #[serde(default)]
    pub description: Text,
    /// The object that it belongs to.
    pub parent: Option<SourceObjectId>,
    /// The object on another node that it was made from.
    pub original: Option<Original>,
    /// `sha256:` and the digest of its content; bundles and versions have one.
    pub content_digest: Option<String>,
    /// Whether it is governed.
    pub governance: Governance,
    /// When it was published to the deployer, and by whom.
    pub published: Option<Publication>,
    /// When its node reported that it is gone.
    pub archived_at: Option<Timestamp>,
    /// When it was first reported.
    pub created_at: Timestamp,
    /// When its node last reported something new about it.
    pub changed_at: Timestamp,
}

/// An object on another node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Original {
    /// The node's short name.
    pub node: Slug,
    /// What that node calls it.
    pub key: ExternalKey,
}

/// That a bundle or version was published to the deployer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// Who published it; none for a key.
    pub by: Option<UserId>,
    /// When.
    pub at: Timestamp,
}

/// Whether a source object is governed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Governance {
    /// Nobody has decided.
    Ungoverned,
    /// This item is its governance side.
    Governed(ItemId),
    /// Somebody decided that it need not be governed.
    Hidden,
}

/// What a source object's node sees of its sign-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValidationStatus {
    /// No item governs it.
    NotGoverned,
    /// Nobody has asked for a sign-off yet, there is none to give, or it was decided on other content.
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

impl SourceKind {
    /// Every kind, parents before children.
    pub const ALL: [Self; 4] = [Self::Project, Self::Bundle, Self::SavedModel, Self::ModelVersion];

    /// The type of item that governs such an object.
    pub const fn item_type(self) -> ItemType {
        match self {
            Self::Project => ItemType::GovernedProject,
            Self::Bundle => ItemType::GovernedBundle,
            Self::SavedModel => ItemType::GovernedModel,
            Self::ModelVersion => ItemType::GovernedModelVersion,
        }
    }

    /// The kind of the object that it belongs to.
    pub const fn parent(self) -> Option<Self> {
        match self {
            Self::Project => None,
            Self::Bundle | Self::SavedModel => Some(Self::Project),
            Self::ModelVersion => Some(Self::SavedModel),
        }
    }

    /// The kinds of object that can lie below such an object, nearest first.
    pub const fn below(self) -> &'static [Self] {
        match self {
            Self::Project => &[Self::Bundle, Self::SavedModel, Self::ModelVersion],
            Self::SavedModel => &[Self::ModelVersion],
            Self::Bundle | Self::ModelVersion => &[],
        }
    }

    /// The kind that items of a type govern; none for initiatives, which no node reports.
    pub const fn of_item_type(item_type: ItemType) -> Option<Self> {
        match item_type {
            ItemType::BusinessInitiative => None,
            ItemType::GovernedProject => Some(Self::Project),
            ItemType::GovernedBundle => Some(Self::Bundle),
            ItemType::GovernedModel => Some(Self::SavedModel),
            ItemType::GovernedModelVersion => Some(Self::ModelVersion),
        }
    }

    /// Its name in the paths of an input.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Project => "PROJECT",
            Self::Bundle => "BUNDLE",
            Self::SavedModel => "SAVED_MODEL",
            Self::ModelVersion => "MODEL_VERSION",
        }
    }

    /// Whether it can be deployed, and so has content with a digest.
    pub const fn is_deployable(self) -> bool {
        matches!(self, Self::Bundle | Self::ModelVersion)
    }
}

impl SourceObject {
    /// The item that governs it.
    pub const fn item(&self) -> Option<ItemId> {
        match self.governance {
            Governance::Governed(item) => Some(item),
            Governance::Ungoverned | Governance::Hidden => None,
        }
    }

    /// Whether it stands in the inbox of what could be governed.
    pub const fn is_governable(&self) -> bool {
        matches!(self.governance, Governance::Ungoverned) && self.archived_at.is_none()
    }
}

/// The objects below one that are `wanted`, parents before children; below an unwanted one nothing is looked for.
///
/// # Errors
/// `TOO_MANY_CONSEQUENCES` when there are more than `room`.
pub(in crate::domain) fn descendants(
    state: &State,
    source: SourceObjectId,
    room: usize,
    wanted: impl Fn(&SourceObject) -> bool,
) -> Result<Vec<Arc<SourceObject>>, Refusal> {
    let mut found: Vec<Arc<SourceObject>> = vec![];
    let mut above = vec![source];
    while let Some(parent) = above.pop() {
        let children = state.source_children(parent).filter(|child| wanted(child));
        for child in children {
            above.push(child.id);
            found.push(Arc::clone(child));
        }
        if found.len() > room {
            return Err(Refusal::TooManyConsequences { objects: found.len(), most: CONSEQUENCES_MAX });
        }
    }
    Ok(found)
}

/// The sign-off that decides over an item: that of `step`, or else its last mandatory one.
pub(in crate::domain) fn deciding_sign_off<'s>(
    state: &'s State,
    item: &Item,
    step: Option<&StepKey>,
) -> Option<&'s Arc<SignOff>> {
    if let Some(step) = step {
        return state.sign_off_of(item.id, step);
    }
    let steps = item.workflow.steps().iter().rev();
    let sign_offs = steps.filter_map(|step| state.sign_off_of(item.id, &step.key));
    sign_offs.into_iter().find(|sign_off| sign_off.configuration.mandatory)
}

/// Whether a decision is about the content as it is: it binds what was decided, and nothing that came later.
pub(in crate::domain) fn counts_for(sign_off: &SignOff, source: &SourceObject) -> bool {
    let same = |review: &FinalReview| review.content_digest == source.content_digest;
    !source.kind.is_deployable() || sign_off.stage.final_review().is_none_or(same)
}

/// What the governance of a source object has come to, in one state.
pub(in crate::domain) fn validation(state: &State, source: &SourceObject) -> ValidationStatus {
    let item = source.item().and_then(|item| state.item(item)).filter(|item| item.is_live());
    let Some(item) = item else { return ValidationStatus::NotGoverned };
    let sign_off = deciding_sign_off(state, item, None).filter(|sign_off| counts_for(sign_off, source));
    match sign_off.map(|sign_off| sign_off.status()) {
        None | Some(SignOffStatus::NotStarted) => ValidationStatus::NotValidated,
        Some(SignOffStatus::WaitingForFeedback | SignOffStatus::WaitingForApproval) => ValidationStatus::InValidation,
        Some(SignOffStatus::Approved) => ValidationStatus::Approved,
        Some(SignOffStatus::Rejected) => ValidationStatus::Rejected,
        Some(SignOffStatus::Abandoned) => ValidationStatus::Abandoned,
    }
}

impl Resource for SourceObject {
    /// A source object is read by those who read its item; an ungoverned one by those who could govern it,
    /// and by its own node; a deployable one also by those who may deploy.
    fn may(&self, need: Need, view: View<'_>) -> Result<Basis, Denied> {
        let caller = view.caller()?;
        let state = view.state();
        if caller.node(Scope::ReadStatus) == Some(self.node) && need == Need::Read {
            return Ok(Basis::Scope);
        }
        let item = self.item().and_then(|item| state.item(item));
        let parent = self.parent.and_then(|parent| state.source_object(parent));
        let parent = parent.and_then(|parent| parent.item()).and_then(|parent| state.item(parent)).map(AsRef::as_ref);
        let governs = Rights::on_type(state, &caller, self.kind.item_type(), parent).may_create();
        let may_read_item = item.map(|item| view.rights(item)).transpose()?.is_some_and(|rights| rights.may_read());
        let deploys = Infrastructure::any_granted(state, &caller, InfrastructureGrant::Deploy);
        let deployable = self.kind.is_deployable() && deploys;
        let reads = if caller.manages() {
            Basis::Standing
        } else if may_read_item || (item.is_none() && governs) {
            Basis::Roles
        } else if deployable {
            Basis::Grant
        } else {
            return Err(Denied::NotFound);
        };
        match need {
            Need::Read => Ok(reads),
            Need::Govern if governs => Ok(if caller.manages() { Basis::Standing } else { Basis::Roles }),
            Need::Deploy if deploys => Ok(Basis::Grant),
            Need::Govern
            | Need::Deploy
            | Need::Write
            | Need::Delete
            | Need::Create(_)
            | Need::Member
            | Need::Sync
            | Need::Manage
            | Need::Administer
            | Need::Operate
            | Need::AdministerInfrastructure
            | Need::SelfOrAdminister => Err(Denied::Forbidden(need.right())),
        }
    }
}
