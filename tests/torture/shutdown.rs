//! SIGTERM under load: what is in flight is answered, sockets are closed with a word, and the process ends by itself.
//! What it acknowledged is there in the next start.

use super::{
    Came, Plan,
    client::{Caller, Socket, Subscription},
    ledger::Ledger,
    load::{self, Load},
    server::Server,
};
use futures_util::{StreamExt, future::join_all};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_tungstenite::tungstenite::Message;

const ROUNDS: usize = 20;

/// How many sockets are open.
const SUBSCRIBERS: usize = 8;

/// How many large reports are in flight.
const IN_FLIGHT: usize = 4;

/// How late the end of one of them comes.
const LATE: Duration = Duration::from_millis(500);

/// How many rows each has.
const ROWS: usize = 300;

/// How long stopping may take.
const STOP_MAX: Duration = Duration::from_secs(10);

pub async fn shutdown(plan: Plan) -> Came {
    let (rounds, mut random) = (plan.rounds_or(ROUNDS), plan.random());
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let (mut server, people) = Server::demo(&data).await;
    load::govern_project(&server, &people).await.unwrap();
    let node = server.caller(&people, "auto-1-sync");
    let bulk = json!([{ "kind": "PROJECT", "key": "BULK", "name": "Bulk" }]);
    node.ask(SYNC, json!({ "input": { "objects": bulk } })).await.done();
    let (ledger, mut stops, mut done) = (Ledger::default(), vec![], 0);
    for round in 0..rounds {
        let when = format!("seed {}, round {round}", plan.seed);
        let load = Load {
            clients: 8,
            name: format!("r{round}"),
            bundles: usize::MAX,
            batches: 3,
            text_max: 2_000,
            seed: random.u64(..),
        };
        let running = Arc::new(server);
        let auditor = running.caller(&people, "aud");
        let mut sockets = vec![];
        for _ in 0..SUBSCRIBERS {
            sockets.push(auditor.subscribe("subscription { events { cursor node { kind } } }", json!({})).await);
        }
        let clients = load::start(&running, &people, &ledger, &load);
        sleep(Duration::from_millis(random.u64(20..200))).await;
        let mut in_flight = vec![];
        for n in 0..IN_FLIGHT {
            in_flight.push(InFlight::begin(&running.caller(&people, "auto-1-sync"), round, n).await);
        }
        let asked = Instant::now();
        running.signal(Signal::TERM);
        for (status, answer) in join_all(in_flight.into_iter().map(InFlight::answered)).await {
            // The store closes only after the last of them: none is told to come again.
            let kept = answer["data"]["syncSourceObjects"]["cursor"].is_string();
            assert!(status == 200 && kept, "{when}: a command in flight came to {status} {answer}");
            done += 1;
        }
        for Subscription { socket, .. } in &mut sockets {
            assert_eq!(close_code(socket).await, Some(1012), "{when}: a socket ended without a word");
        }
        clients.met().await;
        let ended = Arc::into_inner(running).unwrap().ended().await;
        stops.push(asked.elapsed());
        assert_eq!(ended.code, Some(0), "{when}: {}", ended.said);
        assert!(asked.elapsed() < STOP_MAX, "{when}: it stopped only after {:?}", asked.elapsed());
        server = Server::serve(&data).await;
        ledger.check(&server, &people, &when).await;
    }
    server.stop().await;
    assert_eq!(countersign::store::check(&data).unwrap().problems, Vec::<String>::new());
    stops.sort_unstable();
    println!(
        "shutdown: {rounds} rounds, {done} large reports in flight done, {} sockets closed with 1012, {} commands acknowledged, 0 lost; stopped after {:?} (median), {:?} at most",
        rounds * SUBSCRIBERS,
        ledger.acknowledged(),
        stops[stops.len() / 2],
        stops[stops.len() - 1],
    );
    Came::Held
}

/// The code with which the server closes a socket, once the socket has ended; none when that does not come in time.
async fn close_code(socket: &mut Socket) -> Option<u16> {
    let mut code = None;
    while let Ok(message) = timeout(STOP_MAX, socket.next()).await.ok()?.transpose() {
        match message {
            None => return code,
            Some(Message::Close(frame)) => code = frame.map(|frame| frame.code.into()),
            Some(_) => {}
        }
    }
    code
}

/// A report that the server has begun to read: whatever it is told meanwhile, it has to answer.
struct InFlight {
    stream: TcpStream,
    /// What of the body is sent only after the server was told to stop.
    rest: Vec<u8>,
}

impl InFlight {
    /// Sends the head, waits for the word that the body is awaited, and sends that.
    async fn begin(node: &Caller, round: usize, n: usize) -> Self {
        let object = |row: usize| {
            json!({ "kind": "BUNDLE", "key": format!("b{n}-{row}"), "name": "b", "parentKey": "BULK",
                "contentDigest": load::digest(round as u64) })
        };
        let objects: Value = (0..ROWS).map(object).collect();
        let body = json!({ "query": SYNC, "variables": { "input": { "objects": objects } } }).to_string();
        let mut stream = TcpStream::connect(&node.address).await.unwrap();
        let head = format!(
            "POST /graphql HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n",
            node.address,
            node.credential.as_ref().unwrap(),
            body.len(),
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut word = [0; 25];
        stream.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"HTTP/1.1 100 Continue\r\n\r\n");
        // Of one report the end comes late: a server that does not wait for it has stopped by then.
        let (front, rest) = body.as_bytes().split_at(if n == 0 { body.len() - 1 } else { body.len() });
        stream.write_all(front).await.unwrap();
        Self { stream, rest: rest.to_vec() }
    }

    /// The status and body of the answer.
    async fn answered(mut self) -> (u16, Value) {
        if !self.rest.is_empty() {
            sleep(LATE).await;
            self.stream.write_all(&self.rest).await.unwrap();
        }
        let mut answer = vec![];
        self.stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) =
            answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("a command in flight got {answer:?}"));
        (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap())
    }
}

const SYNC: &str = "mutation($input: SyncSourceObjectsInput!) { syncSourceObjects(input: $input) {
    userErrors { code } cursor } }";
