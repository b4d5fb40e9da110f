//! The settings as the audit chain keeps them: flat, and without secrets.

use serde_json::{Map, Value};

use super::settings::Settings;

/// Settings whose values are secrets themselves; none is: keys and tokens lie in files, and only
/// their paths are settings.
const SECRETS: &[&str] = &[];

/// Replacement for a secret.
const HIDDEN: &str = "(not told)";

/// Every setting as `section.key`, null where it is not set.
#[must_use]
pub fn audited(settings: &Settings) -> Map<String, Value> {
    flat(serde_json::to_value(settings).unwrap_or_default(), SECRETS)
}

fn flat(settings: Value, secrets: &[&str]) -> Map<String, Value> {
    let mut all = Map::new();
    let Value::Object(sections) = settings else { return all };
    for (section, settings) in sections {
        let Value::Object(settings) = settings else { continue };
        for (name, value) in settings {
            let key = format!("{section}.{name}");
            let hide = secrets.contains(&key.as_str()) && !value.is_null();
            all.insert(key, if hide { HIDDEN.into() } else { value });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_there_and_no_secret() {
        let all = audited(&Settings::default());
        let keys: Vec<&str> = all.keys().map(String::as_str).collect();
        for key in super::super::keys::KEYS.iter() {
            assert!(keys.contains(&key.path.as_str()), "{}", key.path);
        }
        let secret = flat(serde_json::json!({"a": {"b": "s3cret", "c": 1}}), &["a.b"]);
        assert_eq!(secret["a.b"], HIDDEN);
        assert_eq!(secret["a.c"], 1);
    }
}
