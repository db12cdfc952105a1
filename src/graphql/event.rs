//! Timelines and the event log as clients read them: who, when, what, and the old and new value of what changed.
//! Never shows an event that `app` did not allow, and no object in it that the viewer may not read.

use super::{
    deployment::{Deployment, Health},
    event_kind::EventKind,
    id::{EventCursor, global},
    identity::User,
    infrastructure::Infrastructure,
    item::GovernedItem,
    scalar::{DateTime, FieldValue},
    sign_off::{Decision, FeedbackStatus, SignOff},
    source::{SourceObject, ValidationStatus},
    template::Template,
};
use crate::{
    app::{Recorded, Seen},
    domain::{
        access::{Principal, Resource, SystemActor},
        event::{self, Subject},
        field,
        id::ItemId,
        record::{Entity, Kind},
        sign_off, source,
    },
    store::Snapshot,
};
use async_graphql::{Enum, ID, Object, SimpleObject, Value};

/// What kind of actor did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(super) enum ActorKind {
    /// A person.
    User,
    /// An API key.
    Key,
    /// The server itself.
    System,
    /// Whoever presented a password, a refresh token or a one-time link.
    Credential,
}

/// Who did something.
#[derive(Clone, SimpleObject)]
pub(super) struct Actor {
    /// What kind of actor.
    kind: ActorKind,
    /// The person; null for others.
    pub(super) user: Option<User>,
    /// The administrator who acted as the person; null where she acted herself.
    impersonator: Option<User>,
    /// What people call the person or key; of the server, in which of its parts it acted.
    name: Option<String>,
}

impl Actor {
    pub(super) fn of(snapshot: &Snapshot, principal: Principal) -> Self {
        let named = || snapshot.view().name_of(principal).map(ToString::to_string);
        let (kind, user, name) = match principal {
            Principal::User(id) | Principal::Impersonated { user: id, .. } => {
                (ActorKind::User, Seen::find(snapshot, id).ok().map(User), named())
            }
            Principal::Key(_) => (ActorKind::Key, None, named()),
            Principal::System(system) => (ActorKind::System, None, Some(label(system).to_owned())),
            Principal::Credential => (ActorKind::Credential, None, None),
        };
        let impersonator = principal.impersonator().and_then(|by| Seen::find(snapshot, by).ok()).map(User);
        Self { kind, user, impersonator, name }
    }
}

const fn label(system: SystemActor) -> &'static str {
    match system {
        SystemActor::Founding => "Founding",
        SystemActor::AutomaticGovernance => "Automatic governance",
        SystemActor::Consequence => "Consequence",
        SystemActor::AfterDeployment => "After deployment",
        SystemActor::Restoring => "Restore",
        SystemActor::Importing => "Import",
    }
}

/// Something that happened, as it was recorded; the objects in it as they are now.
#[derive(Clone)]
pub(super) struct TimelineEvent {
    snapshot: Snapshot,
    recorded: Recorded,
}

/// What changed, and from what to what.
struct Changed {
    attribute: String,
    old: Option<FieldValue>,
    new: Option<FieldValue>,
}

fn worded(value: impl Into<Value>) -> Option<FieldValue> {
    if let Value::Enum(name) = value.into() { Some(FieldValue::text(&name)) } else { None }
}

impl TimelineEvent {
    pub(super) const fn new(snapshot: Snapshot, recorded: Recorded) -> Self {
        Self { snapshot, recorded }
    }

    /// The position behind it.
    pub(super) fn position(&self) -> EventCursor {
        self.recorded.position.into()
    }

    const fn what(&self) -> &event::EventKind {
        &self.recorded.event.kind
    }

    const fn subject(&self) -> &Subject {
        &self.recorded.event.subject
    }

    fn find<T: Entity + Resource>(&self, id: Option<T::Id>) -> Option<Seen<T>> {
        id.and_then(|id| Seen::find(&self.snapshot, id).ok())
    }

    fn item_concerned(&self) -> Option<ItemId> {
        self.subject().item().or_else(|| self.what().item())
    }

    fn changed(&self) -> Option<Changed> {
        use event::EventKind as K;
        let shown = |value: &field::FieldValue| FieldValue::shown(&self.snapshot, value);
        let changed = |attribute: &str, old, new| Some(Changed { attribute: attribute.to_owned(), old, new });
        let what = self.what();
        if let K::FieldChanged { field, old, new } = what {
            return changed(field.as_str(), old.as_ref().map(shown), new.as_ref().map(shown));
        }
        if let K::ItemRenamed { old, new } = what {
            return changed("name", Some(FieldValue::text(old.as_str())), Some(FieldValue::text(new.as_str())));
        }
        if let K::ValidationChanged { old, new } = what {
            let word = |status: &_| worded(ValidationStatus::from(*status));
            return changed("validationStatus", word(old), word(new));
        }
        if let K::HealthChanged { old, new } = what {
            return changed("health", worded(Health::from(*old)), worded(Health::from(*new)));
        }
        if let K::DeploymentStatusReported { status, .. } = what {
            return changed("reported", None, worded(Health::from(*status)));
        }
        if let K::DeploymentUpdated { old, new } = what {
            let source = |id| self.find::<source::SourceObject>(Some(id));
            let name = |id| source(id).map(|source| FieldValue::text(source.name.as_str()));
            return changed("sourceObject", name(*old), name(*new));
        }
        if let K::SettingsChanged { old, new } = what {
            let yes = |yes| Some(shown(&field::FieldValue::Boolean(yes)));
            let (old, new) = (old.requester_may_not_approve, new.requester_may_not_approve);
            return changed("requesterMayNotApprove", yes(old), yes(new));
        }
        None
    }
}

/// Something that happened, as it was recorded; the objects in it as they are now.
#[Object]
impl TimelineEvent {
    /// The position behind the event: read or subscribe `after` it to go on.
    async fn cursor(&self) -> EventCursor {
        self.position()
    }

    /// The number of its change in the organisation's log, from 1; `countersign audit prove` takes it. What one change
    /// did has one number.
    async fn number(&self) -> u64 {
        self.recorded.position.number
    }

    /// When it was accepted.
    async fn at(&self) -> DateTime {
        self.recorded.at.into()
    }

    /// What happened.
    async fn kind(&self) -> EventKind {
        EventKind::of(self.what())
    }

    /// Who did it; the server, where it followed from what somebody did.
    async fn actor(&self) -> Actor {
        let by = self.recorded.event.by.map(Principal::System);
        Actor::of(&self.snapshot, by.unwrap_or(self.recorded.principal))
    }

    /// From whose action it followed, where the server did it.
    async fn cause(&self) -> Option<Actor> {
        self.recorded.event.by.map(|_| Actor::of(&self.snapshot, self.recorded.principal))
    }

    /// The operation that was asked for, as the schema names it.
    async fn action(&self) -> String {
        let mut name = self.recorded.action.as_str().to_owned();
        if let Some(first) = name.get_mut(0..1) {
            first.make_ascii_lowercase();
        }
        name
    }

    /// The item that it concerns; a deleted one is there with its name only.
    async fn item(&self) -> Option<GovernedItem> {
        self.find(self.item_concerned()).map(GovernedItem)
    }

    /// The source object that it concerns.
    async fn source_object(&self) -> Option<SourceObject> {
        let source = match self.subject() {
            Subject::Source(source, _) | Subject::Deployment(_, source, _) => Some(*source),
            Subject::Item(_)
            | Subject::Infrastructure(_)
            | Subject::Template(_)
            | Subject::Identity(_)
            | Subject::Access(_)
            | Subject::Tenant => None,
        };
        self.find(source).map(SourceObject)
    }

    /// The deployment that it concerns; null once that is deleted, or where it was refused.
    async fn deployment(&self) -> Option<Deployment> {
        let Subject::Deployment(deployment, ..) = self.subject() else { return None };
        self.find(Some(*deployment)).map(Deployment)
    }

    /// The deployment's id; it stays when the deployment is deleted.
    async fn deployment_id(&self) -> Option<ID> {
        let Subject::Deployment(deployment, ..) = self.subject() else { return None };
        Some(global(Kind::Deployment, deployment.uuid()))
    }

    /// The infrastructure that it concerns.
    async fn infrastructure(&self) -> Option<Infrastructure> {
        let own = if let Subject::Infrastructure(own) = self.subject() { Some(*own) } else { None };
        self.find(own.or_else(|| self.what().infrastructure())).map(Infrastructure)
    }

    /// The template that it concerns.
    async fn template(&self) -> Option<Template> {
        let own = if let Subject::Template(own) = self.subject() { Some(*own) } else { None };
        self.find(own.or_else(|| self.what().template())).map(Template)
    }

    /// The person that it happened to.
    async fn user(&self) -> Option<User> {
        self.find(self.what().user()).map(User)
    }

    /// What people called the thing then.
    async fn name(&self) -> Option<&str> {
        self.what().name().map(|name| name.as_str())
    }

    /// The key of the item's step that it happened in.
    async fn step(&self) -> Option<String> {
        let of_sign_off = || self.find::<sign_off::SignOff>(self.what().sign_off()).map(|own| own.step.clone());
        self.what().step().cloned().or_else(of_sign_off).map(|step| step.to_string())
    }

    /// The sign-off that it happened to.
    async fn sign_off(&self) -> Option<SignOff> {
        self.find(self.what().sign_off()).map(SignOff)
    }

    /// The round of review that was decided, or that begins.
    async fn cycle(&self) -> Option<u32> {
        self.what().cycle()
    }

    /// The keys of the feedback groups that it concerns.
    async fn groups(&self) -> Vec<&str> {
        self.what().groups().into_iter().map(|group| group.as_str()).collect()
    }

    /// Who was told to review.
    async fn notified(&self) -> Vec<User> {
        self.what().notified().into_iter().filter_map(|user| self.find(Some(user))).map(User).collect()
    }

    /// What a reviewer found.
    async fn feedback_status(&self) -> Option<FeedbackStatus> {
        self.what().feedback_status().map(Into::into)
    }

    /// What was decided.
    async fn decision(&self) -> Option<Decision> {
        self.what().decision().map(Into::into)
    }

    /// The key of the field that changed, or the name of what else did: `name`, `validationStatus`, `health`.
    async fn attribute(&self) -> Option<String> {
        self.changed().map(|changed| changed.attribute)
    }

    /// Its value before; null where it was empty.
    async fn old_value(&self) -> Option<FieldValue> {
        self.changed().and_then(|changed| changed.old)
    }

    /// Its value after; null where it was emptied.
    async fn new_value(&self) -> Option<FieldValue> {
        self.changed().and_then(|changed| changed.new)
    }

    /// What was written about it: a reviewer's words, a reason, a deployer's message.
    async fn comment(&self) -> Option<&str> {
        self.what().comment()
    }

    /// The code of the refusal that was recorded.
    async fn code(&self) -> Option<&str> {
        self.what().code()
    }

    /// The digest of the content that it is about.
    async fn content_digest(&self) -> Option<&str> {
        self.what().content_digest()
    }
}
