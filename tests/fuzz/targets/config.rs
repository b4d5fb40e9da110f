//! A configuration file, a NUL, and lines `NAME=value` of an environment.

use std::cell::OnceCell;
use std::ffi::OsString;

use leukd::config::{Sources, load};

/// The shipped file with its settings taken in, some layers over it, and mistakes.
pub fn seeds() -> Vec<Vec<u8>> {
    let shipped = include_str!("../../../systemd/leukd.toml");
    // "#key = value" and "# words": the first become settings.
    let active: String = shipped
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => setting,
            _ => line,
        })
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .flat_map(|line| [line, "\n"])
        .collect();
    vec![
        active.clone().into_bytes(),
        format!("{active}\0LEUKD__WATCH__SETTLE_LOOKS=4\nLEUKD__RPC__LISTEN=[::1]:7\nHOME=/root")
            .into_bytes(),
        b"[watch]\nfolders = [\"/a\", \"/a/b\"]\n\0LEUKD__WATCH__FOLDERS=[\"/c\"]".to_vec(),
        b"[watch]\nsettle_loks = 3\n[journal]\nkeep_for = \"1y 2q\"\n".to_vec(),
        b"\0LEUKD__LOG__LEVEL=leukd=debug,info\nLEUKD__JOURNAL__DISK_FLOOR=12 GiB".to_vec(),
        b"[model]\ntrusted_keys = [\"RWQ\", \"/k.pub\"]\nallow_unsigned = [\"sha256:00\"]".to_vec(),
    ]
}

thread_local! {
    static FOLDER: OnceCell<tempfile::TempDir> = const { OnceCell::new() };
}

/// Settings that were accepted read back the same when they are written out; a refusal has at least
/// one problem, each with a message.
pub fn run(bytes: &[u8]) -> String {
    let (file, environment) = match bytes.iter().position(|byte| *byte == 0) {
        Some(place) => (&bytes[..place], &bytes[place + 1..]),
        None => (bytes, &[][..]),
    };
    let environment = String::from_utf8_lossy(environment);
    let variables = environment.lines().filter_map(|line| line.split_once('='));
    let environment: Vec<(OsString, OsString)> =
        variables.map(|(name, value)| (name.into(), value.into())).collect();
    let path = FOLDER.with(|folder| {
        let folder = folder.get_or_init(super::ledger::folder);
        folder.path().join("leukd.toml")
    });
    std::fs::write(&path, file).unwrap();
    let from =
        |environment| Sources { file: Some(path.clone()), environment, ..Sources::default() };
    match load(&from(environment)) {
        Ok(loaded) => {
            std::fs::write(&path, toml::to_string(&loaded.settings).unwrap()).unwrap();
            let again = load(&from(Vec::new())).unwrap();
            assert_eq!(again.settings, loaded.settings);
            format!("{} warnings", loaded.warnings.len())
        }
        Err(error) => {
            assert!(!error.problems.is_empty());
            assert!(error.problems.iter().all(|problem| !problem.message.is_empty()));
            let first = &error.problems[0];
            format!("{:?} {}", first.key, super::kind(&first.message))
        }
    }
}
