//! What nodes report and end, and what is published to the deployer.
//! Never stops a batch at a bad row: each row is answered in its place.

use super::{
    call::{Payload, mutate, payload},
    error::UserError,
    id::{EventCursor, of_kind},
    source::{SourceKind, SourceObject},
};
use crate::{
    app::{Committed, Seen},
    domain::{
        record::Kind,
        source::{self, Reported, ReportedOriginal, SourceKey, SyncRow},
    },
};
use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use std::sync::Arc;

/// The object on another node that a reported one was made from.
#[derive(InputObject)]
pub(super) struct ReportedOriginalInput {
    /// The other node's short name.
    node: String,
    /// What that node calls it.
    key: String,
}

/// One object, whole, as its node knows it: what is left out is empty.
#[derive(InputObject)]
pub(super) struct ReportedObjectInput {
    /// What it is.
    kind: SourceKind,
    /// What the node calls it, unique within node and kind: 1 to 100 of `a-z A-Z 0-9 _ - . /`.
    key: String,
    /// What people call it: 1 to 200 characters.
    name: String,
    /// What the node says about it.
    description: Option<String>,
    /// The key of the object that it belongs to, reported by the same node before or earlier in the batch:
    /// a project for bundles and saved models, a saved model for versions.
    parent_key: Option<String>,
    /// The object on another node that it was made from; a project of one origin joins its governed project.
    original: Option<ReportedOriginalInput>,
    /// `sha256:` and the 64 hexadecimal digits of its content; bundles and versions need it.
    content_digest: Option<String>,
}

/// What a node reports.
#[derive(InputObject)]
pub(super) struct SyncSourceObjectsInput {
    /// The objects, parents before their children; at most 1,000.
    objects: Vec<ReportedObjectInput>,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// What a node calls one of its objects.
#[derive(InputObject)]
pub(super) struct SourceKeyInput {
    /// What it is.
    kind: SourceKind,
    /// What the node calls it.
    key: String,
}

/// What a node no longer has.
#[derive(InputObject)]
pub(super) struct DeleteSourceObjectsInput {
    /// The objects, at most 1,000.
    objects: Vec<SourceKeyInput>,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// The publication of a bundle or version.
#[derive(InputObject)]
pub(super) struct PublishSourceObjectInput {
    /// The bundle or version.
    source_object_id: ID,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// What became of one row of a batch.
#[derive(SimpleObject)]
pub(super) struct SyncResult {
    /// What the row is about.
    kind: SourceKind,
    /// What the node calls it, as the row wrote it.
    key: String,
    /// The object as it is after the whole batch; null when the row was refused, and for a key without the
    /// scope READ_STATUS.
    source_object: Option<SourceObject>,
    /// The rules that the row breaks; empty when it was done.
    user_errors: Vec<UserError>,
}

/// What a batch answers.
#[derive(SimpleObject)]
pub(super) struct SyncSourceObjectsPayload {
    /// One result for each row, in the order of the rows; empty when the whole batch was refused.
    results: Vec<SyncResult>,
    /// The rules that the batch as a whole breaks; empty when it was done.
    user_errors: Vec<UserError>,
    /// The position of the change in the event log: subscribe after it to read your own write.
    cursor: Option<EventCursor>,
}

impl Payload for SyncSourceObjectsPayload {
    type Outcome = Vec<SyncRow>;

    fn done(committed: Committed<Vec<SyncRow>>, cursor: EventCursor) -> Self {
        let Committed { outcome, snapshot, .. } = committed;
        let result = |SyncRow { kind, key, result }| {
            let (source_object, user_errors) = match result {
                Ok(source) => (Seen::find(&snapshot, source.id).ok().map(SourceObject), vec![]),
                Err(refusal) => (None, vec![UserError::from(&refusal)]),
            };
            SyncResult { kind: kind.into(), key, source_object, user_errors }
        };
        Self { results: outcome.into_iter().map(result).collect(), user_errors: vec![], cursor: Some(cursor) }
    }

    fn refused(user_errors: Vec<UserError>) -> Self {
        Self { results: vec![], user_errors, cursor: None }
    }
}

payload! {
    /// What a change of a source object answers.
    SourceObjectPayload {
        /// The source object as it is now; null when the change was refused.
        source_object: SourceObject
    } from Arc<source::SourceObject>, |committed| Seen::after(committed).ok().map(SourceObject)
}

impl From<ReportedObjectInput> for Reported {
    fn from(input: ReportedObjectInput) -> Self {
        let ReportedObjectInput { kind, key, name, description, parent_key, original, content_digest } = input;
        let original = original.map(|ReportedOriginalInput { node, key }| ReportedOriginal { node, key });
        Self { kind: kind.into(), key, name, description, parent_key, original, content_digest }
    }
}

/// Mutations of nodes and of the deployer's content.
#[derive(Default)]
pub(super) struct SyncMutation;

#[Object]
impl SyncMutation {
    /// Enters what a node reports, row by row: new objects, and news of known ones; what is as it was changes
    /// nothing. New objects come under governance in the same commit where the instance rules say so. For a
    /// node's key with the scope SYNC.
    async fn sync_source_objects(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What the node reports.")] input: SyncSourceObjectsInput,
    ) -> Option<Result<SyncSourceObjectsPayload>> {
        let batch = input.objects.into_iter().map(Into::into).collect();
        let operation =
            mutate(ctx, input.idempotency_key, async |app, call| app.sync_source_objects(&call, batch).await);
        Some(operation.await)
    }

    /// Archives what a node no longer has, and everything below it; its history stays, and an archived object is
    /// answered as it is. For a node's key with the scope SYNC.
    async fn delete_source_objects(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What the node no longer has.")] input: DeleteSourceObjectsInput,
    ) -> Option<Result<SyncSourceObjectsPayload>> {
        let keys = input.objects.into_iter().map(|SourceKeyInput { kind, key }| SourceKey { kind: kind.into(), key });
        let keys = keys.collect();
        let operation =
            mutate(ctx, input.idempotency_key, async |app, call| app.delete_source_objects(&call, keys).await);
        Some(operation.await)
    }

    /// Publishes a bundle or version to the deployer; nothing is deployed by it, and a published one stays as it
    /// is. Needs the grant DEPLOY on any infrastructure.
    async fn publish_source_object(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The bundle or version.")] input: PublishSourceObjectInput,
    ) -> Option<Result<SourceObjectPayload>> {
        let id = of_kind(Kind::SourceObject, &input.source_object_id);
        let operation =
            mutate(ctx, input.idempotency_key, async |app, call| app.publish_source_object(&call, id).await);
        Some(operation.await)
    }
}
