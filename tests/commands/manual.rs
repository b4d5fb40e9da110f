//! The manual pages: each command and each setting has its place there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::bounded::InTime as _;

const LEUKD: &str = env!("CARGO_BIN_EXE_leukd");
const NOTICE: &str = "For Research Use Only. Not for use in diagnostic procedures.";

fn pages() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("man");
    let output = Command::new(LEUKD).args(["man", "--out"]).arg(&out).in_time().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder
}

fn page(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join("man").join(name)).unwrap_or_else(|_| panic!("no {name}"))
}

/// The commands that a help lists, but for "help" itself.
fn commands(path: &[String]) -> Vec<String> {
    let output = Command::new(LEUKD).args(path).arg("--help").in_time().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_command_has_its_page_and_the_notice_stands_in_it() {
    let folder = pages();
    let mut expected = BTreeSet::from(["leukd.1".to_owned(), "leukd.toml.5".to_owned()]);
    let mut open = vec![Vec::new()];
    while let Some(path) = open.pop() {
        for name in commands(&path) {
            let inner = [&path[..], &[name]].concat();
            expected.insert(format!("leukd-{}.1", inner.join("-")));
            // What it hands over to another program is that program's.
            if inner != ["train"] {
                open.push(inner);
            }
        }
    }
    assert!(expected.len() > 15, "{expected:?}");
    let names = fs::read_dir(folder.path().join("man")).unwrap();
    let found: BTreeSet<String> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(found, expected);
    for name in expected.iter().filter(|name| name.ends_with(".1")) {
        let page = page(folder.path(), name);
        assert!(page.contains(NOTICE), "{name}");
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "FILES", "SEE ALSO"] {
            assert!(
                page.contains(&format!(".SH {section}"))
                    || page.contains(&format!(".SH \"{section}\"")),
                "{name}: {section}"
            );
        }
    }
}

#[test]
fn every_setting_stands_in_leukd_toml_5() {
    let folder = pages();
    let page = page(folder.path(), "leukd.toml.5");
    let example =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/leukd.toml"))
            .unwrap();
    let settings = example.lines().filter_map(|line| line.strip_prefix('#')).filter(|line| {
        line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ') && !key.is_empty())
    });
    let mut count = 0;
    for setting in settings {
        let key = setting.split(' ').next().unwrap();
        assert!(page.lines().any(|line| line.contains(&format!("\\fB{key} = "))), "{setting}");
        count += 1;
    }
    assert!(count > 25);
}
