//! How far a long piece of work has come: a bar on a terminal, plain lines elsewhere, both on standard error.
//! Never writes to standard output, which belongs to the answer.

use crate::store::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::{self, IsTerminal},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Work below this size is done before anybody wonders, in bytes.
const LINES_FROM_BYTES: u64 = 64 * 1024 * 1024;

/// Shows how far a piece of work has come.
struct Shown {
    what: &'static str,
    bar: Option<ProgressBar>,
    /// How many tenths have been told in lines.
    tenths: AtomicU64,
}

/// Shows the progress of work that is called so, as "verifying".
pub(super) fn progress(what: &'static str) -> Arc<dyn Progress> {
    let bar = io::stderr().is_terminal().then(|| {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        // Without colours, as NO_COLOR asks.
        let style =
            ProgressStyle::with_template("{msg} {bar:32} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_message(what);
        bar
    });
    Arc::new(Shown { what, bar, tenths: AtomicU64::new(0) })
}

impl Progress for Shown {
    fn reached(&self, bytes: u64, all: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(all);
            bar.set_position(bytes);
            if bytes >= all {
                bar.finish_and_clear();
            }
            return;
        }
        let tenths = bytes.saturating_mul(10).checked_div(all).unwrap_or(10);
        if all >= LINES_FROM_BYTES && self.tenths.swap(tenths, Ordering::Relaxed) < tenths {
            eprintln!("{}: {}0 % of {} MB", self.what, tenths, all / 1_000_000);
        }
    }
}
