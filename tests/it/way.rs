//! The three ways in: one operation over HTTP, a WebSocket or server-sent events, and what is said to it.
//! What they answer differently to the same operation is a defect.

use super::client::{Answer, Caller, Socket};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

/// How an operation reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Http,
    Socket,
    Stream,
}

/// All of them.
pub const WAYS: [Way; 3] = [Way::Http, Way::Socket, Way::Stream];

/// Longer than any answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// An operation that was sent.
pub enum Sent {
    /// Its only answer.
    Whole(Option<Value>),
    /// The socket, and what is sent once the server has acknowledged it.
    Socket(Box<Socket>, Value),
    /// The stream, and what of it has come and was not read yet.
    Stream(reqwest::Response, String),
}

/// What the server says to an operation.
pub enum Said {
    /// An answer, as the body of an HTTP response holds it.
    Answer(Value),
    /// Nothing more comes.
    Complete,
    /// The socket was closed with this code.
    Closed(u16),
}

impl Caller {
    /// Sends one query or mutation; a socket that is closed before it answers is told as `closed: <code>`.
    pub async fn ask_by(&self, way: Way, query: &str, variables: Value) -> Answer {
        let mut sent = self.send(way, query, variables).await;
        let body = match sent.next(PATIENCE).await {
            Some(Said::Answer(body)) => body,
            Some(Said::Closed(code)) => {
                json!({ "errors": [{ "extensions": { "code": format!("closed: {code}") } }] })
            }
            Some(Said::Complete) | None => panic!("{way:?} answered nothing to {query}"),
        };
        Answer { who: self.name, body }
    }

    /// Sends one operation.
    pub async fn send(&self, way: Way, query: &str, variables: Value) -> Sent {
        let operation = json!({ "query": query, "variables": variables });
        match way {
            Way::Http => Sent::Whole(Some(self.ask(query, variables).await.body)),
            Way::Socket => self.send_by_socket(operation).await,
            Way::Stream => {
                let request = self.http.post(format!("http://{}/graphql", self.address));
                let request = request.header("accept", "text/event-stream");
                let request = match &self.credential {
                    Some(credential) => request.bearer_auth(credential),
                    None => request,
                };
                let response = request.json(&operation).send().await.unwrap();
                let is_stream = response.headers()["content-type"] == "text/event-stream";
                if is_stream {
                    Sent::Stream(response, String::new())
                } else {
                    Sent::Whole(response.json().await.unwrap())
                }
            }
        }
    }

    async fn send_by_socket(&self, operation: Value) -> Sent {
        let mut request = format!("ws://{}/graphql", self.address).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        let (socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        self.introduce(socket, operation).await
    }

    /// Sends one operation over a socket that is open already.
    pub async fn send_by(&self, socket: Socket, query: &str, variables: Value) -> Sent {
        self.introduce(socket, json!({ "query": query, "variables": variables })).await
    }

    async fn introduce(&self, mut socket: Socket, operation: Value) -> Sent {
        let payload =
            self.credential.as_ref().map(|credential| json!({ "authorization": format!("Bearer {credential}") }));
        let init = json!({ "type": "connection_init", "payload": payload });
        socket.send(Message::text(init.to_string())).await.unwrap();
        Sent::Socket(Box::new(socket), json!({ "type": "subscribe", "id": "1", "payload": operation }))
    }
}

impl Sent {
    /// What the server says next; none when it says nothing for so long.
    pub async fn next(&mut self, patience: Duration) -> Option<Said> {
        match self {
            Self::Whole(answer) => Some(answer.take().map_or(Said::Complete, Said::Answer)),
            Self::Socket(socket, subscribe) => next_of_socket(socket, subscribe, Instant::now() + patience).await,
            Self::Stream(response, come) => next_of_stream(response, come, Instant::now() + patience).await,
        }
    }
}

async fn next_of_socket(socket: &mut Socket, subscribe: &Value, end: Instant) -> Option<Said> {
    loop {
        let message = match timeout_at(end, socket.next()).await.ok()??.unwrap() {
            Message::Text(message) => serde_json::from_str::<Value>(&message).unwrap(),
            Message::Close(frame) => return Some(Said::Closed(frame.map_or(1005, |frame| frame.code.into()))),
            Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_) => continue,
        };
        match message["type"].as_str() {
            Some("connection_ack") => socket.send(Message::text(subscribe.to_string())).await.unwrap(),
            Some("ping") => socket.send(Message::text(json!({ "type": "pong" }).to_string())).await.unwrap(),
            Some("next") => return Some(Said::Answer(message["payload"].clone())),
            Some("error") => return Some(Said::Answer(json!({ "errors": message["payload"] }))),
            Some("complete") => return Some(Said::Complete),
            _ => panic!("the server said {message}"),
        }
    }
}

async fn next_of_stream(response: &mut reqwest::Response, come: &mut String, end: Instant) -> Option<Said> {
    loop {
        while let Some((event, rest)) = come.split_once("\n\n") {
            let (mut kind, mut data) = ("", "");
            for line in event.lines() {
                match line.split_once(':') {
                    Some(("event", value)) => kind = value.trim(),
                    Some(("data", value)) => data = value.trim(),
                    // A comment keeps the stream alive; an id is for whoever comes back.
                    Some(("" | "id", _)) => {}
                    _ => panic!("the server said {event}"),
                }
            }
            let said = match kind {
                "next" => Some(Said::Answer(serde_json::from_str(data).unwrap())),
                "complete" => Some(Said::Complete),
                "" => None,
                _ => panic!("the server said {event}"),
            };
            *come = rest.to_owned();
            if said.is_some() {
                return said;
            }
        }
        match timeout_at(end, response.chunk()).await.ok()?.unwrap() {
            Some(chunk) => come.push_str(std::str::from_utf8(&chunk).unwrap()),
            None => return Some(Said::Complete),
        }
    }
}
