//! Files into a folder, and settings that cannot work.

use leukd::result::RESEARCH_USE_ONLY;

use super::*;
use crate::support::process::{leukd, stderr};

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    // As an importer does: hidden files are under way.
    files.retain(|file| !file.file_name().unwrap().to_str().unwrap().starts_with('.'));
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_specimen_is_a_csv_file_and_a_fhir_file_once_the_folder_is_there() {
    let harness = daemon_on(Folders::new()).await;
    feed(&harness.folders, 0..2);
    let folder = tempfile::tempdir().unwrap();
    for (kind, extension) in [("csv", "csv"), ("fhir", "json")] {
        let import = folder.path().join(kind);
        let state = folder.path().join(format!("{kind}-state"));
        let to = import.to_str().unwrap();
        let _running = start(bridge(kind, &url(&harness), to, &state, &[]));
        // The folder is a share that comes late.
        until("a file under way", async || state.join("pending.json").exists().then_some(())).await;
        std::fs::create_dir(&import).unwrap();
        let expected = summarised(&harness, 2).await;
        until("the files", async || (files(&import).len() >= 2).then_some(())).await;
        let names: Vec<_> = expected
            .iter()
            .map(|(id, specimen)| {
                let (epoch, sequence) = id.split_once(':').unwrap();
                format!("leukd_{specimen}_{epoch}_{sequence:0>12}.{extension}")
            })
            .collect();
        let found = files(&import);
        let found: BTreeSet<_> =
            found.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(found, names.iter().map(String::as_str).collect());
        for file in files(&import) {
            assert!(std::fs::read_to_string(file).unwrap().contains(RESEARCH_USE_ONLY));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_lists_each_column_metric_and_code() {
    let harness = daemon_on(Folders::new()).await;
    feed(&harness.folders, 0..1);
    summarised(&harness, 1).await;
    let folder = tempfile::tempdir().unwrap();
    let page = std::fs::read_to_string(root().join("docs/clients/bridges.md")).unwrap();
    let to = folder.path().join("import");
    std::fs::create_dir(&to).unwrap();
    let state = folder.path().join("state");
    let mut once = bridge("csv", &url(&harness), to.to_str().unwrap(), &state, &["--once"]);
    assert!(once.status().unwrap().success());
    let file = std::fs::read_to_string(&files(&to)[0]).unwrap();
    let columns: Vec<_> = file.lines().next().unwrap().split(',').collect();
    for column in &columns {
        assert!(page.contains(&format!("| `{column}` |")), "{column}");
    }
    assert_eq!(page.matches("\n| `").count(), columns.len() + METRICS.len(), "no other row");
    for metric in METRICS {
        assert!(page.contains(&format!("| `{metric}` |")), "{metric}");
    }
}

/// Every metric by its name in queries.
const METRICS: [&str; 9] = [
    "leukd_bridge_connected",
    "leukd_bridge_away",
    "leukd_bridge_lag_seconds",
    "leukd_bridge_lag_events",
    "leukd_bridge_acknowledged_total",
    "leukd_bridge_refused_total",
    "leukd_bridge_failed_total",
    "leukd_bridge_dead_letters",
    "leukd_bridge_last_acknowledged_timestamp_seconds",
];

#[tokio::test]
async fn settings_that_cannot_work_are_named_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let state = state.to_str().unwrap();
    let no_key = folder.path().join("no.key");
    let no_key = no_key.to_str().unwrap();
    for (arguments, code, says) in [
        (vec!["hl7", "--to", "lims:2575"], 64, "mllp://HOST:PORT"),
        (vec!["hl7", "--to", "mllp://lims"], 64, "--to"),
        (vec!["hl7", "--to", "mllp://lims:1", "--to-ca", no_key], 64, "mllps://"),
        (vec!["hl7", "--to", "mllps://lims:1", "--to-ca", no_key], 65, no_key),
        (vec!["hl7", "--to", "mllp://lims:1", "--code", "x=1^a^LN"], 64, "blast-fraction"),
        (vec!["hl7", "--to", "mllp://lims:1", "--specimen-type", "BLD"], 64, "CODE^TEXT^SYSTEM"),
        (vec!["fhir", "--to", "mllp://lims:1"], 64, "https://HOST/PATH"),
        (vec!["fhir", "--to", "http://lims/fhir", "--to-token-file", no_key], 64, "in the clear"),
        (vec!["fhir", "--to", "https://lims/fhir", "--to-token-file", no_key], 65, no_key),
        (vec!["fhir", "--to", "/tmp", "--specimen-system", "mine"], 64, "no URI"),
        (vec!["csv", "--to", "https://lims/"], 64, "name a folder"),
        (vec!["csv", "--to", "/tmp", "--server", "ftp://a"], 64, "ftp://a"),
        (vec!["csv", "--to", "/tmp", "--refusals", "0"], 64, "--refusals"),
    ] {
        let all = [vec!["bridge"], arguments, vec!["--state", state, "--check"]].concat();
        let output = leukd(&all).await;
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{all:?}: {said}");
        assert!(said.contains(says), "{all:?}: {said}");
    }
    let good = ["bridge", "csv", "--to", "/tmp", "--state", state, "--check"];
    assert!(leukd(&good).await.status.success());
}
