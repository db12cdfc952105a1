//! Every path of the server, on one page, and what all answers have in common. Never answers anything itself
//! but whether the server is there.

use super::{
    Network, Server, export, fault::Fault, forwarded, headers, metrics, password_page, playground, transport, websocket,
};
use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::middleware::{from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::net::SocketAddr;
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::trace::TraceLayer;

const REQUEST_ID: HeaderName = HeaderName::from_static(forwarded::REQUEST_ID);

pub(super) fn router(server: Server, proxies: Arc<[Network]>) -> Router {
    let (metrics, origins) = (Arc::clone(&server.options.metrics), &server.options.allowed_origins);
    let is_private = server.options.tls.is_some();
    let graphql = Router::new().route("/graphql", get(graphql_get).post(transport::post));
    // Without other origins a browser's question whether it may ask is not answered at all.
    let graphql = if origins.is_empty() { graphql } else { graphql.layer(headers::shared_with(origins)) };
    let router = graphql
        .route("/playground", get(playground::page))
        .route("/playground/session.json", get(playground::session))
        .route("/playground/{name}", get(playground::file))
        .route("/set-password", get(password_page::page))
        .route("/.well-known/jwks.json", get(public_keys))
        .route("/tenants/{slug}/export", get(export::tenant))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(server)
        // The last layer is the first to see a request.
        .layer(CatchPanicLayer::custom(|_| Fault::broken_down().answer(transport::JSON)))
        .layer(from_fn_with_state(metrics, metrics::counted));
    headers::secured(router, is_private)
        .layer(from_fn_with_state(proxies, forwarded::caller))
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(map_request(forwarded::plain_request_id))
}

/// Every path while the store is being opened.
pub(super) fn not_ready(is_private: bool) -> Router {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .fallback(async || Fault::unavailable("The server is starting and not ready yet.").answer(transport::JSON));
    headers::secured(router, is_private)
}

/// The path is logged without its query, which may hold a one-time token. The span is one of errors, so that they have
/// the request's id even where nothing else is logged.
fn span(request: &Request) -> tracing::Span {
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
    // Of the highest level, so that whatever is logged names its request.
    tracing::error_span!("request", id, method = %request.method(), path = request.uri().path())
}

/// `GET /graphql` is a query, or the way to a socket.
async fn graphql_get(
    State(server): State<Server>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    parameters: Result<Query<transport::Parameters>, QueryRejection>,
    mut request: Request,
) -> Response {
    match websocket::handshake(&mut request) {
        Some(handshake) => websocket::upgrade(server, peer, request.headers(), handshake),
        None => transport::get(&server, peer, request.headers(), parameters).await,
    }
}

/// The keys that verify access tokens, for whoever wants to verify them himself.
async fn public_keys(State(server): State<Server>) -> Response {
    match server.api.public_keys() {
        Some(keys) => ([(header::CONTENT_TYPE, "application/jwk-set+json")], keys).into_response(),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Ready until the server has begun to stop or can no longer write, so that a balancer sends no more.
async fn ready(State(server): State<Server>) -> (StatusCode, &'static str) {
    if *server.stopping.borrow() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else if server.api.is_stopped() {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the journal's disk failed and nothing is written any more: restart the server\n",
        )
    } else if server.api.is_rebuilding() {
        (StatusCode::SERVICE_UNAVAILABLE, "the index failed and is being rebuilt from the journal\n")
    } else {
        (StatusCode::OK, "ready\n")
    }
}
