//! Where logs go: to standard error, as the settings say.
//! Never a token, a password or the value of a variable: nothing below logs one.

use super::settings::Settings;

/// Begins to log.
pub(super) fn begin(settings: &Settings) {
    tracing_subscriber::fmt().with_env_filter(settings.log.filter()).with_writer(std::io::stderr).init();
}
