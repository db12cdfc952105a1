//! Publishing content, and creating, activating, changing and ending deployments.
//! Never leaves a deployment, or a changed one, behind a gate that refused: only its timeline entry.

use super::{
    Deployment, DeploymentStatus, Health, Reported,
    gate::{Answer, Gate, move_to_production},
};
use crate::domain::{
    access::{Allowed, Denied, Resource, Stopped, View},
    action::{
        Asks, CreateDeployment, DeleteDeployment, Deploy, DisableDeployment, Need, PublishSourceObject,
        ReportDeploymentStatus, UpdateDeployment,
    },
    consequences,
    event::{EventKind, Subject},
    id::{DeploymentId, Ids, SourceObjectId},
    infrastructure::Infrastructure,
    refusal::{Refusal, revision_must_be},
    source::{Publication, SourceObject},
    state::Change,
    text::{Name, Text},
    time::Timestamp,
};
use std::{collections::BTreeSet, sync::Arc};

/// What a new deployment is.
#[derive(Clone, Debug)]
pub struct NewDeployment {
    /// What people call it.
    pub name: Name,
    /// The published bundle or version.
    pub source: SourceObjectId,
    /// Why the caller goes on in spite of a warning.
    pub confirmation_reason: Option<Text>,
}

/// What a deployment runs from now on.
#[derive(Clone, Debug)]
pub struct UpdatedDeployment {
    /// The revision that the caller has read.
    pub expected_revision: u64,
    /// The other published bundle or version.
    pub source: SourceObjectId,
    /// Why the caller goes on in spite of a warning.
    pub confirmation_reason: Option<Text>,
}

/// The change of a deployment, or that the gate refused it and the timeline says so.
type Gated = Change<Result<Arc<Deployment>, Refusal>>;

impl Allowed<'_, PublishSourceObject, SourceObject> {
    /// Publishes the bundle or version to the deployer; a published one stays as it is.
    ///
    /// # Errors
    /// `NOT_DEPLOYABLE`, or `SOURCE_ARCHIVED`.
    pub fn publish(self, now: Timestamp) -> Result<Change<Arc<SourceObject>>, Stopped> {
        must_be_deployable(&self)?;
        let mut draft = self.draft();
        if self.published.is_some() {
            return Ok(draft.done(Arc::clone(self.record())));
        }
        let published = Some(Publication { by: self.caller()?.person(), at: now });
        let next = SourceObject { published, ..(**self.record()).clone() };
        let subject = Subject::Source(self.id, self.item());
        let source = draft.put(next, subject, EventKind::SourceObjectPublished {});
        Ok(draft.done(source))
    }
}

fn must_be_deployable(source: &SourceObject) -> Result<(), Refusal> {
    if !source.kind.is_deployable() {
        return Err(Refusal::NotDeployable {});
    }
    if source.archived_at.is_some() { Err(Refusal::SourceArchived {}) } else { Ok(()) }
}

/// The published content that the caller names, if she may read it.
fn published<'s>(view: View<'s>, source: SourceObjectId) -> Result<&'s Arc<SourceObject>, Refusal> {
    let found = view.state().source_object(source).filter(|source| source.may(Need::Read, view).is_ok());
    let source = found.ok_or_else(|| Refusal::Unknown { path: "sourceObjectId".to_owned() })?;
    must_be_deployable(source)?;
    if source.published.is_none() { Err(Refusal::NotPublished {}) } else { Ok(source) }
}

fn refused(infrastructure: &Infrastructure, refusal: &Refusal) -> EventKind {
    EventKind::deployment_refused(infrastructure.id, refusal.code(), refusal.sentence())
}

impl Allowed<'_, CreateDeployment, Infrastructure> {
    /// Enters a deployment of published content, not active yet, if the gate lets it pass.
    ///
    /// # Errors
    /// `UNKNOWN_OBJECT` for content that the caller cannot read, `NOT_DEPLOYABLE`, `SOURCE_ARCHIVED`,
    /// `NOT_PUBLISHED`, `REASON_MISSING`, `KEYS_DO_NOT_REVIEW`. What the gate refuses is the outcome.
    pub fn create_deployment(self, new: NewDeployment, ids: &dyn Ids, now: Timestamp) -> Result<Gated, Stopped> {
        let source = published(self.view(), new.source)?;
        let caller = self.caller()?;
        let gate = Gate {
            state: self.state(),
            caller: &caller,
            infrastructure: &self,
            source,
            confirmed: None,
            reason: new.confirmation_reason,
            now,
        };
        let mut draft = self.draft();
        let confirmation = match gate.ask()? {
            Answer::Passed => None,
            Answer::Confirmed(confirmation) => Some(confirmation),
            Answer::Refused(refusal) => {
                draft.tell(None, Subject::Source(source.id, source.item()), refused(&self, &refusal));
                return Ok(draft.done(Err(refusal)));
            }
        };
        let deployment = Deployment {
            id: DeploymentId::new(ids),
            revision: 1,
            name: new.name,
            infrastructure: self.id,
            source: source.id,
            status: DeploymentStatus::Created,
            confirmation,
            reported: None,
            created_by: caller.person(),
            created_at: now,
            deployed_at: None,
            deployed_digest: None,
        };
        let created = EventKind::DeploymentCreated { infrastructure: self.id };
        let mut events = vec![created];
        events.extend(confirmed(&deployment));
        let subject = Subject::Deployment(deployment.id, source.id, source.item());
        let deployment = draft.put_all(deployment, subject, events);
        Ok(draft.done(Ok(deployment)))
    }
}

/// That a warning was confirmed, as the timeline says it.
fn confirmed(deployment: &Deployment) -> Option<EventKind> {
    let infrastructure = deployment.infrastructure;
    deployment.confirmation.as_ref().map(|confirmation| EventKind::WarningConfirmed {
        infrastructure,
        reason: confirmation.reason.clone(),
        content_digest: confirmation.content_digest.clone(),
    })
}

impl<A: Asks<Deployment>> Allowed<'_, A, Deployment> {
    fn content(&self) -> Result<&Arc<SourceObject>, Denied> {
        self.state().source_object(self.source).ok_or(Denied::NotFound)
    }

    fn subject(&self) -> Result<Subject, Denied> {
        let source = self.content()?;
        Ok(Subject::Deployment(self.id, source.id, source.item()))
    }

    /// Whether it is active with exactly this content.
    fn runs(&self, source: &SourceObject) -> bool {
        let same = self.source == source.id && self.deployed_digest == source.content_digest;
        self.status == DeploymentStatus::Active && same
    }

    /// The deployment of `source` in `status` behind the gate, with the event that tells of it.
    fn gated(
        self,
        source: &SourceObject,
        status: DeploymentStatus,
        reason: Option<Text>,
        event: EventKind,
        now: Timestamp,
    ) -> Result<Gated, Stopped> {
        let infrastructure = self.state().infrastructure(self.infrastructure).ok_or(Denied::NotFound)?;
        let caller = self.caller()?;
        let gate = Gate {
            state: self.state(),
            caller: &caller,
            infrastructure,
            source,
            confirmed: self.confirmation.as_ref(),
            reason,
            now,
        };
        let mut draft = self.draft();
        let mut next =
            Deployment { source: source.id, status, revision: self.revision + 1, ..(**self.record()).clone() };
        let mut events = vec![event];
        let subject = Subject::Deployment(self.id, source.id, source.item());
        match gate.ask()? {
            Answer::Passed => {}
            Answer::Confirmed(confirmation) => {
                next.confirmation = Some(confirmation);
                events.extend(confirmed(&next));
            }
            Answer::Refused(refusal) => {
                draft.tell(None, subject, refused(infrastructure, &refusal));
                return Ok(draft.done(Err(refusal)));
            }
        }
        let active = status == DeploymentStatus::Active;
        if active {
            (next.deployed_at, next.deployed_digest) = (Some(now), source.content_digest.clone());
        }
        let deployment = draft.put_all(next, subject, events);
        consequences::of_sources(&mut draft, self.state(), &BTreeSet::from([source.id]));
        if active && infrastructure.moves_to_production {
            move_to_production(&mut draft, source, now);
        }
        Ok(draft.done(Ok(deployment)))
    }

    /// The deployment as it is.
    fn unchanged(&self) -> Change<Arc<Deployment>> {
        self.draft().done(Arc::clone(self.record()))
    }
}

impl Allowed<'_, Deploy, Deployment> {
    /// Makes the deployment active if the gate lets it pass; one that is active with the same content stays as it is.
    ///
    /// # Errors
    /// `SOURCE_ARCHIVED`, `REASON_MISSING`, `KEYS_DO_NOT_REVIEW`. What the gate refuses is the outcome.
    pub fn deploy(self, confirmation_reason: Option<Text>, now: Timestamp) -> Result<Gated, Stopped> {
        let source = Arc::clone(self.content()?);
        if self.runs(&source) {
            return Ok(self.unchanged().map(Ok));
        }
        must_be_deployable(&source)?;
        let event = EventKind::Deployed { infrastructure: self.infrastructure };
        self.gated(&source, DeploymentStatus::Active, confirmation_reason, event, now)
    }
}

impl Allowed<'_, UpdateDeployment, Deployment> {
    /// Puts other content behind the deployment if the gate lets it pass: an active one runs it from now on,
    /// any other one when it is deployed.
    ///
    /// # Errors
    /// `REVISION_CONFLICT`, and those of creating. What the gate refuses is the outcome.
    pub fn update_deployment(self, updated: UpdatedDeployment, now: Timestamp) -> Result<Gated, Stopped> {
        revision_must_be(self.revision, updated.expected_revision)?;
        let source = published(self.view(), updated.source)?;
        if self.runs(source) || (self.status != DeploymentStatus::Active && self.source == source.id) {
            return Ok(self.unchanged().map(Ok));
        }
        let event = EventKind::DeploymentUpdated { old: self.source, new: source.id };
        let status = self.status;
        self.gated(source, status, updated.confirmation_reason, event, now)
    }
}

impl Allowed<'_, ReportDeploymentStatus, Deployment> {
    /// Notes how the deployer says it fares; saying the same again changes nothing.
    ///
    /// # Errors
    /// `NotFound` when its content is gone.
    pub fn report_status(
        self,
        status: Health,
        message: Text,
        now: Timestamp,
    ) -> Result<Change<Arc<Deployment>>, Stopped> {
        if self.reported.as_ref().is_some_and(|known| known.status == status && known.message == message) {
            return Ok(self.unchanged());
        }
        let event = EventKind::DeploymentStatusReported { status, message: message.clone() };
        let reported = Some(Reported { status, message, at: now });
        let next = Deployment { reported, revision: self.revision + 1, ..(**self.record()).clone() };
        let mut draft = self.draft();
        let deployment = draft.put(next, self.subject()?, event);
        consequences::of_sources(&mut draft, self.state(), &BTreeSet::from([self.source]));
        Ok(draft.done(deployment))
    }
}

impl Allowed<'_, DisableDeployment, Deployment> {
    /// Switches the deployment off; one that is off stays as it is.
    ///
    /// # Errors
    /// `NotFound` when its content is gone.
    pub fn disable(self) -> Result<Change<Arc<Deployment>>, Stopped> {
        match self.status {
            DeploymentStatus::Disabled => Ok(self.unchanged()),
            DeploymentStatus::Created | DeploymentStatus::Active => {
                let (status, revision) = (DeploymentStatus::Disabled, self.revision + 1);
                let next = Deployment { status, revision, ..(**self.record()).clone() };
                let mut draft = self.draft();
                let deployment = draft.put(next, self.subject()?, EventKind::DeploymentDisabled {});
                Ok(draft.done(deployment))
            }
        }
    }
}

impl Allowed<'_, DeleteDeployment, Deployment> {
    /// Removes a disabled deployment; its history stays.
    ///
    /// # Errors
    /// `DEPLOYMENT_STATE` unless it is disabled.
    pub fn delete(self) -> Result<Change<DeploymentId>, Stopped> {
        match self.status {
            DeploymentStatus::Disabled => {
                let mut draft = self.draft();
                draft.remove(&**self.record(), self.subject()?, EventKind::DeploymentDeleted {});
                Ok(draft.done(self.id))
            }
            found @ (DeploymentStatus::Created | DeploymentStatus::Active) => {
                let wanted = DeploymentStatus::Disabled.label();
                Err(Refusal::DeploymentNot { wanted, found: found.label() }.into())
            }
        }
    }
}
