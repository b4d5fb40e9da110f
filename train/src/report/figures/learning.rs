//! How the run went, epoch by epoch.

use plotters::prelude::*;

use super::Figure;
use super::sheet::{Axes, BLUE, GREEN, Line, MUTED, RED, legend, line};
use crate::report::Curve;
use crate::report::error::ReportError;

const SIZE: (u32, u32) = (1120, 760);

/// Whole numbers of epochs.
fn epoch(value: &f64) -> String {
    format!("{value:.0}")
}

/// Loss, validation figures and learning rate; none without epochs.
pub(super) fn all(curves: &[Curve]) -> Result<Vec<Figure>, ReportError> {
    if curves.is_empty() {
        return Ok(Vec::new());
    }
    let mut figures = vec![loss(curves)?, figures_of(curves)?];
    if curves.iter().any(|one| one.learning_rate.is_some()) {
        figures.push(learning_rate(curves)?);
    }
    Ok(figures)
}

/// One value of each epoch that has it.
fn points(curves: &[Curve], of: impl Fn(&Curve) -> Option<f64>) -> Vec<(f64, f64)> {
    curves
        .iter()
        .filter_map(|one| Some((f64::from(one.epoch), of(one).filter(|v| v.is_finite())?)))
        .collect()
}

fn axes<'a>(
    curves: &[Curve],
    top: f64,
    y_name: &'a str,
    y_label: &'a dyn Fn(&f64) -> String,
) -> Axes<'a> {
    let first = curves.first().map_or(1, |one| one.epoch);
    let last = curves.last().map_or(1, |one| one.epoch);
    // A single epoch still needs an axis with a width.
    let x = f64::from(first)..f64::from(last.max(first + 1));
    let x_ticks = usize::try_from(last.max(first + 1) - first + 1).unwrap_or(10).min(10);
    Axes { x, y: 0.0..top, x_name: "Epoch", y_name, x_ticks, x_label: &epoch, y_label }
}

/// The lines, with points where there are too few epochs for a line to be seen.
fn chart(
    name: &'static str,
    title: &'static str,
    meaning: &str,
    axes: &Axes<'_>,
    lines: Vec<Line>,
    corner: SeriesLabelPosition,
) -> Result<Figure, ReportError> {
    Figure::new(name, title, meaning.to_owned(), SIZE, |area| {
        let mut chart = axes.draw(area)?;
        for one in lines {
            if one.points.len() <= 30 {
                let dots = one.points.iter().map(|at| Circle::new(*at, 7, one.colour.filled()));
                chart.draw_series(dots)?;
            }
            line(&mut chart, one)?;
        }
        legend(&mut chart, corner)
    })
}

fn loss(curves: &[Curve]) -> Result<Figure, ReportError> {
    let training = points(curves, |one| Some(one.training_loss));
    let validation = points(curves, |one| one.validation_loss);
    let highest = training.iter().chain(&validation).map(|(_, loss)| *loss).fold(0.1, f64::max);
    let mut lines =
        vec![Line { name: "training".to_owned(), points: training, colour: MUTED, dashed: true }];
    if !validation.is_empty() {
        lines.push(Line {
            name: "validation".to_owned(),
            points: validation,
            colour: BLUE,
            dashed: false,
        });
    }
    let hundredths = |value: &f64| format!("{value:.2}");
    chart(
        "loss",
        "Loss",
        "What the training lowers. When the validation loss rises while the training loss falls, \
         the network learns its training cells by heart. The two need not meet: what is \
         varied, mixed and dropped in training weighs on the training loss alone.",
        &axes(curves, highest * 1.08, "Loss", &hundredths),
        lines,
        SeriesLabelPosition::UpperRight,
    )
}

fn figures_of(curves: &[Curve]) -> Result<Figure, ReportError> {
    type Of = fn(&Curve) -> Option<f64>;
    let lines: [(&str, Of, RGBColor, bool); 4] = [
        ("accuracy", |one| Some(one.accuracy), BLUE, false),
        ("balanced accuracy", |one| Some(one.balanced_accuracy), GREEN, false),
        ("AUROC", |one| Some(one.auroc), RED, false),
        ("training accuracy", |one| one.training_accuracy, MUTED, true),
    ];
    let lines = lines
        .into_iter()
        .map(|(name, of, colour, dashed)| Line {
            name: name.to_owned(),
            points: points(curves, of),
            colour,
            dashed,
        })
        .filter(|line| !line.points.is_empty())
        .collect();
    chart(
        "validation",
        "Validation figures",
        "How well each epoch's weights did on the validation cells, at threshold 0.5. Where \
         the recipe keeps the best epoch, these chose it, and its figures here are optimistic.",
        &axes(curves, 1.0, "Share", &super::sheet::tenths),
        lines,
        SeriesLabelPosition::LowerRight,
    )
}

fn learning_rate(curves: &[Curve]) -> Result<Figure, ReportError> {
    let rates = points(curves, |one| one.learning_rate);
    let highest = rates.iter().map(|(_, rate)| *rate).fold(f64::MIN_POSITIVE, f64::max);
    let power = |value: &f64| {
        if *value == 0.0 { "0".to_owned() } else { format!("{value:.1e}") }
    };
    chart(
        "learning-rate",
        "Learning rate",
        "How far each step moved the weights. A loss that falls when the rate falls had steps \
         that were too long.",
        &axes(curves, highest * 1.08, "Learning rate", &power),
        vec![Line { name: "learning rate".to_owned(), points: rates, colour: BLUE, dashed: false }],
        SeriesLabelPosition::UpperRight,
    )
}
