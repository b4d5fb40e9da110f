//! FHIR R4 over HTTP, and into a folder.

use super::*;
use crate::support::keys::Ca;

#[tokio::test(flavor = "multi_thread")]
async fn bundles_are_valid_and_a_troubled_server_has_each_resource_just_once() {
    if !readers_are_here().await {
        return;
    }
    let harness = daemon_on(Folders::new()).await;
    feed(&harness.folders, 0..12);
    let folder = tempfile::tempdir().unwrap();
    let more = ["--validate", "--trouble", "3", "--stall", "1.5"];
    let mut lims = Lims::new("fhir", folder.path(), &more);
    lims.start();
    let to = format!("http://127.0.0.1:{}/fhir", lims.port);
    let more = ["--refusals", "1000", "--answer-within", "1s"];
    let state = folder.path().join("state");
    let mut running = start(bridge("fhir", &url(&harness), &to, &state, &more));
    let expected = summarised(&harness, 12).await;
    let reports = || -> Vec<_> {
        let taken = lims.taken();
        let ids = taken.iter().map(|entry| entry["id"].as_str().unwrap().to_owned());
        ids.filter_map(|id| id.strip_prefix("DiagnosticReport?urn:leukd:round|").map(str::to_owned))
            .collect()
    };
    until("every report", async || (reports().len() >= expected.len()).then_some(())).await;
    running.kill();
    assert_eq!(reports(), expected.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>());
    let taken = lims.taken();
    let kinds = |kind: &str| {
        let prefix = format!("{kind}?");
        taken.iter().filter(|entry| entry["id"].as_str().unwrap().starts_with(&prefix)).count()
    };
    assert_eq!((kinds("Specimen"), kinds("Device")), (12, 1));
    assert_eq!(kinds("Observation"), 3 * expected.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_goes_over_https_with_a_bearer_token() {
    if !readers_are_here().await {
        return;
    }
    let harness = daemon_on(Folders::new()).await;
    feed(&harness.folders, 0..1);
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::new("lab");
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(file("ca.pem"), &ca.pem).unwrap();
    ca.server().write(folder.path(), "server");
    ca.client("leukd.example").write(folder.path(), "client");
    let [ca, cert, key, own, own_key, token] =
        ["ca.pem", "server.pem", "server.key", "client.pem", "client.key", "token"].map(file);
    let more = [
        "--certificate",
        &cert,
        "--key",
        &key,
        "--client-ca",
        &ca,
        "--token",
        "good",
        "--validate",
    ];
    let mut lims = Lims::new("fhir", folder.path(), &more);
    lims.start();
    let to = format!("https://localhost:{}/fhir", lims.port);
    // A token that the server does not know yet costs no message.
    std::fs::write(&token, "bad\n").unwrap();
    let more = ["--to-ca", &ca, "--to-cert", &own, "--to-key", &own_key, "--to-token-file", &token];
    let state = folder.path().join("state");
    let more = [more.as_slice(), &["--refusals", "1"]].concat();
    let _running = start(bridge("fhir", &url(&harness), &to, &state, &more));
    until("a message under way", async || state.join("pending.json").exists().then_some(())).await;
    std::fs::write(&token, "good\n").unwrap();
    lims.takes(6).await;
    assert!(std::fs::read_dir(state.join("dead-letters")).unwrap().next().is_none());
}
