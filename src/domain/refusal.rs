//! Every rule that can be broken, with its code, its sentence and what the caller can do about it: the one table.
//! Never holds faults of the machine or the absence of a right; those are `Denied` and the store's errors.

use super::{
    sign_off::SignOffStatus,
    template::ItemType,
    text::{FieldKey, Name, StepKey},
};

/// What stands in a refusal: only the one called `path` says where.
trait Part {
    fn place(&self) -> Option<&str> {
        None
    }
}

impl Part for String {
    fn place(&self) -> Option<&str> {
        Some(self)
    }
}
impl Part for usize {}
impl Part for u64 {}
impl Part for i64 {}
impl Part for &'static str {}
impl Part for Name {}
impl Part for FieldKey {}
impl Part for StepKey {}
impl Part for ItemType {}
impl Part for SignOffStatus {}

macro_rules! refusals {
    ($($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty),* } = $code:literal, $sentence:literal, $remedy:literal;)+) => {
        /// A rule that the request breaks. Nothing of the request was done.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Refusal {
            $($(#[$meta])* $name {
                $(
                    #[doc = concat!("The ", stringify!($field), " in question.")]
                    $field: $type,
                )*
            },)+
        }

        /// The code of each rule, as clients see it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RefusalCode {
            $($(#[$meta])* $name,)+
        }

        impl Refusal {
            /// Names the rule.
            pub const fn code(&self) -> RefusalCode {
                match self { $(Self::$name { .. } => RefusalCode::$name,)+ }
            }

            /// Where in the input the refused value stands, as `fields.risk_rating`.
            fn place(&self) -> Option<&str> {
                match self {
                    $(Self::$name { $($field),* } => {
                        let place: Option<&str> = None;
                        $(let place = if stringify!($field) == "path" { $field.place() } else { place };)*
                        place
                    })+
                }
            }

            /// Says what was refused, and why.
            pub fn sentence(&self) -> String {
                match self {
                    $(Self::$name { $($field),* } => { $(let _ = $field;)* format!($sentence) })+
                }
            }
        }

        impl RefusalCode {
            /// Every code, in the table's order.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The code as it is written in answers.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The sentence with its blanks.
            pub const fn template(self) -> &'static str {
                match self { $(Self::$name => $sentence,)+ }
            }

            /// What the caller can do about it.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)+ }
            }
        }
    };
}

refusals! {
    // Names, texts and values.
    /// A name is missing.
    NameEmpty { path: String } = "NAME_EMPTY", "The name at {path} is empty.", "Give it a name of 1 to 200 characters.";
    /// A name is too long.
    NameTooLong { path: String, characters: usize, most: usize } = "NAME_TOO_LONG", "The name at {path} has {characters} characters; {most} are allowed.", "Shorten the name.";
    /// A text is too long.
    TextTooLong { path: String, characters: usize, most: usize } = "TEXT_TOO_LONG", "The text at {path} has {characters} characters; {most} are allowed.", "Shorten the text, or link to a document.";
    /// A text holds a control or bidirectional character.
    TextNotAllowed { path: String, character: String } = "TEXT_NOT_ALLOWED", "The text at {path} contains the character {character}, which is not allowed.", "Remove control and text-direction characters.";
    /// A key holds a character that keys do not have.
    KeyNotAllowed { path: String } = "KEY_NOT_ALLOWED", "The key at {path} is not 1 to 100 characters of a-z A-Z 0-9 _ - . /", "Use a key of letters, digits, and _ - . / only.";
    /// A field that the template does not have.
    UnknownField { path: String, template: Name } = "UNKNOWN_FIELD", "The template {template} has no field at {path}.", "Ask the item's template for its fields.";
    /// A computed field was written.
    FieldComputed { path: String, from: FieldKey } = "FIELD_COMPUTED", "The field at {path} is computed from {from} and cannot be set.", "Set the field that it is computed from.";
    /// A value of another shape than the field's.
    ValueOfWrongShape { path: String, wanted: String, found: &'static str } = "WRONG_SHAPE", "The value at {path} must be {wanted}, but is {found}.", "Send a value of the field's shape.";
    /// Too many values in a list.
    TooManyValues { path: String, values: usize, most: usize } = "TOO_MANY_VALUES", "The list at {path} has {values} values; {most} are allowed.", "Send fewer values.";
    /// A category that the field does not have.
    CategoryUnknown { path: String, allowed: String } = "UNKNOWN_CATEGORY", "The value at {path} is none of its categories: {allowed}.", "Choose one of the categories.";
    /// A number outside the field's bounds.
    NumberOutOfRange { path: String, min: i64, max: i64 } = "OUT_OF_RANGE", "The number at {path} must lie between {min} and {max}.", "Send a number within the bounds.";
    /// An address that is not http or https.
    LinkNotAllowed { path: String } = "LINK_NOT_ALLOWED", "The link at {path} is not an http or https address of at most 2,000 characters.", "Send an http or https address.";
    /// A date that the calendar does not have.
    DateNotAllowed { path: String } = "DATE_NOT_ALLOWED", "The value at {path} is not a date like 2026-01-31.", "Send a calendar date as YYYY-MM-DD.";
    /// A user or group that does not exist.
    PersonUnknown { path: String } = "UNKNOWN_PERSON", "The user or group at {path} does not exist.", "Name an existing user or group.";
    /// An item that does not exist, or that the writer cannot read.
    ItemUnknown { path: String } = "UNKNOWN_ITEM", "The item at {path} does not exist.", "Name an item that you can read.";
    /// An item of another type than wanted.
    ItemOfWrongType { path: String, wanted: ItemType, found: ItemType } = "WRONG_ITEM_TYPE", "The item at {path} is a {found}; a {wanted} is needed.", "Name an item of the right type.";
    /// A save that changes nothing.
    NothingToSave {} = "NOTHING_TO_SAVE", "The save names no name, field or step.", "Name what is to change.";
    /// One field twice in one save.
    FieldNamedTwice { path: String } = "FIELD_NAMED_TWICE", "The field at {path} is named twice in one save.", "Name each field once.";
    /// Too many step moves in one save.
    TooManyMoves { moves: usize, most: usize } = "TOO_MANY_MOVES", "The save carries {moves} step moves; {most} are allowed.", "Split the save.";

    // Revisions, keys, existence.
    /// The object has changed since the caller read it.
    RevisionConflict { expected: u64, current: u64 } = "REVISION_CONFLICT", "You expected revision {expected}, but the object is at revision {current}.", "Read the object again, then repeat your change on it.";
    /// An idempotency key was used for another input.
    IdempotencyKeyReused {} = "IDEMPOTENCY_KEY_REUSED", "This idempotency key was used for another input within the last day.", "Use a new key for a new command.";
    /// Something of that name exists already.
    AlreadyExists { what: &'static str, name: String } = "ALREADY_EXISTS", "A {what} called {name} exists already.", "Choose another name.";
    /// A tenant that is to be erased while it is served.
    TenantNotSuspended { name: String } = "TENANT_NOT_SUSPENDED", "The organisation {name} is served; only a suspended one can be erased.", "Suspend it first, so that its people can object.";
    /// A tenant of which nothing can be read any more.
    TenantErased { name: String } = "TENANT_ERASED", "The organisation {name} was erased; nothing of it can be read any more.", "Nothing brings an erased organisation back, but a restored backup of its keys.";
    /// A tenant whose history does not begin at its beginning.
    HistoryCut { name: String } = "HISTORY_CUT", "The beginning of the history of {name} was cut; it cannot be exported.", "Move it with `countersign backup` and `restore`.";
    /// More than the platform allows the tenant.
    QuotaExceeded { quota: &'static str, limit: u64, used: u64 } = "QUOTA_EXCEEDED", "The organisation's quota of {quota} does not allow this: {used} of {limit} are used.", "Delete or close what is not needed any more, or ask the platform operator for more.";
    /// An id of another kind of object, or of none.
    Unknown { path: String } = "UNKNOWN_OBJECT", "The object at {path} does not exist.", "Name an object that you can read.";
    /// The object was deleted.
    ItemDeleted {} = "ITEM_DELETED", "The item was deleted; only its history remains.", "Nothing can change a deleted item.";
    /// The object was archived.
    ItemArchived {} = "ITEM_ARCHIVED", "The item is archived.", "Only its history can be read; create a new item instead.";

    // Templates and workflow.
    /// The template is not in use.
    TemplateNotActive { template: Name } = "TEMPLATE_NOT_ACTIVE", "The template {template} is not active.", "Choose an active template.";
    /// The template defines another type of item.
    TemplateOfWrongType { template: Name, wanted: ItemType, found: ItemType } = "WRONG_TEMPLATE_TYPE", "The template {template} defines a {found}; a {wanted} is needed.", "Choose a template of the right type.";
    /// The item's template has no such step.
    UnknownStep { path: String } = "UNKNOWN_STEP", "The item has no step at {path}.", "Ask the item for its steps.";
    /// An earlier step is not finished.
    StepOutOfOrder { step: StepKey, before: StepKey } = "STEP_OUT_OF_ORDER", "The step {step} cannot start while the earlier step {before} is not finished.", "Finish the earlier step first.";
    /// Another step is ongoing.
    StepAlreadyOngoing { step: StepKey, ongoing: StepKey } = "STEP_ALREADY_ONGOING", "The step {step} cannot become ongoing while {ongoing} is.", "Finish the ongoing step, or cancel its start.";
    /// The step is not ongoing.
    StepNotOngoing { step: StepKey } = "STEP_NOT_ONGOING", "The step {step} is not ongoing.", "Start the step first.";
    /// The step is not finished.
    StepNotFinished { step: StepKey } = "STEP_NOT_FINISHED", "The step {step} is not finished, so it cannot be reopened.", "Only a finished step can be reopened.";
    /// The step was finished already.
    StepAlreadyFinished { step: StepKey } = "STEP_ALREADY_FINISHED", "The step {step} is finished already.", "Reopen the step to work on it again.";
    /// The mandatory sign-off of the step is not approved.
    SignOffNotApproved { step: StepKey, status: SignOffStatus } = "SIGN_OFF_NOT_APPROVED", "The step {step} cannot be finished: its sign-off is {status}, not APPROVED.", "Ask for feedback and the final approval; after a rejection, reset the sign-off.";
    /// Fields that the step needs are empty.
    MissingFields { step: StepKey, fields: String } = "MISSING_FIELDS", "The step {step} cannot be finished without: {fields}.", "Fill these fields.";
    /// A sign-off that the move would disturb is waiting.
    SignOffInProgress { step: StepKey, status: SignOffStatus } = "SIGN_OFF_IN_PROGRESS", "The sign-off of the step {step} is {status}.", "Wait for the decision, or abandon the sign-off first.";

    // Sign-off.
    /// Feedback was requested already.
    FeedbackAlreadyRequested {} = "FEEDBACK_ALREADY_REQUESTED", "Feedback was requested already.", "Wait for the reviewers, or request the final approval.";
    /// The final approval was requested already.
    ApprovalAlreadyRequested {} = "FINAL_APPROVAL_ALREADY_REQUESTED", "The final approval was requested already.", "Wait for the decision, or ask an approver to return to feedback.";
    /// The sign-off was decided.
    AlreadyDecided { status: SignOffStatus } = "ALREADY_DECIDED", "The sign-off was decided already: {status}.", "Reset the sign-off to begin a new cycle.";
    /// The sign-off was abandoned.
    SignOffAbandoned {} = "SIGN_OFF_ABANDONED", "The sign-off was abandoned.", "Resume it, or reset it to begin a new cycle.";
    /// Nobody has asked for feedback.
    FeedbackNotRequested {} = "FEEDBACK_NOT_REQUESTED", "Feedback was not requested.", "Feedback can be given once it is requested, until the final approval is.";
    /// Nobody has asked for the decision.
    ApprovalNotRequested {} = "FINAL_APPROVAL_NOT_REQUESTED", "The final approval was not requested.", "Wait until the final approval is requested.";
    /// The sign-off is in a state from which this move does not lead.
    InvalidTransition { status: SignOffStatus } = "INVALID_TRANSITION", "This is not possible while the sign-off is {status}.", "Ask the sign-off what is possible now.";
    /// The sign-off has no feedback group.
    NoFeedbackGroup {} = "NO_FEEDBACK_GROUP", "The sign-off has no feedback group.", "Request the final approval instead.";
    /// The sign-off has no such feedback group.
    UnknownFeedbackGroup { path: String } = "UNKNOWN_FEEDBACK_GROUP", "The sign-off has no feedback group at {path}.", "Ask the sign-off for its feedback groups.";
    /// Nobody could approve.
    NoApprover {} = "NO_APPROVER", "Nobody could decide: the sign-off has no active final approver.", "Name final approvers on the governed project.";
    /// The caller is not one of the approvers.
    NotAnApprover {} = "NOT_AN_APPROVER", "You are not a final approver of this sign-off.", "Ask one of its approvers; being an administrator makes nobody an approver.";
    /// The caller is not in that feedback group.
    NotAReviewer { group: String } = "NOT_A_REVIEWER", "You are not a reviewer of the feedback group {group}.", "Ask one of its members; being an administrator makes nobody a reviewer.";
    /// An API key tried to review.
    KeysDoNotReview {} = "KEYS_DO_NOT_REVIEW", "An API key can neither give feedback nor decide, nor confirm a warning.", "A person has to do it.";
    /// An administrator tried to review as somebody else.
    ImpersonatorsDoNotReview {} = "IMPERSONATORS_DO_NOT_REVIEW", "Whoever acts as somebody else can neither give feedback nor decide, nor confirm a warning.", "The person has to do it herself.";
    /// There is no such feedback in this cycle.
    UnknownFeedback { path: String } = "UNKNOWN_FEEDBACK", "There is no feedback at {path} in this cycle.", "Ask the sign-off for its feedback.";
    /// Somebody else's feedback.
    NotTheAuthor {} = "NOT_THE_AUTHOR", "Only its author can change or delete a feedback.", "Give a feedback of your own.";
    /// One person would play two roles that are kept apart.
    SeparationOfDuties { pair: &'static str } = "SEPARATION_OF_DUTIES", "Duties are separated here: {pair}.", "Another approver has to decide.";
    /// The content is not what the approver saw.
    ContentChanged { expected: String, current: String } = "CONTENT_CHANGED", "You decided on the content {expected}, but it is {current} now.", "Look at the content again, then decide.";
    /// The step has no sign-off.
    NoSignOff { step: StepKey } = "NO_SIGN_OFF", "The step {step} has no sign-off.", "Finish the step; there is nothing to approve.";

    // Roles and grants.
    /// Something still gives, grants or asks for the role.
    RoleInUse { rules: usize, grants: usize, reviews: usize } = "ROLE_IN_USE", "The role is in use: {rules} rules give it, {grants} sets of grants name it, {reviews} reviews ask for it.", "Take it out of those first.";
    /// A type would inherit its own roles.
    InheritanceCycle { path: String, item_type: ItemType } = "INHERITANCE_CYCLE", "A {item_type} would inherit its roles from itself, over other types.", "Leave out one of the inheritances.";

    // Sources and governance.
    /// The source object is governed already.
    AlreadyGoverned {} = "ALREADY_GOVERNED", "The source object is governed already.", "Open its governed item instead.";
    /// The parent of the source object is not governed.
    ParentNotGoverned { parent: Name } = "PARENT_NOT_GOVERNED", "The parent {parent} is not governed.", "Govern the parent first.";
    /// The source object is not governed.
    NotGoverned {} = "NOT_GOVERNED", "The source object is not governed.", "Govern it first.";
    /// The source object is hidden.
    SourceHidden {} = "SOURCE_HIDDEN", "The source object is hidden.", "Unhide it first.";
    /// The source object is not hidden.
    SourceNotHidden {} = "SOURCE_NOT_HIDDEN", "The source object is not hidden.", "There is nothing to unhide.";
    /// The source object was archived by its node.
    SourceArchived {} = "SOURCE_ARCHIVED", "The source object was deleted on its node.", "Only its history remains.";
    /// An item that has a source object already.
    ItemHasSource { item: Name } = "ITEM_HAS_SOURCE", "The item {item} has a source object of that kind already.", "Only a governed project may have several source projects.";
    /// A parent that the batch's node never reported.
    UnknownParent { path: String } = "UNKNOWN_PARENT", "The parent at {path} was not reported by this node.", "Report the parent first, or earlier in the same batch.";
    /// A kind that needs a parent was reported without one, or the reverse.
    WrongParent { path: String, wanted: String } = "WRONG_PARENT", "The object at {path} needs {wanted}.", "Report it under the right parent.";
    /// A batch with too many rows.
    TooManyRows { rows: usize, most: usize } = "TOO_MANY_ROWS", "The batch has {rows} rows; {most} are allowed.", "Send several batches.";
    /// A change that would drag too many others along.
    TooManyConsequences { objects: usize, most: usize } = "TOO_MANY_CONSEQUENCES", "This would change {objects} other objects at once; {most} are allowed.", "Change the children first, in several steps.";
    /// A content digest that is not one.
    DigestNotAllowed { path: String } = "DIGEST_NOT_ALLOWED", "The digest at {path} is not \"sha256:\" with 64 hexadecimal digits.", "Send the SHA-256 of the content.";
    /// A bundle or version without a digest.
    DigestMissing { path: String } = "DIGEST_MISSING", "The object at {path} has no content digest.", "Bundles and model versions carry the SHA-256 of their content.";

    // Infrastructures and deployments.
    /// The infrastructure warns about what is not approved.
    GovernanceWarning { reason: String } = "GOVERNANCE_WARNING", "The infrastructure warns: {reason}", "Confirm with a reason, or have it approved first.";
    /// The infrastructure prevents what is not approved.
    GovernancePrevented { reason: String } = "GOVERNANCE_PREVENTED", "The infrastructure prevents this: {reason}", "Have it approved first; a confirmation does not help.";
    /// A confirmation without a reason.
    ReasonMissing { path: String } = "REASON_MISSING", "The reason at {path} is empty.", "Say why you go on in spite of the warning; it is recorded.";
    /// Only bundles and model versions are deployed.
    NotDeployable {} = "NOT_DEPLOYABLE", "Only a bundle or a model version can be published and deployed.", "Name a bundle or a model version.";
    /// The bundle was not published to the deployer.
    NotPublished {} = "NOT_PUBLISHED", "The bundle is not published to the deployer.", "Publish it first.";
    /// The deployment is not in a state for this.
    DeploymentNot { wanted: &'static str, found: &'static str } = "DEPLOYMENT_STATE", "The deployment is {found}; it must be {wanted}.", "Ask the deployment for its state.";

    // People and sign-in.
    /// The password is too short or too long.
    PasswordNotAllowed { least: usize, most: usize } = "PASSWORD_NOT_ALLOWED", "A password has {least} to {most} characters.", "Choose another password.";
    /// The present password is another one.
    WrongPassword {} = "WRONG_PASSWORD", "This is not your present password.", "Try again, or ask an administrator for a link that sets a new one.";
    /// The one-time link was used, has expired or never was.
    LinkNotValid {} = "LINK_NOT_VALID", "This link was used already, has expired, or never was.", "Ask an administrator for a new link.";
    /// An e-mail address that is not one.
    EmailNotAllowed { path: String } = "EMAIL_NOT_ALLOWED", "The value at {path} is not an e-mail address.", "Send an address like ann@example.org.";
    /// The last administrator would go.
    LastAdministrator {} = "LAST_ADMINISTRATOR", "The tenant would be left without an administrator.", "Make somebody else an administrator first.";
    /// People do not end themselves.
    NotYourself {} = "NOT_YOURSELF", "Nobody disables, demotes, deletes or impersonates himself.", "Ask another administrator.";
    /// Groups would contain each other.
    GroupCycle { path: String, groups: String } = "GROUP_CYCLE", "The groups would contain each other: {groups}.", "Take one of them out of the other first.";
    /// Groups would lie too deep in groups.
    GroupsTooDeep { levels: usize, most: usize } = "GROUPS_TOO_DEEP", "Groups would lie {levels} levels deep; {most} are allowed.", "Nest the groups less deep.";
    /// The caller lacks the right for one row of a batch.
    RowForbidden { path: String, right: &'static str } = "ROW_FORBIDDEN", "The row at {path} needs a right that you lack: {right}.", "Ask somebody who has it.";
    /// The key was revoked or has expired.
    KeyEnded {} = "KEY_ENDED", "The key was revoked or has expired.", "Make another key.";
    /// The old secret would be good for too long.
    OverlapTooLong { path: String, days: i64 } = "OVERLAP_TOO_LONG", "The old secret may be good for at most {days} more days; {path} lies beyond.", "Name an earlier moment.";
    /// The key's scope needs a node, or the reverse.
    ScopeNeedsNode { path: String } = "SCOPE_NEEDS_NODE", "The scopes at {path} belong to a source node, and the key names none.", "Name the source node, or choose other scopes.";
    /// The key's scope needs a user.
    ScopeNeedsUser { path: String } = "SCOPE_NEEDS_USER", "The scopes at {path} carry a user's rights, and the key belongs to a source node.", "Name the user, or choose other scopes.";
    /// A key that could do nothing.
    ScopeMissing { path: String } = "SCOPE_MISSING", "The key names no scope at {path}.", "Name what the key may do.";
    /// An end that lies in the past.
    ExpiryPast { path: String } = "EXPIRY_PAST", "The expiry at {path} lies in the past.", "Choose a moment in the future, or none.";
}

/// # Errors
/// `REVISION_CONFLICT` when the caller has read another revision than the current one.
pub(in crate::domain) const fn revision_must_be(current: u64, expected: u64) -> Result<(), Refusal> {
    if current == expected { Ok(()) } else { Err(Refusal::RevisionConflict { expected, current }) }
}

impl Refusal {
    /// Nothing, when the object is at the revision that the caller has read.
    pub(in crate::domain) const fn unless_at(current: u64, expected: u64) -> Result<(), Self> {
        if expected == current { Ok(()) } else { Err(Self::RevisionConflict { expected, current }) }
    }

    /// Where in the input the refused value stands, outermost first; empty when the whole is refused.
    pub fn path(&self) -> Vec<String> {
        self.place().map(|path| path.split('.').map(str::to_owned).collect()).unwrap_or_default()
    }
}
