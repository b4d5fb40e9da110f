//! What several tests of the trainer share.

use leukd::cell::Format;
use leukd::cell::quality::assess;
use leukd::cell::synthetic::{self, Kind};
use leukd::result::Digest;
use leukd_train::dataset::{Cell, Split};
use leukd_train::recipe::{Recipe, Setting};

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

/// Cells drawn from `seeds`, blasts and normal cells in turn, of the two subjects.
pub(crate) fn cells(
    recipe: &Recipe,
    seeds: std::ops::Range<u64>,
    subjects: [&str; 2],
) -> Vec<Cell> {
    seeds
        .map(|seed| {
            let label = (seed % 2) as usize;
            let picture = synthetic::cell(seed, [Kind::Blast, Kind::Normal][label]);
            let square = recipe.preprocessing().square(&picture).unwrap();
            Cell {
                path: format!("{seed}.bmp").into(),
                name: format!("{seed}.bmp"),
                label,
                subject: subjects[label].to_owned(),
                fold: None,
                side: None,
                format: Format::Bmp,
                width: picture.width(),
                height: picture.height(),
                digest: Digest::of(&seed.to_le_bytes()),
                area: assess(&picture).foreground_px,
                pixels: square.into_raw(),
            }
        })
        .collect()
}

/// 16 cells to learn from, 8 to validate on.
pub(crate) fn split(recipe: &Recipe) -> Split {
    let training = cells(recipe, 0..16, ["a", "h"]);
    Split::of(training, cells(recipe, 16..24, ["b", "i"]), vec![])
}
