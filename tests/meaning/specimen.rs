//! What is said of a specimen: counts, the blast fraction, its correction for the model's errors,
//! flags.

#![allow(clippy::float_cmp)]

use crate::support;
use crate::support::process::{Process, leukd, stderr, stdout};
use crate::support::refusal::{assert_field, reason};
use crate::support::{ALL, Folders, HEM, Harness, REVIEW, cell_of};
use leukd::config::settings::Settings;
use leukd::grpc::proto::{self, CorrectedFraction, GetSpecimenResponse};
use leukd::model::manifest::{Metric, Precision};
use leukd::model::testing;
use leukd::result::RESEARCH_USE_ONLY;

type Interval = Option<(f64, f64)>;

/// A bundle whose sensitivity and specificity were measured so.
fn measured(id: &str, sensitivity: (f64, Interval), specificity: (f64, Interval)) -> Vec<u8> {
    let mut manifest = testing::tiny_manifest(id, Precision::F32);
    let metric = |name: &str, (value, interval)| Metric {
        name: name.to_owned(),
        value,
        interval,
        split: "subject".to_owned(),
        cells: 400,
        subjects: 9,
        siblings: None,
    };
    manifest.metrics = vec![metric("sensitivity", sensitivity), metric("specificity", specificity)];
    testing::bundle_of(testing::tiny_network(1, Precision::F32), manifest)
}

fn good() -> Vec<u8> {
    measured("good", (0.9, Some((0.85, 0.95))), (0.8, Some((0.72, 0.88))))
}

/// A daemon that serves this bundle, with four blasts, two normal cells and two for review on two
/// slides of S.
async fn daemon(bundle: Vec<u8>, change: impl FnOnce(&mut Settings)) -> Harness {
    let folders = Folders::new();
    std::fs::write(folders.models.join("tiny.onnx"), bundle).unwrap();
    let harness = Harness::start_on(folders, change).await;
    let cells = [(ALL, 4, "1"), (HEM, 2, "1"), (REVIEW, 2, "2")];
    let mut seeds = 0..;
    for (patches, count, slide) in cells {
        for seed in seeds.by_ref().take(count) {
            classify(&harness, cell_of(patches, seed), slide).await;
        }
    }
    harness
}

async fn classify(harness: &Harness, image: Vec<u8>, slide: &str) {
    let (specimen, slide) = ("S".to_owned(), slide.to_owned());
    let request = proto::ClassifyRequest { image, specimen, slide, ..Default::default() };
    harness.classifier().classify(request).await.unwrap();
}

async fn ask(harness: &Harness, slide: Option<&str>) -> Result<GetSpecimenResponse, tonic::Status> {
    let slide = slide.map(str::to_owned);
    let request = proto::GetSpecimenRequest { specimen: "S".to_owned(), slide };
    harness.results().get_specimen(request).await.map(tonic::Response::into_inner)
}

async fn corrected(harness: &Harness) -> CorrectedFraction {
    ask(harness, None).await.unwrap().corrected_fraction.unwrap()
}

fn code(fraction: &CorrectedFraction) -> &str {
    fraction.reason.as_ref().map_or("", |reason| reason.code.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_specimen_is_counted_slide_by_slide() {
    let harness = daemon(good(), |_| {}).await;
    classify(&harness, cell_of(ALL, 100), "").await;
    let whole = ask(&harness, None).await.unwrap();
    assert_eq!((whole.all, whole.hem, whole.review, whole.rejected), (5, 2, 2, 0));
    assert_eq!(
        (whole.slides.as_slice(), whole.slide),
        (["1", "2"].map(String::from).as_slice(), None)
    );
    let counted: Vec<_> = whole
        .per_slide
        .iter()
        .map(|s| (s.slide.as_str(), s.all, s.hem, s.review, s.rejected))
        .collect();
    assert_eq!(counted, [("1", 4, 2, 0, 0), ("2", 0, 0, 2, 0), ("", 1, 0, 0, 0)]);
    let share = whole.per_slide[0].blast_fraction.unwrap();
    assert!((share.value - 4.0 / 6.0).abs() < 1e-12);
    assert!(whole.per_slide[1].blast_fraction.is_none());
    assert_eq!(whole.notice, RESEARCH_USE_ONLY);
    for (slide, all, review) in [("1", 4, 0), ("2", 0, 2), ("", 1, 0)] {
        let one = ask(&harness, Some(slide)).await.unwrap();
        assert_eq!((one.all, one.review, one.per_slide.len()), (all, review, 1), "{slide:?}");
        assert_eq!(one.slide.as_deref(), Some(slide));
    }
    let nothing = ask(&harness, Some("3")).await.unwrap_err();
    assert_eq!((nothing.code(), reason(&nothing).as_str()), (tonic::Code::NotFound, "NO_SPECIMEN"));
    assert_field(&ask(&harness, Some(&"x".repeat(5000))).await.unwrap_err(), "slide");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fraction_is_corrected_on_what_the_rates_were_measured_on_whatever_was_decided() {
    // A band that leaves everything to a person changes no probability, and so no corrected
    // fraction.
    for review in [None, Some((0.0, 1.0))] {
        let harness = daemon(good(), |settings| settings.decision.review = review).await;
        let response = ask(&harness, None).await.unwrap();
        assert_eq!(response.blast_fraction.is_some(), review.is_none());
        let results = harness.all_results().await;
        let above = results.iter().filter(|r| support::probability(r, "all") >= 0.5).count();
        let fraction = response.corrected_fraction.unwrap();
        assert_eq!((fraction.at_or_above, fraction.classified), (above as u64, 8));
        assert_eq!((fraction.sensitivity, fraction.specificity), (Some(0.9), Some(0.8)));
        let expected = (above as f64 / 8.0 + 0.8 - 1.0) / 0.7;
        assert!((fraction.value.unwrap() - expected).abs() < 1e-9, "{fraction:?}");
        let (lower, upper) = (fraction.lower.unwrap(), fraction.upper.unwrap());
        assert!(0.0 <= lower && lower < expected && expected < upper && upper <= 1.0);
        assert!(fraction.reason.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_corrected_fraction_a_stable_word_says_why() {
    let one_subject = measured("one", (0.9, Some((0.85, 0.95))), (0.8, Some((0.8, 0.8))));
    let harness = daemon(one_subject, |_| {}).await;
    let fraction = corrected(&harness).await;
    assert_eq!(code(&fraction), "no-interval");
    assert!(fraction.value.is_some() && fraction.lower.is_none() && fraction.upper.is_none());
    drop(harness);

    let weak = measured("weak", (0.55, Some((0.5, 0.6))), (0.5, Some((0.45, 0.55))));
    let fraction = corrected(&daemon(weak, |_| {}).await).await;
    assert_eq!((code(&fraction), fraction.value), ("weak-model", None));

    let harness = daemon(testing::tiny_bundle("plain", 1), |_| {}).await;
    let fraction = corrected(&harness).await;
    assert_eq!((code(&fraction), fraction.value), ("not-measured", None));
    // Another model takes its place, and then adds a cell.
    std::fs::write(harness.folders.models.join("next.onnx"), good()).unwrap();
    let reload = proto::ReloadModelRequest { file: "next.onnx".to_owned() };
    harness.control().reload_model(reload).await.unwrap();
    assert_eq!(code(&corrected(&harness).await), "other-model");
    classify(&harness, cell_of(ALL, 200), "1").await;
    assert_eq!(code(&corrected(&harness).await), "several-models");

    let rejected = Harness::start().await;
    rejected.drop_capture("UID_9_1_1_x.bmp", b"no picture");
    rejected.wait_results(1).await;
    let request = proto::GetSpecimenRequest { specimen: "9".to_owned(), slide: None };
    let response = rejected.results().get_specimen(request).await.unwrap().into_inner();
    let fraction = response.corrected_fraction.unwrap();
    assert_eq!((code(&fraction), fraction.classified, response.rejected), ("no-cells", 0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_configured_flag_is_above_below_or_undecided_in_words() {
    let harness = daemon(good(), |settings| settings.specimen.flags = vec![0.01, 0.2, 0.99]).await;
    let response = ask(&harness, None).await.unwrap();
    let words: Vec<_> = response
        .flags
        .iter()
        .map(|f| (f.fraction, f.blast_fraction.as_str(), f.corrected_fraction.as_str()))
        .collect();
    assert_eq!((words[0].0, words[0].1), (0.01, "above"));
    assert_eq!((words[2].0, words[2].1), (0.99, "below"));
    let share = response.blast_fraction.unwrap();
    let corrected = response.corrected_fraction.unwrap();
    for flag in &response.flags {
        let stand = |lower: f64, upper: f64| match flag.fraction {
            f if lower > f => "above",
            f if upper < f => "below",
            _ => "undecided",
        };
        assert_eq!(flag.blast_fraction, stand(share.lower, share.upper));
        assert_eq!(
            flag.corrected_fraction,
            stand(corrected.lower.unwrap(), corrected.upper.unwrap())
        );
    }
    // One slide has cells for review alone: no cell was decided, so there is nothing to stand
    // anywhere.
    let second = ask(&harness, Some("2")).await.unwrap();
    assert!(second.flags.iter().all(|flag| flag.blast_fraction.is_empty()));
    assert_eq!(second.flags.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_tells_the_same() {
    let folders = Folders::new();
    for (cell, patches) in [(1, ALL), (2, HEM), (3, REVIEW)] {
        let name = format!("UID_7_{cell}_1_x.bmp");
        folders.drop_capture(&name, &cell_of(patches, cell));
    }
    std::fs::write(folders.models.join("tiny.onnx"), good()).unwrap();
    let daemon = Process::serve(&folders);
    let mut control = daemon.control().await;
    support::until("three results", async || {
        let status = control.get_status(proto::GetStatusRequest {}).await.unwrap().into_inner();
        (status.journal?.newest >= 3).then_some(())
    })
    .await;
    let server = format!("http://{}", daemon.address);
    let output = leukd(&["specimen", "7", "--server", &server]).await;
    let text = stdout(&output);
    assert!(stderr(&output).contains(RESEARCH_USE_ONLY));
    for words in [
        "specimen 7: 1 all, 1 hem, 1 review, 0 rejected on 3 slides; blast fraction 0.5000 (95 % interval",
        "corrected for the model's sensitivity 0.900 and specificity 0.800: ",
        "flag 0.20: blast fraction undecided, corrected ",
        "flag 0.25: ",
        "SLIDE  ALL  HEM  REVIEW  REJECTED  BLAST FRACTION",
    ] {
        assert!(text.contains(words), "{words:?}: {text}");
    }
    let one = leukd(&["specimen", "7", "--slide", "2", "--server", &server, "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&stdout(&one)).unwrap();
    assert_eq!((&json["hem"], &json["slide"]), (&"1".into(), &"2".into()));
    assert_eq!(json["corrected_fraction"]["specificity"], 0.8);
    let none = leukd(&["specimen", "8", "--server", &server]).await;
    assert_eq!(none.status.code(), Some(66), "{}", stderr(&none));
}
