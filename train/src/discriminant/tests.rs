//! Weights of the discriminant on drawn figures.

use leukd_cell::{Digest, Format};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::*;

const EACH: u64 = 60;
/// Tells the classes apart.
const SIGN: usize = 20;
/// Differs from person to person, far more than from cell to cell.
const PERSON: usize = 30;

/// Cells of as many persons of each class; every figure is noise but two.
fn cells(seed: u64, persons: usize) -> Vec<Cell> {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let names = Morphometry::names();
    let mut cells = Vec::new();
    for (label, class) in LABELS.iter().enumerate() {
        for person in 0..persons {
            let own: f64 = dice.random_range(-8.0..8.0);
            for cell in 0..EACH {
                let mut values: Vec<f64> =
                    names.iter().map(|_| dice.random_range(-1.0..1.0)).collect();
                values[SIGN] += if label == 0 { 0.7 } else { -0.7 };
                values[PERSON] += own;
                let name = format!("{class}-{person}-{cell}");
                cells.push(Cell {
                    path: name.clone().into(),
                    label,
                    subject: format!("{class}-{person}"),
                    fold: None,
                    side: None,
                    digest: Digest::of(name.as_bytes()),
                    place: None,
                    format: Format::Bmp,
                    width: 1,
                    height: 1,
                    area: 1,
                    measures: None,
                    morphometry: Morphometry::from_values(values),
                    teacher: None,
                    pixels: Vec::new(),
                    name,
                });
            }
        }
    }
    cells
}

fn scores(of: &Discriminant, cells: &[Cell], label: usize) -> Vec<f64> {
    let own = cells.iter().filter(|cell| cell.label == label);
    own.map(|cell| of.score(cell.morphometry.as_ref().unwrap())).collect()
}

#[test]
fn it_ranks_new_persons_by_the_class_and_not_by_the_person() {
    let fitted = fit(&cells(1, 6), "drawn figures").unwrap();
    assert_eq!((fitted.cells, fitted.persons), (12 * EACH, 12));
    let new = cells(2, 5);
    let [all, hem] = [0, 1].map(|label| scores(&fitted, &new, label));
    let pairs = all.iter().flat_map(|one| hem.iter().map(move |other| one > other));
    let right = pairs.clone().filter(|right| *right).count() as f64 / pairs.count() as f64;
    assert!(right > 0.85, "{right}");
    let weight = |figure: usize| fitted.figures[figure].alone.weight.abs();
    assert!(weight(PERSON) < weight(SIGN) / 3.0, "{} {}", weight(PERSON), weight(SIGN));
}

#[test]
fn its_scores_deviate_by_its_share() {
    let cells = cells(3, 4);
    let fitted = fit(&cells, "drawn figures").unwrap();
    let all: Vec<f64> = (0..2).flat_map(|label| scores(&fitted, &cells, label)).collect();
    assert!((scale(all.into_iter()).deviation - SHARE).abs() < 1e-9);
}

#[test]
fn a_class_without_cells_is_named() {
    let mut one = cells(4, 2);
    one.retain(|cell| cell.label == 0);
    assert!(fit(&one, "").unwrap_err().to_string().contains("no hem cell"));
}
