//! How far a run is, and what ends it early.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::Exit;
use crate::scan::Progress;

/// Something that an interrupt ends before its time.
#[derive(Debug)]
pub(in crate::cli) struct Run(Arc<State>);

#[derive(Debug, Default)]
struct State {
    progress: Progress,
    /// Whether there is something that `progress` can stop.
    runs: AtomicBool,
}

impl Run {
    /// From now on, the first interrupt stops the run, and the second one ends the program.
    pub(in crate::cli) fn begin() -> Self {
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

    pub(in crate::cli) fn progress(&self) -> &Progress {
        &self.0.progress
    }

    pub(in crate::cli) fn is_stopped(&self) -> bool {
        self.0.progress.stop.load(Ordering::Relaxed)
    }

    pub(in crate::cli) fn stop(&self) {
        self.0.progress.stop.store(true, Ordering::Relaxed);
    }

    /// From now on, an interrupt ends the program.
    pub(in crate::cli) fn end(&self) {
        self.0.runs.store(false, Ordering::Relaxed);
    }
}

/// How often it is looked how far the scan is.
const TICK: Duration = Duration::from_millis(250);

/// Shows bytes, rate and time left on a terminal.
#[derive(Debug)]
pub(in crate::cli) struct Meter(Option<Shown>);

#[derive(Debug)]
struct Shown {
    bar: ProgressBar,
    ended: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Meter {
    /// Of a run that has so many bytes to read in all, of which some were read by an earlier run.
    pub(in crate::cli) fn begin(run: &Run, bytes: u64, before: u64) -> Self {
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
        let ended = Arc::new(AtomicBool::new(false));
        let (shown, state, end) = (bar.clone(), Arc::clone(&run.0), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                let read = state.progress.bytes.load(Ordering::Relaxed);
                shown.set_position(before.saturating_add(read));
                shown.tick();
                std::thread::park_timeout(TICK);
            }
        });
        Self(Some(Shown { bar, ended, thread }))
    }

    /// Takes it from the screen.
    pub(in crate::cli) fn end(self) {
        let Some(Shown { bar, ended, thread }) = self.0 else { return };
        ended.store(true, Ordering::Relaxed);
        thread.thread().unpark();
        // It does not panic, and there is nothing that it would have to say.
        let _ = thread.join();
        bar.finish_and_clear();
    }
}
