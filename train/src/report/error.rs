//! A report that cannot be made.

use std::path::PathBuf;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file or folder cannot be written.
    #[error("cannot write {path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A figure cannot be drawn.
    #[error("the figure {name} cannot be drawn: {detail}")]
    Drawing {
        /// Which one.
        name: &'static str,
        /// What plotters says.
        detail: String,
    },
    /// The template does not render: a defect of the trainer.
    #[error("the report's template is wrong: {0}")]
    Template(#[from] minijinja::Error),
}
