//! Showing how far a long work has come: a bar on a terminal, else a line every few seconds.

use std::{
    io::IsTerminal,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

use fastpki_engine::{Progress, Stage};
use indicatif::{ProgressBar, ProgressStyle};

/// Shows a work's progress on standard error until it is dropped.
pub(crate) struct Watch {
    done: Arc<AtomicBool>,
    watcher: Option<JoinHandle<()>>,
}

impl Watch {
    /// Watches; `say` gets the lines where there is no terminal.
    pub(crate) fn over(progress: &Arc<Progress>, say: fn(&str)) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let (progress, over) = (Arc::clone(progress), Arc::clone(&done));
        let watcher = std::thread::spawn(move || {
            if std::io::stderr().is_terminal() { draw(&progress, &over) } else { tell(&progress, &over, say) }
        });
        Self { done, watcher: Some(watcher) }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.done.store(true, Relaxed);
        if let Some(watcher) = self.watcher.take() {
            watcher.thread().unpark();
            // A watcher that panicked has nothing more to show.
            let _ = watcher.join();
        }
    }
}

fn draw(progress: &Progress, over: &AtomicBool) {
    let bar = ProgressBar::new(POINTS);
    let style = ProgressStyle::with_template("{spinner} {msg} [{wide_bar}] {elapsed}, {eta} to go");
    bar.set_style(style.expect("the template is a constant").progress_chars("=> "));
    let mut shown = Stage::Idle;
    while !over.load(Relaxed) {
        let (stage, keys, part) = progress.now();
        if stage != shown {
            bar.reset();
            shown = stage;
        }
        if let Some(text) = text(stage, keys) {
            bar.set_message(text);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 0 and POINTS"
            )]
            bar.set_position((part * POINTS as f64) as u64);
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
    bar.finish_and_clear();
}

fn tell(progress: &Progress, over: &AtomicBool, say: fn(&str)) {
    std::thread::park_timeout(INTERVAL);
    while !over.load(Relaxed) {
        let (stage, keys, part) = progress.now();
        if let Some(text) = text(stage, keys) {
            say(&if part > 0.0 { format!("{text}, {:.0} %", part * 100.0) } else { text });
        }
        std::thread::park_timeout(INTERVAL);
    }
}

fn text(stage: Stage, keys: u64) -> Option<String> {
    match stage {
        Stage::Idle => None,
        Stage::Checking => Some(format!("checking private keys: {keys}")),
        Stage::Rewriting => Some(format!("storing private keys anew: {keys}")),
        Stage::Wiping => Some("overwriting traces of private keys".into()),
    }
}

/// Time between two lines.
const INTERVAL: Duration = Duration::from_secs(5);
/// Steps of a bar: more than a terminal has columns.
const POINTS: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_says_what_is_done_and_how_many_are() {
        assert_eq!(text(Stage::Idle, 7), None);
        assert_eq!(text(Stage::Checking, 1200).as_deref(), Some("checking private keys: 1200"));
        assert_eq!(text(Stage::Rewriting, 0).as_deref(), Some("storing private keys anew: 0"));
        assert_eq!(text(Stage::Wiping, 0).as_deref(), Some("overwriting traces of private keys"));
    }

    #[test]
    fn nothing_is_said_while_nothing_takes_long() {
        let progress: Arc<Progress> = Arc::default();
        let over = Arc::new(AtomicBool::new(false));
        let (watched, until) = (Arc::clone(&progress), Arc::clone(&over));
        let watcher =
            std::thread::spawn(move || tell(&watched, &until, |line| panic!("this was said: {line}")));
        for _ in 0..3 {
            watcher.thread().unpark();
            std::thread::yield_now();
        }
        over.store(true, Relaxed);
        watcher.thread().unpark();
        watcher.join().unwrap();
    }
}
