//! Sockets byte by byte: however what a client says is cut into frames and packets, it hears the same.
//! Never waits for a moment to cut at: how the bytes are cut comes from a seed, and what is heard from the messages.

use super::world::World;
use countersign::http::{Bounds, Load};
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::{pin::pin, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Join, ReadHalf, Sink, WriteHalf, join, sink, split},
    net::{TcpSocket, TcpStream},
    sync::oneshot,
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

const PATIENCE: Duration = Duration::from_secs(60);
const ROUNDS: u64 = 40;
const READ: &str = "{ viewer { user { name } } }";
/// More than the kernel keeps.
const PINGS: std::ops::Range<usize> = 0..20_000;

/// What a frame holds (RFC 6455, section 5.2).
#[derive(Clone, Copy)]
enum Holds {
    Continuation = 0,
    Text = 1,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// A frame of a client; the last one of its message, or not.
fn frame(holds: Holds, last: bool, said: &[u8]) -> Vec<u8> {
    let mask = [7_u8, 77, 177, 27];
    let mut bytes = vec![holds as u8 | if last { 0x80 } else { 0 }];
    match said.len() {
        length @ 0..=125 => bytes.push(0x80 | length as u8),
        length @ 126..=65_535 => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(said.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

pub fn text(message: &Value) -> Vec<u8> {
    frame(Holds::Text, true, message.to_string().as_bytes())
}

/// A message in frames of so many bytes, and something of the protocol's own between any two.
fn in_frames_of(bytes: usize, message: &Value) -> Vec<u8> {
    let said = message.to_string();
    let pieces: Vec<&[u8]> = said.as_bytes().chunks(bytes).collect();
    let mut frames = vec![];
    for (n, piece) in pieces.iter().enumerate() {
        let holds = if n == 0 { Holds::Text } else { Holds::Continuation };
        frames.extend(frame(holds, n + 1 == pieces.len(), piece));
        frames.extend(frame(Holds::Pong, true, b"unasked"));
    }
    frames
}

/// A client that writes bytes and reads messages.
pub struct Client<S> {
    pub writes: WriteHalf<S>,
    reads: WebSocketStream<Join<ReadHalf<S>, Sink>>,
}

const HANDSHAKE: &str = "GET /graphql HTTP/1.1\r\nhost: test\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    sec-websocket-protocol: something-else, graphql-transport-ws\r\n\r\n";

impl Client<TcpStream> {
    async fn open(world: &World, early: &[u8]) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // Small, so that who is not read notices soon.
        socket.set_send_buffer_size(16 * 1024).unwrap();
        let stream = socket.connect(world.stranger().address.parse().unwrap()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream, early).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Opens a socket with a request and what is sent with it, before the answer is there.
    pub async fn over(stream: S, early: &[u8]) -> Self {
        let (mut reads, mut writes) = split(stream);
        writes.write_all(&[HANDSHAKE.as_bytes(), early].concat()).await.unwrap();
        let mut head = vec![];
        while !head.ends_with(b"\r\n\r\n") {
            head.push(timeout(PATIENCE, reads.read_u8()).await.unwrap().unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.starts_with("http/1.1 101"), "{head}");
        // The example of RFC 6455, section 1.3.
        for line in
            ["sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=", "sec-websocket-protocol: graphql-transport-ws"]
        {
            assert!(head.lines().any(|said| said == line), "{head}");
        }
        Self { writes, reads: WebSocketStream::from_raw_socket(join(reads, sink()), Role::Client, None).await }
    }

    /// The next message; a close frame and the end stand as such. Pings are nothing.
    pub async fn next(&mut self) -> Option<String> {
        let message = timeout(PATIENCE, self.reads.next()).await.expect("something is said");
        Some(match message {
            Some(Ok(Message::Text(said))) => said.to_string(),
            Some(Ok(Message::Pong(said))) => format!("pong {}", String::from_utf8_lossy(&said)),
            Some(Ok(Message::Close(close))) => format!("close {:?}", close.map(|close| u16::from(close.code))),
            Some(Ok(Message::Ping(_))) => return None,
            Some(Ok(message @ (Message::Binary(_) | Message::Frame(_)))) => panic!("{message:?}"),
            Some(Err(_)) | None => "end".to_owned(),
        })
    }

    /// The next messages, until an operation is complete or the socket has ended.
    pub async fn heard(&mut self) -> Vec<String> {
        let mut heard = vec![];
        loop {
            heard.extend(self.next().await);
            if heard.last().is_some_and(|said| said == "end" || said.contains(r#""type":"complete""#)) {
                return heard;
            }
        }
    }
}

pub fn init(world: &World) -> Value {
    let authorization = format!("Bearer {}", world.ann().credential.unwrap());
    json!({ "type": "connection_init", "payload": { "authorization": authorization } })
}

pub fn asks(id: &str, query: &str) -> Value {
    json!({ "type": "subscribe", "id": id, "payload": { "query": query } })
}

#[tokio::test(flavor = "multi_thread")]
async fn however_what_is_said_is_cut_the_same_is_heard() {
    let world = World::new().await;
    // Larger than what is read at once, and than what a frame's short length says.
    let comment = "x".repeat(70_000);
    let query = asks("1", &format!("{{ viewer {{ user {{ name }} }} }} # {comment}"));
    let expected = [
        r#"{"type":"connection_ack"}"#,
        "pong between",
        r#"{"type":"next","id":"1","payload":{"data":{"viewer":{"user":{"name":"Ann"#,
        r#"{"type":"complete","id":"1"}"#,
    ];
    for seed in 0..ROUNDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let query = match seed % 4 {
            0 => text(&query),
            1 => in_frames_of(125, &query),
            2 => in_frames_of(65_600, &query),
            _ => in_frames_of(random.usize(1_000..80_000), &query),
        };
        let all = [text(&init(&world)), frame(Holds::Ping, true, b"between"), query].concat();
        let (early, mut rest) = all.split_at(if seed % 2 == 0 { 0 } else { random.usize(..all.len()) });
        let mut client = Client::open(&world, early).await;
        while !rest.is_empty() {
            // A few bytes at first, where messages are short, and then more.
            let most = if rest.len() > 69_000 { 30 } else { 20_000 };
            let (now, later) = rest.split_at(random.usize(1..=most).min(rest.len()));
            client.writes.write_all(now).await.unwrap();
            if random.u8(..8) == 0 {
                sleep(Duration::from_millis(1)).await;
            }
            rest = later;
        }
        let heard = client.heard().await;
        assert_eq!(heard.len(), expected.len(), "seed {seed}: {heard:?}");
        for (heard, expected) in heard.iter().zip(expected) {
            assert!(heard.starts_with(expected), "seed {seed}: {heard} is not {expected}");
        }
        // The socket goes on as if it had been silent.
        client.writes.write_all(&text(&asks("2", "{ __typename }"))).await.unwrap();
        assert_eq!(client.heard().await.len(), 2, "seed {seed}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_that_he_leaves_is_answered_and_who_breaks_the_rules_is_not() {
    let world = World::new().await;
    let ack = r#"{"type":"connection_ack"}"#;
    let mut without_mask = text(&init(&world));
    without_mask[1] &= 0x7f;
    let mut reserved = frame(Holds::Text, true, b"{}");
    reserved[0] |= 0x40;
    let endless = frame(Holds::Text, true, &vec![b'x'; 600_000]);
    let pieces = (0..9).map(|n| frame(if n == 0 { Holds::Text } else { Holds::Continuation }, false, &[b'x'; 30_000]));
    let growing: Vec<u8> = pieces.flatten().collect();
    let long_ping = frame(Holds::Ping, true, &[b'x'; 126]);
    let introduced = |more: &[u8]| [&text(&init(&world)), more].concat();
    let close = |code: u16| frame(Holds::Close, true, &code.to_be_bytes());
    for (what, said, expected) in [
        ("he leaves", introduced(&close(1000)), vec![ack, "close Some(1000)", "end"]),
        ("he leaves at once", close(1001), vec!["close Some(1001)", "end"]),
        ("he leaves without a word", introduced(&frame(Holds::Close, true, b"")), vec![ack, "close None", "end"]),
        ("a frame without a mask", without_mask, vec!["end"]),
        ("a reserved bit", introduced(&reserved), vec![ack, "end"]),
        ("a long ping", introduced(&long_ping), vec![ack, "end"]),
        ("a continuation of nothing", introduced(&frame(Holds::Continuation, true, b"{}")), vec![ack, "end"]),
        (
            "a frame far too large, of which only the head is sent",
            introduced(&endless[..20]),
            vec![ack, "close Some(1009)", "end"],
        ),
        ("a message that grows too large", introduced(&growing), vec![ack, "close Some(1009)", "end"]),
        ("no UTF-8", introduced(&frame(Holds::Text, true, b"\xff\xfe")), vec![ack, "end"]),
    ] {
        let mut client = Client::open(&world, &said).await;
        assert_eq!(client.heard().await, expected, "{what}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_is_not_read_either_and_hears_every_answer_once_he_does() {
    let world = World::new().await;
    let Client { mut writes, mut reads } = Client::open(&world, &text(&init(&world))).await;
    let ping = |n| frame(Holds::Ping, true, format!("{n:0100}").as_bytes());
    let asked = PINGS.map(ping).collect::<Vec<_>>().concat();
    let (read, may_read) = oneshot::channel();
    let asks = async {
        let mut writing = pin!(writes.write_all(&asked));
        // Not read, what it says fills all that the kernel keeps, on either side.
        let blocked = timeout(Duration::from_secs(1), &mut writing).await;
        assert!(blocked.is_err(), "everything fitted somewhere");
        read.send(()).unwrap();
        writing.await.unwrap();
    };
    let reads = async {
        may_read.await.unwrap();
        let mut pongs = vec![];
        while pongs.len() < PINGS.len() {
            match timeout(PATIENCE, reads.next()).await.expect("it is answered").unwrap().unwrap() {
                Message::Pong(said) => pongs.push(String::from_utf8(said.to_vec()).unwrap().parse::<usize>().unwrap()),
                Message::Text(said) if said.contains("connection_ack") => {}
                Message::Ping(_) => {}
                message @ (Message::Text(_) | Message::Binary(_) | Message::Close(_) | Message::Frame(_)) => {
                    panic!("{message:?}")
                }
            }
        }
        pongs
    };
    let ((), pongs) = tokio::join!(asks, reads);
    assert!(pongs.iter().copied().eq(PINGS), "{pongs:?}");
    world.end().await;
}

/// All but the end of a message of so many bytes, in frames with something of the protocol's own between them.
fn unfinished(bytes: usize) -> Vec<u8> {
    let message = in_frames_of(10_000, &asks("1", &format!("{{ __typename }} # {}", "x".repeat(bytes))));
    message[..message.len() - 1_000].to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_come_whole_takes_no_more_memory_than_bodies_do() {
    let mut world = World::new().await;
    world.load = Load { bodies_bytes_max: 64 * 1_024, ..Load::default() };
    world.restart().await;
    let room = || async {
        let mut client = Client::open(&world, &text(&init(&world))).await;
        client.writes.write_all(&unfinished(60_000)).await.unwrap();
        client
    };
    let mut holding = vec![];
    let refused = loop {
        let mut client = room().await;
        assert_eq!(client.next().await.as_deref(), Some(r#"{"type":"connection_ack"}"#));
        match timeout(Duration::from_millis(500), client.next()).await {
            Ok(said) => break said,
            Err(_) => holding.push(client),
        }
        assert!(holding.len() < 3, "nobody is refused");
    };
    assert_eq!((refused.as_deref(), holding.len()), (Some("close Some(1013)"), 1));
    // What is small needs no room, and the room comes back with the end of the message, or of who sends it.
    let small = [text(&init(&world)), text(&asks("1", "{ __typename }"))].concat();
    assert_eq!(Client::open(&world, &small).await.heard().await.len(), 3);
    let mut idle = vec![];
    for finishes in [true, false] {
        let mut client = holding.pop().unwrap();
        if finishes {
            let message = in_frames_of(10_000, &asks("1", &format!("{{ __typename }} # {}", "x".repeat(60_000))));
            client.writes.write_all(&message[message.len() - 1_000..]).await.unwrap();
            assert_eq!(client.heard().await.len(), 2);
            idle.push(client);
        } else {
            drop(client);
        }
        let mut next = room().await;
        assert_eq!(next.next().await.as_deref(), Some(r#"{"type":"connection_ack"}"#));
        assert!(timeout(Duration::from_millis(500), next.next()).await.is_err(), "{finishes}");
        holding.push(next);
    }
    drop((holding, idle));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_a_message_is_not_waited_for_without_end() {
    let mut world = World::new().await;
    world.bounds = Bounds { message: Duration::from_secs(1), ..Bounds::default() };
    world.restart().await;
    let mut patient = Client::open(&world, &[text(&init(&world)), in_frames_of(20, &asks("1", READ))].concat()).await;
    assert_eq!(patient.heard().await.len(), 3);
    // What the protocol itself says is not the rest of a message, however much there is of it.
    patient.writes.write_all(&frame(Holds::Pong, true, b"unasked").repeat(200)).await.unwrap();
    let mut slow = Client::open(&world, &[text(&init(&world)), unfinished(20_000)].concat()).await;
    // Looked at as often as the client is asked whether it is there; in between it says that it is.
    let heard = slow.heard().await;
    assert_eq!(heard, [r#"{"type":"connection_ack"}"#, "close Some(1013)", "end"]);
    patient.writes.write_all(&text(&asks("2", READ))).await.unwrap();
    assert_eq!(patient.heard().await.len(), 2, "who has said everything is waited for");
    world.end().await;
}
