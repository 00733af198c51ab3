//! Showing that something takes long, on standard error and only on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// What is shown until it is dropped.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Something whose length nobody knows.
    pub(crate) fn waiting(message: &'static str) -> Self {
        let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
        Self::shown(
            ProgressBar::new_spinner().with_style(style.expect("the template is a constant")),
            message,
        )
    }

    /// So many things to be fetched.
    pub(crate) fn fetching(message: &'static str, total: u64) -> Self {
        let style = ProgressStyle::with_template("{spinner} {msg} [{wide_bar}] {pos} of {len}");
        Self::shown(ProgressBar::new(total).with_style(style.expect("the template is a constant")), message)
    }

    fn shown(bar: ProgressBar, message: &'static str) -> Self {
        bar.set_message(message);
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }

    /// Takes note of so many done.
    pub(crate) fn reached(&self, done: usize) {
        self.0.set_position(u64::try_from(done).unwrap_or(u64::MAX));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
