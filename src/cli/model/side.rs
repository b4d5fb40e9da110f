//! Two models' answers on the same images, counted.

use serde::Serialize;

use crate::result::Decision;

/// One model's answer for one image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Answer {
    /// P(all), calibrated.
    pub(super) all: f64,
    /// True at or above the model's threshold.
    pub(super) blast: bool,
    /// With the review band.
    pub(super) decision: Decision,
}

/// One image with both answers.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    /// Below the folder.
    pub(super) path: String,
    /// True for a folder `all`, false for `hem`, none for another.
    pub(super) truth: Option<bool>,
    /// A's, then B's.
    pub(super) answers: [Answer; 2],
}

/// The columns and rows of [`Comparison::decisions`].
pub(super) const DECISIONS: [Decision; 3] = [Decision::All, Decision::Hem, Decision::Review];

/// Everything that is said of the pairs. Shares run over 0 to 1.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    /// Images that both models answered.
    pub(super) images: usize,
    /// The share with the same side of the threshold.
    pub(super) agreement: f64,
    /// Below A's threshold, at or above B's: sorted by path.
    pub(super) flips_to_all: Vec<String>,
    /// The other way.
    pub(super) flips_to_hem: Vec<String>,
    /// The mean of |P(all) of B − P(all) of A|.
    pub(super) mean_difference: f64,
    /// The largest one.
    pub(super) largest_difference: f64,
    /// The image that it belongs to.
    pub(super) largest_difference_of: String,
    /// Rows: A's decision is all, hem, review; columns: B's.
    pub(super) decisions: [[usize; 3]; 3],
    /// Figures of images with known labels.
    pub(super) truth: Option<Truth>,
}

/// Both models against the truth.
#[derive(Debug, Serialize)]
pub(super) struct Truth {
    /// Images in a folder `all`.
    pub(super) all: usize,
    /// Images in a folder `hem`.
    pub(super) hem: usize,
    /// Of A.
    pub(super) a: Figures,
    /// Of B.
    pub(super) b: Figures,
}

/// One model's figures at its threshold; the review band changes nothing here. A figure without
/// images is absent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Figures {
    /// Images on the right side of the threshold.
    pub(super) accuracy: Option<f64>,
    /// Of those in a folder `all`.
    pub(super) sensitivity: Option<f64>,
    /// Of those in a folder `hem`.
    pub(super) specificity: Option<f64>,
}

impl Comparison {
    /// Counts `pairs`; none where there are none.
    pub(super) fn of(pairs: &[Pair]) -> Option<Self> {
        let difference = |pair: &Pair| (pair.answers[1].all - pair.answers[0].all).abs();
        let most = pairs.iter().max_by(|a, b| difference(a).total_cmp(&difference(b)))?;
        let flips = |to: bool| -> Vec<String> {
            let flipped = pairs.iter().filter(|pair| {
                let [a, b] = pair.answers.map(|answer| answer.blast);
                a != b && b == to
            });
            flipped.map(|pair| pair.path.clone()).collect()
        };
        let (flips_to_all, flips_to_hem) = (flips(true), flips(false));
        let of = |a: Decision, b: Decision| {
            pairs.iter().filter(|pair| pair.answers.map(|answer| answer.decision) == [a, b]).count()
        };
        let count = pairs.len() as f64;
        Some(Self {
            images: pairs.len(),
            agreement: 1.0 - (flips_to_all.len() + flips_to_hem.len()) as f64 / count,
            flips_to_all,
            flips_to_hem,
            mean_difference: pairs.iter().map(difference).sum::<f64>() / count,
            largest_difference: difference(most),
            largest_difference_of: most.path.clone(),
            decisions: DECISIONS.map(|a| DECISIONS.map(|b| of(a, b))),
            truth: Truth::of(pairs),
        })
    }
}

impl Truth {
    fn of(pairs: &[Pair]) -> Option<Self> {
        let number = |truth: bool| pairs.iter().filter(|pair| pair.truth == Some(truth)).count();
        let (all, hem) = (number(true), number(false));
        let [a, b] = [0, 1].map(|model| Figures::of(pairs, model));
        (all + hem > 0).then_some(Self { all, hem, a, b })
    }
}

impl Figures {
    fn of(pairs: &[Pair], model: usize) -> Self {
        let share = |among: &dyn Fn(bool) -> bool| {
            let known = pairs
                .iter()
                .filter_map(|pair| Some((pair.truth?, pair.answers[model].blast)))
                .filter(|(truth, _)| among(*truth));
            let (mut right, mut all) = (0_usize, 0_usize);
            for (truth, said) in known {
                all += 1;
                right += usize::from(truth == said);
            }
            (all > 0).then(|| right as f64 / all as f64)
        };
        Self {
            accuracy: share(&|_| true),
            sensitivity: share(&|truth| truth),
            specificity: share(&|truth| !truth),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(path: &str, truth: Option<bool>, a: f64, b: f64) -> Pair {
        let answer = |all: f64| Answer {
            all,
            blast: all >= 0.5,
            decision: match all {
                all if (0.4..0.6).contains(&all) => Decision::Review,
                all if all >= 0.5 => Decision::All,
                _ => Decision::Hem,
            },
        };
        Pair { path: path.to_owned(), truth, answers: [answer(a), answer(b)] }
    }

    #[test]
    fn pairs_are_counted_as_by_hand() {
        let pairs = [
            pair("1", Some(true), 0.9, 0.8),
            pair("2", Some(true), 0.45, 0.7),
            pair("3", Some(false), 0.7, 0.1),
            pair("4", None, 0.2, 0.55),
        ];
        let comparison = Comparison::of(&pairs).unwrap();
        assert!((comparison.agreement - 0.25).abs() < 1e-12);
        assert_eq!(comparison.flips_to_all, ["2", "4"]);
        assert_eq!(comparison.flips_to_hem, ["3"]);
        assert!((comparison.mean_difference - (0.1 + 0.25 + 0.6 + 0.35) / 4.0).abs() < 1e-12);
        assert_eq!(comparison.largest_difference_of, "3");
        assert_eq!(comparison.decisions, [[1, 1, 0], [0, 0, 1], [1, 0, 0]]);
        let truth = comparison.truth.unwrap();
        assert_eq!((truth.all, truth.hem), (2, 1));
        assert_eq!((truth.a.sensitivity, truth.a.specificity), (Some(0.5), Some(0.0)));
        assert_eq!((truth.b.sensitivity, truth.b.specificity), (Some(1.0), Some(1.0)));
        assert_eq!(truth.b.accuracy, Some(1.0));
    }

    #[test]
    fn without_images_there_is_nothing_to_say() {
        assert!(Comparison::of(&[]).is_none());
        assert!(Comparison::of(&[pair("1", None, 0.1, 0.1)]).unwrap().truth.is_none());
    }
}
