//! Where in the picture a network's answer comes from.
//!
//! A map of the last activation's places, in logits, of what spoke for `all` (positive) and what
//! for `hem` (negative). It comes from the same run as the probabilities, in closed form
//! ([`Head`]), and adds up: all places together with [`HeatMap::constant`] are the difference of
//! the two logits, before calibration. It says what the network looked at, not whether it was
//! right.

#[cfg(doc)]
use crate::head::Head;
use crate::head::NoHead;
use crate::serving::{Model, Seen};
use image::RgbImage;
use leukd_cell::preprocess::Placement;
use leukd_cell::words::Label;

/// A map of one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    /// Rows of the map.
    pub rows: usize,
    /// Columns of the map.
    pub columns: usize,
    /// Row-major, `rows · columns` numbers: each place's part of `logit(all) − logit(hem)`.
    pub contributions: Vec<f64>,
    /// Row-major, 0 or more, without a unit: Grad-CAM for `logit(all) − logit(hem)`
    /// ([`Head::grad_cam`]).
    pub grad_cam: Vec<f64>,
    /// What the head gives of itself: `contributions` and it add up to `difference`.
    pub constant: f64,
    /// `logit(all) − logit(hem)`, before the calibration's temperature.
    pub difference: f64,
    /// Which part of the picture the map covers.
    pub placement: Placement,
}

impl HeatMap {
    /// The map of what `model` saw in `picture`.
    ///
    /// # Errors
    ///
    /// [`NoHead`] where the network's head is none that leukd knows.
    pub fn of(model: &Model, seen: &Seen, picture: &RgbImage) -> Result<Self, NoHead> {
        let head = model.head().map_err(Clone::clone)?;
        let Seen { activation: Some(activation), pooled: Some(pooled), .. } = seen else {
            return Err(NoHead("its last activation was not kept".to_owned()));
        };
        let labels = &model.manifest().labels;
        let direction: Vec<f32> = labels
            .iter()
            .map(|label| if label == Label::All.as_str() { 1.0 } else { -1.0 })
            .collect();
        let gradient = head
            .gradient(&seen.bends, &direction)
            .ok_or_else(|| NoHead("what went into its ReLUs was not kept".to_owned()))?;
        let contributions = head.contributions(activation, pooled, &gradient);
        let difference: f64 =
            seen.logits.iter().zip(&direction).map(|(logit, sign)| logit * f64::from(*sign)).sum();
        let constant = difference - contributions.iter().sum::<f64>();
        Ok(Self {
            rows: activation.height,
            columns: activation.width,
            grad_cam: head.grad_cam(activation, &gradient),
            contributions,
            constant,
            difference,
            placement: model.manifest().preprocessing.placement(picture),
        })
    }
}
