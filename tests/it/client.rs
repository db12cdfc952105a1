//! A caller of the API as any other client is one: HTTP for requests, a WebSocket for subscriptions.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest},
};

/// Somebody with a credential, or nobody.
#[derive(Clone)]
pub struct Caller {
    pub name: &'static str,
    pub credential: Option<Arc<str>>,
    pub address: String,
    pub http: reqwest::Client,
}

/// What the server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub who: &'static str,
    pub body: Value,
}

impl Caller {
    /// Sends one operation.
    pub async fn ask(&self, query: &str, variables: Value) -> Answer {
        self.try_ask(query, variables).await.unwrap()
    }

    /// Sends one operation to a server that may be gone before it has answered.
    pub async fn try_ask(&self, query: &str, variables: Value) -> reqwest::Result<Answer> {
        let request = self.http.post(format!("http://{}/graphql", self.address));
        let request = match &self.credential {
            Some(credential) => request.bearer_auth(credential),
            None => request,
        };
        let response = request.json(&json!({ "query": query, "variables": variables })).send().await?;
        Ok(Answer { who: self.name, body: response.json().await? })
    }

    /// Opens a subscription over a socket of its own.
    pub async fn subscribe(&self, query: &str, variables: Value) -> Subscription {
        let mut request = format!("ws://{}/graphql", self.address).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        let payload =
            self.credential.as_ref().map(|credential| json!({ "authorization": format!("Bearer {credential}") }));
        send(&mut socket, json!({ "type": "connection_init", "payload": payload })).await;
        let acknowledged = receive(&mut socket, Duration::from_secs(5)).await.expect("an acknowledgement");
        assert_eq!(acknowledged["type"], "connection_ack", "{acknowledged}");
        let payload = json!({ "query": query, "variables": variables });
        send(&mut socket, json!({ "type": "subscribe", "id": "1", "payload": payload })).await;
        // The protocol does not acknowledge a subscription; a ping answered says that it was read.
        send(&mut socket, json!({ "type": "ping" })).await;
        let mut subscription = Subscription { socket, early: vec![] };
        loop {
            let message = receive(&mut subscription.socket, Duration::from_secs(5)).await.expect("a pong");
            if message["type"] == "pong" {
                break;
            }
            subscription.early.insert(0, message);
        }
        subscription
    }
}

/// A socket of a client.
pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn send(socket: &mut Socket, message: Value) {
    socket.send(Message::text(message.to_string())).await.unwrap();
}

/// The next message; none when the socket was closed or nothing came in time.
async fn receive(socket: &mut Socket, patience: Duration) -> Option<Value> {
    loop {
        match tokio::time::timeout(patience, socket.next()).await.ok()?? {
            Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
            Ok(Message::Ping(_) | Message::Pong(_)) => {}
            Ok(_) | Err(_) => return None,
        }
    }
}

/// A running subscription.
pub struct Subscription {
    /// Where it runs, for whoever wants to see its end.
    pub socket: Socket,
    early: Vec<Value>,
}

impl Subscription {
    /// The next edge of the one field subscribed to, checkpoints left out; none when nothing came in time.
    pub async fn next(&mut self, patience: Duration) -> Option<Value> {
        loop {
            let message = match self.early.pop() {
                Some(early) => early,
                None => receive(&mut self.socket, patience).await?,
            };
            match message["type"].as_str() {
                Some("next") => {
                    let data = message["payload"]["data"].as_object();
                    let edge = data.and_then(|data| data.values().next()).cloned();
                    let edge = edge.unwrap_or_else(|| panic!("a subscription answered {message}"));
                    if !edge["node"].is_null() {
                        return Some(edge);
                    }
                }
                Some("ping") => send(&mut self.socket, json!({ "type": "pong" })).await,
                Some("pong") => {}
                Some("error" | "complete") | None | Some(_) => return None,
            }
        }
    }

    /// Asserts that the server ends the subscription with this code.
    pub async fn ended(&mut self, code: &str) {
        loop {
            let message = match self.early.pop() {
                Some(early) => early,
                None => receive(&mut self.socket, Duration::from_secs(5)).await.expect("word of the end"),
            };
            let errors = message.pointer("/payload/errors").unwrap_or(&message["payload"]);
            if let Some(said) = errors.pointer("/0/extensions/code") {
                assert_eq!(said, code, "{message}");
                return;
            }
        }
    }

    /// The code with which the server closes the socket; none when it does not in time.
    pub async fn closed(&mut self, patience: Duration) -> Option<u16> {
        let end = tokio::time::Instant::now() + patience;
        loop {
            match tokio::time::timeout_at(end, self.socket.next()).await.ok()?? {
                Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    /// Everything that comes until nothing has come for a while.
    pub async fn rest(&mut self) -> Vec<Value> {
        let mut edges = vec![];
        while let Some(edge) = self.next(Duration::from_millis(250)).await {
            edges.push(edge);
        }
        edges
    }
}

impl Answer {
    /// The value at a JSON pointer into `data`; the answer must be free of errors and refusals.
    pub fn at(&self, pointer: &str) -> Value {
        self.done();
        let found = self.body["data"].pointer(pointer);
        found.unwrap_or_else(|| panic!("nothing at {pointer} in {:#}", self.body)).clone()
    }

    /// The text at a JSON pointer into `data`.
    pub fn text(&self, pointer: &str) -> String {
        let value = self.at(pointer);
        value.as_str().unwrap_or_else(|| panic!("no text at {pointer}: {value}")).to_owned()
    }

    /// The number at a JSON pointer into `data`.
    pub fn number(&self, pointer: &str) -> i64 {
        self.at(pointer).as_i64().unwrap_or_else(|| panic!("no number at {pointer}"))
    }

    /// Asserts that nothing was refused.
    pub fn done(&self) -> &Self {
        assert!(self.body.get("errors").is_none(), "{} was answered {:#}", self.who, self.body);
        assert_eq!(self.user_errors(), Vec::<String>::new(), "{} was refused: {:#}", self.who, self.body);
        self
    }

    /// The codes of the user errors of every field.
    pub fn user_errors(&self) -> Vec<String> {
        let fields = self.body["data"].as_object().into_iter().flat_map(|data| data.values());
        let errors = fields.flat_map(|field| field["userErrors"].as_array().cloned().unwrap_or_default());
        errors.map(|error| error["code"].as_str().unwrap_or("?").to_owned()).collect()
    }

    /// The code of the first error, or of the first user error: what stopped the operation.
    pub fn code(&self) -> String {
        let error = self.body.pointer("/errors/0");
        let error = error.map(|error| error["extensions"]["code"].as_str().unwrap_or("an error without a code"));
        error.map(str::to_owned).or_else(|| self.user_errors().into_iter().next()).unwrap_or_else(|| "ok".to_owned())
    }

    /// Asserts which code stopped the operation.
    #[track_caller]
    pub fn refused(&self, code: &str) -> &Self {
        assert_eq!(self.code(), code, "{} was answered {:#}", self.who, self.body);
        self
    }
}
