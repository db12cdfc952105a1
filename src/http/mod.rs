//! The wire: HTTP, WebSocket and server-sent events in, operations of the `graphql` floor out.
//! Knows status codes, headers, media types and close codes. Never decides who may do what: it hands the
//! credential that came with a request to the floor below, unread.

mod auth;
mod export;
mod fault;
mod forwarded;
mod headers;
mod listener;
mod metrics;
mod operation;
mod origin;
mod overload;
mod password_page;
pub mod playground;
mod rate_limit;
mod router;
mod sse;
mod tls;
mod transport;
mod websocket;

use self::listener::Door;
pub use self::origin::{NoOrigin, Origin};
use self::overload::Turns;

pub use self::forwarded::{Network, NoNetwork};
pub use self::metrics::{Metrics, serve_metrics};
use crate::graphql::{Api, Watch};
use crate::limits::STOP_SECONDS_MAX;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

pub use listener::Bounds;
pub use overload::Load;
pub use tls::{CertificateFiles, Tls, TlsError};

/// What a server may be told beside its API.
#[derive(Debug, Default)]
pub struct Options {
    /// The people and tabs that the demo's playground opens with. A real server has none.
    pub demo: Option<playground::Session>,
    /// Whose pages may open sockets and read answers here beside the server's own.
    pub allowed_origins: Vec<Origin>,
    /// How many connections there may be.
    pub bounds: Bounds,
    /// How much is worked on at a time.
    pub load: Load,
    /// The certificate to serve with; without one everything is readable on the way.
    pub tls: Option<Tls>,
    /// Which proxies are believed that say for whom they ask.
    pub trusted_proxies: Vec<Network>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// What every handler reads.
#[derive(Clone)]
struct Server {
    api: Api,
    options: Arc<Options>,
    /// Where requests wait for their turn.
    turns: Arc<Turns>,
    /// True once the server has begun to stop.
    stopping: watch::Receiver<bool>,
    /// Held by each socket until it has closed; the server's stop waits for the last one.
    open: mpsc::Sender<()>,
}

impl Server {
    /// Hears what becomes of an operation: it is counted, and told in the log.
    fn watch(&self, request_id: String, transport: &'static str) -> Watch {
        Watch { request_id, transport, watcher: self.options.metrics.clone() }
    }
}

/// Answers everyone on this address that the server is not ready yet, until `work` is done; answers the listener and
/// what the work came to.
///
/// # Errors
/// The listener's, when it cannot be shared.
pub async fn not_ready<T>(
    listener: TcpListener,
    tls: Option<Tls>,
    bounds: Bounds,
    proxies: &[Network],
    work: impl Future<Output = T>,
) -> std::io::Result<(TcpListener, T)> {
    let listener = listener.into_std()?;
    let other = TcpListener::from_std(listener.try_clone()?)?;
    let (stop, stopping) = watch::channel(false);
    // Nobody waits for these connections.
    let (open, _) = mpsc::channel(1);
    let door = Door { router: router::not_ready(tls.is_some()), tls, bounds, proxies: proxies.into(), stopping, open };
    let waiting = tokio::spawn(listener::accept(other, door));
    let done = work.await;
    // The signal reaches the connections: each ends after its answer, and comes back to whoever serves then. Until the
    // task itself is gone it could take connections that are the other's.
    drop(stop);
    waiting.abort();
    let _ = waiting.await;
    Ok((TcpListener::from_std(listener)?, done))
}

/// Serves until `shutdown` resolves, then takes no more connections, tells every socket to come back later
/// (1012) and waits for what is under way, at most [`STOP_SECONDS_MAX`].
pub async fn serve(
    listener: TcpListener,
    api: Api,
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let (stop, stopping) = watch::channel(false);
    let (open, mut all_closed) = mpsc::channel(1);
    let (bounds, turns, tls) = (options.bounds, Arc::new(Turns::new(options.load)), options.tls.clone());
    let proxies: Arc<[Network]> = options.trusted_proxies.clone().into();
    let server = Server { api, options: Arc::new(options), turns, stopping: stopping.clone(), open: open.clone() };
    let router = router::router(server, Arc::clone(&proxies));
    let door = Door { router, tls: tls.clone(), bounds, proxies, stopping, open };
    let all = async {
        listener::accept(listener, door).await;
        // Nothing is ever sent: this resolves when the last connection has dropped its sender.
        let _ = all_closed.recv().await;
    };
    let stopped = async {
        shutdown.await;
        stop.send_replace(true);
        tokio::time::sleep(Duration::from_secs(STOP_SECONDS_MAX)).await;
        tracing::warn!("stopped with requests still under way after {STOP_SECONDS_MAX} s");
    };
    let certificates = async {
        match &tls {
            Some(tls) => tls.follow_files().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = all => {}
        () = stopped => {}
        () = certificates => {}
    }
}
