//! The names of all settings, and the nearest one to a name that is none.

use std::path::PathBuf;
use std::sync::LazyLock;

use super::files::KeyFile;
use super::settings::{
    Access, ClientAuth, Decision, Forward, Journal, Log, Model, Rpc, Settings, Specimen, Tls, Watch,
};
use super::units::{Bytes, Span};

/// One setting's name and shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// `section.name`.
    pub(super) path: String,
    /// It takes a list.
    pub(super) list: bool,
}

/// Every setting, sorted by name.
pub(super) static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let Ok(table) = toml::Table::try_from(exemplar()) else { return Vec::new() };
    let mut keys: Vec<Key> = table
        .iter()
        .filter_map(|(section, settings)| Some((section, settings.as_table()?)))
        .flat_map(|(section, settings)| {
            settings.iter().map(move |(name, value)| Key {
                path: format!("{section}.{name}"),
                list: value.is_array(),
            })
        })
        .collect();
    keys.sort_by(|a, b| a.path.cmp(&b.path));
    keys
});

/// Settings with every optional one set, so that all names appear when it is written out. The
/// structs that have optional settings are listed field by field: a new field is then a compile
/// error here.
fn exemplar() -> Settings {
    let (journal, model, access) = (Journal::default(), Model::default(), Access::default());
    let log = Log::default();
    let key = || Some(KeyFile::Path(PathBuf::new()));
    Settings {
        watch: Watch { micrometres_per_pixel: Some(1.0), ..Watch::default() },
        model: Model {
            bundle: Some(PathBuf::new()),
            folder: Some(PathBuf::new()),
            engine: model.engine,
            trusted_keys: model.trusted_keys,
            allow_unsigned: model.allow_unsigned,
            max_file: model.max_file,
            max_memory: model.max_memory,
        },
        decision: Decision { review: Some((0.0, 1.0)) },
        journal: Journal {
            directory: journal.directory,
            keep_for: Some(Span::from_secs(1)),
            keep_count: Some(1),
            disk_floor: Bytes(0),
            keep_images: journal.keep_images,
            max_images: journal.max_images,
        },
        specimen: Specimen { done_marker: Some(String::new()), ..Specimen::default() },
        forward: Forward {
            site: Some(String::new()),
            url: Some(String::new()),
            password_file: key(),
            ca: key(),
            certificate: key(),
            key: key(),
        },
        rpc: Rpc { socket: Some(PathBuf::new()), ..Rpc::default() },
        tls: Tls {
            certificate: key(),
            key: key(),
            client_ca: key(),
            client: ClientAuth::default(),
        },
        access: Access {
            file: key(),
            max_requests: access.max_requests,
            max_streams: access.max_streams,
            max_bytes: access.max_bytes,
        },
        log: Log { level: log.level, format: log.format, otlp: Some(String::new()) },
        ..Settings::default()
    }
}

/// The setting of this name.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// All names of one section, or none when there is no such section.
pub(super) fn in_section(section: &str) -> Vec<&'static str> {
    KEYS.iter()
        .filter_map(|key| {
            let (of, name) = key.path.split_once('.')?;
            (of == section).then_some(name)
        })
        .collect()
}

/// The names of the sections.
pub(super) fn sections() -> Vec<&'static str> {
    let mut sections: Vec<&str> =
        KEYS.iter().filter_map(|key| Some(key.path.split_once('.')?.0)).collect();
    sections.dedup();
    sections
}

/// "; did you mean `x`?" for the candidate nearest to `wrong`, or nothing when none is near.
pub(super) fn did_you_mean<'a>(
    wrong: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> String {
    candidates
        .into_iter()
        .map(|candidate| (distance(wrong, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min()
        .map_or_else(String::new, |(_, candidate)| format!("; did you mean `{candidate}`?"))
}

/// Levenshtein's edit distance in bytes, with one row of the table kept (Wagner and Fischer 1974).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_and_optional_setting_has_a_name() {
        assert_eq!(
            sections(),
            [
                "access", "decision", "forward", "image", "journal", "log", "metrics", "model",
                "page", "rpc", "specimen", "tls", "watch", "workers"
            ]
        );
        for key in [
            "model.bundle",
            "model.folder",
            "journal.keep_for",
            "journal.keep_count",
            "rpc.drain",
            "rpc.socket",
            "forward.url",
            "specimen.done_marker",
            "tls.key",
            "access.file",
        ] {
            assert!(find(key).is_some(), "{key}");
        }
        assert!(find("watch.folders").is_some_and(|key| key.list));
        assert!(find("watch").is_none());
    }

    #[test]
    fn edit_distance_counts_inserts_deletes_and_replacements() {
        for (a, b, expected) in [
            ("", "", 0),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("settle_loks", "settle_looks", 1),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn the_nearest_name_is_suggested_and_a_far_one_is_not() {
        assert_eq!(
            did_you_mean("settle_loks", in_section("watch")),
            "; did you mean `settle_looks`?"
        );
        assert_eq!(did_you_mean("colour", in_section("watch")), "");
    }
}
