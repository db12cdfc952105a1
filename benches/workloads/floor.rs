//! The floor: the least that any server in this process could do for a request. It knows who asks, and answers
//! ready-made bytes. Authentication is a look-up of the token's digest and the live check of the principal.
//! Never resolves anything.

use crate::machine::Fault;
use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use countersign::{app::App, domain::access::Viewer};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::net::TcpListener;

/// Who was verified before, by the digest of the token. Bounded by how many tokens the data set has.
#[derive(Clone)]
pub(crate) struct Verified {
    app: App,
    table: Arc<Mutex<HashMap<[u8; 32], Arc<Viewer>>>>,
}

impl Verified {
    pub(crate) fn new(app: App) -> Self {
        Self { app, table: Arc::default() }
    }

    /// The viewer of a request, who still stands.
    pub(crate) async fn viewer(&self, headers: &HeaderMap) -> Result<Arc<Viewer>, StatusCode> {
        let token = bearer(headers)?;
        let digest: [u8; 32] = Sha256::digest(token).into();
        let known = self.table.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned();
        if let Some(viewer) = known {
            self.app.snapshot(&viewer).await.map_err(|_| StatusCode::UNAUTHORIZED)?;
            return Ok(viewer);
        }
        let viewer = self.app.authenticate(token).await.map_err(|_| StatusCode::UNAUTHORIZED)?;
        self.table.lock().unwrap_or_else(PoisonError::into_inner).insert(digest, Arc::clone(&viewer));
        Ok(viewer)
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, StatusCode> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.strip_prefix("Bearer ")).ok_or(StatusCode::UNAUTHORIZED)
}

#[derive(Clone)]
struct Floor {
    verified: Verified,
    answers: Arc<Mutex<HashMap<String, Bytes>>>,
}

impl Floor {
    fn answer(&self, name: &str) -> Response {
        let known = self.answers.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        match known {
            Some(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        }
    }
}

/// Serves the floor: `PUT /{name}` stores an answer, `POST /{name}` answers it, and `POST /verifying/{name}` too,
/// but verifies the token's signature each time.
pub(crate) async fn serve(listener: TcpListener, app: App) -> Result<(), Fault> {
    let floor = Floor { verified: Verified::new(app), answers: Arc::default() };
    let router = Router::new()
        .route("/{name}", post(answer).put(store))
        .route("/verifying/{name}", post(verifying))
        .with_state(floor);
    Ok(axum::serve(listener, router).await?)
}

async fn answer(State(floor): State<Floor>, Path(name): Path<String>, headers: HeaderMap, _: Bytes) -> Response {
    match floor.verified.viewer(&headers).await {
        Ok(_) => floor.answer(&name),
        Err(status) => status.into_response(),
    }
}

async fn verifying(State(floor): State<Floor>, Path(name): Path<String>, headers: HeaderMap, _: Bytes) -> Response {
    let verified = match bearer(&headers) {
        Ok(token) => floor.verified.app.authenticate(token).await.map_err(|_| StatusCode::UNAUTHORIZED),
        Err(status) => Err(status),
    };
    match verified {
        Ok(_) => floor.answer(&name),
        Err(status) => status.into_response(),
    }
}

async fn store(State(floor): State<Floor>, Path(name): Path<String>, bytes: Bytes) -> Response {
    floor.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(name, bytes);
    ([(header::CONTENT_TYPE, "application/json")], "{\"data\":{}}").into_response()
}
