//! What a model knows of the cells that it was trained on, and so which captures are none of their
//! kind.
//!
//! Two looks, both cheap: the picture's own [`Measures`] against the bounds that the training cells
//! keep, and the network's pooled features against where theirs lie. Neither says what a capture is
//! instead. A capture that either doubts is left to a person, with the reason.

mod fit;
mod space;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use fit::{FALSE_ALARMS, FitError, Sample, fit};
pub use space::{FeatureSpace, Space};

use super::manifest_error::ManifestError;
use leukd_cell::Measures;
use leukd_cell::words::{Reason, ReasonCode};

/// What a bundle says of its training cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The cells in words: which, and of whom.
    pub data: String,
    /// How many cells the bounds and the space were taken from.
    pub cells: u64,
    /// Lower and upper bound of each measure, by its name ([`Measures::NAMES`]): outside lies one
    /// training cell in 500 on each side.
    pub bounds: BTreeMap<String, (f64, f64)>,
    /// Where the pooled features lie; absent where the network's head is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<FeatureSpace>,
    /// The share of other real cells, 0 to 1, that was to be doubted at the most when
    /// `features.limit` was chosen.
    pub asked_false_alarms: f64,
    /// The share of them that bounds and limit together doubt.
    pub false_alarms: f64,
    /// How many those cells are: none of them is among the training cells.
    pub validation_cells: u64,
}

impl Reference {
    /// Whether every field says something possible.
    ///
    /// # Errors
    ///
    /// The first field that does not.
    pub(super) fn check(&self) -> Result<(), ManifestError> {
        let wrong = |field: &str, problem: String| {
            Err(ManifestError::new(format!("reference.{field}"), problem))
        };
        for (name, (lower, upper)) in &self.bounds {
            if !Measures::NAMES.contains(&name.as_str()) {
                let problem = format!("there is no such measure: {}", Measures::NAMES.join(", "));
                return wrong(&format!("bounds.{name}"), problem);
            }
            if !(lower.is_finite() && upper.is_finite() && lower <= upper) {
                return wrong(
                    &format!("bounds.{name}"),
                    format!("{lower} to {upper} are no bounds"),
                );
            }
        }
        for (field, share) in
            [("asked_false_alarms", self.asked_false_alarms), ("false_alarms", self.false_alarms)]
        {
            if !(0.0..=1.0).contains(&share) {
                return wrong(field, format!("{share} is not 0 to 1"));
            }
        }
        self.features.as_ref().map_or(Ok(()), FeatureSpace::check)
    }

    /// What of a picture's measures lies outside the training cells' bounds, as reasons to look at
    /// it.
    #[must_use]
    pub fn doubts_of_measures(&self, measures: &Measures) -> Vec<Reason> {
        let named = Measures::NAMES.iter().zip(measures.values());
        named
            .filter_map(|(name, value)| {
                let (lower, upper) = *self.bounds.get(*name)?;
                let is_low = value < lower;
                (is_low || value > upper).then(|| doubt(name, is_low, value, (lower, upper)))
            })
            .collect()
    }
}

/// The doubt of a picture without any foreground.
pub(super) fn no_cell() -> Reason {
    Reason::new(ReasonCode::NoCell, "nothing in the picture is not black: there is no cell")
}

/// One measure outside its bounds.
fn doubt(name: &str, is_low: bool, value: f64, (lower, upper): (f64, f64)) -> Reason {
    let (code, what) = match (name, is_low) {
        ("area", true) => (
            ReasonCode::UnusualSize,
            "the cell is smaller than nearly all that the model was trained on",
        ),
        ("area", false) => (
            ReasonCode::UnusualSize,
            "the cell is larger than nearly all that the model was trained on",
        ),
        ("frame", _) => (
            ReasonCode::CutOff,
            "more of the picture's edge is not black than with the training cells: the cell is cut off, or stands on no black",
        ),
        ("solidity", _) => (
            ReasonCode::SeveralCells,
            "its outline is not that of one cell: there are several, or it is cut",
        ),
        ("sharpness", true) => (
            ReasonCode::Blurred,
            "the picture is less sharp than nearly all that the model was trained on",
        ),
        ("sharpness", false) => (
            ReasonCode::UnusualTexture,
            "the picture is grainier than nearly all that the model was trained on",
        ),
        ("brightness", _) => (
            ReasonCode::UnusualLight,
            "it is lit otherwise than nearly all that the model was trained on",
        ),
        ("contrast", _) => (
            ReasonCode::UnusualContrast,
            "its contrast is not that of nearly all that the model was trained on",
        ),
        ("hue", _) => (
            ReasonCode::UnusualHue,
            "it has another hue than nearly all that the model was trained on",
        ),
        _ => (
            ReasonCode::UnusualStain,
            "it is stained otherwise than nearly all that the model was trained on",
        ),
    };
    let number = |value: f64| {
        if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.3}") }
    };
    let message = format!(
        "{what} ({name} {}, of theirs {} to {}): a person should look at it",
        number(value),
        number(lower),
        number(upper)
    );
    Reason::new(code, message)
}

/// The doubt of features that lie `distance` away, where `limit` is the most.
pub(super) fn far(distance: f64, limit: f64) -> Reason {
    let message = format!(
        "to the network it is unlike the cells that it was trained on (distance {distance:.2}, limit {limit:.2}): it may be \
         another kind of cell, or no cell; a person should look at it"
    );
    Reason::new(ReasonCode::UnlikeTraining, message)
}
