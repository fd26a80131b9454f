//! How far a scan is, and what ends it early.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::Exit;
use crate::scan::Progress;

/// A scan that an interrupt ends.
#[derive(Debug)]
pub(super) struct Run(Arc<State>);

#[derive(Debug, Default)]
struct State {
    progress: Progress,
    /// Whether there is something that `progress` can stop.
    runs: AtomicBool,
}

impl Run {
    /// From now on, the first interrupt stops the scan, and the second one ends the program.
    pub(super) fn begin() -> Self {
        let state = Arc::new(State::default());
        state.runs.store(true, Ordering::Relaxed);
        let handled = Arc::clone(&state);
        // Without a handler, interrupts end the program at once, as they do before.
        let _ = ctrlc::set_handler(move || {
            if handled.progress.stop.swap(true, Ordering::Relaxed) || !handled.runs.load(Ordering::Relaxed) {
                std::process::exit(Exit::Failed as i32);
            }
        });
        Self(state)
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.0.progress
    }

    pub(super) fn stop(&self) {
        self.0.progress.stop.store(true, Ordering::Relaxed);
    }

    /// From now on, an interrupt ends the program.
    pub(super) fn end(&self) {
        self.0.runs.store(false, Ordering::Relaxed);
    }
}

/// Shows bytes, rate and time left on a terminal.
#[derive(Debug)]
pub(super) struct Meter(Option<ProgressBar>);

impl Meter {
    /// Of so many bytes, of which some were read by an earlier run.
    pub(super) fn begin(bytes: u64, before: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let bar =
            ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr()).with_position(before);
        if let Ok(style) = ProgressStyle::with_template(
            "  {bar:24} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left",
        ) {
            bar.set_style(style);
        }
        bar.reset_eta();
        bar.enable_steady_tick(std::time::Duration::from_millis(250));
        Self(Some(bar))
    }

    pub(super) fn set(&self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(bytes);
        }
    }

    /// Takes it from the screen.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
