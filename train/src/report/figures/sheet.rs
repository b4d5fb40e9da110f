//! What every figure shares: colours, fonts, axes, and the way to an SVG text.

use std::io;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::Pos;

/// A drawing's surface. Its unit is half a CSS pixel, because plotters rounds to whole units.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub(super) type Drawn = Result<(), DrawingAreaErrorKind<io::Error>>;

/// Text and axes.
pub(super) const INK: RGBColor = RGBColor(0x1f, 0x29, 0x33);
/// What stands back.
pub(super) const MUTED: RGBColor = RGBColor(0x6b, 0x77, 0x85);
pub(super) const GRID: RGBColor = RGBColor(0xdd, 0xe2, 0xe7);
/// Blasts; also what is measured first. With [`BLUE`] and [`GREEN`] of Okabe & Ito's palette, which
/// the colour-blind can tell apart.
pub(super) const RED: RGBColor = RGBColor(0xd5, 0x5e, 0x00);
/// Normal cells.
pub(super) const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xb2);
pub(super) const GREEN: RGBColor = RGBColor(0x00, 0x9e, 0x73);
/// The page.
pub(super) const PAPER: RGBColor = RGBColor(0xfe, 0xfe, 0xfe);

/// The same colours on a dark page: CSS rules outdo the attributes that plotters writes.
pub(in crate::report) const STYLE: &str = "\
.leukd-figure{font-family:system-ui,sans-serif;max-width:100%;height:auto}\
@media (prefers-color-scheme:dark){@media screen{\
.leukd-figure [fill='#1F2933']{fill:#E4E9EE}.leukd-figure [stroke='#1F2933']{stroke:#E4E9EE}\
.leukd-figure [fill='#6B7785']{fill:#9AA7B4}.leukd-figure [stroke='#6B7785']{stroke:#9AA7B4}\
.leukd-figure [fill='#DDE2E7']{fill:#36414C}.leukd-figure [stroke='#DDE2E7']{stroke:#36414C}\
.leukd-figure [fill='#D55E00']{fill:#FF9248}.leukd-figure [stroke='#D55E00']{stroke:#FF9248}\
.leukd-figure [fill='#0072B2']{fill:#56B4E9}.leukd-figure [stroke='#0072B2']{stroke:#56B4E9}\
.leukd-figure [fill='#009E73']{fill:#4CD3AC}.leukd-figure [stroke='#009E73']{stroke:#4CD3AC}\
.leukd-figure [fill='#FEFEFE']{fill:#14191F}.leukd-figure [stroke='#FEFEFE']{stroke:#14191F}}}";

/// [`PAPER`] under a figure that stands alone.
pub(super) const BACKGROUND: &str = "\
.leukd-figure{background:#FEFEFE}\
@media (prefers-color-scheme:dark){@media screen{.leukd-figure{background:#14191F}}}";

/// Height of ordinary text.
pub(super) const TEXT: u32 = 31;

/// Ordinary text in `colour`.
pub(super) fn font(colour: RGBColor) -> TextStyle<'static> {
    TextStyle {
        font: ("sans-serif", TEXT).into_font(),
        color: colour.to_backend_color(),
        pos: Pos::default(),
    }
}

/// What stands inside the `svg` element once `draw` is done.
pub(super) fn body(
    size: (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Drawn,
) -> Result<String, DrawingAreaErrorKind<io::Error>> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        draw(&area)?;
        area.present()?;
    }
    // The element itself is written anew, with title and description.
    let inner = text.split_once('>').map_or(text.as_str(), |(_, rest)| rest);
    let inner = inner.trim_end();
    Ok(inner.strip_suffix("</svg>").unwrap_or(inner).to_owned())
}

/// The frame of a chart.
pub(super) struct Axes<'a> {
    pub(super) x: Range<f64>,
    pub(super) y: Range<f64>,
    pub(super) x_name: &'a str,
    pub(super) y_name: &'a str,
    pub(super) x_ticks: usize,
    /// How values along x are written.
    pub(super) x_label: &'a dyn Fn(&f64) -> String,
    /// How values along y are written.
    pub(super) y_label: &'a dyn Fn(&f64) -> String,
}

/// One decimal.
pub(super) fn tenths(value: &f64) -> String {
    format!("{value:.1}")
}

pub(super) type Chart<'a, 'b> =
    ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

impl Axes<'_> {
    /// Both axes from 0 to 1.
    pub(super) fn unit<'a>(x_name: &'a str, y_name: &'a str) -> Axes<'a> {
        Axes {
            x: 0.0..1.0,
            y: 0.0..1.0,
            x_name,
            y_name,
            x_ticks: 6,
            x_label: &tenths,
            y_label: &tenths,
        }
    }

    pub(super) fn draw<'a, 'b>(
        &self,
        area: &'a Area<'b>,
    ) -> Result<Chart<'a, 'b>, DrawingAreaErrorKind<io::Error>> {
        let mut chart = ChartBuilder::on(area)
            .margin(20)
            .margin_right(36)
            .x_label_area_size(88)
            .y_label_area_size(116)
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        chart
            .configure_mesh()
            .x_desc(self.x_name)
            .y_desc(self.y_name)
            .x_labels(self.x_ticks)
            .y_labels(6)
            .x_label_formatter(self.x_label)
            .y_label_formatter(self.y_label)
            .x_max_light_lines(0)
            .y_max_light_lines(0)
            .bold_line_style(GRID.stroke_width(2))
            .axis_style(MUTED.stroke_width(2))
            .label_style(font(INK))
            .axis_desc_style(font(INK))
            .draw()?;
        Ok(chart)
    }
}

/// A line through `points`.
pub(super) struct Line {
    /// In the legend; empty: not in it.
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
    pub(super) colour: RGBColor,
    /// Tells it apart without colour.
    pub(super) dashed: bool,
}

/// Draws `line` and enters it in the legend. Points that are not finite are left out.
pub(super) fn line<'a, 'b: 'a>(chart: &mut Chart<'a, 'b>, line: Line) -> Drawn {
    let Line { name, points, colour, dashed } = line;
    let style = colour.stroke_width(5);
    let points: Vec<_> =
        points.into_iter().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
    let drawn = if dashed {
        chart.draw_series(DashedLineSeries::new(points, 16, 12, style))?
    } else {
        chart.draw_series(LineSeries::new(points, style))?
    };
    if !name.is_empty() {
        drawn.label(name).legend(move |at| {
            let (first, second) = if dashed { (16, 28) } else { (22, 22) };
            EmptyElement::at(at)
                + PathElement::new(vec![(0, 0), (first, 0)], style)
                + PathElement::new(vec![(second, 0), (44, 0)], style)
        });
    }
    Ok(())
}

/// A point with its name in the legend.
pub(super) fn mark<'a, 'b: 'a>(
    chart: &mut Chart<'a, 'b>,
    at: (f64, f64),
    colour: RGBColor,
    name: &str,
) -> Drawn {
    chart
        .draw_series([Circle::new(at, 13, PAPER.filled()), Circle::new(at, 10, colour.filled())])?
        .label(name)
        .legend(move |at| EmptyElement::at(at) + Circle::new((22, 0), 10, colour.filled()));
    Ok(())
}

/// Draws the legend of all that was named.
pub(super) fn legend<'a, 'b: 'a>(
    chart: &mut Chart<'a, 'b>,
    position: SeriesLabelPosition,
) -> Drawn {
    chart
        .configure_series_labels()
        .position(position)
        .margin(18)
        .legend_area_size(58)
        .background_style(PAPER.mix(0.85))
        .border_style(GRID)
        .label_font(font(INK))
        .draw()
}
