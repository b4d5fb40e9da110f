//! Scores of persons that no model which tested them had seen, and a specimen's own among them.

use super::drawing::Drawing;
use crate::model::manifest::Manifest;
use crate::result::Label;

/// A row for each kind of person; `own` is marked across both.
pub(super) fn persons(manifest: &Manifest, own: Option<f64>) -> Option<String> {
    const WIDTH: f64 = 500.0;
    let scores = || manifest.persons.iter().map(|person| person.score).chain(own);
    if manifest.persons.is_empty() {
        return None;
    }
    let low = scores().fold(f64::INFINITY, f64::min).min(-1.0).floor();
    let high = scores().fold(f64::NEG_INFINITY, f64::max).max(1.0).ceil();
    let x = |score: f64| 150.0 + WIDTH * (score - low) / (high - low);
    let mut drawing =
        Drawing::new("persons", "Scores of persons that the model had not seen", 680, 190);
    let step = ((high - low) / 10.0).ceil().max(1.0);
    let mut tick = low;
    while tick <= high {
        let class = if tick == 0.0 { "chance" } else { "grid-line" };
        drawing.line(class, (x(tick), 34.0), (x(tick), 140.0));
        drawing.text("middle", (x(tick), 158.0), &format!("{tick:.0}"));
        tick += step;
    }
    drawing.text("middle", (150.0 + WIDTH / 2.0, 180.0), "score (logit of P(all), all cells)");
    let rows =
        [(Label::All, "with leukemia", "subject", 65.0), (Label::Hem, "healthy", "image", 110.0)];
    for (label, name, class, y) in rows {
        let mut own: Vec<f64> = manifest
            .persons
            .iter()
            .filter(|person| person.label == label)
            .map(|person| person.score)
            .collect();
        own.sort_by(f64::total_cmp);
        drawing.text("end", (138.0, y + 4.0), &format!("{} {name}", own.len()));
        for score in &own {
            drawing.mark(class, (x(*score), y));
        }
        if let (Some(first), Some(last)) = (own.first(), own.last()) {
            drawing.said.push(format!("{} {name}: {first:.2} to {last:.2}", own.len()));
        }
    }
    if let Some(own) = own {
        drawing.line("own", (x(own), 24.0), (x(own), 140.0));
        drawing.text("middle", (x(own), 18.0), &format!("this specimen: {own:.2}"));
        drawing.said.push(format!("This specimen: {own:.2}"));
    }
    drawing.finished()
}
