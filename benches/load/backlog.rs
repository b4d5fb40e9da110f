//! Captures dropped at once: folder to durable result, memory, and requests beside them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use leukd::grpc::proto::{self, event, subscribe_request};
use tokio::time::MissedTickBehavior;

use crate::Args;
use crate::alone::{Alone, Speed};
use crate::captures::Captures;
use crate::daemon::Daemon;
use crate::report::{Report, median, quantile};
use crate::support::Folders;

const NAME: &str = "backlog";

/// Between two requests: 20 a second leave nearly everything to the backlog.
const REQUEST_EVERY: Duration = Duration::from_millis(50);

/// How long requests are measured alone.
const REQUESTS_FOR: Duration = Duration::from_secs(5);

/// So much of a round is start-up: the folder's scan is still going on.
const RAMP: f64 = 0.05;

/// The whole round is given up after this.
const PATIENCE: Duration = Duration::from_secs(580);

/// One drop and what came of it.
pub struct Round {
    /// From the drop to the first result.
    pub first: Duration,
    /// Captures a second, once under way.
    pub captures_per_s: f64,
    /// The daemon's processor time of one capture, scans included.
    pub cpu_us: f64,
    /// Share of results, MB.
    pub memory: Vec<(f64, f64)>,
}

pub async fn run(args: &Args, report: Report) {
    let captures = Arc::new(Captures::draw(args.side));
    let daemon = Daemon::start(Folders::new()).await;
    let root = daemon.folders.root.path().to_owned();
    let workers = daemon.workers().await;
    let alone = Arc::new(Alone::new(&captures, workers));
    round(&daemon, &captures.stage(&root, 200), 200).await;
    report.figure(NAME, "workers", workers as f64, "threads");
    report.figure(NAME, "captures dropped at once", args.cells as f64, "captures");
    report.figure(NAME, "a capture's size", captures.next().len() as f64 / 1e3, "KB");

    let (mut network, mut examination) = (Vec::new(), Vec::new());
    measure_alone(&alone, &mut network, &mut examination).await;
    let staged = captures.stage(&root, args.cells);
    let quiet = round(&daemon, &staged, args.cells).await;
    measure_alone(&alone, &mut network, &mut examination).await;

    let (network, examination) = (middle(&network), middle(&examination));
    report.figure(NAME, "network alone, all workers", network.cells_per_s, "cells/s");
    report.figure(
        NAME,
        "bytes to judgement alone, all workers",
        examination.cells_per_s,
        "cells/s",
    );
    report.figure(NAME, "folder to durable result", quiet.captures_per_s, "captures/s");
    let ratio = |reference: Speed| quiet.captures_per_s / reference.cells_per_s;
    report.figure(NAME, "... to network alone", ratio(network), "ratio");
    report.figure(NAME, "... to bytes to judgement alone", ratio(examination), "ratio");
    report.figure(NAME, "processor time, network alone", network.cpu_us, "us/cell");
    report.figure(NAME, "processor time, bytes to judgement", examination.cpu_us, "us/cell");
    report.figure(NAME, "processor time, the whole daemon", quiet.cpu_us, "us/capture");
    let share = network.cpu_us / quiet.cpu_us;
    report.figure(NAME, "... of which the network's share", share, "ratio");
    let share = examination.cpu_us / quiet.cpu_us;
    report.figure(NAME, "... of which bytes to judgement", share, "ratio");
    report.figure(NAME, "from the drop to the first result", quiet.first.as_secs_f64(), "s");
    for (share, megabytes) in &quiet.memory {
        let name = format!("VmRSS after {:.0} % of the results", share * 100.0);
        report.figure(NAME, &name, *megabytes, "MB");
    }

    let idle = requests(&daemon, &captures, tokio::time::sleep(REQUESTS_FOR)).await.0;
    tell(report, "Classify alone", &idle);
    let staged = captures.stage(&root, args.cells);
    let busy = round(&daemon, &staged, args.cells);
    let (beside, busy) = requests(&daemon, &captures, busy).await;
    tell(report, "Classify beside the backlog", &beside);
    report.figure(
        NAME,
        "folder to durable result, requests beside",
        busy.captures_per_s,
        "captures/s",
    );
    report.figure(NAME, "VmHWM", daemon.most_resident(), "MB");
}

fn tell(report: Report, what: &str, milliseconds: &[f64]) {
    for (name, share) in [("p50", 0.5), ("p99", 0.99), ("most", 1.0)] {
        report.figure(NAME, &format!("{what}, {name}"), quantile(milliseconds, share), "ms");
    }
    report.figure(NAME, &format!("{what}, requests"), milliseconds.len() as f64, "requests");
}

async fn measure_alone(alone: &Arc<Alone>, network: &mut Vec<Speed>, examined: &mut Vec<Speed>) {
    for _ in 0..2 {
        let alone = Arc::clone(alone);
        let both = move || (alone.network(), alone.examination());
        let (one, other) = tokio::task::spawn_blocking(both).await.unwrap();
        network.push(one);
        examined.push(other);
    }
}

fn middle(speeds: &[Speed]) -> Speed {
    let of = |get: fn(&Speed) -> f64| median(&speeds.iter().map(get).collect::<Vec<_>>());
    Speed { cells_per_s: of(|speed| speed.cells_per_s), cpu_us: of(|speed| speed.cpu_us) }
}

/// Moves the staged folder into the watched one and waits for its results.
pub async fn round(daemon: &Daemon, staged: &Path, count: usize) -> Round {
    let start = subscribe_request::Start::Latest(());
    let mut events = daemon.subscribe(daemon.connect().await, start, "").await;
    let mut points = vec![0.1, 0.25, 0.5, 0.75, 1.0].into_iter().peekable();
    let mut round = Round {
        first: Duration::ZERO,
        captures_per_s: 0.0,
        cpu_us: 0.0,
        memory: vec![(0.0, daemon.resident())],
    };
    let before = daemon.cpu();
    let dropped = Instant::now();
    std::fs::rename(staged, daemon.folders.export.join(staged.file_name().unwrap())).unwrap();
    let (mut seen, mut under_way) = (0, None);
    while seen < count {
        let event =
            tokio::time::timeout(PATIENCE.saturating_sub(dropped.elapsed()), events.message());
        let event = event.await.expect("results in time").unwrap().expect("no end");
        let Some(event::Kind::Result(result)) = event.kind else { continue };
        if !is_folder(&result) {
            continue;
        }
        seen += 1;
        let share = seen as f64 / count as f64;
        if seen == 1 {
            round.first = dropped.elapsed();
        }
        if under_way.is_none() && share >= RAMP {
            under_way = Some((seen, Instant::now()));
        }
        while let Some(point) = points.next_if(|point| share >= *point) {
            round.memory.push((point, daemon.resident()));
        }
    }
    let (from, since) = under_way.unwrap();
    round.captures_per_s = (count - from) as f64 / since.elapsed().as_secs_f64();
    round.cpu_us = (daemon.cpu() - before).as_secs_f64() * 1e6 / count as f64;
    // What is there already is done: no later scan is measured with it.
    std::fs::remove_dir_all(daemon.folders.export.join(staged.file_name().unwrap())).unwrap();
    round
}

fn is_folder(result: &proto::Result) -> bool {
    let kind = result
        .capture
        .as_ref()
        .and_then(|capture| capture.source.as_ref())
        .and_then(|source| source.kind.as_ref());
    matches!(kind, Some(proto::source::Kind::Folder(_)))
}

/// Requests at an even pace as long as `beside` lasts: what each took, in milliseconds.
async fn requests<T>(
    daemon: &Daemon,
    captures: &Captures,
    beside: impl Future<Output = T>,
) -> (Vec<f64>, T) {
    let mut client = daemon.classifier().await;
    let mut pace = tokio::time::interval(REQUEST_EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut took = Vec::new();
    let mut beside = std::pin::pin!(beside);
    loop {
        tokio::select! {
            done = &mut beside => return (took, done),
            _ = pace.tick() => {}
        }
        let request = proto::ClassifyRequest { image: captures.next(), ..Default::default() };
        let call = async {
            let sent = Instant::now();
            client.classify(request).await.unwrap();
            sent.elapsed().as_secs_f64() * 1e3
        };
        tokio::select! {
            done = &mut beside => return (took, done),
            one = call => took.push(one),
        }
    }
}
