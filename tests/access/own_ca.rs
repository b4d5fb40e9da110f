//! `leukd tls`: a laboratory's own CA, from the first command to the first call.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use leukd::grpc::proto::control_client::ControlClient;
use leukd::grpc::proto::{GetStatusRequest, GetStatusResponse};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::support::process::{leukd, stderr, stdout};
use crate::support::{Folders, Harness};

/// Runs `leukd tls`, which works.
async fn tls(arguments: &[&str]) -> String {
    let output = leukd(&[&["tls"], arguments].concat()).await;
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

async fn status(url: &str, ca: &Path, identity: Option<Identity>) -> Option<GetStatusResponse> {
    let trusted = Certificate::from_pem(std::fs::read(ca).unwrap());
    let mut config = ClientTlsConfig::new().ca_certificate(trusted);
    if let Some(identity) = identity {
        config = config.identity(identity);
    }
    let endpoint = Endpoint::from_shared(url.to_owned()).unwrap().tls_config(config).unwrap();
    let mut control = ControlClient::new(endpoint.connect().await.ok()?);
    Some(control.get_status(GetStatusRequest {}).await.ok()?.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn three_commands_make_what_leukd_and_a_client_need_to_know_each_other() {
    let folders = Folders::new();
    let root = folders.root.path().to_owned();
    let file = |name: &str| root.join(name);
    let at = root.to_str().unwrap();
    tls(&["new-ca", "--out", at]).await;
    tls(&["new-server", "localhost", "127.0.0.1", "--ca", at, "--out", at]).await;
    let made = tls(&["new-client", "lims.example", "--ca", at, "--out", at, "--json"]).await;
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    assert_eq!(made["key"], file("lims.example.key").to_str().unwrap());
    for key in ["ca.key", "server.key", "lims.example.key"] {
        let mode = std::fs::metadata(file(key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    let harness = Harness::start_on(folders, |settings| {
        settings.tls.certificate = Some(file("server.pem").into());
        settings.tls.key = Some(file("server.key").into());
        settings.tls.client_ca = Some(file("ca.pem").into());
    })
    .await;
    let read = |name: &str| std::fs::read(file(name)).unwrap();
    let client = Identity::from_pem(read("lims.example.pem"), read("lims.example.key"));
    let port = harness.daemon().address().port();
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("https://{host}:{port}");
        let known = status(&url, &file("ca.pem"), Some(client.clone())).await;
        assert!(known.is_some(), "{host}");
        assert!(status(&url, &file("ca.pem"), None).await.is_none(), "{host}: nobody");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_signed_is_said_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().to_str().unwrap();
    let refused = async |arguments: &[&str], code: i32, words: &str| {
        let output = leukd(&[&["tls"], arguments].concat()).await;
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    };
    let server = ["new-server", "localhost", "--ca", at, "--out", at];
    refused(&server, 66, "leukd tls new-ca").await;
    tls(&["new-ca", "--out", at, "--days", "30"]).await;
    refused(&["new-ca", "--out", at], 64, "exists already").await;
    refused(&server, 64, "ask for fewer --days").await;
    let short = [&server[..], &["--days", "20"]].concat();
    tls(&short).await;
    refused(&short, 64, "exists already").await;
    let no_name = async |command: &str, name: &str| {
        let arguments = [command, name, "--ca", at, "--out", at];
        refused(&arguments, 64, "can be no name in a certificate").await;
    };
    let long = "a".repeat(64);
    for name in ["scope 3", "@", "a..b", ".a", "a.", "b.-a", "a-.b", "*", "a.*.b", long.as_str()] {
        no_name("new-server", name).await;
    }
    for name in ["../lims", "@", "a..b", "*.lab.example", "lims@lab.example", "."] {
        no_name("new-client", name).await;
    }
    refused(&["new-ca", "--days", "0"], 64, "--days").await;
    // Another CA's key, and the server's certificate, which is no CA's.
    let client = ["new-client", "lims", "--ca", at, "--out", at, "--days", "5"];
    let own = std::fs::read(folder.path().join("ca.key")).unwrap();
    std::fs::copy(folder.path().join("server.key"), folder.path().join("ca.key")).unwrap();
    refused(&client, 65, "another's").await;
    std::fs::write(folder.path().join("ca.key"), own).unwrap();
    for (from, to) in [("server.pem", "ca.pem"), ("server.key", "ca.key")] {
        std::fs::copy(folder.path().join(from), folder.path().join(to)).unwrap();
    }
    refused(&client, 65, "no CA's certificate").await;
    std::fs::write(folder.path().join("ca.key"), "a letter").unwrap();
    refused(&client, 65, "ca.key").await;
}
