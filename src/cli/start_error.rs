//! A daemon that does not start, as a command's error.

use std::collections::BTreeMap;

use super::error::CliError;
use crate::config::{ConfigError, Origin, Problem};
use crate::daemon::StartError;
use crate::journal::JournalError;

/// The command's error for a daemon that does not start.
pub(super) fn cannot_start(error: StartError) -> CliError {
    let text = error.to_string();
    match error {
        StartError::Journal(JournalError::Locked { .. }) => CliError::Unavailable(text),
        StartError::Journal(JournalError::Damaged { .. } | JournalError::Newer { .. }) => {
            CliError::Data(text)
        }
        StartError::Journal(_) | StartError::System(_) => CliError::Io(text),
        StartError::Setting { key, message } => {
            let (origin, key) = (Origin::Default, Some(key.to_owned()));
            CliError::Config(ConfigError { problems: vec![Problem { origin, key, message }] })
        }
    }
}

/// An error in a setting that only the start could find, with its file and line.
pub(super) fn placed(error: CliError, origins: &BTreeMap<String, Origin>) -> CliError {
    let CliError::Config(mut found) = error else { return error };
    for problem in &mut found.problems {
        let known = problem.key.as_ref().and_then(|key| origins.get(key));
        if let (Origin::Default, Some(known)) = (&problem.origin, known) {
            problem.origin = known.clone();
        }
    }
    CliError::Config(found)
}
