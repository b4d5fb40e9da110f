//! Mistakes in a configuration, with their places.

use std::fmt;
use std::path::PathBuf;

/// Where a setting's value came from. Later kinds win over earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// A configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line of the key, from 1; 0 means the file as a whole.
        line: usize,
    },
    /// An environment variable, by name.
    Env(String),
    /// A command-line flag, by name with its dashes.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: 0 } => write!(f, "{}", path.display()),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Env(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it was written.
    pub origin: Origin,
    /// The setting, for example `watch.settle_looks`; none when a file cannot be read at all.
    pub key: Option<String>,
    /// The mistake, and what to write instead.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.origin, &self.key) {
            // A variable's or a flag's name says the key already.
            (Origin::Env(name) | Origin::Flag(name), _) => write!(f, "{name}: {}", self.message),
            (Origin::Default, Some(key)) => write!(f, "{key}: {}", self.message),
            (Origin::Default, None) => f.write_str(&self.message),
            (origin, Some(key)) => write!(f, "{origin}: {key}: {}", self.message),
            (origin, None) => write!(f, "{origin}: {}", self.message),
        }
    }
}

/// A configuration that leukd will not run with: everything that is wrong, one problem a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}
