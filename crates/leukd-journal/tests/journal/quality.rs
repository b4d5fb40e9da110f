//! What was measured of a picture stays with its result, sealed.

use leukd_journal::check::check;
use leukd_journal::recover::recover;
use leukd_journal::result::Decision::{All, Rejected, Review};
use leukd_journal::result::{Distance, Figures};
use leukd_journal::types::Entry;
use leukd_journal::{FILE, Journal, Options};

use crate::audit::{fault, record_of, tool, whole};
use crate::fixtures::{all, capture, clock, figures, found, open, stamp, stored};

/// A capture of which this was measured.
fn measured(path: &str, quality: Option<Figures>) -> Entry {
    let mut found = found(path, path, All);
    found.cells[0].quality = quality;
    Entry::Capture { stamp: stamp(1), found }
}

fn quality(journal: &Journal) -> Vec<Option<Figures>> {
    all(journal).iter().map(|one| one.finding.quality).collect()
}

#[tokio::test]
async fn figures_are_kept_to_the_last_bit_through_a_restart_and_a_recovery() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let odd = Figures {
        measures: None,
        distance: Some(Distance { distance: 0.1 + 0.2, limit: f64::MIN_POSITIVE }),
    };
    let kinds = [Some(figures(1.0 / 7.0)), Some(odd), Some(Figures::default()), None];
    for (number, kind) in kinds.iter().enumerate() {
        stored(&journal, measured(&format!("p{number}"), *kind)).await;
    }
    assert_eq!(quality(&journal), kinds, "from memory");
    drop(journal);
    let journal =
        Journal::open(directory.path(), Options { tail: Some(1), ..Options::new(clock()) })
            .unwrap();
    assert_eq!(quality(&journal), kinds, "from disk");
    drop(journal);

    let file = directory.path().join(FILE);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[..4096].fill(0xff);
    std::fs::write(&file, &bytes).unwrap();
    let recovered = recover(directory.path(), None, &clock()).unwrap();
    assert_eq!(recovered.count("result"), 4);
    whole(&recovered.journal);
    assert_eq!(quality(&open(directory.path())), kinds, "from a file whose first page was lost");
}

#[tokio::test]
async fn figures_that_are_put_in_taken_out_or_changed_break_the_chain() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    stored(&journal, capture("with", 1, "A", Review)).await;
    stored(&journal, capture("without", 1, "B", All)).await;
    stored(&journal, capture("rejected", 1, "C", Rejected)).await;
    drop(journal);
    let file = directory.path().join(FILE);
    let tool = tool(&file);
    let text = |row: i64| -> String {
        let sql = "SELECT payload FROM events WHERE sequence = ?1";
        tool.query_row(sql, [row], |row| row.get(0)).unwrap()
    };
    let (with, without) = (text(1), text(2));
    let quality = |text: &str| -> String {
        text.split_once("\"quality\":").unwrap().1.split_once(",\"model\"").unwrap().0.to_owned()
    };
    assert_eq!(quality(&without), "null");
    for (row, other) in [
        (1, with.replacen(&quality(&with), "null", 1)),
        (1, with.replacen("12345.0", "12346.0", 1)),
        // The same number, written otherwise.
        (1, with.replacen("12345.0", "12345", 1)),
        (2, without.replacen("\"quality\":null", &format!("\"quality\":{}", quality(&with)), 1)),
        (3, text(3).replacen("\"quality\":null", "\"quality\":1", 1)),
    ] {
        let before = text(row);
        assert_ne!(before, other);
        let change = "UPDATE events SET payload = ?1 WHERE sequence = ?2";
        tool.execute(change, (&other, row)).unwrap();
        let found = fault(&file, &[]);
        assert_eq!(found.number, record_of(&file, row), "{other:?} in {row}: {found:?}");
        tool.execute(change, (&before, row)).unwrap();
        whole(&file);
    }
    tool.execute(
        "UPDATE events SET payload = ?1 WHERE sequence = 1",
        [with.replacen(&quality(&with), "[1]", 1)],
    )
    .unwrap();
    let areas: Vec<_> = check(&file).unwrap().findings.into_iter().map(|one| one.area).collect();
    assert_eq!(areas, ["events", "audit"]);
}

#[tokio::test]
async fn figures_that_are_no_numbers_are_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let mut odd = figures(0.5);
    odd.distance = Some(Distance { distance: f64::NAN, limit: 1.5 });
    stored(&journal, measured("distance", Some(odd))).await;
    odd.measures.as_mut().unwrap().hue = f64::INFINITY;
    stored(&journal, measured("both", Some(odd))).await;
    let kept = Figures { measures: figures(0.5).measures, distance: None };
    assert_eq!(quality(&journal), [Some(kept), Some(Figures::default())]);
    drop(journal);
    whole(&directory.path().join(FILE));
}
