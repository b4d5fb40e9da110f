//! Segmentation of drawn smears, whose truth is known.

use image::{GenericImageView, Rgb, RgbImage};

use super::*;
use crate::synthetic::smear::{DrawnCell, Recipe, Smear, draw};

/// Overlap of a found cell with a drawn one (intersection over union).
fn overlap(found: &WhiteCell, drawn: &DrawnCell, (width, height): (u32, u32)) -> f64 {
    let mut is_found = vec![false; (width * height) as usize];
    for (row, from, to) in runs(&found.outline, width, height) {
        let start = (row * width) as usize;
        is_found[start + from as usize..start + to as usize].fill(true);
    }
    let (mut both, mut any) = (0_u32, 0_u32);
    for (at, is_found) in (0..).zip(is_found) {
        let is_drawn = drawn.holds(at % width, at / width);
        both += u32::from(is_found && is_drawn);
        any += u32::from(is_found || is_drawn);
    }
    f64::from(both) / f64::from(any.max(1))
}

/// Best overlap of each drawn cell, and the number of cells that were found.
fn outcome(smear: &Smear) -> (Vec<f64>, FieldOfView) {
    let field = segment(&smear.picture, &SegmentOptions::default());
    let best = |drawn: &DrawnCell| {
        let own = |cell| overlap(cell, drawn, smear.picture.dimensions());
        field.cells.iter().map(own).fold(0.0, f64::max)
    };
    (smear.cells.iter().map(best).collect(), field)
}

fn check(recipe: &Recipe, least: f64) -> FieldOfView {
    let smear = draw(recipe);
    let (overlaps, field) = outcome(&smear);
    assert!(
        overlaps.iter().all(|own| *own >= least) && field.cells.len() == smear.cells.len(),
        "{overlaps:?}, {} found, scale {}, {:?}, {recipe:?}",
        field.cells.len(),
        field.scale,
        field.set_aside
    );
    field
}

#[test]
fn white_cells_among_red_ones_are_found_and_outlined() {
    for seed in 0..6 {
        let field = check(&Recipe { seed, white_cells: 3, platelets: 6, ..Recipe::default() }, 0.9);
        let ruler = field.red_cells.unwrap();
        assert!((ruler.diameter / 60.0 - 1.0).abs() < 0.06, "{ruler:?}");
        assert!(field.cells.iter().all(|cell| cell.score > 0.5 && !cell.touches_edge));
    }
}

#[test]
fn pressed_red_cells_are_left_out() {
    for seed in 10..14 {
        check(&Recipe { seed, crowded_cells: 2, white_cells: 0, ..Recipe::default() }, 0.85);
    }
}

#[test]
fn touching_white_cells_are_two() {
    for seed in 20..32 {
        let recipe = Recipe { seed, touching_pairs: 1, white_cells: 1, ..Recipe::default() };
        check(&recipe, 0.8);
    }
}

#[test]
fn a_cell_on_the_edge_is_marked() {
    for seed in 30..33 {
        let field =
            check(&Recipe { seed, edge_cells: 1, white_cells: 1, ..Recipe::default() }, 0.8);
        assert_eq!(field.cells.iter().filter(|cell| cell.touches_edge).count(), 1);
        assert_eq!(field.set_aside.edge, 1);
    }
}

#[test]
fn a_field_without_white_cells_has_none() {
    for seed in 40..44 {
        let none = Recipe { seed, white_cells: 0, platelets: 8, ..Recipe::default() };
        check(&none, 0.0);
        let empty = Recipe { red_cells: 0, platelets: 0, ..none };
        check(&empty, 0.0);
    }
}

#[test]
fn deposits_clumps_smudges_and_burst_cells_are_set_aside() {
    let common = Recipe { white_cells: 2, red_cells: 20, ..Recipe::default() };
    let field = check(&Recipe { seed: 50, deposits: 2, ..common.clone() }, 0.85);
    assert_eq!(field.set_aside.deposits, 2);
    let field = check(&Recipe { seed: 51, platelet_clumps: 1, ..common.clone() }, 0.85);
    assert_eq!(field.set_aside.platelet_clumps, 1, "{:?}", field.set_aside);
    let field = check(&Recipe { seed: 52, smudges: 1, ..common.clone() }, 0.85);
    assert_eq!(field.set_aside.smudges, 1, "{:?}", field.set_aside);
    let field = check(&Recipe { seed: 53, burst: 1, ..common }, 0.85);
    assert_eq!(field.set_aside.burst, 1, "{:?}", field.set_aside);
}

#[test]
fn uneven_yellow_and_dim_light_change_nothing() {
    let yellow = Recipe { seed: 60, light: [238.0, 226.0, 140.0], ..Recipe::default() };
    check(&yellow, 0.88);
    check(&Recipe { seed: 61, fall_off: 0.5, ..Recipe::default() }, 0.88);
    check(&Recipe { seed: 62, light: [120.0, 110.0, 112.0], ..Recipe::default() }, 0.88);
}

#[test]
fn magnification_changes_nothing() {
    for (seed, diameter) in [(70, 24.0), (71, 40.0), (72, 110.0)] {
        let recipe = Recipe { seed, diameter, width: 800, height: 600, ..Recipe::default() };
        let field = check(&recipe, 0.85);
        assert!((f64::from(field.scale) / diameter - 1.0).abs() < 0.25, "{}", field.scale);
    }
}

#[test]
fn cells_are_numbered_from_above_and_repeat() {
    let smear = draw(&Recipe { seed: 80, white_cells: 5, ..Recipe::default() });
    let field = segment(&smear.picture, &SegmentOptions::default());
    assert_eq!(field, segment(&smear.picture, &SegmentOptions::default()));
    let tops: Vec<u32> = field.cells.iter().map(|cell| cell.region.y).collect();
    assert!(tops.is_sorted());
    assert!(field.cells.iter().map(|cell| cell.ordinal).eq(0..field.cells.len() as u32));
    let few = SegmentOptions { max_cells: 2, max_outline_points: 16, ..Default::default() };
    let few = segment(&smear.picture, &few);
    assert_eq!(few.cells.len(), 2);
    assert!(few.cells.iter().all(|cell| cell.outline.len() <= 16));
}

#[test]
fn a_crop_has_the_scale_that_was_asked_for() {
    let smear = draw(&Recipe { seed: 81, white_cells: 1, ..Recipe::default() });
    let field = segment(&smear.picture, &SegmentOptions::default());
    let cell = &field.cells[0];
    let crop = Crop { side: 450, scale: 2.0 }.on_black(&smear.picture, cell).unwrap();
    let lit = crop.pixels().filter(|pixel| crate::foreground::is_foreground(&pixel.0)).count();
    assert!((lit as f64 / (4.0 * cell.area) - 1.0).abs() < 0.02, "{lit} {}", cell.area);
    assert!(crop.get_pixel(225, 225).0[0] > 60 && crop.get_pixel(3, 3).0 == [0; 3]);
    let small = Crop::at_scale(40, 0.05, 0.1);
    assert!((small.scale - 0.5).abs() < 1e-9);
    assert_eq!(small.on_black(&smear.picture, cell).unwrap().dimensions(), (40, 40));
    let bad = Crop { side: 450, scale: 0.0 };
    assert!(bad.on_black(&smear.picture, cell).is_err());
    assert!(small.on_black(&RgbImage::new(9, 9), cell).is_err());
}

#[test]
fn tiny_flat_and_odd_pictures_do_no_harm() {
    let field = draw(&Recipe::default()).picture;
    let pictures = [
        RgbImage::new(0, 0),
        RgbImage::new(1, 1),
        RgbImage::from_pixel(1, 400, Rgb([200, 90, 200])),
        RgbImage::from_pixel(400, 1, Rgb([255; 3])),
        RgbImage::from_pixel(64, 48, Rgb([90, 20, 150])),
        RgbImage::from_fn(97, 61, |x, y| Rgb([(x * 37 % 256) as u8, (y * 91 % 256) as u8, 128])),
        field.view(0, 0, 640, 3).to_image(),
        field.view(100, 100, 2, 2).to_image(),
    ];
    for picture in pictures {
        let field = segment(&picture, &SegmentOptions::default());
        for cell in &field.cells {
            let Region { x, y, width, height } = cell.region;
            assert!(x + width <= picture.width() && y + height <= picture.height());
        }
        let hint = SegmentOptions { red_cell_diameter: Some(1e9), ..Default::default() };
        let _ = segment(&picture, &hint);
    }
}

#[test]
fn a_frame_around_the_field_hides_no_cell() {
    let recipe = Recipe { seed: 4, white_cells: 3, width: 800, height: 600, ..Recipe::default() };
    let whole = draw(&recipe);
    let expected = segment(&whole.picture, &SegmentOptions::default()).cells.len();
    // Wide enough for all three cells.
    let far = whole.cells.iter().map(|cell| (cell.x - 400.0).hypot(cell.y - 300.0) + cell.radius);
    let radius = far.fold(0.0, f64::max) + 12.0;
    let round = RgbImage::from_fn(800, 600, |x, y| {
        let away = (f64::from(x) - 400.0).hypot(f64::from(y) - 300.0);
        if away > radius { Rgb([0, 0, 0]) } else { *whole.picture.get_pixel(x, y) }
    });
    let found = segment(&round, &SegmentOptions::default());
    assert_eq!(found.cells.len(), expected, "radius {radius}");
}
