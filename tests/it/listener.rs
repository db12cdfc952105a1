//! Connections: how many there may be, how long each is waited for, and that one costs no other anything.
//! Times are only ever waited for, never compared: a slow machine makes these tests slow, not red.

use super::world::World;
use countersign::http::Bounds;
use serde_json::json;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// So long that it never ends here.
const LONG: Duration = Duration::from_secs(3_600);
const SHORT: Duration = Duration::from_millis(300);

/// A world whose server has these bounds.
async fn bounded(bounds: Bounds) -> World {
    let mut world = World::new().await;
    world.bounds = bounds;
    world.restart().await;
    world
}

/// A connection as it is, from an address of this machine.
pub struct Raw(TcpStream);

impl Raw {
    pub async fn open(world: &World) -> Self {
        Self::from(world, "127.0.0.1:0").await
    }

    async fn from(world: &World, source: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // Small, so that a reader who pauses is soon a burden.
        socket.set_recv_buffer_size(4 * 1024).unwrap();
        socket.bind(source.parse::<SocketAddr>().unwrap()).unwrap();
        Self(socket.connect(world.stranger().address.parse().unwrap()).await.unwrap())
    }

    pub async fn send(&mut self, text: &str) {
        // One that was turned away may be gone; what it answered says so.
        self.0.write_all(text.as_bytes()).await.ok();
    }

    /// The head of the next answer, in lower case; empty when the connection has ended.
    pub async fn head(&mut self) -> String {
        let mut head = vec![];
        while !head.ends_with(b"\r\n\r\n") {
            match timeout(PATIENCE, self.0.read_u8()).await.expect("an answer or an end") {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
        String::from_utf8(head).unwrap().to_lowercase()
    }

    /// The head and body of the next answer.
    pub async fn answer(&mut self) -> (String, String) {
        let head = self.head().await;
        let length = head.split_once("content-length: ").and_then(|(_, rest)| rest.lines().next()?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        timeout(PATIENCE, self.0.read_exact(&mut body)).await.unwrap().unwrap();
        (head, String::from_utf8(body).unwrap())
    }

    /// Asks whether the server is there; answers the status, and none when the connection has ended.
    pub async fn status(&mut self) -> Option<u16> {
        self.send("GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n").await;
        let (head, _) = self.answer().await;
        head.get(9..12).map(|status| status.parse().unwrap())
    }

    /// A connection over which events are pushed.
    async fn listening(world: &World) -> Self {
        let mut stream = Self::open(world).await;
        let credential = world.ann().credential.unwrap();
        let body = r#"{"query":"subscription { events { cursor } }"}"#;
        let length = body.len();
        let request = format!(
            "POST /graphql HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {credential}\r\naccept: text/event-stream\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.send(&request).await;
        assert!(stream.head().await.starts_with("http/1.1 200 "));
        stream
    }

    /// Asserts that something is pushed.
    async fn hears(&mut self) {
        timeout(PATIENCE, self.0.read_u8()).await.unwrap().unwrap();
    }

    /// Sends a byte every now and then until the server ends the connection; answers how many bytes came.
    async fn drips(&mut self) -> usize {
        let (mut reader, mut writer) = self.0.split();
        let dripping = async {
            while writer.write_all(b"x").await.is_ok() {
                sleep(Duration::from_millis(50)).await;
            }
            std::future::pending().await
        };
        let mut rest = vec![];
        let end = async { timeout(PATIENCE, reader.read_to_end(&mut rest)).await.expect("an end").unwrap_or(0) };
        tokio::select! {
            bytes = end => bytes,
            () = dripping => 0,
        }
    }

    /// Reads until the server ends the connection; answers how many bytes came.
    pub async fn until_the_end(&mut self) -> usize {
        let (mut bytes, mut all) = (vec![0; 64 * 1024], 0);
        loop {
            match timeout(PATIENCE, self.0.read(&mut bytes)).await.expect("an end") {
                Ok(0) | Err(_) => return all,
                Ok(read) => all += read,
            }
        }
    }
}

/// A connection that was answered once: at the bound, only once another has ended.
async fn admitted(world: &World) -> Raw {
    let admitted = async {
        loop {
            let mut raw = Raw::open(world).await;
            match raw.status().await {
                Some(200) => return raw,
                _ => sleep(Duration::from_millis(10)).await,
            }
        }
    };
    timeout(PATIENCE, admitted).await.expect("a place that becomes free")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_over_the_bound_hears_it_at_once_and_the_others_go_on() {
    let world = bounded(Bounds { connections_of_address_max: 4, ..Bounds::of(4) }).await;
    let mut held = vec![];
    for _ in 0..4 {
        held.push(admitted(&world).await);
    }
    for _ in 0..100 {
        let mut refused = Raw::open(&world).await;
        let (head, body) = refused.answer().await;
        assert!(head.starts_with("http/1.1 503 ") && head.contains("retry-after: 1\r\n"), "{head}");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["errors"][0]["extensions"]["code"], "UNAVAILABLE");
        assert_eq!(refused.until_the_end().await, 0);
    }
    for raw in &mut held {
        assert_eq!(raw.status().await, Some(200));
    }
    held.pop();
    let _in_its_place = admitted(&world).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_keeps_its_place_until_it_is_closed() {
    let mut world = bounded(Bounds { connections_of_address_max: 2, ..Bounds::of(2) }).await;
    let socket = world.ann().subscribe("subscription { events { cursor } }", json!({})).await;
    let _held = admitted(&world).await;
    for _ in 0..20 {
        assert!(Raw::open(&world).await.head().await.starts_with("http/1.1 503 "));
    }
    drop(socket);
    let _in_its_place = admitted(&world).await;
    assert!(Raw::open(&world).await.head().await.starts_with("http/1.1 503 "));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_does_not_take_every_place() {
    // Half of them.
    let world = bounded(Bounds::of(4)).await;
    let _held = (admitted(&world).await, admitted(&world).await);
    assert!(Raw::open(&world).await.head().await.starts_with("http/1.1 503 "));
    assert_eq!(Raw::from(&world, "127.0.0.2:0").await.status().await, Some(200));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_takes_as_many_places_as_there_are() {
    let mut world = bounded(Bounds { connections_of_address_max: 1, ..Bounds::of(3) }).await;
    world.trusted_proxies = vec!["127.0.0.0/30".parse().unwrap()];
    world.restart().await;
    let _held = (admitted(&world).await, admitted(&world).await, admitted(&world).await);
    assert!(Raw::open(&world).await.head().await.starts_with("http/1.1 503 "), "there are three");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_head_is_not_waited_for() {
    let world = bounded(Bounds { head: Duration::from_secs(2), keep_alive: LONG, ..Bounds::default() }).await;
    let (mut answered, mut stream) = (admitted(&world).await, Raw::listening(&world).await);
    let (mut silent, mut half) = (Raw::open(&world).await, Raw::open(&world).await);
    half.send("GET /healthz HTTP/1.1\r\nhost: te").await;
    // A second request of a connection has no more time than the first.
    let mut second = admitted(&world).await;
    second.send("GET /heal").await;
    let mut slow = Raw::open(&world).await;
    slow.send("GET /healthz HTTP/1.1\r\nhost: te").await;
    assert_eq!(slow.drips().await, 0, "a byte buys no time");
    assert_eq!((silent.until_the_end().await, half.until_the_end().await, second.until_the_end().await), (0, 0, 0));
    assert_eq!(answered.status().await, Some(200), "an idle connection is waited for longer than a head");
    // Nor has whoever is being answered to send anything in that time.
    let template = world.template("GOVERNED_PROJECT").await;
    world.ann().create_project(&template, "Heard").await.done();
    stream.hears().await;
    drop(stream);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_let_go_and_a_busy_one_is_not() {
    let world = bounded(Bounds { head: LONG, keep_alive: SHORT, ..Bounds::default() }).await;
    let mut events = world.ann().subscribe("subscription { events { cursor node { kind } } }", json!({})).await;
    let mut stream = Raw::listening(&world).await;
    for _ in 0..3 {
        assert_eq!(admitted(&world).await.until_the_end().await, 0);
    }
    // Each of those was idle for the whole time that the server grants; these two were silent for three of them.
    let template = world.template("GOVERNED_PROJECT").await;
    world.ann().create_project(&template, "Heard").await.done();
    assert!(events.next(PATIENCE).await.is_some());
    stream.hears().await;
    drop((events, stream));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_is_let_go() {
    let bounds = Bounds { write: SHORT, keep_alive: LONG, connections_of_address_max: 1, ..Bounds::of(1) };
    let world = bounded(bounds).await;
    // Some twenty megabytes, more than the system holds between the two.
    let mut paused = admitted(&world).await;
    paused.send(&"GET /playground/graphiql-4.1.2.js HTTP/1.1\r\nhost: test\r\n\r\n".repeat(60)).await;
    // There is one place, and it becomes free.
    let _in_its_place = admitted(&world).await;
    drop(paused);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_has_its_limit() {
    let world = World::new().await;
    let mut large = Raw::open(&world).await;
    large.send(&format!("GET /healthz HTTP/1.1\r\nhost: test\r\nx: {}\r\n\r\n", "x".repeat(20_000))).await;
    assert!(large.head().await.starts_with("http/1.1 431 "));
    let mut fits = Raw::open(&world).await;
    fits.send(&format!("GET /healthz HTTP/1.1\r\nhost: test\r\nx: {}\r\n\r\n", "x".repeat(12_000))).await;
    assert!(fits.head().await.starts_with("http/1.1 200 "));
    world.end().await;
}
