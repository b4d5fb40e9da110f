//! Captures with several cells, and with none: one capture, known, superseded and saved as one.

use leukd_cell::segment::{RedCells, SetAside};
use leukd_journal::audit::verify;
use leukd_journal::check::check;
use leukd_journal::recover::recover;
use leukd_journal::result::Decision::{self, All, Hem, Review};
use leukd_journal::result::{
    CaptureKind, Digest, FieldFigures, Region, ScaleSource, Source, Tally,
};
use leukd_journal::types::{CaptureState, Entry, Found, Stored};
use leukd_journal::{Event, FILE, Journal, JournalError, Lookup};

use crate::fixtures::{at, capture, cell, clock, events, known, open, refused, stamp, stored};

/// A field of view with these cells.
fn field(path: &str, moment: i64, bytes: &str, cells: &[Decision]) -> Entry {
    let mut capture = crate::fixtures::image(path, bytes);
    capture.kind = CaptureKind::Field;
    let cells = (0..)
        .zip(cells)
        .map(|(ordinal, decision)| {
            let mut own = cell(*decision);
            own.ordinal = ordinal;
            own.region = Some(Region { x: 10 * ordinal, y: 7, width: 40, height: 41 });
            own.outline = Some(vec![[10 * ordinal, 7], [10 * ordinal + 40, 7], [10 * ordinal, 48]]);
            own.ids.specimen = "S".to_owned();
            own
        })
        .collect();
    let found = Found { capture, cells, figures: Some(figures(None)), took_us: 1234 };
    Entry::Capture { stamp: stamp(moment), found }
}

/// A field's figures, its scale given or estimated.
fn figures(given: Option<f64>) -> FieldFigures {
    FieldFigures {
        micrometres_per_pixel: given.unwrap_or(0.1),
        scale_source: given.map_or(ScaleSource::RedCells, |_| ScaleSource::Given),
        red_cells: Some(RedCells { diameter: 72.0, uncertainty: 0.7, count: 9 }),
        set_aside: SetAside { smudges: 2, ..SetAside::default() },
    }
}

async fn store(journal: &Journal, entry: Entry) -> Stored {
    let committed = journal.commit(entry).await.unwrap();
    assert!(matches!(committed, leukd_journal::types::Committed::Stored(_)), "{committed:?}");
    committed.stored().clone()
}

fn sound(directory: &std::path::Path) -> u64 {
    let file = directory.join(FILE);
    let findings = check(&file).unwrap().findings;
    assert!(findings.is_empty(), "{findings:?}");
    let verified = verify(&file, &[]).unwrap();
    assert_eq!(verified.fault, None);
    verified.compared
}

#[tokio::test]
async fn the_cells_of_a_field_are_stored_in_order_and_closed_by_an_event() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let entry = field("a", 1, "A", &[All, Hem, Review]);
    let Entry::Capture { found, .. } = &entry else { panic!() };
    let found = found.clone();
    let own = store(&journal, entry).await;
    assert_eq!((own.sequence, own.records.len()), (4, 3));
    let events = events(&journal);
    assert_eq!(events.iter().map(Event::sequence).collect::<Vec<_>>(), [1, 2, 3, 4]);
    for (event, (cell, record)) in events.iter().zip(found.cells.iter().zip(&own.records)) {
        assert_eq!(event.result(), Some(record));
        assert_eq!((&record.finding, &record.capture), (cell, &found.capture));
        assert_eq!((record.field, record.supersedes), (Some(4), None));
    }
    let end = events[3].field().unwrap();
    assert_eq!(end.cells, Tally { all: 1, hem: 1, review: 1, rejected: 0 });
    assert_eq!((end.took_us, &end.capture), (1234, &found.capture));
    assert_eq!(end.figures, found.figures);
    let row = journal.ledger(&at("a")).unwrap().unwrap();
    assert_eq!((row.sequence, row.state), (4, CaptureState::Done));
    let by_path = journal.get(&Lookup::Path(at("a"))).unwrap().unwrap();
    assert_eq!(by_path.sequence, 1, "the first of its cells");
    drop(journal);
    let journal = open(directory.path());
    assert_eq!(crate::fixtures::events(&journal), events, "from disk");
    assert_eq!(journal.known(&Digest::of(b"A")).unwrap(), Some(own));
    drop(journal);
    assert_eq!(sound(directory.path()), 4);
}

#[tokio::test]
async fn a_field_is_known_by_its_bytes_also_without_a_cell() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    store(&journal, field("a", 1, "A", &[All, Hem])).await;
    let none = store(&journal, field("b", 1, "B", &[])).await;
    assert_eq!((none.sequence, none.records.len()), (4, 0));
    assert_eq!(journal.ledger(&at("b")).unwrap().unwrap().sequence, 4);
    assert_eq!(known(&journal, field("a", 2, "A", &[All, Hem])).await, 3);
    assert_eq!(known(&journal, field("copy", 2, "A", &[All, Hem])).await, 3);
    assert_eq!(known(&journal, field("b", 2, "B", &[])).await, 4);
    assert_eq!(journal.ledger(&at("copy")).unwrap().unwrap().state, CaptureState::Duplicate);
    let mut twice = field("c", 1, "C", &[All, Hem]);
    if let Entry::Capture { found, .. } = &mut twice {
        found.cells[1].ordinal = 0;
    }
    let error = refused(&journal, twice).await;
    assert!(matches!(error, JournalError::Refused { .. }), "{error}");
    drop(journal);
    assert_eq!(sound(directory.path()), 4);
}

#[tokio::test]
async fn other_bytes_supersede_all_cells_of_a_field_as_one() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let live = |journal: &Journal| {
        let query = leukd_journal::SpecimenQuery { specimen: "S".to_owned(), ..Default::default() };
        journal.specimen(&query).unwrap().unwrap().tally.classified()
    };
    store(&journal, field("a", 1, "A", &[All, Hem, Hem])).await;
    assert_eq!(live(&journal), 3);
    let second = store(&journal, field("a", 2, "B", &[All])).await;
    assert_eq!(second.records[0].supersedes, Some(4));
    assert_eq!(second.field.as_ref().unwrap().supersedes, Some(4));
    assert_eq!(live(&journal), 1, "all of them");
    assert_eq!(journal.known(&Digest::of(b"A")).unwrap(), None);
    // A field without a cell takes their place, and a capture of one cell that of the field.
    let third = store(&journal, field("a", 3, "C", &[])).await;
    assert_eq!(third.field.as_ref().unwrap().supersedes, Some(second.sequence));
    assert_eq!(live(&journal), 0);
    let cell = stored(&journal, capture("a", 4, "D", All)).await;
    assert_eq!(cell.supersedes, Some(third.sequence));
    assert_eq!(journal.known(&Digest::of(b"C")).unwrap(), None);
    drop(journal);
    sound(directory.path());
}

#[tokio::test]
async fn a_recovery_saves_a_field_as_one_also_where_its_end_or_a_cell_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    store(&journal, field("a", 1, "A", &[All, Hem])).await;
    store(&journal, field("b", 1, "B", &[All, Hem])).await;
    store(&journal, field("c", 1, "C", &[All, Hem])).await;
    store(&journal, field("c", 2, "D", &[Hem, Hem])).await;
    store(&journal, field("e", 1, "E", &[])).await;
    drop(journal);
    let tool = rusqlite::Connection::open(directory.path().join(FILE)).unwrap();
    // The end of one field, a cell of the next, and the first cell of what superseded another.
    tool.execute_batch("DELETE FROM events WHERE sequence IN (3, 4, 10)").unwrap();
    drop(tool);
    let recovered = recover(directory.path(), None, &clock()).unwrap();
    assert_eq!((recovered.count("result"), recovered.count("field")), (6, 4));
    assert_eq!(recovered.lost, Some(3));
    sound(directory.path());
    let journal = open(directory.path());
    let numbers: Vec<u64> = events(&journal).iter().map(Event::sequence).collect();
    assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
    let of = |bytes: &str| journal.known(&Digest::of(bytes.as_bytes())).unwrap();
    assert_eq!(of("A").unwrap().records.len(), 2, "its cells stay together");
    assert_eq!(of("B").unwrap().records.len(), 1);
    assert_eq!(of("C"), None, "superseded as before");
    assert_eq!(of("D").unwrap().records.len(), 1);
    assert_eq!(of("E").unwrap().records.len(), 0);
    // They are superseded together all the same.
    let next = store(&journal, field("a", 2, "A2", &[All])).await;
    assert_eq!(next.records[0].supersedes, Some(2));
    assert_eq!(journal.known(&Digest::of(b"A")).unwrap(), None);
    drop(journal);
    sound(directory.path());
}

/// A request's field of view with these cells, its scale given or estimated.
fn field_request(bytes: &str, slide: &str, cells: &[Decision], given: Option<f64>) -> Entry {
    let Entry::Capture { mut found, .. } = field("", 1, bytes, cells) else { panic!() };
    let client = "token:lims".to_owned();
    let (peer, request_id) = ("127.0.0.1:5".to_owned(), "r-1".to_owned());
    found.capture.source = Source::Rpc { peer, request_id, client };
    found.figures = Some(figures(given));
    for (ordinal, own) in found.cells.iter_mut().enumerate() {
        own.ids.slide = slide.to_owned();
        own.ids.cell = ordinal.to_string();
    }
    Entry::Request { found }
}

#[tokio::test]
async fn a_requests_field_is_stored_once_for_its_bytes_ids_and_scale() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let first = store(&journal, field_request("A", "1", &[All, Hem], None)).await;
    assert_eq!((first.sequence, first.records.len()), (3, 2));
    for (again, is_known) in [
        (field_request("A", "1", &[All, Hem], None), true),
        (field_request("A", "2", &[All, Hem], None), false),
        (field_request("A", "1", &[All, Hem], Some(0.1)), false),
        (field_request("A", "1", &[All, Hem], Some(0.1)), true),
        (field_request("A", "1", &[All, Hem], Some(0.2)), false),
        (field_request("B", "1", &[], None), false),
        (field_request("B", "1", &[], None), true),
    ] {
        let committed = journal.commit(again).await.unwrap();
        let stored = matches!(committed, leukd_journal::types::Committed::Known(_));
        assert_eq!(stored, is_known, "{committed:?}");
        let own = committed.stored();
        assert_eq!(own.records.len() as u64 + 1, own.sequence - first_of(own) + 1);
    }
    // A cell that has the ids of a field's first cell is another capture.
    let cell = crate::fixtures::request("A", "S", "");
    let Entry::Request { mut found } = cell else { panic!() };
    found.cells[0].ids = first.records[0].finding.ids.clone();
    found.cells[0].model = None;
    let own = store(&journal, Entry::Request { found }).await;
    assert_eq!(own.field, None);
    sound(directory.path());
}

/// The first sequence of a field's events.
fn first_of(stored: &Stored) -> u64 {
    stored.first().map_or(stored.sequence, |first| first.sequence)
}
