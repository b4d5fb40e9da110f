//! Captures, findings and journals to try things on.

use std::path::Path;

use leukd_cell::Measures;
use leukd_journal::clock::Clock;
use leukd_journal::result::{
    Capture, CaptureKind, CapturePath, CellIds, Decision, Digest, Distance, Figures, Finding,
    ModelRef, Reason, ReasonCode, Record, Source, Timestamp, Timings,
};
use leukd_journal::review::{Review, ReviewLabel};
use leukd_journal::types::{Committed, Entry, FileStamp, Found};
use leukd_journal::{Event, Journal, JournalError, Lookup, NewReview, Options, Submitted};

/// 2026-01-01T00:00:00Z.
pub(crate) const START: Timestamp = Timestamp(1_767_225_600_000);

pub(crate) fn clock() -> Clock {
    Clock::manual(START)
}

/// A journal that no other has, though it may look so for a moment: a process that a test beside
/// this one starts holds every file of this process, a lock that was just let go too, between its
/// fork and its exec.
#[expect(clippy::disallowed_methods, reason = "another process' exec is waited for, not a clock")]
pub(crate) fn open(directory: &Path) -> Journal {
    let mut tries = 100;
    loop {
        match Journal::open(directory, Options::new(clock())) {
            Err(JournalError::Locked { .. }) if tries > 0 => {
                tries -= 1;
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            opened => return opened.unwrap(),
        }
    }
}

pub(crate) fn at(path: &str) -> CapturePath {
    CapturePath { folder: "/export".to_owned(), path: path.to_owned() }
}

pub(crate) fn stamp(moment: i64) -> FileStamp {
    FileStamp { size: 1000, mtime_ns: moment, ctime_ns: moment, inode: u64::MAX - 7 }
}

/// A classified cell. `bytes` stands for the file's content.
pub(crate) fn found(path: &str, bytes: &str, decision: Decision) -> Found {
    Found::one(image(path, bytes), cell(decision))
}

pub(crate) fn image(path: &str, bytes: &str) -> Capture {
    Capture {
        digest: Some(Digest::of(bytes.as_bytes())),
        size_bytes: bytes.len() as u64,
        source: Source::Folder(at(path)),
        captured_at: START,
        kind: CaptureKind::Cell,
    }
}

/// The result of one cell.
pub(crate) fn cell(decision: Decision) -> Finding {
    let p_all = match decision {
        Decision::All => 0.9 + 0.1 / 3.0,
        Decision::Review => 0.51,
        _ => 1.0 / 30.0,
    };
    let rejected = decision == Decision::Rejected;
    Finding {
        p_all: (!rejected).then_some(p_all),
        decision,
        reasons: match decision {
            Decision::Review => {
                vec![Reason::new(ReasonCode::LowConfidence, "P(all) is near the threshold.")]
            }
            Decision::Rejected => vec![Reason::new(ReasonCode::Truncated, "The file ends early.")],
            _ => Vec::new(),
        },
        quality_flags: vec!["touches-frame".to_owned()],
        // Some have figures, and some have none.
        quality: (decision == Decision::Review).then(|| figures(p_all)),
        model: (!rejected).then(|| ModelRef { id: "b3".to_owned(), digest: "ab".repeat(32) }),
        timings: Timings { queue_us: 1, read_us: 2, decode_us: 3, preprocess_us: 4, infer_us: 5 },
        ..Finding::blank(uuid::Uuid::now_v7(), CellIds::default(), START)
    }
}

/// Figures that are nobody else's.
pub(crate) fn figures(seed: f64) -> Figures {
    let measures = Measures {
        area: 12_345.0,
        frame: 0.0,
        solidity: 0.9 + seed / 30.0,
        sharpness: 5.0 / 3.0,
        brightness: 101.0 + seed,
        contrast: 20.1,
        saturation: 1.0 / 3.0,
        hue: 285.0,
    };
    Figures {
        measures: Some(measures),
        distance: Some(Distance { distance: 0.9 + seed, limit: 2.0 / 1.3 }),
    }
}

pub(crate) fn capture(path: &str, moment: i64, bytes: &str, decision: Decision) -> Entry {
    Entry::Capture { stamp: stamp(moment), found: found(path, bytes, decision) }
}

/// A file that could not be read.
pub(crate) fn unreadable(path: &str, moment: i64) -> Entry {
    let mut found = found(path, "", Decision::Rejected);
    found.capture.digest = None;
    Entry::Capture { stamp: stamp(moment), found }
}

pub(crate) fn request(bytes: &str, specimen: &str, model: &str) -> Entry {
    let mut found = found("", bytes, Decision::All);
    found.capture.source = Source::Rpc {
        peer: "127.0.0.1:5".to_owned(),
        request_id: "r-1".to_owned(),
        client: "token:lims".to_owned(),
    };
    found.cells[0].ids.specimen = specimen.to_owned();
    found.cells[0].model = Some(ModelRef { id: "b3".to_owned(), digest: model.to_owned() });
    Entry::Request { found }
}

pub(crate) async fn stored(journal: &Journal, entry: Entry) -> Record {
    match journal.commit(entry).await.unwrap() {
        Committed::Stored(stored) => (**stored.first().unwrap()).clone(),
        Committed::Known(stored) => panic!("expected a new result, got {}", stored.sequence),
    }
}

pub(crate) async fn known(journal: &Journal, entry: Entry) -> u64 {
    match journal.commit(entry).await.unwrap() {
        Committed::Known(stored) => stored.sequence,
        Committed::Stored(stored) => panic!("expected a known result, got {stored:?}"),
    }
}

pub(crate) async fn refused(journal: &Journal, entry: Entry) -> JournalError {
    journal.commit(entry).await.unwrap_err()
}

/// Every result that is kept.
pub(crate) fn all(journal: &Journal) -> Vec<Record> {
    let mut records = Vec::new();
    let mut after = 0;
    loop {
        let batch = journal.read_after(after, 7).unwrap();
        let Some(last) = batch.events.last() else { return records };
        after = last.sequence();
        records.extend(batch.events.iter().filter_map(Event::result).map(|one| (**one).clone()));
    }
}

/// Every result and review that is kept.
pub(crate) fn events(journal: &Journal) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = events.last().map_or(0, Event::sequence);
        let batch = journal.read_after(after, 7).unwrap();
        if batch.events.is_empty() {
            return events;
        }
        events.extend(batch.events);
    }
}

/// A review of the result with this sequence.
pub(crate) fn review(sequence: u64, label: ReviewLabel) -> NewReview {
    NewReview {
        of: Lookup::Sequence(sequence),
        label,
        reviewer: "Dr. Doe".to_owned(),
        note: "seen twice".to_owned(),
        blind: false,
        client: "token:lims".to_owned(),
        review_id: None,
    }
}

pub(crate) async fn reviewed(journal: &Journal, review: NewReview) -> Review {
    match journal.review(review).await.unwrap() {
        Submitted::Stored(review) => (*review).clone(),
        Submitted::Known(review) => panic!("expected a new review, got {}", review.sequence),
    }
}
