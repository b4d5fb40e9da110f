//! The journal of a command that works on its file, a daemon running or not.

use std::path::PathBuf;

use super::error::CliError;
use super::settings::SettingsArgs;
use crate::journal::{self, JournalError};

/// The journal's place.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct StateArgs {
    /// The state folder, or a journal's file in any folder [default: the configured folder]
    #[arg(long, value_name = "DIR")]
    pub(super) state: Option<PathBuf>,
    /// Read this file too; it overrides /etc/leukd/leukd.toml
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

impl StateArgs {
    /// The folder, or the file where one was named.
    ///
    /// # Errors
    /// [`CliError::Config`].
    pub(super) fn place(&self) -> Result<PathBuf, CliError> {
        if let Some(place) = &self.state {
            return Ok(place.clone());
        }
        let settings = SettingsArgs { config: self.config.clone(), ..SettingsArgs::default() };
        Ok(settings.load()?.settings.journal.directory)
    }

    /// The state folder, also where the journal in it was named.
    ///
    /// # Errors
    /// [`CliError::Usage`] for a file of another name; [`CliError::Config`].
    pub(super) fn folder(&self) -> Result<PathBuf, CliError> {
        let place = self.place()?;
        if !place.is_file() {
            return Ok(place);
        }
        match place.parent() {
            Some(folder) if place.file_name().is_some_and(|name| name == journal::FILE) => {
                Ok(if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.into() })
            }
            _ => Err(CliError::Usage(format!(
                "{}: name the state folder; in it the journal is called {}",
                place.display(),
                journal::FILE
            ))),
        }
    }

    /// The journal's file, which exists.
    ///
    /// # Errors
    /// [`CliError::NoInput`] where there is none; [`CliError::Config`].
    pub(super) fn file(&self) -> Result<PathBuf, CliError> {
        let place = self.place()?;
        let file = if place.is_file() { place } else { place.join(journal::FILE) };
        match fs_err::metadata(&file) {
            Ok(found) if found.is_file() => Ok(file),
            Ok(_) => Err(CliError::NoInput(format!("{}: this is no file", file.display()))),
            Err(error) => Err(CliError::NoInput(format!(
                "{error}: name the state folder with --state, and read it as a user who may"
            ))),
        }
    }
}

/// The command's error for a journal's failure.
pub(super) fn failed(error: &JournalError) -> CliError {
    let text = error.to_string();
    match error {
        JournalError::Damaged { .. }
        | JournalError::UnsoundBackup { .. }
        | JournalError::Newer { .. } => CliError::Data(text),
        JournalError::Exists { .. } => CliError::Usage(text),
        JournalError::Locked { .. } => CliError::Unavailable(text),
        _ => CliError::Io(text),
    }
}
