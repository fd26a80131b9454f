//! How far a listing is, on a terminal.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget};

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
