//! One layer of settings: its values, each tried on its own, and where each was written.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::de::{DeTable, ValueDeserializer};
use toml::{Table, Value};

use super::error::{Origin, Problem};
use super::keys::{self, Key};
use super::settings::Settings;

/// The start of every variable that is a setting.
pub(super) const ENV_PREFIX: &str = "LEUKD__";

/// Settings of one layer. Only known names whose value fits get in.
#[derive(Debug, Default)]
pub(super) struct Layer {
    /// Section → name → value.
    pub(super) values: Table,
    /// `section.name` → where it was written.
    pub(super) origins: BTreeMap<String, Origin>,
    /// Refused values, with reasons.
    pub(super) problems: Vec<Problem>,
}

impl Layer {
    /// Takes a value in, or notes why not.
    pub(super) fn set(&mut self, key: &Key, value: Value, origin: Origin) {
        match try_value(key, value.clone()) {
            Ok(()) => self.insert(key, value, origin),
            Err(message) => self.refuse(origin, Some(key.path.clone()), message),
        }
    }

    fn insert(&mut self, key: &Key, value: Value, origin: Origin) {
        let Some((section, name)) = key.path.split_once('.') else { return };
        let section = self.values.entry(section).or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(section) = section {
            section.insert(name.to_owned(), value);
            self.origins.insert(key.path.clone(), origin);
        }
    }

    fn refuse(&mut self, origin: Origin, key: Option<String>, message: String) {
        self.problems.push(Problem { origin, key, message });
    }

    /// The layer that a TOML file makes.
    pub(super) fn from_file(path: &Path, text: &str) -> Self {
        let mut layer = Self::default();
        let at =
            |offset: usize| Origin::File { path: path.to_owned(), line: line_of(text, offset) };
        // Twice: once for where each name stands, once for plain values.
        let parsed = DeTable::parse(text).and_then(|spans| Ok((spans, text.parse::<Table>()?)));
        let (spans, values) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => {
                let origin = at(error.span().map_or(0, |span| span.start));
                layer.refuse(origin, None, format!("is not TOML: {}", error.message()));
                return layer;
            }
        };
        for (section, settings) in spans.get_ref() {
            let (name, origin) = (section.get_ref().as_ref(), at(section.span().start));
            let known = keys::in_section(name);
            if known.is_empty() {
                let message = unknown_section(name);
                layer.refuse(origin, Some(name.to_owned()), message);
                continue;
            }
            let (Some(settings), Some(Value::Table(plain))) =
                (settings.get_ref().as_table(), values.get(name))
            else {
                let message =
                    format!("is a section: write [{name}] and its settings on the lines below");
                layer.refuse(origin, Some(name.to_owned()), message);
                continue;
            };
            for setting in settings.keys() {
                let origin = at(setting.span().start);
                let path = format!("{name}.{}", setting.get_ref());
                match (keys::find(&path), plain.get(setting.get_ref().as_ref())) {
                    (Some(key), Some(value)) => layer.set(key, value.clone(), origin),
                    _ => {
                        let near = keys::did_you_mean(setting.get_ref(), known.iter().copied());
                        let message =
                            format!("no such setting{near}; [{name}] has: {}", known.join(", "));
                        layer.refuse(origin, Some(path), message);
                    }
                }
            }
        }
        layer
    }

    /// The layer that `LEUKD__SECTION__KEY` variables make; other variables are passed over.
    pub(super) fn from_env(variables: impl IntoIterator<Item = (String, Option<String>)>) -> Self {
        let mut layer = Self::default();
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix(ENV_PREFIX) else { continue };
            let origin = Origin::Env(name.clone());
            let path = rest.to_lowercase().replacen("__", ".", 1);
            let (Some(key), Some(text)) = (keys::find(&path), &text) else {
                let message = if text.is_none() {
                    "is not UTF-8".to_owned()
                } else {
                    let names: Vec<String> =
                        keys::KEYS.iter().map(|key| variable(&key.path)).collect();
                    let near = keys::did_you_mean(&name, names.iter().map(String::as_str));
                    format!("no such setting{near}; variables are named {ENV_PREFIX}SECTION__KEY")
                };
                layer.refuse(origin, Some(path), message);
                continue;
            };
            layer.set_text(key, text, origin);
        }
        layer
    }

    /// Takes in what a person wrote outside of TOML: plain text for a text, a number for a number,
    /// and for a list either one entry or a TOML array.
    pub(super) fn set_text(&mut self, key: &Key, text: &str, origin: Origin) {
        let plain = Value::String(text.to_owned());
        let parsed = || {
            let value = ValueDeserializer::parse(text).ok()?;
            Value::deserialize(value).ok()
        };
        let value = match key.list {
            true if text.trim_start().starts_with('[') => parsed().unwrap_or(plain),
            true => Value::Array(vec![plain]),
            false if try_value(key, plain.clone()).is_ok() => plain,
            false => parsed().unwrap_or(plain),
        };
        self.set(key, value, origin);
    }
}

/// The variable that sets this key.
fn variable(path: &str) -> String {
    format!("{ENV_PREFIX}{}", path.replace('.', "__").to_uppercase())
}

fn unknown_section(name: &str) -> String {
    let sections = keys::sections();
    let near = keys::did_you_mean(name, sections.iter().copied());
    format!("no such section{near}; there are: {}", sections.join(", "))
}

/// The line of a byte offset, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// Checks that the value has the setting's type; serde's message if not.
fn try_value(key: &Key, value: Value) -> Result<(), String> {
    let Some((section, name)) = key.path.split_once('.') else { return Ok(()) };
    let inner = Table::from_iter([(name.to_owned(), value)]);
    let outer = Table::from_iter([(section.to_owned(), Value::Table(inner))]);
    outer.try_into::<Settings>().map(drop).map_err(|error| {
        let hint = match key.path.as_str() {
            "rpc.listen" => "; write an IP address and a port, for example \"127.0.0.1:50051\"",
            "decision.review" => "; write two numbers, for example [0.3, 0.7]",
            "specimen.flags" => "; write a list of numbers, for example [0.2, 0.25]",
            "watch.rules" => {
                "; write a list of tables, for example [{ glob = \"/exports/scope-2/**\", kind = \"field\" }]"
            }
            _ if key.list => "; write a list of texts, for example [\"a\", \"b\"]",
            _ => "",
        };
        format!("{}{hint}", error.message())
    })
}
