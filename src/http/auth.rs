//! Finds the credential of a request. Never looks inside it: whose it is, and whether it is good, the floors
//! below decide.

use axum::http::{HeaderMap, header};

/// The credential of the `Authorization: Bearer …` header.
pub(super) fn credential(headers: &HeaderMap) -> Option<&str> {
    bearer(headers.get(header::AUTHORIZATION)?.to_str().ok()?)
}

/// The credential in the value of an `Authorization` header; the scheme's case does not matter.
pub(super) fn bearer(value: &str) -> Option<&str> {
    let (scheme, credential) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| credential.trim()).filter(|credential| !credential.is_empty())
}
