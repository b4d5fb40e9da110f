//! Cells that people reviewed, read from leukd's own journal.

use std::path::Path;
use std::process::{Command, Output};

use leukd_cell::preprocess::Preprocessing;
use leukd_cell::segment::{SegmentOptions, SetAside, segment};
use leukd_cell::synthetic::smear::{Recipe, draw};
use leukd_cell::synthetic::{self, Kind};
use leukd_journal::clock::Clock;
use leukd_journal::images::Images;
use leukd_journal::images::KeepImages;
use leukd_journal::result::{
    Capture, CaptureKind, CapturePath, CellIds, Decision, Digest, FieldFigures, Finding, ModelRef,
    ScaleSource, Source, Timestamp, Timings,
};
use leukd_journal::review::ReviewLabel;
use leukd_journal::types::{Entry, FileStamp, Found};
use leukd_journal::{Journal, Lookup, NewReview, Options};
use leukd_train::dataset::{ContactSheet, Dataset};

use crate::support::{NARROW, said};

/// A laboratory's export folder and what leukd keeps beside it.
struct Station {
    export: std::path::PathBuf,
    state: std::path::PathBuf,
    journal: Journal,
    images: Images,
    cells: std::cell::Cell<u64>,
    _dir: tempfile::TempDir,
}

/// Where a cell's picture is after its review.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Picture {
    InTheFolder,
    Changed,
    Kept,
    Gone,
}

impl Station {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [export, state] = ["export", "state"].map(|name| dir.path().join(name));
        std::fs::create_dir(&export).unwrap();
        let journal = Journal::open(&state, Options::new(Clock::system())).unwrap();
        let images = Images::open(&state, KeepImages::All, u64::MAX);
        Self { export, state, journal, images, cells: Default::default(), _dir: dir }
    }

    /// Stores a cell that leukd took for a blast, and what people said of it one after the other.
    async fn cell(
        &self,
        subject: &str,
        kind: Kind,
        picture: Picture,
        said: &[ReviewLabel],
    ) -> String {
        let seed = self.cells.replace(self.cells.get() + 1);
        let bytes = synthetic::bmp(&synthetic::cell(seed, kind));
        // The name says what the export's software took it for, which is what the review corrects.
        let name = format!("UID_{subject}_1_{seed}_all.bmp");
        let file = self.export.join(&name);
        let digest = Digest::of(&bytes);
        match picture {
            Picture::InTheFolder => std::fs::write(&file, &bytes).unwrap(),
            Picture::Changed => {
                std::fs::write(&file, synthetic::bmp(&synthetic::cell(seed + 9000, kind))).unwrap();
            }
            Picture::Kept => self.images.classified(&digest, &bytes),
            Picture::Gone => {}
        }
        let path =
            CapturePath { folder: self.export.to_str().unwrap().to_owned(), path: name.clone() };
        let capture = Capture {
            digest: Some(digest),
            size_bytes: bytes.len() as u64,
            source: Source::Folder(path),
            captured_at: Timestamp(1),
            kind: CaptureKind::Cell,
        };
        let finding = Finding {
            result_id: format!("{seed}"),
            ordinal: 0,
            region: None,
            outline: None,
            ids: CellIds { specimen: subject.to_owned(), ..CellIds::default() },
            p_all: Some(0.9),
            decision: Decision::All,
            reasons: Vec::new(),
            quality_flags: Vec::new(),
            quality: None,
            model: Some(ModelRef { id: "b3".to_owned(), digest: "ab".repeat(32) }),
            classified_at: Timestamp(1),
            timings: Timings::default(),
        };
        let moment = i64::try_from(seed).unwrap();
        let stamp = FileStamp { size: 1, mtime_ns: moment, ctime_ns: moment, inode: seed };
        let entry = Entry::Capture { stamp, found: Found::one(capture, finding) };
        let committed = self.journal.commit(entry).await.unwrap();
        for label in said {
            let review = NewReview {
                of: Lookup::Sequence(committed.stored().sequence),
                label: *label,
                reviewer: "Dr. Doe".to_owned(),
                note: String::new(),
                blind: false,
                client: String::new(),
                review_id: None,
            };
            self.journal.review(review).await.unwrap();
        }
        name
    }
}

fn train(arguments: &[&str], paths: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_leukd-train")).args(arguments).args(paths).output().unwrap()
}

#[tokio::test]
async fn a_reviewed_cell_has_its_latest_label_and_the_very_bytes_that_were_reviewed() {
    use ReviewLabel::{All, Hem, Other};
    let station = Station::new();
    station.cell("1", Kind::Blast, Picture::InTheFolder, &[]).await;
    let confirmed = station.cell("1", Kind::Blast, Picture::InTheFolder, &[All]).await;
    let corrected = station.cell("2", Kind::Normal, Picture::InTheFolder, &[All, Hem]).await;
    station.cell("3", Kind::Blast, Picture::Kept, &[All]).await;
    let gone = station.cell("4", Kind::Blast, Picture::Gone, &[All]).await;
    let changed = station.cell("5", Kind::Blast, Picture::Changed, &[All]).await;
    let nobodys = station.cell("", Kind::Blast, Picture::InTheFolder, &[All]).await;
    let neither = station.cell("6", Kind::Blast, Picture::InTheFolder, &[Hem, Other]).await;
    // While leukd is at work on it.
    let dataset = Dataset::read(&station.state, &Preprocessing::b3()).unwrap();
    let mut cells: Vec<_> =
        dataset.cells.iter().map(|cell| (cell.subject.as_str(), cell.label)).collect();
    cells.sort_unstable();
    assert_eq!(cells, [("1", 0), ("2", 1), ("3", 0)]);
    for name in [confirmed, corrected] {
        assert!(dataset.cells.iter().any(|cell| cell.name == name), "{name}");
    }
    let why = |name: &str| {
        let found = dataset.broken.iter().find(|broken| broken.path.ends_with(name));
        found.unwrap_or_else(|| panic!("{name}: {:?}", dataset.broken)).reason.clone()
    };
    assert!(why(&gone).contains("journal.keep_images"), "{}", why(&gone));
    assert!(why(&changed).contains("other bytes"), "{}", why(&changed));
    assert!(why(&neither).contains("of neither class"), "{}", why(&neither));
    assert!(why(&nobodys).contains("no specimen"), "{}", why(&nobodys));
    assert_eq!(dataset.broken.len(), 4);
}

#[tokio::test]
async fn one_command_trains_on_what_people_reviewed() {
    let station = Station::new();
    for (subject, kind, label) in [
        ("1", Kind::Blast, ReviewLabel::All),
        ("2", Kind::Blast, ReviewLabel::All),
        ("3", Kind::Blast, ReviewLabel::All),
        ("11", Kind::Normal, ReviewLabel::Hem),
        ("12", Kind::Normal, ReviewLabel::Hem),
        ("13", Kind::Normal, ReviewLabel::Hem),
    ] {
        for cell in 0..6 {
            let picture = if cell % 2 == 0 { Picture::Kept } else { Picture::InTheFolder };
            station.cell(subject, kind, picture, &[label]).await;
        }
    }
    let out = station.state.join("../run");
    let trained = train(
        &[&["--about-data", "reviewed cells"][..], &NARROW, &["--from-journal"]].concat(),
        &[&station.state, Path::new("--out"), &out],
    );
    assert!(trained.status.success(), "{}", said(&trained));
    let split = std::fs::read_to_string(out.join("split.csv")).unwrap();
    // The header, and every cell on one of the sides.
    assert_eq!(split.lines().count(), 37, "{split}");
    assert!(out.join("model.onnx").is_file());
}

#[test]
fn a_journal_that_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("journal.sqlite"), b"SQLite format 3\0, but no more").unwrap();
    let ended = train(&["inspect"], &[dir.path()]);
    assert!(!ended.status.success());
    assert!(said(&ended).contains("journal.sqlite"), "{}", said(&ended));
}

/// Stores a drawn field of view that is kept, and reviews its cells in turn.
async fn field(station: &Station, cells: u32, said: &[ReviewLabel]) {
    let recipe = Recipe { seed: 3, white_cells: cells, ..Recipe::default() };
    let bytes = synthetic::png(&draw(&recipe).picture);
    let digest = Digest::of(&bytes);
    station.images.classified(&digest, &bytes);
    let found = segment(&draw(&recipe).picture, &SegmentOptions::default());
    let whole = |at: f32| format!("{:.0}", at.max(0.0)).parse::<u32>().unwrap();
    let findings = found.cells.iter().map(|cell| Finding {
        ordinal: cell.ordinal,
        region: Some(cell.region),
        outline: Some(cell.outline.iter().map(|at| [whole(at.x), whole(at.y)]).collect()),
        p_all: Some(0.9),
        decision: Decision::All,
        model: Some(ModelRef { id: "b3".to_owned(), digest: "ab".repeat(32) }),
        ..Finding::blank(
            format!("f{}", cell.ordinal),
            CellIds { specimen: format!("s{}", cell.ordinal), ..CellIds::default() },
            Timestamp(1),
        )
    });
    let findings: Vec<Finding> = findings.collect();
    let folder = station.export.to_str().unwrap().to_owned();
    let capture = Capture {
        digest: Some(digest),
        size_bytes: bytes.len() as u64,
        source: Source::Folder(CapturePath { folder, path: "field.png".to_owned() }),
        captured_at: Timestamp(1),
        kind: CaptureKind::Field,
    };
    let figures = FieldFigures {
        micrometres_per_pixel: 0.12,
        scale_source: ScaleSource::Given,
        red_cells: None,
        set_aside: SetAside::default(),
    };
    let stamp = FileStamp { size: 1, mtime_ns: 7, ctime_ns: 7, inode: 7 };
    let found = Found { capture, cells: findings, figures: Some(figures), took_us: 1 };
    let committed = station.journal.commit(Entry::Capture { stamp, found }).await.unwrap();
    for (record, label) in committed.stored().records.iter().zip(said) {
        let review = NewReview {
            of: Lookup::Sequence(record.sequence),
            label: *label,
            reviewer: "Dr. Doe".to_owned(),
            note: String::new(),
            blind: false,
            client: String::new(),
            review_id: None,
        };
        station.journal.review(review).await.unwrap();
    }
}

#[tokio::test]
async fn reviewed_cells_of_a_field_are_cut_out_of_the_kept_image() {
    use ReviewLabel::{All, Hem, Other};
    let station = Station::new();
    field(&station, 3, &[All, Hem, Other]).await;
    let dataset = Dataset::read(&station.state, &Preprocessing::b3()).unwrap();
    let cells: Vec<_> = dataset
        .cells
        .iter()
        .map(|cell| (cell.subject.as_str(), cell.label, cell.width, cell.height))
        .collect();
    assert_eq!(cells, [("s0", 0, 450, 450), ("s1", 1, 450, 450)]);
    let [one, two] = &dataset.cells[..] else { panic!() };
    assert_ne!((one.digest, &one.pixels), (two.digest, &two.pixels));
    assert!(one.name.ends_with("#0") && two.name.ends_with("#1"), "{} {}", one.name, two.name);
    // Cut out on black, at two pixels to one of the field: 0.12 µm to 0.06 µm.
    assert!(dataset.cells.iter().all(|cell| (5_000..90_000).contains(&cell.area)));
    assert_eq!(dataset.broken.len(), 1);
    ContactSheet::draw(&dataset, 4).unwrap();
}
