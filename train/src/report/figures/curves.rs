//! Curves over thresholds and over confidence.

use plotters::prelude::*;

use super::sheet::{Axes, BLUE, GREEN, INK, Line, MUTED, RED, legend, line, mark, tenths};
use super::{Figure, words};
use crate::evaluate::{Bin, Evaluation};
use crate::report::error::ReportError;

const SIZE: (u32, u32) = (1120, 860);

/// The diagonal that guessing, or perfect calibration, follows.
fn diagonal(name: &str, from: f64) -> Line {
    Line {
        name: name.to_owned(),
        points: vec![(from, from), (1.0, 1.0)],
        colour: MUTED,
        dashed: true,
    }
}

/// The ends of the review band as operating points, where there is a band around the threshold:
/// each with its `all` and its `hem` cells of at least that P(all).
fn band_ends(of: &Evaluation) -> Vec<(String, f64, f64)> {
    let (lower, upper) = of.review.band;
    if lower >= upper || !(lower..=upper).contains(&of.calibration.threshold) {
        return Vec::new();
    }
    let (all, hem) = (&of.decisions.all, &of.decisions.hem);
    vec![
        (
            format!("review from {lower:.2}"),
            (all.all + all.review) as f64,
            (hem.all + hem.review) as f64,
        ),
        (format!("review to {upper:.2}"), all.all as f64, hem.all as f64),
    ]
}

pub(super) fn roc(of: &Evaluation) -> Result<Figure, ReportError> {
    let figures = &of.figures;
    let auroc = words::with_interval(&figures.auroc);
    let meaning = format!(
        "Sensitivity against false alarms over every threshold; the area under it is {auroc}. \
         The points are the bundle's own threshold and the ends of its review band; the diagonal \
         is guessing."
    );
    Figure::new("roc", "Receiver operating characteristic", meaning, SIZE, |area| {
        let axes = Axes::unit("1 − specificity (false alarms)", "Sensitivity");
        let mut chart = axes.draw(area)?;
        line(&mut chart, diagonal("", 0.0))?;
        let points =
            of.roc.iter().map(|point| (point.false_positive_rate, point.true_positive_rate));
        line(
            &mut chart,
            Line {
                name: format!("AUROC {}", words::number(figures.auroc.value)),
                points: points.collect(),
                colour: BLUE,
                dashed: false,
            },
        )?;
        if let (Some(sensitivity), Some(specificity)) =
            (figures.sensitivity.value, figures.specificity.value)
        {
            let name = format!("threshold {:.2}", of.calibration.threshold);
            mark(&mut chart, (1.0 - specificity, sensitivity), RED, &name)?;
        }
        for (name, hits, alarms) in band_ends(of) {
            let at = (alarms / of.counts.hem as f64, hits / of.counts.all as f64);
            mark(&mut chart, at, GREEN, &name)?;
        }
        legend(&mut chart, SeriesLabelPosition::LowerRight)
    })
}

pub(super) fn precision_recall(of: &Evaluation) -> Result<Figure, ReportError> {
    let figures = &of.figures;
    let prevalence = of.counts.all as f64 / of.counts.cells as f64;
    let meaning = format!(
        "Precision against recall of the blasts over every threshold; average precision is {}. \
         Guessing gives the share of blasts, {prevalence:.3} here: compare it only between sets with \
         the same share.",
        words::with_interval(&figures.average_precision)
    );
    Figure::new("precision-recall", "Precision and recall", meaning, SIZE, |area| {
        let mut chart = Axes::unit("Recall (sensitivity)", "Precision").draw(area)?;
        line(
            &mut chart,
            Line {
                name: String::new(),
                points: vec![(0.0, prevalence), (1.0, prevalence)],
                colour: MUTED,
                dashed: true,
            },
        )?;
        // A step function: average precision is the area under it.
        let mut points = Vec::new();
        let mut last = 0.0;
        for point in &of.precision_recall {
            points.extend([(last, point.precision), (point.recall, point.precision)]);
            last = point.recall;
        }
        line(
            &mut chart,
            Line {
                name: format!(
                    "average precision {}",
                    words::number(figures.average_precision.value)
                ),
                points,
                colour: BLUE,
                dashed: false,
            },
        )?;
        let confusion = &of.confusion;
        let called = confusion.all_as_all + confusion.hem_as_all;
        if let Some(sensitivity) = figures.sensitivity.value.filter(|_| called > 0) {
            let precision = confusion.all_as_all as f64 / called as f64;
            let name = format!("threshold {:.2}", of.calibration.threshold);
            mark(&mut chart, (sensitivity, precision), RED, &name)?;
        }
        for (name, hits, alarms) in band_ends(of).into_iter().filter(|end| end.1 + end.2 > 0.0) {
            let at = (hits / of.counts.all as f64, hits / (hits + alarms));
            mark(&mut chart, at, GREEN, &name)?;
        }
        legend(&mut chart, SeriesLabelPosition::LowerLeft)
    })
}

pub(super) fn reliability(of: &Evaluation) -> Result<Figure, ReportError> {
    let meaning = format!(
        "How often the likelier class is right, against how sure the model is of it. On the \
         diagonal confidence can be taken literally; below it the model is overconfident. Larger \
         points stand for more cells. Calibration error: {} before, {} after temperature {:.2}.",
        words::number(of.figures.calibration_error_before.value),
        words::number(of.figures.calibration_error.value),
        of.calibration.temperature,
    );
    Figure::new("reliability", "Reliability", meaning, SIZE, |area| {
        let axes =
            Axes { x: 0.5..1.0, ..Axes::unit("Confidence in the likelier class", "Accuracy") };
        let mut chart = axes.draw(area)?;
        line(&mut chart, diagonal("", 0.5))?;
        let total = of.counts.cells.max(1) as f64;
        for (name, bins, colour, dashed) in [
            ("before temperature scaling", &of.reliability.before, MUTED, true),
            ("after", &of.reliability.after, BLUE, false),
        ] {
            let at = |bin: &Bin| bin.confidence.zip(bin.accuracy);
            let points = bins.iter().filter_map(at).collect();
            line(&mut chart, Line { name: name.to_owned(), points, colour, dashed })?;
            chart.draw_series(bins.iter().filter_map(|bin| {
                let radius = 5.0 + 22.0 * (bin.cells as f64 / total).sqrt();
                Some(Circle::new(at(bin)?, radius.round() as i32, colour.mix(0.55).filled()))
            }))?;
        }
        legend(&mut chart, SeriesLabelPosition::LowerRight)
    })
}

pub(super) fn risk_coverage(of: &Evaluation) -> Result<Figure, ReportError> {
    let review = &of.review;
    let meaning = format!(
        "Share of wrong decisions when only the surest cells are decided and a person looks at \
         the rest. With the bundle's review band a person looks at {} of the cells, and {} of the \
         others are wrong, instead of {} of all.",
        words::number(review.share),
        words::number(review.error_outside),
        words::number(review.error_without),
    );
    let highest = of.risk_coverage.iter().map(|point| point.risk).fold(0.05, f64::max);
    let top = ((highest * 1.15) * 20.0).ceil() / 20.0;
    let hundredths = |value: &f64| format!("{value:.2}");
    Figure::new("risk-coverage", "Risk and coverage", meaning, SIZE, |area| {
        let axes = Axes {
            x: 0.0..1.0,
            y: 0.0..top.min(1.0),
            x_name: "Coverage (share of cells decided)",
            y_name: "Risk (share of those wrong)",
            x_ticks: 6,
            x_label: &tenths,
            y_label: &hundredths,
        };
        let mut chart = axes.draw(area)?;
        let points = of.risk_coverage.iter().map(|point| (point.coverage, point.risk));
        line(
            &mut chart,
            Line {
                name: "surest cells first".to_owned(),
                points: points.collect(),
                colour: BLUE,
                dashed: false,
            },
        )?;
        if let (Some(share), Some(error)) = (review.share, review.error_outside) {
            let (lower, upper) = review.band;
            let name = format!("review band {lower:.2}–{upper:.2}");
            mark(&mut chart, (1.0 - share, error), RED, &name)?;
        }
        if let Some(error) = review.error_without {
            mark(&mut chart, (1.0, error), GREEN, "every cell decided")?;
        }
        // Keeps the frame's corner visible under the last point.
        chart.draw_series([PathElement::new(vec![(0.0, 0.0), (1.0, 0.0)], INK.mix(0.4))])?;
        legend(&mut chart, SeriesLabelPosition::UpperLeft)
    })
}
