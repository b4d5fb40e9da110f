//! Layers → settings.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use config::FileFormat;
use toml::Value;

use super::check;
use super::error::{ConfigError, Origin, Problem};
use super::keys;
use super::layer::Layer;
use super::settings::Settings;

/// The system's configuration file, outside of systemd.
pub const SYSTEM_FILE: &str = "/etc/leukd/leukd.toml";

/// The largest configuration file that is read: far above any that a person writes.
const LARGEST_FILE: u64 = 1 << 20;

/// A setting that the command line gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// As the user typed it, for messages: `--listen`.
    pub name: &'static str,
    /// The setting: `rpc.listen`. A name that is no setting is an error of [`load`].
    pub key: &'static str,
    /// The values: the last one counts, but for a list, which takes all.
    pub values: Vec<String>,
}

/// Where [`load`] looks.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Read when it exists.
    pub system_file: Option<PathBuf>,
    /// Must exist.
    pub file: Option<PathBuf>,
    /// systemd's `STATE_DIRECTORY`: the default of `journal.directory`.
    pub state_directory: Option<String>,
    /// All variables; those without the prefix `LEUKD__` are passed over.
    pub environment: Vec<(OsString, OsString)>,
    /// The command line.
    pub flags: Vec<Flag>,
}

impl Sources {
    /// This process's environment and system file, with what the command line named.
    #[must_use]
    pub fn from_process(file: Option<PathBuf>, flags: Vec<Flag>) -> Self {
        let environment: Vec<_> = std::env::vars_os().collect();
        // systemd separates several directories by colons; the first is leukd's own.
        let first = |name: &str| {
            let (_, value) = environment.iter().find(|(key, _)| key == name)?;
            let first = value.to_str()?.split(':').next()?;
            (!first.is_empty()).then(|| first.to_owned())
        };
        let system_file = first("CONFIGURATION_DIRECTORY").map_or_else(
            || PathBuf::from(SYSTEM_FILE),
            |folder| Path::new(&folder).join("leukd.toml"),
        );
        Self {
            system_file: Some(system_file),
            file,
            state_directory: first("STATE_DIRECTORY"),
            environment,
            flags,
        }
    }
}

/// Checked settings with their story.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The settings in force.
    pub settings: Settings,
    /// Every setting's name → where its value came from.
    pub origins: BTreeMap<String, Origin>,
    /// Valid but doubtful settings: one sentence each, with its place.
    pub warnings: Vec<String>,
}

/// Reads all layers, puts them over one another and checks the outcome.
///
/// # Errors
/// Everything that is wrong at once: unreadable or malformed files, unknown names, values that do
/// not fit, settings that do not go together. Each problem names file and line, variable or flag.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let layers = layers(sources);
    let problems: Vec<Problem> =
        layers.iter().flat_map(|layer| layer.problems.iter().cloned()).collect();
    if !problems.is_empty() {
        return Err(ConfigError { problems });
    }
    let settings = merge(&layers).map_err(|message| ConfigError {
        problems: vec![problem(Origin::Default, None, message)],
    })?;
    let mut origins: BTreeMap<String, Origin> =
        keys::KEYS.iter().map(|key| (key.path.clone(), Origin::Default)).collect();
    for layer in layers {
        origins.extend(layer.origins);
    }
    let findings = check::check(&settings);
    let place = |key: &str, message: String| {
        let origin = origins.get(key).cloned().unwrap_or(Origin::Default);
        problem(origin, Some(key.to_owned()), message)
    };
    let problems: Vec<Problem> =
        findings.problems.into_iter().map(|(key, message)| place(key, message)).collect();
    if !problems.is_empty() {
        return Err(ConfigError { problems });
    }
    let warnings = findings
        .warnings
        .into_iter()
        .map(|(key, message)| place(key, message).to_string())
        .collect();
    Ok(Loaded { settings, origins, warnings })
}

fn problem(origin: Origin, key: Option<String>, message: String) -> Problem {
    Problem { origin, key, message }
}

/// All layers above the built-in defaults, lowest first.
fn layers(sources: &Sources) -> Vec<Layer> {
    let mut layers = Vec::new();
    if let Some(folder) = &sources.state_directory {
        let name = "STATE_DIRECTORY";
        layers.push(one(
            name,
            Origin::Env(name.to_owned()),
            "journal.directory",
            std::slice::from_ref(folder),
        ));
    }
    let system = sources.system_file.iter().map(|path| (path, false));
    let named = sources.file.iter().map(|path| (path, true));
    layers.extend(system.chain(named).filter_map(|(path, required)| file(path, required)));
    layers.push(Layer::from_env(sources.environment.iter().filter_map(|(name, value)| {
        // A name that is not UTF-8 cannot begin with the prefix and name a setting.
        Some((name.to_str()?.to_owned(), value.to_str().map(str::to_owned)))
    })));
    layers.extend(
        sources
            .flags
            .iter()
            .map(|flag| one(flag.name, Origin::Flag(flag.name.to_owned()), flag.key, &flag.values)),
    );
    layers
}

/// A layer of one setting.
fn one(name: &str, origin: Origin, key: &str, values: &[String]) -> Layer {
    let mut layer = Layer::default();
    match (keys::find(key), values.last()) {
        (Some(key), _) if key.list => {
            let values = values.iter().cloned().map(Value::String).collect();
            layer.set(key, Value::Array(values), origin);
        }
        (Some(key), Some(value)) => layer.set_text(key, value, origin),
        (Some(_), None) => {}
        (None, _) => {
            let message = format!("{name} sets {key}, which is no setting");
            layer.problems.push(problem(origin, Some(key.to_owned()), message));
        }
    }
    layer
}

/// The layer of a file; none when it may be absent and is.
fn file(path: &Path, required: bool) -> Option<Layer> {
    let failed = |message: String| {
        let origin = Origin::File { path: path.to_owned(), line: 0 };
        Some(Layer { problems: vec![problem(origin, None, message)], ..Layer::default() })
    };
    let mut text = String::new();
    let read =
        File::open(path).and_then(|file| file.take(LARGEST_FILE + 1).read_to_string(&mut text));
    match read {
        Ok(_) if text.len() as u64 > LARGEST_FILE => {
            failed("is larger than 1 MiB: this is no configuration file".to_owned())
        }
        Ok(_) => Some(Layer::from_file(path, &text)),
        Err(error) if error.kind() == ErrorKind::NotFound && !required => None,
        Err(error) if error.kind() == ErrorKind::NotFound => failed(
            "no such file: name the one you mean with --config, or leave --config out".to_owned(),
        ),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            failed("is not UTF-8 text".to_owned())
        }
        Err(error) => {
            failed(format!("cannot be read: {error}; see that the user who runs leukd may read it"))
        }
    }
}

/// The defaults with each layer over them.
fn merge(layers: &[Layer]) -> Result<Settings, String> {
    let defaults =
        config::Config::try_from(&Settings::default()).map_err(|error| error.to_string())?;
    let mut builder = config::Config::builder().add_source(defaults);
    for layer in layers {
        let text = toml::to_string(&layer.values).map_err(|error| error.to_string())?;
        builder = builder.add_source(config::File::from_str(&text, FileFormat::Toml));
    }
    builder.build().and_then(config::Config::try_deserialize).map_err(|error| error.to_string())
}
