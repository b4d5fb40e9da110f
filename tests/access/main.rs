//! Who may do what, and how much at once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod command;
mod limits;
mod own_ca;
mod scopes;
mod socket;
#[path = "../support/mod.rs"]
mod support;
mod tls;
mod tokens;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use leukd::config::settings::Settings;
use leukd::grpc::proto::results_client::ResultsClient;
use leukd::grpc::proto::{self, event, subscribe_request};
use support::keys::showing;
use support::{Harness, in_time, until};
use tonic::transport::Channel;
use tonic::{Code, Status};

/// A daemon with an access file.
async fn guarded(change: impl FnOnce(&mut Settings, &PathBuf)) -> (Harness, PathBuf) {
    let folders = support::Folders::new();
    let file = folders.root.path().join("access.toml");
    std::fs::write(&file, "").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let harness = Harness::start_on(folders, |settings| {
        settings.access.file = Some(file.clone().into());
        change(settings, &file);
    })
    .await;
    (harness, file)
}

/// Waits until the daemon knows a token that was just written.
async fn known(harness: &Harness, token: &str) {
    until("the token to be known", async || {
        let asked = harness.control().get_status(showing(token, proto::GetStatusRequest {})).await;
        asked.map_or_else(|status| status.code() != Code::Unauthenticated, |_| true).then_some(())
    })
    .await;
}

/// A subscription with a token, its Hello taken.
async fn subscribe(
    channel: Channel,
    token: &str,
) -> Result<tonic::Streaming<proto::Event>, Status> {
    let start = Some(subscribe_request::Start::Latest(()));
    let request = showing(token, proto::SubscribeRequest { start, filter: None });
    let mut stream = ResultsClient::new(channel).subscribe(request).await?.into_inner();
    let first = in_time("Hello", stream.message()).await?.unwrap().kind.unwrap();
    assert!(matches!(first, event::Kind::Hello(_)), "{first:?}");
    Ok(stream)
}
