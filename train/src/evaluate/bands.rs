//! Bands of like area: what is left where size is no cue.

use std::collections::BTreeMap;

use super::Prediction;
use super::ranking::Ranking;

/// Ratio of the areas at a band's edges. Within a tenth the area alone hardly ranks cells any more
/// (train/PERFORMANCE.md).
const BAND: f64 = 1.1;

/// The band of a cell of `area` pixels; none without area.
pub(super) fn band(area: u64) -> Option<i64> {
    (area > 0).then(|| ((area as f64).ln() / BAND.ln()).floor() as i64)
}

/// The cells of each band.
#[derive(Debug)]
pub(super) struct Bands(Vec<Band>);

#[derive(Debug)]
struct Band {
    /// As indices into the predictions, with whether they are `all`.
    cells: Vec<(usize, bool)>,
    ranking: Ranking,
}

impl Bands {
    /// `scores` are P(all).
    pub(super) fn new(predictions: &[Prediction], scores: &[f64]) -> Self {
        let mut bands: BTreeMap<i64, Vec<(usize, bool)>> = BTreeMap::new();
        for (at, one) in predictions.iter().enumerate() {
            if let Some(band) = band(one.area) {
                bands.entry(band).or_default().push((at, one.label == 0));
            }
        }
        let bands = bands.into_values().map(|cells| {
            let ranking = Ranking::new(cells.iter().map(|(at, is_all)| (scores[*at], *is_all)));
            Band { cells, ranking }
        });
        Self(bands.collect())
    }

    /// How often a cell of `all` ranks above one of `hem` of its band, over all such pairs; none
    /// without one.
    pub(super) fn auroc(&self, weights: &[f64]) -> Option<f64> {
        let (mut above, mut pairs) = (0.0, 0.0);
        for Band { cells, ranking } in &self.0 {
            let own: Vec<f64> = cells.iter().map(|(at, _)| weights[*at]).collect();
            let Some(share) = ranking.auroc(&own) else { continue };
            let sum = |all: bool| -> f64 {
                cells.iter().zip(&own).filter(|((_, is), _)| *is == all).map(|(_, own)| own).sum()
            };
            let count = sum(true) * sum(false);
            above += share * count;
            pairs += count;
        }
        (pairs > 0.0).then(|| above / pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cells_of_one_band_are_compared() {
        let cell = |label, area| Prediction {
            name: String::new(),
            logits: [0.0, 0.0],
            label,
            subject: String::new(),
            area,
        };
        // Between the bands the score is right, within each of them wrong.
        let cells = [cell(0, 1000), cell(1, 1001), cell(0, 9000), cell(1, 9001), cell(0, 0)];
        let bands = Bands::new(&cells, &[0.1, 0.2, 0.8, 0.9, 1.0]);
        assert_eq!(bands.auroc(&[1.0; 5]), Some(0.0));
        // The larger band alone, and the other way round.
        let bands = Bands::new(&cells, &[0.1, 0.2, 0.9, 0.8, 1.0]);
        assert_eq!(bands.auroc(&[0.0, 0.0, 1.0, 1.0, 1.0]), Some(1.0));
        assert_eq!(bands.auroc(&[1.0; 5]), Some(0.5));
        assert_eq!(bands.auroc(&[1.0, 0.0, 1.0, 0.0, 1.0]), None);
    }
}
