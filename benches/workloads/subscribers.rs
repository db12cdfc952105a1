//! Subscribers: what an idle one weighs, what a delivery costs, how long a mutation is answered while thousands listen,
//! and what readers cost that do not read.
//! Never opens more sockets than the descriptors that this process may have.

use crate::{
    data::{self, World},
    load,
    machine::Fault,
    process::{self, Server},
    workload,
};
use clap::Args;
use serde_json::json;
use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

/// How many, and how often something happens.
#[derive(Args)]
pub(crate) struct Subscribers {
    /// How many listen.
    #[arg(long, default_value_t = 5_000)]
    count: usize,
    /// How many mutations are measured in each round.
    #[arg(long, default_value_t = 30)]
    mutations: usize,
    /// How many listen and do not read.
    #[arg(long, default_value_t = 50)]
    stalled: usize,
}

/// What most of them listen to: recorded facts.
const FACTS: &str =
    "subscription($after: EventCursor) { events(after: $after) { cursor node { number kind at name } } }";
/// What each may see otherwise.
const OWN: &str = "subscription { events { cursor node { kind at item { id name followed } actor { name } } } }";
/// The first so many make the caches and the allocator warm.
const WARMING: usize = 500;
/// How many connect at a time.
const AT_ONCE: usize = 50;

/// A socket of a client, as little of it as a measurement needs.
struct Socket {
    stream: TcpStream,
    buffer: Vec<u8>,
}

fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
    let mut frame = vec![0x80 | opcode];
    match length {
        0..=125 => frame.push(0x80 | length.to_be_bytes()[1]),
        _ => frame.extend([0x80 | 126, length.to_be_bytes()[0], length.to_be_bytes()[1]]),
    }
    // A mask of zeros changes nothing.
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

impl Socket {
    async fn open(address: SocketAddr, token: &str, document: &str, small: bool) -> Result<Self, Fault> {
        let socket = TcpSocket::new_v4()?;
        if small {
            socket.set_recv_buffer_size(4_096)?;
        }
        let mut stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        let upgrade = "GET /graphql HTTP/1.1\r\nhost: countersign\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                       sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                       sec-websocket-protocol: graphql-transport-ws\r\n\r\n";
        stream.write_all(upgrade.as_bytes()).await?;
        let mut socket = Self { stream, buffer: vec![] };
        while !socket.buffer.ends_with(b"\r\n\r\n") {
            socket.fill().await?;
        }
        socket.buffer.clear();
        let init = json!({ "type": "connection_init", "payload": { "authorization": format!("Bearer {token}") } });
        socket.stream.write_all(&frame(1, init.to_string().as_bytes())).await?;
        socket.hears("connection_ack").await?;
        let payload = json!({ "query": document });
        let subscribe =
            json!({ "type": "subscribe", "id": "3f2c6a54-7c0b-4a53-8f27-0e0b6f4a6a11", "payload": payload });
        socket.stream.write_all(&frame(1, subscribe.to_string().as_bytes())).await?;
        // A ping that is answered says that the subscription was read.
        socket.stream.write_all(&frame(1, br#"{"type":"ping"}"#)).await?;
        socket.hears("pong").await?;
        Ok(socket)
    }

    async fn fill(&mut self) -> Result<(), Fault> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err("the server closed a socket".into());
        }
        Ok(())
    }

    async fn hears(&mut self, what: &str) -> Result<(), Fault> {
        loop {
            let (opcode, payload) = self.next().await?;
            if opcode == 1 && String::from_utf8_lossy(&payload).contains(what) {
                return Ok(());
            }
            if opcode == 8 {
                return Err(format!("closed: {}", String::from_utf8_lossy(&payload)).into());
            }
        }
    }

    async fn next(&mut self) -> Result<(u8, Vec<u8>), Fault> {
        loop {
            let head = match self.buffer.get(..4) {
                Some([first, 126, high, low]) => Some((*first, 4, usize::from(u16::from_be_bytes([*high, *low])))),
                Some([first, length, ..]) if *length < 126 => Some((*first, 2, usize::from(*length))),
                _ => match self.buffer.get(..2) {
                    Some([first, length]) if *length < 2 => Some((*first, 2, usize::from(*length))),
                    _ => None,
                },
            };
            if let Some((first, head, length)) = head
                && self.buffer.len() >= head + length
            {
                let payload = self.buffer.get(head..head + length).unwrap_or_default().to_vec();
                self.buffer.drain(..head + length);
                return Ok((first & 0x0f, payload));
            }
            self.fill().await?;
        }
    }

    /// Counts what comes, until it is dropped.
    async fn listen(mut self, heard: Arc<AtomicUsize>) -> Result<(), Fault> {
        loop {
            let (opcode, payload) = self.next().await?;
            match opcode {
                // Checkpoints are no events.
                1 if payload.windows(11).any(|part| part == b"\"node\":null") => {}
                1 => {
                    heard.fetch_add(1, Ordering::Relaxed);
                }
                9 => self.stream.write_all(&frame(10, &[])).await?,
                _ => return Err("a socket ended".into()),
            }
        }
    }
}

/// Those who listen.
struct Crowd {
    listening: JoinSet<Result<(), Fault>>,
    heard: Arc<AtomicUsize>,
}

impl Crowd {
    async fn join(
        &mut self,
        address: SocketAddr,
        tokens: &[String],
        document: &str,
        count: usize,
    ) -> Result<(), Fault> {
        let mut joined = 0;
        while joined < count {
            let some = AT_ONCE.min(count - joined);
            let opening = (0..some).filter_map(|n| {
                let token = tokens.get((joined + n) % tokens.len().max(1))?;
                Some(Socket::open(address, token, document, false))
            });
            for socket in futures_util::future::try_join_all(opening).await? {
                self.listening.spawn(socket.listen(Arc::clone(&self.heard)));
            }
            joined += some;
        }
        Ok(())
    }

    /// Waits until nothing has come for a while.
    async fn quiet(&self) -> usize {
        loop {
            let before = self.heard.load(Ordering::Relaxed);
            sleep(Duration::from_millis(200)).await;
            if self.heard.load(Ordering::Relaxed) == before {
                return before;
            }
        }
    }
}

/// What some mutations came to, each after everybody had heard of the one before.
struct Round {
    /// The time to each answer, in microseconds, sorted.
    microseconds: Vec<u64>,
    /// The server's processor time, in seconds.
    processor: f64,
    delivered: usize,
    /// From the answer until the last subscriber had heard of it, in the median, in milliseconds.
    all_heard: f64,
}

impl Round {
    fn median(&self) -> f64 {
        self.microseconds.get(self.microseconds.len() / 2).copied().unwrap_or_default() as f64
    }
}

async fn mutate(
    server: &Server,
    crowd: &Crowd,
    requests: &mut impl Iterator<Item = Vec<u8>>,
    count: usize,
) -> Result<Round, Fault> {
    let (mut stream, mut buffer) = (TcpStream::connect(server.addresses.product).await?, vec![]);
    stream.set_nodelay(true)?;
    let (mut microseconds, mut all_heard) = (vec![], vec![]);
    let (processor, delivered) = (server.processor_seconds()?, crowd.quiet().await);
    while microseconds.len() < count {
        let request = requests.next().ok_or("every sign-off of the data set was asked; build a new one")?;
        let begun = Instant::now();
        stream.write_all(&request).await?;
        let body = load::answer(&mut stream, &mut buffer).await?;
        let took = begun.elapsed();
        if !load::is_done(body) {
            continue;
        }
        microseconds.push(u64::try_from(took.as_micros())?);
        let answered = Instant::now();
        let (mut last, mut before) = (answered, crowd.heard.load(Ordering::Relaxed));
        while last.elapsed() < Duration::from_millis(50) {
            sleep(Duration::from_millis(1)).await;
            let now = crowd.heard.load(Ordering::Relaxed);
            if now != before {
                (last, before) = (Instant::now(), now);
            }
        }
        all_heard.push(last.duration_since(answered).as_secs_f64() * 1e3);
    }
    let delivered = crowd.quiet().await - delivered;
    let processor = server.processor_seconds()? - processor;
    microseconds.sort_unstable();
    all_heard.sort_by(f64::total_cmp);
    let all_heard = all_heard.get(all_heard.len() / 2).copied().unwrap_or_default();
    Ok(Round { microseconds, processor, delivered, all_heard })
}

/// Measures over a data set.
pub(crate) async fn run(directory: &Path, asked: &Subscribers) -> Result<(), Fault> {
    let world = data::read(directory)?;
    let tenant = world.tenants.into_iter().next().ok_or("the world is empty")?;
    let tokens = tenant.builders.clone();
    let one = World { tenants: vec![tenant] };
    let mut requests = workload::mutations(&one, "/graphql", usize::MAX).into_iter();
    println!("load averages before: {}", process::load_averages());
    let server = Server::start(directory)?;
    let address = server.addresses.product;
    for (what, document) in [("facts", FACTS), ("own", OWN)] {
        let mut crowd = Crowd { listening: JoinSet::new(), heard: Arc::default() };
        let alone = mutate(&server, &crowd, &mut requests, asked.mutations).await?;
        crowd.join(address, &tokens, document, WARMING).await?;
        mutate(&server, &crowd, &mut requests, 2).await?;
        sleep(Duration::from_secs(1)).await;
        let before = server.resident_bytes()?;
        crowd.join(address, &tokens, document, asked.count - WARMING).await?;
        sleep(Duration::from_secs(1)).await;
        let idle = server.resident_bytes()?;
        let each = (idle.saturating_sub(before)) as f64 / (asked.count - WARMING) as f64;
        println!("{what}: {each:.0} bytes resident for each idle subscriber ({} of them)", asked.count);
        let (processor, begun) = (server.processor_seconds()?, Instant::now());
        sleep(Duration::from_secs(5)).await;
        let share = (server.processor_seconds()? - processor) / begun.elapsed().as_secs_f64();
        println!("{what}: {:.2} % of a core while nothing happens", share * 100.0);
        let among = mutate(&server, &crowd, &mut requests, asked.mutations).await?;
        let delivery = (among.processor - alone.processor) * 1e6 / among.delivered.max(1) as f64;
        println!(
            "{what}: {delivery:.1} us of processor time a delivery ({} of {} mutations), all heard after {:.0} ms",
            among.delivered, asked.mutations, among.all_heard
        );
        crowd.listening.shutdown().await;
        sleep(Duration::from_secs(1)).await;
        let again = mutate(&server, &crowd, &mut requests, asked.mutations).await?;
        println!(
            "{what}: a mutation is answered in {:.0} us among {} subscribers, in {:.0} and {:.0} without, before and after: {:.2} x",
            among.median(),
            asked.count,
            alone.median(),
            again.median(),
            among.median() / f64::midpoint(alone.median(), again.median()),
        );
    }
    stalled(&server, &tokens, &mut requests, asked).await?;
    println!("load averages after: {}", process::load_averages());
    server.stop()
}

/// Readers that do not read, each of long messages, beside one that does.
async fn stalled(
    server: &Server,
    tokens: &[String],
    requests: &mut impl Iterator<Item = Vec<u8>>,
    asked: &Subscribers,
) -> Result<(), Fault> {
    let many: String = (0..300).map(|n| format!("a{n}: name ")).collect();
    let document = format!("subscription {{ events {{ cursor node {{ {many} }} }} }}");
    let token = tokens.first().ok_or("nobody")?;
    let address = server.addresses.product;
    let mut crowd = Crowd { listening: JoinSet::new(), heard: Arc::default() };
    crowd.join(address, tokens, FACTS, 1).await?;
    let alone = mutate(server, &crowd, requests, asked.mutations).await?;
    let mut sockets = vec![];
    for _ in 0..asked.stalled {
        sockets.push(Socket::open(address, token, &document, true).await?);
    }
    let before = server.resident_bytes()?;
    let beside = timeout(Duration::from_secs(25), mutate(server, &crowd, requests, asked.mutations)).await??;
    let after = server.resident_bytes()?;
    println!(
        "stalled: {:.0} bytes resident for each of {} readers that do not read; a mutation is answered in {:.0} us beside them, {:.0} without: {:.2} x",
        after.saturating_sub(before) as f64 / asked.stalled.max(1) as f64,
        asked.stalled,
        beside.median(),
        alone.median(),
        beside.median() / alone.median(),
    );
    drop(sockets);
    Ok(())
}
