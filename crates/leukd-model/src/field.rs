//! A capture → the judgement of each of its cells: one for a segmented cell on black, any number
//! for a field of view.

use std::time::Instant;

use image::RgbImage;
use leukd_cell::figures::{FieldFigures, ScaleSource};
use leukd_cell::segment::{
    self, CaptureKind, Crop, FieldOfView, MAX_DOUBT, Region, SegmentOptions, WhiteCell, guess_kind,
};
use leukd_cell::timings::Timings;
use leukd_cell::words::{KindRule, Reason, ReasonCode};
use leukd_cell::{Limits, Scratch, decode_with, pixel_size};

use crate::examine::{ExamineError, Examined, judge, micros};
use crate::manifest::Manifest;
use crate::serving::{Model, Seen};

/// How captures are taken.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CaptureRules {
    /// What they show.
    pub kind: KindRule,
    /// The scale of a field of view, where it is given: micrometres that one pixel spans.
    pub micrometres_per_pixel: Option<f64>,
}

/// One cell of a capture.
#[derive(Debug, Clone)]
pub struct ExaminedCell {
    /// Its outline in a field of view; none for a capture of one cell.
    pub place: Option<WhiteCell>,
    /// What the model says of it.
    pub examined: Examined,
}

/// A capture whose cells were judged.
#[derive(Debug, Clone)]
pub struct ExaminedCapture {
    /// The field of view; none for a capture of one cell.
    pub field: Option<FieldFigures>,
    /// By ordinal.
    pub cells: Vec<ExaminedCell>,
    /// Decoding, and in a field of view segmentation; in microseconds.
    pub decode_us: u64,
}

/// Diameter of a red cell in micrometres: the ruler of a field whose scale nobody gave. The middle
/// of the normal range of 6.2 to 8.2 µm (Turgeon 2004, "Clinical Hematology: Theory and
/// Procedures").
const RED_CELL_UM: f64 = 7.2;

/// Micrometres that a pixel of the training pictures spans where the bundle does not say: an
/// assumption, and no measurement. C-NMC was published without its scale. Results that rest on it
/// are left to a person.
const ASSUMED_UM_PER_PIXEL: f64 = 0.06;

/// Side of a cell's picture before preprocessing, in pixels: C-NMC's.
const SIDE: u32 = 450;

/// Decodes `bytes`, finds the cells and judges each.
///
/// # Errors
/// [`ExamineError::Image`] when the bytes are no complete picture within `limits`,
/// [`ExamineError::Model`] when the network gives no finite output.
pub fn examine_capture(
    bytes: &[u8],
    model: &Model,
    limits: &Limits,
    rules: &CaptureRules,
) -> Result<ExaminedCapture, ExamineError> {
    examine_capture_and(bytes, model, limits, rules, |_, _| ()).map(|(examined, _)| examined)
}

/// The same, and what `also` makes of each cell's picture and of what the network saw in it.
///
/// # Errors
/// As [`examine_capture`].
pub fn examine_capture_and<T>(
    bytes: &[u8],
    model: &Model,
    limits: &Limits,
    rules: &CaptureRules,
    mut also: impl FnMut(&RgbImage, &Seen) -> T,
) -> Result<(ExaminedCapture, Vec<T>), ExamineError> {
    Scratch::with(|scratch| {
        let started = Instant::now();
        let picture = decode_with(scratch, bytes, limits)?;
        let (is_field, doubt) = match rules.kind {
            KindRule::Cell => (false, None),
            KindRule::Field => (true, doubt_of_field(&picture)),
            KindRule::Auto => kind(&picture),
        };
        if !is_field {
            let decoded = micros(started, Instant::now());
            let (mut examined, extra) = judge(scratch, picture, model, also)?;
            examined.timings.decode_us += decoded;
            examined.judgement = examined.judgement.doubted(doubt.into_iter().collect());
            let cells = vec![ExaminedCell { place: None, examined }];
            return Ok((ExaminedCapture { field: None, cells, decode_us: decoded }, vec![extra]));
        }
        let field = segment::segment(&picture, &SegmentOptions::default());
        let decode_us = micros(started, Instant::now());
        let scale = Scale::new(model.manifest(), &field, rules, pixel_size(bytes));
        let (mut cells, mut extras) = (Vec::new(), Vec::new());
        for cell in &field.cells {
            let alone = scale.crop.on_black(&picture, cell)?;
            let (mut examined, extra) = judge(scratch, alone, model, &mut also)?;
            let mut doubts: Vec<Reason> = scale.doubt.iter().chain(&doubt).cloned().collect();
            if cell.touches_edge {
                let message = "the edge of the field may cut this cell off";
                doubts.push(Reason::new(ReasonCode::CutOff, message));
            }
            examined.judgement = examined.judgement.doubted(doubts);
            cells.push(ExaminedCell { place: Some(cell.clone()), examined });
            extras.push(extra);
        }
        let figures = FieldFigures {
            micrometres_per_pixel: scale.micrometres_per_pixel,
            scale_source: scale.source,
            red_cells: field.red_cells,
            set_aside: field.set_aside,
        };
        Ok((ExaminedCapture { field: Some(figures), cells, decode_us }, extras))
    })
}

/// The picture of the cell `ordinal` of a field of view at `micrometres_per_pixel`, as the network
/// sees it before preprocessing; none where segmentation finds no such cell with this region.
#[must_use]
pub fn cell_picture(
    picture: &RgbImage,
    model: &Model,
    micrometres_per_pixel: f64,
    ordinal: u32,
    region: Region,
) -> Option<RgbImage> {
    let field = segment::segment(picture, &SegmentOptions::default());
    let crop = crop(model.manifest(), micrometres_per_pixel);
    let cell = field.cells.iter().find(|cell| cell.ordinal == ordinal)?;
    if cell.region != region {
        return None;
    }
    crop.on_black(picture, cell).ok()
}

/// The doubt about a picture that should show one cell, where it shows a field of view.
#[must_use]
pub fn doubt_of_cell(picture: &RgbImage) -> Option<Reason> {
    (guess_kind(picture).kind == CaptureKind::Field).then(|| {
        let message = "the picture shows a field of view, and this call takes one segmented cell on \
                       black: send it to ClassifyField, or put it into a watched folder";
        Reason::new(ReasonCode::FieldOfView, message)
    })
}

/// The doubt about a picture that should show a field of view, where it shows one cell.
fn doubt_of_field(picture: &RgbImage) -> Option<Reason> {
    let guess = guess_kind(picture);
    (guess.kind == CaptureKind::Cell && guess.doubt <= MAX_DOUBT).then(|| {
        let message = "the picture looks like one segmented cell on black, and is taken as a field of \
                       view: check watch.kind, or send it to Classify";
        Reason::new(ReasonCode::UnknownKind, message)
    })
}

/// Whether the picture shows a field of view, and the reason of a doubt about that.
fn kind(picture: &RgbImage) -> (bool, Option<Reason>) {
    let guess = guess_kind(picture);
    let doubt = (guess.doubt > MAX_DOUBT).then(|| {
        let message = "it is not sure whether the picture shows one cell or a field of view: set \
                       watch.kind to \"cell\" or \"field\"";
        Reason::new(ReasonCode::UnknownKind, message)
    });
    (guess.kind == CaptureKind::Field, doubt)
}

/// Crops at the scale of the training pictures.
fn crop(manifest: &Manifest, micrometres_per_pixel: f64) -> Crop {
    crop_at(manifest.scale.as_ref().map(|scale| scale.micrometres_per_pixel), micrometres_per_pixel)
}

/// How cells of a field are cut out to train on them, where a pixel of the field spans
/// `micrometres_per_pixel`: as for a bundle without a scale, which is what a training writes.
#[must_use]
pub fn training_crop(micrometres_per_pixel: f64) -> Crop {
    crop_at(None, micrometres_per_pixel)
}

fn crop_at(trained: Option<f64>, micrometres_per_pixel: f64) -> Crop {
    let trained = trained.unwrap_or(ASSUMED_UM_PER_PIXEL);
    let mut crop = Crop::at_scale(SIDE, micrometres_per_pixel, trained);
    crop.scale = crop.scale.clamp(Crop::MIN_SCALE, Crop::MAX_SCALE);
    crop
}

/// From the field's pixels to those of the training pictures.
struct Scale {
    crop: Crop,
    micrometres_per_pixel: f64,
    source: ScaleSource,
    /// Why nothing may be decided at this scale; none where both scales are known.
    doubt: Option<Reason>,
}

/// A file and the settings agree about the scale up to this share.
const AGREEMENT: f64 = 0.05;

/// A file's scale over that by the red cells. In nine of ten fields the red cells are 0.76 to 1.25
/// of the truth (`docs/guide/fields.md`); beyond this, the file is wrong or the red cells are ill.
const RED_CELLS_AGREE: std::ops::RangeInclusive<f64> = 0.6..=1.67;

impl Scale {
    /// What is given counts before what the file says, and that before the red cells.
    fn new(
        manifest: &Manifest,
        field: &FieldOfView,
        rules: &CaptureRules,
        file: Option<f64>,
    ) -> Self {
        let by_red_cells = RED_CELL_UM / f64::from(field.scale.max(1.0));
        let (micrometres_per_pixel, source) = match (rules.micrometres_per_pixel, file) {
            (Some(given), _) => (given, ScaleSource::Given),
            (None, Some(file)) => (file, ScaleSource::File),
            (None, None) => (by_red_cells, ScaleSource::RedCells),
        };
        let contradicted = |file: f64| !RED_CELLS_AGREE.contains(&(file / by_red_cells));
        let message = match (rules.micrometres_per_pixel, file) {
            (Some(given), Some(file)) if (given / file - 1.0).abs() > AGREEMENT => Some(format!(
                "a pixel of this field spans {given} µm as given (watch.micrometres_per_pixel, or the \
                 request) and {file:.4} µm by the file itself, and size is a sign of a blast: correct \
                 the one that is wrong"
            )),
            (None, Some(file)) if field.red_cells.is_some() && contradicted(file) => Some(format!(
                "a pixel of this field spans {file:.4} µm by the file and about {by_red_cells:.3} µm \
                 by its red cells, and size is a sign of a blast: set watch.micrometres_per_pixel"
            )),
            _ if manifest.scale.is_none() => Some(
                "the model's bundle does not say the scale of its training pictures, and size is a \
                 sign of a blast: a person should look at this cell"
                    .to_owned(),
            ),
            (None, None) => Some(
                "the scale of this field is estimated from its red cells, and size is a sign of a \
                 blast: set watch.micrometres_per_pixel"
                    .to_owned(),
            ),
            _ => None,
        };
        Self {
            crop: crop(manifest, micrometres_per_pixel),
            micrometres_per_pixel,
            source,
            doubt: message.map(|message| Reason::new(ReasonCode::UnknownScale, message)),
        }
    }
}

impl ExaminedCapture {
    /// The stages of the cell at `place` of [`Self::cells`]: decoding counts for the first alone.
    #[must_use]
    pub fn timings(&self, place: usize, before: Timings) -> Timings {
        let own = self.cells.get(place).map(|cell| cell.examined.timings).unwrap_or_default();
        match (&self.field, place) {
            (None, _) => Timings { queue_us: before.queue_us, read_us: before.read_us, ..own },
            (Some(_), 0) => Timings {
                queue_us: before.queue_us,
                read_us: before.read_us,
                decode_us: own.decode_us + self.decode_us,
                ..own
            },
            (Some(_), _) => own,
        }
    }
}
