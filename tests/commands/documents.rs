//! The documents agree with the program, the tests and each other.

use std::path::Path;
use std::process::Command;

use crate::bounded::InTime as _;
use leukd::result::ReasonCode;

/// Every `` `path.rs::function` `` of a text.
fn tests_of(text: &str) -> Vec<(&str, &str)> {
    text.split('`').skip(1).step_by(2).filter_map(|word| word.split_once(".rs::")).collect()
}

/// A file of the repository.
fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

fn is_test(file: &str, name: &str) -> bool {
    let text = read(&format!("{file}.rs"));
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let at = |line: &str| {
        line.starts_with(&format!("fn {name}(")) || line.starts_with(&format!("async fn {name}("))
    };
    let Some(at) = lines.iter().position(|line| at(line)) else { return false };
    let above = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
    above.clone().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
        && !above.clone().any(|line| line.starts_with("#[ignore"))
}

/// Each entry of a list of faults or threats (`- **…`) names at least one test that runs, below it
/// (`  - …`).
fn every_entry_names_a_test(document: &str) {
    let text = read(document);
    let mut entries: Vec<(&str, usize)> = Vec::new();
    for line in text.lines() {
        if line.starts_with("- **") {
            entries.push((line, 0));
        } else if line.starts_with("  - `") {
            let named = tests_of(line);
            assert!(!named.is_empty(), "{document}: no test in {line:?}");
            for (file, name) in named {
                assert!(
                    is_test(file, name),
                    "{document} names {file}.rs::{name}, which is no test"
                );
                entries.last_mut().expect("an entry above its test").1 += 1;
            }
        }
    }
    let tested = entries.iter().filter(|(_, tests)| *tests > 0).count();
    assert!(tested > 10, "{document}: {tested} entries");
    let bare: Vec<&str> =
        entries.iter().filter(|(_, tests)| *tests == 0).map(|(line, _)| *line).collect();
    // Actors of the threat model say what they may do; nothing is tested of them here.
    assert!(bare.iter().all(|line| line.contains("May ")), "{document}: no test below {bare:?}");
}

#[test]
fn every_fault_names_a_test_that_exists() {
    every_entry_names_a_test("docs/development/faults.md");
}

#[test]
fn every_threat_names_a_test_that_exists() {
    every_entry_names_a_test("docs/development/threat-model.md");
}

/// All Rust source below a folder, with strings on one line.
fn source_below(folder: &str, into: &mut String) {
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
        let entry = entry.unwrap();
        let below = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            source_below(&below, into);
        } else if below.ends_with(".rs") {
            // A string goes on behind its backslash.
            for line in read(&below).lines() {
                let line = line.trim_start();
                *into += line.strip_suffix('\\').unwrap_or(line);
            }
        }
    }
}

#[test]
fn every_symptom_names_its_test_and_the_words_of_the_program() {
    let text = read("docs/guide/troubleshooting.md");
    let mut source = String::new();
    for folder in ["src", "crates/leukd-journal/src", "crates/leukd-ingest/src"] {
        source_below(folder, &mut source);
    }
    let entries: Vec<&str> = text.split("\n- **").skip(1).collect();
    assert!(entries.len() > 20, "{} entries", entries.len());
    for entry in entries {
        let entry = entry.split("\n## ").next().unwrap();
        let (words, test) = entry.split_once("<!--").expect(entry);
        let (file, name) = test.split_once("-->").unwrap().0.split_once(".rs::").unwrap();
        assert!(is_test(file, name), "{file}.rs::{name} is no test");
        let Some((_, says)) = words.split_once("leukd says") else { continue };
        let says = says.split_whitespace().collect::<Vec<_>>().join(" ");
        // What it says, up to the end of that sentence; what follows is advice.
        for quoted in says.split('`').skip(1).step_by(2).filter(|own| own.contains('…')) {
            for piece in quoted.split('…').map(str::trim).filter(|piece| piece.len() > 3) {
                assert!(source.contains(piece), "leukd does not say {piece:?} of {quoted:?}");
            }
        }
    }
}

/// Every word in double quotes that follows one of `marks` in a source file.
fn words_after(source: &str, marks: &[&str]) -> Vec<String> {
    let text = read(source);
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
    let page = read("docs/clients/integrator.md");
    for code in ReasonCode::EVERY {
        assert!(page.contains(&format!("`{code}`")), "{code} is not in the page");
    }
    for (source, marks, least) in [
        ("src/specimen.rs", &["missing(\"", "missing(\n            \"", "code: \""][..], 7),
        ("crates/leukd-cell/src/quality.rs", &["&str = \""], 3),
    ] {
        let words = words_after(source, marks);
        assert!(words.len() >= least, "{source}: {words:?}");
        for word in words {
            assert!(page.contains(&format!("`{word}`")), "{source}: {word:?} is not in the page");
        }
    }
}

/// A line of results or counts without its variable parts: place in the journal, time, and
/// probabilities, whose last digits are the processor's.
fn lasting(line: &str) -> String {
    let is_lasting = |word: &&str| {
        let is_time = word.starts_with("20") && word.ends_with('Z');
        !is_time && word.parse::<f64>().is_err()
    };
    line.split_whitespace().filter(is_lasting).collect::<Vec<_>>().join(" ")
}

#[test]
fn documents_show_what_the_demo_prints() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Command::new(env!("CARGO_BIN_EXE_leukd"))
        .args(["demo", "--once"])
        .current_dir(&folder)
        .in_time();
    let demo = String::from_utf8(demo.unwrap().stdout).unwrap();
    let printed: Vec<String> = demo.lines().map(lasting).collect();
    for document in ["README.md", "docs/guide/haematologist.md"] {
        let page = read(document);
        let blocks: Vec<&str> = page.split("```text\n").skip(1).collect();
        let examples = blocks.iter().filter_map(|block| block.split_once("```"));
        let mut lines = 0;
        for line in examples.flat_map(|(example, _)| example.lines()) {
            // A document may cut a line at the right.
            let is_printed = match line.strip_suffix('…') {
                Some(begun) => printed.iter().any(|whole| whole.starts_with(&lasting(begun))),
                None => printed.contains(&lasting(line)),
            };
            assert!(is_printed, "{document}: {line}\nis not in\n{demo}");
            lines += 1;
        }
        assert!(lines >= 4, "{document}: {lines} lines");
    }
}

/// Every Markdown file that people read.
fn documents() -> Vec<String> {
    let mut found: Vec<String> =
        ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "SECURITY.md", "models/README.md"]
            .map(str::to_owned)
            .into();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in std::fs::read_dir(root.join("docs")).unwrap() {
        let folder = folder.unwrap().file_name().into_string().unwrap();
        for page in std::fs::read_dir(root.join("docs").join(&folder)).unwrap() {
            let page = page.unwrap().file_name().into_string().unwrap();
            // Pictures lie there too.
            if !page.ends_with(".md") {
                continue;
            }
            found.push(format!("docs/{folder}/{page}"));
        }
    }
    assert!(found.len() > 20, "{found:?}");
    found
}

#[test]
fn the_reference_is_what_the_program_writes() {
    let folder = tempfile::tempdir().unwrap();
    let man = Command::new(env!("CARGO_BIN_EXE_leukd"))
        .args(["man", "--markdown", "--out"])
        .arg(folder.path())
        .in_time()
        .unwrap();
    assert!(man.status.success(), "{man:?}");
    let mut pages = 0;
    for page in std::fs::read_dir(folder.path()).unwrap() {
        let page = page.unwrap();
        let name = format!("docs/reference/{}", page.file_name().into_string().unwrap());
        let written = std::fs::read_to_string(page.path()).unwrap();
        if std::env::var_os("LEUKD_UPDATE_DOCS").is_some() {
            std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(&name), &written).unwrap();
        }
        assert!(read(&name) == written, "{name}: run this test with LEUKD_UPDATE_DOCS=1");
        pages += 1;
    }
    assert_eq!(pages, 4);
}

#[test]
fn every_relative_link_leads_to_a_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut links = 0;
    for document in documents() {
        let text = read(&document);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        for target in targets.map(|(target, _)| target).filter(|target| !target.contains("://")) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let folder = Path::new(&document).parent().unwrap();
            let path = if file.is_empty() { document.clone().into() } else { folder.join(file) };
            assert!(root.join(&path).exists(), "{document} links to {target}");
            if !heading.is_empty() {
                let headings: Vec<String> = read(path.to_str().unwrap())
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .map(slug)
                    .collect();
                assert!(
                    headings.iter().any(|h| h == heading),
                    "{document}: {target}, {headings:?}"
                );
            }
            links += 1;
        }
    }
    assert!(links > 50, "{links} links");
}

/// A heading's anchor, as GitHub makes it.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn readme_fits_on_a_screen_and_lines_are_short() {
    let readme = read("README.md");
    assert!(readme.len() <= 9_000 && readme.lines().count() <= 150, "{} bytes", readme.len());
    assert!(read("ARCHITECTURE.md").lines().count() <= 150);
    for document in documents() {
        for (index, line) in read(&document).lines().enumerate() {
            // A single long word, such as a test's name, cannot be broken.
            let is_one_word = line.trim_start_matches([' ', '-']).split(' ').count() == 1;
            let length = line.chars().count();
            assert!(length <= 100 || is_one_word, "{document}:{}: {length}", index + 1);
        }
    }
}
