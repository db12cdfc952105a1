//! What happened: the timeline, the event stream and the audit log are made of these.
//! Never holds a secret, and never the words of a person who may not be quoted: those stand in records.

mod facts;
mod reads;
mod subject;

pub use subject::Subject;

use super::{
    access::SystemActor,
    deployment::Health,
    field::FieldValue,
    id::{
        ApiKeyId, GroupId, InfrastructureId, ItemId, ReviewId, RoleId, SignOffId, SourceNodeId, SourceObjectId,
        TemplateId, UserId,
    },
    identity::{SessionEnd, Standing},
    refusal::RefusalCode,
    sign_off::{Decision, FeedbackStatus, Review},
    source::{SourceKind, ValidationStatus},
    template::ItemType,
    tenant::{Quota, Settings},
    text::{FeedbackGroupKey, FieldKey, Name, Slug, StepKey, Text},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// One thing that happened in a commit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// The server's own name, when it followed from the caller's action.
    #[serde(default)]
    pub by: Option<SystemActor>,
    /// To what it happened: whoever may read that may read the event.
    pub subject: Subject,
    /// What happened.
    pub kind: EventKind,
}

/// The reviewers of one feedback group who were told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notified {
    /// The feedback group.
    pub group: FeedbackGroupKey,
    /// The people.
    pub users: Vec<UserId>,
}

/// What happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants' fields are the nouns that they are named after")]
pub enum EventKind {
    // Items.
    ItemCreated {
        item_type: ItemType,
        name: Name,
        template: TemplateId,
    },
    ItemRenamed {
        old: Name,
        new: Name,
    },
    FieldChanged {
        field: FieldKey,
        old: Option<FieldValue>,
        new: Option<FieldValue>,
    },
    StepStarted {
        step: StepKey,
    },
    StepFinished {
        step: StepKey,
    },
    StepReopened {
        step: StepKey,
    },
    StepStartCancelled {
        step: StepKey,
    },
    StepReturned {
        step: StepKey,
    },
    ItemFollowed {
        user: UserId,
    },
    ItemUnfollowed {
        user: UserId,
    },
    ItemArchived {
        name: Name,
    },
    ItemDeleted {
        name: Name,
    },

    // Sign-offs.
    FeedbackRequested {
        sign_off: SignOffId,
        step: StepKey,
        notified: Vec<Notified>,
    },
    FeedbackSubmitted {
        sign_off: SignOffId,
        review: ReviewId,
        group: FeedbackGroupKey,
        status: FeedbackStatus,
        comment: Text,
    },
    FeedbackEdited {
        sign_off: SignOffId,
        review: ReviewId,
        group: FeedbackGroupKey,
        status: FeedbackStatus,
        comment: Text,
    },
    FeedbackDeleted {
        sign_off: SignOffId,
        review: ReviewId,
        group: FeedbackGroupKey,
    },
    FinalApprovalRequested {
        sign_off: SignOffId,
        step: StepKey,
        notified: Vec<UserId>,
    },
    ReturnedToFeedback {
        sign_off: SignOffId,
        step: StepKey,
    },
    Decided {
        sign_off: SignOffId,
        step: StepKey,
        cycle: u32,
        decision: Decision,
        comment: Text,
        content_digest: Option<String>,
    },
    SignOffAbandoned {
        sign_off: SignOffId,
        step: StepKey,
    },
    SignOffResumed {
        sign_off: SignOffId,
        step: StepKey,
    },
    SignOffReset {
        sign_off: SignOffId,
        step: StepKey,
        cycle: u32,
        reviews: Vec<Review>,
    },

    // Source objects.
    SourceObjectReported {
        kind: SourceKind,
        name: Name,
        content_digest: Option<String>,
    },
    SourceObjectChanged {
        name: Name,
        content_digest: Option<String>,
    },
    SourceObjectArchived {
        name: Name,
    },
    SourceObjectGoverned {
        item: ItemId,
    },
    SourceObjectUngoverned {
        item: ItemId,
    },
    SourceObjectHidden {},
    SourceObjectUnhidden {},
    SourceObjectPublished {},
    ValidationChanged {
        old: ValidationStatus,
        new: ValidationStatus,
    },
    InstanceRulesChanged {},

    // Infrastructures and deployments.
    InfrastructureCreated {
        name: Name,
    },
    InfrastructureUpdated {
        name: Name,
    },
    DeploymentCreated {
        infrastructure: InfrastructureId,
    },
    Deployed {
        infrastructure: InfrastructureId,
    },
    DeploymentUpdated {
        old: SourceObjectId,
        new: SourceObjectId,
    },
    DeploymentStatusReported {
        status: Health,
        message: Text,
    },
    DeploymentDisabled {},
    DeploymentDeleted {},
    DeploymentRefused {
        infrastructure: InfrastructureId,
        code: String,
        reason: String,
    },
    WarningConfirmed {
        infrastructure: InfrastructureId,
        reason: Text,
        content_digest: Option<String>,
    },
    HealthChanged {
        old: Health,
        new: Health,
    },

    // People and the tenant.
    TenantFounded {
        name: Name,
    },
    TenantCreated {
        name: Name,
    },
    TenantSuspended {
        name: Name,
    },
    TenantResumed {
        name: Name,
    },
    TenantErased {
        name: Name,
    },
    TenantExported {
        name: Name,
    },
    TenantQuotaSet {
        name: Name,
        quota: Quota,
    },
    TenantRestored {
        taken_at: Timestamp,
    },
    TenantImported {
        slug: Slug,
    },
    SettingsChanged {
        old: Settings,
        new: Settings,
    },
    TemplateCreated {
        name: Name,
        item_type: ItemType,
    },
    AccessConfigured {},
    RoleCreated {
        name: Name,
        audits: bool,
    },
    RoleUpdated {
        name: Name,
        audits: bool,
    },
    RoleDeleted {
        name: Name,
    },
    AssignmentRuleCreated {
        role: RoleId,
    },
    AssignmentRuleUpdated {
        role: RoleId,
    },
    AssignmentRuleDeleted {
        role: RoleId,
    },
    GrantsSet {
        item_type: Option<ItemType>,
    },
    GrantsDeleted {
        item_type: Option<ItemType>,
    },
    UserCreated {
        user: UserId,
        name: Name,
        standing: Standing,
    },
    UserUpdated {
        user: UserId,
        name: Name,
        standing: Standing,
        active: bool,
    },
    UserDeleted {
        user: UserId,
        name: Name,
    },
    ImpersonationStarted {
        user: UserId,
    },
    PasswordLinkCreated {
        user: UserId,
    },
    PasswordLinkEnded {
        user: UserId,
    },
    PasswordSet {
        user: UserId,
    },
    SignedIn {
        user: UserId,
    },
    SessionRefreshed {
        user: UserId,
    },
    SignedOut {
        user: UserId,
    },
    SessionEnded {
        user: UserId,
        why: SessionEnd,
    },
    SigningKeyRotated {
        kid: String,
    },
    GroupCreated {
        group: GroupId,
        name: Name,
        members: Vec<UserId>,
        #[serde(default)]
        groups: Vec<GroupId>,
    },
    GroupUpdated {
        group: GroupId,
        name: Name,
        added: Vec<UserId>,
        removed: Vec<UserId>,
        #[serde(default)]
        added_groups: Vec<GroupId>,
        #[serde(default)]
        removed_groups: Vec<GroupId>,
    },
    SourceNodeCreated {
        node: SourceNodeId,
        name: Name,
    },
    ApiKeyCreated {
        key: ApiKeyId,
        name: Name,
    },
    ApiKeyRotated {
        key: ApiKeyId,
        name: Name,
    },
    ApiKeyRevoked {
        key: ApiKeyId,
        name: Name,
    },
}

impl EventKind {
    /// The refusal that a deployment was recorded with.
    pub fn deployment_refused(infrastructure: InfrastructureId, code: RefusalCode, reason: String) -> Self {
        Self::DeploymentRefused { infrastructure, code: code.as_str().to_owned(), reason }
    }
}
