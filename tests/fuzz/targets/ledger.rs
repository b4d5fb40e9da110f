//! Bytes → a story of captures, copies, requests, retention, stops and crashes, against the
//! journal; and what must hold after each step.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use leukd::clock::Clock;
use leukd::journal::types::{Committed, Entry, FileStamp, Found};
use leukd::journal::{
    Event, Journal, JournalError, Lookup, NewReview, Options, ReviewError, Submitted,
};
use leukd::result::{
    Capture, CaptureKind, CapturePath, CellIds, Decision, Digest, Finding, ModelRef, Reason,
    ReasonCode, Source, Timestamp, Timings,
};
use leukd::review::ReviewLabel;

const START: Timestamp = Timestamp(1_767_225_600_000);

/// The most steps of a story: each flushes to the disk.
const MOST_STEPS: usize = 48;

/// Stories that each rule of the journal's own list has a part in. A step is four bytes: what,
/// path, content, more.
pub fn seeds() -> Vec<Vec<u8>> {
    let story = |steps: &[[u8; 4]]| steps.concat();
    vec![
        story(&[
            [0, 0, 0, 0],
            [0, 1, 0, 0],
            [0, 0, 1, 0],
            [5, 0, 0, 0],
            [0, 1, 2, 0],
            [0, 0, 0, 0],
        ]),
        story(&[
            [0, 0, 3, 1],
            [0, 1, 3, 1],
            [6, 0, 0, 0],
            [0, 1, 3, 0],
            [1, 2, 3, 0],
            [5, 0, 0, 0],
        ]),
        story(&[
            [2, 0, 0, 0],
            [0, 0, 0, 0],
            [2, 1, 0, 1],
            [3, 0, 0, 0],
            [0, 1, 1, 0],
            [3, 0, 0, 0],
            [6, 1, 0, 0],
        ]),
        story(&[
            [7, 0, 0, 0],
            [7, 0, 1, 0],
            [0, 0, 0, 0],
            [4, 0, 0, 9],
            [3, 0, 0, 0],
            [0, 0, 0, 1],
        ]),
        story(&[
            [0, 0, 0, 0],
            [8, 0, 0, 1],
            [8, 0, 0, 1],
            [8, 0, 1, 2],
            [0, 0, 1, 0],
            [8, 1, 0, 3],
            [5, 0, 0, 0],
            [8, 0, 0, 0],
            [3, 0, 0, 0],
        ]),
        story(&[
            [2, 0, 0, 1],
            [2, 1, 1, 2],
            [9, 0, 0, 0],
            [9, 0, 0, 0],
            [2, 1, 2, 2],
            [4, 0, 0, 9],
            [5, 0, 0, 0],
            [9, 0, 0, 5],
            [6, 0, 0, 0],
        ]),
    ]
}

/// A folder in memory where there is one: thousands of flushes to a disk would be all that is
/// tried.
pub fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

/// Plays the story; what held before must hold after each step.
pub fn run(bytes: &[u8]) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut story = Story::new();
    let mut words = BTreeSet::new();
    for step in bytes.chunks(4).take(MOST_STEPS) {
        let at = |index: usize| step.get(index).copied().unwrap_or_default();
        words.insert(runtime.block_on(story.step(at(0), at(1), at(2), at(3))));
        story.check();
    }
    format!("{words:?}")
}

struct Story {
    root: tempfile::TempDir,
    /// Crashes so far: each life is in a folder of its own.
    life: u32,
    clock: Clock,
    /// None only between two lives.
    journal: Option<Journal>,
    epoch: String,
    newest: u64,
    moment: i64,
    /// Sequence → digest of what was answered as stored.
    promised: BTreeMap<u64, Digest>,
    paths: BTreeSet<String>,
}

impl Story {
    fn new() -> Self {
        let (root, clock) = (folder(), Clock::manual(START));
        let mut story = Self {
            root,
            life: 0,
            clock,
            journal: None,
            epoch: String::new(),
            newest: 0,
            moment: 1,
            promised: BTreeMap::new(),
            paths: BTreeSet::new(),
        };
        let journal = story.open();
        story.epoch = journal.epoch().to_owned();
        story.journal = Some(journal);
        story
    }

    fn home(&self) -> PathBuf {
        self.root.path().join(self.life.to_string())
    }

    fn open(&self) -> Journal {
        let options = Options {
            keep_for: Some(Duration::from_secs(3600)),
            keep_count: Some(5),
            tail: Some(3),
            ..Options::new(self.clock.clone())
        };
        Journal::open(&self.home(), options).unwrap()
    }

    fn journal(&self) -> &Journal {
        self.journal.as_ref().unwrap()
    }

    async fn step(&mut self, what: u8, path: u8, content: u8, more: u8) -> &'static str {
        let name = format!("{}.bmp", path % 5);
        let bytes = [content % 6];
        match what % 10 {
            0 => {
                // The same state of the file again, or a new one.
                self.moment += i64::from(more & 2 == 0);
                let rejected = more & 1 == 1;
                let digest = (more & 4 == 0 || !rejected).then(|| Digest::of(&bytes));
                let source = Source::Folder(at(&name));
                // Every fourth content is a field of view, with up to three cells.
                let cells = (content % 4 == 3).then_some(content % 3 + more % 2);
                let found = self.found(source, digest, rejected, cells);
                self.paths.insert(name.clone());
                let entry = Entry::Capture { stamp: stamp(self.moment), found };
                self.commit(entry, digest).await
            }
            1 => {
                let digest = Digest::of(&bytes);
                let known = self.journal().known(&digest).unwrap();
                let sequence = known.as_ref().map_or(u64::from(more), |known| known.sequence);
                self.moment += 1;
                let entry =
                    Entry::Alias { path: at(&name), stamp: stamp(self.moment), digest, sequence };
                let answer = self.journal().commit(entry).await;
                match answer {
                    Ok(Committed::Known(known)) => {
                        assert_eq!(known.sequence, sequence);
                        self.paths.insert(name);
                        "alias"
                    }
                    Ok(Committed::Stored(stored)) => panic!("an alias made {stored:?}"),
                    Err(JournalError::Stale { .. } | JournalError::Refused { .. }) => "stale alias",
                    Err(error) => panic!("{error}"),
                }
            }
            2 => {
                let digest = Digest::of(&bytes);
                let source = Source::Rpc {
                    peer: "127.0.0.1:5".to_owned(),
                    request_id: name,
                    client: String::new(),
                };
                let mut found = self.found(source, Some(digest), false, None);
                found.cells[0].ids.specimen = (more % 3).to_string();
                self.commit(Entry::Request { found }, Some(digest)).await
            }
            3 => {
                self.journal().prune().await.unwrap();
                "pruned"
            }
            4 => {
                self.clock.advance(Duration::from_secs(60 * u64::from(more)));
                "later"
            }
            5 => {
                self.journal = None;
                self.journal = Some(self.open());
                "stopped and started"
            }
            6 => {
                self.crash(None);
                "crashed"
            }
            7 => {
                self.crash(Some((&name, content)));
                "crashed with a capture in hand"
            }
            8 => self.review(path, content, more).await,
            _ => self.tell(more).await,
        }
    }

    /// What has come of a specimen before some minutes ago is told.
    async fn tell(&mut self, minutes: u8) -> &'static str {
        let not_after = Timestamp(self.clock.wall().0 - 60_000 * i64::from(minutes));
        let open = self.journal().open_specimens(not_after, 0).unwrap();
        assert!(open.summarized_to <= self.newest);
        let mut word = "nobody told";
        for specimen in open.quiet {
            assert!(!specimen.is_empty());
            let told = self
                .journal()
                .summarize_quiet(specimen, not_after, open.summarized_to)
                .await
                .unwrap();
            assert!(told, "nothing came in between");
            self.newest += 1;
            word = "told";
        }
        assert!(self.journal().open_specimens(not_after, 0).unwrap().quiet.is_empty(), "once");
        word
    }

    /// Somebody reviews one of the newest events, with an id that may have been used.
    async fn review(&mut self, path: u8, content: u8, more: u8) -> &'static str {
        let review = NewReview {
            of: Lookup::Sequence(self.newest.saturating_sub(u64::from(path % 4))),
            label: ReviewLabel::EVERY[usize::from(content % 3)],
            reviewer: "somebody".to_owned(),
            note: String::new(),
            blind: false,
            client: String::new(),
            review_id: (!more.is_multiple_of(4))
                .then(|| uuid::Uuid::from_u128(more.into()).to_string()),
        };
        match self.journal().review(review).await {
            Ok(Submitted::Stored(review)) => {
                assert_eq!(review.sequence, self.newest + 1, "a hole, or a number used twice");
                assert!(review.of.sequence.is_some_and(|of| of < review.sequence));
                self.newest = review.sequence;
                "reviewed"
            }
            Ok(Submitted::Known(review)) => {
                assert!(review.sequence <= self.newest);
                "known review"
            }
            Err(ReviewError::Journal(error)) => panic!("{error}"),
            Err(_) => "refused review",
        }
    }

    /// The files as they are at this moment become the next life's; the process that held them is
    /// gone.
    fn crash(&mut self, in_hand: Option<(&str, u8)>) {
        let before = self.home();
        let after = self.root.path().join((self.life + 1).to_string());
        {
            let journal = self.journal();
            let suspect = in_hand.map(|(name, worker)| {
                let worker = usize::from(worker % 3);
                journal.marks().enter(worker, &at(name), &stamp(self.moment)).unwrap()
            });
            copy(&before, &after);
            drop(suspect);
        }
        self.journal = None;
        self.life += 1;
        std::fs::remove_dir_all(before).unwrap();
        let journal = self.open();
        // To the journal its files were copied: it goes on in an epoch of its own.
        let ended = std::mem::replace(&mut self.epoch, journal.epoch().to_owned());
        assert_eq!(journal.status().unwrap().origin.before, Some(ended));
        if let Some((name, _)) = in_hand {
            let row = journal.ledger(&at(name)).unwrap();
            // What this state of the file became is stored: the crash was not its doing.
            let done = row.is_some_and(|row| row.stamp == stamp(self.moment));
            let suspected = journal.marks().suspects().contains(&at(name));
            assert_eq!(suspected, !done, "{name} was in hand");
        }
        self.journal = Some(journal);
    }

    async fn commit(&mut self, entry: Entry, digest: Option<Digest>) -> &'static str {
        match self.journal().commit(entry).await.unwrap() {
            Committed::Stored(stored) => {
                let end = stored.field.as_ref().map(|field| (field.sequence, field.supersedes));
                let cells = stored.records.iter().map(|own| (own.sequence, own.supersedes));
                let mut superseding = false;
                for (sequence, supersedes) in cells.chain(end) {
                    assert_eq!(sequence, self.newest + 1, "a hole, or a number used twice");
                    self.newest = sequence;
                    if let Some(digest) = digest {
                        self.promised.insert(sequence, digest);
                    }
                    superseding |= supersedes.is_some();
                }
                if superseding { "superseding" } else { "stored" }
            }
            Committed::Known(known) => {
                assert!(known.sequence <= self.newest);
                assert_eq!(known.capture().unwrap().digest, digest, "known by other bytes");
                "known"
            }
        }
    }

    /// The journal's promises.
    fn check(&self) {
        let journal = self.journal();
        assert_eq!(journal.epoch(), self.epoch);
        let bounds = journal.bounds();
        assert_eq!(bounds.newest, self.newest);
        let (mut after, mut events) = (0, Vec::new());
        loop {
            let batch = journal.read_after(after, 7).unwrap();
            let Some(last) = batch.events.last() else { break };
            after = last.sequence();
            events.extend(batch.events);
        }
        let numbers: Vec<u64> = events.iter().map(Event::sequence).collect();
        let oldest = if events.is_empty() { bounds.newest + 1 } else { bounds.oldest };
        let records: Vec<_> = events.iter().filter_map(Event::result).collect();
        assert_eq!(numbers, (oldest..=bounds.newest).collect::<Vec<_>>(), "holes");
        let superseded: BTreeSet<u64> = records
            .iter()
            .filter_map(|record| record.supersedes)
            .chain(events.iter().filter_map(|event| event.field()?.supersedes))
            .collect();
        let mut live = BTreeSet::new();
        for record in &records {
            if let (Some(digest), Some(promised)) =
                (record.capture.digest, self.promised.get(&record.sequence))
            {
                assert_eq!(&digest, promised, "{} was stored as something else", record.sequence);
            }
            let folder = matches!(record.capture.source, Source::Folder(_));
            if let Some(digest) = record.capture.digest
                && folder
                && !superseded.contains(&record.head())
            {
                let own = (digest.to_string(), record.finding.ordinal);
                assert!(live.insert(own), "two live results of the same cell");
                let known = journal.known(&digest).unwrap().map(|known| known.sequence);
                assert_eq!(known, Some(record.head()), "a live result is known by its bytes");
            }
        }
        for name in &self.paths {
            let row = journal.ledger(&at(name)).unwrap().expect("a row is never removed");
            assert!((1..=bounds.newest).contains(&row.sequence));
            if row.sequence >= oldest {
                let event = events.iter().find(|event| event.sequence() == row.sequence);
                assert!(event.is_some(), "{name} leads to {}, which is not there", row.sequence);
                assert!(!superseded.contains(&row.sequence), "{name} leads to what was superseded");
            }
        }
    }

    fn found(
        &self,
        source: Source,
        digest: Option<Digest>,
        rejected: bool,
        cells: Option<u8>,
    ) -> Found {
        let capture = Capture {
            digest,
            size_bytes: 1,
            source,
            captured_at: self.clock.wall(),
            kind: if cells.is_some() { CaptureKind::Field } else { CaptureKind::Cell },
        };
        let cells = (0..u32::from(cells.unwrap_or(1)))
            .map(|ordinal| Finding { ordinal, ..self.cell(rejected) })
            .collect();
        Found { capture, cells, figures: None, took_us: 15 }
    }

    fn cell(&self, rejected: bool) -> Finding {
        Finding {
            p_all: (!rejected).then_some(0.75),
            decision: if rejected { Decision::Rejected } else { Decision::All },
            reasons: if rejected {
                vec![Reason::new(ReasonCode::Truncated, "It ends early.")]
            } else {
                Vec::new()
            },
            model: (!rejected).then(|| ModelRef { id: "b3".to_owned(), digest: "ab".repeat(32) }),
            timings: Timings {
                queue_us: 1,
                read_us: 2,
                decode_us: 3,
                preprocess_us: 4,
                infer_us: 5,
            },
            ..Finding::blank(uuid::Uuid::now_v7(), CellIds::default(), self.clock.wall())
        }
    }
}

fn at(path: &str) -> CapturePath {
    CapturePath { folder: "/export".to_owned(), path: path.to_owned() }
}

fn stamp(moment: i64) -> FileStamp {
    FileStamp { size: 1, mtime_ns: moment, ctime_ns: moment, inode: 7 }
}

/// A folder and all below it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
