//! One subscription from the beginning of a long journal.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use leukd::clock::Clock;
use leukd::grpc::proto::{event, subscribe_request};
use leukd::journal::types::{Entry, FileStamp, Found};
use leukd::journal::{Journal, Options};
use leukd::result::{
    Capture, CaptureKind, CapturePath, CellIds, Decision, Digest, Finding, ModelRef, Reason,
    ReasonCode, Source, Timings,
};

use crate::Args;
use crate::daemon::{Daemon, cpu};
use crate::report::{Report, median};
use crate::support::Folders;

const NAME: &str = "replay";

/// Entries that wait for the journal at once.
const AT_ONCE: usize = 256;

pub async fn run(args: &Args, report: Report) {
    let folders = Folders::new();
    let began = Instant::now();
    fill(&folders, args.results).await;
    report.figure(NAME, "stored results", args.results as f64, "results");
    let stored = args.results as f64 / began.elapsed().as_secs_f64();
    report.figure(NAME, "filling the journal, each durable", stored, "results/s");

    let daemon = Daemon::start(folders).await;
    let rates: Vec<f64> = {
        let mut rates = Vec::new();
        for _ in 0..args.rounds.max(1) {
            rates.push(replay(&daemon, args.results, report).await);
        }
        rates
    };
    report.figure(NAME, "replay, best", rates.iter().copied().fold(0.0, f64::max), "results/s");
    report.figure(NAME, "replay, median", median(&rates), "results/s");
    report.figure(NAME, "VmHWM", daemon.most_resident(), "MB");
}

/// Results a second from the call to the last stored result.
async fn replay(daemon: &Daemon, count: usize, report: Report) -> f64 {
    let channel = daemon.connect().await;
    let (ours, theirs) = (cpu("self"), daemon.cpu());
    let began = Instant::now();
    let start = subscribe_request::Start::Earliest(());
    let mut events = daemon.subscribe(channel, start, "").await;
    let mut last = 0;
    while last < count as u64 {
        let event = events.message().await.unwrap().expect("no end");
        if let Some(event::Kind::Result(result)) = event.kind {
            assert_eq!(result.sequence, last + 1);
            last = result.sequence;
        }
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    let each = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    report.figure(NAME, "replay", rate, "results/s");
    report.figure(NAME, "processor time, daemon", each(daemon.cpu() - theirs), "us/result");
    report.figure(NAME, "processor time, client", each(cpu("self") - ours), "us/result");
    rate
}

/// A journal as a watched folder leaves it.
async fn fill(folders: &Folders, count: usize) {
    let journal = Journal::open(&folders.state, Options::new(Clock::system())).unwrap();
    let folder = folders.export.to_str().unwrap();
    let commits = futures_util::stream::iter(0..count)
        .map(|number| {
            let (journal, entry) = (journal.clone(), entry(folder, number));
            async move { drop(journal.commit(entry).await.unwrap()) }
        })
        .buffered(AT_ONCE);
    commits.collect::<Vec<_>>().await;
}

/// As the daemon stores it: most cells are sure, one in eight is for a person to look at.
fn entry(folder: &str, number: usize) -> Entry {
    let name = format!("UID_{}_{}_{}_drawn.bmp", 900 + number % 7, number / 100, number % 100);
    let path = CapturePath { folder: folder.to_owned(), path: format!("run-1/{name}") };
    let sure = !number.is_multiple_of(8);
    let probability = if sure { 0.031_250_123_456_789 } else { 0.512_345_678_901_234 };
    let now = Clock::system().wall();
    let message = "P(all) is 0.512, between 0.350 and 0.650, where the model is not sure: a person should look at this cell";
    let capture = Capture {
        digest: Some(Digest::of(&number.to_le_bytes())),
        size_bytes: 607_554,
        source: Source::Folder(path),
        captured_at: now,
        kind: CaptureKind::Cell,
    };
    let ids = CellIds {
        specimen: (900 + number % 7).to_string(),
        slide: (number / 100).to_string(),
        cell: (number % 100).to_string(),
    };
    let finding = Finding {
        p_all: Some(probability),
        decision: if sure { Decision::Hem } else { Decision::Review },
        reasons: if sure {
            Vec::new()
        } else {
            vec![Reason::new(ReasonCode::LowConfidence, message)]
        },
        model: Some(ModelRef { id: "leukd-b3-80".to_owned(), digest: "ab".repeat(32) }),
        timings: Timings {
            queue_us: 1_204,
            read_us: 312,
            decode_us: 1_433,
            preprocess_us: 331,
            infer_us: 3_012,
        },
        ..Finding::blank(uuid::Uuid::now_v7(), ids, now)
    };
    let moment = i64::try_from(number).unwrap();
    let stamp = FileStamp { size: 607_554, mtime_ns: moment, ctime_ns: moment, inode: 7 };
    Entry::Capture { stamp, found: Found::one(capture, finding) }
}
