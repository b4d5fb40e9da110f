//! Fits the discriminant that a bundle adds to its network.
//!
//! Fisher's linear discriminant (1936, "The use of multiple measurements in taxonomic problems")
//! on the cell's figures and their products with a few of them. Its noise is the mean covariance
//! within a person, and beside it the covariance of the persons' means within a class, as speaker
//! recognition does it (Hatch, Kajarekar & Stolcke 2006, "Within-class covariance normalization").
//! A figure by which persons of one class differ says little of the next person.

mod solve;

use std::collections::BTreeMap;

use leukd_cell::Morphometry;
use leukd_model::discriminant::{Discriminant, Weighed, Weight};

use crate::dataset::{Cell, LABELS};
use solve::Symmetric;

/// Weight of the spread between persons' means beside that within a person.
const SPREAD: f64 = 1.0;

/// Added to the variance of every standardised input, so that no direction counts as free of
/// noise.
const RIDGE: f64 = 0.03;

/// Deviation of the scores over the fitted cells, in logits: the share beside the network, whose
/// own logits deviate by about 1.6. Chosen with `SPREAD` and `RIDGE` on the folds of
/// `train/protocol` (`train/PERFORMANCE.md`); 2 to 4 differ little.
pub const SHARE: f64 = 3.0;

/// Figures whose products with every figure count: size and the density of the stain.
const FACTORS: [&str; 4] = ["area", "density mean red", "density mean green", "density mean blue"];

/// Why no discriminant can be fitted.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// A class has no cell with figures.
    #[error("no {0} cell among those to fit the discriminant on: it takes cells of both classes")]
    NoCell(&'static str),
    /// Numbers beyond what can be solved.
    #[error("the figures of these cells have no discriminant: their covariance cannot be inverted")]
    Singular,
}

/// The discriminant of `cells`, described by `data`; cells without foreground do not count. Its
/// golden scores are left empty.
///
/// # Errors
///
/// Where a class has no cell.
pub fn fit<'a>(
    cells: impl IntoIterator<Item = &'a Cell>,
    data: &str,
) -> Result<Discriminant, FitError> {
    let cells: Vec<(&Cell, Vec<f64>)> = cells
        .into_iter()
        .filter_map(|cell| {
            let values = cell.morphometry.as_ref()?.iter().map(|(_, value)| value).collect();
            Some((cell, values))
        })
        .collect();
    let persons = persons(&cells)?;
    let names = Morphometry::names();
    let factors: Vec<usize> =
        FACTORS.iter().filter_map(|own| names.iter().position(|name| name == own)).collect();
    let alone: Vec<Weight> = (0..names.len())
        .map(|figure| scale(cells.iter().map(|(_, values)| values[figure])))
        .collect();
    let plain: Vec<Vec<f64>> = cells
        .iter()
        .map(|(_, values)| {
            values.iter().zip(&alone).map(|(value, of)| of.standardised(*value)).collect()
        })
        .collect();
    let products: Vec<Vec<Weight>> = (0..names.len())
        .map(|figure| {
            let of = |factor: &usize| scale(plain.iter().map(|own| own[figure] * own[*factor]));
            factors.iter().map(of).collect()
        })
        .collect();
    let inputs: Vec<Vec<f64>> = plain
        .iter()
        .map(|own| {
            let product = |(figure, scales): (usize, &Vec<Weight>)| {
                let each = scales.iter().zip(&factors);
                let each = each.map(move |(of, factor)| (of, own[figure] * own[*factor]));
                each.map(|(of, value)| of.standardised(value)).collect::<Vec<_>>()
            };
            own.iter().copied().chain(products.iter().enumerate().flat_map(product)).collect()
        })
        .collect();
    let (weights, offset) = discriminant(&inputs, &persons)?;
    let scores: Vec<f64> = inputs
        .iter()
        .map(|own| {
            offset + own.iter().zip(&weights).map(|(value, weight)| value * weight).sum::<f64>()
        })
        .collect();
    let gain = SHARE / scale(scores.into_iter()).deviation;
    let (own, multiplied) = weights.split_at(names.len());
    let mut multiplied = multiplied.iter();
    let weighed = |((name, of), products): ((&String, &Weight), &Vec<Weight>), own: &f64| Weighed {
        name: name.clone(),
        alone: Weight { weight: own * gain, ..*of },
        products: products
            .iter()
            .zip(multiplied.by_ref())
            .map(|(of, weight)| Weight { weight: weight * gain, ..*of })
            .collect(),
    };
    let figures = names.iter().zip(&alone).zip(&products).zip(own);
    let mut weighed = weighed;
    Ok(Discriminant {
        data: data.to_owned(),
        cells: cells.len() as u64,
        persons: persons.len() as u64,
        factors: FACTORS.map(str::to_owned).to_vec(),
        figures: figures.map(|(of, own)| weighed(of, own)).collect(),
        offset: offset * gain,
        golden: Vec::new(),
    })
}

/// Cells of one person, by their places, and the person's class.
struct Person {
    label: usize,
    cells: Vec<usize>,
}

/// A person with cells of both classes counts as two.
fn persons(cells: &[(&Cell, Vec<f64>)]) -> Result<Vec<Person>, FitError> {
    let mut persons: BTreeMap<(usize, &str), Vec<usize>> = BTreeMap::new();
    for (place, (cell, _)) in cells.iter().enumerate() {
        persons.entry((cell.label, &cell.subject)).or_default().push(place);
    }
    for (label, name) in LABELS.iter().enumerate() {
        if !persons.keys().any(|(own, _)| *own == label) {
            return Err(FitError::NoCell(name));
        }
    }
    Ok(persons.into_iter().map(|((label, _), cells)| Person { label, cells }).collect())
}

/// Mean and deviation of some values; a deviation of 1 where they are all the same.
fn scale(values: impl Iterator<Item = f64> + Clone) -> Weight {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    let variance = values.map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
    let deviation = if variance > 1e-18 { variance.sqrt() } else { 1.0 };
    Weight { mean, deviation, weight: 0.0 }
}

/// Weights and offset: every person of a class counts as much, and both classes too.
fn discriminant(inputs: &[Vec<f64>], persons: &[Person]) -> Result<(Vec<f64>, f64), FitError> {
    let size = inputs.first().map_or(0, Vec::len);
    let mut noise = Symmetric::diagonal(size, RIDGE);
    let mut middles = Vec::new();
    for label in 0..LABELS.len() {
        let own: Vec<&Person> = persons.iter().filter(|person| person.label == label).collect();
        let means: Vec<Vec<f64>> = own
            .iter()
            .map(|person| mean(size, person.cells.iter().map(|place| &inputs[*place])))
            .collect();
        let middle = mean(size, means.iter());
        for (person, mean) in own.iter().zip(&means) {
            let share = 0.5 / (own.len() * person.cells.len()) as f64;
            for place in &person.cells {
                noise.add(&apart(&inputs[*place], mean), share);
            }
        }
        let share = SPREAD * 0.5 / own.len().saturating_sub(1).max(1) as f64;
        means.iter().for_each(|mean| noise.add(&apart(mean, &middle), share));
        middles.push(middle);
    }
    let weights = noise.solve(&apart(&middles[0], &middles[1])).ok_or(FitError::Singular)?;
    let sum = middles[0].iter().zip(&middles[1]).map(|(one, other)| one + other);
    let offset = -sum.zip(&weights).map(|(sum, weight)| sum * weight).sum::<f64>() / 2.0;
    Ok((weights, offset))
}

fn apart(one: &[f64], other: &[f64]) -> Vec<f64> {
    one.iter().zip(other).map(|(one, other)| one - other).collect()
}

fn mean<'a>(size: usize, rows: impl ExactSizeIterator<Item = &'a Vec<f64>>) -> Vec<f64> {
    let share = 1.0 / rows.len().max(1) as f64;
    rows.fold(vec![0.0; size], |mut sum, row| {
        sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value * share);
        sum
    })
}

#[cfg(test)]
mod tests;
