//! Figures of the test cells: intervals, the ROC curve, confusion.

use super::drawing::Drawing;
use crate::model::curves::Curves;
use crate::model::manifest::{Manifest, Metric};

/// Protocols, the one to go by first.
const SPLITS: [&str; 2] = ["subject", "image"];

/// Figures of the first plot, in its order.
const FIGURES: [&str; 13] = [
    "person_auroc",
    "person_auroc_in_area_bands",
    "specimen_auroc",
    "auroc",
    "auroc_in_area_bands",
    "balanced_accuracy",
    "accuracy",
    "sensitivity",
    "specificity",
    "person_specificity_median",
    "person_specificity_minimum",
    "cell_area_auroc",
    "cell_area_balanced_accuracy",
];

/// Points of the ROC curve that a manifest holds beside the threshold's: percent, and the figure.
const AT_SPECIFICITY: [(f64, &str); 3] = [
    (0.80, "sensitivity_at_specificity_80"),
    (0.90, "sensitivity_at_specificity_90"),
    (0.95, "sensitivity_at_specificity_95"),
];
const AT_SENSITIVITY: [(f64, &str); 3] = [
    (0.80, "specificity_at_sensitivity_80"),
    (0.90, "specificity_at_sensitivity_90"),
    (0.95, "specificity_at_sensitivity_95"),
];

/// A figure of the whole test side, between 0 and 1.
fn find<'a>(manifest: &'a Manifest, split: &str, name: &str) -> Option<&'a Metric> {
    manifest
        .metrics
        .iter()
        .find(|own| own.split == split && own.name == name && (0.0..=1.0).contains(&own.value))
}

/// The ends of the interval inside 0 to 1; none where there is no interval.
fn ends(metric: &Metric) -> Option<(f64, f64)> {
    metric.interval.map(|(lower, upper)| (lower.clamp(0.0, 1.0), upper.clamp(0.0, 1.0)))
}

fn words(metric: &Metric) -> String {
    let interval = ends(metric)
        .map(|(lower, upper)| format!(" ({lower:.3} to {upper:.3})"))
        .unwrap_or_default();
    format!("{:.3}{interval}", metric.value)
}

fn basis(metric: &Metric) -> String {
    format!("split by {}: {} cells of {} subjects", metric.split, metric.cells, metric.subjects)
}

/// Figures with their intervals, both protocols side by side.
pub(super) fn figures(manifest: &Manifest) -> Option<String> {
    const ROW: f64 = 30.0;
    let rows: Vec<(&str, Vec<&Metric>)> = FIGURES
        .iter()
        .map(|name| {
            (*name, SPLITS.iter().filter_map(|split| find(manifest, split, name)).collect())
        })
        .filter(|(_, own): &(_, Vec<_>)| !own.is_empty())
        .collect();
    if rows.is_empty() {
        return None;
    }
    let bottom = 34.0 + ROW * rows.len() as f64;
    let height = 70 + 30 * u32::try_from(rows.len()).ok()?;
    let title = "Measured figures with their 95 % intervals";
    let mut drawing = Drawing::new("figures", title, 680, height);
    let x = |value: f64| 270.0 + 380.0 * value;
    for tick in 0..=5 {
        let value = f64::from(tick) / 5.0;
        drawing.line("grid-line", (x(value), 30.0), (x(value), bottom));
        drawing.text("middle", (x(value), bottom + 18.0), &format!("{value:.1}"));
    }
    drawing.mark("subject", (276.0, 14.0));
    drawing.text("start", (288.0, 18.0), "by subject");
    drawing.mark("image", (396.0, 14.0));
    drawing.text("start", (408.0, 18.0), "by image (too good)");
    for (at, (name, own)) in rows.into_iter().enumerate() {
        let y = 34.0 + ROW * (at as f64 + 0.5);
        drawing.text("end", (258.0, y + 4.0), &name.replace('_', " "));
        for metric in own {
            let y = if metric.split == "subject" { y - 5.0 } else { y + 6.0 };
            if let Some((lower, upper)) = ends(metric) {
                drawing.line(&metric.split, (x(lower), y), (x(upper), y));
            }
            drawing.mark(&metric.split, (x(metric.value), y));
            let name = name.replace('_', " ");
            drawing.said.push(format!("{name} by {}: {}", metric.split, words(metric)));
        }
    }
    drawing.finished()
}

/// The ROC curve where the manifest holds it, and its points with their intervals.
pub(super) fn roc(manifest: &Manifest) -> Option<String> {
    const SIDE: f64 = 240.0;
    let title = "ROC: sensitivity over 1 − specificity";
    let mut drawing = Drawing::new("roc", title, 680, 320);
    for (at, split) in SPLITS.into_iter().enumerate() {
        let threshold =
            find(manifest, split, "sensitivity").zip(find(manifest, split, "specificity"));
        let Some((sensitivity, specificity)) = threshold else { continue };
        let left = 60.0 + 330.0 * at as f64;
        let place = |false_rate: f64, true_rate: f64| {
            (left + SIDE * false_rate, 30.0 + SIDE * (1.0 - true_rate))
        };
        for tick in 0..=4 {
            let value = f64::from(tick) / 4.0;
            drawing.line("grid-line", place(value, 0.0), place(value, 1.0));
            drawing.line("grid-line", place(0.0, value), place(1.0, value));
            let ((x, y), (_, row)) = (place(value, 0.0), place(0.0, value));
            drawing.text("middle", (x, y + 16.0), &format!("{value:.2}"));
            drawing.text("end", (left - 6.0, row + 4.0), &format!("{value:.2}"));
        }
        drawing.line("chance", place(0.0, 0.0), place(1.0, 1.0));
        drawing.text("start", (left, 20.0), &format!("by {split}: sensitivity"));
        drawing.text("middle", (left + SIDE / 2.0, 304.0), "1 − specificity");
        if let Some(Curves { roc, .. }) = manifest.curves.iter().find(|own| own.split == split) {
            let points: Vec<_> = roc.iter().map(|(x, y)| place(*x, *y)).collect();
            drawing.path(split, &points);
        }
        let (x, y) = (1.0 - specificity.value, sensitivity.value);
        if let Some((lower, upper)) = ends(sensitivity) {
            drawing.line(split, place(x, lower), place(x, upper));
        }
        if let Some((lower, upper)) = ends(specificity) {
            drawing.line(split, place(1.0 - upper, y), place(1.0 - lower, y));
        }
        drawing.mark(split, place(x, y));
        drawing.said.push(format!(
            "{}. At the threshold sensitivity is {} and specificity {}",
            basis(sensitivity),
            words(sensitivity),
            words(specificity)
        ));
        for (fixed, name) in AT_SPECIFICITY {
            let Some(metric) = find(manifest, split, name) else { continue };
            if let Some((lower, upper)) = ends(metric) {
                drawing.line("faint", place(1.0 - fixed, lower), place(1.0 - fixed, upper));
            }
            drawing.mark(split, place(1.0 - fixed, metric.value));
            drawing
                .said
                .push(format!("At specificity {fixed:.2} sensitivity is {}", words(metric)));
        }
        for (fixed, name) in AT_SENSITIVITY {
            let Some(metric) = find(manifest, split, name) else { continue };
            if let Some((lower, upper)) = ends(metric) {
                drawing.line("faint", place(1.0 - upper, fixed), place(1.0 - lower, fixed));
            }
            drawing.mark(split, place(1.0 - metric.value, fixed));
            drawing
                .said
                .push(format!("At sensitivity {fixed:.2} specificity is {}", words(metric)));
        }
    }
    drawing.finished()
}

/// Rates of right and wrong decisions at the threshold, for each class.
pub(super) fn confusion(manifest: &Manifest) -> Option<String> {
    const SIDE: f64 = 110.0;
    let title = "Decisions at the threshold, as a share of each class";
    let mut drawing = Drawing::new("confusion", title, 680, 310);
    for (at, split) in SPLITS.into_iter().enumerate() {
        let threshold =
            find(manifest, split, "sensitivity").zip(find(manifest, split, "specificity"));
        let Some((sensitivity, specificity)) = threshold else { continue };
        let left = 80.0 + 330.0 * at as f64;
        drawing.text("start", (left, 18.0), &format!("by {split}: leukd says"));
        drawing.text("middle", (left + SIDE / 2.0, 40.0), "blast");
        drawing.text("middle", (left + SIDE * 1.5, 40.0), "normal");
        let rows = [("blast", sensitivity, true), ("normal", specificity, false)];
        for (row, (class, metric, is_first_right)) in rows.into_iter().enumerate() {
            let top = 50.0 + SIDE * row as f64;
            drawing.text("end", (left - 8.0, top + SIDE / 2.0), class);
            for column in 0..2 {
                let is_right = (column == 0) == is_first_right;
                let share = if is_right { metric.value } else { 1.0 - metric.value };
                let corner = (left + SIDE * f64::from(column), top);
                drawing.rectangle("share", corner, SIDE, 0.1 + 0.5 * share);
                let middle = (corner.0 + SIDE / 2.0, top + SIDE / 2.0);
                drawing.text("middle", middle, &format!("{:.1} %", 100.0 * share));
                let shape = if is_right { "✓ right" } else { "✕ wrong" };
                drawing.text("middle", (middle.0, middle.1 + 20.0), shape);
            }
            drawing.said.push(format!(
                "{}. Of {class} cells a share of {} is called {class}",
                basis(metric),
                words(metric)
            ));
        }
        drawing.text("start", (left, 292.0), &basis(sensitivity));
    }
    drawing.finished()
}
