//! Figures in which every person counts once, whoever has how many cells.

use std::collections::BTreeMap;

use leukd_journal::score::{Score, logit, trimmed_mean};

use super::Prediction;
use super::bands::band;
use super::ranking::Ranking;

/// Pairs of cells of one band that a pair of persons needs, to have a figure within bands.
const MIN_BAND_PAIRS: u64 = 10;

/// A healthy person beside one with blasts, both judged by the same model.
#[derive(Debug)]
struct Pair {
    /// A cell of each: its weight is the person's.
    cells: [usize; 2],
    auroc: f64,
    within_bands: Option<f64>,
    /// 1 where the person with blasts has the higher score, ½ where both have the same; none where
    /// one has too few cells for a score.
    ranked: Option<f64>,
}

/// Pairs of persons, and the specificity of each healthy one.
#[derive(Debug, Default)]
pub(super) struct Persons {
    pairs: Vec<Pair>,
    /// A cell of the person, and the share of its cells that are decided as `hem`.
    healthy: Vec<(usize, f64)>,
}

/// The figures of [`Persons`].
#[derive(Debug, Default)]
pub(super) struct PersonFigures {
    pub(super) auroc: Option<f64>,
    pub(super) within_bands: Option<f64>,
    pub(super) specificity_median: Option<f64>,
    pub(super) specificity_minimum: Option<f64>,
    pub(super) specimen_auroc: Option<f64>,
}

/// A person's score, as the daemon gives it to a specimen; none with too few cells.
pub(super) fn score(p_all: impl IntoIterator<Item = f64>) -> Option<Score> {
    let mut logits: Vec<f64> = p_all.into_iter().map(logit).collect();
    logits.sort_by(f64::total_cmp);
    let cells = logits.len() as u64;
    trimmed_mean(logits, cells)
}

impl Persons {
    /// `scores` are P(all). `folds` names the model that tested each cell, and only cells of one
    /// model are compared; empty: one model tested all.
    pub(super) fn new(
        predictions: &[Prediction],
        scores: &[f64],
        folds: &[usize],
        threshold: f64,
    ) -> Self {
        let mut persons: BTreeMap<(usize, usize, &str), Vec<usize>> = BTreeMap::new();
        for (at, one) in predictions.iter().enumerate() {
            let fold = folds.get(at).copied().unwrap_or(0);
            persons.entry((one.label, fold, &one.subject)).or_default().push(at);
        }
        let mut found = Self::default();
        for ((_, fold, _), hem) in persons.iter().filter(|((label, ..), _)| *label == 1) {
            let right = hem.iter().filter(|cell| scores[**cell] < threshold).count();
            found.healthy.push((hem[0], right as f64 / hem.len() as f64));
            let score =
                |cells: &[usize]| Some(score(cells.iter().map(|cell| scores[*cell]))?.value);
            let own = score(hem);
            for (_, all) in
                persons.iter().filter(|((label, other, _), _)| *label == 0 && other == fold)
            {
                let Some(auroc) = auroc(all, hem, scores) else { continue };
                let within_bands = within_bands(all, hem, predictions, scores);
                let ranked = own.zip(score(all)).map(|(hem, all)| {
                    f64::midpoint(f64::from(u8::from(all > hem)), f64::from(u8::from(all >= hem)))
                });
                found.pairs.push(Pair { cells: [hem[0], all[0]], auroc, within_bands, ranked });
            }
        }
        found
    }

    /// The figures when each cell, and so each person, counts as often as `weights` has it.
    pub(super) fn measure(&self, weights: &[f64]) -> PersonFigures {
        let mean = |value: &dyn Fn(&Pair) -> Option<f64>| {
            let (mut sum, mut whole) = (0.0, 0.0);
            for pair in &self.pairs {
                if let Some(value) = value(pair) {
                    let weight: f64 = pair.cells.iter().map(|cell| weights[*cell]).product();
                    sum += weight * value;
                    whole += weight;
                }
            }
            (whole > 0.0).then(|| sum / whole)
        };
        let mut healthy: Vec<(f64, f64)> =
            self.healthy.iter().map(|(cell, share)| (*share, weights[*cell])).collect();
        healthy.retain(|(_, weight)| *weight > 0.0);
        healthy.sort_by(|a, b| a.0.total_cmp(&b.0));
        PersonFigures {
            auroc: mean(&|pair| Some(pair.auroc)),
            within_bands: mean(&|pair| pair.within_bands),
            specificity_median: median(&healthy),
            specificity_minimum: healthy.first().map(|(share, _)| *share),
            specimen_auroc: mean(&|pair| pair.ranked),
        }
    }
}

/// The value that as much weight lies below as above; between two of them their mean.
fn median(sorted: &[(f64, f64)]) -> Option<f64> {
    let half = sorted.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut below = 0.0;
    for (place, (value, weight)) in sorted.iter().enumerate() {
        below += weight;
        if below > half {
            return Some(*value);
        }
        if below == half {
            let next = sorted.get(place + 1).map_or(*value, |next| next.0);
            return Some(f64::midpoint(*value, next));
        }
    }
    None
}

/// How often a cell of `all` scores above one of `hem`.
fn auroc(all: &[usize], hem: &[usize], scores: &[f64]) -> Option<f64> {
    let scored = all.iter().map(|cell| (scores[*cell], true));
    let ranking = Ranking::new(scored.chain(hem.iter().map(|cell| (scores[*cell], false))));
    ranking.auroc(&vec![1.0; all.len() + hem.len()])
}

/// The same over pairs of cells whose areas lie in one band; none where such pairs are few.
fn within_bands(
    all: &[usize],
    hem: &[usize],
    predictions: &[Prediction],
    scores: &[f64],
) -> Option<f64> {
    let mut bands: BTreeMap<i64, [Vec<usize>; 2]> = BTreeMap::new();
    for (side, cells) in [all, hem].into_iter().enumerate() {
        for cell in cells {
            if let Some(band) = band(predictions[*cell].area) {
                bands.entry(band).or_default()[side].push(*cell);
            }
        }
    }
    let (mut above, mut pairs) = (0.0, 0);
    for [all, hem] in bands.values() {
        let count = (all.len() * hem.len()) as u64;
        if let Some(share) = auroc(all, hem, scores) {
            above += share * count as f64;
            pairs += count;
        }
    }
    (pairs >= MIN_BAND_PAIRS).then(|| above / pairs as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cells of `(subject, label, area, score)`.
    fn persons(cells: &[(&str, usize, u64, f64)], folds: &[usize]) -> Persons {
        let predictions: Vec<Prediction> = cells
            .iter()
            .map(|(subject, label, area, _)| Prediction {
                name: String::new(),
                logits: [0.0, 0.0],
                label: *label,
                subject: (*subject).to_owned(),
                area: *area,
            })
            .collect();
        let scores: Vec<f64> = cells.iter().map(|cell| cell.3).collect();
        Persons::new(&predictions, &scores, folds, 0.5)
    }

    #[test]
    fn a_person_with_many_cells_counts_once() {
        let mut cells = vec![("few", 1, 100, 0.9), ("blasts", 0, 100, 0.7)];
        cells.extend([("many", 1, 100, 0.1); 99]);
        let figures = persons(&cells, &[]).measure(&[1.0; 101]);
        // Over cells it would be 0.99: one pair is all wrong, the other all right.
        assert_eq!(figures.auroc, Some(0.5));
        assert_eq!(figures.specificity_median, Some(0.5));
        assert_eq!(figures.specificity_minimum, Some(0.0));
        // Drawn twice, and the other not at all.
        let mut weights = [2.0; 101];
        weights[0] = 0.0;
        let figures = persons(&cells, &[]).measure(&weights);
        assert_eq!([figures.auroc, figures.specificity_minimum], [Some(1.0); 2]);
    }

    #[test]
    fn a_specimen_is_ranked_by_all_of_its_cells() {
        // Cell by cell they overlap: 3 of 10 are on the wrong side.
        let mut cells = Vec::new();
        for at in 0..10 {
            let stray = at < 3;
            cells.push(("blasts", 0, 100, if stray { 0.3 } else { 0.7 }));
            cells.push(("healthy", 1, 100, if stray { 0.7 } else { 0.3 }));
        }
        let figures = persons(&cells, &[]).measure(&[1.0; 20]);
        assert_eq!(figures.specimen_auroc, Some(1.0));
        assert!(figures.auroc.unwrap() < 0.8, "{figures:?}");
        // Nine cells have no score.
        assert_eq!(persons(&cells[..18], &[]).measure(&[1.0; 18]).specimen_auroc, None);
        // The same cells on both sides are no order.
        let same = [vec![("a", 0, 100, 0.5); 10], vec![("h", 1, 100, 0.5); 10]].concat();
        assert_eq!(persons(&same, &[]).measure(&[1.0; 20]).specimen_auroc, Some(0.5));
    }

    #[test]
    fn cells_of_two_models_are_never_compared() {
        let cells =
            [("a", 0, 100, 0.6), ("h", 1, 100, 0.4), ("b", 0, 100, 0.1), ("i", 1, 100, 0.05)];
        assert_eq!(persons(&cells, &[0, 0, 1, 1]).measure(&[1.0; 4]).auroc, Some(1.0));
        assert_eq!(persons(&cells, &[]).measure(&[1.0; 4]).auroc, Some(0.75));
    }

    #[test]
    fn a_score_that_is_the_area_ranks_nothing_within_bands() {
        // Both persons have the same areas, once each; the blasts have a large cell more.
        let mut cells: Vec<(&str, usize, u64, f64)> = Vec::new();
        for step in 0..20_u64 {
            let area = 1000 + 300 * step;
            cells.push(("blasts", 0, area, area as f64 / 10_000.0));
            cells.push(("healthy", 1, area, area as f64 / 10_000.0));
        }
        cells.extend([("blasts", 0, 9000, 0.9); 20]);
        let figures = persons(&cells, &[]).measure(&vec![1.0; cells.len()]);
        assert!(figures.auroc.unwrap() > 0.7, "{figures:?}");
        assert!((figures.within_bands.unwrap() - 0.5).abs() < 0.01, "{figures:?}");
        // Without pairs of like area there is no such figure.
        let far = [("blasts", 0, 9000, 0.9), ("healthy", 1, 1000, 0.1)];
        assert_eq!(persons(&far, &[]).measure(&[1.0; 2]).within_bands, None);
    }
}
