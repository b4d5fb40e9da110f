//! What several tests of the trainer share; none of them needs all of it.
#![allow(dead_code)]

use std::process::Output;

use leukd_cell::preprocess::Preprocessing;
use leukd_cell::synthetic::{self, Kind};
use leukd_cell::{Format, Measures, Morphometry};
use leukd_journal::result::Digest;
use leukd_train::dataset::{Cell, Split};
use leukd_train::recipe::{Recipe, Setting};

/// A network so narrow that a test can train it.
pub(crate) const NARROW: [&str; 16] = [
    "--set",
    "network.width=0.25",
    "--set",
    "network.depth=0.3",
    "--set",
    "network.hidden=8",
    "--size",
    "32",
    "--window",
    "320",
    "--batch",
    "8",
    "--epochs",
    "2",
    "--max-slowdown",
    "1000",
];

/// What a program wrote to both of its outputs.
pub(crate) fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}", text(&output.stdout), text(&output.stderr))
}

/// The shipped recipe `base` with a network so narrow that a test can train it, and `settings`
/// over it.
pub(crate) fn narrow(base: &str, settings: &[&str]) -> Recipe {
    let small = [
        "network.width=0.25",
        "network.depth=0.3",
        "network.hidden=8",
        "network.norm_momentum=0.2",
        "input.size=32",
        "input.window=320",
        "steps.batch=8",
    ];
    let settings: Vec<Setting> =
        small.iter().chain(settings).map(|text| Setting::parse(text).unwrap()).collect();
    Recipe::read(base, &settings).unwrap()
}

/// The synthetic blast (`label` 0) or normal cell (1) of `seed`, as if read from a file.
pub(crate) fn cell(preprocessing: &Preprocessing, seed: u64, label: usize, subject: &str) -> Cell {
    let picture = synthetic::cell(seed, [Kind::Blast, Kind::Normal][label]);
    let measures = Measures::of(&picture);
    #[expect(clippy::cast_sign_loss, reason = "an area is at least 0")]
    let area = measures.map_or(0, |measures| measures.area as u64);
    Cell {
        path: format!("{seed}.bmp").into(),
        name: format!("{seed}.bmp"),
        label,
        subject: subject.to_owned(),
        fold: None,
        side: None,
        digest: Digest::of(&seed.to_le_bytes()),
        place: None,
        format: Format::Bmp,
        width: picture.width(),
        height: picture.height(),
        area,
        measures,
        morphometry: Morphometry::of(&picture).unwrap(),
        teacher: None,
        pixels: preprocessing.square(&picture).unwrap().into_raw(),
    }
}

/// Cells drawn from `seeds`, blasts and normal cells in turn, of the two subjects.
fn cells(recipe: &Recipe, seeds: std::ops::Range<u64>, subjects: [&str; 2]) -> Vec<Cell> {
    let label = |seed: u64| usize::from(seed % 2 == 1);
    seeds
        .map(|seed| cell(&recipe.preprocessing(), seed, label(seed), subjects[label(seed)]))
        .collect()
}

/// 16 cells to learn from, 8 to validate on.
pub(crate) fn split(recipe: &Recipe) -> Split {
    let training = cells(recipe, 0..16, ["a", "h"]);
    Split::of(training, cells(recipe, 16..24, ["b", "i"]), vec![])
}
