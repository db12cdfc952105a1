//! What is left of the caller's budgets, in the header fields `RateLimit` and `RateLimit-Policy` of the IETF's draft
//! (draft-ietf-httpapi-ratelimit-headers-10): one item for each budget.
//! Never counts anything: what is left was counted with the operation.

use crate::app::{BUDGET_SECONDS, Left, Purse};
use axum::{
    http::{HeaderName, HeaderValue},
    response::Response,
};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Says in an answer what is left; nothing where nothing is limited.
pub(super) fn say(response: &mut Response, left: &[Left]) {
    // The unit is this server's own: points of what an operation costs.
    let policy = |left: &Left| format!("\"{}\";q={};qu=\"cost\";w={BUDGET_SECONDS}", name(left.purse), left.limit);
    let now = |left: &Left| format!("\"{}\";r={};t={}", name(left.purse), left.points, left.seconds);
    for (header, item) in [(RATE_LIMIT_POLICY, &policy as &dyn Fn(&Left) -> String), (RATE_LIMIT, &now)] {
        let value = left.iter().map(item).collect::<Vec<_>>().join(", ");
        if let Some(value) = HeaderValue::try_from(value).ok().filter(|value| !value.is_empty()) {
            response.headers_mut().insert(header, value);
        }
    }
}

const fn name(purse: Purse) -> &'static str {
    match purse {
        Purse::Principal => "principal",
        Purse::Organisation => "organisation",
        Purse::Address => "address",
    }
}
