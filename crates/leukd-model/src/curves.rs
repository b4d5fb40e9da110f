//! Curves of a model's measurement and of its training, for people who would rather look than read.
//! Nothing is decided by them.

use serde::{Deserialize, Serialize};

use crate::manifest_error::ManifestError;

/// The most curves of one bundle, one a protocol.
const MOST_CURVES: usize = 8;

/// The most points of one curve.
pub const MOST_POINTS: usize = 256;

/// The most epochs of a learning curve.
const MOST_EPOCHS: usize = 4096;

/// Curves of one protocol's test cells, at the calibrated P(all).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curves {
    /// `image` or `subject`, as in [`Metric`](crate::manifest::Metric).
    pub split: String,
    /// How many cells.
    pub cells: u64,
    /// Of how many subjects.
    pub subjects: u64,
    /// Points (1 − specificity, sensitivity), both 0 to 1, in rising order.
    pub roc: Vec<(f64, f64)>,
    /// Of each bin with cells: mean confidence in the likelier class, share of the cells that are
    /// of it, both 0 to 1, and how many cells.
    pub reliability: Vec<(f64, f64, u64)>,
    /// Points (share of the cells that are decided, the surest first; share of those that are
    /// wrong), both 0 to 1.
    pub risk_coverage: Vec<(f64, f64)>,
}

/// One epoch of the training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// 1, 2, 3, …
    pub epoch: u32,
    /// Mean loss while it learned.
    pub training_loss: f64,
    /// Mean loss on cells that it did not learn from.
    pub validation_loss: f64,
}

/// Whether the curves can be drawn.
///
/// # Errors
///
/// The first that cannot.
pub(crate) fn check(curves: &[Curves], learning: &[Epoch]) -> Result<(), ManifestError> {
    if curves.len() > MOST_CURVES {
        let problem = format!("{} protocols; at most {MOST_CURVES}", curves.len());
        return Err(ManifestError::new("curves", problem));
    }
    let share = 0.0..=1.0;
    for (at, own) in curves.iter().enumerate() {
        let bins = own.reliability.iter().map(|(confidence, accuracy, _)| (*confidence, *accuracy));
        for (name, points) in [
            ("roc", own.roc.clone()),
            ("reliability", bins.collect()),
            ("risk_coverage", own.risk_coverage.clone()),
        ] {
            let wrong =
                |problem: String| Err(ManifestError::new(format!("curves[{at}].{name}"), problem));
            if points.len() > MOST_POINTS {
                return wrong(format!("{} points; at most {MOST_POINTS}", points.len()));
            }
            if let Some((x, y)) =
                points.iter().find(|(x, y)| !share.contains(x) || !share.contains(y))
            {
                return wrong(format!("({x}, {y}) is no point within 0 to 1"));
            }
        }
    }
    if learning.len() > MOST_EPOCHS {
        let problem = format!("{} epochs; at most {MOST_EPOCHS}", learning.len());
        return Err(ManifestError::new("learning", problem));
    }
    let finite = |own: &Epoch| own.training_loss.is_finite() && own.validation_loss.is_finite();
    if let Some(at) = learning.iter().position(|own| !finite(own)) {
        return Err(ManifestError::new(format!("learning[{at}]"), "a loss is not finite"));
    }
    Ok(())
}
