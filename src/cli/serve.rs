//! `leukd serve`: the daemon.

use super::error::CliError;
use super::settings::SettingsArgs;
use crate::telemetry;

/// Run the daemon
///
/// Settings come from /etc/leukd/leukd.toml, --config, variables named LEUKD__SECTION__KEY, and flags; the later win.
/// SIGTERM stops it after open requests are done; SIGHUP loads the model again.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}

/// Runs it until a signal ends it.
///
/// # Errors
/// The configuration; or what ends the daemon.
pub(super) fn run(args: &ServeArgs) -> Result<(), CliError> {
    let loaded = args.settings.load()?;
    let log = &loaded.settings.log;
    telemetry::init(&log.level, log.format)
        .map_err(|error| CliError::Software(error.to_string()))?;
    Err(CliError::Software("serve is not built yet".to_owned()))
}
