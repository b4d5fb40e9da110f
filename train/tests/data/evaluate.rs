//! What is measured, and what the figures stand on.

use crate::support;
use std::collections::BTreeMap;

use leukd_cell::synthetic::{self, Kind};
use leukd_journal::result::{Decision, Digest, ModelRef};
use leukd_model::bundle::Bundle;
use leukd_model::manifest::Calibration;
use leukd_model::serving::Model;
use leukd_train::dataset::{Cell, Protocol, Side};
use leukd_train::evaluate::{
    About, AreaCut, EngineRunError, Evaluation, Figures, Prediction, Seen, fit_temperature,
    intervals, review_band, through_engine, wilson,
};
use proptest::prelude::*;
use serde_json::Value;

fn about(calibration: Calibration) -> About {
    About {
        side: Side::Test,
        protocol: Protocol::Subject,
        recipe: BTreeMap::new(),
        split: "in words".to_owned(),
        training_digest: Digest::of(b"").to_string(),
        model: ModelRef { id: "model".to_owned(), digest: Digest::of(b"").to_string() },
        calibration,
        seen: Seen::No,
        baseline: None,
        folds: Vec::new(),
        seed: 1,
    }
}

fn calibration() -> Calibration {
    Calibration { temperature: 1.0, threshold: 0.5, review: (0.4, 0.6) }
}

fn prediction(p: f64, label: usize, subject: &str) -> Prediction {
    let logits = [(p / (1.0 - p)).ln(), 0.0];
    Prediction { name: format!("{p}.bmp"), logits, label, subject: subject.to_owned(), area: 0 }
}

/// Subjects whose cells are alike, and differ between subjects.
fn clustered() -> Vec<Prediction> {
    let mut set = Vec::new();
    for (subject, p) in [("a", 0.9), ("b", 0.2), ("c", 0.8), ("d", 0.7), ("e", 0.95)] {
        set.extend((0..20).map(|_| prediction(p, 0, subject)));
    }
    for (subject, p) in [("h", 0.3), ("i", 0.1), ("j", 0.75)] {
        set.extend((0..20).map(|_| prediction(p, 1, subject)));
    }
    set
}

/// Made by tests/reference/metrics.py with scikit-learn 1.9.1.
#[test]
fn figures_curves_and_counts_are_those_of_scikit_learn() {
    let reference: Value = serde_json::from_str(include_str!("reference/metrics.json")).unwrap();
    let number = |value: &Value| value.as_f64().unwrap();
    let calibration = Calibration {
        temperature: number(&reference["temperature"]),
        threshold: number(&reference["threshold"]),
        review: (0.5, 0.5),
    };
    for (case, given) in reference["cases"].as_object().unwrap() {
        let pair = |value: &Value| [number(&value[0]), number(&value[1])];
        let labels = given["labels"].as_array().unwrap();
        let predictions: Vec<_> = given["logits"]
            .as_array()
            .unwrap()
            .iter()
            .zip(labels)
            .map(|(logits, label)| Prediction {
                name: String::new(),
                logits: pair(logits),
                label: usize::try_from(label.as_u64().unwrap()).unwrap(),
                subject: "s".to_owned(),
                area: 0,
            })
            .collect();
        let evaluation = Evaluation::of(&predictions, &about(calibration));

        // scikit-learn has none that count persons, or go by area: evaluate/persons.rs and bands.rs
        // test those.
        let ours = ["person_", "specimen_", "auroc_in"];
        let mut named = evaluation.figures.named();
        named.retain(|(name, _)| !ours.iter().any(|own| name.starts_with(own)));
        let expected = given["expected"].as_object().unwrap();
        assert_eq!(named.len(), expected.len());
        for (name, estimate) in named {
            let (ours, theirs) = (estimate.value.unwrap(), number(&expected[name]));
            assert!((ours - theirs).abs() < 1e-12, "{case}: {name} is {ours}, not {theirs}");
        }
        let confusion = evaluation.confusion;
        let counts = [
            confusion.all_as_all,
            confusion.all_as_hem,
            confusion.hem_as_all,
            confusion.hem_as_hem,
        ];
        assert_eq!(serde_json::json!(counts), given["confusion"], "{case}");

        let near = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).abs() + (a[1] - b[1]).abs() < 1e-12;
        let theirs: Vec<_> = given["roc"].as_array().unwrap().iter().map(pair).collect();
        let ours: Vec<_> = evaluation
            .roc
            .iter()
            .map(|point| [point.false_positive_rate, point.true_positive_rate])
            .collect();
        assert!(ours.iter().all(|a| theirs.iter().any(|b| near(*a, *b))), "{case}");
        let area: f64 = ours
            .windows(2)
            .map(|ends| (ends[1][0] - ends[0][0]) * f64::midpoint(ends[1][1], ends[0][1]))
            .sum();
        assert!((area - evaluation.figures.auroc.value.unwrap()).abs() < 1e-12, "{case}");
        assert_eq!((ours[0], ours[ours.len() - 1]), ([0.0, 0.0], [1.0, 1.0]));

        let mut ours: Vec<_> = evaluation
            .precision_recall
            .iter()
            .map(|point| [point.recall, point.precision])
            .collect();
        ours.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
        let theirs: Vec<_> =
            given["precision_recall"].as_array().unwrap().iter().map(pair).collect();
        assert_eq!(ours.len(), theirs.len(), "{case}");
        assert!(ours.iter().zip(&theirs).all(|(a, b)| near(*a, *b)), "{case}");
    }
}

#[test]
fn figures_of_a_small_set_are_those_counted_by_hand() {
    let set = [
        prediction(0.9, 0, "a"),
        prediction(0.4, 0, "a"),
        prediction(0.6, 1, "b"),
        prediction(0.15, 1, "b"),
        prediction(0.4, 1, "b"),
    ];
    let figures = Figures::of(&set, 1.0, 0.5);
    assert!((figures.accuracy - 0.6).abs() < 1e-12);
    assert!((figures.sensitivity - 0.5).abs() < 1e-12);
    assert!((figures.specificity - 2.0 / 3.0).abs() < 1e-12);
    // Of six pairs: four ranked rightly, one tied, one wrongly.
    assert!((figures.auroc - 4.5 / 6.0).abs() < 1e-12);

    let evaluation = Evaluation::of(&set, &about(calibration()));
    // P(all) 0.4 and 0.4 are inside the band, 0.6 is its open end.
    assert_eq!((evaluation.review.cells, evaluation.decisions.all.review), (2, 1));
    assert!((evaluation.review.error_outside.unwrap() - 1.0 / 3.0).abs() < 1e-12);
    assert!((evaluation.review.error_without.unwrap() - 0.4).abs() < 1e-12);
    assert_eq!((evaluation.decisions.hem.all, evaluation.decisions.hem.hem), (1, 1));
    let coverage: Vec<_> = evaluation.risk_coverage.iter().map(|point| point.coverage).collect();
    assert_eq!((coverage.first(), coverage.last()), (Some(&0.2), Some(&1.0)));
    assert!((evaluation.risk_coverage[0].risk).abs() < 1e-12);
    assert!((evaluation.risk_coverage.last().unwrap().risk - 0.4).abs() < 1e-12);
}

#[test]
fn the_temperature_of_overconfident_logits_is_found() {
    // Logits ±4 that are right in 3 of 4 cases: ln 3 would be calibrated.
    let set: Vec<_> = (0..40)
        .map(|index| Prediction {
            name: String::new(),
            area: 0,
            logits: if index % 2 == 0 { [4.0, 0.0] } else { [0.0, 4.0] },
            label: if index % 4 < 2 && index < 20 { 1 - index % 2 } else { index % 2 },
            subject: String::new(),
        })
        .collect();
    let temperature = fit_temperature(&set);
    assert!((temperature - 4.0 / 3.0_f64.ln()).abs() < 1e-3, "{temperature}");
}

#[test]
fn the_temperature_is_the_bundles_and_never_fitted_on_what_is_measured() {
    let set = clustered();
    let bad = Calibration { temperature: 7.0, ..calibration() };
    assert!((fit_temperature(&set) - 7.0).abs() > 1.0);
    let evaluation = Evaluation::of(&set, &about(bad));
    assert_eq!(evaluation.calibration, bad);
    let brier = |temperature: f64| {
        let off = |one: &Prediction| {
            (one.probability(temperature) - if one.label == 0 { 1.0 } else { 0.0 }).powi(2)
        };
        set.iter().map(off).sum::<f64>() / set.len() as f64
    };
    assert!((evaluation.figures.brier.value.unwrap() - brier(7.0)).abs() < 1e-12);
    assert!((evaluation.figures.brier_before.value.unwrap() - brier(1.0)).abs() < 1e-12);
    let mean = set[..20].iter().map(|one| one.probability(7.0)).sum::<f64>() / 20.0;
    assert!((evaluation.subjects[0].mean_probability - mean).abs() < 1e-12);
}

#[test]
fn the_review_band_leaves_only_sure_cells_outside() {
    let mut set = vec![prediction(0.55, 1, "b"), prediction(0.44, 0, "a")];
    set.extend((0..20).map(|_| prediction(0.95, 0, "a")));
    set.extend((0..20).map(|_| prediction(0.05, 1, "b")));
    let (low, high) = review_band(&set, 1.0, 0.99);
    assert!(low <= 0.44 && high > 0.55 && high < 0.6, "{low} {high}");
}

#[test]
fn intervals_widen_with_the_differences_between_subjects() {
    let mut set = Vec::new();
    for (subject, p) in [("a", 0.9), ("b", 0.2), ("c", 0.8)] {
        set.extend((0..10).map(|_| prediction(p, 0, subject)));
    }
    set.extend((0..10).map(|_| prediction(0.3, 1, "h")));
    let [_, _, _, sensitivity, specificity, _] = intervals(&set, 1.0, 0.5, 1);
    assert!(sensitivity.0 < 0.35 && sensitivity.1 > 0.99, "{sensitivity:?}");
    assert_eq!(specificity, (1.0, 1.0));

    // Taken as independent cells the same set looks far surer.
    let width = |protocol| {
        let about = About { protocol, ..about(calibration()) };
        let (lower, upper) = Evaluation::of(&set, &about).figures.sensitivity.interval.unwrap();
        upper - lower
    };
    assert!(width(Protocol::Subject) > 1.5 * width(Protocol::Image));
}

#[test]
fn a_class_of_one_subject_has_no_interval_and_the_evaluation_says_so() {
    let set: Vec<_> = clustered().into_iter().filter(|one| !"ij".contains(&one.subject)).collect();
    let evaluation = Evaluation::of(&set, &about(calibration()));
    let figures = evaluation.figures;
    assert_eq!((figures.specificity.value, figures.specificity.interval), (Some(1.0), None));
    assert!(figures.sensitivity.interval.is_some() && figures.auroc.interval.is_some());
    assert!(evaluation.caveats.iter().any(|text| text.contains("All hem cells are one subject's")));
}

#[test]
fn a_side_without_hem_cells_has_no_figures_that_need_them_and_no_nan() {
    let set: Vec<_> = clustered().into_iter().filter(|one| one.label == 0).collect();
    let cut = AreaCut::fit([(10, 0), (5, 1)]);
    let about = About { baseline: cut, ..about(calibration()) };
    let evaluation = Evaluation::of(&set, &about);
    let figures = evaluation.figures;
    for none in
        [figures.auroc, figures.specificity, figures.balanced_accuracy, figures.average_precision]
    {
        assert_eq!((none.value, none.interval), (None, None));
    }
    assert_eq!(figures.sensitivity.value, Some(0.8));
    assert_eq!(figures.accuracy.value, Some(0.8));
    assert!(evaluation.roc.is_empty() && evaluation.precision_recall.is_empty());
    assert!(evaluation.caveats.iter().any(|text| text.contains("no hem cell")));
    let json = serde_json::to_value(&evaluation).unwrap();
    assert_eq!(json["figures"]["auroc"]["value"], Value::Null);
    assert_eq!(json["side"], "test");
    assert_eq!(serde_json::from_value::<Evaluation>(json).unwrap(), evaluation);

    let nothing = Evaluation::of(&[], &about);
    assert!(nothing.figures.named().iter().all(|(_, one)| one.value.is_none()));
    assert!(nothing.review.share.is_none() && nothing.metrics().is_empty());
}

#[test]
fn the_same_seed_gives_the_same_evaluation_on_any_number_of_threads() {
    let set = clustered();
    let on = |threads: usize, seed: u64| {
        let about = About { seed, ..about(calibration()) };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        serde_json::to_string(&pool.install(|| Evaluation::of(&set, &about))).unwrap()
    };
    assert_eq!(on(1, 5), on(3, 5));
    assert_ne!(on(1, 5), on(1, 6));
}

#[test]
fn subjects_are_counted_one_by_one() {
    let evaluation = Evaluation::of(&clustered(), &about(calibration()));
    let names: Vec<_> = evaluation.subjects.iter().map(|row| row.subject.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d", "e", "h", "i", "j"]);
    let row = &evaluation.subjects[1];
    assert_eq!((row.label.as_str(), row.cells, row.right, row.review), ("all", 20, 0, 0));
    assert_eq!(row.interval.0, 0.0);
    let counts = evaluation.counts;
    assert_eq!((counts.all, counts.hem, counts.all_subjects, counts.hem_subjects), (100, 60, 5, 3));
    // As statsmodels' proportion_confint(8, 10, method="wilson").
    let (lower, upper) = wilson(8, 10);
    assert!((lower - 0.490_162_471_536_639_5).abs() < 1e-9, "{lower}");
    assert!((upper - 0.943_317_848_545_625_6).abs() < 1e-9, "{upper}");
    assert_eq!(wilson(0, 0), (0.0, 1.0));
}

#[test]
fn the_baselines_cut_and_direction_come_from_the_training_side() {
    let training = [(100, 1), (120, 1), (140, 0), (160, 0), (130, 1), (150, 0)];
    let cut = AreaCut::fit(training).unwrap();
    assert_eq!((cut.area, cut.larger_is_all, cut.fitted_on), (135.0, true, 6));
    let turned = AreaCut::fit(training.map(|(area, label)| (area, 1 - label))).unwrap();
    assert_eq!((turned.area, turned.larger_is_all), (135.0, false));
    assert!(AreaCut::fit([(1, 0), (2, 0)]).is_none());

    let mut set = clustered();
    for (index, one) in set.iter_mut().enumerate() {
        // On the measured side no blast is above the training side's cut.
        one.area = if one.label == 0 { 110 } else { 90 + 2 * (index as u64 % 2) };
    }
    let about = About { baseline: Some(cut), ..about(calibration()) };
    let baseline = Evaluation::of(&set, &about).baseline.unwrap().figures;
    assert_eq!(baseline.sensitivity.value, Some(0.0));
    assert_eq!(baseline.balanced_accuracy.value, Some(0.5));
    assert_eq!(baseline.auroc.value, Some(1.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn every_figure_is_a_share_and_every_interval_is_ordered(
        cells in prop::collection::vec((-8.0..8.0_f64, 0..2_usize, 0..4_u8), 0..40),
        threshold in 0.05..0.95_f64,
    ) {
        let set: Vec<_> = cells
            .into_iter()
            .map(|(margin, label, subject)| Prediction {
                name: String::new(),
                logits: [margin, 0.0],
                label,
                subject: subject.to_string(),
                area: u64::from(subject),
            })
            .collect();
        let evaluation =
            Evaluation::of(&set, &about(Calibration { threshold, ..calibration() }));
        for (name, estimate) in evaluation.figures.named() {
            if let Some(value) = estimate.value {
                prop_assert!((-1e-12..=1.0 + 1e-12).contains(&value), "{name} {value}");
            }
            if let Some((lower, upper)) = estimate.interval {
                prop_assert!(lower <= upper && estimate.value.is_some(), "{name}");
            }
        }
        // NaN would be written as null, and a plain number read from it no more.
        let text = serde_json::to_string(&evaluation).unwrap();
        prop_assert!(serde_json::from_str::<Evaluation>(&text).is_ok());
    }
}

fn cells(model: &Model) -> Vec<Cell> {
    let preprocessing = &model.manifest().preprocessing;
    (0..3)
        .map(|seed| {
            support::cell(preprocessing, seed, usize::from(seed % 2 == 1), &seed.to_string())
        })
        .collect()
}

#[test]
fn predictions_are_what_the_daemon_serves() {
    let model = Model::load(Bundle::embedded().unwrap()).unwrap();
    let mut cells = cells(&model);
    let predictions = through_engine(&model, &cells).unwrap();
    let calibration = model.manifest().calibration;
    for (seed, one) in (0..).zip(&predictions) {
        let kind = if seed % 2 == 0 { Kind::Blast } else { Kind::Normal };
        let picture = synthetic::cell(seed, kind);
        let tensor = model.manifest().preprocessing.tensor(&picture).unwrap();
        let seen = model.look(&tensor).unwrap();
        let served = model.verdict(&seen, &model.measure(&picture).unwrap()).probabilities;
        let p = one.probability(calibration.temperature);
        assert!((p - served[0]).abs() < 1e-9, "{p} {served:?}");
        assert_eq!(calibration.decide(p), model.judge(&served).decision);
        assert_eq!(
            (one.name.as_str(), one.area),
            (format!("{seed}.bmp").as_str(), cells[usize::try_from(seed).unwrap()].area)
        );
    }
    for pixels in [vec![0; 12], vec![0; cells[1].pixels.len() + 3]] {
        cells[1].pixels = pixels;
        let error = through_engine(&model, &cells).unwrap_err();
        assert!(matches!(error, EngineRunError::Size { .. }), "{error}");
        assert!(error.to_string().contains("1.bmp"), "{error}");
    }
}

#[test]
fn the_band_is_open_at_its_upper_end_and_comes_before_the_threshold() {
    let calibration = Calibration { temperature: 1.0, threshold: 0.7, review: (0.3, 0.6) };
    let decided = [0.0, 0.3, 0.599, 0.6, 0.69, 0.7, 1.0].map(|p| calibration.decide(p));
    use Decision::{All, Hem, Review};
    assert_eq!(decided, [Hem, Review, Review, Hem, Hem, All, All]);
}

#[test]
fn persons_count_once_by_subject_and_not_at_all_by_image() {
    let evaluation = Evaluation::of(&clustered(), &about(calibration()));
    let figures = evaluation.figures;
    let interval = figures.person_auroc.interval.unwrap();
    let value = figures.person_auroc.value.unwrap();
    assert!(interval.0 <= value && value <= interval.1 && interval.0 < interval.1);
    assert!(figures.person_specificity_minimum.value <= figures.person_specificity_median.value);
    let by_image = About { protocol: Protocol::Image, ..about(calibration()) };
    let figures = Evaluation::of(&clustered(), &by_image).figures;
    assert!(figures.auroc.value.is_some());
    assert_eq!(figures.person_auroc.value, None);
    assert_eq!(figures.person_specificity_minimum.value, None);
}
