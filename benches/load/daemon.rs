//! The daemon as a process, and what the kernel says of it.

use std::time::Duration;

use leukd::config::settings::Settings;
use leukd::grpc::proto;
use leukd::grpc::proto::classifier_client::ClassifierClient;
use leukd::grpc::proto::results_client::ResultsClient;
use leukd::grpc::proto::{Event, Filter, subscribe_request};
use tonic::Streaming;
use tonic::transport::Channel;

use crate::support::process::Process;
use crate::support::{self, Folders};

/// A running `leukd serve` on folders of its own.
pub struct Daemon {
    process: Process,
    pub folders: Folders,
}

impl Daemon {
    /// Starts it with the default settings, but for the addresses and folders, and waits until a
    /// model serves.
    pub async fn start(folders: Folders) -> Self {
        let process = Process::serve_with(&folders, |settings| {
            let here = settings.clone();
            *settings = Settings::default();
            settings.watch.folders = here.watch.folders;
            settings.journal.directory = here.journal.directory;
            settings.journal.disk_floor = here.journal.disk_floor;
            settings.rpc.listen = here.rpc.listen;
            settings.metrics.enabled = false;
        });
        let daemon = Self { process, folders };
        let mut control = daemon.process.control().await;
        support::until("a model", async || {
            control.get_model(proto::GetModelRequest {}).await.ok().map(drop)
        })
        .await;
        daemon
    }

    /// How many workers it has.
    pub async fn workers(&self) -> usize {
        let status = self.process.control().await.get_status(proto::GetStatusRequest {}).await;
        status.unwrap().into_inner().queues.unwrap().workers as usize
    }

    /// A connection of its own.
    pub async fn connect(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.process.address))
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    /// A client for requests.
    pub async fn classifier(&self) -> ClassifierClient<Channel> {
        ClassifierClient::new(self.connect().await)
    }

    /// Subscribes on `channel`; `specimen` is what is waited for, all when empty.
    pub async fn subscribe(
        &self,
        channel: Channel,
        start: subscribe_request::Start,
        specimen: &str,
    ) -> Streaming<Event> {
        let filter = Filter { specimen: specimen.to_owned(), ..Default::default() };
        let request = proto::SubscribeRequest { start: Some(start), filter: Some(filter) };
        ResultsClient::new(channel).subscribe(request).await.unwrap().into_inner()
    }

    /// Memory in MB that is resident now.
    pub fn resident(&self) -> f64 {
        self.status_field("VmRSS:")
    }

    /// The most memory in MB that ever was.
    pub fn most_resident(&self) -> f64 {
        self.status_field("VmHWM:")
    }

    fn status_field(&self, name: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kib / 1024.0
    }

    /// Processor time that it has taken.
    pub fn cpu(&self) -> Duration {
        cpu(&self.process.id().to_string())
    }
}

/// Processor time of a process (`self` for this one), in the kernel's ticks of 10 ms.
pub fn cpu(process: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name in parentheses may hold anything; utime and stime are the 12th and 13th fields after
    // it.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
