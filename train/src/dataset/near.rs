//! Near-identical cells: one cell that was cut out, or written, twice, so that no byte is the same.
//!
//! They are found by their morphometry: area and outline, colour, tone, texture and nucleus. Two
//! cells are near-identical where their figures differ by less than [`NEAR`] of the figures' own
//! deviations (root mean square over all figures; a deviation is the interquartile range over
//! 1.349, which strays do not widen). On C-NMC 2019 (7,144 cells) this finds 38 pairs of cells
//! under different ids, all between ids of one person (H24 and H14, H4 to H7 and H2, 43 and 44);
//! the nearest pair of cells of two persons is 0.270 apart.

use std::collections::BTreeMap;

use super::Cell;

/// Deviations apart, root mean square.
pub const NEAR: f64 = 0.2;

/// Near-identical cells have nearly the same area: the ratio of the larger one to the smaller.
const AREAS: f64 = 1.02;

/// Interquartile range of a normal distribution, in deviations.
const QUARTILES: f64 = 1.349;

/// Fewer cells tell too little of how far figures spread.
const LEAST_CELLS: usize = 100;

/// Ids that name one person, by the cells that they share.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Joined {
    /// The id with the most cells: the person is named so from here on.
    pub person: String,
    /// The other ids, sorted.
    pub ids: Vec<String>,
    /// How many pairs of near-identical cells say so.
    pub pairs: usize,
}

impl Joined {
    /// As a split's origin tells it.
    pub(super) fn in_words(&self) -> String {
        let Self { person, ids, pairs } = self;
        let cells = if *pairs == 1 { "a near-identical cell" } else { "near-identical cells" };
        format!("; {} counted as {person}, for they share {cells}", ids.join(", "))
    }
}

/// Pairs of near-identical cells, as indices into `cells`, in rising order. Byte-identical ones are
/// not among them, nor cells without morphometry.
#[must_use]
pub fn near_identical(cells: &[Cell]) -> Vec<(usize, usize)> {
    let mut seen: Vec<(usize, Vec<f64>)> = cells
        .iter()
        .enumerate()
        .filter_map(|(at, cell)| {
            Some((at, cell.morphometry.as_ref()?.iter().map(|(_, value)| value).collect()))
        })
        .collect();
    if seen.len() < LEAST_CELLS {
        return Vec::new();
    }
    standardise(&mut seen);
    seen.sort_by_key(|(at, _)| cells[*at].area);
    let mut pairs = Vec::new();
    for (place, (first, figures)) in seen.iter().enumerate() {
        let most = cells[*first].area as f64 * AREAS;
        let like = |(at, _): &&(usize, Vec<f64>)| cells[*at].area as f64 <= most;
        for (second, others) in seen[place + 1..].iter().take_while(like) {
            let squares = figures.iter().zip(others).map(|(a, b)| (a - b) * (a - b));
            let apart = (squares.sum::<f64>() / figures.len() as f64).sqrt();
            if apart < NEAR && cells[*first].digest != cells[*second].digest {
                pairs.push((*first.min(second), *first.max(second)));
            }
        }
    }
    pairs.sort_unstable();
    pairs
}

/// The first cell of each cell's group: cells are of one group where pairs lead from one to the
/// other.
pub(super) fn groups(cells: &[Cell]) -> Vec<usize> {
    let mut first: Vec<usize> = (0..cells.len()).collect();
    for pair in near_identical(cells) {
        unite(&mut first, pair);
    }
    (0..first.len()).map(|at| root(&first, at)).collect()
}

fn unite(first: &mut [usize], (a, b): (usize, usize)) {
    let (a, b) = (root(first, a), root(first, b));
    first[a.max(b)] = a.min(b);
}

fn root(first: &[usize], mut at: usize) -> usize {
    while first[at] != at {
        at = first[at];
    }
    at
}

/// Each figure in its own deviations; one that hardly varies counts for nothing.
fn standardise(seen: &mut [(usize, Vec<f64>)]) {
    let figures = seen.first().map_or(0, |(_, figures)| figures.len());
    for figure in 0..figures {
        let mut values: Vec<f64> = seen.iter().map(|(_, figures)| figures[figure]).collect();
        values.sort_by(f64::total_cmp);
        let quarter = |quarters: usize| values[quarters * (values.len() - 1) / 4];
        let deviation = (quarter(3) - quarter(1)) / QUARTILES;
        for (_, figures) in seen.iter_mut() {
            figures[figure] = if deviation > 0.0 { figures[figure] / deviation } else { 0.0 };
        }
    }
}

/// Gives the cells of ids that share near-identical cells of one class one subject, that of the id
/// with the most cells. Who was joined, sorted.
pub(super) fn join(cells: &mut [Cell]) -> Vec<Joined> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for cell in &*cells {
        *counts.entry(cell.subject.clone()).or_default() += 1;
    }
    // The id that each one is named by, through others; and how many pairs say so.
    let mut named: BTreeMap<String, String> = BTreeMap::new();
    let mut said: BTreeMap<String, usize> = BTreeMap::new();
    for (first, second) in near_identical(cells) {
        let (first, second) = (&cells[first], &cells[second]);
        let known = !first.subject.is_empty() && !second.subject.is_empty();
        if !known || first.subject == second.subject || first.label != second.label {
            continue;
        }
        let (a, b) = (head(&named, &first.subject), head(&named, &second.subject));
        let (most, other) = if (counts[&b], &a) > (counts[&a], &b) { (b, a) } else { (a, b) };
        *said.entry(most.clone()).or_default() += 1;
        if other != most {
            let pairs = said.remove(&other).unwrap_or_default();
            *said.entry(most.clone()).or_default() += pairs;
            named.insert(other, most);
        }
    }
    let mut joined: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for id in named.keys() {
        joined.entry(head(&named, id)).or_default().push(id.clone());
    }
    for cell in cells {
        if named.contains_key(&cell.subject) {
            cell.subject = head(&named, &cell.subject);
        }
    }
    let joined = joined.into_iter();
    joined
        .map(|(person, ids)| Joined { pairs: said.get(&person).copied().unwrap_or(0), person, ids })
        .collect()
}

fn head(named: &BTreeMap<String, String>, id: &str) -> String {
    let mut id = id;
    while let Some(next) = named.get(id) {
        id = next;
    }
    id.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_pairs_is_one_group_whatever_their_order() {
        let mut first: Vec<usize> = (0..6).collect();
        for pair in [(1, 3), (2, 3), (4, 5)] {
            unite(&mut first, pair);
        }
        let groups: Vec<usize> = (0..6).map(|at| root(&first, at)).collect();
        assert_eq!(groups, [0, 1, 1, 1, 4, 4]);
    }
}
