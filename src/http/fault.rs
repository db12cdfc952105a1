//! What a caller hears when a request never becomes an operation: a status, a code of the closed set and one
//! sentence. Never carries text of the runtime, the engine or the store.

use super::metrics::RefusedAs;
use crate::graphql::{Refused, Told};
use async_graphql::Pos;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A refusal before, or instead of, executing an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    /// Where in the document, if it is about a place in it.
    place: Option<Pos>,
}

/// An error as an answer holds it.
#[derive(Serialize)]
struct Error<'a> {
    message: &'a str,
    #[serde(skip_serializing_if = "<[Pos]>::is_empty")]
    locations: &'a [Pos],
    extensions: Extensions,
}

#[derive(Serialize)]
struct Extensions {
    code: &'static str,
}

impl Fault {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), place: None }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }

    pub(super) fn limit(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "LIMIT_EXCEEDED", message)
    }

    /// What a document was refused for.
    pub(super) fn of_document(refused: Refused) -> Self {
        Self { place: refused.place, ..Self::new(StatusCode::BAD_REQUEST, refused.code, refused.message) }
    }

    /// What cannot be done now and may be asked again.
    pub(super) fn unavailable(message: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message)
    }

    /// What was not done within the time of a request.
    pub(super) fn too_long() -> Self {
        Self::unavailable("The operation took too long; whether it took effect is not known.")
    }

    /// What panicked.
    pub(super) fn broken_down() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "The server failed on this request.")
    }

    /// The answer's `errors`, of which there is one, in JSON.
    pub(super) fn errors(&self) -> String {
        let extensions = Extensions { code: self.code };
        let error = Error { message: &self.message, locations: self.place.as_slice(), extensions };
        serde_json::to_string(&[error]).unwrap_or_default()
    }

    /// The same over a socket or a stream of events.
    pub(super) fn told(&self) -> Told {
        Told::refusal(self.code, self.errors())
    }

    /// The whole answer under the media type that the caller asked for.
    pub(super) fn answer(&self, media_type: &'static str) -> Response {
        let body = format!(r#"{{"errors":{}}}"#, self.errors());
        let mut response =
            (self.status, [(header::CONTENT_TYPE, HeaderValue::from_static(media_type))], body).into_response();
        response.extensions_mut().insert(RefusedAs(self.code));
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
