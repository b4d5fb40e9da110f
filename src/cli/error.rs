//! Every way in which a command ends badly, and its exit code.

use std::io;
use std::process::ExitCode;

use crate::config::ConfigError;

/// Why a command failed. Messages say what to do. Exit codes are those of sysexits(3).
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// EX_USAGE, 64: the command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// EX_DATAERR, 65: what was given (a bundle, an image, a cursor) is wrong.
    #[error("{0}")]
    Data(String),
    /// EX_NOINPUT, 66: there is no such file or result.
    #[error("{0}")]
    NoInput(String),
    /// EX_UNAVAILABLE, 69: the daemon or a helper program cannot be reached, or is too busy.
    #[error("{0}")]
    Unavailable(String),
    /// EX_SOFTWARE, 70: a defect, in leukd or in the daemon it asked.
    #[error("{0}")]
    Software(String),
    /// EX_IOERR, 74: reading or writing failed.
    #[error("{0}")]
    Io(String),
    /// EX_NOPERM, 77: the daemon does not know us, or does not let us.
    #[error("{0}")]
    NoPermission(String),
    /// EX_CONFIG, 78: the configuration.
    #[error("the configuration does not work:\n{0}")]
    Config(#[from] ConfigError),
    /// Silent, with code 0: the reader closed the pipe (`leukd tail | head`).
    #[error("standard output was closed")]
    OutputClosed,
}

impl CliError {
    /// The process's exit code.
    #[must_use]
    pub(super) const fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::Data(_) => 65,
            Self::NoInput(_) => 66,
            Self::Unavailable(_) => 69,
            Self::Software(_) => 70,
            Self::Io(_) => 74,
            Self::NoPermission(_) => 77,
            Self::Config(_) => 78,
            Self::OutputClosed => 0,
        }
    }

    /// A failure to write to standard output.
    #[must_use]
    pub(super) fn output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::OutputClosed
        } else {
            Self::Io(format!("cannot write to standard output: {error}"))
        }
    }
}

impl From<CliError> for ExitCode {
    fn from(error: CliError) -> Self {
        Self::from(error.code())
    }
}
