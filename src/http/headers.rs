//! What every answer says to a browser: what it may do with it, and who may read it.
//! Never allows more than the pages need: they name their own policy, everything else is no page.

use super::origin::Origin;
use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, header};
use std::time::Duration;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::set_header::SetResponseHeaderLayer;

/// For what is no page: nothing may be loaded, run or framed.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// What no page of ours asks a browser for.
const PERMISSIONS: &str = "accelerometer=(), camera=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), \
                           payment=(), usb=()";
/// How long a browser remembers that another origin may ask, in seconds.
const PREFLIGHT_SECONDS: u64 = 600;

/// That a browser comes back over TLS for a year. Other names of the domain are not this server's to speak for.
const OVER_TLS: &str = "max-age=31536000";

/// Adds the headers that all answers have; a page's own policy stays. Without TLS a browser would pass over what is said of it.
pub(super) fn secured(router: Router, is_private: bool) -> Router {
    let over_tls = || fixed(header::STRICT_TRANSPORT_SECURITY, OVER_TLS);
    let router = if is_private { router.layer(over_tls()) } else { router };
    router
        .layer(usual(header::CACHE_CONTROL, "no-store"))
        .layer(usual(header::CONTENT_SECURITY_POLICY, POLICY))
        .layer(fixed(header::REFERRER_POLICY, "no-referrer"))
        .layer(fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(fixed(HeaderName::from_static("permissions-policy"), PERMISSIONS))
        .layer(fixed(HeaderName::from_static("cross-origin-opener-policy"), "same-origin"))
        .layer(fixed(HeaderName::from_static("cross-origin-resource-policy"), "same-origin"))
}

/// Lets pages of these origins ask and read the answers. They show who asks by a header of their own: a cookie or a
/// certificate of the browser's is never accepted, and so never sent.
pub(super) fn shared_with(origins: &[Origin]) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins.iter().map(Origin::header)))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            HeaderName::from_static("last-event-id"),
            HeaderName::from_static("x-request-id"),
        ])
        .expose_headers([
            header::RETRY_AFTER,
            HeaderName::from_static("ratelimit"),
            HeaderName::from_static("ratelimit-policy"),
            HeaderName::from_static("x-request-id"),
        ])
        .max_age(Duration::from_secs(PREFLIGHT_SECONDS))
}

fn fixed(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value))
}

fn usual(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}
