//! A backlog beside subscribers that wait for something else, and without them, in turn.

use std::sync::Arc;

use leukd::grpc::proto::subscribe_request;
use tokio::task::JoinSet;

use crate::Args;
use crate::backlog::round;
use crate::captures::Captures;
use crate::daemon::Daemon;
use crate::report::{Report, median};
use crate::support::Folders;

const NAME: &str = "fan-out";

/// Subscriptions of one connection; the daemon allows 128 calls on one.
const PER_CONNECTION: usize = 100;

pub async fn run(args: &Args, report: Report) {
    let captures = Arc::new(Captures::draw(args.side));
    let daemon = Daemon::start(Folders::new()).await;
    let root = daemon.folders.root.path().to_owned();
    let each = (args.cells / (2 * args.rounds)).max(500);
    round(&daemon, &captures.stage(&root, 200), 200).await;
    let (mut none, mut many) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        for (subscribers, rounds) in [(0, &mut none), (args.subscribers, &mut many)] {
            let crowd = subscribe(&daemon, subscribers).await;
            let staged = captures.stage(&root, each);
            rounds.push(round(&daemon, &staged, each).await);
            drop(crowd);
        }
    }
    report.figure(NAME, "idle subscribers", args.subscribers as f64, "subscribers");
    report.figure(NAME, "captures a round", each as f64, "captures");
    let rates: Vec<_> = [&none, &many]
        .map(|rounds| rounds.iter().map(|round| round.captures_per_s).collect::<Vec<_>>())
        .into();
    let times: Vec<_> = [&none, &many]
        .map(|rounds| rounds.iter().map(|round| round.cpu_us).collect::<Vec<_>>())
        .into();
    for (index, name) in ["without subscribers", "with idle subscribers"].iter().enumerate() {
        report.figure(NAME, &format!("throughput {name}"), median(&rates[index]), "captures/s");
        report.figure(NAME, &format!("processor time {name}"), median(&times[index]), "us/capture");
    }
    let pairs: Vec<_> =
        rates[1].iter().zip(&rates[0]).map(|(with, without)| with / without).collect();
    for pair in &pairs {
        report.figure(NAME, "throughput with to without, one pair", *pair, "ratio");
    }
    report.figure(NAME, "throughput with to without, median", median(&pairs), "ratio");
    let pairs: Vec<_> =
        times[1].iter().zip(&times[0]).map(|(with, without)| with / without).collect();
    report.figure(NAME, "processor time with to without, median", median(&pairs), "ratio");
    report.figure(NAME, "VmHWM", daemon.most_resident(), "MB");
}

/// Subscribers whose filter lets nothing through; they read, and end when the set is dropped.
async fn subscribe(daemon: &Daemon, count: usize) -> JoinSet<()> {
    let mut crowd = JoinSet::new();
    let mut left = count;
    while left > 0 {
        let channel = daemon.connect().await;
        for _ in 0..left.min(PER_CONNECTION) {
            let start = subscribe_request::Start::Latest(());
            let mut events = daemon.subscribe(channel.clone(), start, "nobody").await;
            crowd.spawn(async move { while let Ok(Some(_)) = events.message().await {} });
        }
        left = left.saturating_sub(PER_CONNECTION);
    }
    crowd
}
