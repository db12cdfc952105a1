//! The kinds of event as the schema names them: one for each of the domain's, and nothing else to keep in step.
//! Never lets a kind go unnamed: the table is matched without a wildcard.

use crate::domain::event;
use async_graphql::Enum;

macro_rules! kinds {
    ($($(#[$meta:meta])* $name:ident,)+) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
        pub(super) enum EventKind {
            $($(#[$meta])* $name,)+
        }

        impl EventKind {
            /// The schema's name of what happened.
            pub(super) const fn of(kind: &event::EventKind) -> Self {
                match kind {
                    $(event::EventKind::$name { .. } => Self::$name,)+
                }
            }
        }
    };
}

kinds! {
    /// An item was made.
    ItemCreated,
    /// An item has another name.
    ItemRenamed,
    /// A field of an item has another value.
    FieldChanged,
    /// A step became ongoing.
    StepStarted,
    /// A step was finished.
    StepFinished,
    /// A finished step is ongoing again.
    StepReopened,
    /// The start of a step was taken back.
    StepStartCancelled,
    /// A step returned to not started, because an earlier one was reopened.
    StepReturned,
    /// Somebody follows an item.
    ItemFollowed,
    /// Somebody no longer follows an item.
    ItemUnfollowed,
    /// An item was archived with its project.
    ItemArchived,
    /// An item was deleted.
    ItemDeleted,
    /// Reviewers were asked for feedback.
    FeedbackRequested,
    /// A reviewer gave feedback.
    FeedbackSubmitted,
    /// A reviewer changed feedback.
    FeedbackEdited,
    /// A reviewer took feedback back.
    FeedbackDeleted,
    /// Approvers were asked for the decision.
    FinalApprovalRequested,
    /// A sign-off went back to its reviewers.
    ReturnedToFeedback,
    /// An approver approved or rejected.
    Decided,
    /// A waiting sign-off was given up.
    SignOffAbandoned,
    /// An abandoned sign-off was taken up again.
    SignOffResumed,
    /// A new round of review begins.
    SignOffReset,
    /// A node reported a new object.
    SourceObjectReported,
    /// A node reported something new about an object.
    SourceObjectChanged,
    /// A node reported that an object is gone.
    SourceObjectArchived,
    /// An item governs a source object.
    SourceObjectGoverned,
    /// No item governs a source object any more.
    SourceObjectUngoverned,
    /// A source object need not be governed.
    SourceObjectHidden,
    /// A hidden source object is shown again.
    SourceObjectUnhidden,
    /// A source object was published to the deployer.
    SourceObjectPublished,
    /// What governance has come to for a source object changed.
    ValidationChanged,
    /// What happens to newly reported objects changed.
    InstanceRulesChanged,
    /// An infrastructure was entered.
    InfrastructureCreated,
    /// An infrastructure was changed.
    InfrastructureUpdated,
    /// A deployment was made.
    DeploymentCreated,
    /// A deployment became active.
    Deployed,
    /// A deployment has other content.
    DeploymentUpdated,
    /// The deployer said how a deployment fares.
    DeploymentStatusReported,
    /// A deployment was switched off.
    DeploymentDisabled,
    /// A deployment was deleted.
    DeploymentDeleted,
    /// A deployment was refused by governance.
    DeploymentRefused,
    /// Somebody went on in spite of a warning, with a reason.
    WarningConfirmed,
    /// What governance makes of a deployment changed.
    HealthChanged,
    /// The organisation was founded.
    TenantFounded,
    /// An organisation was entered in the platform's directory.
    TenantCreated,
    /// An organisation is not served any more.
    TenantSuspended,
    /// An organisation is served again.
    TenantResumed,
    /// An organisation's key was destroyed: nothing of it can be read any more.
    TenantErased,
    /// The platform operator exported an organisation.
    TenantExported,
    /// The platform operator set how much an organisation may have and ask.
    TenantQuotaSet,
    /// The organisation was brought back from a backup.
    TenantRestored,
    /// The organisation was brought here from another server.
    TenantImported,
    /// The organisation's settings changed.
    SettingsChanged,
    /// A template was made.
    TemplateCreated,
    /// Roles and what they may do were set.
    AccessConfigured,
    /// A role was made.
    RoleCreated,
    /// A role was changed.
    RoleUpdated,
    /// A role was deleted.
    RoleDeleted,
    /// A rule that gives a role was made.
    AssignmentRuleCreated,
    /// A rule that gives a role was changed.
    AssignmentRuleUpdated,
    /// A rule that gives a role was deleted.
    AssignmentRuleDeleted,
    /// What everyone and each role may do was set.
    GrantsSet,
    /// The grants of a type were deleted: the defaults hold for it.
    GrantsDeleted,
    /// A person was entered.
    UserCreated,
    /// A person was changed.
    UserUpdated,
    /// A person was deleted.
    UserDeleted,
    /// An administrator began to act as somebody else.
    ImpersonationStarted,
    /// A one-time link for a password was made.
    PasswordLinkCreated,
    /// A one-time link ended unused.
    PasswordLinkEnded,
    /// A person set a password.
    PasswordSet,
    /// A person signed in.
    SignedIn,
    /// A session was refreshed.
    SessionRefreshed,
    /// A person signed out.
    SignedOut,
    /// A session ended, and not by its user.
    SessionEnded,
    /// Access tokens are signed by a new key.
    SigningKeyRotated,
    /// A group was made.
    GroupCreated,
    /// A group was changed.
    GroupUpdated,
    /// A source node was entered.
    SourceNodeCreated,
    /// An API key was made.
    ApiKeyCreated,
    /// An API key has another secret.
    ApiKeyRotated,
    /// An API key was ended.
    ApiKeyRevoked,
}
