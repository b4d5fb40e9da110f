//! A contact sheet: fields with what people drew in green, what was found in red, its nuclei in
//! yellow.

use image::imageops::{FilterType, overlay, resize};
use image::{Rgb, RgbImage};

use super::Annotated;
use crate::segment::{FieldOfView, Point};

/// A field with both its outlines.
#[derive(Debug, Clone, Copy)]
pub struct Compared<'a> {
    /// What people drew.
    pub truth: &'a Annotated,
    /// What was found.
    pub field: &'a FieldOfView,
}

const COLUMNS: u32 = 6;
const TILE: (u32, u32) = (320, 240);
const DRAWN: Rgb<u8> = Rgb([0, 255, 0]);
const FOUND: Rgb<u8> = Rgb([255, 0, 0]);
const NUCLEUS: Rgb<u8> = Rgb([255, 255, 0]);

/// The fields in rows of six, in their order, each 320 × 240 pixels.
#[must_use]
pub fn contact_sheet(fields: &[Compared<'_>]) -> RgbImage {
    let rows = (fields.len() as u32).div_ceil(COLUMNS);
    let mut sheet = RgbImage::new(COLUMNS * TILE.0, rows.max(1) * TILE.1);
    for (at, own) in (0..).zip(fields) {
        let (x, y) = (at % COLUMNS * TILE.0, at / COLUMNS * TILE.1);
        overlay(&mut sheet, &tile(own), x.into(), y.into());
    }
    sheet
}

fn tile(own: &Compared<'_>) -> RgbImage {
    let (width, height) = own.truth.picture.dimensions();
    let scale = (TILE.0 as f32 / width as f32).min(TILE.1 as f32 / height as f32);
    let side = |length: u32, most: u32| {
        let own = crate::segment::plane::index((length as f32 * scale).round(), most as usize + 1);
        (own as u32).max(1)
    };
    let size = (side(width, TILE.0), side(height, TILE.1));
    let mut tile = resize(&own.truth.picture, size.0, size.1, FilterType::Triangle);
    for mask in own.truth.cells.iter().chain(&own.truth.nuclei) {
        let mask = mask.scaled(size);
        for (x, y) in (0..size.1).flat_map(|y| (0..size.0).map(move |x| (x, y))) {
            if mask.is_border(x, y) {
                tile.put_pixel(x, y, DRAWN);
            }
        }
    }
    if own.truth.cells.is_empty() {
        for [left, top, right, bottom] in &own.truth.boxes {
            let corners = [(*left, *top), (*right, *top), (*right, *bottom), (*left, *bottom)];
            line(&mut tile, &corners.map(|(x, y)| Point { x, y }), scale, DRAWN);
        }
    }
    for cell in &own.field.cells {
        line(&mut tile, &cell.outline, scale, FOUND);
        cell.nucleus.iter().for_each(|part| line(&mut tile, part, scale, NUCLEUS));
    }
    tile
}

/// Draws a closed polygon of the whole field's pixels.
fn line(tile: &mut RgbImage, outline: &[Point], scale: f32, colour: Rgb<u8>) {
    for (from, to) in outline.iter().zip(outline.iter().cycle().skip(1)) {
        let steps = ((to.x - from.x).hypot(to.y - from.y) * scale).ceil().max(1.0);
        let count = crate::segment::plane::index(steps, 1 << 16);
        for step in 0..count {
            let share = step as f32 / steps;
            let place = |from: f32, to: f32| (from + (to - from) * share) * scale;
            let x = crate::segment::plane::index(place(from.x, to.x), tile.width() as usize);
            let y = crate::segment::plane::index(place(from.y, to.y), tile.height() as usize);
            tile.put_pixel(x as u32, y as u32, colour);
        }
    }
}
