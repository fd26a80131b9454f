//! How far a listing or a removal is, on a terminal.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often it is looked how far it is.
const TICK: Duration = Duration::from_millis(250);

/// A line on a terminal that is told anew every now and then.
pub(super) struct Shown;

impl Shown {
    /// Shows `told` while `work` is done.
    pub(super) fn during<T>(told: &(dyn Fn() -> String + Sync), work: impl FnOnce() -> T) -> T {
        if !std::io::stderr().is_terminal() {
            return work();
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    bar.set_message(told());
                    bar.tick();
                    std::thread::park_timeout(TICK);
                }
            });
            let answer = work();
            ended.store(true, Ordering::Relaxed);
            thread.thread().unpark();
            // It does not panic, and there is nothing that it would have to say.
            let _ = thread.join();
            bar.finish_and_clear();
            answer
        })
    }
}

/// How many objects were removed, on a terminal.
#[derive(Debug, Default)]
pub(super) struct Removing(Option<ProgressBar>);

impl Removing {
    /// So many objects are done, of so many.
    pub(super) fn tell(&mut self, done: u64, of: u64) {
        if !std::io::stderr().is_terminal() {
            return;
        }
        let bar = self.0.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(Some(of), ProgressDrawTarget::stderr());
            let told = "  deleting {bar:24} {human_pos} of {human_len} objects, {per_sec}, {eta} left";
            match ProgressStyle::with_template(told) {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        bar.set_position(done);
        bar.tick();
    }

    /// Takes it from the screen.
    pub(super) fn end(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}
