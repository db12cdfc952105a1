//! GraphQL over server-sent events, in distinct connections: one operation for each request, for clients behind
//! proxies that take no sockets. A reader that reconnects with `Last-Event-ID` goes on behind what it heard last.
//! Never keeps a reservation between requests: what a stream needs to go on, its events carry.

use super::{
    Server,
    fault::Fault,
    operation, rate_limit,
    transport::{self, JSON, counted, mutation_by_get, request_id},
};
use crate::{
    app::Failed,
    graphql::{Admitted, Asked, Begun, Told},
    limits::STREAM_HEARTBEAT_SECONDS,
};
use async_graphql::parser::types::OperationType;
use axum::{
    http::{HeaderMap, Method, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{
    FutureExt, StreamExt,
    future::ready,
    stream::{BoxStream, once},
};
use std::{convert::Infallible, net::SocketAddr, time::Duration};

/// What a client accepts that wants a stream.
pub(super) const EVENT_STREAM: &str = "text/event-stream";
/// The cursor of the event that a client heard last.
const LAST_EVENT_ID: &str = "last-event-id";

/// Whether the caller takes a stream where nothing else will do.
pub(super) fn is_accepted(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut ranges = accepted.flat_map(|value| value.split(','));
    ranges.any(|range| range.split(';').next().is_some_and(|range| range.trim().eq_ignore_ascii_case(EVENT_STREAM)))
}

/// Answers a request with a stream.
pub(super) async fn answer(
    server: &Server,
    method: Method,
    (credential, peer): (Option<&str>, SocketAddr),
    headers: &HeaderMap,
    asked: Asked,
) -> Response {
    let admitted = match server.api.admit(asked).map_err(Fault::of_document) {
        Ok(admitted) => admitted,
        Err(fault) => return counted(server, (credential, peer), JSON, fault.answer(JSON)).await,
    };
    if admitted.kind() == Some(OperationType::Mutation) && method == Method::GET {
        return counted(server, (credential, peer), JSON, mutation_by_get().answer(JSON)).await;
    }
    stream(server, (credential, peer), headers, admitted).await
}

/// Answers an operation with a stream: `next` for each outcome, then `complete`.
pub(super) async fn stream(
    server: &Server,
    (credential, peer): (Option<&str>, SocketAddr),
    headers: &HeaderMap,
    mut admitted: Admitted,
) -> Response {
    if let Some(last) = headers.get(LAST_EVENT_ID).and_then(|last| last.to_str().ok()).filter(|last| !last.is_empty()) {
        admitted = admitted.resumed_after(last);
    }
    let api = match server.api.connection(credential, Some(peer.ip())).await {
        Ok(api) => api,
        Err(Failed::Refused(refusal)) => {
            return Fault::new(StatusCode::TOO_MANY_REQUESTS, "QUOTA_EXCEEDED", refusal.sentence()).answer(JSON);
        }
        Err(Failed::Denied(_)) => {
            let message = "The credential is not valid any more.";
            return Fault::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message).answer(JSON);
        }
        Err(Failed::Fault(_)) => return Fault::unavailable("Who you are cannot be looked up now.").answer(JSON),
    };
    let admitted = admitted.watched(server.watch(request_id(headers).to_owned(), "sse"));
    let opened = server.options.metrics.opened("sse");
    let (answers, left) = match operation::begin(&server.turns, &api, &admitted).await {
        Ok(Begun::Stream { answers, left }) => (answers, left),
        Ok(Begun::Refused(answered)) => return transport::answer(*answered, JSON),
        Err(fault) => return fault.answer(JSON),
    };
    let (mut stopping, open) = (server.stopping.clone(), server.open.clone());
    let stopped = async move {
        // An error says that the sender is gone, which is also a stop.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    let events = answers.map(|told| next(&told)).chain(once(ready(Event::default().event("complete"))));
    // Dropped with the stream, so that a stop waits for it.
    let events = events.take_until(stopped.boxed()).map(move |event| {
        let _open = (&open, &api, &opened);
        Ok::<_, Infallible>(event)
    });
    let events: BoxStream<'static, _> = events.boxed();
    let heartbeat = KeepAlive::new().interval(Duration::from_secs(STREAM_HEARTBEAT_SECONDS));
    let mut response = Sse::new(events).keep_alive(heartbeat).into_response();
    rate_limit::say(&mut response, &left);
    response
}

/// An answer as an event; its id is the cursor that it carries, where it carries one.
fn next(told: &Told) -> Event {
    let event = Event::default().event("next").data(&told.json);
    match &told.cursor {
        Some(cursor) => event.id(cursor),
        None => event,
    }
}
