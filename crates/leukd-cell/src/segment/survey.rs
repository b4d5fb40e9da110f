//! The first look at a whole field, on a small plane in which red cells are always about as wide:
//! light, scale, nuclei, and what red cells look like here.

use image::RgbImage;

use super::light::Light;
use super::morphology::distance;
use super::nuclei::{self, Nuclei};
use super::plane::{Colour, Plane, Window, reduce};
use super::ruler::{self, RedCells};
use super::scale;
use super::stain::{ColourClass, cell_threshold, density, nuclear, nucleus_threshold};

/// What is known of a field before its cells are outlined.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) light: Light,
    /// Pixels of the capture to one of the planes here.
    pub(super) factor: usize,
    /// A red cell's diameter in the capture's pixels: measured, or guessed from what is there.
    pub(super) diameter: f32,
    pub(super) red_cells: Option<RedCells>,
    pub(super) nuclei: Nuclei,
    /// Transmission.
    pub(super) field: Plane<Colour>,
    pub(super) cell_threshold: f32,
    pub(super) nucleus_threshold: f32,
    /// Colour of red cells; none where hardly any lie.
    pub(super) red: Option<ColourClass>,
}

/// Pixels of a small field's plane on which the scale is guessed.
const OVERVIEW: f64 = 80_000.0;
/// A red cell's diameter in the surveyed plane, in pixels: enough for the lobes of a nucleus.
const SURVEYED: f32 = 18.0;
/// The capture's pixels to a red cell, held to what can be surveyed.
const DIAMETERS: (f32, f32) = (4.0, 2000.0);

/// Surveys `picture`; `hint` is a red cell's diameter in pixels, where it is known from elsewhere.
pub(super) fn survey(picture: &RgbImage, hint: Option<f32>) -> Survey {
    let window = Window::whole(picture);
    let pixels = (window.width * window.height) as f64;
    // A larger field shows more, mostly, and not larger cells: it is reduced by less than its size.
    let coarse = (pixels / OVERVIEW).sqrt().powf(0.7).ceil();
    let coarse = super::plane::index(coarse as f32, usize::MAX).max(1);
    let mut overview = reduce(picture, window, coarse);
    let light = Light::estimate(&overview, coarse);
    light.transmission(&mut overview, (0, 0), coarse);
    let guess = scale::guess(&overview) * coarse as f32;
    let diameter = hint.unwrap_or(guess).clamp(DIAMETERS.0, DIAMETERS.1);

    let factor = super::plane::index((diameter / SURVEYED).round(), usize::MAX).max(1);
    let field = if factor == coarse {
        overview
    } else {
        let mut field = reduce(picture, window, factor);
        light.transmission(&mut field, (0, 0), factor);
        field
    };
    let (cells, nucleus) = (cell_threshold(&field), nucleus_threshold(&field));
    let is_cell = field.map(|pixel| density(pixel) > cells);
    let scale = factor as f32;
    let nuclei = nuclei::find(&field, &is_cell, nucleus, diameter / scale);
    let away = distance(&nuclei.labels.map(|label| label != 0));
    let red_alone = is_cell.zip(&away, |set, away| set && away > RED_CELLS_FROM * diameter / scale);
    let red_cells = ruler::measure(&red_alone, diameter / scale).map(|found| RedCells {
        diameter: found.diameter * f64::from(scale),
        uncertainty: found.uncertainty * f64::from(scale),
        ..found
    });
    let red = red_class(&field, &red_alone, nucleus, diameter / scale);
    let diameter = red_cells.map_or(diameter, |found| found.diameter as f32);
    Survey {
        light,
        factor,
        diameter,
        red_cells,
        nuclei,
        field,
        cell_threshold: cells,
        nucleus_threshold: nucleus,
        red,
    }
}

/// Red cells are looked for at least so many diameters from a nucleus: most white cells end before.
const RED_CELLS_FROM: f32 = 0.5;

/// Mean colour of red cells: cells without a nucleus near them, and without its stain.
fn red_class(
    field: &Plane<Colour>,
    red_alone: &Plane<bool>,
    nucleus: f32,
    diameter: f32,
) -> Option<ColourClass> {
    let pixels = field.values.iter().zip(&red_alone.values);
    let kept = pixels.filter(|(pixel, set)| **set && nuclear(**pixel) < nucleus);
    let class = ColourClass::new(kept.map(|(pixel, _)| *pixel))?;
    // A third of one red cell at least: an edge or a platelet is none.
    (class.count as f32 > 0.25 * diameter * diameter).then_some(class)
}
