//! The page behind a one-time link, on which a person chooses a password. The page runs the `setPassword`
//! mutation like any other client. Never sees the link's token: the page's script reads it from the address.

use super::playground::html;
use crate::limits::{PASSWORD_CHARACTERS_MAX, PASSWORD_CHARACTERS_MIN};
use axum::response::Response;

const PAGE: &str = include_str!("playground/set-password.html");

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Answers `GET /set-password`.
pub(super) async fn page() -> Response {
    let page = PAGE
        .replace("{{least}}", &PASSWORD_CHARACTERS_MIN.to_string())
        .replace("{{most}}", &PASSWORD_CHARACTERS_MAX.to_string());
    html(page, POLICY)
}
