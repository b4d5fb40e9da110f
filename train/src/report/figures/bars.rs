//! Bars: scores by class, and subject by subject.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::sheet::{Axes, BLUE, Drawn, INK, MUTED, RED, font, legend, tenths};
use super::{Figure, words};
use crate::dataset::LABELS;
use crate::evaluate::Evaluation;
use crate::report::error::ReportError;

/// Height of one subject's row.
const ROW: u32 = 52;

pub(super) fn scores(of: &Evaluation) -> Result<Figure, ReportError> {
    let (lower, upper) = of.review.band;
    let meaning = format!(
        "Where the cells of each class fall along P(all). The better the model, the further the \
         two stand apart. Between the dashed lines, {lower:.2} and {upper:.2}, a person should look."
    );
    let shares: Vec<Vec<f64>> = of
        .histogram
        .iter()
        .map(|bars| {
            let total = bars.iter().sum::<u64>().max(1) as f64;
            bars.iter().map(|count| *count as f64 / total).collect()
        })
        .collect();
    let highest = shares.iter().flatten().copied().fold(0.05, f64::max);
    let hundredths = |value: &f64| format!("{value:.2}");
    Figure::new("scores", "Scores by class", meaning, (1120, 860), |area| {
        let axes = Axes {
            x: 0.0..1.0,
            // Room for the legend above the bars.
            y: 0.0..highest * 1.3,
            x_name: "Calibrated P(all)",
            y_name: "Share of the class's cells",
            x_ticks: 6,
            x_label: &tenths,
            y_label: &hundredths,
        };
        let mut chart = axes.draw(area)?;
        let names = [
            format!("{} (blast), {}", LABELS[0], words::counted(of.counts.all, "cell")),
            format!("{} (normal), {}", LABELS[1], words::counted(of.counts.hem, "cell")),
        ];
        for (place, ((shares, name), colour)) in
            shares.iter().zip(names).zip([RED, BLUE]).enumerate()
        {
            let width = 1.0 / shares.len() as f64;
            let bars = shares.iter().enumerate().map(|(index, share)| {
                // Side by side: bars that cover each other cannot be told apart in print.
                let left = (index as f64 + 0.08 + 0.42 * place as f64) * width;
                Rectangle::new([(left, 0.0), (left + 0.42 * width, *share)], colour.filled())
            });
            chart.draw_series(bars)?.label(name).legend(move |(x, y)| {
                Rectangle::new([(x + 10, y - 10), (x + 34, y + 10)], colour.filled())
            });
        }
        for at in [lower, upper] {
            let ends = [(at, 0.0), (at, highest * 1.3)];
            chart.draw_series(DashedLineSeries::new(ends, 12, 10, INK.stroke_width(2)))?;
        }
        legend(&mut chart, SeriesLabelPosition::UpperMiddle)
    })
}

pub(super) fn subjects(of: &Evaluation) -> Result<Figure, ReportError> {
    let rows = of.subjects.len();
    let height = ROW * u32::try_from(rows).unwrap_or(u32::MAX / ROW / 2) + 170;
    let meaning = "Share of each subject's cells that are decided rightly at the threshold, with \
                   95 % Wilson intervals. An average over all cells hides the subject whose cells \
                   all go wrong."
        .to_owned();
    Figure::new("subjects", "Subject by subject", meaning, (1120, height), |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(20)
            .margin_right(36)
            .x_label_area_size(88)
            .y_label_area_size(300)
            .build_cartesian_2d(0.0..1.0, rows as f64..0.0)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .x_desc("Accuracy at the threshold")
            .x_labels(6)
            .y_labels(0)
            .x_label_formatter(&tenths)
            .x_max_light_lines(0)
            .bold_line_style(super::sheet::GRID.stroke_width(2))
            .axis_style(MUTED.stroke_width(2))
            .label_style(font(INK))
            .axis_desc_style(font(INK))
            .draw()?;
        for (index, row) in of.subjects.iter().enumerate() {
            let colour = if row.label == LABELS[0] { RED } else { BLUE };
            let middle = index as f64 + 0.5;
            let bar = [(0.0, middle - 0.3), (row.accuracy, middle + 0.3)];
            chart.draw_series([Rectangle::new(bar, colour.mix(0.75).filled())])?;
            whisker(&mut chart, middle, row.interval)?;
            let name = format!("{} {} ({})", row.label, words::subject(&row.subject), row.cells);
            // Long names would run out of the figure.
            let name = if name.chars().count() > 22 {
                name.chars().take(21).chain(['…']).collect()
            } else {
                name
            };
            let style = font(INK).pos(Pos::new(HPos::Right, VPos::Center));
            chart.draw_series([
                EmptyElement::at((0.0, middle)) + Text::new(name, (-16, 0), style)
            ])?;
        }
        Ok(())
    })
}

fn whisker(
    chart: &mut super::sheet::Chart<'_, '_>,
    middle: f64,
    (lower, upper): (f64, f64),
) -> Drawn {
    let style = INK.stroke_width(3);
    let end = |x: f64| vec![(x, middle - 0.16), (x, middle + 0.16)];
    chart.draw_series(
        [vec![(lower, middle), (upper, middle)], end(lower), end(upper)]
            .map(|points| PathElement::new(points, style)),
    )?;
    Ok(())
}
