//! A real daemon in this process: port 0, temporary folders, a tiny network, a real client.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

pub mod bounded;
pub mod cnmc;
pub mod keys;
pub mod ome;
pub mod process;
pub mod refusal;
pub mod scrape;

use std::path::{Path, PathBuf};
use std::time::Duration;

use leukd::cell::synthetic::{self, Kind};
use leukd::cell::words::KindRule;
use leukd::clock::Clock;
use leukd::config::settings::Settings;
use leukd::config::units::{Bytes, Span};
use leukd::daemon::{self, Running};
use leukd::grpc::proto::classifier_client::ClassifierClient;
use leukd::grpc::proto::control_client::ControlClient;
use leukd::grpc::proto::results_client::ResultsClient;
use leukd::grpc::proto::reviews_client::ReviewsClient;
use leukd::grpc::proto::{self, event, subscribe_request};
use leukd::grpc::transport::Listeners;
use leukd::model::testing;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

/// No test waits longer for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The bundles that tests write without signing them.
const UNSIGNED: [&str; 14] = [
    "a.onnx",
    "b.onnx",
    "tiny.onnx",
    "next.onnx",
    "other.onnx",
    "good.onnx",
    "bad.onnx",
    "golden.onnx",
    "half.onnx",
    "flipped.onnx",
    "empty.onnx",
    "words.onnx",
    "0.onnx",
    "1.onnx",
];

/// The three folders of a daemon, which outlive it.
pub struct Folders {
    pub root: TempDir,
    pub export: PathBuf,
    pub state: PathBuf,
    pub models: PathBuf,
}

impl Folders {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let [export, state, models] =
            ["export", "state", "models"].map(|name| root.path().join(name));
        for folder in [&export, &state, &models] {
            std::fs::create_dir(folder).unwrap();
        }
        std::fs::write(models.join("tiny.onnx"), testing::tiny_bundle("tiny", 1)).unwrap();
        Self { root, export, state, models }
    }

    /// Settings that settle in some tens of milliseconds and break in half a second.
    pub fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.watch.folders = vec![self.export.clone()];
        // The pictures here are patches that a tiny network tells apart, and no fields of view.
        settings.watch.kind = KindRule::Cell;
        settings.watch.settle_looks = 2;
        settings.watch.settle_interval = Span::from_millis(30);
        settings.watch.rescan_interval = Span::from_millis(500);
        settings.watch.poll_interval = Span::from_millis(200);
        settings.watch.broken_after = Span::from_millis(600);
        settings.model.bundle = Some(self.models.join("tiny.onnx"));
        settings.model.allow_unsigned = UNSIGNED.map(str::to_owned).to_vec();
        settings.workers.threads = 2;
        settings.journal.directory.clone_from(&self.state);
        settings.journal.disk_floor = Bytes(0);
        settings.rpc.listen = "127.0.0.1:0".parse().unwrap();
        settings.rpc.drain = Span::from_secs(5);
        // Every client of a test calls from one address.
        settings.access.max_streams = 4096;
        settings.metrics.enabled = false;
        settings.page.enabled = false;
        settings
    }

    /// Writes a capture in one go.
    pub fn drop_capture(&self, path: &str, bytes: &[u8]) -> PathBuf {
        let path = self.export.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// A running daemon with its folders.
pub struct Harness {
    pub folders: Folders,
    daemon: Running,
    channel: Channel,
}

impl Harness {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts a daemon on fresh folders whose settings `change` has adapted, and waits until it
    /// serves.
    pub async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_on(Folders::new(), change).await
    }

    /// Starts a daemon on folders that may have a history.
    pub async fn start_on(folders: Folders, change: impl FnOnce(&mut Settings)) -> Self {
        let harness = Self::start_unready(folders, change).await;
        tokio::time::timeout(PATIENCE, harness.daemon.wait_serving()).await.expect("a model");
        harness
    }

    /// The same, without waiting for a model.
    pub async fn start_unready(folders: Folders, change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_by(Clock::system(), folders, change).await
    }

    /// Starts a daemon by a clock that the test may move, and waits until it serves.
    pub async fn start_at(
        clock: Clock,
        folders: Folders,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let harness = Self::start_by(clock, folders, change).await;
        tokio::time::timeout(PATIENCE, harness.daemon.wait_serving()).await.expect("a model");
        harness
    }

    /// The same, without waiting for a model.
    pub async fn start_by(
        clock: Clock,
        folders: Folders,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let mut settings = folders.settings();
        change(&mut settings);
        let tls = settings.tls.certificate.is_some();
        let daemon = build(settings, clock).await.spawn().unwrap();
        let url = format!("http://{}", daemon.address());
        let endpoint = Channel::from_shared(url).unwrap();
        // A daemon that speaks TLS, or serves its socket alone, is called over connections of the
        // test's own.
        let plain = daemon.place().starts_with("127.") && !tls;
        let channel =
            if plain { endpoint.connect().await.unwrap() } else { endpoint.connect_lazy() };
        Self { folders, daemon, channel }
    }

    pub fn results(&self) -> ResultsClient<Channel> {
        ResultsClient::new(self.channel.clone())
    }

    pub fn reviews(&self) -> ReviewsClient<Channel> {
        ReviewsClient::new(self.channel.clone())
    }

    pub fn classifier(&self) -> ClassifierClient<Channel> {
        ClassifierClient::new(self.channel.clone()).max_encoding_message_size(64 << 20)
    }

    pub fn control(&self) -> ControlClient<Channel> {
        ControlClient::new(self.channel.clone())
    }

    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Where clients find the daemon.
    pub fn url(&self) -> String {
        format!("http://{}", self.daemon.address())
    }

    /// A connection of its own, whose server may send only `window` bytes ahead of what a stream's
    /// reader takes: with a small one, a reader that takes nothing is felt at once.
    pub async fn narrow_channel(&self, window: u32) -> Channel {
        let endpoint =
            Endpoint::from_shared(self.url()).unwrap().initial_stream_window_size(window);
        endpoint.connect().await.unwrap()
    }

    /// One image through Classify, without ids.
    pub async fn classify(&self, image: Vec<u8>) -> proto::Result {
        let request = proto::ClassifyRequest { image, ..Default::default() };
        let answer = self.classifier().classify(request).await.unwrap().into_inner();
        answer.result.unwrap()
    }

    /// Many images through one ClassifyStream.
    pub async fn classify_all(&self, images: Vec<Vec<u8>>) -> Vec<proto::ClassifyStreamResponse> {
        let requests = images
            .into_iter()
            .map(|image| proto::ClassifyRequest { image, ..Default::default() })
            .collect();
        self.classify_requests(requests).await.unwrap()
    }

    /// Many requests through one ClassifyStream: every answer, or the status that ended the stream.
    pub async fn classify_requests(
        &self,
        requests: Vec<proto::ClassifyRequest>,
    ) -> Result<Vec<proto::ClassifyStreamResponse>, tonic::Status> {
        let all = async {
            let sent = self.classifier().classify_stream(tokio_stream::iter(requests)).await?;
            let mut stream = sent.into_inner();
            let mut answers = Vec::new();
            while let Some(answer) = stream.message().await? {
                answers.push(answer);
            }
            Ok(answers)
        };
        tokio::time::timeout(PATIENCE, all).await.expect("the stream ends in time")
    }

    pub fn daemon(&self) -> &Running {
        &self.daemon
    }

    pub fn export(&self) -> &Path {
        &self.folders.export
    }

    pub fn drop_capture(&self, path: &str, bytes: &[u8]) -> PathBuf {
        self.folders.drop_capture(path, bytes)
    }

    pub async fn status(&self) -> proto::GetStatusResponse {
        self.control().get_status(proto::GetStatusRequest {}).await.unwrap().into_inner()
    }

    /// Every stored result, oldest first.
    pub async fn all_results(&self) -> Vec<proto::Result> {
        all_results(self.results()).await
    }

    /// Waits until `count` results are stored and nothing is under way, and gives them all: a
    /// result too many fails here too.
    pub async fn wait_results(&self, count: usize) -> Vec<proto::Result> {
        let mut results = Vec::new();
        let enough = async {
            loop {
                results = self.all_results().await;
                if results.len() >= count && self.is_idle().await {
                    results = self.all_results().await;
                    break;
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, enough).await.is_err() {
            let status = self.status().await;
            panic!("waited for {count} results, got {:?}: {status:#?}", brief(&results));
        }
        assert_eq!(results.len(), count, "{:#?}", brief(&results));
        results
    }

    /// Nothing settles, waits or is under way, and a scan has begun and ended since this was asked.
    pub async fn wait_idle(&self) {
        let idle = async {
            while !self.is_idle().await {
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        };
        tokio::time::timeout(PATIENCE, idle).await.expect("an idle daemon");
    }

    async fn is_idle(&self) -> bool {
        let scans = |status: &proto::GetStatusResponse| {
            status.folders.iter().map(|folder| folder.last_scan_at).collect::<Vec<_>>()
        };
        let quiet = |status: &proto::GetStatusResponse| {
            status.folders.iter().all(|folder| folder.settling == 0 && folder.queued == 0)
                && status
                    .queues
                    .as_ref()
                    .is_some_and(|queues| queues.busy == 0 && queues.backlog == 0)
        };
        let before = self.status().await;
        if !quiet(&before) {
            return false;
        }
        // Two scans: the first may have begun before the question.
        for _ in 0..2 {
            let last = scans(&self.status().await);
            while scans(&self.status().await) == last && !before.folders.is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        quiet(&self.status().await)
    }

    /// Subscribes and takes Hello.
    pub async fn subscribe(
        &self,
        start: subscribe_request::Start,
    ) -> (proto::Hello, Streaming<proto::Event>) {
        let request = proto::SubscribeRequest { start: Some(start), filter: None };
        let mut stream = self.results().subscribe(request).await.unwrap().into_inner();
        let first = next(&mut stream).await.kind.unwrap();
        let event::Kind::Hello(hello) = first else { panic!("the first event is {first:?}") };
        (hello, stream)
    }

    /// Stops the daemon as SIGTERM would and gives its folders back.
    pub async fn stop(self) -> Folders {
        drop(self.channel);
        self.daemon.drain(Duration::from_secs(10)).await;
        self.folders
    }

    /// Stops the daemon and tells how that went; clients stay connected meanwhile.
    pub async fn drain(self, deadline: Duration) -> daemon::Drained {
        let drained = self.daemon.drain(deadline).await;
        drop(self.channel);
        drained
    }
}

/// Builds a daemon. One that was drained in this same process lets go of the journal only when the
/// last of its connections has noticed: that is waited for.
async fn build(settings: Settings, clock: Clock) -> daemon::Daemon {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let socket = settings.rpc.socket.as_deref().map(|path| (path, settings.rpc.socket_mode.0));
        let address = settings.rpc.tcp.then_some(settings.rpc.listen);
        let listeners = Listeners::open(address, socket).await.unwrap();
        match daemon::build(settings.clone(), listeners, clock.clone()) {
            Ok(mut daemon) => {
                if settings.metrics.enabled {
                    let listener = TcpListener::bind(settings.metrics.listen).await.unwrap();
                    daemon = daemon.with_metrics(listener);
                }
                if settings.page.enabled {
                    let listener = TcpListener::bind(settings.page.listen).await.unwrap();
                    daemon = daemon.with_page(listener);
                }
                return daemon;
            }
            Err(daemon::StartError::Journal(leukd::journal::JournalError::Locked { .. }))
                if tokio::time::Instant::now() < deadline => {}
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Every stored result of a server, oldest first, as streams and Classify tell them: without its
/// standing.
pub async fn all_results(mut client: ResultsClient<Channel>) -> Vec<proto::Result> {
    let mut results = Vec::new();
    let mut page_token = String::new();
    loop {
        let request =
            proto::ListResultsRequest { page_size: 1000, page_token, ..Default::default() };
        let page = client.list_results(request).await.unwrap().into_inner();
        let plain = |result| proto::Result { standing: None, ..result };
        results.extend(page.results.into_iter().map(plain));
        if page.next_page_token.is_empty() {
            return results;
        }
        page_token = page.next_page_token;
    }
}

/// The next event of a subscription, in bounded time.
pub async fn next(stream: &mut Streaming<proto::Event>) -> proto::Event {
    let message = tokio::time::timeout(PATIENCE, stream.message()).await.expect("an event in time");
    message.expect("no error").expect("no end")
}

/// The next `count` results of a subscription; heartbeats pass.
pub async fn next_results(
    stream: &mut Streaming<proto::Event>,
    count: usize,
) -> Vec<proto::Result> {
    let mut results = Vec::new();
    let enough = async {
        while results.len() < count {
            match next(stream).await.kind.unwrap() {
                event::Kind::Result(result) => results.push(result),
                event::Kind::Heartbeat(_) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    let waited = tokio::time::timeout(PATIENCE, enough).await;
    waited.unwrap_or_else(|_| panic!("{count} results in time, got {:?}", brief(&results)));
    results
}

/// The status that ends a subscription; heartbeats pass.
pub async fn end(stream: &mut Streaming<proto::Event>) -> tonic::Status {
    let ended = async {
        loop {
            match stream.message().await {
                Ok(Some(proto::Event { kind: Some(event::Kind::Heartbeat(_)) })) => {}
                Ok(other) => panic!("no end: {other:?}"),
                Err(status) => return status,
            }
        }
    };
    in_time("an end", ended).await
}

/// What a future gives, in bounded time.
pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, future).await;
    waited.unwrap_or_else(|_| panic!("waited for {what}"))
}

/// The path below the folder that a result was made from.
pub fn path_of(result: &proto::Result) -> &str {
    match result
        .capture
        .as_ref()
        .and_then(|capture| capture.source.as_ref())
        .and_then(|source| source.kind.as_ref())
    {
        Some(proto::source::Kind::Folder(folder)) => &folder.path,
        _ => "",
    }
}

/// The digest of the capture that a result is of.
pub fn sha256_of(result: &proto::Result) -> &str {
    result.capture.as_ref().map_or("", |capture| &capture.sha256)
}

/// The code of the first reason.
pub fn reason_of(result: &proto::Result) -> &str {
    result.reasons.first().map_or("", |reason| &reason.code)
}

fn brief(results: &[proto::Result]) -> Vec<(u64, &str, &str, u64)> {
    results.iter().map(|r| (r.sequence, path_of(r), reason_of(r), r.supersedes)).collect()
}

/// Sequences are 1, 2, 3, … without holes.
pub fn assert_gapless(results: &[proto::Result]) {
    for (index, result) in results.iter().enumerate() {
        assert_eq!(result.sequence, index as u64 + 1, "{:?}", brief(results));
    }
}

/// Tries until `wanted` gives something, in bounded time.
pub async fn until<T>(what: &str, mut wanted: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = wanted().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("waited for {what}"))
}

/// The probability of one class.
pub fn probability(result: &proto::Result, label: &str) -> f64 {
    result.probabilities.iter().find(|class| class.label == label).unwrap().probability
}

/// Patches of the tiny network's 256 that a cell must cover to be decided this way.
pub const ALL: u32 = 80;
pub const HEM: u32 = 30;
pub const REVIEW: u32 = 56;
/// Decided as blast, but with a probability of only some 0.8.
pub const WEAK_ALL: u32 = 59;

/// A 64×64 BMP whose cell covers `patches` of the tiny network's 16×16 patches, and that no other
/// seed has.
pub fn cell_of(patches: u32, seed: u64) -> Vec<u8> {
    let picture = image::RgbImage::from_fn(64, 64, |x, y| {
        if (y / 4) * 16 + x / 4 >= patches {
            return image::Rgb([0; 3]);
        }
        // The seed's sixteen digits stand in the first patch.
        let digit = if x < 4 && y < 4 { (seed >> (4 * (4 * y + x))) & 15 } else { 0 };
        image::Rgb([128 + u8::try_from(digit).unwrap(), 120, 140])
    });
    synthetic::bmp(&picture)
}

/// A small capture that no other seed has: a BMP of 64×64 pixels.
pub fn capture(seed: u64) -> Vec<u8> {
    let kind = if seed.is_multiple_of(2) { Kind::Blast } else { Kind::Normal };
    let cell = synthetic::cell(seed % 8, kind);
    let mut small = image::imageops::crop_imm(&cell, 193, 193, 64, 64).to_image();
    for (column, byte) in (20..).zip(seed.to_le_bytes()) {
        small.put_pixel(column, 32, image::Rgb([byte, 128, 128]));
    }
    synthetic::bmp(&small)
}
