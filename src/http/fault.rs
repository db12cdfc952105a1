//! What a caller hears when a request never becomes an operation: a status, a code of the closed set and one
//! sentence. Never carries text of the runtime, the engine or the store.

use super::metrics::RefusedAs;
use crate::graphql::Refused;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A refusal before, or instead of, executing an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }

    pub(super) fn limit(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "LIMIT_EXCEEDED", message)
    }

    /// What a document was refused for.
    pub(super) fn of_document(refused: Refused) -> Self {
        Self::new(StatusCode::BAD_REQUEST, refused.code, refused.message)
    }

    /// The one element of the answer's `errors`.
    pub(super) fn error(&self) -> Value {
        json!({ "message": self.message, "extensions": { "code": self.code } })
    }

    /// The whole answer under the media type that the caller asked for.
    pub(super) fn answer(&self, media_type: &'static str) -> Response {
        let body = json!({ "errors": [self.error()] }).to_string();
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
