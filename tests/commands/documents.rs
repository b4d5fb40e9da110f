//! What the documents name exists.

use std::path::Path;
use std::process::Command;

use crate::bounded::InTime as _;

/// Every `` `path.rs::function` `` of a text.
fn tests_of(text: &str) -> Vec<(&str, &str)> {
    text.split('`').skip(1).step_by(2).filter_map(|word| word.split_once(".rs::")).collect()
}

fn is_test(file: &str, name: &str) -> bool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{file}.rs"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let at = |line: &str| {
        line.starts_with(&format!("fn {name}(")) || line.starts_with(&format!("async fn {name}("))
    };
    let Some(at) = lines.iter().position(|line| at(line)) else { return false };
    let above = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
    above.clone().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
        && !above.clone().any(|line| line.starts_with("#[ignore"))
}

/// In each table whose last column is "test", every row names a test that is run.
fn every_row_names_a_test(document: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut rows = 0;
    let mut table = None;
    for (index, line) in lines.iter().enumerate() {
        if !line.starts_with('|') {
            table = None;
            continue;
        }
        if table.is_none() {
            // A header is what a line of dashes follows; without both it is no table, however much it looks like one.
            let ruled = lines.get(index + 1).is_some_and(|next| next.starts_with("|---"));
            assert!(ruled, "{document}: no header above the row {line:?}");
        }
        let has_tests = *table.get_or_insert(line.ends_with("| test |"));
        if !has_tests || line.ends_with("| test |") || line.starts_with("|---") {
            continue;
        }
        rows += 1;
        let named = tests_of(line);
        let refers = line.ends_with("| the same |");
        assert!(refers || !named.is_empty(), "{document}: no test in the row {line:?}");
        for (file, name) in named {
            assert!(is_test(file, name), "{document} names {file}.rs::{name}, which is no test");
        }
    }
    assert!(rows > 10, "{document}: {rows} rows");
}

#[test]
fn every_row_of_the_fault_table_names_a_test_that_exists() {
    every_row_names_a_test("docs/faults.md");
}

#[test]
fn every_row_of_the_threat_model_names_a_test_that_exists() {
    every_row_names_a_test("docs/threat-model.md");
}

/// Every word in double quotes that follows one of `marks` in a source file.
fn words_after(source: &str, marks: &[&str]) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let after = |mark: &&str| {
        let pieces: Vec<&str> = text.split(mark).skip(1).collect();
        pieces
            .into_iter()
            .filter_map(|piece| Some(piece.split_once('"')?.0.to_owned()))
            .collect::<Vec<_>>()
    };
    let squeezed = |word: &String| !word.is_empty() && !word.contains(' ');
    marks.iter().flat_map(after).filter(squeezed).collect()
}

#[test]
fn the_integrators_page_names_every_stable_word() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/integrator.md");
    let page = std::fs::read_to_string(page).unwrap();
    for (source, marks, least) in [
        ("src/specimen.rs", &["missing(\"", "missing(\n            \"", "code: \""][..], 7),
        ("crates/leukd-cell/src/fault.rs", &["=> \""], 6),
        ("crates/leukd-cell/src/quality.rs", &["&str = \""], 3),
        ("src/pipeline/folder.rs", &["Reason::new(\""], 3),
        ("src/pipeline/examine.rs", &["Reason::new(\""], 1),
        ("src/model/verdict.rs", &["&str = \""], 1),
    ] {
        let words = words_after(source, marks);
        assert!(words.len() >= least, "{source}: {words:?}");
        for word in words {
            assert!(page.contains(&format!("`{word}`")), "{source}: {word:?} is not in the page");
        }
    }
}

/// A line of results or counts without what differs from run to run: place in the journal and time; and without probabilities,
/// whose last digits are the processor's.
fn lasting(line: &str) -> String {
    let is_lasting = |word: &&str| {
        let is_time = word.starts_with("20") && word.ends_with('Z');
        !is_time && word.parse::<f64>().is_err()
    };
    line.split_whitespace().filter(is_lasting).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_haematologists_page_shows_what_the_demo_shows() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/haematologist.md");
    let page = std::fs::read_to_string(page).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let demo = Command::new(env!("CARGO_BIN_EXE_leukd")).arg("demo").current_dir(&folder).in_time();
    let demo = String::from_utf8(demo.unwrap().stdout).unwrap();
    let shown: Vec<String> = demo.lines().map(lasting).collect();
    let blocks: Vec<&str> = page.split("```text\n").skip(1).collect();
    let examples = blocks.iter().filter_map(|block| block.split_once("```"));
    let mut lines = 0;
    for line in examples.flat_map(|(example, _)| example.lines()) {
        assert!(shown.contains(&lasting(line)), "{line}\nis not in\n{demo}");
        lines += 1;
    }
    assert!(lines >= 4, "{lines} lines");
}
