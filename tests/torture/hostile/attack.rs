//! The rows of the hostile table: each sends one thing, often, and answers what it heard.
//! Never looks at how others fare: the table does.

use super::{super::client::Caller, Table};
use futures_util::{SinkExt, StreamExt, future::join_all};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_tungstenite::tungstenite::{Error, Message, client::IntoClientRequest};

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often each document is sent.
const TIMES: usize = 40;
const IDLE_SOCKETS: usize = 1_000;
const SUBSCRIPTIONS: usize = 20_000;
const HALF_HEADS: usize = 200;
const PAUSED: usize = 50;
const UNFINISHED: usize = 500;
const PINGING: usize = 20;
/// More than the kernel keeps.
const PINGS: usize = 50_000;

const LIMIT: &str = "400 LIMIT_EXCEEDED";
const TOO_LARGE: &str = "413 LIMIT_EXCEEDED";

/// A connection as it is.
pub struct Wire(TcpStream);

impl Wire {
    pub async fn open(address: &str) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// Sends what the other side still takes.
    pub async fn send(&mut self, text: &str) {
        timeout(PATIENCE, self.0.write_all(text.as_bytes())).await.expect("a server that reads").ok();
    }

    /// The status of the answer that comes next; empty when the connection ends without one.
    pub async fn status(&mut self) -> String {
        let mut head = vec![0; 12];
        match timeout(PATIENCE, self.0.read_exact(&mut head)).await.expect("an answer or an end") {
            Ok(_) => String::from_utf8_lossy(&head[9..]).into_owned(),
            Err(_) => String::new(),
        }
    }

    /// The status and code of the answer that ends the connection.
    async fn heard(&mut self) -> String {
        let mut all = vec![];
        timeout(PATIENCE, self.0.read_to_end(&mut all)).await.expect("an end").ok();
        let text = String::from_utf8_lossy(&all);
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        format!("{} {}", text.get(9..12).unwrap_or_default(), code(&body))
    }
}

fn code(body: &Value) -> &str {
    body.pointer("/errors/0/extensions/code").and_then(Value::as_str).unwrap_or("-")
}

/// How often each outcome came, as words: only one is expected of most.
fn all_of(heard: impl IntoIterator<Item = String>) -> String {
    let mut counted = BTreeMap::<_, usize>::new();
    heard.into_iter().for_each(|one| *counted.entry(one).or_default() += 1);
    match counted.len() {
        1 => counted.into_keys().next().unwrap(),
        _ => format!("{counted:?}"),
    }
}

/// Sends a body under a media type, as a client of the newer one; answers status and code.
async fn post(eve: &Caller, media_type: &str, body: String) -> String {
    let request =
        eve.http.post(format!("http://{}/graphql", eve.address)).bearer_auth(eve.credential.as_ref().unwrap());
    let request = request.header("content-type", media_type).header("accept", "application/graphql-response+json");
    let answer = request.body(body).send().await.unwrap();
    let status = answer.status().as_u16();
    format!("{status} {}", code(&answer.json().await.unwrap_or_default()))
}

async fn document(eve: Caller, query: &str) -> String {
    let body = json!({ "query": query }).to_string();
    let mut heard = vec![];
    for _ in 0..TIMES / 4 {
        heard.extend(join_all((0..4).map(|_| post(&eve, "application/json", body.clone()))).await);
    }
    all_of(heard)
}

/// A socket that somebody has opened and introduced himself on.
async fn socket(eve: &Caller) -> super::super::client::Socket {
    let mut request = format!("ws://{}/graphql", eve.address).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let authorization = format!("Bearer {}", eve.credential.as_ref().unwrap());
    send(&mut socket, &json!({ "type": "connection_init", "payload": { "authorization": authorization } })).await;
    assert_eq!(receive(&mut socket).await["type"], "connection_ack");
    socket
}

async fn send(socket: &mut super::super::client::Socket, message: &Value) {
    socket.send(Message::text(message.to_string())).await.unwrap();
}

async fn receive(socket: &mut super::super::client::Socket) -> Value {
    loop {
        let message = timeout(PATIENCE, socket.next()).await.expect("a message").expect("an open socket").unwrap();
        if let Message::Text(text) = message {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

/// Every row.
pub async fn all(table: &mut Table) {
    documents(table).await;
    bodies(table).await;
    connections(table).await;
    sockets(table).await;
}

async fn documents(table: &mut Table) {
    let literal = format!("{{ node(id: {}{}) {{ id }} }}", "[".repeat(2_000), "]".repeat(2_000));
    table.row("a literal of 2,000 levels", LIMIT, async |eve| document(eve, &literal).await).await;
    let links = (0..30).map(|n| format!("fragment F{n} on User {{ ...F{} ...F{} }}", n + 1, n + 1));
    let links: String = links.collect::<Vec<_>>().join(" ");
    let chain = format!("{{ viewer {{ ...F0 }} }} {links} fragment F30 on User {{ id }}");
    table.row("a chain of 30 fragments, each twice", LIMIT, async |eve| document(eve, &chain).await).await;
    let aliases: String = (0..10_000).map(|n| format!("a{n}:viewer{{id}} ")).collect();
    let aliases = format!("{{ {aliases} }}");
    table.row("10,000 aliases", LIMIT, async |eve| document(eve, &aliases).await).await;
    let repeated = format!("{{viewer{{{}}}}}", "a ".repeat(100_000));
    table.row("100,000 repeated fields", LIMIT, async |eve| document(eve, &repeated).await).await;
    let form = json!({ "query": "mutation { endSession(input: {}) { cursor } }" }).to_string();
    let plain = async |eve: Caller| all_of([post(&eve, "text/plain", form.clone()).await]);
    table.row("a mutation as text/plain, as a form sends it", "415 BAD_REQUEST", plain).await;
    let batch = json!(vec![json!({ "query": "{ viewer { __typename } }" }); 1_000]).to_string();
    let batches = async |eve: Caller| all_of([post(&eve, "application/json", batch.clone()).await]);
    table.row("a batch of 1,000", "400 BAD_REQUEST", batches).await;
    table
        .row("a mutation by GET", "405 BAD_REQUEST", async |eve| {
            let request = eve.http.get(format!(
                "http://{}/graphql?query=mutation%7BendSession(input:%7B%7D)%7Bcursor%7D%7D",
                eve.address
            ));
            let answer = request.bearer_auth(eve.credential.as_ref().unwrap()).send().await.unwrap();
            let status = answer.status().as_u16();
            format!("{status} {}", code(&answer.json().await.unwrap()))
        })
        .await;
}

async fn bodies(table: &mut Table) {
    let head = |eve: &Caller, length: &str| {
        format!(
            "POST /graphql HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n{length}\r\nconnection: close\r\n\r\n",
            eve.address
        )
    };
    table
        .row("bodies of 10 MB, announced", TOO_LARGE, async |eve| {
            let one = async || {
                let mut wire = Wire::open(&eve.address).await;
                wire.send(&head(&eve, "content-length: 10485760")).await;
                wire.heard().await
            };
            all_of(join_all((0..TIMES).map(|_| one())).await)
        })
        .await;
    table
        .row("bodies of 10 MB, in pieces", TOO_LARGE, async |eve| {
            let piece = |bytes: usize| format!("{bytes:x}\r\n{}\r\n", "x".repeat(bytes));
            let one = async || {
                let mut wire = Wire::open(&eve.address).await;
                wire.send(&head(&eve, "transfer-encoding: chunked")).await;
                // One byte more than is read; whoever sends all ten is reset before he can read the answer.
                for _ in 0..4 {
                    wire.send(&piece(64 * 1024)).await;
                }
                wire.send(&piece(1)).await;
                wire.heard().await
            };
            let heard = all_of(join_all((0..TIMES).map(|_| one())).await);
            let mut rude = Wire::open(&eve.address).await;
            rude.send(&head(&eve, "transfer-encoding: chunked")).await;
            for _ in 0..160 {
                rude.send(&piece(64 * 1024)).await;
            }
            heard
        })
        .await;
}

async fn connections(table: &mut Table) {
    let name = format!("{HALF_HEADS} heads that stop in the middle");
    table
        .row(&name, "closed without an answer after 10 s", async |eve| {
            let begun = Instant::now();
            let one = async || {
                let mut wire = Wire::open(&eve.address).await;
                wire.send("POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-ty").await;
                wire.status().await
            };
            let heard = all_of(join_all((0..HALF_HEADS).map(|_| one())).await);
            assert!(begun.elapsed() > Duration::from_secs(9), "they were closed after {:?}", begun.elapsed());
            if heard.is_empty() { "closed without an answer after 10 s".to_owned() } else { heard }
        })
        .await;
    table
        .row("a page of another origin opens a socket", "403", async |eve| {
            let one = async || {
                let mut request = format!("ws://{}/graphql", eve.address).into_client_request().unwrap();
                request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
                request.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
                match tokio_tungstenite::connect_async(request).await {
                    Err(Error::Http(answer)) => answer.status().as_u16().to_string(),
                    other => format!("{other:?}"),
                }
            };
            all_of(join_all((0..TIMES).map(|_| one())).await)
        })
        .await;
}

async fn sockets(table: &mut Table) {
    let name = format!("{IDLE_SOCKETS} idle sockets");
    table
        .row(&name, "each acknowledged, and answers at the end", async |eve| {
            let mut open = vec![];
            for _ in 0..IDLE_SOCKETS {
                open.push(socket(&eve).await);
            }
            sleep(Duration::from_secs(1)).await;
            for socket in &mut open {
                send(socket, &json!({ "type": "ping" })).await;
                assert_eq!(receive(socket).await["type"], "pong");
            }
            "each acknowledged, and answers at the end".to_owned()
        })
        .await;
    let name = format!("{SUBSCRIPTIONS} subscriptions on one socket");
    table
        .row(&name, "50 run, 19950 refused, LIMIT_EXCEEDED", async |eve| {
            let (mut write, mut read) = socket(&eve).await.split();
            let writing = tokio::spawn(async move {
                for n in 0..SUBSCRIPTIONS {
                    let payload = json!({ "query": "subscription { events { cursor } }" });
                    let message = json!({ "type": "subscribe", "id": n.to_string(), "payload": payload });
                    write.send(Message::text(message.to_string())).await.unwrap();
                }
                write.send(Message::text(json!({ "type": "ping" }).to_string())).await.unwrap();
                write
            });
            let (mut refused, mut codes) = (0, vec![]);
            loop {
                let message = timeout(PATIENCE, read.next()).await.expect("a message").expect("an open socket");
                let Message::Text(text) = message.unwrap() else { continue };
                let message: Value = serde_json::from_str(&text).unwrap();
                match message["type"].as_str() {
                    Some("pong") => break,
                    Some("error") => {
                        refused += 1;
                        let code = message.pointer("/payload/0/extensions/code").unwrap();
                        codes.push(code.as_str().unwrap().to_owned());
                    }
                    _ => {}
                }
            }
            drop(writing.await.unwrap());
            format!("{} run, {refused} refused, {}", SUBSCRIPTIONS - refused, all_of(codes))
        })
        .await;
    let name = format!("{PAUSED} readers that pause");
    table
        .row(&name, "held back", async |eve| {
            let mut paused = vec![];
            for _ in 0..PAUSED {
                let mut socket = socket(&eve).await;
                let query = "{ __schema { types { name description fields { name description type { name } } } } }";
                let asking = async {
                    for n in 0..200 {
                        let message =
                            json!({ "type": "subscribe", "id": n.to_string(), "payload": { "query": query } });
                        send(&mut socket, &message).await;
                    }
                };
                // The server stops reading where its own words are not read.
                let _ = timeout(Duration::from_millis(50), asking).await;
                paused.push(socket);
            }
            sleep(Duration::from_secs(1)).await;
            "held back".to_owned()
        })
        .await;
    let name = format!("{PINGING} readers that ping and pause");
    table
        .row(&name, "held back", async |eve| {
            let (mut paused, mut not_held) = (vec![], 0);
            for _ in 0..PINGING {
                let mut socket = socket(&eve).await;
                let pinging = async {
                    for _ in 0..PINGS {
                        socket.send(Message::Ping(vec![b'x'; 125].into())).await.unwrap();
                    }
                };
                // Its answers are not read: the server stops asking for more of them.
                not_held += u32::from(timeout(Duration::from_millis(500), pinging).await.is_ok());
                paused.push(socket);
            }
            if not_held == 0 { "held back".to_owned() } else { format!("{not_held} are answered without end") }
        })
        .await;
    let name = format!("{UNFINISHED} messages that stop in the middle");
    table
        .row(&name, "held where there is room, or closed with 1013", async |eve| {
            // The head of a frame of 256 KiB with a mask, and not all that should come behind it.
            let head = [0x81, 0xff, 0, 0, 0, 0, 0, 4, 0, 0, 1, 2, 3, 4];
            let unfinished = [&head[..], &vec![b'x'; 250_000]].concat();
            let mut open = vec![];
            for _ in 0..UNFINISHED {
                let mut socket = socket(&eve).await;
                // Whoever is closed may be gone before all is sent.
                timeout(PATIENCE, socket.get_mut().write_all(&unfinished)).await.expect("a server that reads").ok();
                open.push(socket);
            }
            let mut ends = vec![];
            for socket in &mut open {
                ends.push(match timeout(Duration::from_millis(1), socket.next()).await {
                    Err(_) => "held".to_owned(),
                    Ok(Some(Ok(Message::Close(Some(close))))) => format!("{}", u16::from(close.code)),
                    Ok(said) => format!("{said:?}"),
                });
            }
            let held = ends.iter().filter(|end| *end == "held").count();
            match ends.iter().find(|end| !["held", "1013"].contains(&end.as_str())) {
                Some(other) => other.clone(),
                None if (1..UNFINISHED / 2).contains(&held) => {
                    "held where there is room, or closed with 1013".to_owned()
                }
                None => format!("{held} are held"),
            }
        })
        .await;
}
