//! A recipe as names and values, for a manifest and for a report.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::Recipe;

impl Recipe {
    /// Every setting by its key, `optimizer.learning_rate`, with its value as TOML writes it.
    #[must_use]
    pub fn settings(&self) -> BTreeMap<String, String> {
        let table: Table = Table::try_from(self).unwrap_or_default();
        let mut settings = BTreeMap::new();
        for (name, value) in table {
            match value {
                Value::Table(section) => settings.extend(
                    section.into_iter().map(|(key, value)| (format!("{name}.{key}"), word(&value))),
                ),
                value => {
                    settings.insert(name, word(&value));
                }
            }
        }
        settings
    }
}

fn word(value: &Value) -> String {
    match value {
        Value::String(word) => word.clone(),
        other => other.to_string(),
    }
}
