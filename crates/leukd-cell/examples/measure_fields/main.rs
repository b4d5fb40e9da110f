//! Measures segmentation on fields with boxes and masks, and draws the worst.
//!
//! `cargo run --release -p leukd-cell --example measure_fields -- [--scale 0.5] [--bright 0.8]
//! [--white 1.0,0.9,0.8] [--blur 1.5] [--jpeg 40] [--sheet DIR] [--set NAME]`
//!
//! Data lie in `$LEUKD_DATA` or `../shared/data`, as `fields/bccd` and `fields/zxaoyou`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stdout, clippy::cast_sign_loss)]

mod sheet;
mod truth;

use std::path::PathBuf;
use std::time::Instant;

use image::{Rgb, RgbImage};
use leukd_cell::segment::{FieldOfView, Region, SegmentOptions, runs, segment};
use truth::{Mask, Sample};

/// Changes to a field before it is segmented.
struct Change {
    scale: f32,
    bright: f32,
    white: [f32; 3],
    blur: f32,
    jpeg: Option<u8>,
}

/// What one sample gave.
struct Outcome {
    sample: Sample,
    picture: RgbImage,
    field: FieldOfView,
    millis: f64,
    /// Of each true mask: area, and overlap with the best cell and with its nucleus.
    overlaps: Vec<(f64, f64, Option<f64>)>,
    found: usize,
    boxes: usize,
    spurious: usize,
}

fn main() {
    let mut change = Change { scale: 1.0, bright: 1.0, white: [1.0; 3], blur: 0.0, jpeg: None };
    let (mut sheets, mut only) = (None, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().expect("a value after each option");
        match name.as_str() {
            "--scale" => change.scale = value.parse().unwrap(),
            "--bright" => change.bright = value.parse().unwrap(),
            "--white" => {
                let parts: Vec<f32> = value.split(',').map(|part| part.parse().unwrap()).collect();
                change.white = [parts[0], parts[1], parts[2]];
            }
            "--blur" => change.blur = value.parse().unwrap(),
            "--jpeg" => change.jpeg = Some(value.parse().unwrap()),
            "--sheet" => sheets = Some(PathBuf::from(value)),
            "--set" => only = Some(value),
            other => panic!("unknown option {other}"),
        }
    }
    let Some(data) = truth::folder() else {
        println!("skipped: neither LEUKD_DATA nor ../shared/data has fields");
        return;
    };
    println!("| set | fields | recall | precision | cell IoU | nucleus IoU | median ms |");
    println!("|---|---|---|---|---|---|---|");
    let mut sizes = Vec::new();
    for (name, samples) in truth::sets(&data) {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let outcomes: Vec<Outcome> =
            samples.into_iter().map(|sample| measure(sample, &change)).collect();
        report(name, &outcomes);
        sizes.push((name, by_size(&outcomes)));
        if let Some(folder) = &sheets {
            sheet::write(folder, name, &outcomes);
        }
    }
    println!("\n| set | thirds by size: cell IoU, small to large |\n|---|---|");
    for (name, thirds) in sizes {
        println!("| {name} | {} |", thirds.map(|mean| format!("{mean:.3}")).join(", "));
    }
}

fn measure(sample: Sample, change: &Change) -> Outcome {
    let picture = changed(&sample.picture, change);
    let started = Instant::now();
    let field = segment(&picture, &SegmentOptions::default());
    let millis = started.elapsed().as_secs_f64() * 1000.0;
    let masks: Vec<_> = sample.cells.iter().map(|mask| mask.scaled(picture.dimensions())).collect();
    let nuclei = sample.nucleus.as_ref().map(|mask| mask.scaled(picture.dimensions()));
    let drawn: Vec<(Mask, Mask)> = field
        .cells
        .iter()
        .map(|cell| {
            let fill = |outlines: &[Vec<_>]| {
                let mut mask = Mask::empty(picture.dimensions());
                outlines.iter().for_each(|outline| {
                    let (width, height) = picture.dimensions();
                    runs(outline, width, height).for_each(|run| mask.set(run));
                });
                mask
            };
            (fill(std::slice::from_ref(&cell.outline)), fill(&cell.nucleus))
        })
        .collect();
    let overlaps = masks
        .iter()
        .map(|truth| {
            let own = |at: &usize| truth.overlap(&drawn[*at].0);
            let best = (0..drawn.len()).max_by(|a, b| own(a).total_cmp(&own(b)));
            let cell = best.map_or(0.0, |at| own(&at));
            let nucleus =
                nuclei.as_ref().map(|nucleus| best.map_or(0.0, |at| nucleus.overlap(&drawn[at].1)));
            (truth.area(), cell, nucleus)
        })
        .collect();
    let scale = change.scale;
    let boxes: Vec<[f32; 4]> =
        sample.boxes.iter().map(|own| own.map(|side| side * scale)).collect();
    let mut taken = vec![false; field.cells.len()];
    let mut found = 0;
    for own in &boxes {
        let free = (0..taken.len()).filter(|at| !taken[*at]);
        let share = |at: &usize| box_overlap(own, field.cells[*at].region);
        if let Some(at) = free.max_by(|a, b| share(a).total_cmp(&share(b)))
            && share(&at) >= 0.5
        {
            taken[at] = true;
            found += 1;
        }
    }
    let spurious = taken.iter().filter(|taken| !**taken).count();
    Outcome { found, boxes: boxes.len(), spurious, sample, picture, field, millis, overlaps }
}

fn box_overlap(own: &[f32; 4], region: Region) -> f32 {
    let [x, y] = [region.x as f32, region.y as f32];
    let other = [x, y, x + region.width as f32, y + region.height as f32];
    let width = (own[2].min(other[2]) - own[0].max(other[0])).max(0.0);
    let height = (own[3].min(other[3]) - own[1].max(other[1])).max(0.0);
    let area = |of: &[f32; 4]| (of[2] - of[0]) * (of[3] - of[1]);
    width * height / (area(own) + area(&other) - width * height)
}

fn changed(picture: &RgbImage, change: &Change) -> RgbImage {
    let mut own = picture.clone();
    if (change.scale - 1.0).abs() > 1e-3 {
        let side = |length: u32| ((length as f32 * change.scale).round() as u32).max(1);
        let filter = image::imageops::FilterType::CatmullRom;
        own = image::imageops::resize(&own, side(own.width()), side(own.height()), filter);
    }
    if change.blur > 0.0 {
        own = image::imageops::blur(&own, change.blur);
    }
    for Rgb(pixel) in own.pixels_mut() {
        for (level, white) in pixel.iter_mut().zip(change.white) {
            *level = (f32::from(*level) * white * change.bright).round().min(255.0) as u8;
        }
    }
    let Some(quality) = change.jpeg else { return own };
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality);
    encoder.encode_image(&own).unwrap();
    image::load_from_memory(&bytes).unwrap().into_rgb8()
}

fn report(name: &str, outcomes: &[Outcome]) {
    let sum = |count: fn(&Outcome) -> usize| outcomes.iter().map(count).sum::<usize>() as f64;
    let (found, boxes) = (sum(|own| own.found), sum(|own| own.boxes));
    let spurious = sum(|own| own.spurious);
    let overlaps = outcomes.iter().flat_map(|own| &own.overlaps);
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    let cell = mean(overlaps.clone().map(|(_, cell, _)| *cell).collect());
    let nucleus = mean(overlaps.filter_map(|(_, _, nucleus)| *nucleus).collect());
    let mut millis: Vec<f64> = outcomes.iter().map(|own| own.millis).collect();
    millis.sort_by(f64::total_cmp);
    let mut scales: Vec<f32> = outcomes
        .iter()
        .filter_map(|own| {
            Some(
                own.field.scale / own.picture.width() as f32 * own.sample.picture.width() as f32
                    / own.sample.red?,
            )
        })
        .collect();
    scales.sort_by(f32::total_cmp);
    if !scales.is_empty() {
        let at = |share: f32| scales[((scales.len() - 1) as f32 * share) as usize];
        println!(
            "scale by red boxes: {:.2} {:.2} {:.2} {:.2} {:.2}",
            at(0.0),
            at(0.05),
            at(0.5),
            at(0.95),
            at(1.0)
        );
    }
    println!(
        "| {name} | {} | {:.3} ({found} of {boxes}) | {:.3} (+{spurious}) | {cell:.3} | \
         {nucleus:.3} | {:.1} |",
        outcomes.len(),
        found / boxes,
        found / (found + spurious),
        millis[millis.len() / 2]
    );
}

fn by_size(outcomes: &[Outcome]) -> [f64; 3] {
    let mut all: Vec<(f64, f64)> =
        outcomes.iter().flat_map(|own| &own.overlaps).map(|own| (own.0, own.1)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let third = all.len().div_ceil(3).max(1);
    let mut thirds = all
        .chunks(third)
        .map(|part| part.iter().map(|(_, overlap)| overlap).sum::<f64>() / part.len() as f64);
    [(); 3].map(|()| thirds.next().unwrap_or(f64::NAN))
}
