//! Real fields of view with people's boxes and masks, where they are at hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_sign_loss)]

#[allow(dead_code)]
#[path = "../examples/measure_fields/truth.rs"]
mod truth;

use leukd_cell::segment::{
    CaptureKind, MAX_DOUBT, Region, SegmentOptions, guess_kind, runs, segment,
};
use truth::Mask;

/// Overlap of a drawn box (left, top, right, bottom) with a found one.
fn overlap(own: &[f32; 4], region: Region) -> f32 {
    let [x, y] = [region.x as f32, region.y as f32];
    let other = [x, y, x + region.width as f32, y + region.height as f32];
    let width = (own[2].min(other[2]) - own[0].max(other[0])).max(0.0);
    let height = (own[3].min(other[3]) - own[1].max(other[1])).max(0.0);
    let area = |of: &[f32; 4]| (of[2] - of[0]) * (of[3] - of[1]);
    width * height / (area(own) + area(&other) - width * height)
}

/// The least recall by boxes and the least mean overlap with the masks that a set must reach. The
/// constants of the segmentation were chosen with these sets in view.
const LEAST: [(&str, f32, f64); 3] =
    [("bccd", 0.99, 0.85), ("dataset1", 0.99, 0.92), ("dataset2", 0.99, 0.85)];

#[test]
fn white_cells_of_real_fields_are_found_and_outlined() {
    let Some(data) = truth::folder() else {
        println!("skipped: neither LEUKD_DATA nor ../shared/data has fields");
        return;
    };
    for (name, samples) in truth::sets(&data) {
        let (_, least_recall, least_overlap) =
            LEAST.into_iter().find(|(known, ..)| *known == name).unwrap();
        let (mut boxes, mut found, mut overlaps) = (0_u16, 0_u16, Vec::new());
        for sample in samples {
            let guess = guess_kind(&sample.picture);
            assert_eq!(guess.kind, CaptureKind::Field, "{}: {guess:?}", sample.name);
            assert!(guess.doubt <= MAX_DOUBT, "{}: {guess:?}", sample.name);
            let field = segment(&sample.picture, &SegmentOptions::default());
            for own in &sample.boxes {
                boxes += 1;
                let hit = field.cells.iter().any(|cell| overlap(own, cell.region) >= 0.5);
                found += u16::from(hit);
            }
            let drawn = field.cells.iter().map(|cell| {
                let (width, height) = sample.picture.dimensions();
                let mut mask = Mask::empty((width, height));
                runs(&cell.outline, width, height).for_each(|run| mask.set(run));
                mask
            });
            let drawn: Vec<Mask> = drawn.collect();
            let best =
                |truth: &Mask| drawn.iter().map(|own| truth.overlap(own)).fold(0.0, f64::max);
            overlaps.extend(sample.cells.iter().map(best));
        }
        let recall = f32::from(found) / f32::from(boxes.max(1));
        let mean = overlaps.iter().sum::<f64>() / overlaps.len().max(1) as f64;
        println!("{name}: {found} of {boxes} boxes, mean overlap {mean:.3}");
        assert!(recall >= least_recall && mean >= least_overlap, "{name}: {recall} {mean}");
    }
}
