//! Where logs go: to standard error, as the settings say.
//! Never a token, a password or the value of a variable: nothing below logs one.

use super::settings::{LogFormat, Settings};
use std::io::{IsTerminal, stderr};

/// Begins to log.
pub(super) fn begin(settings: &Settings) {
    let logs = tracing_subscriber::fmt().with_env_filter(settings.log.filter()).with_writer(stderr);
    match settings.log_format {
        LogFormat::Text => {
            let coloured = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            logs.with_ansi(coloured).init();
        }
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
}
