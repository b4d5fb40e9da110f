//! Figures of drawn cells.

use image::{Rgb, imageops};

use super::*;
use crate::synthetic::{self, Kind};

fn figures(picture: &RgbImage) -> Vec<(String, f64)> {
    let seen = Morphometry::of(picture).unwrap().expect("a cell");
    seen.iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn figure(of: &[(String, f64)], name: &str) -> f64 {
    of.iter().find(|(own, _)| own == name).unwrap_or_else(|| panic!("{name}")).1
}

/// A disc with a darker disc inside, off its middle.
fn disc(radius: f64, nucleus: f64) -> RgbImage {
    RgbImage::from_fn(400, 360, |x, y| {
        let (x, y) = (f64::from(x) - 200.0, f64::from(y) - 180.0);
        Rgb(if (x - 6.0).hypot(y) < nucleus {
            [110, 50, 140]
        } else if x.hypot(y) < radius {
            [190, 150, 210]
        } else {
            [0; 3]
        })
    })
}

#[test]
fn every_figure_is_finite_and_named_once() {
    for seed in 0..20 {
        for kind in [Kind::Blast, Kind::Normal] {
            let own = figures(&synthetic::cell(seed, kind));
            let names: std::collections::BTreeSet<_> = own.iter().map(|(name, _)| name).collect();
            assert_eq!(names.len(), own.len());
            assert!(own.iter().all(|(_, value)| value.is_finite()), "{own:?}");
        }
    }
}

#[test]
fn magnification_changes_the_area_and_hardly_anything_else() {
    let cell = synthetic::cell(3, Kind::Blast);
    let (width, height) = cell.dimensions();
    let large = imageops::resize(&cell, width * 2, height * 2, imageops::FilterType::Triangle);
    let [one, two] = [&cell, &large].map(figures);
    let grown = figure(&two, "area") - figure(&one, "area");
    assert!((grown - 4.0_f64.ln()).abs() < 0.03, "{grown}");
    for name in ["cell roundness", "cell ellipse", "density mean green", "nucleus share", "tone 25"]
    {
        let [small, large] = [&one, &two].map(|own| figure(own, name));
        assert!((small - large).abs() <= 0.04 * small.abs().max(1.0), "{name} {small} {large}");
    }
}

#[test]
fn a_disc_in_a_disc_has_its_nucleus_and_its_densities() {
    let own = figures(&disc(120.0, 80.0));
    let share = (80.0_f64 / 120.0).powi(2);
    assert!((figure(&own, "nucleus share") - share).abs() < 0.03, "{own:?}");
    assert!(figure(&own, "nucleus elsewhere") < 1e-9);
    assert!((figure(&own, "cell elongation") - 1.0).abs() < 0.01);
    let density = |level: f64| -((level + 1.0) / 256.0).ln();
    assert!((figure(&own, "nucleus density green") - density(50.0)).abs() < 0.1);
    assert!((figure(&own, "cytoplasm density green") - density(150.0)).abs() < 0.1);
    // 6 pixels of a square whose area is three times the cell's, brought to 112.
    let side = (std::f64::consts::PI * 120.0_f64.powi(2) * 3.0).sqrt();
    assert!((figure(&own, "nucleus offset") - 6.0 * 112.0 / side).abs() < 0.3);
}

#[test]
fn thin_tiny_and_even_cells_give_finite_figures_and_black_none() {
    assert_eq!(Morphometry::of(&RgbImage::new(30, 30)).unwrap(), None);
    assert_eq!(Morphometry::of(&RgbImage::new(0, 7)).unwrap(), None);
    for (width, height) in [(1, 1), (400, 1), (1, 90), (2, 2), (300, 300)] {
        let mut picture = RgbImage::new(450, 450);
        for (x, y) in (0..width).flat_map(|x| (0..height).map(move |y| (x, y))) {
            picture.put_pixel(40 + x, 60 + y, Rgb([120, 90, 140]));
        }
        assert!(figures(&picture).iter().all(|(_, value)| value.is_finite()), "{width} {height}");
    }
}
