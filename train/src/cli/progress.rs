//! How a run shows itself: a line an epoch, and a bar where there is a terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use leukd_train::fit::{EpochLine, Observer, Step};

/// Without a terminal the log says so often where a long epoch is.
const LOG_EVERY: Duration = Duration::from_secs(30);

/// Shows a run.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    terminal: bool,
    logged: Instant,
}

impl Progress {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::new(0);
        let style = "epoch {prefix} [{bar:30}] {pos}/{len} {msg}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar, terminal: std::io::stderr().is_terminal(), logged: Instant::now() }
    }

    /// A line of the standard output, above the bar.
    pub(super) fn line(&self, text: &str) {
        self.bar.suspend(|| {
            // A closed pipe must not end a long training.
            let _ = writeln!(std::io::stdout(), "{text}");
        });
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Progress {
    fn step(&mut self, step: &Step) {
        if self.terminal {
            if step.step == 1 || self.bar.length() != Some(step.of) {
                self.bar.reset();
                self.bar.set_length(step.of);
                self.bar.set_prefix(step.epoch.to_string());
            }
            self.bar.set_position(step.step);
            self.bar.set_message(format!(
                "loss {:.4}, accuracy {:.2} %, rate {:.2e}",
                step.loss,
                step.accuracy * 100.0,
                step.rate
            ));
        } else if self.logged.elapsed() >= LOG_EVERY {
            self.logged = Instant::now();
            let Step { epoch, step, of, loss, accuracy, rate } = *step;
            tracing::info!(epoch, step, of, loss, accuracy, rate, "training");
        }
    }

    fn validating(&mut self, _epoch: u32) {
        self.bar.set_message("validating");
    }

    fn epoch(&mut self, line: &EpochLine) {
        self.line(&line.to_string());
    }
}
