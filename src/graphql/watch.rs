//! What is told of every operation to whoever runs the server: what it was, who asked, what came of it, how long it took.
//! Never a value of a variable, a credential, or anything of an answer but its first error's code.

use super::{document::Admitted, listening::Told};
use crate::{app::Failed, domain::access::Viewer};
use async_graphql::{
    Response, Value,
    parser::types::{OperationDefinition, OperationType, Selection},
};
use std::{borrow::Cow, net::IpAddr, sync::Arc, time::Duration};
use tokio::time::Instant;

/// The code of what was answered without an error.
const OK: &str = "OK";

/// Hears of operations. Called while they are answered, so it must be quick.
pub trait Watcher: Send + Sync + 'static {
    /// One has begun.
    fn began(&self, operation: &Operation);
    /// A subscription was told something.
    fn delivered(&self);
    /// One is over: it was answered, ended, or left.
    fn ended(&self, operation: &Operation, took: Duration);
}

/// Given with an operation by the floor above, to hear what becomes of it.
pub struct Watch {
    /// Names the request in logs.
    pub request_id: String,
    /// How it came: `http`, `websocket` or `sse`.
    pub transport: &'static str,
    /// Who hears of it.
    pub watcher: Arc<dyn Watcher>,
}

/// What is known of an operation.
pub struct Operation {
    /// Names the request in logs.
    pub request_id: Box<str>,
    /// How it came.
    pub transport: &'static str,
    /// The name that its document gives it; the caller's choice.
    pub name: Option<Box<str>>,
    /// `query`, `mutation` or `subscription`; `unknown` where the document does not say which runs.
    pub kind: &'static str,
    /// Its root field, `several`, or `none`. The caller's words until its code says that it was valid.
    pub field: Box<str>,
    /// The person, key or part of the server that asks, and the organisation; none for nobody.
    pub viewer: Option<Arc<Viewer>>,
    /// From where.
    pub address: Option<IpAddr>,
    /// In points; none where the request was refused before that was known.
    pub cost: Option<u64>,
    /// `OK`, the code of the first error, or `LEFT` where nobody waited for the answer.
    pub code: Cow<'static, str>,
    /// How many answers there were.
    pub answers: u64,
}

/// An operation that goes on until this is dropped.
pub(super) struct Watched(Option<Box<Ongoing>>);

struct Ongoing {
    operation: Operation,
    begun: Instant,
    watcher: Arc<dyn Watcher>,
}

impl Watched {
    /// Begins to watch, if somebody wants to hear of it.
    pub(super) fn begin(
        admitted: &Admitted,
        viewer: &Result<Arc<Viewer>, Failed>,
        address: Option<IpAddr>,
        cost: Option<u64>,
    ) -> Self {
        let Some(Watch { request_id, transport, watcher }) = admitted.watch() else { return Self(None) };
        let (request_id, transport, watcher) = (request_id.as_str().into(), *transport, Arc::clone(watcher));
        let kind = match admitted.kind() {
            Some(OperationType::Query) => "query",
            Some(OperationType::Mutation) => "mutation",
            Some(OperationType::Subscription) => "subscription",
            None => "unknown",
        };
        let (name, field) = (admitted.name().map(Into::into), admitted.operation().map(root_field));
        let operation = Operation {
            request_id,
            transport,
            name,
            kind,
            field: field.unwrap_or("none").into(),
            viewer: viewer.as_ref().ok().map(Arc::clone),
            address,
            cost,
            code: if kind == "subscription" { OK } else { "LEFT" }.into(),
            answers: 0,
        };
        watcher.began(&operation);
        Self(Some(Box::new(Ongoing { operation, begun: Instant::now(), watcher })))
    }

    /// Notes an answer.
    pub(super) fn saw(&mut self, response: &Response) {
        self.heard(code_of(response));
    }

    /// Notes what was told.
    pub(super) fn told(&mut self, told: &Told) {
        self.heard(told.code.as_deref());
    }

    fn heard(&mut self, code: Option<&str>) {
        let Some(Ongoing { operation, watcher, .. }) = self.0.as_deref_mut() else { return };
        operation.answers = operation.answers.saturating_add(1);
        let code = code.unwrap_or(OK);
        if operation.code != code {
            operation.code = if code == OK { OK.into() } else { code.to_owned().into() };
        }
        if operation.kind == "subscription" {
            watcher.delivered();
        }
    }
}

/// The code of the first error of an answer.
pub(super) fn code_of(response: &Response) -> Option<&str> {
    let error = response.errors.first()?;
    match error.extensions.as_ref().and_then(|extensions| extensions.get("code")) {
        Some(Value::String(code)) => Some(code),
        _ => Some("GRAPHQL_VALIDATION_FAILED"),
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(Ongoing { operation, begun, watcher }) = self.0.as_deref() {
            watcher.ended(operation, begun.elapsed());
        }
    }
}

/// The one root field; what a fragment brings counts as several.
fn root_field(operation: &OperationDefinition) -> &str {
    match operation.selection_set.node.items.as_slice() {
        [] => "none",
        [selection] => match &selection.node {
            Selection::Field(field) => field.node.name.node.as_str(),
            Selection::FragmentSpread(_) | Selection::InlineFragment(_) => "several",
        },
        _ => "several",
    }
}
