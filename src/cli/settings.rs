//! `--config` and the flags that are settings; `leukd check` and `leukd config show`.

use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum as _;
use serde_json::json;

use super::error::CliError;
use super::output::{Output, clean, remark};
use super::show;
use super::start_error;
use crate::config::settings::{Engine, Settings, Watch, WatchMode};
use crate::config::{ConfigError, Flag, Loaded, Origin, Problem, Sources, load};
use crate::ingest::IngestSettings;
use crate::ingest::place::{Place, probe};
use crate::ingest::settings::FolderRules;
use crate::model::band::Band;
use crate::model::bundle::Bundle;
use crate::model::file::BundleFile;
use crate::model::gate::Limits;
use crate::model::trust::{Trust, TrustError};

/// Sources of settings besides the environment (`LEUKD__SECTION__KEY`).
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Settings")]
pub(super) struct SettingsArgs {
    /// Read this file too; it overrides /etc/leukd/leukd.toml
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Watch this folder instead of the configured ones; may be repeated
    #[arg(long, value_name = "DIR")]
    pub(super) watch: Vec<PathBuf>,
    /// The journal's folder
    #[arg(long, value_name = "DIR")]
    pub(super) state: Option<PathBuf>,
    /// Listen on this address; port 0 takes any free port
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Option<String>,
    /// Serve figures for Prometheus at this address, or `off`; port 0 takes any free port
    #[arg(long, value_name = "ADDRESS|off")]
    pub(super) metrics: Option<String>,
    /// Serve the web page at this address, or `off`; port 0 takes any free port
    #[arg(long, value_name = "ADDRESS|off")]
    pub(super) page: Option<String>,
    /// Serve this model bundle
    #[arg(long, value_name = "FILE")]
    pub(super) model: Option<PathBuf>,
    /// Serve this bundle without a trusted signature: its file name, or sha256: and its digest; may
    /// be repeated
    #[arg(long, value_name = "NAME")]
    pub(super) allow_unsigned: Vec<String>,
    /// Operators that run the network
    #[arg(long, value_enum)]
    pub(super) engine: Option<Engine>,
    /// The log's filter: error, warn, info, debug, trace, or one such as leukd=debug,info
    #[arg(long, value_name = "FILTER")]
    pub(super) log_level: Option<String>,
}

impl SettingsArgs {
    /// Loads and checks the settings, and reports doubtful ones on standard error.
    ///
    /// # Errors
    /// [`CliError::Config`]; [`CliError::Usage`] where a path is not UTF-8.
    pub(super) fn load(&self) -> Result<Loaded, CliError> {
        let loaded = load(&Sources::from_process(self.config.clone(), self.flags()?))?;
        for warning in &loaded.warnings {
            remark(&format!("leukd: warning: {}", clean(warning)));
        }
        Ok(loaded)
    }

    /// The same without flags, for commands that have none for settings.
    ///
    /// # Errors
    /// As [`SettingsArgs::load`].
    pub(super) fn of_file(config: Option<&PathBuf>) -> Result<Settings, CliError> {
        let args = Self { config: config.cloned(), ..Self::default() };
        Ok(args.load()?.settings)
    }

    fn flags(&self) -> Result<Vec<Flag>, CliError> {
        let path = |name, path: &PathBuf| absolute(name, path);
        let mut flags = Vec::new();
        let mut push = |name, key, values: Vec<String>| {
            if !values.is_empty() {
                flags.push(Flag { name, key, values });
            }
        };
        let folders: Result<_, _> =
            self.watch.iter().map(|folder| path("--watch", folder)).collect();
        push("--watch", "watch.folders", folders?);
        let state: Result<_, _> = self.state.iter().map(|folder| path("--state", folder)).collect();
        push("--state", "journal.directory", state?);
        let model: Result<_, _> = self.model.iter().map(|file| path("--model", file)).collect();
        push("--model", "model.bundle", model?);
        let engine = self.engine.and_then(|engine| engine.to_possible_value());
        push("--allow-unsigned", "model.allow_unsigned", self.allow_unsigned.clone());
        push("--engine", "model.engine", engine.iter().map(|v| v.get_name().to_owned()).collect());
        push("--listen", "rpc.listen", self.listen.iter().cloned().collect());
        for (name, given, enabled, listen) in [
            ("--metrics", &self.metrics, "metrics.enabled", "metrics.listen"),
            ("--page", &self.page, "page.enabled", "page.listen"),
        ] {
            match given.as_deref() {
                Some("off") => push(name, enabled, vec!["false".to_owned()]),
                Some(address) => push(name, listen, vec![address.to_owned()]),
                None => {}
            }
        }
        push("--log-level", "log.level", self.log_level.iter().cloned().collect());
        Ok(flags)
    }
}

/// A path on the command line may be relative; elsewhere it must be absolute.
fn absolute(name: &str, path: &Path) -> Result<String, CliError> {
    let shown = path.display();
    let whole = std::path::absolute(path)
        .map_err(|error| CliError::Usage(format!("{name} {shown:?}: {error}")))?;
    // "./export" and "../export" are meant; symbolic links before ".." are rare enough to leave
    // alone.
    let mut plain = PathBuf::new();
    for part in whole.components() {
        if part == std::path::Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
        .into_os_string()
        .into_string()
        .map_err(|_| CliError::Usage(format!("{name} {shown:?}: the path is not UTF-8; rename it")))
}

/// Check the configuration and report mistakes with file and line
#[derive(Debug, Clone, clap::Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Runs `leukd check`.
///
/// # Errors
/// [`CliError::Config`] with everything that is wrong.
pub(super) fn check(args: &CheckArgs) -> Result<(), CliError> {
    let loaded = args.settings.load()?;
    let keys = crate::daemon::examine(&loaded.settings)
        .map_err(|error| start_error::placed(start_error::cannot_start(error), &loaded.origins))?;
    let somebody_else = checked_by_another(&loaded.settings.journal.directory);
    for warning in loaded.examine()?.into_iter().chain(keys).chain(somebody_else) {
        remark(&format!("leukd: warning: {}", clean(&warning)));
    }
    for note in polled(&loaded.settings.watch) {
        remark(&format!("leukd: {}", clean(&note)));
    }
    bundle_may_serve(&loaded)?;
    Output::new().line("the configuration works")
}

/// The folders where changes are found by scans alone, and why. One that cannot be reached is not
/// among them.
fn polled(watch: &Watch) -> Vec<String> {
    let rules = IngestSettings::new(watch, 1).map(|ingest| ingest.folders).unwrap_or_default();
    let automatic = rules.iter().filter(|rules| rules.mode == WatchMode::Auto);
    let silent = automatic.filter_map(|rules| Some((rules, probe(rules).ok()?)));
    let silent = silent.filter(|(_, place)| !place.tells());
    let note = |(rules, place): (&Arc<FolderRules>, Place)| {
        format!(
            "{} is scanned every {} (watch.poll_interval), because the kernel does not report all changes \
             there: {}",
            rules.folder,
            watch.poll_interval,
            place.file_systems()
        )
    };
    silent.map(note).collect()
}

/// Doubts about files that another user will read: root may read all of them.
fn checked_by_another(state: &Path) -> Option<String> {
    let (us, owner) = (rustix::process::geteuid().as_raw(), state.metadata().ok()?.uid());
    (us != owner).then(|| {
        format!(
            "checked as user {us}, but {} belongs to user {owner}: whether that one may read the export folders, keys and \
             models is not known by this; sudo -u '#{owner}' leukd check tells",
            state.display()
        )
    })
}

/// Checks that the configured bundle would be accepted: its signature, and that the configured
/// review band fits it.
///
/// # Errors
/// [`CliError::Config`] that names the setting.
fn bundle_may_serve(loaded: &Loaded) -> Result<(), CliError> {
    let model = &loaded.settings.model;
    let problem = |key: &str, message: String| {
        let origin = loaded.origins.get(key).cloned().unwrap_or(Origin::Default);
        let problems = vec![Problem { origin, key: Some(key.to_owned()), message }];
        CliError::Config(ConfigError { problems })
    };
    let trust = Trust::new(&model.trusted_keys, &model.allow_unsigned)
        .map_err(|error| problem("model.trusted_keys", error.to_string()))?;
    if let Some(error) = trust.keys().1.first() {
        return Err(problem("model.trusted_keys", error.to_string()));
    }
    let file = match &model.bundle {
        Some(path) => BundleFile::read(path, model.max_file.0)
            .map_err(|error| problem("model.bundle", error.to_string()))?,
        None => BundleFile::embedded(),
    };
    let refused =
        |error: TrustError| problem("model.bundle", format!("{}: {error}", file.origin()));
    let provenance = trust.admit(&file).map_err(refused)?;
    // The content matters here for its review band alone.
    let Some(review) = loaded.settings.decision.review else { return Ok(()) };
    let limits = match &model.bundle {
        Some(_) => Limits { max_bytes: model.max_file.0, max_memory: model.max_memory.0 },
        None => Limits::default(),
    };
    let bundle = Bundle::of(&file, provenance, &limits)
        .map_err(|error| problem("model.bundle", error.to_string()))?;
    let band = Band::with(bundle.manifest().calibration, Some(review)).map_err(|error| {
        let message = error.to_string();
        let message = message.strip_prefix("decision.review: ").unwrap_or(&message);
        problem("decision.review", message.to_owned())
    })?;
    if let Some(warning) = band.warning() {
        remark(&format!("leukd: warning: {}", clean(&warning)));
    }
    let (lower, upper) = band.in_force();
    let (lower, upper) = (show::bound(lower), show::bound(upper));
    Output::new().line(&format!("a person looks at cells with {lower} ≤ P(all) < {upper}"))
}

/// Show the settings
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum ConfigCommand {
    /// Show every setting with the source of its value
    Show {
        #[command(flatten)]
        settings: SettingsArgs,
        /// One JSON object: settings and origins
        #[arg(long)]
        json: bool,
    },
}

/// Runs `leukd config`.
///
/// # Errors
/// [`CliError::Config`] with everything that is wrong.
pub(super) fn config(args: &ConfigArgs) -> Result<(), CliError> {
    let ConfigCommand::Show { settings, json } = &args.command;
    let loaded = settings.load()?;
    let text = if *json { as_json(&loaded) } else { as_toml(&loaded)? };
    Output::new().line(text.trim_end())
}

fn as_json(loaded: &Loaded) -> String {
    let origins: serde_json::Map<_, _> = loaded
        .origins
        .iter()
        .map(|(key, origin)| (key.clone(), origin.to_string().into()))
        .collect();
    json!({ "settings": loaded.settings, "origins": origins }).to_string()
}

/// An equal configuration file, with each line's origin as a comment.
fn as_toml(loaded: &Loaded) -> Result<String, CliError> {
    let table = toml::Table::try_from(&loaded.settings).map_err(|error| {
        CliError::Software(format!("cannot write the settings as TOML: {error}"))
    })?;
    let mut text = String::new();
    let mut section = "";
    for (key, origin) in &loaded.origins {
        let Some((of, name)) = key.split_once('.') else { continue };
        if of != section {
            let _ = writeln!(text, "{}[{of}]", if section.is_empty() { "" } else { "\n" });
            section = of;
        }
        let origin = clean(&origin_in_words(origin));
        let _ = match table.get(of).and_then(|settings| settings.get(name)) {
            Some(value) => writeln!(text, "{name} = {value} # {origin}"),
            None => writeln!(text, "# {name} is not set # {origin}"),
        };
    }
    Ok(text)
}

fn origin_in_words(origin: &Origin) -> String {
    match origin {
        Origin::Default => "default".to_owned(),
        other => format!("from {other}"),
    }
}
