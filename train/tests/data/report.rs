//! The report and the command that writes it.

use std::path::{Path, PathBuf};

use leukd_cell::synthetic::{self, Kind};
use leukd_journal::result::{Digest, ModelRef, RESEARCH_USE_ONLY};
use leukd_model::manifest::Calibration;
use leukd_train::dataset::Protocol;
use leukd_train::dataset::Side;
use leukd_train::evaluate::{About, AreaCut, Evaluation, Prediction, Seen};
use leukd_train::report::{
    BundleFacts, Curve, Facts, Machine, Picture, ReportError, SplitFacts, SplitRow, Variant, write,
};

const FIGURES: [&str; 11] = [
    "confusion",
    "decisions",
    "roc",
    "precision-recall",
    "reliability",
    "risk-coverage",
    "scores",
    "subjects",
    "loss",
    "validation",
    "learning-rate",
];

fn evaluation(side: Side, protocol: Protocol, classes: usize) -> Evaluation {
    let predictions: Vec<_> = (0..60_u64)
        .map(|index| {
            let label = usize::from(index % 3 == 0) % classes;
            let swing = (index * 37 % 23) as f64 / 5.0 - 1.4;
            Prediction {
                name: format!("{index}.bmp"),
                logits: [if label == 0 { swing } else { -swing }, 0.0],
                label,
                subject: format!("s{}&<b>", index % 4 + 10 * label as u64),
                area: 1000 + index * 13 % 700,
            }
        })
        .collect();
    Evaluation::of(
        &predictions,
        &About {
            side,
            protocol,
            split: "in words".to_owned(),
            training_digest: Digest::of(b"").to_string(),
            recipe: std::collections::BTreeMap::new(),
            model: ModelRef { id: "m".to_owned(), digest: String::new() },
            calibration: Calibration { temperature: 1.4, threshold: 0.5, review: (0.4, 0.6) },
            seen: Seen::No,
            baseline: AreaCut::fit([(900, 1), (1200, 0)]),
            folds: Vec::new(),
            seed: 0,
        },
    )
}

fn curve(epoch: u32) -> Curve {
    let done = f64::from(epoch);
    Curve {
        epoch,
        training_loss: 1.0 / done,
        validation_loss: Some(0.8 / done),
        training_accuracy: None,
        accuracy: 1.0 - 0.3 / done,
        // A validation side without a class gives no such figure.
        balanced_accuracy: if epoch == 2 { f64::NAN } else { 0.8 },
        auroc: 0.9,
        learning_rate: Some(1e-3 / done),
    }
}

fn facts(protocol: Protocol) -> Facts {
    let hostile = "<script>alert('x')</script>.bmp";
    Facts {
        bundle: BundleFacts {
            id: "lab-model".to_owned(),
            card: format!("{RESEARCH_USE_ONLY}\n\nIntended use: tests & <nothing> else."),
            ..BundleFacts::default()
        },
        made_at: "2026-01-01T00:00:00Z".to_owned(),
        evaluations: vec![
            evaluation(Side::Validation, protocol, 2),
            evaluation(Side::Test, protocol, 2),
        ],
        curves: (1..=4).map(curve).collect(),
        split: SplitFacts {
            words: "by hand".to_owned(),
            rows: vec![SplitRow {
                side: Side::Test,
                label: "all",
                subject: "s<1>".to_owned(),
                cells: 3,
            }],
            twins: 1,
            broken: Some(vec![(PathBuf::from("a<b>.bmp"), "truncated \"here\"".to_owned())]),
        },
        recipe: vec![("learning_rate".to_owned(), "1e-3 <peak>".to_owned())],
        variants: vec![Variant {
            name: "int8".to_owned(),
            bytes: 12_300_000,
            accuracy_change: Some(-0.004),
            sensitivity_change: None,
            flips: Some(7),
            milliseconds: Some(47.1),
            verdict: "passed".to_owned(),
        }],
        machine: Machine::here("CPU"),
        pictures: [false, true]
            .map(|right| Picture {
                name: hostile.to_owned(),
                subject: "s\"1\"".to_owned(),
                label: "hem",
                probability: 0.97,
                right,
                png: synthetic::png(&synthetic::cell(1, Kind::Normal)),
            })
            .to_vec(),
    }
}

fn page(facts: &Facts) -> String {
    let dir = tempfile::tempdir().unwrap();
    let written = write(facts, dir.path()).unwrap();
    assert_eq!(written.page, dir.path().join("report.html"));
    for figure in &written.figures {
        let svg = std::fs::read_to_string(figure).unwrap();
        well_formed(&svg);
        assert!(svg.contains("<title") && svg.contains("<desc") && svg.contains("role=\"img\""));
    }
    std::fs::read_to_string(written.page).unwrap()
}

/// Every tag is closed in its order, attribute values are quoted, and no `<` or `&` stands alone.
fn well_formed(text: &str) {
    let mut open = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let (before, tag) = rest.split_at(start);
        if open.last() != Some(&"style") {
            for part in before.split('&').skip(1) {
                let entity = part.split_once(';').unwrap_or_else(|| panic!("a bare &: {part}")).0;
                assert!(entity.len() < 8 && !entity.contains(' '), "&{entity}");
            }
        }
        let mut quoted = false;
        let end = tag
            .find(|letter| {
                quoted ^= letter == '"';
                letter == '>' && !quoted
            })
            .unwrap_or_else(|| panic!("never closed: {tag:.80}"));
        let inner = &tag[1..end];
        assert!(inner.matches('"').count() % 2 == 0 && !inner.contains('<'), "{inner}");
        rest = &tag[end + 1..];
        if inner.starts_with(['!', '?']) || inner.ends_with('/') {
            continue;
        }
        if let Some(name) = inner.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed in the wrong order");
        } else {
            open.push(inner.split_whitespace().next().unwrap());
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
}

#[test]
fn the_page_is_whole_needs_nothing_else_and_says_research_use_only() {
    let page = page(&facts(Protocol::Subject));
    well_formed(&page);
    assert!(page.matches(RESEARCH_USE_ONLY).count() >= 3);
    for foreign in ["http:", "https:", "<script", "<link", "@import", "url(", "<iframe", "href="] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    for source in page.split("src=\"").skip(1) {
        assert!(source.starts_with("data:image/png;base64,iVBOR"), "{source:.60}");
    }
    assert!(page.contains("prefers-color-scheme") && page.contains("@media print"));
    assert!(!page.contains("NaN"));
}

#[test]
fn every_figure_stands_in_the_page_and_in_a_file_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let written = write(&facts(Protocol::Subject), dir.path()).unwrap();
    let page = std::fs::read_to_string(written.page).unwrap();
    let names: Vec<_> =
        written.figures.iter().map(|path| path.file_stem().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, FIGURES);
    for name in FIGURES {
        assert!(page.contains(&format!("aria-labelledby=\"{name}-title {name}-desc\"")), "{name}");
    }
    assert!(!dir.path().join("report.html.new").exists());
}

#[test]
fn the_page_holds_what_it_was_given() {
    let page = page(&facts(Protocol::Subject));
    for text in [
        "lab-model",
        "the test side, split by subject",
        "validation side, by subject, 60 cells",
        "1e-3 &lt;peak&gt;",
        "truncated &quot;here&quot;",
        "-0.40",
        "47.1",
        "Intended use: tests &amp; &lt;nothing&gt; else.",
        "Cell area alone",
        "P(all) <strong>0.970</strong>",
        "1 byte-identical copy was",
    ] {
        assert!(page.contains(text), "{text}");
    }
    // The headline's own value, written as in the table.
    let sensitivity = evaluation(Side::Test, Protocol::Subject, 2).figures.sensitivity;
    assert!(page.contains(&format!("<dd class=\"value\">{:.3}</dd>", sensitivity.value.unwrap())));
}

#[test]
fn a_hostile_name_stays_text() {
    let page = page(&facts(Protocol::Subject));
    assert!(page.contains("&lt;script&gt;alert("));
    assert!(!page.contains("<script>") && !page.contains("s1&<b>") && !page.contains("s<1>"));
}

#[test]
fn a_split_by_image_is_warned_of_and_one_by_subject_is_not() {
    let warning = "The split is by image.";
    assert!(page(&facts(Protocol::Image)).contains(warning));
    assert!(!page(&facts(Protocol::Subject)).contains(warning));
}

#[test]
fn little_data_make_a_short_report() {
    let nothing = page(&Facts::default());
    well_formed(&nothing);
    assert!(nothing.contains("Nothing was measured.") && nothing.contains(RESEARCH_USE_ONLY));
    let one_class = Facts {
        evaluations: vec![evaluation(Side::Test, Protocol::Subject, 1)],
        curves: vec![curve(1)],
        ..Facts::default()
    };
    let page = page(&one_class);
    well_formed(&page);
    assert!(page.contains("no hem cell") && !page.contains("NaN"));
    assert!(!page.contains("id=\"roc\"") && page.contains("id=\"subjects\""));
}

#[test]
fn a_full_disk_and_a_folder_that_cannot_be_written_are_named() {
    let dir = tempfile::tempdir().unwrap();
    // What is written to /dev/full never fits.
    std::os::unix::fs::symlink("/dev/full", dir.path().join("report.html.new")).unwrap();
    let error = write(&facts(Protocol::Subject), dir.path()).unwrap_err();
    assert!(matches!(&error, ReportError::File { path, .. } if path.ends_with("report.html")));
    assert!(error.to_string().contains("report.html: No space left on device"), "{error}");
    assert!(!dir.path().join("report.html").exists());

    let taken = tempfile::tempdir().unwrap();
    std::fs::write(taken.path().join("figures"), "a file").unwrap();
    let error = write(&facts(Protocol::Subject), taken.path()).unwrap_err();
    assert!(error.to_string().contains("figures"), "{error}");
    let error = write(&Facts::default(), Path::new("/dev/null/out")).unwrap_err();
    assert!(error.to_string().contains("/dev/null/out/figures"), "{error}");
}
