//! What the binary is made of: the bill of materials tells all of it and nothing else, under
//! licences that deny.toml allows.
//!
//! Skipped where there is no Python 3.11. `.ci/run` holds the bill against CycloneDX's own schema.
#![allow(clippy::print_stderr)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::bounded::InTime as _;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

const SOURCE: &str = env!("CARGO_MANIFEST_DIR");

/// Runs packaging/dependencies.py; the bill of materials, and both files' bytes.
fn bill() -> Option<(Value, Vec<u8>)> {
    let old = Command::new("python3").args(["-c", "import tomllib"]).in_time();
    if !old.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: there is no Python 3.11 here");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("python3")
        .arg(format!("{SOURCE}/packaging/dependencies.py"))
        .arg(folder.path())
        .in_time()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut bytes = fs::read(folder.path().join("leukd.cdx.json")).unwrap();
    let document = serde_json::from_slice(&bytes).unwrap();
    bytes.extend(fs::read(folder.path().join("third-party-licences.txt")).unwrap());
    Some((document, bytes))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

#[test]
fn the_bill_of_materials_lists_what_is_in_the_binary_and_nothing_else() {
    let Some((document, bytes)) = bill() else { return };
    assert_eq!(text(&document["metadata"]["component"], "name"), "leukd");
    assert_eq!(text(&document["metadata"]["component"], "version"), env!("CARGO_PKG_VERSION"));
    let components = document["components"].as_array().unwrap();
    let names: BTreeSet<&str> = components.iter().map(|one| text(one, "name")).collect();
    for inside in
        ["leukd-cell", "tract-onnx", "tonic", "rusqlite", "sqlite", "rust", "default.onnx"]
    {
        assert!(names.contains(inside), "{inside}: {names:?}");
    }
    // The trainer's, the tests', the build script's, another system's.
    for outside in
        ["burn", "proptest", "allocation-counter", "protox", "windows-sys", "leukd-train"]
    {
        assert!(!names.contains(outside), "{outside}");
    }
    // Whatever is named as a dependency is described, and each crate by its checksum.
    let known: BTreeSet<&str> = components
        .iter()
        .chain([&document["metadata"]["component"]])
        .map(|one| text(one, "bom-ref"))
        .collect();
    assert_eq!(known.len(), components.len() + 1, "a component stands twice");
    for edge in document["dependencies"].as_array().unwrap() {
        assert!(known.contains(text(edge, "ref")), "{edge}");
        for on in edge["dependsOn"].as_array().unwrap() {
            assert!(known.contains(on.as_str().unwrap()), "{edge}");
        }
    }
    // leukd's own crates are in no registry.
    let from_registry = |one: &&Value| {
        text(one, "purl").starts_with("pkg:cargo/") && !text(one, "name").starts_with("leukd-")
    };
    for one in components.iter().filter(from_registry) {
        assert_eq!(one["hashes"][0]["content"].as_str().map(str::len), Some(64), "{one}");
    }
    let model = components.iter().find(|one| text(one, "name") == "default.onnx").unwrap();
    let digest = Sha256::digest(fs::read(Path::new(SOURCE).join("models/default.onnx")).unwrap());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(model["hashes"][0]["content"], Value::String(digest));
    let (_, again) = bill().unwrap();
    assert_eq!(bytes, again, "the same tree gives the same bytes");
}

#[test]
fn every_licence_in_the_binary_is_one_that_deny_toml_allows() {
    let Some((document, _)) = bill() else { return };
    let deny = fs::read_to_string(Path::new(SOURCE).join("deny.toml")).unwrap();
    let deny: toml::Table = toml::from_str(&deny).unwrap();
    let allowed: BTreeSet<&str> = deny["licenses"]["allow"]
        .as_array()
        .unwrap()
        .iter()
        .map(|licence| licence.as_str().unwrap())
        .collect();
    for one in document["components"].as_array().unwrap() {
        let Some(expression) = one["licenses"][0]["expression"].as_str() else { continue };
        assert!(permits(expression, &allowed), "{}: {expression}", text(one, "name"));
    }
    let forbidden = "GPL-3.0 AND (MIT OR Apache-2.0)";
    assert!(!permits(forbidden, &allowed) && permits("GPL-3.0 OR (MIT AND ISC)", &allowed));
}

/// Whether an SPDX expression can be met with these licences.
fn permits(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let expression = expression.trim();
    for operator in [" OR ", " AND "] {
        let parts = outermost(expression, operator);
        if parts.len() > 1 {
            let mut parts = parts.into_iter().map(|part| permits(part, allowed));
            return if operator == " OR " { parts.any(|ok| ok) } else { parts.all(|ok| ok) };
        }
    }
    match expression.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) => permits(inner, allowed),
        None => allowed.contains(expression),
    }
}

/// The parts between an operator that stands in no parentheses.
fn outermost<'a>(expression: &'a str, operator: &str) -> Vec<&'a str> {
    let (mut parts, mut from, mut depth) = (Vec::new(), 0, 0_u32);
    for (at, c) in expression.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 && at >= from && expression[at..].starts_with(operator) => {
                parts.push(&expression[from..at]);
                from = at + operator.len();
            }
            _ => {}
        }
    }
    parts.push(&expression[from..]);
    parts
}
