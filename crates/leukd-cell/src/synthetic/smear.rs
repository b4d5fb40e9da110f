//! Drawn fields of view of a smear, with the truth about them. They only look like blood.
//!
//! The same recipe gives the same pixels on every machine: of arithmetic on floats only what IEEE
//! 754 rounds exactly is used.

use image::{Rgb, RgbImage};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a field shows. Lengths are in pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// Another seed, other places and shapes.
    pub seed: u64,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// A red cell's mean diameter.
    pub diameter: f64,
    /// Red cells that are tried; those that would lie on a white cell are left out.
    pub red_cells: u32,
    /// White cells that stand alone, away from the edge.
    pub white_cells: u32,
    /// Pairs of white cells that touch.
    pub touching_pairs: u32,
    /// White cells that the left or upper edge cuts.
    pub edge_cells: u32,
    /// White cells with red cells pressed against them.
    pub crowded_cells: u32,
    /// Deposits of stain.
    pub deposits: u32,
    /// Platelets that stand alone.
    pub platelets: u32,
    /// Clumps of platelets.
    pub platelet_clumps: u32,
    /// Smudges.
    pub smudges: u32,
    /// Burst cells.
    pub burst: u32,
    /// The empty background.
    pub light: [f64; 3],
    /// Share of light that is missing in the corners.
    pub fall_off: f64,
    /// Noise: a pixel is at most so many levels off.
    pub noise: u8,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            seed: 0,
            width: 640,
            height: 480,
            diameter: 60.0,
            red_cells: 30,
            white_cells: 2,
            touching_pairs: 0,
            edge_cells: 0,
            crowded_cells: 0,
            deposits: 0,
            platelets: 0,
            platelet_clumps: 0,
            smudges: 0,
            burst: 0,
            light: [226.0, 214.0, 208.0],
            fall_off: 0.1,
            noise: 4,
        }
    }
}

/// A white cell as it was drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct DrawnCell {
    /// Middle.
    pub x: f64,
    /// Middle.
    pub y: f64,
    /// Radius.
    pub radius: f64,
    /// Lobes of the nucleus: middle and radius.
    pub lobes: Vec<[f64; 3]>,
    /// True where the edge cuts it.
    pub is_cut: bool,
}

impl DrawnCell {
    /// True for a pixel of the cell.
    #[must_use]
    pub fn holds(&self, x: u32, y: u32) -> bool {
        distance([self.x, self.y], x, y) < self.radius
    }

    /// True for a pixel of the nucleus.
    #[must_use]
    pub fn nucleus_holds(&self, x: u32, y: u32) -> bool {
        self.lobes.iter().any(|[at, down, radius]| distance([*at, *down], x, y) < *radius)
    }
}

/// A drawn field.
#[derive(Debug, Clone, PartialEq)]
pub struct Smear {
    /// What a microscope would export.
    pub picture: RgbImage,
    /// Its white cells.
    pub cells: Vec<DrawnCell>,
    /// Diameters of its red cells.
    pub red_cells: Vec<f64>,
}

/// Light that passes through a thing's middle, by channel.
const RED_CELL: [f64; 3] = [0.89, 0.72, 0.76];
const CYTOPLASM: [f64; 3] = [0.80, 0.72, 0.91];
const NUCLEUS: [f64; 3] = [0.55, 0.32, 0.74];
const PLATELET: [f64; 3] = [0.60, 0.40, 0.79];
const DEPOSIT: [f64; 3] = [0.16, 0.10, 0.14];
const SMUDGE: [f64; 3] = [0.62, 0.38, 0.76];

/// Draws a field.
#[must_use]
pub fn draw(recipe: &Recipe) -> Smear {
    let mut artist = Artist {
        dice: ChaCha8Rng::seed_from_u64(recipe.seed),
        picture: background(recipe),
        taken: Vec::new(),
        diameter: recipe.diameter,
    };
    let mut cells = Vec::new();
    let groups = [
        (recipe.touching_pairs, Placing::Pair),
        (recipe.crowded_cells, Placing::Crowded),
        (recipe.edge_cells, Placing::Edge),
        (recipe.white_cells, Placing::Alone),
    ];
    let mut red_cells = Vec::new();
    for (count, placing) in groups {
        for _ in 0..count {
            artist.white_cells(placing, &mut cells, &mut red_cells);
        }
    }
    for _ in 0..recipe.smudges {
        artist.smudge();
    }
    for _ in 0..recipe.burst {
        artist.burst();
    }
    for _ in 0..recipe.deposits {
        artist.deposit();
    }
    for _ in 0..recipe.platelet_clumps {
        artist.platelets(9);
    }
    for _ in 0..recipe.platelets {
        artist.platelets(1);
    }
    for _ in 0..recipe.red_cells {
        artist.red_cell(&mut red_cells);
    }
    Smear { picture: artist.picture, cells, red_cells }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placing {
    Alone,
    Pair,
    Crowded,
    Edge,
}

struct Artist {
    dice: ChaCha8Rng,
    picture: RgbImage,
    /// Discs that nothing else may lie on.
    taken: Vec<[f64; 3]>,
    diameter: f64,
}

impl Artist {
    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * f64::from(self.dice.random_range(0..=1_000_000_u32)) / 1e6
    }

    /// A direction: a point of the unit disc, brought to its rim.
    fn direction(&mut self) -> [f64; 2] {
        loop {
            let (x, y) = (self.between(-1.0, 1.0), self.between(-1.0, 1.0));
            let length = (x * x + y * y).sqrt();
            if (0.1..=1.0).contains(&length) {
                return [x / length, y / length];
            }
        }
    }

    /// A place for a disc, at least `room` from all that is taken; none after many tries.
    fn place(&mut self, radius: f64, room: f64, inside: f64) -> Option<[f64; 2]> {
        let (width, height) = (f64::from(self.picture.width()), f64::from(self.picture.height()));
        (0..300).find_map(|_| {
            let x = self.between(inside, (width - inside).max(inside));
            let y = self.between(inside, (height - inside).max(inside));
            let is_free = self.taken.iter().all(|[other_x, other_y, other]| {
                let (right, down) = (x - other_x, y - other_y);
                (right * right + down * down).sqrt() >= radius + other + room
            });
            is_free.then_some([x, y])
        })
    }

    fn white_cells(
        &mut self,
        placing: Placing,
        cells: &mut Vec<DrawnCell>,
        red_cells: &mut Vec<f64>,
    ) {
        let radius = self.diameter * self.between(0.62, 0.85);
        let reach = if placing == Placing::Alone { radius } else { radius * 3.0 };
        let gap = 0.1 * self.diameter;
        let middle = match placing {
            Placing::Edge => {
                let along = self.place(reach, gap, reach).unwrap_or([reach, reach]);
                if self.dice.random() {
                    [radius * 0.25, along[1]]
                } else {
                    [along[0], radius * 0.25]
                }
            }
            _ => match self.place(reach, gap, reach + gap) {
                Some(middle) => middle,
                None => return,
            },
        };
        cells.push(self.white_cell(middle, radius, placing == Placing::Edge));
        let [right, down] = self.direction();
        match placing {
            Placing::Pair => {
                let other = self.diameter * self.between(0.62, 0.85);
                let apart = (radius + other) * 0.985;
                let place = [middle[0] + right * apart, middle[1] + down * apart];
                cells.push(self.white_cell(place, other, false));
            }
            Placing::Crowded => {
                // Around it, at right angles.
                for [x, y] in [[right, down], [-down, right], [-right, -down], [down, -right]] {
                    let own = self.diameter * 0.5 * self.between(0.94, 1.06);
                    let apart = (radius + own) * 0.99;
                    self.draw_red_cell([middle[0] + x * apart, middle[1] + y * apart], own);
                    red_cells.push(own * 2.0);
                }
            }
            Placing::Alone | Placing::Edge => {}
        }
    }

    fn white_cell(&mut self, [x, y]: [f64; 2], radius: f64, is_cut: bool) -> DrawnCell {
        self.taken.push([x, y, radius]);
        self.disc([x, y], radius, CYTOPLASM, 0.0, 1.2);
        let lobes = match self.dice.random_range(0..3) {
            // A lymphocyte's or a blast's: round, and most of the cell.
            0 | 1 => {
                let own = radius * self.between(0.7, 0.85);
                let [right, down] = self.direction();
                let off = (radius - own) * 0.5;
                vec![[x + right * off, y + down * off, own]]
            }
            // A neutrophil's: three lobes that hang together.
            _ => {
                let [right, down] = self.direction();
                let (own, off) = (radius * 0.36, radius * 0.5);
                let corners = [[right, down], [-down, right], [-right, -down]];
                corners.map(|[a, b]| [x + a * off, y + b * off, own]).to_vec()
            }
        };
        for [lobe_x, lobe_y, own] in &lobes {
            self.disc([*lobe_x, *lobe_y], *own, ratio(NUCLEUS, CYTOPLASM), 0.0, 1.2);
        }
        DrawnCell { x, y, radius, lobes, is_cut }
    }

    fn red_cell(&mut self, red_cells: &mut Vec<f64>) {
        let radius = self.diameter * 0.5 * self.between(0.9, 1.1);
        if let Some(middle) = self.place(radius, 0.0, 0.0) {
            // Red cells may overlap a little.
            let [x, y] = middle;
            self.taken.push([x, y, radius * 0.9]);
            self.draw_red_cell(middle, radius);
            red_cells.push(radius * 2.0);
        }
    }

    fn draw_red_cell(&mut self, middle: [f64; 2], radius: f64) {
        self.taken.push([middle[0], middle[1], radius * 0.9]);
        self.disc(middle, radius, RED_CELL, 0.7, 1.2);
    }

    fn platelets(&mut self, count: u32) {
        let own = self.diameter * 0.13;
        let reach = if count > 1 { self.diameter * 0.6 } else { own };
        let Some([x, y]) = self.place(reach, 0.05 * self.diameter, reach) else { return };
        self.taken.push([x, y, reach]);
        for _ in 0..count {
            let [right, down] = self.direction();
            let off = if count > 1 { reach * self.between(0.1, 0.9) } else { 0.0 };
            self.disc([x + right * off, y + down * off], own, PLATELET, 0.0, 1.2);
        }
    }

    fn deposit(&mut self) {
        let reach = self.diameter * 0.4;
        let Some([x, y]) = self.place(reach, 0.05 * self.diameter, reach) else { return };
        self.taken.push([x, y, reach]);
        for _ in 0..6 {
            let [right, down] = self.direction();
            let off = reach * self.between(0.0, 0.5);
            self.disc([x + right * off, y + down * off], reach * 0.5, DEPOSIT, 0.0, 1.2);
        }
    }

    /// A stain that fades over its whole width.
    fn smudge(&mut self) {
        let radius = self.diameter * 1.1;
        let Some([x, y]) = self.place(radius, 0.1 * self.diameter, radius) else { return };
        self.taken.push([x, y, radius]);
        self.disc([x, y], radius * 0.75, SMUDGE, 0.0, radius * 0.9);
    }

    /// Torn arms of nuclear stain around a middle.
    fn burst(&mut self) {
        let radius = self.diameter * 1.2;
        let Some([x, y]) = self.place(radius, 0.1 * self.diameter, radius) else { return };
        self.taken.push([x, y, radius]);
        let [right, down] = self.direction();
        let half = std::f64::consts::FRAC_1_SQRT_2;
        let turned = [(right - down) * half, (right + down) * half];
        for [a, b] in [[right, down], [-down, right], [-right, -down], [down, -right]]
            .into_iter()
            .chain([turned, [-turned[0], -turned[1]]])
        {
            for step in 0..9 {
                let off = f64::from(step) * 0.12 * self.diameter;
                self.opaque([x + a * off, y + b * off], self.diameter * 0.17, NUCLEUS);
            }
        }
    }

    /// A disc that light passes as in `light`; `pale` is the share that is missing from its density
    /// in the middle, `soft` the width of its rim.
    fn disc(&mut self, middle: [f64; 2], radius: f64, light: [f64; 3], pale: f64, soft: f64) {
        self.paint(middle, radius + soft, |away, pixel| {
            let cover = ((radius - away) / soft + 0.5).clamp(0.0, 1.0);
            // A red cell is a shallow bowl.
            let bowl = 1.0 - pale * (1.0 - (away / (0.55 * radius)).min(1.0));
            let share = cover * bowl;
            *pixel = [0, 1, 2].map(|channel| {
                level(f64::from(pixel[channel]) * (1.0 - share * (1.0 - light[channel])))
            });
        });
    }

    /// A disc of one colour that does not darken what was drawn of it before.
    fn opaque(&mut self, middle: [f64; 2], radius: f64, light: [f64; 3]) {
        self.paint(middle, radius, |away, pixel| {
            let colour = light.map(|share| level(share * 215.0));
            if away < radius && pixel[1] > colour[1] {
                *pixel = colour;
            }
        });
    }

    fn paint(&mut self, [x, y]: [f64; 2], reach: f64, own: impl Fn(f64, &mut [u8; 3])) {
        let (width, height) = self.picture.dimensions();
        let span = |middle: f64, size: u32| {
            let from = (middle - reach).floor().clamp(0.0, f64::from(size));
            let to = (middle + reach).ceil().clamp(0.0, f64::from(size));
            (whole(from), whole(to))
        };
        let ((left, right), (top, bottom)) = (span(x, width), span(y, height));
        for row in top..bottom {
            for column in left..right {
                let pixel = self.picture.get_pixel_mut(column, row);
                own(distance([x, y], column, row), &mut pixel.0);
            }
        }
    }
}

fn background(recipe: &Recipe) -> RgbImage {
    let mut noise = ChaCha8Rng::seed_from_u64(recipe.seed ^ 0x006e_6f69_7365);
    let (width, height) = (f64::from(recipe.width), f64::from(recipe.height));
    let spread = i16::from(recipe.noise);
    RgbImage::from_fn(recipe.width, recipe.height, |x, y| {
        let (right, down) = (f64::from(x) / width - 0.5, f64::from(y) / height - 0.5);
        let fall = 1.0 - recipe.fall_off * 2.0 * (right * right + down * down);
        Rgb(recipe
            .light
            .map(|light| level(light * fall + f64::from(noise.random_range(-spread..=spread)))))
    })
}

/// Distance of a pixel's middle.
fn distance([x, y]: [f64; 2], column: u32, row: u32) -> f64 {
    let (right, down) = (f64::from(column) + 0.5 - x, f64::from(row) + 0.5 - y);
    (right * right + down * down).sqrt()
}

fn ratio(one: [f64; 3], other: [f64; 3]) -> [f64; 3] {
    [0, 1, 2].map(|channel| one[channel] / other[channel])
}

#[expect(clippy::cast_sign_loss, reason = "clamped at 0")]
fn level(value: f64) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

#[expect(clippy::cast_sign_loss, reason = "clamped at 0 by the caller")]
fn whole(value: f64) -> u32 {
    value as u32
}
