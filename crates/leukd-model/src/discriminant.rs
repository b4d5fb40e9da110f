//! A second opinion beside the network: a weighed sum of a cell's morphometry.
//!
//! A network that learns from few persons learns those persons. A linear discriminant whose noise
//! is what varies between persons of one class holds better for new ones, and so does the sum of
//! both (a product of experts; Hinton 2002, "Training products of experts by minimizing contrastive
//! divergence"). The score is added to the network's logit of `all`.

use leukd_cell::Morphometry;
use serde::{Deserialize, Serialize};

use crate::manifest_error::ManifestError;

/// Standardised figures count within ± this many deviations: one odd figure decides nothing.
pub const MOST_DEVIATIONS: f64 = 6.0;

/// Most that a score served here may differ from the one at the making of the bundle.
pub const SCORE_TOLERANCE: f64 = 1e-3;

/// Weights of a cell's figures, and of their products with a few of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discriminant {
    /// The cells that it was fitted on, in words.
    pub data: String,
    /// Number of those cells.
    pub cells: u64,
    /// Number of their persons.
    pub persons: u64,
    /// Figures whose products with every figure count too: what a figure means may depend on the
    /// cell's size and on the density of its stain.
    pub factors: Vec<String>,
    /// Every figure, in the order of [`Morphometry::iter`].
    pub figures: Vec<Weighed>,
    /// Added to the sum.
    pub offset: f64,
    /// Scores of the manifest's golden inputs, in their order, as the maker saw them.
    pub golden: Vec<f64>,
}

/// A figure's scale and weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weighed {
    /// The figure's name.
    pub name: String,
    /// Its own scale and weight.
    pub alone: Weight,
    /// Scale and weight of its product with each factor, both standardised.
    pub products: Vec<Weight>,
}

/// Scale and weight of one number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weight {
    /// Mean over the cells that it was fitted on.
    pub mean: f64,
    /// Standard deviation over them, above 0.
    pub deviation: f64,
    /// Logits of `all` a deviation.
    pub weight: f64,
}

impl Weight {
    /// `value` in deviations from the mean, within [`MOST_DEVIATIONS`].
    #[must_use]
    pub fn standardised(&self, value: f64) -> f64 {
        ((value - self.mean) / self.deviation).clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS)
    }
}

impl Discriminant {
    /// Logits to add to the network's logit of `all`.
    #[must_use]
    pub fn score(&self, seen: &Morphometry) -> f64 {
        let values: Vec<f64> = self
            .figures
            .iter()
            .zip(seen.iter())
            .map(|(figure, (_, value))| figure.alone.standardised(value))
            .collect();
        let factors = self.places().into_iter().flatten().map(|place| values[place]);
        let factors: Vec<f64> = factors.collect();
        let of = |(figure, own): (&Weighed, &f64)| {
            let products = figure.products.iter().zip(&factors);
            let products = products.map(|(of, factor)| of.weight * of.standardised(own * factor));
            figure.alone.weight * own + products.sum::<f64>()
        };
        self.offset + self.figures.iter().zip(&values).map(of).sum::<f64>()
    }

    /// Place of each factor among the figures.
    fn places(&self) -> Vec<Option<usize>> {
        let place = |factor: &String| self.figures.iter().position(|own| own.name == *factor);
        self.factors.iter().map(place).collect()
    }

    /// # Errors
    ///
    /// The first field that says something impossible. `golden` is the number of golden inputs.
    pub(crate) fn check(&self, golden: usize) -> Result<(), ManifestError> {
        let wrong = |field: String, problem: String| {
            Err(ManifestError::new(format!("discriminant.{field}"), problem))
        };
        let names = Morphometry::names();
        if self.figures.len() != names.len() {
            let problem =
                format!("{} figures; this leukd measures {}", self.figures.len(), names.len());
            return wrong("figures".to_owned(), problem);
        }
        for (index, (figure, name)) in self.figures.iter().zip(names).enumerate() {
            let at = format!("figures[{index}]");
            if figure.name != *name {
                let problem =
                    format!("{:?} stands where this leukd measures {name:?}", figure.name);
                return wrong(format!("{at}.name"), problem);
            }
            if figure.products.len() != self.factors.len() {
                let (own, factors) = (figure.products.len(), self.factors.len());
                return wrong(format!("{at}.products"), format!("{own} for {factors} factors"));
            }
            for weight in std::iter::once(&figure.alone).chain(&figure.products) {
                let Weight { mean, deviation, weight } = *weight;
                if !(mean.is_finite()
                    && weight.is_finite()
                    && deviation.is_finite()
                    && deviation > 0.0)
                {
                    let problem = format!(
                        "mean {mean}, deviation {deviation}, weight {weight}: finite numbers, and a deviation \
                         above 0"
                    );
                    return wrong(at, problem);
                }
            }
        }
        if let Some(unknown) = self.places().iter().position(Option::is_none) {
            return wrong(
                "factors".to_owned(),
                format!("{:?} is no figure", self.factors[unknown]),
            );
        }
        if !self.offset.is_finite() {
            return wrong("offset".to_owned(), format!("{} is no number", self.offset));
        }
        if self.golden.len() != golden {
            let problem = format!("{} scores for {golden} golden inputs", self.golden.len());
            return wrong("golden".to_owned(), problem);
        }
        Ok(())
    }
}
