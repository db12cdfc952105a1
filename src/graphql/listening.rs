//! A subscription from its first moment on: the engine opens it, and words each thing that it tells; in between nothing
//! of the engine is held, only who listens, to what, from where.
//! Never tells what the listener below did not allow for this viewer, whoever else was told the same words.

use super::{
    call::Asker,
    document::Admitted,
    error::{code, coded, error},
    root_field::chosen,
    schema::Api,
    sharing::Operation,
    watch::code_of,
};
use crate::app::{Failed, Listener, Seat, StreamItem};
use async_graphql::{
    Pos, Request, Response, ServerError, Value,
    futures_util::stream::{self, BoxStream, StreamExt},
};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};
use tracing::Instrument;

/// One thing that an operation tells: an answer as JSON.
#[derive(Debug)]
pub struct Told {
    /// The whole answer.
    pub json: String,
    /// Its errors, where it was refused before any field ran.
    pub refused: Option<String>,
    /// The cursor beside the node of a subscription's one field, where that is selected under this name.
    pub cursor: Option<String>,
    /// The code of its first error.
    pub(super) code: Option<String>,
}

/// How much was told, since the start.
#[derive(Debug, Default)]
pub struct Deliveries {
    told: AtomicU64,
    worded: AtomicU64,
}

impl Deliveries {
    /// How many things subscribers were told.
    pub fn told(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    /// How often the engine ran for that: once for all whose words are the same.
    pub fn worded(&self) -> u64 {
        self.worded.load(Ordering::Relaxed)
    }
}

/// What the resolver of a subscription's field fills in when it is opened.
pub(super) struct Opening {
    pub(super) seat: Seat,
    opened: Mutex<Vec<Listener>>,
}

impl Opening {
    pub(super) fn opened(&self, listener: Listener) {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
    }
}

/// What the resolver of a subscription's field is to word.
pub(super) struct Delivery(pub(super) Result<StreamItem, Failed>);

/// Whether an operation failed before any field ran: an error of a field has a path.
pub fn is_refused(outcome: &Response) -> bool {
    outcome.data == Value::Null
        && !outcome.errors.is_empty()
        && outcome.errors.iter().all(|error| error.path.is_empty())
}

impl Told {
    /// What was refused before it was an operation, by a code and its errors in JSON.
    pub fn refusal(code: &str, errors: String) -> Self {
        let json = format!(r#"{{"errors":{errors}}}"#);
        Self { json, refused: Some(errors), cursor: None, code: Some(code.to_owned()) }
    }

    /// An answer in JSON.
    pub fn of(outcome: &Response) -> Self {
        let json = serde_json::to_string(outcome).unwrap_or_else(|error| {
            tracing::error!(%error, "an answer did not serialize");
            let message = "The answer could not be written.";
            format!(r#"{{"data":null,"errors":[{{"message":"{message}","extensions":{{"code":"INTERNAL"}}}}]}}"#)
        });
        let refused = is_refused(outcome).then(|| serde_json::to_string(&outcome.errors).unwrap_or_default());
        let (cursor, code) = (cursor(&outcome.data).map(str::to_owned), code_of(outcome).map(str::to_owned));
        Self { json, refused, cursor, code }
    }

    /// The same, with these extensions, which it had none of.
    pub(super) fn saying(&self, extensions: &str) -> Self {
        let json = self.json.strip_suffix('}').map(|json| format!(r#"{json},"extensions":{extensions}}}"#));
        let Self { refused, cursor, code, .. } = self;
        Self {
            json: json.unwrap_or_else(|| self.json.clone()),
            refused: refused.clone(),
            cursor: cursor.clone(),
            code: code.clone(),
        }
    }
}

fn cursor(data: &Value) -> Option<&str> {
    let Value::Object(fields) = data else { return None };
    let Value::Object(edge) = fields.values().next()? else { return None };
    match edge.get("cursor")? {
        Value::String(cursor) => Some(cursor),
        Value::Null
        | Value::Number(_)
        | Value::Boolean(_)
        | Value::Binary(_)
        | Value::Enum(_)
        | Value::List(_)
        | Value::Object(_) => None,
    }
}

/// Somebody who listens to an operation.
struct Subscriber {
    api: Api,
    operation: Arc<Operation>,
    listener: Listener,
}

/// Opens a subscription and tells what comes; one that is not opened tells why not.
pub(super) async fn subscribe(
    api: Api,
    seat: Seat,
    admitted: &Admitted,
    asker: Asker,
) -> BoxStream<'static, Arc<Told>> {
    let opening = Arc::new(Opening { seat, opened: Mutex::default() });
    let mut request = admitted.request();
    if !has_one_field(&mut request) {
        return once(not_one_field());
    }
    // A field that was opened says nothing yet; what is said is why it was not.
    if let Some(refusal) = api.engine.run(request.data(asker).data(Arc::clone(&opening))).await {
        return once(refusal);
    }
    let mut opened = std::mem::take(&mut *opening.opened.lock().unwrap_or_else(PoisonError::into_inner));
    let listener = match (opened.pop(), opened.is_empty()) {
        (Some(listener), true) => listener,
        _ => return once(not_one_field()),
    };
    let Some(operation) = api.operations.shared(listener.viewer().tenant(), admitted.request()) else {
        return once(not_one_field());
    };
    let subscriber = Box::new(Subscriber { api, operation, listener });
    stream::unfold(Some(subscriber), |subscriber| async {
        let mut subscriber = subscriber?;
        let item = subscriber.listener.next().await;
        let goes_on = item.is_ok();
        // What it takes to tell is gone while one waits: most wait most of the time.
        let told = Box::pin(subscriber.tell(item)).await;
        Some((told, goes_on.then_some(subscriber)))
    })
    .boxed()
}

fn once(outcome: Response) -> BoxStream<'static, Arc<Told>> {
    let told = Arc::new(Told::of(&coded(outcome)));
    stream::once(std::future::ready(told)).boxed()
}

fn has_one_field(request: &mut Request) -> bool {
    let name = request.operation_name.clone();
    let operation = request.parsed_query().ok().and_then(|document| chosen(document, name.as_deref()));
    operation.is_some_and(|operation| operation.node.selection_set.node.items.len() == 1)
}

fn not_one_field() -> Response {
    let message = "A subscription has exactly one root field (the rule \"Single root field\" of the GraphQL \
                   specification): subscribe to each by itself.";
    let refused = error(code::GRAPHQL_VALIDATION_FAILED, message).into_server_error(Pos::default());
    Response::from_errors(vec![ServerError { locations: vec![], ..refused }])
}

impl Subscriber {
    async fn tell(&self, item: Result<StreamItem, Failed>) -> Arc<Told> {
        self.api.deliveries.told.fetch_add(1, Ordering::Relaxed);
        let words = item.as_ref().ok().and_then(|item| self.operation.words(item));
        let Some(words) = words else { return Box::pin(self.worded(item)).await };
        match words.get() {
            Some(told) => Arc::clone(told),
            None => Arc::clone(Box::pin(words.get_or_init(|| self.worded(item))).await),
        }
    }

    /// Has the engine word it.
    async fn worded(&self, item: Result<StreamItem, Failed>) -> Arc<Told> {
        self.api.deliveries.worded.fetch_add(1, Ordering::Relaxed);
        let viewer = Ok(Arc::clone(self.listener.viewer()));
        let asker = match &item {
            Ok(StreamItem::Event(_, snapshot)) => Asker::new(viewer, None).at(snapshot.clone()),
            Ok(StreamItem::Checkpoint(_)) | Err(_) => Asker::new(viewer, None),
        };
        let request = self.operation.request().data(asker).data(Delivery(item));
        let viewer = self.listener.viewer();
        let span = tracing::error_span!("delivery", tenant = %viewer.tenant(), principal = ?viewer.principal());
        let response = self.api.engine.run(request).instrument(span).await;
        Arc::new(Told::of(&coded(response.unwrap_or_else(not_one_field))))
    }
}
