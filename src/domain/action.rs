//! Every action that a caller can ask for: on which noun, and which right it needs.
//! Never decides whether somebody has that right; `access` does.

use super::{
    deployment::Deployment,
    identity::{ApiKey, Group, Session, User},
    infrastructure::Infrastructure,
    item::Item,
    policy::{AssignmentRule, Grants, Role},
    record::Kind,
    sign_off::SignOff,
    source::SourceObject,
    template::{ItemType, Template},
    tenant::{Tenant, TenantEntry},
};
use serde::{Deserialize, Serialize};

/// The right that an action needs on its noun, beyond reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing more than to read it.
    Read,
    /// WRITE on the item.
    Write,
    /// DELETE on the item.
    Delete,
    /// CREATE on items of this type.
    Create(ItemType),
    /// CREATE on items of the type that governs such a source object.
    Govern,
    /// To be a member: READ here, and the rule itself asks for the membership.
    Member,
    /// A sync key of the node.
    Sync,
    /// A governance manager or administrator.
    Manage,
    /// An administrator of the tenant.
    Administer,
    /// The platform operator.
    Operate,
    /// The grant to deploy: on this infrastructure, or on any where none is named.
    Deploy,
    /// The grant to administer this infrastructure.
    AdministerInfrastructure,
    /// To be that person, or an administrator.
    SelfOrAdminister,
}

impl Need {
    /// What a person calls the right.
    pub const fn right(self) -> &'static str {
        match self {
            Self::Read | Self::Member => "READ",
            Self::Write => "WRITE",
            Self::Delete => "DELETE",
            Self::Create(_) | Self::Govern => "CREATE",
            Self::Sync => "the scope SYNC",
            Self::Manage => "governance manager",
            Self::Administer => "administrator",
            Self::Operate => "platform operator",
            Self::Deploy => "the grant DEPLOY",
            Self::AdministerInfrastructure => "the grant ADMINISTER",
            Self::SelfOrAdminister => "to be that person, or an administrator",
        }
    }
}

/// An action that makes sense for a `T`.
pub trait Asks<T> {
    /// The action, as records and the timeline name it.
    const ACTION: Action;
    /// The right that it needs.
    const NEED: Need;
}

macro_rules! actions {
    ($(#[doc = $told:literal] $name:ident on $noun:ident, needs $need:expr;)+) => {
        /// What a caller did; the same word on every floor.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Action {
            $(#[doc = $told] $name,)+
        }

        impl Action {
            /// Every action.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The right that it needs on its noun.
            pub const fn need(self) -> Need {
                match self { $(Self::$name => $need,)+ }
            }

            /// The kind of record that it is done to.
            pub const fn noun(self) -> Kind {
                match self { $(Self::$name => Kind::$noun,)+ }
            }

            /// What it is, in a sentence.
            pub const fn told(self) -> &'static str {
                match self { $(Self::$name => $told,)+ }
            }

            /// The action's name, as in `RequestFeedback`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }
        }

        $(
            #[doc = $told]
            #[derive(Clone, Copy, Debug)]
            pub struct $name;

            impl Asks<$noun> for $name {
                const ACTION: Action = Action::$name;
                const NEED: Need = $need;
            }
        )+
    };
}

actions! {
    /// Reading an item, a step, a field.
    ReadItem on Item, needs Need::Read;
    /// A new governed project.
    CreateGovernedProject on Tenant, needs Need::Create(ItemType::GovernedProject);
    /// A new business initiative.
    CreateBusinessInitiative on Tenant, needs Need::Create(ItemType::BusinessInitiative);
    /// Saving an item's name, fields and steps.
    UpdateItem on Item, needs Need::Write;
    /// Starting a step.
    StartStep on Item, needs Need::Write;
    /// Finishing a step.
    FinishStep on Item, needs Need::Write;
    /// Reopening a finished step.
    ReopenStep on Item, needs Need::Write;
    /// Taking back the start of a step.
    CancelStep on Item, needs Need::Write;
    /// Following or no longer following an item.
    FollowItem on Item, needs Need::Read;
    /// Seeing what a deletion would take along.
    PreviewDeletion on Item, needs Need::Delete;
    /// Deleting an item.
    DeleteItem on Item, needs Need::Delete;

    /// Reading a sign-off.
    ReadSignOff on SignOff, needs Need::Read;
    /// Asking reviewers for feedback.
    RequestFeedback on SignOff, needs Need::Write;
    /// Giving feedback.
    SubmitFeedback on SignOff, needs Need::Member;
    /// Changing one's feedback.
    EditFeedback on SignOff, needs Need::Member;
    /// Taking one's feedback back.
    DeleteFeedback on SignOff, needs Need::Member;
    /// Asking the approvers for the decision.
    RequestFinalApproval on SignOff, needs Need::Write;
    /// Going back from approval to feedback.
    ReturnToFeedback on SignOff, needs Need::Member;
    /// Approving or rejecting.
    Decide on SignOff, needs Need::Member;
    /// Giving a waiting sign-off up; a writer or an approver.
    AbandonSignOff on SignOff, needs Need::Member;
    /// Taking an abandoned sign-off up again; a writer or an approver.
    ResumeSignOff on SignOff, needs Need::Member;
    /// Beginning a new cycle.
    ResetSignOff on SignOff, needs Need::Write;

    /// Reading a source object.
    ReadSourceObject on SourceObject, needs Need::Read;
    /// Reporting source objects.
    SyncSourceObjects on Tenant, needs Need::Sync;
    /// Reporting that source objects are gone.
    DeleteSourceObjects on Tenant, needs Need::Sync;
    /// Governing a source object.
    GovernSourceObject on SourceObject, needs Need::Govern;
    /// Hiding a source object.
    HideSourceObject on SourceObject, needs Need::Govern;
    /// Showing a hidden source object again.
    UnhideSourceObject on SourceObject, needs Need::Govern;
    /// Setting what happens to the tenant's newly reported objects.
    SetInstanceRules on Tenant, needs Need::Manage;
    /// Setting what happens to newly reported children of an item.
    SetChildRules on Item, needs Need::Write;
    /// Publishing a bundle or version to the deployer.
    PublishSourceObject on SourceObject, needs Need::Deploy;

    /// Reading an infrastructure.
    ReadInfrastructure on Infrastructure, needs Need::Read;
    /// A new infrastructure.
    CreateInfrastructure on Tenant, needs Need::Manage;
    /// Changing an infrastructure.
    UpdateInfrastructure on Infrastructure, needs Need::AdministerInfrastructure;
    /// A new deployment on an infrastructure.
    CreateDeployment on Infrastructure, needs Need::Deploy;
    /// Reading a deployment.
    ReadDeployment on Deployment, needs Need::Read;
    /// Making a deployment active.
    Deploy on Deployment, needs Need::Deploy;
    /// Putting another bundle behind a deployment.
    UpdateDeployment on Deployment, needs Need::Deploy;
    /// Reporting how a deployment fares.
    ReportDeploymentStatus on Deployment, needs Need::Deploy;
    /// Switching a deployment off.
    DisableDeployment on Deployment, needs Need::Deploy;
    /// Deleting a disabled deployment.
    DeleteDeployment on Deployment, needs Need::Deploy;

    /// Reading a template.
    ReadTemplate on Template, needs Need::Read;
    /// Reading the tenant's own name and settings.
    ReadTenant on Tenant, needs Need::Read;
    /// Changing the tenant's settings.
    UpdateTenantSettings on Tenant, needs Need::Manage;
    /// Loading a fixture into a new tenant.
    Found on Tenant, needs Need::Operate;
    /// Ending the sessions that came with a backup or an export.
    EndBroughtSessions on Tenant, needs Need::Administer;
    /// Telling that a backup or an export was brought here.
    ReceiveTenant on Tenant, needs Need::Administer;
    /// Entering a tenant into the platform's directory.
    CreateTenant on Tenant, needs Need::Operate;
    /// Stopping to serve a tenant.
    SuspendTenant on TenantEntry, needs Need::Operate;
    /// Serving a tenant again.
    ResumeTenant on TenantEntry, needs Need::Operate;
    /// Destroying a tenant's key, and with it everything that can be read of the tenant.
    EraseTenant on TenantEntry, needs Need::Operate;
    /// Setting how much a tenant may have and ask.
    SetTenantQuota on TenantEntry, needs Need::Operate;
    /// Reading how much one's own tenant may have and ask, and what of it is used.
    ReadQuota on Tenant, needs Need::Administer;
    /// Handing a tenant out as a file that nobody can read without its key.
    ExportTenant on TenantEntry, needs Need::Operate;
    /// A tenant taking over what the platform's directory says of it.
    FollowDirectory on Tenant, needs Need::Operate;

    /// Reading a person's name.
    ReadUser on User, needs Need::Read;
    /// A new person.
    CreateUser on Tenant, needs Need::Administer;
    /// Changing a person.
    UpdateUser on User, needs Need::Administer;
    /// Changing or deleting several people.
    UpdateUsers on Tenant, needs Need::Administer;
    /// Deleting a person.
    DeleteUsers on User, needs Need::Administer;
    /// Acting as somebody else.
    Impersonate on User, needs Need::Administer;
    /// Making a one-time link for a password.
    CreatePasswordLink on User, needs Need::Administer;
    /// Setting a password with a one-time link.
    SetPassword on Tenant, needs Need::Read;
    /// Signing in with a password.
    SignIn on Tenant, needs Need::Read;
    /// Refreshing a session.
    RefreshSession on Tenant, needs Need::Read;
    /// Ending one's session.
    SignOut on Tenant, needs Need::Read;
    /// Ending a session from elsewhere.
    EndSession on Session, needs Need::SelfOrAdminister;
    /// Ending a person's sessions.
    EndAllSessions on User, needs Need::SelfOrAdminister;
    /// Setting one's own password with the old one.
    ChangePassword on Tenant, needs Need::Read;
    /// Having access tokens signed by a new key.
    RotateSigningKey on Tenant, needs Need::Operate;
    /// Reading a group.
    ReadGroup on Group, needs Need::Read;
    /// A new group.
    CreateGroup on Tenant, needs Need::Administer;
    /// Changing a group's name or members.
    UpdateGroup on Group, needs Need::Administer;
    /// Reading an API key, never its secret.
    ReadApiKey on ApiKey, needs Need::Administer;
    /// A new source node.
    CreateSourceNode on Tenant, needs Need::Administer;
    /// A new API key.
    CreateApiKey on Tenant, needs Need::Administer;
    /// Giving an API key another secret.
    RotateApiKey on ApiKey, needs Need::Administer;
    /// Ending an API key.
    RevokeApiKey on ApiKey, needs Need::Administer;
    /// A new role.
    CreateRole on Tenant, needs Need::Manage;
    /// Changing a role.
    UpdateRole on Role, needs Need::Manage;
    /// Deleting a role.
    DeleteRole on Role, needs Need::Manage;
    /// A new rule that gives a role.
    CreateAssignmentRule on Tenant, needs Need::Manage;
    /// Changing a rule that gives a role.
    UpdateAssignmentRule on AssignmentRule, needs Need::Manage;
    /// Deleting a rule that gives a role.
    DeleteAssignmentRule on AssignmentRule, needs Need::Manage;
    /// Setting what everyone and each role may do.
    SetGrants on Tenant, needs Need::Manage;
    /// Deleting the grants of a type.
    DeleteGrants on Grants, needs Need::Manage;
    /// Reading what each person and group may do.
    ReadAuthorizations on Tenant, needs Need::Manage;
    /// Asking why somebody else may do something, or may not.
    ExplainAccess on Tenant, needs Need::Manage;
    /// Reading the whole timeline of the tenant, people included.
    ReadTimeline on Tenant, needs Need::Read;
}

impl Action {
    /// Whether it goes on where the tenant's quota of bytes is used up: it deletes, ends, takes rights away or lets
    /// somebody in who will.
    pub const fn goes_on_when_full(self) -> bool {
        matches!(
            self,
            Self::DeleteItem
                | Self::DeleteFeedback
                | Self::DeleteSourceObjects
                | Self::DisableDeployment
                | Self::DeleteDeployment
                | Self::DeleteRole
                | Self::DeleteAssignmentRule
                | Self::DeleteGrants
                | Self::DeleteUsers
                | Self::UpdateUser
                | Self::UpdateUsers
                | Self::UpdateGroup
                | Self::RevokeApiKey
                | Self::SignIn
                | Self::RefreshSession
                | Self::SignOut
                | Self::EndSession
                | Self::EndAllSessions
                | Self::SetPassword
                | Self::ChangePassword
        )
    }
}
