//! Curves that a bundle holds: reliability, risk and coverage, and how the training went.

use super::drawing::Drawing;
use crate::model::curves::Curves;
use crate::model::manifest::Manifest;

/// The side of a square of 0 to 1 by 0 to 1.
const SIDE: f64 = 240.0;

/// What a curve reads of one protocol.
type Points = fn(&Curves) -> Vec<(f64, f64)>;

/// Confidence against accuracy.
pub(super) fn reliability(manifest: &Manifest) -> Option<String> {
    let points: Points =
        |own| own.reliability.iter().map(|(confidence, right, _)| (*confidence, *right)).collect();
    let mut drawing =
        Drawing::new("reliability", "Reliability: how literally P can be taken", 680, 320);
    squares(&mut drawing, manifest, 1.0, ["share that is right", "confidence"], points, true);
    for own in &manifest.curves {
        let off =
            own.reliability.iter().max_by(|a, b| (a.0 - a.1).abs().total_cmp(&(b.0 - b.1).abs()));
        let Some((confidence, right, cells)) = off else { continue };
        drawing.said.push(format!(
            "{}. Farthest from the diagonal are {cells} cells of confidence {confidence:.3}, of which {right:.3} are right",
            basis(own)
        ));
    }
    drawing.finished()
}

/// What share is wrong if only the surest are decided.
pub(super) fn risk_coverage(manifest: &Manifest) -> Option<String> {
    let most = manifest.curves.iter().flat_map(|own| &own.risk_coverage).map(|(_, risk)| *risk);
    // The axis ends at the next tenth.
    let top = (most.fold(0.0, f64::max) * 10.0).ceil().max(1.0) / 10.0;
    let title = "Risk and coverage: wrong ones among the surest";
    let mut drawing = Drawing::new("risk_coverage", title, 680, 320);
    let points: Points = |own| own.risk_coverage.clone();
    squares(&mut drawing, manifest, top, ["share that is wrong", "share decided"], points, false);
    for own in &manifest.curves {
        for wanted in [0.25, 0.5, 1.0] {
            let at = own.risk_coverage.iter().find(|(coverage, _)| *coverage >= wanted);
            let Some((coverage, risk)) = at else { continue };
            drawing.said.push(format!(
                "{}. Of the surest {coverage:.2} a share of {risk:.3} is wrong",
                basis(own)
            ));
        }
    }
    drawing.finished()
}

/// Both protocols side by side; `top` is the upper end of the other axis.
fn squares(
    drawing: &mut Drawing,
    manifest: &Manifest,
    top: f64,
    [upwards, along]: [&str; 2],
    points: Points,
    diagonal: bool,
) {
    for (at, own) in manifest.curves.iter().take(2).enumerate() {
        let left = 60.0 + 330.0 * at as f64;
        let place = |(x, y): (f64, f64)| (left + SIDE * x, 30.0 + SIDE * (1.0 - y / top));
        for tick in 0..=4 {
            let share = f64::from(tick) / 4.0;
            let level = share * top;
            drawing.line("grid-line", place((share, 0.0)), place((share, top)));
            drawing.line("grid-line", place((0.0, level)), place((1.0, level)));
            let ((x, y), (_, row)) = (place((share, 0.0)), place((0.0, level)));
            drawing.text("middle", (x, y + 16.0), &format!("{share:.2}"));
            drawing.text("end", (left - 6.0, row + 4.0), &format!("{level:.2}"));
        }
        if diagonal {
            drawing.line("chance", place((0.0, 0.0)), place((1.0, 1.0)));
        }
        let split = split(own);
        drawing.text("start", (left, 20.0), &format!("by {split}: {upwards}"));
        drawing.text("middle", (left + SIDE / 2.0, 304.0), along);
        let points: Vec<_> = points(own).into_iter().map(place).collect();
        drawing.path(split, &points);
        if diagonal {
            for point in points {
                drawing.mark(split, point);
            }
        }
    }
}

/// Loss over epochs.
pub(super) fn learning_curve(manifest: &Manifest) -> Option<String> {
    const WIDTH: f64 = 560.0;
    const HEIGHT: f64 = 220.0;
    let epochs = &manifest.learning;
    let (first, last) = (epochs.first()?, epochs.last()?);
    let losses = epochs.iter().flat_map(|own| [own.training_loss, own.validation_loss]);
    let most = losses.fold(0.0, f64::max);
    if most <= 0.0 {
        return None;
    }
    let span = f64::from(last.epoch.saturating_sub(first.epoch)).max(1.0);
    let place = |epoch: u32, loss: f64| {
        let along = f64::from(epoch.saturating_sub(first.epoch)) / span;
        (70.0 + WIDTH * along, 30.0 + HEIGHT * (1.0 - loss.clamp(0.0, most) / most))
    };
    let mut drawing = Drawing::new("learning_curve", "Learning curve: loss by epoch", 680, 300);
    for tick in 0..=4 {
        let loss = most * f64::from(tick) / 4.0;
        let (left, y) = place(first.epoch, loss);
        drawing.line("grid-line", (left, y), (left + WIDTH, y));
        drawing.text("end", (left - 8.0, y + 4.0), &format!("{loss:.2}"));
    }
    for epoch in [first.epoch, last.epoch] {
        let (x, y) = place(epoch, 0.0);
        drawing.text("middle", (x, y + 18.0), &epoch.to_string());
    }
    drawing.mark("subject", (76.0, 14.0));
    drawing.text("start", (88.0, 18.0), "while it learned");
    drawing.mark("image", (226.0, 14.0));
    drawing.text("start", (238.0, 18.0), "cells that it did not learn from");
    type Loss = fn(&crate::model::curves::Epoch) -> f64;
    let both: [(&str, Loss); 2] =
        [("subject", |own| own.training_loss), ("image", |own| own.validation_loss)];
    for (class, loss) in both {
        let points: Vec<_> = epochs.iter().map(|own| place(own.epoch, loss(own))).collect();
        drawing.path(class, &points);
        for point in points {
            drawing.mark(class, point);
        }
    }
    drawing.said.push(format!(
        "Epochs {} to {}. The loss while it learned goes from {:.3} to {:.3}, that on other cells from {:.3} to {:.3}",
        first.epoch,
        last.epoch,
        first.training_loss,
        last.training_loss,
        first.validation_loss,
        last.validation_loss
    ));
    drawing.finished()
}

/// The class of its marks; the protocol in words too.
fn split(of: &Curves) -> &'static str {
    if of.split == "subject" { "subject" } else { "image" }
}

fn basis(of: &Curves) -> String {
    format!("Split by {}: {} cells of {} subjects", split(of), of.cells, of.subjects)
}
