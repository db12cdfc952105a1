//! The wire: HTTP, WebSocket and server-sent events in, operations of the `graphql` floor out.
//! Knows status codes, headers, media types and close codes. Never decides who may do what: it hands the
//! credential that came with a request to the floor below, unread.

mod auth;
mod export;
mod fault;
mod origin;
mod password_page;
pub mod playground;
mod rate_limit;
mod router;
mod sse;
mod transport;
mod websocket;

pub use self::origin::{NoOrigin, Origin};
use crate::graphql::Api;
use crate::limits::STOP_SECONDS_MAX;
use std::future::{Future, IntoFuture};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// What a server may be told beside its API.
#[derive(Debug, Default)]
pub struct Options {
    /// The people and tabs that the demo's playground opens with. A real server has none.
    pub demo: Option<playground::Session>,
    /// Whose pages may open sockets here beside the server's own.
    pub allowed_origins: Vec<Origin>,
}

/// What every handler reads.
#[derive(Clone)]
struct Server {
    api: Api,
    options: Arc<Options>,
    /// True once the server has begun to stop.
    stopping: watch::Receiver<bool>,
    /// Held by each socket until it has closed; the server's stop waits for the last one.
    open: mpsc::Sender<()>,
}

/// Answers everyone on this address that the server is not ready yet, until `work` is done; answers the listener and
/// what the work came to.
///
/// # Errors
/// The listener's, when it cannot be shared.
pub async fn not_ready<T>(listener: TcpListener, work: impl Future<Output = T>) -> std::io::Result<(TcpListener, T)> {
    let listener = listener.into_std()?;
    let other = TcpListener::from_std(listener.try_clone()?)?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let waiting = axum::serve(other, router::not_ready()).with_graceful_shutdown(async move {
        // An error says that the sender is gone, which is also a stop.
        let _ = stopped.await;
    });
    let waiting = tokio::spawn(waiting.into_future());
    let done = work.await;
    // The signal reaches the connections: each ends after its answer, and comes back to whoever serves then. The task
    // itself would wait for them, and until it is polled take connections that are the other's; so it is ended.
    drop(stop);
    waiting.abort();
    Ok((TcpListener::from_std(listener)?, done))
}

/// Serves until `shutdown` resolves, then takes no more connections, tells every socket to come back later
/// (1012) and waits for what is under way, at most [`STOP_SECONDS_MAX`].
///
/// # Errors
/// The listener's, when it can accept no more.
pub async fn serve(
    listener: TcpListener,
    api: Api,
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let (stop, stopping) = watch::channel(false);
    let (open, mut all_closed) = mpsc::channel(1);
    let server = Server { api, options: Arc::new(options), stopping: stopping.clone(), open };
    let service = router::router(server).into_make_service_with_connect_info::<SocketAddr>();
    let stopped = async move {
        shutdown.await;
        stop.send_replace(true);
    };
    let served = axum::serve(listener, service).with_graceful_shutdown(stopped);
    let grace_spent = async {
        let mut stopping = stopping;
        // An error says that the sender is gone, which is also a stop.
        let _ = stopping.wait_for(|stopping| *stopping).await;
        tokio::time::sleep(Duration::from_secs(STOP_SECONDS_MAX)).await;
    };
    let all = async {
        let outcome = served.await;
        // Nothing is ever sent: this resolves when the last socket has dropped its sender.
        let _ = all_closed.recv().await;
        outcome
    };
    tokio::select! {
        outcome = all => outcome,
        () = grace_spent => {
            tracing::warn!("stopped with requests still under way after {STOP_SECONDS_MAX} s");
            Ok(())
        }
    }
}
