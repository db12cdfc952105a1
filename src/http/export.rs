//! An organisation's file for the platform operator: too large for an answer of GraphQL, and the same that the
//! command writes. Never carries a key.

use super::{Server, auth::credential, fault::Fault, transport::JSON};
use crate::{
    app::{Failed, Fault as AppFault},
    domain::access::Denied,
};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;

/// Answers `GET /tenants/{slug}/export`.
pub(super) async fn tenant(State(server): State<Server>, Path(slug): Path<String>, headers: HeaderMap) -> Response {
    match server.api.export(credential(&headers), slug).await {
        Ok(exported) => {
            // A short name has no character that would end the file's.
            let name = format!("attachment; filename=\"{}.export\"", exported.slug);
            let pieces = exported.pieces().map(|piece| piece.map_err(std::io::Error::other));
            let headers =
                [(header::CONTENT_TYPE, "application/octet-stream".to_owned()), (header::CONTENT_DISPOSITION, name)];
            (headers, Body::from_stream(pieces)).into_response()
        }
        Err(failed) => refused(&failed).answer(JSON),
    }
}

fn refused(failed: &Failed) -> Fault {
    match failed {
        Failed::Denied(Denied::Unauthenticated) => {
            let message = "Sign in first: the credential is missing, ended or not valid.";
            Fault::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message)
        }
        Failed::Denied(Denied::Forbidden(right)) => {
            Fault::new(StatusCode::FORBIDDEN, "FORBIDDEN", format!("This needs the {right}."))
        }
        Failed::Denied(Denied::NotFound) => {
            Fault::new(StatusCode::NOT_FOUND, "NOT_FOUND", "There is no organisation of this short name.")
        }
        Failed::Refused(refusal) => Fault::new(StatusCode::CONFLICT, refusal.code().as_str(), refusal.sentence()),
        Failed::Fault(AppFault::Overloaded) => {
            let message = "Other organisations are being exported; ask again when they are done.";
            Fault::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message)
        }
        Failed::Fault(fault) => {
            Fault::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", format!("Not now: {fault}."))
        }
    }
}
