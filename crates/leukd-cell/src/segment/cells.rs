//! The whole cell around a nucleus, outlined on a plane of its own surroundings.

use image::RgbImage;

use super::morphology::{components, depth, distance, fill_holes, open, without_small};
use super::nuclei::Nucleus;
use super::outline::{self, Point};
use super::plane::{Colour, Plane, Window, reduce, smooth};
use super::stain::{ColourClass, Discriminant, Metric, density, nuclear};
use super::survey::{RedColour, Survey};
use super::threshold::Histogram;
use super::watershed::{FREE, flood};

/// A white cell's shape, in the capture's pixels.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    pub(super) outline: Vec<Point>,
    pub(super) nucleus: Vec<Vec<Point>>,
    pub(super) area: f64,
    pub(super) nucleus_area: f64,
    /// True where the outline lies on the capture's outermost pixels.
    pub(super) touches_edge: bool,
    /// Area by that of the hull around the outline, 0 to 1.
    pub(super) solidity: f64,
    /// Mean step of [`density`] across the outline: 0 for none.
    pub(super) edge: f32,
    /// The same across the nucleus' border.
    pub(super) nucleus_edge: f32,
    /// Mean of [`density`] inside the nucleus.
    pub(super) nucleus_density: f32,
    /// Mean of [`nuclear`] inside the nucleus less that of the rest of the cell.
    pub(super) contrast: f32,
}

/// A red cell's diameter in the plane on which cells are outlined, in pixels.
const OUTLINED: f32 = 36.0;
/// Reach of a cell around its nucleus, in red cells' diameters.
const REACH: f32 = 1.2;
/// Label of all that is not white cells.
const OUTSIDE: u16 = 1;

/// Surroundings of one nucleus.
struct Scene {
    window: Window,
    factor: usize,
    /// A red cell's diameter in this plane.
    diameter: f32,
    /// Transmission, smoothed.
    field: Plane<Colour>,
    /// Numbers of the nuclei that take part, plus one; 0 elsewhere. [`OUTSIDE`] is not used.
    nuclei: Plane<u16>,
}

impl Scene {
    /// The nuclei of `group` count as one, with the number of the first.
    fn new(picture: &RgbImage, survey: &Survey, group: &[usize], is_white: &[bool]) -> Self {
        let found = |at: &usize| &survey.nuclei.found[*at];
        let low = |side: fn(&Nucleus) -> usize| group.iter().map(found).map(side).min();
        let high = |side: fn(&Nucleus) -> usize| group.iter().map(found).map(side).max();
        let ends = [low(|own| own.left), low(|own| own.top)];
        let [left, top] = ends.map(Option::unwrap_or_default);
        let ends = [high(|own| own.right), high(|own| own.bottom)];
        let [right, bottom] = ends.map(Option::unwrap_or_default);
        let factor = super::plane::index((survey.diameter / OUTLINED).round(), usize::MAX).max(1);
        let margin = super::plane::index((REACH * survey.diameter).ceil(), usize::MAX);
        let from = |low: usize| (low * survey.factor).saturating_sub(margin) / factor * factor;
        let to = |high: usize, size: u32| ((high + 1) * survey.factor + margin).min(size as usize);
        let (x, y) = (from(left), from(top));
        let (right, bottom) = (to(right, picture.width()), to(bottom, picture.height()));
        let window = Window { x, y, width: right - x, height: bottom - y };
        let mut field = reduce(picture, window, factor);
        survey.light.transmission(&mut field, (x, y), factor);
        let field = smooth(&field);
        let mut nuclei = Plane::filled(field.width, field.height, FREE);
        let scale = factor as f32 / survey.factor as f32;
        let (left, top) = (x as f32 / survey.factor as f32, y as f32 / survey.factor as f32);
        for (index, label) in nuclei.values.iter_mut().enumerate() {
            let (column, row) = (index % field.width, index / field.width);
            let number = survey
                .nuclei
                .labels
                .nearest(left + (column as f32 + 0.5) * scale, top + (row as f32 + 0.5) * scale);
            let takes_part = number != 0 && is_white[usize::from(number) - 1];
            *label = match takes_part {
                true if group.contains(&(usize::from(number) - 1)) => group[0] as u16 + 2,
                true => number + 1,
                false => FREE,
            };
        }
        let diameter = survey.diameter / factor as f32;
        Self { window, factor, diameter, field, nuclei }
    }

    fn to_capture(&self, point: Point) -> Point {
        let scale = self.factor as f32;
        Point {
            x: self.window.x as f32 + (point.x * scale).min(self.window.width as f32),
            y: self.window.y as f32 + (point.y * scale).min(self.window.height as f32),
        }
    }
}

/// Outlines the cell around the nuclei of `group`, which has at least one; other white cells' nuclei
/// in reach compete for the pixels between them. None where no pixel is left to the cell.
pub(super) fn outline(
    picture: &RgbImage,
    survey: &Survey,
    group: &[usize],
    is_white: &[bool],
    most_points: usize,
) -> Option<Shape> {
    let scene = Scene::new(picture, survey, group, is_white);
    let own = *group.first()? as u16 + 2;
    let cell = cell_mask(&scene, survey, own)?;
    let nucleus = nucleus_mask(&scene, &cell, own);
    let polygon = |mask: &Plane<bool>| {
        let points = outline::smoothed(outline::trace(mask), 2);
        let points: Vec<Point> = points.into_iter().map(|point| scene.to_capture(point)).collect();
        outline::simplified(&points, 0.25 * scene.factor as f32, most_points)
    };
    let outline = polygon(&cell);
    let (labels, parts) = components(&nucleus);
    let nucleus_polygons: Vec<Vec<Point>> =
        (1..=parts.len() as u32).map(|part| polygon(&labels.map(|label| label == part))).collect();
    let area = outline::area(&outline);
    if outline.len() < 3 || area <= 0.0 {
        return None;
    }
    let mean = |value: &dyn Fn(Colour) -> f32, which: &dyn Fn(usize) -> bool| {
        let chosen = (0..cell.values.len()).filter(|at| which(*at));
        let (count, sum) = chosen.fold((0_usize, 0.0), |(count, sum), at| {
            (count + 1, sum + value(scene.field.values[at]))
        });
        if count == 0 { 0.0 } else { sum / count as f32 }
    };
    let inside = mean(&nuclear, &|at| nucleus.values[at]);
    let around = mean(&nuclear, &|at| cell.values[at] && !nucleus.values[at]);
    Some(Shape {
        touches_edge: touches_edge(&outline, picture, scene.factor),
        nucleus_area: nucleus_polygons.iter().map(|part| outline::area(part)).sum(),
        nucleus: nucleus_polygons,
        solidity: area / outline::area(&outline::hull(outline.clone())).max(area),
        edge: edge(&scene, &cell, 0.06),
        nucleus_edge: edge(&scene, &nucleus, 0.15),
        contrast: inside - around,
        nucleus_density: mean(&density, &|at| nucleus.values[at]),
        outline,
        area,
    })
}

fn touches_edge(outline: &[Point], picture: &RgbImage, factor: usize) -> bool {
    let near = factor as f32;
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    outline.iter().any(|point| {
        point.x < near || point.y < near || point.x > width - near || point.y > height - near
    })
}

/// The pixels of the cell with the label `own`.
fn cell_mask(scene: &Scene, survey: &Survey, own: u16) -> Option<Plane<bool>> {
    let diameter = scene.diameter;
    let is_own = scene.nuclei.map(|label| label == own);
    let away = distance(&is_own);
    let any = distance(&scene.nuclei.map(|label| label != FREE));
    let dense = scene.field.map(density);
    let threshold = rim_threshold(&dense, &away, diameter, survey.cell_threshold);
    let whiteness = whiteness(scene, &any, threshold, survey.red.as_ref());
    // Surely cell: near, dense, and not of the red cells' colour.
    let is_like = |at: usize| {
        dense.values[at] > threshold * 1.25
            && any.values[at] <= REACH * diameter
            && whiteness.values[at] > 0.25
    };
    let mut grown = scene.nuclei.clone();
    for (at, label) in grown.values.iter_mut().enumerate() {
        if *label == FREE && !is_like(at) {
            *label = OUTSIDE;
        }
    }
    let level = Plane::filled(grown.width, grown.height, 0_u8);
    let outside = grown.map(|label| label == OUTSIDE);
    let mut walled =
        grown.map(|label| if label == OUTSIDE { super::watershed::WALL } else { label });
    flood(&level, &mut walled);
    // Threads of stain between cells are none.
    let sure = walled.map(|label| ![FREE, super::watershed::WALL].contains(&label));
    let sure = open(&sure, 0.06 * diameter);
    let not_cell = scene
        .field
        .zip(&whiteness, |pixel, white| density(pixel) < threshold * 0.75 || white < -0.25);
    let not_cell = open(&not_cell, 0.03 * diameter);
    let mut labels = walled.clone();
    for (at, label) in labels.values.iter_mut().enumerate() {
        *label = if scene.nuclei.values[at] != FREE {
            scene.nuclei.values[at]
        } else if sure.values[at] {
            walled.values[at]
        } else if not_cell.values[at] || (outside.values[at] && any.values[at] > REACH * diameter) {
            OUTSIDE
        } else {
            FREE
        };
    }
    flood(&relief(&scene.field), &mut labels);
    let mask = labels.map(|label| label == own);
    let mask = fill_holes(&mask, 0.3 * diameter * diameter);
    tidy(&mask, &is_own, diameter)
}

/// The mask without what hangs on it by a neck, as one component with the most of the nucleus.
fn tidy(mask: &Plane<bool>, nucleus: &Plane<bool>, diameter: f32) -> Option<Plane<bool>> {
    let opened = open(mask, 0.18 * diameter);
    let with_nucleus = opened.zip(nucleus, |set, own| set || own);
    let with_nucleus = with_nucleus.zip(mask, |set, own| set && own);
    let (labels, parts) = components(&with_nucleus);
    let mut shares = vec![0_usize; parts.len() + 1];
    for (label, own) in labels.values.iter().zip(&nucleus.values) {
        shares[*label as usize] += usize::from(*own);
    }
    let best = (1..=parts.len()).max_by_key(|label| (shares[*label], parts[*label - 1].area))?;
    let kept = labels.map(|label| label as usize == best);
    let closed = super::morphology::close(&kept, 0.08 * diameter);
    Some(fill_holes(&closed, f32::INFINITY))
}

/// The density above which a pixel is cell: half of what lies right around the nucleus, and at most
/// the whole field's threshold.
fn rim_threshold(dense: &Plane<f32>, away: &Plane<f32>, diameter: f32, field: f32) -> f32 {
    let ring = dense
        .values
        .iter()
        .zip(&away.values)
        .filter(|(_, away)| (0.05 * diameter..0.2 * diameter).contains(*away));
    let ring = Histogram::new(0.0, 1.0, ring.map(|(dense, _)| *dense));
    if ring.total() < 1.0 {
        return field;
    }
    (0.5 * ring.quantile(0.5)).clamp(0.6 * field, field)
}

/// 1 where a pixel has the colour of what lies around the nuclei, -1 where that of red cells; 1
/// everywhere where the field has no red cells.
fn whiteness(
    scene: &Scene,
    any: &Plane<f32>,
    threshold: f32,
    red: Option<&RedColour>,
) -> Plane<f32> {
    let even = || Plane::filled(scene.field.width, scene.field.height, 1.0);
    let Some(red) = red else { return even() };
    let Some(metric) = Metric::new(&red.colour) else { return even() };
    let around = |near: f32, far: f32| {
        let pixels = scene.field.values.iter().zip(&any.values).filter(move |(pixel, away)| {
            (near * scene.diameter..far * scene.diameter).contains(*away)
                && density(**pixel) > threshold
        });
        pixels.map(|(pixel, _)| *pixel)
    };
    let apart = |white: &ColourClass| {
        let line = Discriminant::between(white, &red.colour)?;
        let is_redder = redness(red.colour.mean) > redness(white.mean) + red.min_redder;
        (is_redder && line.separation > MIN_SEPARATION).then_some(line)
    };
    // Red cells lie in the ring too.
    let ring = around(RING.0, RING.1);
    let others = ring.clone().filter(|pixel| metric.squared(*pixel) > MAX_RING);
    let cytoplasm = ColourClass::new(others)
        .filter(|others| others.count as f32 >= MIN_CYTOPLASM * ring.count() as f32);
    let mut line = cytoplasm.and_then(|white| apart(&white));
    if line.is_none() && red.is_far {
        // A cell with hardly any cytoplasm: red cells are compared with its nucleus.
        line = ColourClass::new(around(-1.0, RING.0)).and_then(|white| apart(&white));
    }
    let Some(line) = line else { return even() };
    // Granules may be as red as a red cell, but are of another red.
    scene.field.map(|pixel| {
        let is_far = metric.squared(pixel) > MAX_RED;
        if is_far || nuclear(pixel) > SURE_NUCLEUS { 1.0 } else { line.at(pixel) }
    })
}

/// Cytoplasm is looked for at these distances from the nucleus, in red cells' diameters.
const RING: (f32, f32) = (0.04, 0.2);
/// Squared distance from the red cells' colour within which the ring's pixels are red cells: 1.7
/// standard deviations.
const MAX_RING: f32 = 3.0;
/// At least this share of the ring is cytoplasm, or it is none.
const MIN_CYTOPLASM: f32 = 0.1;
/// Distance of two classes' means from which on they can be parted, in standard deviations.
const MIN_SEPARATION: f32 = 1.2;
/// Squared distance from the red cells' colour beyond which a pixel is none: 3.4 standard
/// deviations.
const MAX_RED: f32 = 11.3;
/// Above this [`nuclear`] stain no red cell is.
const SURE_NUCLEUS: f32 = 0.65;

/// Red light that passes less blue light: haemoglobin takes blue.
fn redness(colour: Colour) -> f32 {
    colour[0] - colour[2]
}

/// Steps of transmission: the most that a channel changes to a neighbour.
fn relief(field: &Plane<Colour>) -> Plane<u8> {
    let mut relief = Plane::filled(field.width, field.height, 0_u8);
    for at in 0..field.values.len() {
        let own = field.values[at];
        let step = field
            .neighbours(at)
            .flat_map(|next| {
                let other = field.values[next];
                [0, 1, 2].map(|channel| (own[channel] - other[channel]).abs())
            })
            .fold(0.0, f32::max);
        relief.values[at] = super::plane::index(step * 800.0, 256) as u8;
    }
    relief
}

/// Mean step of density from just inside a mask's border to just outside.
fn edge(scene: &Scene, mask: &Plane<bool>, width: f32) -> f32 {
    let inner = depth(mask);
    let outer = distance(mask);
    let width = (width * scene.diameter).max(1.5);
    let (mut inside, mut outside) = ((0.0, 0), (0.0, 0));
    for (at, pixel) in scene.field.values.iter().enumerate() {
        let (depth, away) = (inner.values[at], outer.values[at]);
        if depth > 0.0 && depth <= width {
            inside = (inside.0 + density(*pixel), inside.1 + 1);
        } else if away > 0.0 && away <= width {
            outside = (outside.0 + density(*pixel), outside.1 + 1);
        }
    }
    let mean = |(sum, count): (f32, usize)| if count == 0 { 0.0 } else { sum / count as f32 };
    mean(inside) - mean(outside)
}

/// The nucleus inside the cell: what lets less light through than the rest of it.
fn nucleus_mask(scene: &Scene, cell: &Plane<bool>, own: u16) -> Plane<bool> {
    let diameter = scene.diameter;
    // Refraction darkens the cell's rim, which is no nucleus.
    let inner = depth(cell).map(|depth| depth > 0.1 * diameter);
    let stain = scene.field.map(|pixel| NUCLEAR_SHARE * nuclear(pixel) + density(pixel));
    let values = stain.values.iter().zip(&inner.values).filter(|(_, inner)| **inner);
    let threshold = Histogram::new(-0.1, 2.5, values.map(|(stain, _)| *stain)).otsu();
    let mask = stain.zip(cell, |stain, inside| inside && stain > threshold);
    let mask = open(&mask, 0.03 * diameter);
    let mask = without_rim(&mask, &inner);
    let mask = without_slivers(&mask);
    let mask = open(&mask, MIN_THREAD * thickest(&mask));
    let mask = without_small(&mask, 0.02 * diameter * diameter);
    let mask = fill_holes(&mask, 0.01 * diameter * diameter);
    if mask.count() > 0 {
        return mask;
    }
    scene.nuclei.zip(cell, |label, inside| inside && label == own)
}

/// Weight of [`nuclear`] beside [`density`] in a nucleus' outline: density has the sharper border,
/// colour keeps dark granules out.
const NUCLEAR_SHARE: f32 = 0.1;

/// Radius of what a nucleus' outline leaves out, by the radius of its thickest lobe: folds and rims
/// of the cell that hang on the nucleus.
const MIN_THREAD: f32 = 0.2;

/// Radius of the largest disc inside a mask.
fn thickest(mask: &Plane<bool>) -> f32 {
    depth(mask).values.iter().copied().fold(0.0, f32::max)
}

/// A lobe's inner radius by that of the nucleus' thickest lobe, at least.
const MIN_LOBE: f32 = 0.4;

/// The parts of a mask that are not thin beside its thickest one: lobes are about as thick as each
/// other, a cell's dark rim and its folds are not.
fn without_slivers(mask: &Plane<bool>) -> Plane<bool> {
    let (labels, parts) = components(mask);
    let mut radius = vec![0.0_f32; parts.len()];
    for (label, depth) in labels.values.iter().zip(&depth(mask).values) {
        if let Some(at) = (*label as usize).checked_sub(1) {
            radius[at] = radius[at].max(*depth);
        }
    }
    let thickest = radius.iter().copied().fold(0.0, f32::max);
    labels.map(|label| {
        let own = (label as usize).checked_sub(1).map(|at| radius[at]);
        own.is_some_and(|radius| radius >= MIN_LOBE * thickest)
    })
}

/// The parts of a mask that lie by half in the cell's inner part.
fn without_rim(mask: &Plane<bool>, inner: &Plane<bool>) -> Plane<bool> {
    let (labels, parts) = components(mask);
    let mut inside = vec![0_usize; parts.len() + 1];
    for (label, inner) in labels.values.iter().zip(&inner.values) {
        inside[*label as usize] += usize::from(*inner);
    }
    labels.map(|label| {
        let own = (label as usize).checked_sub(1).map(|at| parts[at].area);
        own.is_some_and(|area| inside[label as usize] * 2 > area)
    })
}
