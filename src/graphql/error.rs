//! How refusals, denials and faults are told: the first as data, the others as errors with a closed set of codes.
//! Never lets a word of Rust, of the store or of another organisation out.

use super::{coercion::Misfit, cost::Cost, id::EventCursor, meter::Introspection};
use crate::{
    app::{EventsError, Failed, Fault, Overdrawn, Purse, RefusedPage},
    domain::{
        access::Denied,
        refusal::{Refusal, RefusalCode},
    },
    limits::OPERATION_COST_MAX,
};
use async_graphql::{
    ContextSelectionSet, Error, ErrorExtensions, OutputType, Pos, Positioned, Response, ServerError, ServerResult,
    SimpleObject, Value,
    parser::types::Field,
    registry::{MetaEnumValue, MetaType, MetaTypeId, Registry},
};
use std::{any::Any, borrow::Cow, time::Duration};

/// The closed set of codes of errors.
pub(super) mod code {
    pub(in crate::graphql) const UNAUTHENTICATED: &str = "UNAUTHENTICATED";
    pub(in crate::graphql) const FORBIDDEN: &str = "FORBIDDEN";
    pub(in crate::graphql) const NOT_FOUND: &str = "NOT_FOUND";
    pub(in crate::graphql) const BAD_REQUEST: &str = "BAD_REQUEST";
    pub(in crate::graphql) const CURSOR_EXPIRED: &str = "CURSOR_EXPIRED";
    pub(in crate::graphql) const RATE_LIMITED: &str = "RATE_LIMITED";
    pub(in crate::graphql) const UNAVAILABLE: &str = "UNAVAILABLE";
    pub(in crate::graphql) const STORAGE_FULL: &str = "STORAGE_FULL";
    pub(in crate::graphql) const LIMIT_EXCEEDED: &str = "LIMIT_EXCEEDED";
    pub(in crate::graphql) const INTERNAL: &str = "INTERNAL";
    pub(in crate::graphql) const GRAPHQL_VALIDATION_FAILED: &str = "GRAPHQL_VALIDATION_FAILED";
}

/// An error with a code.
pub(super) fn error(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(message).extend_with(|_, extensions| extensions.set("code", code))
}

/// The response with a code for each error: what the engine refuses by itself has none.
pub(super) fn coded(mut response: Response) -> Response {
    for error in &mut response.errors {
        let code = if error.path.is_empty() { code::GRAPHQL_VALIDATION_FAILED } else { code::BAD_REQUEST };
        let extensions = error.extensions.get_or_insert_default();
        if extensions.get("code").is_none() {
            extensions.set("code", code);
        }
    }
    response
}

/// What a caller is told of a variable that is not as it is declared.
pub(super) fn misfitting(misfit: &Misfit) -> Response {
    let wrong = error(code::GRAPHQL_VALIDATION_FAILED, misfit.message.as_str());
    Response::from_errors(vec![wrong.into_server_error(misfit.place)])
}

/// What a caller is told of an operation that panicked; the log says more, under the request's id.
pub(super) fn broken_down(why: &(dyn Any + Send)) -> Response {
    let words = why.downcast_ref::<&str>().copied().or_else(|| why.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = words.unwrap_or("without words"), "an operation broke down");
    let message = "The server failed on this operation; whether it took effect is not known.";
    let broken = error(code::INTERNAL, message).into_server_error(Pos::default());
    Response::from_errors(vec![ServerError { locations: vec![], ..broken }])
}

/// What a caller is told of a denial.
pub(super) fn denied(denied: Denied) -> Error {
    match denied {
        Denied::Unauthenticated => {
            error(code::UNAUTHENTICATED, "Sign in first: the credential is missing, ended or not valid.")
        }
        Denied::NotFound => error(code::NOT_FOUND, "There is no such object, or you may not read it."),
        Denied::Forbidden(right) => {
            error(code::FORBIDDEN, format!("You may read this, but the operation needs more: {right}."))
        }
    }
}

/// What a caller is told when the machine could not.
pub(super) fn fault(fault: Fault) -> Error {
    let code = match fault {
        Fault::StorageFull => code::STORAGE_FULL,
        Fault::Refused
        | Fault::OutcomeUnknown
        | Fault::Stopped
        | Fault::Overloaded
        | Fault::Stopping
        | Fault::Rebuilding => code::UNAVAILABLE,
        Fault::Panicked | Fault::Overtaken | Fault::Unreadable => code::INTERNAL,
    };
    let mut message = fault.to_string();
    if let Some(first) = message.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    error(code, format!("{message}."))
}

/// Whether an error says that nobody is signed in.
pub(super) fn is_unauthenticated(error: &ServerError) -> bool {
    let code = error.extensions.as_ref().and_then(|extensions| extensions.get("code"));
    code == Some(&Value::from(code::UNAUTHENTICATED))
}

/// A failed read.
pub(super) fn failed(failed: Failed) -> Error {
    match failed {
        Failed::Denied(reason) => denied(reason),
        Failed::Fault(reason) => fault(reason),
        Failed::Refused(refusal) => error(code::BAD_REQUEST, refusal.sentence()),
    }
}

/// What whoever signs in too often is told.
pub(super) fn throttled(wait: Duration) -> Error {
    let seconds = wait.as_secs().saturating_add(1);
    let message = format!("Too many attempts to sign in. The next is heard in {seconds} seconds.");
    error(code::RATE_LIMITED, message).extend_with(|_, extensions| extensions.set("retryAfterSeconds", seconds))
}

/// An answer to an operation of which nothing was done.
fn refused(error: Error) -> Response {
    Response::from_errors(vec![ServerError { locations: vec![], ..error.into_server_error(Pos::default()) }])
}

/// What whoever asks too often is told: nothing of the operation was done.
fn rate_limited(message: String, seconds: u64) -> Response {
    let limited = error(code::RATE_LIMITED, message);
    refused(limited.extend_with(|_, extensions| extensions.set("retryAfterSeconds", seconds)))
}

/// What whoever asks more in a minute than his organisation may is told.
pub(super) fn too_many_requests(wait: Duration) -> Response {
    let seconds = u64::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX);
    let message =
        format!("Your organisation's quota of requests for this minute is used up; ask again in {seconds} s.");
    rate_limited(message, seconds)
}

/// What whoever has spent what he may in a minute is told.
pub(super) fn over_budget(overdrawn: &Overdrawn, cost: u64) -> Response {
    let whose = match overdrawn.purse {
        Purse::Principal => "You have",
        Purse::Organisation => "Your organisation has",
        Purse::Address => "Those who ask from your address without signing in have",
    };
    let (limit, seconds) = (overdrawn.limit, overdrawn.seconds());
    let message = format!(
        "{whose} too little left of the {limit} points for each minute: this costs {cost}. Ask again in {seconds} s, or \
         for less."
    );
    rate_limited(message, seconds)
}

/// What whoever asks for too much at once is told.
pub(super) fn too_costly(cost: &Cost) -> Response {
    let points = cost.points;
    let most = match &cost.dearest {
        Some((field, 1)) => format!("{field} costs most"),
        Some((field, rows)) => format!("{field}, with {rows} rows, costs most"),
        None => "There is no list in it".to_owned(),
    };
    let message = format!(
        "The operation costs {points} points, and {OPERATION_COST_MAX} are allowed. {most}: ask for smaller pages, for \
         fewer fields of each row, or in several operations."
    );
    let costly = error(code::LIMIT_EXCEEDED, message).extend_with(|_, extensions| {
        extensions.set("cost", points);
        extensions.set("limit", OPERATION_COST_MAX);
        if let Some((field, _)) = &cost.dearest {
            extensions.set("costsMost", field.as_str());
        }
    });
    refused(costly)
}

/// What whoever may not have the schema described to him is told; nothing where he may.
pub(super) fn schema_is_hidden(shown: Introspection, not_signed_in: Option<&Failed>) -> Option<Response> {
    let hidden = match (shown, not_signed_in) {
        (Introspection::Everyone, _) | (Introspection::SignedIn, None) => return None,
        (Introspection::SignedIn, Some(Failed::Denied(_))) => error(
            code::UNAUTHENTICATED,
            "Sign in first: this server describes its schema to those who are signed in. Present an access token or an \
             API key, or print the schema with: countersign schema",
        ),
        (Introspection::SignedIn, Some(other)) => failed(other.clone()),
        (Introspection::Nobody, _) => {
            error(code::FORBIDDEN, "This server describes its schema to nobody. Print it with: countersign schema")
        }
    };
    Some(refused(hidden))
}

/// The answer without the names that the engine offers instead of misspelt ones: they describe the schema, too.
pub(super) fn without_suggestions(mut response: Response) -> Response {
    for error in &mut response.errors {
        if let Some(end) = error.message.find(" Did you mean ") {
            error.message.truncate(end);
        }
    }
    response
}

/// Why events cannot be read.
pub(super) fn events(refused: EventsError) -> Error {
    match refused {
        EventsError::Failed(reason) => failed(reason),
        EventsError::Page(refused) => PageError::from(refused).0,
        EventsError::Expired { earliest } => {
            let message = "The log has no such position any more: begin at the earliest, or without a cursor.";
            let earliest = EventCursor::from(earliest).encode();
            error(code::CURSOR_EXPIRED, message).extend_with(|_, extensions| extensions.set("earliestCursor", earliest))
        }
    }
}

impl From<RefusedPage> for PageError {
    fn from(refused: RefusedPage) -> Self {
        Self(error(code::BAD_REQUEST, format!("{refused}.")))
    }
}

/// A page that cannot be asked for.
#[derive(Clone)]
pub(super) struct PageError(pub(super) Error);

impl From<PageError> for Error {
    fn from(refused: PageError) -> Self {
        refused.0
    }
}

/// A rule that the request breaks. Nothing of the request was done.
#[derive(Clone, Debug, SimpleObject)]
pub(super) struct UserError {
    /// Names the rule.
    code: UserErrorCode,
    /// What was refused and why, in one sentence.
    message: String,
    /// What you can do about it.
    remedy: String,
    /// Where in the input the refused value stands, outermost first; empty when the whole is refused.
    path: Vec<String>,
}

impl From<&Refusal> for UserError {
    fn from(refusal: &Refusal) -> Self {
        Self {
            code: UserErrorCode(refusal.code()),
            message: refusal.sentence(),
            remedy: refusal.code().remedy().to_owned(),
            path: refusal.path(),
        }
    }
}

/// The rules that a request can break: the domain's one table, as an enum of the schema.
#[derive(Clone, Copy, Debug)]
pub(super) struct UserErrorCode(RefusalCode);

impl OutputType for UserErrorCode {
    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("UserErrorCode")
    }

    fn create_type_info(registry: &mut Registry) -> String {
        registry.create_output_type::<Self, _>(MetaTypeId::Enum, |_| {
            let values = RefusalCode::ALL.iter().map(|code| {
                let value = MetaEnumValue {
                    description: Some(code.template().replace(['{', '}'], "`")),
                    ..MetaEnumValue::new(code.as_str())
                };
                (code.as_str().to_owned(), value)
            });
            MetaType::Enum {
                name: "UserErrorCode".to_owned(),
                description: Some("The rules that a request can break.".to_owned()),
                enum_values: values.collect(),
                visible: None,
                inaccessible: false,
                tags: vec![],
                rust_typename: Some(std::any::type_name::<Self>()),
                directive_invocations: vec![],
                requires_scopes: vec![],
            }
        })
    }

    async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        Ok(Value::Enum(async_graphql::Name::new(self.0.as_str())))
    }
}
