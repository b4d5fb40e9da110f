//! Which cells a person looks at: the model's own review band, and what the configuration adds to
//! it.
//!
//! The trainer chooses a model's band on cells that the network was not fitted on, at a risk that
//! its card tells. A site may be more careful, and only that: what is in force is the hull of both
//! bands.

use crate::manifest::Calibration;
use leukd_cell::Decision;

/// The setting, as its messages name it.
const SETTING: &str = "decision.review";

/// A model's calibration with the review band in force.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    calibration: Calibration,
    asked: Option<(f64, f64)>,
    in_force: (f64, f64),
}

/// The configured band fits no model with this threshold.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "{SETTING}: [{lower}, {upper}] does not contain this model's threshold on P(all), {threshold}: a band lies around \
     the place where decisions change; write one that contains it, or take the setting out"
)]
pub struct BandError {
    /// The configured band's lower end.
    pub lower: f64,
    /// Its upper end.
    pub upper: f64,
    /// The model's threshold.
    pub threshold: f64,
}

/// What one end of the configured band does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// More is left to a person than the model asks for.
    Moves,
    /// It is the model's.
    Same,
    /// It lies inside the model's band.
    Nothing,
}

impl Band {
    /// The model's own band.
    #[must_use]
    pub const fn own(calibration: Calibration) -> Self {
        Self { calibration, asked: None, in_force: calibration.review }
    }

    /// The hull of the model's own band and the configured one, 0 to 1: the configuration leaves
    /// more to a person, never less. A band with equal ends is none, and the other one is in force
    /// as it is.
    ///
    /// # Errors
    /// The configured band does not contain the model's threshold.
    pub fn with(calibration: Calibration, asked: Option<(f64, f64)>) -> Result<Self, BandError> {
        let Some((lower, upper)) = asked else { return Ok(Self::own(calibration)) };
        let threshold = calibration.threshold;
        if !(lower..=upper).contains(&threshold) {
            return Err(BandError { lower, upper, threshold });
        }
        let (low, high) = calibration.review;
        let in_force = if low < high { (low.min(lower), high.max(upper)) } else { (lower, upper) };
        Ok(Self { calibration, asked, in_force })
    }

    /// The band in force, `[lower, upper)`.
    #[must_use]
    pub const fn in_force(&self) -> (f64, f64) {
        self.in_force
    }

    /// What leukd suggests at this calibrated P(all): [`Calibration::decide`] with the band in
    /// force.
    #[must_use]
    pub fn decide(&self, all: f64) -> Decision {
        Calibration { review: self.in_force, ..self.calibration }.decide(all)
    }

    /// Whether a cell at this P(all) is left to a person by the configuration alone.
    #[must_use]
    pub fn is_by_configuration(&self, all: f64) -> bool {
        self.decide(all) == Decision::Review && self.calibration.decide(all) != Decision::Review
    }

    /// What the configuration changes about the model's band, in words; none where it says nothing.
    #[must_use]
    pub fn why(&self) -> Option<String> {
        let (lower, upper) = self.asked?;
        let (low, high) = self.calibration.review;
        if low >= high {
            return Some(format!("{SETTING} [{lower}, {upper}]: the model has no band of its own"));
        }
        let (below, above) = self.ends();
        let tell = |name, end, asked, own| match end {
            End::Moves => format!("its {name} end {asked} takes the place of the model's {own}"),
            End::Same => format!("its {name} end {asked} is the model's too"),
            End::Nothing => format!(
                "its {name} end {asked} changes nothing, because the model's {own} leaves more to a person"
            ),
        };
        let (below, above) = (tell("lower", below, lower, low), tell("upper", above, upper, high));
        Some(format!("{SETTING} [{lower}, {upper}]: {below}; {above}"))
    }

    /// The same where the configuration asks for something that it does not get, for a warning.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let (below, above) = self.ends();
        if below != End::Nothing && above != End::Nothing {
            return None;
        }
        let why = self.why()?;
        Some(format!("{why}; the configuration can leave more cells to a person, never fewer"))
    }

    fn ends(&self) -> (End, End) {
        let (low, high) = self.calibration.review;
        let (lower, upper) = self.asked.unwrap_or((low, high));
        if low >= high {
            return (End::Moves, End::Moves);
        }
        // How far each end lies outside the model's band.
        let end = |beyond: f64| match beyond {
            beyond if beyond > 0.0 => End::Moves,
            beyond if beyond < 0.0 => End::Nothing,
            _ => End::Same,
        };
        (end(low - lower), end(upper - high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn band(review: (f64, f64), asked: (f64, f64)) -> Band {
        let calibration = Calibration { temperature: 1.0, threshold: 0.5, review };
        Band::with(calibration, Some(asked)).unwrap()
    }

    #[test]
    fn the_configuration_leaves_more_to_a_person_and_never_less() {
        for (own, asked, in_force) in [
            ((0.4, 0.6), (0.3, 0.7), (0.3, 0.7)),
            ((0.4, 0.6), (0.45, 0.55), (0.4, 0.6)),
            ((0.4, 0.6), (0.3, 0.55), (0.3, 0.6)),
            ((0.4, 0.6), (0.45, 0.9), (0.4, 0.9)),
            ((0.4, 0.6), (0.4, 0.6), (0.4, 0.6)),
            // No band of its own, wherever it stands.
            ((0.1, 0.1), (0.45, 0.55), (0.45, 0.55)),
            // A band beside the threshold: what lies between goes to a person too.
            ((0.6, 0.8), (0.4, 0.5), (0.4, 0.8)),
        ] {
            let band = band(own, asked);
            assert_eq!(band.in_force(), in_force, "{own:?} {asked:?}");
            let own = Band::own(band.calibration);
            for step in 0..=1000 {
                let all = f64::from(step) / 1000.0;
                match (own.decide(all), band.decide(all)) {
                    (Decision::Review, other) => assert_eq!(other, Decision::Review, "{all}"),
                    (_, Decision::Review) => assert!(band.is_by_configuration(all)),
                    (one, other) => assert_eq!(one, other, "{all}"),
                }
            }
        }
    }

    #[test]
    fn what_the_configuration_does_not_get_is_said() {
        assert_eq!(band((0.4, 0.6), (0.3, 0.6)).warning(), None);
        assert_eq!(band((0.5, 0.5), (0.3, 0.6)).warning(), None);
        let warning = band((0.4, 0.6), (0.45, 0.7)).warning().unwrap();
        assert!(warning.contains("its lower end 0.45 changes nothing"), "{warning}");
        assert!(warning.contains("its upper end 0.7 takes the place of the model's 0.6"));
        assert!(warning.ends_with("never fewer"));
        let calibration = Calibration { temperature: 1.0, threshold: 0.5, review: (0.4, 0.6) };
        assert_eq!((Band::own(calibration).why(), Band::own(calibration).warning()), (None, None));
    }

    #[test]
    fn a_band_without_the_models_threshold_is_refused_by_name() {
        let calibration = Calibration { temperature: 1.0, threshold: 0.5, review: (0.4, 0.6) };
        let error = Band::with(calibration, Some((0.1, 0.4))).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("decision.review: [0.1, 0.4] does not contain"), "{text}");
    }
}
