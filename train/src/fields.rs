//! How well white cells are found in fields of view that people drew boxes or masks on.

use std::path::Path;

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use leukd_cell::annotated::{Agreement, Annotated};
use leukd_cell::segment::FieldOfView;
use serde::Serialize;

/// A change to fields before they are segmented.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// Their size, 1 being as it is.
    pub resize: f32,
    /// Red, green and blue light.
    pub light: [f32; 3],
    /// Blur: a standard deviation in pixels.
    pub blur: f32,
    /// JPEG of this quality.
    pub jpeg: Option<u8>,
}

impl Change {
    /// Changes the field, and its annotations with its size.
    ///
    /// # Errors
    /// JPEG takes no picture of this size.
    pub fn apply(&self, own: &mut Annotated) -> Result<(), image::ImageError> {
        if (self.resize - 1.0).abs() > 1e-4 {
            let side = |length: u32| scaled(length, self.resize);
            let size = (side(own.picture.width()), side(own.picture.height()));
            own.picture = imageops::resize(&own.picture, size.0, size.1, FilterType::CatmullRom);
            own.boxes.iter_mut().flatten().for_each(|end| *end *= self.resize);
            own.red_cells = own.red_cells.map(|diameter| diameter * self.resize);
            own.cells.iter_mut().chain(&mut own.nuclei).for_each(|mask| *mask = mask.scaled(size));
        }
        if self.blur > 0.0 {
            own.picture = imageops::blur(&own.picture, self.blur);
        }
        if self.light != [1.0; 3] {
            for Rgb(pixel) in own.picture.pixels_mut() {
                for (level, light) in pixel.iter_mut().zip(self.light) {
                    *level = byte(f32::from(*level) * light);
                }
            }
        }
        if let Some(quality) = self.jpeg {
            own.picture = again(&own.picture, quality)?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_sign_loss, reason = "at least 1")]
fn scaled(length: u32, factor: f32) -> u32 {
    (length as f32 * factor).round().max(1.0) as u32
}

#[expect(clippy::cast_sign_loss, reason = "at least 0")]
fn byte(level: f32) -> u8 {
    level.round().clamp(0.0, 255.0) as u8
}

fn again(picture: &RgbImage, quality: u8) -> Result<RgbImage, image::ImageError> {
    let mut bytes = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode_image(picture)?;
    image::load_from_memory(&bytes).map(image::DynamicImage::into_rgb8)
}

/// Figures of a set's fields, as they come.
#[derive(Debug, Default)]
pub struct Figures {
    fields: usize,
    /// Area of each box, and whether the cell was found.
    boxes: Vec<(f64, bool)>,
    /// Area of each mask, and its overlaps.
    masks: Vec<(f64, f64, Option<f64>)>,
    more: usize,
    more_with_mask: usize,
    millis: Vec<f64>,
    scales: Vec<f64>,
}

/// Figures of one set.
#[derive(Debug, Clone, Serialize)]
pub struct SetFigures {
    /// The pictures' folder.
    pub folder: String,
    /// Fields.
    pub fields: usize,
    /// Cells with a box.
    pub boxes: usize,
    /// Those of them that were found.
    pub found: usize,
    /// Found cells without a box.
    pub more: usize,
    /// Those of them with a mask.
    pub more_with_mask: usize,
    /// Share of the boxes that were found.
    pub recall: Option<f64>,
    /// Share of the found cells that have a box or a mask.
    pub precision: Option<f64>,
    /// Mean overlap with the cells' masks.
    pub cells: Option<f64>,
    /// Mean overlap with the nuclei's masks.
    pub nuclei: Option<f64>,
    /// Median time of segmentation.
    pub median_ms: f64,
    /// The same by thirds of the cells' size, small to large.
    pub by_size: [Third; 3],
    /// Red cells' diameter as it was found, by that of their boxes: 0.05, 0.5 and 0.95 quantile.
    pub scale: Option<[f64; 3]>,
}

/// Figures of a third of the cells.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Third {
    /// Largest diameter in it: of a disc of a mask's area, or of a box' sides.
    pub max_diameter: f64,
    /// As [`SetFigures::recall`].
    pub recall: Option<f64>,
    /// As [`SetFigures::cells`].
    pub cells: Option<f64>,
    /// As [`SetFigures::nuclei`].
    pub nuclei: Option<f64>,
}

impl Figures {
    /// Adds a field.
    pub fn add(&mut self, truth: &Annotated, field: &FieldOfView, own: &Agreement, millis: f64) {
        self.fields += 1;
        self.boxes.extend(own.boxes.iter().map(|own| (f64::from(own.area), own.is_found)));
        self.masks.extend(own.masks.iter().map(|own| (own.area as f64, own.cell, own.nucleus)));
        self.more += own.more;
        self.more_with_mask += own.more_with_mask;
        self.millis.push(millis);
        self.scales.extend(truth.red_cells.map(|red| f64::from(field.scale / red)));
    }

    /// Cells with a box.
    #[must_use]
    pub fn boxes(&self) -> usize {
        self.boxes.len()
    }

    /// The figures of all fields of `folder`.
    #[must_use]
    pub fn of_set(mut self, folder: &Path) -> SetFigures {
        let found = self.boxes.iter().filter(|own| own.1).count();
        let share = |part: usize, all: usize| (all > 0).then(|| part as f64 / all as f64);
        self.millis.sort_by(f64::total_cmp);
        self.scales.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = (self.scales.len().saturating_sub(1) as f64 * share).round();
            self.scales.iter().copied().enumerate().find(|(at, _)| *at as f64 >= place)
        };
        let scale = [at(0.05), at(0.5), at(0.95)].map(|own| own.map(|(_, scale)| scale));
        let scale = if let [Some(low), Some(middle), Some(high)] = scale {
            Some([low, middle, high])
        } else {
            None
        };
        let right = found + self.more_with_mask;
        self.boxes.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.masks.sort_by(|a, b| a.0.total_cmp(&b.0));
        let by_size = [0, 1, 2].map(|third| {
            let (boxes, masks) = (part(&self.boxes, third), part(&self.masks, third));
            let by_masks = masks.last().map(|own| (own.0 * 4.0 / std::f64::consts::PI).sqrt());
            let by_boxes = boxes.last().map(|own| own.0.sqrt());
            Third {
                max_diameter: by_masks.or(by_boxes).unwrap_or_default(),
                recall: share(boxes.iter().filter(|own| own.1).count(), boxes.len()),
                cells: mean(masks.iter().map(|own| own.1)),
                nuclei: mean(masks.iter().filter_map(|own| own.2)),
            }
        });
        SetFigures {
            folder: folder.display().to_string(),
            fields: self.fields,
            boxes: self.boxes.len(),
            found,
            more: self.more,
            more_with_mask: self.more_with_mask,
            recall: share(found, self.boxes.len()),
            precision: share(right, found + self.more),
            cells: mean(self.masks.iter().map(|own| own.1)),
            nuclei: mean(self.masks.iter().filter_map(|own| own.2)),
            median_ms: self.millis.get(self.millis.len() / 2).copied().unwrap_or_default(),
            by_size,
            scale,
        }
    }
}

/// The first, second or last third of `all`.
fn part<T>(all: &[T], third: usize) -> &[T] {
    &all[all.len() * third / 3..all.len() * (third + 1) / 3]
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0_usize, 0.0), |(count, sum), own| (count + 1, sum + own));
    (count > 0).then(|| sum / count as f64)
}
