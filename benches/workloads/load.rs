//! The load: as many kept-alive connections as asked, each sending the next request when the last was answered.
//! Never parses an answer further than it must to know that nothing failed.

use crate::machine::{Chance, Fault};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

/// What is asked.
#[derive(Clone)]
pub(crate) enum Requests {
    /// Any of these, at random, again and again.
    Again(Arc<Vec<Vec<u8>>>),
    /// Each of these once; the next one is counted by whoever shares the counter.
    Once(Arc<Vec<Vec<u8>>>, Arc<AtomicUsize>),
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// How many requests were answered as they should be.
    pub(crate) answered: usize,
    /// How long that took, in seconds.
    pub(crate) seconds: f64,
    /// The time to each answer, in microseconds, sorted.
    pub(crate) microseconds: Vec<u64>,
}

impl Outcome {
    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        self.answered as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// The time within which so many per mille were answered, in microseconds.
    pub(crate) fn within(&self, per_mille: usize) -> u64 {
        let last = self.microseconds.len().saturating_sub(1);
        self.microseconds.get(last * per_mille / 1_000).copied().unwrap_or_default()
    }
}

/// One HTTP request as bytes.
pub(crate) fn request(path: &str, credential: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: countersign\r\nauthorization: Bearer {credential}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Asks for a while over some connections.
pub(crate) async fn run(
    address: SocketAddr,
    requests: &Requests,
    connections: usize,
    duration: Duration,
) -> Result<Outcome, Fault> {
    let begun = Instant::now();
    let tasks: Vec<_> =
        (0..connections).map(|n| tokio::spawn(connection(address, requests.clone(), n, begun + duration))).collect();
    let mut outcome = Outcome::default();
    for task in tasks {
        outcome.microseconds.extend(task.await??);
    }
    outcome.seconds = begun.elapsed().as_secs_f64();
    outcome.answered = outcome.microseconds.len();
    outcome.microseconds.sort_unstable();
    Ok(outcome)
}

async fn connection(address: SocketAddr, requests: Requests, n: usize, end: Instant) -> Result<Vec<u64>, Fault> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut chance = Chance::new(u64::try_from(n)? + 1);
    let (mut taken, mut buffer) = (vec![], Vec::with_capacity(64 * 1024));
    loop {
        let begun = Instant::now();
        let next = match &requests {
            Requests::Again(all) => chance.one_of(all),
            Requests::Once(all, counter) => all.get(counter.fetch_add(1, Ordering::Relaxed)),
        };
        let Some(next) = next.filter(|_| begun < end) else { return Ok(taken) };
        stream.write_all(next).await?;
        let body = answer(&mut stream, &mut buffer).await?;
        if !is_done(body) {
            return Err(format!("answered {}", String::from_utf8_lossy(&buffer)).into());
        }
        taken.push(u64::try_from(begun.elapsed().as_micros())?);
    }
}

/// Asks once, and answers the body.
pub(crate) async fn ask(address: SocketAddr, request: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request).await?;
    let mut buffer = vec![];
    Ok(answer(&mut stream, &mut buffer).await?.to_vec())
}

/// Reads one whole answer; its status must be 200.
pub(crate) async fn answer<'b>(stream: &mut TcpStream, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], Fault> {
    buffer.clear();
    let (mut head, mut length) = (0, usize::MAX);
    while head == 0 || buffer.len() < head + length {
        if stream.read_buf(buffer).await? == 0 {
            return Err("the server closed the connection".into());
        }
        if head == 0
            && let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n")
        {
            head = end + 4;
            let lines = String::from_utf8_lossy(buffer.get(..end).unwrap_or_default()).to_ascii_lowercase();
            if !lines.starts_with("http/1.1 200") {
                return Err(format!("answered {}", String::from_utf8_lossy(buffer)).into());
            }
            let announced = lines.split("\r\n").find_map(|line| line.strip_prefix("content-length:"));
            length = announced.ok_or("an answer without its length")?.trim().parse()?;
        }
    }
    Ok(buffer.get(head..).unwrap_or_default())
}

/// Whether an answer holds data and no error: errors would stand behind the data, refusals within.
pub(crate) fn is_done(body: &[u8]) -> bool {
    let refused = b"\"userErrors\":[{";
    let begins = body.get(..200).unwrap_or(body);
    body.starts_with(b"{\"data\":{")
        && body.ends_with(b"}}")
        && !begins.windows(refused.len()).any(|window| window == refused)
}
