//! What an event says, fact by fact: each answers nothing where the event has no such fact.
//! Never decides who may read a fact: whoever asks has been allowed to read the event.

use super::EventKind;
use crate::domain::{
    id::{InfrastructureId, ItemId, SignOffId, TemplateId, UserId},
    sign_off::{Decision, FeedbackStatus},
    text::{FeedbackGroupKey, FieldKey, Name, StepKey, Text},
};

impl EventKind {
    /// The field that changed.
    pub const fn field(&self) -> Option<&FieldKey> {
        if let Self::FieldChanged { field, .. } = self { Some(field) } else { None }
    }

    /// The step of the item that it happened in.
    pub const fn step(&self) -> Option<&StepKey> {
        if let Self::StepStarted { step }
        | Self::StepFinished { step }
        | Self::StepReopened { step }
        | Self::StepStartCancelled { step }
        | Self::StepReturned { step }
        | Self::FeedbackRequested { step, .. }
        | Self::FinalApprovalRequested { step, .. }
        | Self::ReturnedToFeedback { step, .. }
        | Self::Decided { step, .. }
        | Self::SignOffAbandoned { step, .. }
        | Self::SignOffResumed { step, .. }
        | Self::SignOffReset { step, .. } = self
        {
            return Some(step);
        }
        None
    }

    /// The sign-off that it happened to.
    pub const fn sign_off(&self) -> Option<SignOffId> {
        if let Self::FeedbackRequested { sign_off, .. }
        | Self::FeedbackSubmitted { sign_off, .. }
        | Self::FeedbackEdited { sign_off, .. }
        | Self::FeedbackDeleted { sign_off, .. }
        | Self::FinalApprovalRequested { sign_off, .. }
        | Self::ReturnedToFeedback { sign_off, .. }
        | Self::Decided { sign_off, .. }
        | Self::SignOffAbandoned { sign_off, .. }
        | Self::SignOffResumed { sign_off, .. }
        | Self::SignOffReset { sign_off, .. } = self
        {
            return Some(*sign_off);
        }
        None
    }

    /// The round of review that was decided, or that begins.
    pub const fn cycle(&self) -> Option<u32> {
        if let Self::Decided { cycle, .. } | Self::SignOffReset { cycle, .. } = self { Some(*cycle) } else { None }
    }

    /// The feedback groups that it concerns.
    pub fn groups(&self) -> Vec<&FeedbackGroupKey> {
        if let Self::FeedbackRequested { notified, .. } = self {
            return notified.iter().map(|notified| &notified.group).collect();
        }
        if let Self::FeedbackSubmitted { group, .. }
        | Self::FeedbackEdited { group, .. }
        | Self::FeedbackDeleted { group, .. } = self
        {
            return vec![group];
        }
        vec![]
    }

    /// What a reviewer found.
    pub const fn feedback_status(&self) -> Option<FeedbackStatus> {
        if let Self::FeedbackSubmitted { status, .. } | Self::FeedbackEdited { status, .. } = self {
            return Some(*status);
        }
        None
    }

    /// What was decided.
    pub const fn decision(&self) -> Option<Decision> {
        if let Self::Decided { decision, .. } = self { Some(*decision) } else { None }
    }

    /// What whoever did it wrote about it.
    pub fn comment(&self) -> Option<&str> {
        if let Self::DeploymentRefused { reason, .. } = self {
            return Some(reason);
        }
        if let Self::FeedbackSubmitted { comment: text, .. }
        | Self::FeedbackEdited { comment: text, .. }
        | Self::Decided { comment: text, .. }
        | Self::DeploymentStatusReported { message: text, .. }
        | Self::WarningConfirmed { reason: text, .. } = self
        {
            return Some(Text::as_str(text));
        }
        None
    }

    /// The code of the refusal that was recorded.
    pub fn code(&self) -> Option<&str> {
        if let Self::DeploymentRefused { code, .. } = self { Some(code) } else { None }
    }

    /// The digest of the content that it is about.
    pub fn content_digest(&self) -> Option<&str> {
        if let Self::Decided { content_digest, .. }
        | Self::SourceObjectReported { content_digest, .. }
        | Self::SourceObjectChanged { content_digest, .. }
        | Self::WarningConfirmed { content_digest, .. } = self
        {
            return content_digest.as_deref();
        }
        None
    }

    /// What people called the thing then.
    pub const fn name(&self) -> Option<&Name> {
        if let Self::ItemCreated { name, .. }
        | Self::ItemRenamed { new: name, .. }
        | Self::ItemArchived { name }
        | Self::ItemDeleted { name }
        | Self::SourceObjectReported { name, .. }
        | Self::SourceObjectChanged { name, .. }
        | Self::SourceObjectArchived { name }
        | Self::InfrastructureCreated { name }
        | Self::InfrastructureUpdated { name }
        | Self::TenantFounded { name }
        | Self::TenantCreated { name }
        | Self::TenantSuspended { name }
        | Self::TenantResumed { name }
        | Self::TenantErased { name }
        | Self::TenantExported { name }
        | Self::TenantQuotaSet { name, .. }
        | Self::TemplateCreated { name, .. }
        | Self::RoleCreated { name, .. }
        | Self::RoleUpdated { name, .. }
        | Self::RoleDeleted { name }
        | Self::UserCreated { name, .. }
        | Self::UserUpdated { name, .. }
        | Self::UserDeleted { name, .. }
        | Self::ApiKeyRotated { name, .. }
        | Self::GroupCreated { name, .. }
        | Self::GroupUpdated { name, .. }
        | Self::SourceNodeCreated { name, .. }
        | Self::ApiKeyCreated { name, .. }
        | Self::ApiKeyRevoked { name, .. } = self
        {
            return Some(name);
        }
        None
    }

    /// The infrastructure that a deployment is or would be on.
    pub const fn infrastructure(&self) -> Option<InfrastructureId> {
        if let Self::DeploymentCreated { infrastructure }
        | Self::Deployed { infrastructure }
        | Self::DeploymentRefused { infrastructure, .. }
        | Self::WarningConfirmed { infrastructure, .. } = self
        {
            return Some(*infrastructure);
        }
        None
    }

    /// The item that a source object got or lost.
    pub const fn item(&self) -> Option<ItemId> {
        if let Self::SourceObjectGoverned { item } | Self::SourceObjectUngoverned { item } = self {
            return Some(*item);
        }
        None
    }

    /// The template that an item was made from.
    pub const fn template(&self) -> Option<TemplateId> {
        if let Self::ItemCreated { template, .. } = self { Some(*template) } else { None }
    }

    /// The person that it happened to.
    pub const fn user(&self) -> Option<UserId> {
        if let Self::ItemFollowed { user }
        | Self::ItemUnfollowed { user }
        | Self::UserCreated { user, .. }
        | Self::UserUpdated { user, .. }
        | Self::UserDeleted { user, .. }
        | Self::ImpersonationStarted { user }
        | Self::PasswordLinkCreated { user }
        | Self::PasswordSet { user }
        | Self::SignedIn { user }
        | Self::SessionRefreshed { user }
        | Self::SignedOut { user }
        | Self::PasswordLinkEnded { user }
        | Self::SessionEnded { user, .. } = self
        {
            return Some(*user);
        }
        None
    }

    /// Who was told to review, each once.
    pub fn notified(&self) -> Vec<UserId> {
        let mut users = vec![];
        if let Self::FeedbackRequested { notified, .. } = self {
            users.extend(notified.iter().flat_map(|notified| &notified.users));
        }
        if let Self::FinalApprovalRequested { notified, .. } = self {
            users.extend(notified);
        }
        users.sort_unstable();
        users.dedup();
        users
    }

    /// The feedback groups for which a person was asked for feedback; none when she was not.
    pub fn asks_feedback_of(&self, user: UserId) -> Option<Vec<&FeedbackGroupKey>> {
        let Self::FeedbackRequested { notified, .. } = self else { return None };
        let hers = notified.iter().filter(|notified| notified.users.contains(&user));
        let groups: Vec<_> = hers.map(|notified| &notified.group).collect();
        if groups.is_empty() { None } else { Some(groups) }
    }

    /// Whether a person was asked for the final approval.
    pub fn asks_approval_of(&self, user: UserId) -> bool {
        matches!(self, Self::FinalApprovalRequested { notified, .. } if notified.contains(&user))
    }
}
