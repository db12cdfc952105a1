//! The `graphql-transport-ws` protocol: one task for each socket, which reads, executes and writes in turn.
//! A client that reads slowly holds back only its own operations: their streams are not polled while a
//! message waits to be sent, and what happens meanwhile waits in the log. Most sockets are silent most of the time: what
//! one holds while it is is counted in bytes. Never closes with 1002 or 1011, on which clients give up for good.

mod frames;

use self::frames::{Frames, is_out_of_room};
use super::auth::{bearer, credential};
use super::fault::Fault;
use super::transport::request_id;
use super::{Server, listener::take, metrics::Opened, operation, origin};
use crate::app::Failed;
use crate::graphql::{ApiConnection, Asked, Told};
use crate::limits::{REQUEST_SECONDS_MAX, SOCKET_INIT_SECONDS_MAX, SOCKET_OPERATIONS_MAX, SOCKET_PING_SECONDS};
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use hyper::upgrade::OnUpgrade;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tungstenite::{Message, handshake::server::create_response_with_body, protocol::CloseFrame};

const PROTOCOL: &str = "graphql-transport-ws";

/// A request for a socket that keeps to the protocol: the answer to it, and the connection once that is sent.
pub(super) struct Handshake {
    answer: Response,
    upgraded: OnUpgrade,
}

/// Reads the request as one for a socket (RFC 6455); none where it is another.
pub(super) fn handshake(request: &mut Request) -> Option<Handshake> {
    let answer = create_response_with_body(request, Body::empty).ok()?;
    Some(Handshake { answer, upgraded: request.extensions_mut().remove()? })
}

/// Answers a request to upgrade `GET /graphql`.
pub(super) fn upgrade(server: Server, peer: SocketAddr, headers: &HeaderMap, handshake: Handshake) -> Response {
    if !origin::is_allowed(headers, &server.options.allowed_origins) {
        return (StatusCode::FORBIDDEN, "Pages of this origin may not open sockets here.").into_response();
    }
    let Handshake { mut answer, upgraded } = handshake;
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|offered| offered.to_str().ok());
    let is_spoken = offered.flat_map(|offered| offered.split(',')).any(|offered| offered.trim() == PROTOCOL);
    if is_spoken {
        answer.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    }
    let header_credential = credential(headers).map(str::to_owned);
    let (request_id, opened) = (request_id(headers).to_owned(), server.options.metrics.opened("websocket"));
    tokio::spawn(async move {
        let (taken, early) = match upgraded.await.map(take) {
            Ok(Ok(taken)) => taken,
            Ok(Err(error)) => return tracing::debug!(%error, "a socket ended as it began"),
            Err(error) => return tracing::debug!(%error, "a connection did not become a socket"),
        };
        let frames = Frames::new(taken, &early, Arc::clone(&server.turns));
        let connection = Connection { frames, is_spoken, peer, running: vec![], turn: 0, server, request_id, begun: 0 };
        // Apart, it is moved about without being copied into every state of what holds it; and what it took to upgrade
        // goes with the task that did it: most sockets are silent most of the time.
        tokio::spawn(hold(Box::new(connection), header_credential, opened));
    });
    answer
}

/// Serves a socket until it ends.
async fn hold(mut connection: Box<Connection>, header_credential: Option<String>, opened: Opened) {
    let mut stopping = connection.server.stopping.clone();
    let end = tokio::select! {
        end = connection.run(header_credential) => end,
        _ = stopping.wait_for(|stopping| *stopping) => End::Close(1012, "The server is restarting"),
    };
    Box::pin(connection.close(end, stopping)).await;
    drop(opened);
}

/// What a client may say.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ClientMessage {
    ConnectionInit { payload: Option<Map<String, Value>> },
    Subscribe { id: String, payload: Box<Asked> },
    Complete { id: String },
    Ping {},
    Pong {},
}

/// What the server says.
const ACKNOWLEDGED: &str = r#"{"type":"connection_ack"}"#;
const PONG: &str = r#"{"type":"pong"}"#;

/// What the server says of one operation; what it carries is JSON already.
fn said(kind: &str, id: &str, payload: Option<&str>) -> String {
    let (begin, end) = (format!(r#"{{"type":"{kind}","id":{}"#, Value::from(id)), "}");
    match payload {
        Some(payload) => [&begin, r#","payload":"#, payload, end].concat(),
        None => begin + end,
    }
}

/// Why a socket ends.
enum End {
    /// The client has left, or does not read any more.
    Gone,
    /// A close code and a reason of at most 123 bytes.
    Close(u16, &'static str),
    /// The client does not read what he is sent.
    TooSlow,
}

/// What an operation tells; none once it is done.
type Step = Option<Arc<Told>>;

/// An operation under way.
struct Running {
    id: Box<str>,
    steps: BoxStream<'static, Arc<Told>>,
}

/// What wakes the loop.
enum Wake {
    Received(Result<Message, tungstenite::Error>),
    Step(usize, Step),
    Ping,
    Ended,
}

struct Connection {
    frames: Frames,
    /// Whether the client asked for the protocol.
    is_spoken: bool,
    peer: SocketAddr,
    server: Server,
    /// What the request for the socket is called in logs.
    request_id: String,
    /// How many operations were begun: each is called after the socket and its place in it.
    begun: u64,
    /// The operations under way: so few, and most of the time one, that whoever is woken looks at each.
    running: Vec<Running>,
    /// Which of them is looked at first: after one that had something to say comes the next.
    turn: usize,
}

/// What one of the operations tells next, by its place; waits for ever where there is none.
async fn next_step(running: &mut [Running], turn: &mut usize) -> (usize, Step) {
    poll_fn(|context| {
        for n in 0..running.len() {
            let at = turn.wrapping_add(n) % running.len();
            if let Some(operation) = running.get_mut(at)
                && let Poll::Ready(step) = operation.steps.poll_next_unpin(context)
            {
                *turn = at.wrapping_add(1);
                return Poll::Ready((at, step));
            }
        }
        Poll::Pending
    })
    .await
}

impl Connection {
    /// Runs until the socket must end; always answers why.
    async fn run(&mut self, header_credential: Option<String>) -> End {
        if !self.is_spoken {
            return End::Close(4406, "Ask for the subprotocol graphql-transport-ws");
        }
        match self.serve(header_credential).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn serve(&mut self, header_credential: Option<String>) -> Result<Infallible, End> {
        let wait = Duration::from_secs(SOCKET_INIT_SECONDS_MAX);
        // What is done once, or seldom, lies apart: most sockets are silent most of the time.
        let named = Box::pin(timeout(wait, self.introduced())).await;
        let named = named.map_err(|_| End::Close(4408, "Connection initialisation timeout"))??;
        let named = named.or(header_credential);
        let api = Box::pin(self.server.api.connection(named.as_deref(), Some(self.peer.ip()))).await;
        drop(named);
        let api = api.map_err(|failed| match failed {
            // Clients come again after this code; on one of the protocol's own they would give up.
            Failed::Refused(_) => End::Close(1013, "QUOTA_EXCEEDED: your organisation has as many open as it may"),
            Failed::Denied(_) => End::Close(4403, "Forbidden"),
            Failed::Fault(_) => End::Close(1013, "UNAVAILABLE: who you are cannot be looked up now"),
        })?;
        Box::pin(self.send(ACKNOWLEDGED.to_owned())).await?;

        let (bounds, period) = (self.server.options.bounds, Duration::from_secs(SOCKET_PING_SECONDS));
        let mut ping = interval_at(Instant::now() + period, period);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        let mut ended = Box::pin(api.ended());
        loop {
            let wake = tokio::select! {
                message = self.frames.next() => Wake::Received(message),
                (at, step) = next_step(&mut self.running, &mut self.turn) => Wake::Step(at, step),
                _ = ping.tick() => Wake::Ping,
                () = &mut ended => Wake::Ended,
            };
            match wake {
                Wake::Received(message) => {
                    heard = Instant::now();
                    if let Some(message) = understood(message)? {
                        Box::pin(self.obey(&api, message)).await?;
                    }
                }
                Wake::Step(at, step) => Box::pin(self.tell(at, step)).await?,
                // The session ended, the user was disabled, the key revoked: whoever comes again must say who he is.
                Wake::Ended => return Err(End::Close(4403, "Forbidden")),
                Wake::Ping if self.frames.waits_since().is_some_and(|since| since.elapsed() > bounds.message) => {
                    return Err(End::Close(1013, "UNAVAILABLE: the message did not arrive in time"));
                }
                Wake::Ping if heard.elapsed() > Duration::from_secs(REQUEST_SECONDS_MAX) => {
                    return Err(End::Gone);
                }
                // A ping of the WebSocket layer, which every client answers without its user's help.
                Wake::Ping => Box::pin(self.write(Message::Ping(Bytes::new()))).await?,
            }
        }
    }

    /// Waits for the first message that says who is there, and answers the credential in it.
    async fn introduced(&mut self) -> Result<Option<String>, End> {
        loop {
            match understood(self.frames.next().await)? {
                Some(ClientMessage::ConnectionInit { payload }) => {
                    let value = payload.iter().flatten().find(|(key, _)| key.eq_ignore_ascii_case("authorization"));
                    return Ok(value.and_then(|(_, value)| bearer(value.as_str()?)).map(str::to_owned));
                }
                Some(ClientMessage::Subscribe { .. }) => return Err(End::Close(4401, "Unauthorized")),
                Some(ClientMessage::Ping {}) => self.send(PONG.to_owned()).await?,
                Some(ClientMessage::Pong {} | ClientMessage::Complete { .. }) | None => {}
            }
        }
    }

    async fn obey(&mut self, api: &ApiConnection, message: ClientMessage) -> Result<(), End> {
        match message {
            ClientMessage::ConnectionInit { .. } => Err(End::Close(4429, "Too many initialisation requests")),
            ClientMessage::Subscribe { id, payload } => self.start(api, id, *payload).await,
            ClientMessage::Complete { id } => {
                self.forget(&id);
                Ok(())
            }
            ClientMessage::Ping {} => self.send(PONG.to_owned()).await,
            ClientMessage::Pong {} => Ok(()),
        }
    }

    async fn start(&mut self, api: &ApiConnection, id: String, asked: Asked) -> Result<(), End> {
        if self.place(&id).is_some() {
            return Err(End::Close(4409, "A subscriber with this id already exists"));
        }
        let admitted = if self.running.len() < SOCKET_OPERATIONS_MAX {
            api.admit(asked).map_err(Fault::of_document)
        } else {
            Err(Fault::limit(format!("A socket runs at most {SOCKET_OPERATIONS_MAX} operations at a time.")))
        };
        let admitted = match admitted {
            Ok(admitted) => admitted,
            Err(fault) => {
                self.server.options.metrics.refused(fault.code);
                // It costs what looking at it costs, like everything that is asked.
                let payload = match api.refused().await {
                    Some(overdrawn) => json!(overdrawn.errors).to_string(),
                    None => fault.errors(),
                };
                return self.send(said("error", &id, Some(&payload))).await;
            }
        };
        self.begun = self.begun.saturating_add(1);
        let request_id = format!("{}/{}", self.request_id, self.begun);
        let span = tracing::error_span!("request", id = request_id, path = "/graphql");
        let admitted = admitted.watched(self.server.watch(request_id, "websocket"));
        let steps = operation::answers(Arc::clone(&self.server.turns), api.clone(), admitted, span);
        // Most clients have one for each socket.
        self.running.reserve_exact(1);
        self.running.push(Running { id: id.into(), steps });
        Ok(())
    }

    /// Passes on what an operation has come to. One that was refused as a whole hears `error`, which ends it.
    async fn tell(&mut self, at: usize, step: Step) -> Result<(), End> {
        let Some(Running { id, .. }) = self.running.get(at) else { return Ok(()) };
        let (message, goes_on) = match &step {
            Some(told) => match &told.refused {
                Some(errors) => (said("error", id, Some(errors)), false),
                None => (said("next", id, Some(&told.json)), true),
            },
            None => (said("complete", id, None), false),
        };
        if !goes_on {
            self.running.remove(at);
        }
        self.send(message).await
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.running.iter().position(|operation| *operation.id == *id)
    }

    /// An operation that is not there any more is not answered any more.
    fn forget(&mut self, id: &str) {
        if let Some(at) = self.place(id) {
            self.running.remove(at);
        }
    }

    async fn send(&mut self, message: String) -> Result<(), End> {
        self.write(Message::Text(message.into())).await
    }

    async fn write(&mut self, message: Message) -> Result<(), End> {
        match timeout(self.server.options.bounds.write, self.frames.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::TooSlow),
        }
    }

    /// Says why the socket ends, and waits for what the client says to that.
    async fn close(mut self: Box<Self>, end: End, mut stopping: watch::Receiver<bool>) {
        let short = Duration::from_secs(1);
        let (code, reason, patience) = match end {
            End::Gone => return,
            End::Close(code, reason) => (code, reason, short),
            // He may read again; he is told where he stands by the cursor that he hears last, and why after that.
            End::TooSlow => {
                let patience = Duration::from_secs(REQUEST_SECONDS_MAX);
                (1013, "You read too slowly; come again after the last cursor", patience)
            }
        };
        self.running.clear();
        let frame = CloseFrame { code: code.into(), reason: reason.into() };
        let closing = async {
            // The client may have left meanwhile, which is what closing wants anyway.
            let _ = self.frames.send(Message::Close(Some(frame))).await;
            // Its own close frame is awaited, so that the reason is not lost to a reset.
            while self.frames.next().await.is_ok() {}
        };
        let stopped = async {
            // An error says that the sender is gone, which is also a stop.
            let _ = stopping.wait_for(|stopping| *stopping).await;
            sleep(short).await;
        };
        tokio::select! {
            _ = timeout(patience, closing) => {}
            () = stopped => {}
        }
    }
}

/// Reads a message of the protocol; `None` for one of the WebSocket layer itself.
fn understood(received: Result<Message, tungstenite::Error>) -> Result<Option<ClientMessage>, End> {
    match received {
        Err(error) if is_out_of_room(&error) => Err(End::Close(1013, "UNAVAILABLE: there is no room for it now")),
        Err(tungstenite::Error::Capacity(_)) => Err(End::Close(1009, "The message is too large")),
        Err(_) | Ok(Message::Close(_)) => Err(End::Gone),
        Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => Ok(None),
        Ok(Message::Binary(_)) => Err(End::Close(4400, "Messages are text")),
        Ok(Message::Text(text)) => serde_json::from_str(&text)
            .map(Some)
            .map_err(|_| End::Close(4400, "The message is not one of graphql-transport-ws")),
    }
}
