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
    pub(super) cell_threshold: f32,
    /// Colour of red cells; none where hardly any lie.
    pub(super) red: Option<RedColour>,
}

/// Colour of a field's red cells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RedColour {
    pub(super) colour: ColourClass,
    /// True where it was taken far from all nuclei, where no cytoplasm can be.
    pub(super) is_far: bool,
    /// Red cells are at least so much redder than cytoplasm.
    pub(super) min_redder: f32,
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
    let red_alone = is_cell.zip(&away, |set, away| set && away > FAR.from * diameter / scale);
    let red_cells = ruler::measure(&red_alone, diameter / scale).map(|found| RedCells {
        diameter: found.diameter * f64::from(scale),
        uncertainty: found.uncertainty * f64::from(scale),
        ..found
    });
    let red_colour = |is_far: bool| {
        let far = if is_far { &FAR } else { &NEAR };
        let from = far.from * diameter / scale;
        let chosen = is_cell.zip(&away, |set, away| set && away > from);
        let colour = red_class(&field, &chosen, nucleus)?;
        let is_enough = colour.count as f32 > far.min_area * (diameter / scale).powi(2);
        is_enough.then_some(RedColour { colour, is_far, min_redder: far.min_redder })
    };
    let red = red_colour(true).or_else(|| red_colour(false));
    let diameter = red_cells.map_or(diameter, |found| found.diameter as f32);
    Survey { light, factor, diameter, red_cells, nuclei, cell_threshold: cells, red }
}

/// Where red cells are looked for, and what they must be like. Lengths in their diameters.
struct Zone {
    /// Least distance from a nucleus.
    from: f32,
    /// Least area, in squares of a diameter.
    min_area: f32,
    /// Least redness beyond that of cytoplasm.
    min_redder: f32,
}

/// Most white cells end before; half a red cell is enough.
const FAR: Zone = Zone { from: 0.8, min_area: 0.4, min_redder: 0.02 };
/// Where few lie so far away. It may be the outer part of a large white cell.
const NEAR: Zone = Zone { from: 0.5, min_area: 0.8, min_redder: 0.08 };

/// Colour of red cells: cells without a nucleus near them, and without its stain.
fn red_class(field: &Plane<Colour>, chosen: &Plane<bool>, nucleus: f32) -> Option<ColourClass> {
    let pixels = field.values.iter().zip(&chosen.values);
    let kept = pixels.filter(|(pixel, set)| **set && nuclear(**pixel) < nucleus);
    ColourClass::new(kept.map(|(pixel, _)| *pixel))
}
