//! A bar on standard error for work on many files; on a terminal only.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar. Hidden for few files, and where standard error is no terminal.
#[must_use]
pub fn bar(files: u64) -> ProgressBar {
    if files < 10 || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(files);
    let template = "{wide_bar} {human_pos}/{human_len} files, {per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
