//! Nuclei of a whole field: parts that took the nuclear stain, parted where nuclei touch, and
//! joined where they are lobes of one.

use super::lobes;
use super::morphology::{Component, components, depth, fill_holes, open, root};
use super::plane::{Colour, Plane, index};
use super::stain::nuclear;
use super::watershed::{FREE, WALL, flood};

/// A nucleus, or what took the same stain. Lengths in pixels of the surveyed plane.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Nucleus {
    pub(super) area: f32,
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) right: usize,
    pub(super) bottom: usize,
    /// Radius of the largest disc inside one of its parts.
    pub(super) inner_radius: f32,
    pub(super) parts: usize,
    pub(super) is_at_border: bool,
    /// Sum of the colour over its pixels.
    pub(super) colour: Colour,
}

impl Nucleus {
    pub(super) fn mean_colour(&self) -> Colour {
        self.colour.map(|sum| sum / self.area.max(1.0))
    }

    fn add(&mut self, other: &Self) {
        self.area += other.area;
        self.left = self.left.min(other.left);
        self.top = self.top.min(other.top);
        self.right = self.right.max(other.right);
        self.bottom = self.bottom.max(other.bottom);
        self.inner_radius = self.inner_radius.max(other.inner_radius);
        self.parts += other.parts;
        self.is_at_border |= other.is_at_border;
        (0..3).for_each(|at| self.colour[at] += other.colour[at]);
    }

    /// The longer side of the box.
    pub(super) fn extent(&self) -> f32 {
        (self.right - self.left).max(self.bottom - self.top) as f32 + 1.0
    }
}

/// A field's nuclei, and the number of each pixel's nucleus: 1 for the first, 0 outside.
#[derive(Debug)]
pub(super) struct Nuclei {
    pub(super) labels: Plane<u16>,
    pub(super) found: Vec<Nucleus>,
}

impl Nuclei {
    /// Makes the nucleus at `two` part of the one at `one`; nothing keeps the number of `two`.
    pub(super) fn merge(&mut self, one: usize, two: usize) {
        let absorbed = self.found[two].clone();
        self.found[one].add(&absorbed);
        let (number, gone) = (one as u16 + 1, two as u16 + 1);
        let width = self.labels.width;
        for y in absorbed.top..=absorbed.bottom {
            let line = &mut self.labels.values[y * width..(y + 1) * width];
            let own = line[absorbed.left..=absorbed.right].iter_mut();
            own.filter(|own| **own == gone).for_each(|own| *own = number);
        }
    }
}

impl Nuclei {
    /// Makes the lobes at one end of the nucleus at `at` a nucleus of their own, which is the last
    /// then, and gives its place. None for a nucleus in one piece.
    pub(super) fn part(&mut self, at: usize) -> Option<usize> {
        let whole = self.found.get(at)?.clone();
        let (number, new) = (at as u16 + 1, self.found.len() as u16 + 1);
        // Labels of outlines are one more.
        if self.found.len() + 2 >= usize::from(WALL) {
            return None;
        }
        let (width, height) = (whole.right - whole.left + 1, whole.bottom - whole.top + 1);
        let mut mask = Plane::filled(width, height, false);
        for (index, set) in mask.values.iter_mut().enumerate() {
            *set = self.labels.at(whole.left + index % width, whole.top + index / width) == number;
        }
        let (lobes, parts) = components(&mask);
        let ends = Ends::new(&lobes, parts.len())?;
        let depths = depth(&mask);
        let mut halves = [(); 2].map(|()| Nucleus {
            area: 0.0,
            left: usize::MAX,
            top: usize::MAX,
            right: 0,
            bottom: 0,
            inner_radius: 0.0,
            parts: 0,
            is_at_border: false,
            colour: [0.0; 3],
        });
        for (index, lobe) in lobes.values.iter().enumerate().filter(|(_, lobe)| **lobe > 0) {
            let (x, y) = (whole.left + index % width, whole.top + index / width);
            let is_new = ends.is_far[*lobe as usize - 1];
            let own = &mut halves[usize::from(is_new)];
            own.area += 1.0;
            (own.left, own.right) = (own.left.min(x), own.right.max(x));
            (own.top, own.bottom) = (own.top.min(y), own.bottom.max(y));
            own.inner_radius = own.inner_radius.max(depths.values[index]);
            own.is_at_border |=
                x == 0 || y == 0 || x + 1 == self.labels.width || y + 1 == self.labels.height;
            if is_new {
                let place = y * self.labels.width + x;
                self.labels.values[place] = new;
            }
        }
        let mean = whole.mean_colour();
        for (half, is_new) in halves.iter_mut().zip([false, true]) {
            half.parts = ends.is_far.iter().filter(|is_far| **is_far == is_new).count();
            half.colour = mean.map(|level| level * half.area);
        }
        let [one, two] = halves;
        self.found[at] = one;
        self.found.push(two);
        Some(self.found.len() - 1)
    }
}

/// Lobes of one nucleus at its two ends.
struct Ends {
    /// True for each lobe at the second end.
    is_far: Vec<bool>,
}

impl Ends {
    /// Lobes before and after the widest gap between their middles, along the nucleus' length.
    fn new(lobes: &Plane<u32>, count: usize) -> Option<Self> {
        if count < 2 {
            return None;
        }
        let mut middles = vec![(0.0_f32, 0.0_f32, 0.0_f32); count];
        for (index, lobe) in lobes.values.iter().enumerate().filter(|(_, lobe)| **lobe > 0) {
            let (x, y) = ((index % lobes.width) as f32, (index / lobes.width) as f32);
            let own = &mut middles[*lobe as usize - 1];
            *own = (own.0 + x, own.1 + y, own.2 + 1.0);
        }
        let total: f32 = middles.iter().map(|own| own.2).sum();
        let mean = |sum: fn(&(f32, f32, f32)) -> f32| middles.iter().map(sum).sum::<f32>() / total;
        let (x, y) = (mean(|own| own.0), mean(|own| own.1));
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for (index, _) in lobes.values.iter().enumerate().filter(|(_, lobe)| **lobe > 0) {
            let (across, down) =
                ((index % lobes.width) as f32 - x, (index / lobes.width) as f32 - y);
            xx += across * across;
            xy += across * down;
            yy += down * down;
        }
        // The principal axis of the pixels.
        let (sin, cos) = (0.5 * (2.0 * xy).atan2(xx - yy)).sin_cos();
        let along: Vec<f32> = middles
            .iter()
            .map(|own| (own.0 / own.2 - x) * cos + (own.1 / own.2 - y) * sin)
            .collect();
        let mut sorted = along.clone();
        sorted.sort_by(f32::total_cmp);
        let gaps = sorted.windows(2).max_by(|a, b| (a[1] - a[0]).total_cmp(&(b[1] - b[0])));
        let cut = gaps.map(|gap| f32::midpoint(gap[0], gap[1]))?;
        let is_far: Vec<bool> = along.iter().map(|own| *own > cut).collect();
        is_far.contains(&true).then_some(Self { is_far })
    }
}

/// Shares of a red cell's diameter, or of its square, that decide what is one nucleus.
struct Shape;

impl Shape {
    /// Radius of a disc that threads and noise do not hold.
    const OPENING: f32 = 0.04;
    /// A smaller part is dust.
    const MIN_PART: f32 = 0.012;
    /// Radius of a nucleus that is a whole one. Lobes are thinner.
    const WHOLE_RADIUS: f32 = 0.36;
    /// Area of a nucleus that is a whole one.
    const WHOLE_AREA: f32 = 0.5;
    /// Area of a nucleus that has all its lobes.
    const ALL_LOBES: f32 = 1.1;
    /// A neck between two nuclei is at most this share of the thinner one's radius.
    const NECK: f32 = 0.75;
    /// Lobes of one nucleus lie at most so far apart.
    const GAP: f32 = 0.4;
    /// Nuclei with all their lobes are at most so long; halves of a larger cell are found by their
    /// outlines.
    const EXTENT: f32 = 2.2;
}

/// Finds the nuclei of `field` (transmission), in which a red cell is `diameter` pixels wide.
/// `is_cell` is all that is not background.
pub(super) fn find(
    field: &Plane<Colour>,
    is_cell: &Plane<bool>,
    threshold: f32,
    diameter: f32,
) -> Nuclei {
    let stained = field.map(|pixel| nuclear(pixel) > threshold);
    let stained = fill_holes(&stained, 0.1 * diameter * diameter);
    let stained = open(&stained, Shape::OPENING * diameter);
    let (mut labels, parts) = components(&stained);
    let parts = split(&mut labels, parts, &stained, diameter);
    let nuclei = describe(field, &labels, &depth(&stained), parts);
    join(&mut labels, nuclei, is_cell, diameter)
}

/// Parts components that are several nuclei with a neck between them. Gives the number of labels.
fn split(
    labels: &mut Plane<u32>,
    parts: Vec<Component>,
    stained: &Plane<bool>,
    diameter: f32,
) -> usize {
    let mut count = parts.len();
    let depths = depth(stained);
    let least = 2.0 * Shape::WHOLE_AREA * diameter * diameter;
    for (at, part) in parts.iter().enumerate().filter(|(_, part)| part.area as f32 >= least) {
        let own = at as u32 + 1;
        let (width, height) = (part.right - part.left + 1, part.bottom - part.top + 1);
        let place =
            |index: usize| (part.top + index / width) * labels.width + part.left + index % width;
        let mut deep = Plane::filled(width, height, 0.0_f32);
        for (index, depth) in deep.values.iter_mut().enumerate() {
            let from = place(index);
            *depth = if labels.values[from] == own { depths.values[from] } else { 0.0 };
        }
        let Some(markers) = cores(&deep, diameter) else { continue };
        let mut basins = markers.zip(&deep, |marker, depth| match marker {
            0 if depth <= 0.0 => WALL,
            own => own as u16,
        });
        let highest = deep.values.iter().copied().fold(1.0, f32::max);
        let relief = deep.map(|depth| index(255.0 * (1.0 - depth / highest), 256) as u8);
        flood(&relief, &mut basins);
        let mut new = vec![own];
        for (index, basin) in basins.values.iter().enumerate() {
            if [FREE, WALL].contains(basin) {
                continue;
            }
            while new.len() < usize::from(*basin) {
                count += 1;
                new.push(count as u32);
            }
            labels.values[place(index)] = new[usize::from(*basin) - 1];
        }
    }
    count
}

/// Labels of the cores of nuclei in one component: what is left of it when its necks are eroded.
/// None where there is one alone.
fn cores(deep: &Plane<f32>, diameter: f32) -> Option<Plane<u32>> {
    let highest = deep.values.iter().copied().fold(0.0, f32::max);
    let mut best: Option<(usize, Plane<u32>)> = None;
    let step = (0.04 * diameter).max(0.5);
    let mut level = 0.1 * diameter;
    while level < highest * Shape::NECK {
        let (mut labels, parts) = components(&deep.map(|depth| depth > level));
        let mut radius = vec![0.0_f32; parts.len()];
        for (label, depth) in labels.values.iter().zip(&deep.values) {
            if *label > 0 {
                let own = &mut radius[*label as usize - 1];
                *own = own.max(*depth);
            }
        }
        let mut kept = 0;
        let numbers: Vec<u32> = radius
            .iter()
            .map(|radius| {
                let is_whole =
                    *radius >= Shape::WHOLE_RADIUS * diameter && level <= Shape::NECK * radius;
                kept += u32::from(is_whole);
                if is_whole { kept } else { 0 }
            })
            .collect();
        let count = kept as usize;
        if count > best.as_ref().map_or(1, |(count, _)| *count) {
            for label in &mut labels.values {
                *label = (*label as usize).checked_sub(1).map_or(0, |at| numbers[at]);
            }
            best = Some((count, labels));
        }
        level += step;
    }
    best.map(|(_, labels)| labels)
}

fn describe(
    field: &Plane<Colour>,
    labels: &Plane<u32>,
    depths: &Plane<f32>,
    count: usize,
) -> Vec<Nucleus> {
    let empty = Nucleus {
        area: 0.0,
        left: usize::MAX,
        top: usize::MAX,
        right: 0,
        bottom: 0,
        inner_radius: 0.0,
        parts: 1,
        is_at_border: false,
        colour: [0.0; 3],
    };
    let mut nuclei = vec![empty; count];
    for (at, label) in labels.values.iter().enumerate().filter(|(_, label)| **label > 0) {
        let (x, y) = (at % labels.width, at / labels.width);
        let nucleus = &mut nuclei[*label as usize - 1];
        nucleus.area += 1.0;
        nucleus.left = nucleus.left.min(x);
        nucleus.right = nucleus.right.max(x);
        nucleus.top = nucleus.top.min(y);
        nucleus.bottom = nucleus.bottom.max(y);
        nucleus.inner_radius = nucleus.inner_radius.max(depths.values[at]);
        nucleus.is_at_border |= x == 0 || y == 0 || x + 1 == labels.width || y + 1 == labels.height;
        (0..3).for_each(|channel| nucleus.colour[channel] += field.values[at][channel]);
    }
    nuclei
}

/// Joins lobes of one nucleus and numbers what is left.
fn join(
    labels: &mut Plane<u32>,
    parts: Vec<Nucleus>,
    is_cell: &Plane<bool>,
    diameter: f32,
) -> Nuclei {
    let square = diameter * diameter;
    let is_whole = |part: &Nucleus| {
        part.area >= Shape::WHOLE_AREA * square
            && part.inner_radius >= Shape::WHOLE_RADIUS * diameter
    };
    let usable: Vec<bool> =
        parts.iter().map(|part| part.area >= Shape::MIN_PART * square).collect();
    let mut pairs = lobes::near_pairs(labels, &usable, Shape::GAP * diameter);
    pairs.retain(|pair| !crosses_background(is_cell, pair.from, pair.to));
    pairs.sort_by_key(|pair| (pair.squared, pair.one, pair.two));
    // Each nucleus' first part stands for all of them.
    let mut first: Vec<usize> = (0..parts.len()).collect();
    let mut joined = parts.clone();
    let mut has_whole: Vec<bool> = parts.iter().map(is_whole).collect();
    for pair in pairs {
        let (one, two) = (root(&mut first, pair.one), root(&mut first, pair.two));
        if one == two || (has_whole[one] && has_whole[two]) {
            continue;
        }
        let mut both = joined[one].clone();
        both.add(&joined[two]);
        if both.extent() > Shape::EXTENT * diameter {
            continue;
        }
        joined[one] = both;
        // Lobes that together are as large as a nucleus are one.
        has_whole[one] |= has_whole[two] || joined[one].area >= Shape::ALL_LOBES * square;
        first[two] = one;
    }
    let mut numbers = vec![0_u16; parts.len()];
    let mut found = Vec::new();
    for at in (0..parts.len()).filter(|at| first[*at] == *at && usable[*at]) {
        if found.len() + 2 < usize::from(WALL) {
            found.push(joined[at].clone());
            numbers[at] = found.len() as u16;
        }
    }
    let labels = labels
        .map(|label| (label as usize).checked_sub(1).map_or(0, |at| numbers[root(&mut first, at)]));
    Nuclei { labels, found }
}

pub(super) fn boxes_apart(one: &Nucleus, two: &Nucleus) -> f32 {
    let apart = |from: usize, to: usize, other_from: usize, other_to: usize| {
        other_from.saturating_sub(to).max(from.saturating_sub(other_to)) as f32
    };
    let x = apart(one.left, one.right, two.left, two.right);
    let y = apart(one.top, one.bottom, two.top, two.bottom);
    x.hypot(y)
}

/// True where a straight line between two pixels leaves the cells.
fn crosses_background(is_cell: &Plane<bool>, from: usize, to: usize) -> bool {
    let place = |at: usize| ((at % is_cell.width) as f32 + 0.5, (at / is_cell.width) as f32 + 0.5);
    let ((x, y), (to_x, to_y)) = (place(from), place(to));
    let steps = (to_x - x).abs().max((to_y - y).abs()).ceil().max(1.0);
    let outside = (0..=index(steps, usize::MAX))
        .filter(|step| {
            let share = *step as f32 / steps;
            !is_cell.nearest(x + (to_x - x) * share, y + (to_y - y) * share)
        })
        .count();
    // A vacuole or a pixel of noise is no background.
    outside as f32 > (0.25 * steps).max(1.0)
}
