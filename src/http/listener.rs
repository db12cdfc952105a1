//! The connections: how many there may be, in all and from one address, and how long each may dawdle. What is over
//! the bound hears 503 and is closed, with bounded work; what fails on one connection costs that connection.
//! Never looks into a request: that is the router's.

mod patient;

use self::patient::{Frugal, Patience, Patient, Phase};
use super::{forwarded::Network, tls::Tls};
use crate::app::place;
use crate::limits::{
    ACCEPT_PAUSE_MILLISECONDS, CONNECTION_BUFFER_BYTES_MAX, CONNECTIONS_MAX, CONNECTIONS_OF_ADDRESS_DIVISOR,
    CONNECTIONS_TURNED_AWAY_MAX, HEAD_BYTES_MAX, HEAD_SECONDS_MAX, KEEP_ALIVE_SECONDS, REQUEST_SECONDS_MAX,
    TURNED_AWAY_SECONDS_MAX,
};
use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{Request, Response},
};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::{Service, service_fn},
    upgrade::Upgraded,
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, watch},
    time::{sleep, timeout},
};
use tokio_rustls::server::TlsStream;

/// How many connections there may be, and how long each is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// In all.
    pub connections_max: usize,
    /// From one address that is not a proxy's.
    pub connections_of_address_max: usize,
    /// For the head of a request, or a greeting (TLS).
    pub head: Duration,
    /// For another request.
    pub keep_alive: Duration,
    /// For the rest of a message over a socket.
    pub message: Duration,
    /// For a client that does not read its answer.
    pub write: Duration,
}

impl Bounds {
    /// The server's own, of so many connections at most.
    pub fn of(connections_max: usize) -> Self {
        Self {
            connections_max,
            connections_of_address_max: (connections_max / CONNECTIONS_OF_ADDRESS_DIVISOR).max(1),
            head: Duration::from_secs(HEAD_SECONDS_MAX),
            keep_alive: Duration::from_secs(KEEP_ALIVE_SECONDS),
            message: Duration::from_secs(REQUEST_SECONDS_MAX),
            write: Duration::from_secs(REQUEST_SECONDS_MAX),
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self::of(CONNECTIONS_MAX)
    }
}

/// Who has how many connections.
#[derive(Default)]
struct Places {
    all: usize,
    of_address: HashMap<IpAddr, usize>,
}

/// One connection's place, until it is dropped.
pub(super) struct Place {
    places: Arc<Mutex<Places>>,
    address: IpAddr,
}

impl Place {
    /// A place for this address; none when it, or everyone, has as many as may be. A proxy's callers are many.
    fn take(places: &Arc<Mutex<Places>>, address: IpAddr, door: &Door) -> Option<Self> {
        let (bounds, is_proxy) = (&door.bounds, door.proxies.iter().any(|network| network.holds(address)));
        let address = place(address);
        let mut taken = places.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= bounds.connections_max {
            return None;
        }
        let own = taken.of_address.get(&address).copied().unwrap_or(0);
        if own >= bounds.connections_of_address_max && !is_proxy {
            return None;
        }
        taken.all += 1;
        taken.of_address.insert(address, own + 1);
        Some(Self { places: Arc::clone(places), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        let left = taken.of_address.get(&self.address).map_or(0, |own| own.saturating_sub(1));
        if left == 0 {
            taken.of_address.remove(&self.address);
        } else {
            taken.of_address.insert(self.address, left);
        }
    }
}

/// What every connection is given.
pub(super) struct Door {
    pub(super) router: Router,
    pub(super) tls: Option<Tls>,
    pub(super) bounds: Bounds,
    /// Whose connections are those of many.
    pub(super) proxies: Arc<[Network]>,
    /// True once no more connections are taken, and those that are there end after their answer.
    pub(super) stopping: watch::Receiver<bool>,
    /// Held by each connection until it has ended, or is another protocol's.
    pub(super) open: mpsc::Sender<()>,
}

/// Takes connections until the server stops. An error of the system is waited out.
pub(super) async fn accept(listener: TcpListener, door: Door) {
    let (door, places) = (Arc::new(door), Arc::<Mutex<Places>>::default());
    let turning_away = Arc::new(Semaphore::new(CONNECTIONS_TURNED_AWAY_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(door.stopping.clone()) => return,
        };
        match accepted {
            Ok((stream, peer)) => match Place::take(&places, peer.ip(), &door) {
                Some(place) => drop(tokio::spawn(connection(Arc::clone(&door), stream, peer, place))),
                // A handshake only to say no would cost more than the request: over TLS the end must say it.
                None if door.tls.is_none() => {
                    if let Ok(permit) = Arc::clone(&turning_away).try_acquire_owned() {
                        tokio::spawn(async move {
                            turn_away(stream).await;
                            drop(permit);
                        });
                    }
                }
                None => {}
            },
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted");
                sleep(Duration::from_millis(ACCEPT_PAUSE_MILLISECONDS)).await;
            }
        }
    }
}

/// Resolves once the server stops.
async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error says that the sender is gone, which is also a stop.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// Whether an error of `accept` is that of the connection that would have been accepted, and the next may be fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

const BODY: &str = r#"{"errors":[{"message":"The server has as many connections as it may. Try again.","extensions":{"code":"UNAVAILABLE"}}]}"#;

/// Says that there is no room, whatever was asked, and closes.
async fn turn_away(mut stream: TcpStream) {
    let length = BODY.len();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         retry-after: 1\r\ncache-control: no-store\r\nconnection: close\r\n\r\n{BODY}"
    );
    let told = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // What was sent meanwhile is read, or its end would reach the client before the answer.
        let mut bytes = [0; 1024];
        while stream.read(&mut bytes).await? > 0 {}
        io::Result::Ok(())
    };
    // Whoever is gone or slow needs no more words.
    let _ = timeout(Duration::from_secs(TURNED_AWAY_SECONDS_MAX), told).await;
}

async fn connection(door: Arc<Door>, stream: TcpStream, peer: SocketAddr, place: Place) {
    let _open = door.open.clone();
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended as it began");
        return;
    }
    let Some(tls) = &door.tls else { return serve(&door, stream, peer, place).await };
    let greeted = tokio::select! {
        greeted = timeout(door.bounds.head, tls.accept(stream)) => greeted,
        () = stopped(door.stopping.clone()) => return,
    };
    match greeted {
        Ok(Ok(stream)) => serve(&door, stream, peer, place).await,
        Ok(Err(error)) => tracing::debug!(%error, "a connection is not one of TLS"),
        Err(_) => tracing::debug!("a connection did not greet in time"),
    }
}

/// Answers the requests of one connection, one after the other.
async fn serve<S>(door: &Door, stream: S, peer: SocketAddr, place: Place)
where
    S: AsyncRead + AsyncWrite + Frugal + Unpin + Send + 'static,
{
    let phase = Arc::<Phase>::default();
    let Bounds { head, keep_alive, write, .. } = door.bounds;
    let stream = Patient::new(stream, Patience { head, keep_alive, write }, Arc::clone(&phase), place);
    let router = TowerToHyperService::new(door.router.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let (busy, answered) = (phase.busy(), router.call(request));
        async move { answered.await.map(|response: Response<Body>| busy.until_sent(response)) }
    });
    let served = http1::Builder::new()
        .max_buf_size(CONNECTION_BUFFER_BYTES_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stopped(door.stopping.clone()) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// A connection that is another protocol's now: nothing of HTTP is left of it, and nobody but that waits for it.
pub(super) struct Taken {
    pub(super) stream: Box<dyn Stream>,
    _place: Place,
}

/// What bytes pass over, in both directions.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Takes a connection over that this listener has accepted, with what has come over it already.
///
/// # Errors
/// The system's.
pub(super) fn take(upgraded: Upgraded) -> io::Result<(Taken, Bytes)> {
    match upgraded.downcast::<TokioIo<Patient<TcpStream>>>() {
        Ok(parts) => Taken::of(parts.io.into_inner(), parts.read_buf),
        Err(upgraded) => match upgraded.downcast::<TokioIo<Patient<TlsStream<TcpStream>>>>() {
            Ok(parts) => Taken::of(parts.io.into_inner(), parts.read_buf),
            Err(_) => Err(io::ErrorKind::Unsupported.into()),
        },
    }
}

impl Taken {
    fn of<S: Stream + Frugal + 'static>(connection: Patient<S>, early: Bytes) -> io::Result<(Self, Bytes)> {
        let (stream, place) = connection.into_parts();
        // Most protocols beside HTTP push.
        stream.keep_little()?;
        Ok((Self { stream: Box::new(stream), _place: place }, early))
    }
}
