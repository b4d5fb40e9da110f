//! A daemon under load: `cargo bench --bench load -- [backlog] [fan-out] [replay]`.
//!
//! The daemon is the real `leukd serve`, a process of its own with its default settings and the
//! embedded model; the captures are drawn, the client is a real gRPC client in this process.
//! Whatever is compared is measured in the same run and in turn, because other work on the machine
//! comes and goes: read the ratios.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss
)]

mod alone;
mod backlog;
mod captures;
mod daemon;
mod fan_out;
mod replay;
mod report;
#[path = "../../tests/support/mod.rs"]
mod support;

use clap::Parser;
use report::Report;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Scenario {
    /// Captures dropped into the watched folder at once, and requests beside them
    Backlog,
    /// The same with subscribers that wait for something else
    FanOut,
    /// One subscription from the beginning of a long journal
    Replay,
}

#[derive(Debug, Clone, Parser)]
#[command(about = "A daemon under load")]
struct Args {
    /// What to measure; everything when none is named
    scenarios: Vec<Scenario>,
    /// How many captures are dropped at once
    #[arg(long, default_value_t = 10_000)]
    cells: usize,
    /// Width and height of a capture's picture
    ///
    /// A capture of C-NMC has 450 pixels a side and 600 KB as BMP: 10,000 of them are 6 GB, more
    /// than many disks write in the time that the network needs for them. With 150 they have 68 KB,
    /// and what is not the network is easiest to see.
    #[arg(long, default_value_t = 150)]
    side: u32,
    /// How many idle subscribers
    #[arg(long, default_value_t = 1_000)]
    subscribers: usize,
    /// How many stored results are replayed
    #[arg(long, default_value_t = 200_000)]
    results: usize,
    /// How often each part of a comparison is measured, in turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let args = Args::parse();
    let report = Report { json: args.json };
    let wanted = |scenario| args.scenarios.is_empty() || args.scenarios.contains(&scenario);
    if wanted(Scenario::Backlog) {
        backlog::run(&args, report).await;
    }
    if wanted(Scenario::FanOut) {
        fan_out::run(&args, report).await;
    }
    if wanted(Scenario::Replay) {
        replay::run(&args, report).await;
    }
}
