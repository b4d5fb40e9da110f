//! The alert rules and the dashboard name only metrics and labels that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::bounded::InTime as _;

use leukd::metrics::{Definition, Kind, METRICS};
use regex::Regex;
use serde_json::Value;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("observability").join(name)
}

fn dashboard() -> Value {
    serde_json::from_str(&std::fs::read_to_string(file("leukd.dashboard.json")).unwrap()).unwrap()
}

/// Each alert's fields, as the file's plain layout shows them: one field a line, longer expressions
/// indented below.
fn rules() -> Vec<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(file("leukd.rules.yml")).unwrap();
    let mut rules: Vec<BTreeMap<String, String>> = Vec::new();
    let mut block: Option<String> = None;
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let trimmed = line.trim();
        if let Some(name) = trimmed.strip_prefix("- alert: ") {
            rules.push(BTreeMap::from([("alert".to_owned(), name.to_owned())]));
            block = None;
            continue;
        }
        let Some(rule) = rules.last_mut() else { continue };
        let deeper = line.starts_with("          ");
        if let Some(key) = block.as_ref().filter(|_| deeper) {
            let text = rule.get_mut(key).unwrap();
            text.push(' ');
            text.push_str(trimmed);
            continue;
        }
        block = None;
        if let Some((key, value)) = trimmed.split_once(':') {
            let value = value.trim();
            if value == "|" {
                block = Some(key.to_owned());
                rule.insert(key.to_owned(), String::new());
            } else {
                rule.insert(key.to_owned(), value.trim_matches('"').to_owned());
            }
        }
    }
    rules
}

/// The definition behind a name in a query.
fn definition(name: &str) -> Option<&'static Definition> {
    METRICS.iter().copied().find(|definition| match definition.kind {
        Kind::Histogram => ["_bucket", "_sum", "_count"]
            .iter()
            .any(|ending| name.strip_suffix(ending) == Some(definition.name)),
        _ => definition.full_name() == name,
    })
}

/// Checks every metric of a query and every label that it is selected or grouped by. Gives the
/// metrics' names.
fn check(place: &str, query: &str) -> BTreeSet<&'static str> {
    // What label values and strings say is no name.
    let selector = Regex::new(r"\b((?:leukd|process)_[a-z0-9_]+)(?:\{([^}]*)\})?").unwrap();
    let label = Regex::new(r#"([a-z_]+)\s*(?:=~|!~|!=|=)\s*""#).unwrap();
    let grouped = Regex::new(r"\b(?:by|without) \(([^)]*)\)").unwrap();
    let mut found = BTreeSet::new();
    let mut known: BTreeSet<&str> = BTreeSet::from(["le", "instance", "job"]);
    for hit in selector.captures_iter(query) {
        let name = &hit[1];
        let definition = definition(name).unwrap_or_else(|| panic!("{place}: no metric {name}"));
        found.insert(definition.name);
        known.extend(definition.labels);
        for used in label.captures_iter(hit.get(2).map_or("", |labels| labels.as_str())) {
            let used = used.get(1).unwrap().as_str();
            let exists = definition.labels.contains(&used) || ["instance", "job"].contains(&used);
            assert!(exists, "{place}: {name} has no label {used}");
        }
    }
    for by in grouped.captures_iter(query) {
        for used in by[1].split(',').map(str::trim) {
            assert!(known.contains(used), "{place}: nothing in {query} has a label {used}");
        }
    }
    found
}

#[test]
fn every_alert_names_metrics_that_exist_and_says_what_to_do() {
    let rules = rules();
    assert!(rules.len() >= 15, "{}", rules.len());
    let mut names = BTreeSet::new();
    let mut used = BTreeSet::new();
    for rule in &rules {
        let name = &rule["alert"];
        assert!(names.insert(name), "{name} stands twice");
        let query = &rule["expr"];
        let metrics = check(name, query);
        assert!(!metrics.is_empty() || query.starts_with("up{"), "{name}: {query}");
        used.extend(metrics);
        assert!(["warning", "critical"].contains(&rule["severity"].as_str()), "{name}");
        for key in ["summary", "action"] {
            assert!(rule[key].len() > 20, "{name}: {key}");
            let open = rule[key].matches("{{").count();
            assert_eq!(open, rule[key].matches("}}").count(), "{name}: {key}");
        }
    }
    for must in [
        "leukd_degraded",
        "leukd_oldest_waiting_seconds",
        "leukd_journal_disk_free_bytes",
        "leukd_progress_age_seconds",
        "leukd_results",
        "leukd_subscriber_lag_results",
    ] {
        assert!(used.contains(must), "no alert looks at {must}");
    }
}

#[test]
fn promtool_takes_the_rules() {
    let Ok(output) =
        Command::new("promtool").args(["check", "rules"]).arg(file("leukd.rules.yml")).in_time()
    else {
        eprintln!("skipped: there is no promtool here");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_dashboard_has_grafanas_shape_and_names_metrics_that_exist() {
    let dashboard = dashboard();
    assert_eq!(dashboard["title"], "leukd");
    // A dashboard with an id of its own does not import.
    assert!(dashboard["id"].is_null());
    assert!(dashboard["schemaVersion"].as_u64().is_some_and(|version| version >= 36));
    let variables: BTreeSet<&str> = dashboard["templating"]["list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| variable["name"].as_str().unwrap())
        .collect();
    assert_eq!(variables, BTreeSet::from(["datasource", "instance"]));
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    let mut shown = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id stands twice");
        let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{title}");
        for (x, y) in (at("x")..at("x") + at("w"))
            .flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y)))
        {
            assert!(taken.insert((x, y)), "{title} lies over another panel");
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(["timeseries", "stat"].contains(&panel["type"].as_str().unwrap()), "{title}");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        let mut refs = BTreeSet::new();
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title}");
        for target in targets {
            assert!(refs.insert(target["refId"].as_str().unwrap()), "{title}");
            shown.extend(check(title, target["expr"].as_str().unwrap()));
        }
    }
    // Everything but a few that stand for themselves is on it.
    for definition in METRICS {
        let apart = [
            "leukd_build",
            "leukd_ignored_files",
            "leukd_folder_reachable",
            "leukd_queue_capacity",
            "leukd_journal_oldest_sequence",
            "leukd_journal_newest_sequence",
            "leukd_watchdog_feeds",
            "leukd_scrape_complete",
            "process_virtual_memory_bytes",
            "process_max_fds",
            "process_start_time_seconds",
        ];
        let there = shown.contains(definition.name) || apart.contains(&definition.name);
        assert!(there, "the dashboard does not show {}", definition.name);
    }
}

#[test]
#[should_panic(expected = "no metric leukd_made_up")]
fn a_made_up_metric_is_found_out() {
    check("a test", "sum(rate(leukd_made_up{code=\"OK\"}[5m]))");
}

#[test]
#[should_panic(expected = "has no label colour")]
fn a_made_up_label_is_found_out() {
    check("a test", "leukd_degraded{colour=\"red\"}");
}
