//! Confusion matrices.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::sheet::{BLUE, Drawn, INK, MUTED, PAPER, RED, TEXT, font};
use super::{Area, Figure, words};
use crate::evaluate::Evaluation;
use crate::report::error::ReportError;

const SIZE: (u32, u32) = (1120, 660);

pub(super) fn threshold(of: &Evaluation) -> Result<Figure, ReportError> {
    let confusion = &of.confusion;
    let meaning = format!(
        "Truth against decision when every cell is decided at threshold {:.2}. {} of {} were \
         missed, {} of {} were called blasts.",
        of.calibration.threshold,
        confusion.all_as_hem,
        words::counted(of.counts.all, "blast"),
        confusion.hem_as_all,
        words::counted(of.counts.hem, "normal cell"),
    );
    Figure::new("confusion", "Decisions at the threshold", meaning, SIZE, |area| {
        matrix(
            area,
            &["all", "hem"],
            &[
                (vec![confusion.all_as_all, confusion.all_as_hem], 0),
                (vec![confusion.hem_as_all, confusion.hem_as_hem], 1),
            ],
        )
    })
}

pub(super) fn review(of: &Evaluation) -> Result<Figure, ReportError> {
    let decisions = of.served.as_ref().map_or(&of.decisions, |served| &served.decisions);
    let (all, hem) = (&decisions.all, &decisions.hem);
    let (lower, upper) = of.review.band;
    let by = format!("cells with P(all) from {lower:.2} to {upper:.2}");
    let (title, whose) = match &of.served {
        Some(served) if served.doubted.is_some() => {
            ("Decisions as the daemon gives them", format!("{by}, and those that it doubts,"))
        }
        _ => ("Decisions with the review band", by),
    };
    let meaning = format!(
        "Truth against what leukd suggests: {whose} go to a person. {} of {} cells do.",
        all.review + hem.review,
        of.counts.cells,
    );
    Figure::new("decisions", title, meaning, SIZE, |area| {
        matrix(
            area,
            &["all", "review", "hem"],
            &[(vec![all.all, all.review, all.hem], 0), (vec![hem.all, hem.review, hem.hem], 2)],
        )
    })
}

/// One row a true class: its counts, and which of them is the right one.
fn matrix(area: &Area<'_>, columns: &[&str], rows: &[(Vec<u64>, usize); 2]) -> Drawn {
    let (left, top, right, bottom) = (190_i32, 130_i32, 1090_i32, 630_i32);
    let across = (right - left) / i32::try_from(columns.len()).unwrap_or(1);
    let down = (bottom - top) / 2;
    let middle = Pos::new(HPos::Center, VPos::Center);
    let text = |text: String, at: (i32, i32), colour: RGBColor| {
        Text::new(text, at, font(colour).pos(middle))
    };
    area.draw(&text("decided as".to_owned(), ((left + right) / 2, 40), MUTED))?;
    area.draw(&text("truth".to_owned(), (70, 90), MUTED))?;
    for (index, column) in (0..).zip(columns) {
        area.draw(&text((*column).to_owned(), (left + across * index + across / 2, 94), INK))?;
    }
    for (row, (counts, right_one)) in (0..).zip(rows) {
        let y = top + down * row;
        let total = counts.iter().sum::<u64>();
        area.draw(&text(
            ["all", "hem"][usize::from(row == 1)].to_owned(),
            (70, y + down / 2 - 20),
            INK,
        ))?;
        area.draw(&text(words::counted(total, "cell"), (84, y + down / 2 + 20), MUTED))?;
        for (column, (place, count)) in (0..).zip(counts.iter().enumerate()) {
            let share = *count as f64 / total.max(1) as f64;
            let x = left + across * column;
            let colour = match place {
                _ if place == *right_one => BLUE,
                // A cell that a person looks at is neither right nor wrong.
                1 if columns.len() == 3 => MUTED,
                _ => RED,
            };
            let frame = [(x, y), (x + across, y + down)];
            area.draw(&Rectangle::new(frame, colour.mix(0.06 + 0.4 * share).filled()))?;
            area.draw(&Rectangle::new(frame, PAPER.stroke_width(6)))?;
            let centre = (x + across / 2, y + down / 2);
            let large =
                TextStyle::from(("sans-serif", TEXT * 2).into_font()).color(&INK).pos(middle);
            area.draw(&Text::new(count.to_string(), (centre.0, centre.1 - 22), large))?;
            let percent = format!("{:.1} % of the row", share * 100.0);
            area.draw(&text(percent, (centre.0, centre.1 + 44), INK))?;
        }
    }
    Ok(())
}
