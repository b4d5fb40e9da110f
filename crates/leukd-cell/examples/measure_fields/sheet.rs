//! Contact sheets: the worst fields first, truth in green, what was found in red, nuclei in yellow.

use std::path::Path;

use image::imageops::{FilterType, overlay, resize};
use image::{Rgb, RgbImage};
use leukd_cell::segment::Point;

use crate::Outcome;
use crate::truth::Mask;

const COLUMNS: u32 = 6;
const ROWS: u32 = 5;
const TILE: (u32, u32) = (320, 240);

/// Writes `NAME-0.png`, `NAME-1.png`, … and prints the worst.
pub(crate) fn write(folder: &Path, name: &str, outcomes: &[Outcome]) {
    std::fs::create_dir_all(folder).unwrap();
    let mut order: Vec<&Outcome> = outcomes.iter().collect();
    order.sort_by(|a, b| badness(b).total_cmp(&badness(a)));
    println!("\nworst of {name}:");
    for own in order.iter().take(12) {
        let overlaps: Vec<String> = own
            .overlaps
            .iter()
            .map(|(_, cell, nucleus)| match nucleus {
                Some(nucleus) => format!("{cell:.2}/{nucleus:.2}"),
                None => format!("{cell:.2}"),
            })
            .collect();
        println!(
            "  {} found {} of {} (+{}) {} scale {:.0} {:?}",
            own.sample.name,
            own.found,
            own.boxes,
            own.spurious,
            overlaps.join(" "),
            own.field.scale,
            own.field.set_aside,
        );
    }
    println!();
    let per_sheet = (COLUMNS * ROWS) as usize;
    for (page, part) in order.chunks(per_sheet).enumerate().take(4) {
        let mut sheet = RgbImage::new(COLUMNS * TILE.0, ROWS * TILE.1);
        for (at, own) in part.iter().enumerate() {
            let at = at as u32;
            let (x, y) = (at % COLUMNS * TILE.0, at / COLUMNS * TILE.1);
            overlay(&mut sheet, &tile(own), i64::from(x), i64::from(y));
        }
        sheet.save(folder.join(format!("{name}-{page}.png"))).unwrap();
    }
}

fn badness(own: &Outcome) -> f64 {
    let missed = (own.boxes - own.found + own.spurious) as f64;
    let loss: f64 = own
        .overlaps
        .iter()
        .map(|(_, cell, nucleus)| 2.0 - cell - nucleus.unwrap_or(1.0))
        .fold(0.0, f64::max);
    missed * 10.0 + loss
}

fn tile(own: &Outcome) -> RgbImage {
    let (width, height) = own.picture.dimensions();
    let scale = (TILE.0 as f32 / width as f32).min(TILE.1 as f32 / height as f32);
    let side = |length: u32| ((length as f32 * scale) as u32).max(1);
    let mut tile = resize(&own.picture, side(width), side(height), FilterType::Triangle);
    for mask in own.sample.cells.iter().chain(&own.sample.nucleus) {
        border(&mut tile, &mask.scaled((side(width), side(height))));
    }
    for cell in &own.field.cells {
        polygon(&mut tile, &cell.outline, scale, Rgb([255, 0, 0]));
        for part in &cell.nucleus {
            polygon(&mut tile, part, scale, Rgb([255, 255, 0]));
        }
    }
    tile
}

fn border(tile: &mut RgbImage, mask: &Mask) {
    for y in 1..mask.height.saturating_sub(1) {
        for x in 1..mask.width.saturating_sub(1) {
            let around = [(x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)];
            if mask.at(x, y) && around.iter().any(|(x, y)| !mask.at(*x, *y)) {
                tile.put_pixel(x, y, Rgb([0, 255, 0]));
            }
        }
    }
}

fn polygon(tile: &mut RgbImage, outline: &[Point], scale: f32, colour: Rgb<u8>) {
    for (from, to) in outline.iter().zip(outline.iter().cycle().skip(1)) {
        let steps = ((to.x - from.x).hypot(to.y - from.y) * scale).ceil().max(1.0);
        for step in 0..steps as u32 {
            let share = step as f32 / steps;
            let x = (from.x + (to.x - from.x) * share) * scale;
            let y = (from.y + (to.y - from.y) * share) * scale;
            let (x, y) = (x.max(0.0) as u32, y.max(0.0) as u32);
            if x < tile.width() && y < tile.height() {
                tile.put_pixel(x, y, colour);
            }
        }
    }
}
