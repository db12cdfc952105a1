//! The playground: GraphiQL and its page, embedded. No part of it comes from, or is sent to, another server;
//! the content security policy says so to the browser. Never hands out a credential but the demo's, to
//! callers on this machine.

use super::Server;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, http::uri::Authority};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// What the demo's playground opens with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Session {
    /// The people of the demo, signed in.
    pub people: Vec<Person>,
    /// One tab for each step of the walk-through, in order.
    pub tabs: Vec<Tab>,
}

/// A person whom the playground's user can act as.
#[derive(Clone, Serialize, Deserialize)]
pub struct Person {
    /// The short name that tabs and buttons use.
    pub handle: String,
    /// The full name, with the role in the walk-through.
    pub name: String,
    /// What goes behind `Authorization: Bearer`.
    pub token: String,
}

impl std::fmt::Debug for Person {
    /// Shows no token: what is debugged ends in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person").field("handle", &self.handle).field("name", &self.name).finish_non_exhaustive()
    }
}

/// A prepared operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tab {
    /// What the step does, in a few words; it becomes the document's first line.
    pub title: String,
    /// The handle of the person who does it.
    #[serde(rename = "as")]
    pub acting: String,
    /// The document, with one named operation.
    pub query: String,
    /// Its variables: an object.
    #[serde(default)]
    pub variables: serde_json::Value,
    /// Which of its variables come from answers of earlier steps: a JSON pointer into the variables, and the name
    /// of the operation with a JSON pointer into its data. The page fills them in.
    #[serde(default)]
    pub takes: serde_json::Value,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// A file of the page. Those that carry a version in their name never change, and are stored compressed.
struct Asset {
    content: &'static [u8],
    media_type: &'static str,
    versioned: bool,
}

fn asset(name: &str) -> Option<Asset> {
    let (content, media_type, versioned): (&'static [u8], _, _) = match name {
        "graphiql-4.1.2.js" => (include_bytes!("playground/vendor/graphiql-4.1.2.js.gz"), SCRIPT, true),
        "graphiql-4.1.2.css" => (include_bytes!("playground/vendor/graphiql-4.1.2.css.gz"), STYLE, true),
        "react-18.3.1.js" => (include_bytes!("playground/vendor/react-18.3.1.js.gz"), SCRIPT, true),
        "react-dom-18.3.1.js" => (include_bytes!("playground/vendor/react-dom-18.3.1.js.gz"), SCRIPT, true),
        "playground.js" => (include_bytes!("playground/playground.js"), SCRIPT, false),
        "playground.css" => (include_bytes!("playground/playground.css"), STYLE, false),
        "set-password.css" => (include_bytes!("playground/set-password.css"), STYLE, false),
        "set-password.js" => (include_bytes!("playground/set-password.js"), SCRIPT, false),
        _ => return None,
    };
    Some(Asset { content, media_type, versioned })
}

/// Answers `GET /playground/{name}`. The compressed files are sent compressed to everyone: browsers ask for
/// that, and `curl --compressed` does.
pub(super) async fn file(Path(name): Path<String>) -> Response {
    let Some(asset) = asset(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let mut response = Body::from(asset.content).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
    let lifetime = if asset.versioned { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(lifetime));
    if asset.versioned {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Answers `GET /playground`.
pub(super) async fn page(State(server): State<Server>, headers: HeaderMap) -> Response {
    let mut nonce = [0_u8; 16];
    if let Err(error) = getrandom::fill(&mut nonce) {
        tracing::error!(%error, "the operating system gave no randomness");
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let nonce = nonce.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    // Only a demo has people to hand out; a page that asked in vain would leave an error in the browser's log.
    let session = if server.options.demo.is_some() { "demo" } else { "none" };
    let body = include_str!("playground/index.html").replace("{{nonce}}", &nonce).replace("{{session}}", session);
    html(body, &policy(&nonce, host(&headers)))
}

/// What the browser may load and where the page may connect: this server only. The nonce is for the style
/// elements that GraphiQL's dialogs add; `ws:` and `wss:` of the same host are named because not every browser
/// counts them as `'self'`.
fn policy(nonce: &str, host: Option<&str>) -> String {
    let sockets = host.map(|host| format!(" ws://{host} wss://{host}")).unwrap_or_default();
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; \
         font-src 'self' data:; connect-src 'self'{sockets}; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

/// The host that the request was made to, when it is one that may stand in a header of the answer.
fn host(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
    host.bytes().all(plain).then_some(host)
}

/// A page of the server's own, under its content security policy.
pub(super) fn html(body: impl Into<Body>, policy: &str) -> Response {
    let mut response = body.into().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    match HeaderValue::from_str(policy) {
        Ok(policy) => {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
            response
        }
        // A page without its policy is not served.
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// Answers `GET /playground/session.json`: the demo's people with their tokens, and the tabs. It is not found
/// on a real server, nor for a caller from another machine, nor under another name than this machine's (a
/// page that has its own name resolve to this address would otherwise read it).
pub(super) async fn session(
    State(server): State<Server>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    match &server.options.demo {
        Some(session) if peer.ip().to_canonical().is_loopback() && names_this_machine(&headers) => {
            ([(header::CACHE_CONTROL, "no-store")], Json(session)).into_response()
        }
        Some(_) | None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn names_this_machine(headers: &HeaderMap) -> bool {
    let authority =
        headers.get(header::HOST).and_then(|host| host.to_str().ok()).and_then(|host| host.parse::<Authority>().ok());
    authority.is_some_and(|authority| {
        let name = authority.host().trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}
