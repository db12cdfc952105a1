//! Who asks through a proxy: the address that a proxy which the operator trusts names in `X-Forwarded-For`.
//! Never believes anybody else, and never reads `Forwarded`: a proxy that writes only one of the two hands on what the
//! caller wrote into the other.

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

const FORWARDED_FOR: &str = "x-forwarded-for";
pub(super) const REQUEST_ID: &str = "x-request-id";
/// How long a caller's own name for a request may be: it stands in every line of the log about it.
const REQUEST_ID_BYTES_MAX: usize = 100;

/// Addresses that begin alike: `192.0.2.0/24`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

/// Why a text is no network.
#[derive(Debug, thiserror::Error)]
#[error("it must be an address, as 192.0.2.7, or a network, as 192.0.2.0/24")]
pub struct NoNetwork;

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let address = || text.parse::<IpAddr>().map(IpNet::from);
        text.parse::<IpNet>().or_else(|_| address()).map(Self).map_err(|_| NoNetwork)
    }
}

impl Network {
    /// Whether an address is one of these.
    pub(super) fn holds(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

/// Puts the caller's address into the place of a trusted proxy's.
pub(super) async fn caller(State(trusted): State<Arc<[Network]>>, mut request: Request, next: Next) -> Response {
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>().copied() {
        let caller = address(peer.ip(), request.headers(), &trusted);
        if caller != peer.ip() {
            request.extensions_mut().insert(ConnectInfo(SocketAddr::new(caller, 0)));
        }
    }
    next.run(request).await
}

/// The nearest address that is no trusted proxy's, read from the end: what stands before it, anybody can have written.
fn address(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.holds(address));
    let hops = headers.get_all(FORWARDED_FOR).iter().flat_map(|value| value.to_str().unwrap_or("?").split(','));
    let mut nearest = peer;
    for hop in hops.collect::<Vec<_>>().into_iter().rev() {
        if !is_trusted(nearest) {
            break;
        }
        // Whoever hides behind a name of the proxy's own is the proxy.
        let Some(address) = hop_address(hop.trim()) else { break };
        nearest = address;
    }
    nearest
}

/// An address, perhaps with a port.
fn hop_address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    bare.ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .map(|address| address.to_canonical())
}

/// Takes away a name for the request that does not belong into a log: it gets one of ours.
pub(super) async fn plain_request_id(mut request: Request) -> Request {
    let plain = |id: &HeaderValue| {
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
        !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX && id.as_bytes().iter().all(allowed)
    };
    if request.headers().get(REQUEST_ID).is_some_and(|id| !plain(id)) {
        request.headers_mut().remove(REQUEST_ID);
    }
    request
}
