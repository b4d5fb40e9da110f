//! A recipe from a shipped one, a file over it, and single settings over both.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{Recipe, RecipeError, SHIPPED};

/// The key of a recipe file that names the shipped recipe below it.
const BASE: &str = "base";

/// The shipped recipe under a file that names none.
const DEFAULT_BASE: &str = "seed";

/// Where one setting was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file, from 1.
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// A flag of the command line, as the user knows it: `--batch`, `--set optimizer.kind`.
    Flag(String),
    /// A recipe that comes with the trainer.
    Shipped(&'static str),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Flag(flag) => f.write_str(flag),
            Self::Shipped(name) => write!(f, "the recipe {name:?}"),
        }
    }
}

/// One setting over a recipe: `optimizer.learning_rate` and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Section and key, divided by a dot; the name alone has no section.
    pub key: String,
    /// As in TOML.
    pub value: Value,
    /// Where it was made.
    pub origin: Origin,
}

impl Setting {
    /// A setting made by a flag.
    pub fn flag(flag: &str, key: &str, value: impl Into<Value>) -> Self {
        let origin = Origin::Flag(flag.to_owned());
        Self { key: key.to_owned(), value: value.into(), origin }
    }

    /// Reads `section.key=value`; a value that is no TOML is taken as a word.
    ///
    /// # Errors
    ///
    /// Where there is no `=`.
    pub fn parse(text: &str) -> Result<Self, RecipeError> {
        let Some((key, value)) = text.split_once('=') else {
            return Err(RecipeError::NoSetting(text.to_owned()));
        };
        let (key, value) = (key.trim(), value.trim());
        let parsed = format!("value = {value}")
            .parse::<Table>()
            .ok()
            .and_then(|mut table| table.remove("value"))
            .unwrap_or_else(|| Value::String(value.to_owned()));
        Ok(Self::flag(&format!("--set {key}"), key, parsed))
    }
}

impl Recipe {
    /// The shipped recipe of this name, or the file at this path, with `settings` over it.
    ///
    /// A file holds what it changes; its first key may be `base = "modern"`, else it lies over
    /// `seed`. Where `schedule.kind` changes, the shipped recipe with that kind gives the rest of
    /// the section.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is no TOML; a key that does not exist; a value that is
    /// impossible: each named with its file and line, or its flag.
    pub fn read(source: &str, settings: &[Setting]) -> Result<Self, RecipeError> {
        let mut all = Vec::new();
        let base = if let Some((name, _)) = SHIPPED.iter().find(|(name, _)| *name == source) {
            *name
        } else {
            let (base, made) = file(Path::new(source))?;
            all = made;
            base
        };
        all.extend_from_slice(settings);
        let mut table = shipped(base)?;
        // Sections are changed whole before their keys are, so that the order does not matter.
        for setting in all.iter().filter(|setting| setting.key == "schedule.kind") {
            change_schedule(&mut table, setting)?;
        }
        let mut recipe = parse(&table, &Origin::Shipped(base), "")?;
        for setting in &all {
            insert(&mut table, setting)?;
            recipe = parse(&table, &setting.origin, &setting.key)?;
        }
        recipe.check().map_err(|(key, problem)| RecipeError::Impossible {
            origin: origin_of(&all, base, key),
            key: key.to_owned(),
            problem,
        })?;
        Ok(recipe)
    }
}

/// The last that set `key`.
fn origin_of(settings: &[Setting], base: &'static str, key: &str) -> Origin {
    let last = settings.iter().rev().find(|setting| setting.key == key);
    last.map_or(Origin::Shipped(base), |setting| setting.origin.clone())
}

fn shipped(name: &str) -> Result<Table, RecipeError> {
    let text = SHIPPED.iter().find(|(own, _)| *own == name).map(|(_, text)| *text);
    let text = text.ok_or_else(|| RecipeError::UnknownBase(name.to_owned()))?;
    text.parse()
        .map_err(|error| RecipeError::NoToml { path: name.into(), problem: format!("{error}") })
}

fn parse(table: &Table, origin: &Origin, key: &str) -> Result<Recipe, RecipeError> {
    table.clone().try_into().map_err(|error: toml::de::Error| RecipeError::Impossible {
        origin: origin.clone(),
        key: key.to_owned(),
        problem: error.message().to_owned(),
    })
}

fn change_schedule(table: &mut Table, setting: &Setting) -> Result<(), RecipeError> {
    let kind = |table: &Table| table.get("schedule")?.get("kind").cloned();
    if kind(table).as_ref() == Some(&setting.value) {
        return Ok(());
    }
    for (name, _) in SHIPPED {
        let other = shipped(name)?;
        if kind(&other).as_ref() == Some(&setting.value)
            && let Some(section) = other.get("schedule")
        {
            table.insert("schedule".to_owned(), section.clone());
            return Ok(());
        }
    }
    Err(RecipeError::Impossible {
        origin: setting.origin.clone(),
        key: setting.key.clone(),
        problem: format!("{} is neither \"plateau\" nor \"cosine\"", setting.value),
    })
}

fn insert(table: &mut Table, setting: &Setting) -> Result<(), RecipeError> {
    let unknown = |known: &Table| RecipeError::UnknownKey {
        origin: setting.origin.clone(),
        key: setting.key.clone(),
        known: known.keys().cloned().collect::<Vec<_>>().join(", "),
    };
    let value = setting.value.clone();
    let Some((section, key)) = setting.key.split_once('.') else {
        return match table.get_mut(&setting.key) {
            Some(place) if !place.is_table() => {
                *place = value;
                Ok(())
            }
            _ => Err(unknown(table)),
        };
    };
    let Some(Value::Table(inner)) = table.get_mut(section) else {
        return Err(unknown(table));
    };
    // The one key that a shipped recipe leaves out.
    if !inner.contains_key(key) && setting.key != "steps.minutes" {
        return Err(unknown(inner));
    }
    inner.insert(key.to_owned(), value);
    Ok(())
}

/// The base and the settings of a file.
fn file(path: &Path) -> Result<(&'static str, Vec<Setting>), RecipeError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| RecipeError::File { path: path.to_owned(), source })?;
    let no_toml = |problem: String| RecipeError::NoToml { path: path.to_owned(), problem };
    let mut table: Table = text.parse().map_err(|error| no_toml(format!("{error}")))?;
    let base = match table.remove(BASE) {
        None => DEFAULT_BASE,
        Some(named) => SHIPPED
            .iter()
            .map(|(name, _)| *name)
            .find(|name| named.as_str() == Some(name))
            .ok_or_else(|| RecipeError::UnknownBase(named.to_string()))?,
    };
    let mut settings = Vec::new();
    for (name, value) in table {
        if let Value::Table(section) = value {
            settings.extend(section.into_iter().map(|(key, value)| {
                let line = line_of(&text, Some(&name), &key);
                let origin = Origin::File { path: path.to_owned(), line };
                Setting { key: format!("{name}.{key}"), value, origin }
            }));
        } else {
            let line = line_of(&text, None, &name);
            let origin = Origin::File { path: path.to_owned(), line };
            settings.push(Setting { key: name, value, origin });
        }
    }
    Ok((base, settings))
}

/// The line, from 1, where `section`'s `key` stands; the section's where the key is written in
/// another way than `key = value`.
fn line_of(text: &str, section: Option<&str>, key: &str) -> usize {
    let mut current: Option<&str> = None;
    let mut header = 1;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            current = Some(name.trim());
            if current == section {
                header = index + 1;
            }
        } else if current == section
            && line.split('=').next().is_some_and(|name| name.trim() == key)
        {
            return index + 1;
        }
    }
    header
}
