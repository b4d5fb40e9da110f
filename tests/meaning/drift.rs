//! The last weeks: what is counted of them is what the stored results say, and a week that stands
//! out is told.
#![allow(clippy::print_stdout)]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crate::support::process::{leukd, stderr, stdout};
use crate::support::{ALL, Folders, HEM, Harness, cell_of, scrape, until};
use leukd::cell::Measures;
use leukd::cell::synthetic::{self, Kind};
use leukd::clock::Clock;
use leukd::config::settings::Settings;
use leukd::drift::Counting;
use leukd::grpc::proto;
use leukd::journal::types::{Entry, FileStamp, Found};
use leukd::journal::{FILE, Journal, Lookup, NewReview, Options};
use leukd::metrics::METRICS;
use leukd::model::bundle::Bundle;
use leukd::model::testing;
use leukd::result::{
    Capture, CaptureKind, CapturePath, CellIds, Decision, Digest, Distance, Figures, Finding,
    Label, ModelRef, Reason, ReasonCode, Source, Timestamp,
};
use leukd::review::ReviewLabel;

/// Wednesday, 2026-11-25T12:00:00Z, in the week 2026-W48.
const NOW: Timestamp = Timestamp(1_795_608_000_000);
const DAY: i64 = 24 * 3600 * 1000;

fn served() -> ModelRef {
    let digest = Digest::of(&testing::tiny_bundle("tiny", 1)).to_string();
    ModelRef { id: "tiny".to_owned(), digest }
}

/// A cell, as the model would have given it.
fn cell(number: u64, at: Timestamp, all: f64, sharpness: f64) -> Found {
    let doubted = number.is_multiple_of(10);
    let decision = match all {
        _ if doubted => Decision::Review,
        0.5.. => Decision::All,
        _ => Decision::Hem,
    };
    let measures = Measures {
        area: 1000.0 + number as f64,
        frame: 0.0,
        solidity: 0.95,
        sharpness,
        brightness: 100.0,
        contrast: 20.0,
        saturation: 0.5,
        // On both sides of red.
        hue: if number.is_multiple_of(2) { 350.0 } else { 10.0 },
    };
    let capture = Capture {
        digest: Some(Digest::of(&number.to_le_bytes())),
        size_bytes: 8,
        source: Source::Folder(CapturePath {
            folder: "/export".to_owned(),
            path: format!("{number}.bmp"),
        }),
        captured_at: at,
        kind: CaptureKind::Cell,
    };
    let finding = Finding {
        p_all: Some(all),
        decision,
        reasons: if doubted {
            vec![
                Reason::new(ReasonCode::Blurred, "It is."),
                Reason::new(ReasonCode::UnusualHue, "It has."),
            ]
        } else {
            Vec::new()
        },
        quality: Some(Figures {
            measures: Some(measures),
            distance: Some(Distance { distance: 0.9, limit: 1.5 }),
        }),
        model: Some(served()),
        ..Finding::blank(uuid::Uuid::now_v7(), CellIds::default(), at)
    };
    Found::one(capture, finding)
}

/// Stores these, as a daemon of then would have.
async fn store(journal: &Journal, found: Vec<Found>) -> Vec<u64> {
    let mut sequences = Vec::new();
    for (moment, found) in (1..).zip(found) {
        let stamp = FileStamp { size: 8, mtime_ns: moment, ctime_ns: moment, inode: 1 };
        let stored = journal.commit(Entry::Capture { stamp, found }).await.unwrap();
        sequences.push(stored.stored().sequence);
    }
    sequences
}

async fn review(journal: &Journal, sequence: u64, label: ReviewLabel) {
    let review = NewReview {
        of: Lookup::Sequence(sequence),
        label,
        reviewer: "Dr. Doe".to_owned(),
        note: String::new(),
        blind: false,
        client: String::new(),
        review_id: None,
    };
    journal.review(review).await.unwrap();
}

/// P(all) of a cell of an ordinary week: from 0.02 to 0.98.
fn ordinary(number: u64) -> f64 {
    0.02 + 0.96 * ((number * 37) % 100) as f64 / 99.0
}

async fn drift(harness: &Harness, as_of: u64) -> proto::Drift {
    until("the weeks", async || {
        let drift = harness.status().await.drift?;
        (!drift.counting && drift.as_of_sequence >= as_of).then_some(drift)
    })
    .await
}

fn figure<'a>(model: &'a proto::DriftModel, name: &str) -> &'a proto::DriftFigure {
    model.figures.iter().find(|figure| figure.name == name).unwrap()
}

/// The same without the last digits, in which sums of another order differ.
fn blunt(mut drift: proto::Drift) -> proto::Drift {
    let round = |value: &mut f64| *value = (*value * 1e6).round() / 1e6;
    let models = drift.weeks.iter_mut().flat_map(|week| &mut week.models);
    for model in models {
        model.mean_score.iter_mut().for_each(round);
        for figure in &mut model.figures {
            round(&mut figure.mean);
            figure.deviation.iter_mut().for_each(round);
        }
    }
    drift
}

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-9
}

fn with_metrics(settings: &mut Settings) {
    settings.metrics.enabled = true;
    settings.metrics.listen = "127.0.0.1:0".parse().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_weeks_are_what_the_stored_results_say_and_what_stands_out_is_told() {
    let folders = Folders::new();
    let clock = Clock::manual(NOW);
    let last = Timestamp(NOW.0 - 7 * DAY);
    // Last week: 300 cells. This week: 250, all surely blasts, and blurred. One long ago, and one
    // from a leaping clock.
    let mut findings = vec![cell(9_001, Timestamp(NOW.0 - 200 * DAY), 0.7, 5.0)];
    findings.extend(
        (0..300).map(|number| cell(number, last, ordinary(number), 5.0 + (number % 5) as f64)),
    );
    findings.push(cell(9_002, Timestamp(NOW.0 + 20 * DAY), 0.7, 5.0));
    findings.extend((1000..1250).map(|number| {
        cell(number, NOW, 0.97 + 0.0001 * (number - 1000) as f64, 1.0 + (number % 5) as f64)
    }));
    let journal = Journal::open(&folders.state, Options::new(clock.clone())).unwrap();
    let sequences = store(&journal, findings.clone()).await;
    // Forty reviews of last week's: the latest of each counts. The second half of them disagrees at
    // first.
    for (place, sequence) in sequences[1..41].iter().enumerate() {
        let label = findings[place + 1].cells[0].label().unwrap();
        let (same, other) = match label {
            Label::All => (ReviewLabel::All, ReviewLabel::Hem),
            Label::Hem => (ReviewLabel::Hem, ReviewLabel::All),
        };
        if place >= 20 {
            review(&journal, *sequence, other).await;
        }
        if place < 38 {
            review(&journal, *sequence, same).await;
        }
    }
    let newest = journal.bounds().newest;
    drop(journal);

    let harness = Harness::start_at(clock.clone(), folders, with_metrics).await;
    let told = drift(&harness, newest).await;
    let names: Vec<_> = told.weeks.iter().map(|week| week.week.as_str()).collect();
    assert_eq!(names, ["2026-W48", "2026-W47"]);
    assert_eq!(told.weeks.iter().map(|week| week.running).collect::<Vec<_>>(), [true, false]);
    assert!(told.weeks.iter().all(|week| !week.removed && week.left_out == 0));
    assert_eq!(told.weeks[0].begins, told.weeks[1].ends);

    // Last week's numbers, from the findings themselves.
    let mine: Vec<_> = findings[1..301].iter().map(|found| &found.cells[0]).collect();
    let count =
        |which: &dyn Fn(&Finding) -> bool| mine.iter().filter(|one| which(one)).count() as u64;
    let model = &told.weeks[1].models[0];
    assert_eq!(model.model.as_ref().unwrap().digest, served().digest);
    assert_eq!(
        (model.all, model.hem, model.review, model.rejected),
        (
            count(&|one| one.decision == Decision::All),
            count(&|one| one.decision == Decision::Hem),
            30,
            0
        )
    );
    assert_eq!(model.doubted, 30);
    let share = model.doubted_share.unwrap();
    assert!(near(share.value, 0.1) && share.lower < 0.1 && share.upper > 0.1, "{share:?}");
    let reasons: Vec<_> =
        model.reasons.iter().map(|one| (one.code.as_str(), one.results)).collect();
    assert_eq!(reasons, [("blurred", 30), ("unusual-hue", 30)]);
    let scores: Vec<f64> = mine.iter().map(|one| one.p_all.unwrap()).collect();
    for (bin, count) in model.scores.iter().enumerate() {
        let (from, to) = (bin as f64 / 10.0, (bin + 1) as f64 / 10.0);
        let expected = scores.iter().filter(|all| (from..to).contains(*all)).count() as u64;
        assert_eq!(*count, expected, "tenth {bin}");
    }
    assert!(near(model.mean_score.unwrap(), scores.iter().sum::<f64>() / 300.0));
    let areas: Vec<f64> = (0..300).map(|number| 1000.0 + f64::from(number)).collect();
    let mean = areas.iter().sum::<f64>() / 300.0;
    let square: f64 = areas.iter().map(|area| (area - mean).powi(2)).sum();
    let area = figure(model, "area");
    assert!(area.pictures == 300 && near(area.mean, mean), "{area:?}");
    assert!(near(area.deviation.unwrap(), (square / 299.0).sqrt()), "{area:?}");
    let hue = figure(model, "hue");
    assert!(!(1e-6..=359.999_999).contains(&hue.mean), "350 and 10 degrees meet at red: {hue:?}");
    assert!(near(figure(model, "feature_distance").mean, 0.9));
    assert_eq!((model.reviewed, model.confirmed), (40, 38), "the latest review of each counts");
    assert!(near(model.agreement.unwrap().value, 0.95));
    assert!(model.stability_index.is_none() && model.stands_out.is_empty(), "nothing before");

    // This week beside it.
    let now = &told.weeks[0].models[0];
    assert_eq!(now.scores[9], 250);
    let smooth = |count: f64, all: f64| (count + 0.5) / (all + 5.0);
    let index: f64 = (0..10)
        .map(|bin| {
            let p = smooth(now.scores[bin] as f64, 250.0);
            let q = smooth(model.scores[bin] as f64, 300.0);
            (p - q) * (p / q).ln()
        })
        .sum();
    assert!(near(now.stability_index.unwrap(), index) && index > 0.25, "{index}");
    let shift = figure(now, "sharpness").shift.unwrap();
    // Both spread over five equal steps: four steps less, of a spread of the root of two.
    assert!((-2.9..-2.7).contains(&shift), "{shift}");
    let words: Vec<_> = now.stands_out.iter().map(|note| note.what.as_str()).collect();
    assert!(words.contains(&"scores") && words.contains(&"sharpness"), "{words:?}");
    assert!(!words.contains(&"hue") && !words.contains(&"agreement"), "{words:?}");

    let address = harness.daemon().metrics_address().unwrap();
    let page = scrape::samples(address).await;
    assert_eq!(page.one("leukd_drift_results", &["week=\"last\"", "decision=\"review\""]), 30.0);
    assert!(near(page.one("leukd_drift_doubted_share", &["week=\"last\""]), 0.1));
    assert!(near(page.one("leukd_drift_agreement", &["week=\"last\""]), 0.95));
    assert!(near(page.one("leukd_drift_stability_index", &["week=\"running\""]), index));
    let sharpness = ["week=\"running\"", "figure=\"sharpness\""];
    assert!(near(page.one("leukd_drift_figure_shift", &sharpness), shift));
    assert_eq!(page.one("leukd_drift_stands_out", &["week=\"running\"", "what=\"scores\""]), 1.0);

    for metric in METRICS.iter().filter(|metric| metric.name.starts_with("leukd_drift_")) {
        let labels: BTreeSet<_> = metric.labels.iter().copied().map(str::to_owned).collect();
        assert_eq!(page.labels(metric.name), labels, "{}", metric.name);
    }

    let server = format!("http://{}", harness.daemon().address());
    let status = leukd(&["status", "--server", &server]).await;
    assert!(status.status.success(), "{}", stderr(&status));
    let text = stdout(&status);
    for part in [
        "week 2026-W48 (running): tiny:",
        "week 2026-W47: tiny:",
        "38 of 40 reviewed confirmed",
        "stands out in 2026-W48: P(all) is distributed otherwise",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let json = leukd(&["status", "--server", &server, "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&stdout(&json)).unwrap();
    assert_eq!(json["drift"]["weeks"][1]["models"][0]["reviewed"], "40");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_and_reviews_that_come_are_counted_and_a_new_week_begins_at_nothing() {
    let clock = Clock::manual(NOW);
    let harness = Harness::start_at(clock.clone(), Folders::new(), with_metrics).await;
    let cells = [(ALL, 1), (ALL, 2), (HEM, 3)].map(|(kind, seed)| cell_of(kind, seed));
    harness.classify_all(cells.to_vec()).await;
    // Whichever worker was quicker has the lower number.
    let results = harness.all_results().await;
    let first = |label: &str| results.iter().find(|one| one.label == label).unwrap().sequence;
    let (blast, normal) = (first("all"), first("hem"));
    let told = drift(&harness, 3).await;
    let models = &told.weeks[0].models;
    assert_eq!((models.len(), models[0].all, models[0].hem), (1, 2, 1));

    for (sequence, label) in [(blast, "all"), (blast, "hem"), (normal, "hem")] {
        let of = proto::submit_review_request::Of::Sequence(sequence);
        let request = proto::SubmitReviewRequest {
            of: Some(of),
            label: label.to_owned(),
            reviewer: "Dr. Doe".to_owned(),
            ..Default::default()
        };
        harness.reviews().submit_review(request).await.unwrap();
    }
    let told = drift(&harness, 6).await;
    let model = &told.weeks[0].models[0];
    assert_eq!((model.reviewed, model.confirmed), (2, 1));
    let page = scrape::samples(harness.daemon().metrics_address().unwrap()).await;
    for (verdict, expected) in [("confirmed", 2.0), ("corrected", 1.0)] {
        let verdict = format!("verdict=\"{verdict}\"");
        assert_eq!(page.one("leukd_reviews_total", &[&verdict]), expected, "{verdict}");
    }
    assert_eq!(page.one("leukd_specimens_told_total", &["cause=\"quiet\""]), 0.0);

    clock.advance(Duration::from_secs(7 * 24 * 3600));
    harness.classify_all(vec![cell_of(ALL, 4)]).await;
    let told = drift(&harness, 7).await;
    let weeks: Vec<_> =
        told.weeks.iter().map(|week| (week.week.as_str(), week.models[0].all)).collect();
    assert_eq!(weeks, [("2026-W49", 1), ("2026-W48", 2)]);
    // What was counted as it came is what is counted after a start.
    let folders = harness.stop().await;
    let harness = Harness::start_at(clock.clone(), folders, |_| {}).await;
    assert_eq!(blunt(drift(&harness, 7).await), blunt(told));
    // Eight weeks are shown.
    clock.advance(Duration::from_secs(7 * 7 * 24 * 3600));
    harness.classify_all(vec![cell_of(ALL, 5)]).await;
    let told = drift(&harness, 8).await;
    let weeks: Vec<_> = told.weeks.iter().map(|week| week.week.as_str()).collect();
    assert_eq!(weeks, ["2027-W03", "2026-W49"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_week_that_retention_has_cut_is_told_as_such_and_compared_with_nothing() {
    let folders = Folders::new();
    let clock = Clock::manual(NOW);
    let last = Timestamp(NOW.0 - 7 * DAY);
    let mut findings: Vec<_> =
        (0..300).map(|number| cell(number, last, ordinary(number), 5.0)).collect();
    findings.extend((1000..1250).map(|number| cell(number, NOW, 0.99, 5.0)));
    // Ten of the last week's are too many.
    let options = Options { keep_count: Some(540), ..Options::new(clock.clone()) };
    let journal = Journal::open(&folders.state, options).unwrap();
    store(&journal, findings).await;
    assert_eq!(journal.prune().await.unwrap(), 10);
    drop(journal);
    let harness = Harness::start_at(clock.clone(), folders, with_metrics).await;
    let told = drift(&harness, 550).await;
    assert_eq!(told.weeks.iter().map(|week| week.removed).collect::<Vec<_>>(), [false, true]);
    let counts: u64 = told.weeks[1].models[0].scores.iter().sum();
    assert_eq!(counts, 290);
    let now = &told.weeks[0].models[0];
    assert!(now.stability_index.is_none() && now.stands_out.is_empty(), "{now:?}");
    assert!(now.figures.iter().all(|figure| figure.shift.is_none()));
    let page = scrape::samples(harness.daemon().metrics_address().unwrap()).await;
    assert_eq!(page.one("leukd_drift_mean_score", &["week=\"running\""]), 0.99);
    assert!(!page.values.keys().any(|key| key.contains("leukd_drift") && key.contains("last")));
    let server = format!("http://{}", harness.daemon().address());
    let status = stdout(&leukd(&["status", "--server", &server]).await);
    assert!(status.contains("NOT ALL OF IT: retention has removed results"), "{status}");
    assert!(status.contains("too little yet to compare"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_served_model_was_measured_to_doubt_stands_beside_what_it_doubts() {
    let harness = Harness::start_with(|settings| settings.model.bundle = None).await;
    let drawn = synthetic::bmp(&synthetic::cell(3, Kind::Blast));
    harness.classify_all(vec![drawn]).await;
    let told = drift(&harness, 1).await;
    let model = &told.weeks[0].models[0];
    let reference = Bundle::embedded().unwrap().manifest().reference.clone().unwrap();
    assert_eq!(model.expected_doubted_share, Some(reference.false_alarms));
    assert_eq!(figure(model, "feature_distance").pictures, 1);
}

/// Counts to the end; how many slices that took.
fn counted(counting: &mut Counting, journal: &Journal) -> usize {
    (1..1000).find(|_| !counting.step(journal, NOW).unwrap()).expect("an end")
}

/// As many copies of a journal's only result as `rows` asks for, each as old as its number of days.
fn copies(state: &Path, rows: &[(u64, i64)]) {
    let tool = rusqlite::Connection::open(state.join(FILE)).unwrap();
    let columns: Vec<String> = tool
        .prepare("SELECT name FROM pragma_table_info('results')")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let taken: Vec<_> = columns
        .iter()
        .map(|column| match column.as_str() {
            "sequence" => "n.value",
            "result_id" => "'copy ' || n.value",
            "digest" => "NULL",
            "classified_ms" => "?3",
            column => column,
        })
        .collect();
    let sql = format!(
        "INSERT INTO results SELECT {} FROM (SELECT * FROM results WHERE sequence = 1), (WITH RECURSIVE n(value) AS
            (SELECT ?1 UNION ALL SELECT value + 1 FROM n WHERE value < ?2) SELECT value FROM n) AS n",
        taken.join(", ")
    );
    let events = "INSERT INTO events SELECT n.value, kind, ?3, json_set(payload, '$.finding.classified_at', ?3)
        FROM (SELECT * FROM events WHERE sequence = 1), (WITH RECURSIVE n(value) AS
            (SELECT ?1 UNION ALL SELECT value + 1 FROM n WHERE value < ?2) SELECT value FROM n) AS n";
    let mut next = 2;
    for (count, days) in rows {
        let at = NOW.0 - days * DAY;
        for sql in [sql.as_str(), events] {
            tool.execute(sql, (next, next + count.cast_signed() - 1, at)).unwrap();
        }
        next += count.cast_signed();
    }
    tool.execute("UPDATE meta SET next_sequence = ?1", [next]).unwrap();
}

#[tokio::test]
async fn a_long_journal_is_read_in_slices_and_no_further_back_than_the_weeks_that_are_shown() {
    let mut slices = Vec::new();
    for long_ago in [5_000, 50_000] {
        let folders = Folders::new();
        let journal = Journal::open(&folders.state, Options::new(Clock::manual(NOW))).unwrap();
        store(&journal, vec![cell(0, Timestamp(NOW.0 - 300 * DAY), 0.7, 5.0)]).await;
        drop(journal);
        copies(&folders.state, &[(long_ago, 300), (4_500, 49), (3_000, 7), (1_234, 0)]);
        let journal = Journal::open(&folders.state, Options::new(Clock::manual(NOW))).unwrap();
        let mut counting = Counting::default();
        let began = std::time::Instant::now();
        slices.push(counted(&mut counting, &journal));
        println!("{} slices took {:?}", slices[0], began.elapsed());
        let weeks = counting.weeks(journal.bounds());
        assert!(!weeks.counting && weeks.as_of == journal.bounds().newest);
        let results: Vec<_> =
            weeks.weeks.iter().map(|week| (week.models[0].1.results(), week.removed)).collect();
        assert_eq!(results, [(1_234, false), (3_000, false), (4_500, false)]);
        assert_eq!(counted(&mut counting, &journal), 1, "nothing new is one look");
    }
    assert_eq!(slices[0], slices[1], "what is older costs nothing");
}

#[tokio::test]
async fn a_week_that_retention_cuts_later_is_no_longer_told_as_whole() {
    let folders = Folders::new();
    let clock = Clock::manual(NOW);
    let options = Options { keep_count: Some(40), ..Options::new(clock) };
    let journal = Journal::open(&folders.state, options).unwrap();
    let last = Timestamp(NOW.0 - 7 * DAY);
    let mut findings: Vec<_> =
        (0..30).map(|number| cell(number, last, ordinary(number), 5.0)).collect();
    findings.extend((100..130).map(|number| cell(number, NOW, ordinary(number), 5.0)));
    store(&journal, findings).await;
    let mut counting = Counting::default();
    counted(&mut counting, &journal);
    let removed = |counting: &Counting| -> Vec<_> {
        counting.weeks(journal.bounds()).weeks.iter().map(|week| week.removed).collect()
    };
    assert_eq!(removed(&counting), [false, false]);
    assert_eq!(journal.prune().await.unwrap(), 20);
    assert_eq!(removed(&counting), [false, true], "the figures are whole, and not to be checked");
    // Counted anew they are of what is left.
    let mut anew = Counting::default();
    counted(&mut anew, &journal);
    assert_eq!(removed(&anew), [false, true]);
    assert_eq!(anew.weeks(journal.bounds()).weeks[1].models[0].1.results(), 10);
}

#[tokio::test]
async fn weeks_are_whole_again_when_a_clock_that_leapt_is_set_right() {
    let folders = Folders::new();
    let journal = Journal::open(&folders.state, Options::new(Clock::manual(NOW))).unwrap();
    let last = Timestamp(NOW.0 - 7 * DAY);
    let mut findings: Vec<_> =
        (0..20).map(|number| cell(number, last, ordinary(number), 5.0)).collect();
    findings.extend((100..130).map(|number| cell(number, NOW, ordinary(number), 5.0)));
    store(&journal, findings).await;
    let results = |counting: &Counting| -> Vec<_> {
        let weeks = counting.weeks(journal.bounds()).weeks;
        weeks.iter().map(|week| week.models[0].1.results()).collect()
    };
    let mut counting = Counting::default();
    counted(&mut counting, &journal);
    assert_eq!(results(&counting), [30, 20]);
    for days in [70, -7] {
        let leapt = Timestamp(NOW.0 + days * DAY);
        while counting.step(&journal, leapt).unwrap() {}
        assert_ne!(results(&counting), [30, 20], "{days}");
        counted(&mut counting, &journal);
        assert_eq!(results(&counting), [30, 20], "{days}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_specimen_that_is_told_is_counted_once() {
    let clock = Clock::manual(NOW);
    let harness = Harness::start_at(clock.clone(), Folders::new(), with_metrics).await;
    let image = cell_of(ALL, 1);
    let specimen = "S".to_owned();
    let request = proto::ClassifyRequest { image, specimen, ..Default::default() };
    harness.classifier().classify(request).await.unwrap();
    clock.advance(Duration::from_secs(11 * 60));
    let address = harness.daemon().metrics_address().unwrap();
    until("the specimen's event", async || {
        let page = scrape::samples(address).await;
        assert_eq!(page.one("leukd_specimens_told_total", &["cause=\"marker\""]), 0.0);
        let quiet = page.one("leukd_specimens_told_total", &["cause=\"quiet\""]);
        assert!(quiet <= 1.0);
        (quiet == 1.0).then_some(())
    })
    .await;
}
