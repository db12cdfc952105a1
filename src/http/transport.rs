//! GraphQL over HTTP: one operation in, one answer out, by the GraphQL-over-HTTP specification.
//! Refuses what a cross-site form could send (anything but a JSON body), mutations over GET and batches.
//! Never caches and never lets an answer be cached.

use super::Server;
use super::auth::credential;
use super::fault::Fault;
use super::forwarded::REQUEST_ID;
use super::{operation, overload::Room, rate_limit, sse};
use crate::graphql::{Answered, Asked, is_refused};
use crate::limits::{REFUSED_BYTES_MAX, REFUSED_SECONDS_MAX, REQUEST_BYTES_MAX};
use async_graphql::parser::types::OperationType;
use async_graphql::{Response as Outcome, ServerError, Value};
use axum::body::{Body, BodyDataStream};
use axum::extract::rejection::QueryRejection;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

/// What a client gets that names no media type, or accepts any.
pub(super) const JSON: &str = "application/json";
const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";

/// Answers `POST /graphql`.
pub(super) async fn post(
    State(server): State<Server>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    // What the body takes is held until the answer is there.
    let (mut room, mut body) = (server.turns.room(), body.into_data_stream());
    let (media_type, request) = match media_type(&headers) {
        Ok(media_type) => (media_type, read(&headers, &mut body, &mut room).await),
        Err(fault) => (JSON, Err(fault)),
    };
    if request.is_err() {
        discard(&mut body).await;
    }
    respond(&server, Method::POST, media_type, (&headers, peer), request).await
}

/// The parameters of `GET /graphql`; the last two are JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Parameters {
    query: Option<String>,
    document_id: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

/// Answers `GET /graphql`: queries only.
pub(super) async fn get(
    server: &Server,
    peer: SocketAddr,
    headers: &HeaderMap,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Response {
    let (media_type, request) = match media_type(headers) {
        Ok(media_type) => (media_type, asked_by(parameters)),
        Err(fault) => (JSON, Err(fault)),
    };
    respond(server, Method::GET, media_type, (headers, peer), request).await
}

async fn respond(
    server: &Server,
    method: Method,
    media_type: &'static str,
    (headers, peer): (&HeaderMap, SocketAddr),
    request: Result<Asked, Fault>,
) -> Response {
    match request {
        Ok(request) if media_type == sse::EVENT_STREAM => {
            sse::answer(server, method, (credential(headers), peer), headers, request).await
        }
        Ok(request) => execute(server, method, media_type, (headers, peer), request).await,
        Err(fault) => {
            // A stream's refusals are JSON.
            let media_type = if media_type == sse::EVENT_STREAM { JSON } else { media_type };
            counted(server, (credential(headers), peer), media_type, fault.answer(media_type)).await
        }
    }
}

/// What the request is called in logs; the router names every one.
pub(super) fn request_id(headers: &HeaderMap) -> &str {
    headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default()
}

fn asked_by(parameters: Result<Query<Parameters>, QueryRejection>) -> Result<Asked, Fault> {
    let Ok(Query(parameters)) = parameters else {
        return Err(Fault::bad_request("The query string is not one of a GraphQL request."));
    };
    let Parameters { query, document_id, operation_name, .. } = parameters;
    let mut asked = Asked { query, document_id, operation_name, ..Asked::default() };
    if let Some(variables) = parameters.variables.filter(|text| !text.is_empty()) {
        asked.variables = serde_json::from_str(&variables)
            .map_err(|_| Fault::bad_request("The parameter variables is not a JSON object."))?;
    }
    if let Some(extensions) = parameters.extensions.filter(|text| !text.is_empty()) {
        asked.extensions = serde_json::from_str(&extensions)
            .map_err(|_| Fault::bad_request("The parameter extensions is not a JSON object."))?;
    }
    Ok(asked)
}

async fn read(headers: &HeaderMap, body: &mut BodyDataStream, room: &mut Room) -> Result<Asked, Fault> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !is_json(content_type) {
        let message = "Send the request as application/json, in UTF-8.";
        return Err(Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "BAD_REQUEST", message));
    }
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > REQUEST_BYTES_MAX as u64) {
        return Err(too_large());
    }
    let body = timeout(operation::LIMIT, arrived(body, room))
        .await
        .map_err(|_| Fault::new(StatusCode::REQUEST_TIMEOUT, "BAD_REQUEST", "The body did not arrive in time."))??;
    serde_json::from_slice(&body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Fault::bad_request(format!(
            "The body is not a GraphQL request in JSON (line {line}, column {column}). Batches are not taken."
        ))
    })
}

/// Reads a body no further than its limit and the room for bodies allow.
async fn arrived(body: &mut BodyDataStream, room: &mut Room) -> Result<Vec<u8>, Fault> {
    let mut bytes = vec![];
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|_| Fault::bad_request("The body broke off."))?;
        if bytes.len().saturating_add(piece.len()) > REQUEST_BYTES_MAX {
            return Err(too_large());
        }
        room.take(piece.len())?;
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Reads on for a while what was refused, and forgets it: whoever still sends when he is answered and let go may never
/// see the answer.
async fn discard(body: &mut BodyDataStream) {
    let mut bytes = 0_usize;
    let read = async {
        while let Some(Ok(piece)) = body.next().await {
            bytes = bytes.saturating_add(piece.len());
            if bytes > REFUSED_BYTES_MAX {
                break;
            }
        }
    };
    // Whoever takes longer is answered all the same.
    let _ = timeout(Duration::from_secs(REFUSED_SECONDS_MAX), read).await;
}

fn too_large() -> Fault {
    let message = format!("The body is larger than {REQUEST_BYTES_MAX} bytes.");
    Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "LIMIT_EXCEEDED", message)
}

fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case(JSON))
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
                value.trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
}

/// The media type to answer with: of the three that the caller accepts, the one it prefers, the first of equals.
/// Clients accept streams behind JSON for what they do not expect; they get JSON.
fn media_type(headers: &HeaderMap) -> Result<&'static str, Fault> {
    let mut best: Option<(f32, &'static str)> = None;
    let mut asked = false;
    for value in headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()) {
        for range in value.split(',') {
            asked = true;
            let mut parts = range.split(';').map(str::trim);
            let offered = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                GRAPHQL_RESPONSE => GRAPHQL_RESPONSE,
                sse::EVENT_STREAM => sse::EVENT_STREAM,
                JSON | "application/*" | "*/*" => JSON,
                _ => continue,
            };
            let quality = parts
                .find_map(|parameter| parameter.strip_prefix("q="))
                .and_then(|quality| quality.parse::<f32>().ok())
                .unwrap_or(1.0);
            if quality > 0.0 && best.is_none_or(|(before, _)| quality > before) {
                best = Some((quality, offered));
            }
        }
    }
    match best {
        Some((_, offered)) => Ok(offered),
        None if !asked => Ok(JSON),
        None => {
            let message = format!("The answer can be {GRAPHQL_RESPONSE} or {JSON}.");
            Err(Fault::new(StatusCode::NOT_ACCEPTABLE, "BAD_REQUEST", message))
        }
    }
}

async fn execute(
    server: &Server,
    method: Method,
    media_type: &'static str,
    (headers, peer): (&HeaderMap, SocketAddr),
    asked: Asked,
) -> Response {
    let who = (credential(headers), peer);
    let admitted = match server.api.admit(asked).map_err(Fault::of_document) {
        Ok(admitted) => admitted,
        Err(fault) => return counted(server, who, media_type, refused(&fault, media_type)).await,
    };
    match admitted.kind() {
        Some(OperationType::Mutation) if method == Method::GET => {
            return counted(server, who, media_type, mutation_by_get().answer(media_type)).await;
        }
        Some(OperationType::Subscription) if sse::is_accepted(headers) => {
            return sse::stream(server, who, headers, admitted).await;
        }
        Some(OperationType::Subscription) => {
            let message =
                "Subscriptions run over a WebSocket at this path (graphql-transport-ws), or as text/event-stream.";
            let answer = Fault::bad_request(message).answer(media_type);
            return counted(server, who, media_type, answer).await;
        }
        Some(OperationType::Query | OperationType::Mutation) | None => {}
    }
    let _turn = match server.turns.turn().await {
        Ok(turn) => turn,
        Err(fault) => return fault.answer(media_type),
    };
    let admitted = admitted.watched(server.watch(request_id(headers).to_owned(), "http"));
    match timeout(operation::LIMIT, server.api.request(who.0, Some(peer.ip()), admitted)).await {
        Ok(answered) => answer(answered, media_type),
        Err(_) => Fault::too_long().answer(media_type),
    }
}

/// Counts a request that was refused before it was an operation: it is answered as it was, or that too many came.
pub(super) async fn counted(
    server: &Server,
    (credential, peer): (Option<&str>, SocketAddr),
    media_type: &'static str,
    mut response: Response,
) -> Response {
    let (left, overdrawn) = server.api.refused(credential, Some(peer.ip())).await;
    match overdrawn {
        Some(response) => answer(Answered { response, unauthenticated: false, left }, media_type),
        None => {
            rate_limit::say(&mut response, &left);
            response
        }
    }
}

pub(super) fn mutation_by_get() -> Fault {
    Fault::new(StatusCode::METHOD_NOT_ALLOWED, "BAD_REQUEST", "Send mutations with POST.")
}

/// Under `application/json` a document that was understood as a request is answered with 200, as older
/// clients expect; the newer media type tells by the status. What is no request (`BAD_REQUEST`) is never 200.
fn refused(fault: &Fault, media_type: &'static str) -> Response {
    let mut response = fault.answer(media_type);
    if media_type == JSON && fault.status == StatusCode::BAD_REQUEST && fault.code != "BAD_REQUEST" {
        *response.status_mut() = StatusCode::OK;
    }
    response
}

/// The answer to a request of which nothing was executed: it has no `data`, not even null.
#[derive(Serialize)]
struct Refused<'a> {
    errors: &'a [ServerError],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extensions: &'a BTreeMap<String, Value>,
}

/// A credential that is not valid is told by the status, too, whichever fields have failed for it.
pub(super) fn answer(answered: Answered, media_type: &'static str) -> Response {
    let Answered { response: outcome, unauthenticated, left } = answered;
    let status = match refusal_code(&outcome) {
        _ if unauthenticated => StatusCode::UNAUTHORIZED,
        None => StatusCode::OK,
        Some("UNAUTHENTICATED") => StatusCode::UNAUTHORIZED,
        Some("RATE_LIMITED") => StatusCode::TOO_MANY_REQUESTS,
        Some("UNAVAILABLE") => StatusCode::SERVICE_UNAVAILABLE,
        Some("INTERNAL") => StatusCode::INTERNAL_SERVER_ERROR,
        Some(_) if media_type == JSON => StatusCode::OK,
        Some(_) => StatusCode::BAD_REQUEST,
    };
    let body = if is_refused(&outcome) {
        serde_json::to_string(&Refused { errors: &outcome.errors, extensions: &outcome.extensions })
    } else {
        serde_json::to_string(&outcome)
    };
    let body = match body {
        Ok(body) => body,
        Err(error) => {
            tracing::error!(%error, "an outcome did not serialize");
            let message = "The answer could not be written.";
            return Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", message).answer(media_type);
        }
    };
    let mut response = (status, [(header::CONTENT_TYPE, HeaderValue::from_static(media_type))], body).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS {
        let after = retry_after(&outcome).and_then(|seconds| HeaderValue::try_from(seconds.to_string()).ok());
        response.headers_mut().insert(header::RETRY_AFTER, after.unwrap_or(HeaderValue::from_static("1")));
    }
    rate_limit::say(&mut response, &left);
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// The code of a refused request's first error; one without a code failed validation.
fn refusal_code(outcome: &Outcome) -> Option<&str> {
    if !is_refused(outcome) {
        return None;
    }
    Some(outcome.errors.first().and_then(code).unwrap_or("GRAPHQL_VALIDATION_FAILED"))
}

/// In how many seconds the first error says to ask again.
fn retry_after(outcome: &Outcome) -> Option<u64> {
    match outcome.errors.first()?.extensions.as_ref()?.get("retryAfterSeconds")? {
        Value::Number(seconds) => seconds.as_u64(),
        Value::Null
        | Value::String(_)
        | Value::Boolean(_)
        | Value::Binary(_)
        | Value::Enum(_)
        | Value::List(_)
        | Value::Object(_) => None,
    }
}

fn code(error: &ServerError) -> Option<&str> {
    match error.extensions.as_ref()?.get("code")? {
        Value::String(code) => Some(code),
        Value::Enum(code) => Some(code),
        Value::Null | Value::Number(_) | Value::Boolean(_) | Value::Binary(_) | Value::List(_) | Value::Object(_) => {
            None
        }
    }
}
