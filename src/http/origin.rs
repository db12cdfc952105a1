//! Origins: whose pages may open sockets here and read answers.
//! Never a pattern: an origin is allowed by its name.

use axum::http::{HeaderMap, HeaderValue, Uri, header};
use std::{fmt, str::FromStr};

/// An origin as a browser writes it: scheme, host, and the port where it is not the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

/// Why a text is no origin.
#[derive(Debug)]
pub struct NoOrigin;

impl fmt::Display for NoOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it must be http:// or https:// and a host, with a port where it is not the usual one, and no path")
    }
}

impl Origin {
    /// As it stands in a header.
    pub(super) fn header(&self) -> HeaderValue {
        // Its parts were parsed as those of an address, which are allowed in a header.
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static("null"))
    }
}

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        let uri: Uri = text.parse().map_err(|_| NoOrigin)?;
        let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https")).ok_or(NoOrigin)?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or(NoOrigin)?;
        let usual = if scheme == "http" { 80 } else { 443 };
        let host = authority.host().to_ascii_lowercase();
        let port = authority.port_u16().filter(|port| *port != usual).map(|port| format!(":{port}"));
        // What stands behind the host would silently have no effect.
        let rest = text.get(scheme.len().saturating_add(3)..).unwrap_or_default();
        if rest != authority.as_str() {
            return Err(NoOrigin);
        }
        Ok(Self(format!("{scheme}://{host}{}", port.unwrap_or_default())))
    }
}

/// A browser names the page's origin: it must be this server's own, or one that the operator allows. Other
/// clients send none.
pub(super) fn is_allowed(headers: &HeaderMap, allowed: &[Origin]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let own = origin.split_once("://").is_some_and(|(_, authority)| Some(authority) == host);
    own || allowed.iter().any(|allowed| allowed.0.eq_ignore_ascii_case(origin))
}
