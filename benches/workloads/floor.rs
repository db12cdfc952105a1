//! The floor: the least that any server in this process could do for a request. It knows who asks, and answers
//! ready-made bytes. It authenticates as the product does.
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
use countersign::app::App;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::net::TcpListener;

/// Lets those in whom the product lets in, as it does: by a token that it knows or verifies, and only as long as they
/// stand.
pub(crate) async fn authenticated(app: &App, headers: &HeaderMap) -> Result<(), StatusCode> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.strip_prefix("Bearer ")).ok_or(StatusCode::UNAUTHORIZED)?;
    app.authenticate(token).await.map(|_| ()).map_err(|_| StatusCode::UNAUTHORIZED)
}

#[derive(Clone)]
struct Floor {
    app: App,
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

/// Serves the floor: `PUT /{name}` stores an answer, and `POST /{name}` answers it.
pub(crate) async fn serve(listener: TcpListener, app: App) -> Result<(), Fault> {
    let floor = Floor { app, answers: Arc::default() };
    let router = Router::new().route("/{name}", post(answer).put(store)).with_state(floor);
    Ok(axum::serve(listener, router).await?)
}

async fn answer(State(floor): State<Floor>, Path(name): Path<String>, headers: HeaderMap, _: Bytes) -> Response {
    match authenticated(&floor.app, &headers).await {
        Ok(()) => floor.answer(&name),
        Err(status) => status.into_response(),
    }
}

async fn store(State(floor): State<Floor>, Path(name): Path<String>, bytes: Bytes) -> Response {
    floor.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(name, bytes);
    ([(header::CONTENT_TYPE, "application/json")], "{\"data\":{}}").into_response()
}
