//! What is said of a specimen: its blast fraction, the fraction corrected for the model's measured
//! errors, on which side of the configured flags both lie, and the score of its cells taken
//! together. Words for a person to weigh, never a diagnosis.

mod score;

use crate::fraction::{Corrected, LEAST_YOUDEN, Rate, Share, Standing, corrected, wilson};
use crate::journal::SpecimenCounts;
use crate::model::manifest::{Metric, Person};
use crate::result::Tally;

pub use score::{Among, SpecimenScore};

/// The model in service, as far as a specimen's fraction goes by it.
#[derive(Debug, Clone, Copy)]
pub struct Served<'a> {
    /// SHA-256 of its bundle, hexadecimal.
    pub digest: &'a str,
    /// What it was measured at.
    pub metrics: &'a [Metric],
    /// Persons whose scores are known.
    pub persons: &'a [Person],
}

/// Why there is no corrected fraction or score, or no interval of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// A stable word: `no-cells`, `from-fields`, `several-models`, `no-model`, `other-model`,
    /// `not-measured`, `weak-model`, `no-interval`, `few-cells`.
    pub code: &'static str,
    /// One sentence for a person.
    pub message: String,
}

/// The fraction corrected for the model's errors, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub struct Correction {
    /// The estimate and its interval.
    pub fraction: Option<Corrected>,
    /// The rates that it was corrected by, sensitivity first.
    pub rates: Option<(Rate, Rate)>,
    /// Why something of it is missing.
    pub missing: Option<Missing>,
}

/// One flag, and where the fractions' intervals lie beside it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Flag {
    /// The flag, a fraction between 0 and 1.
    pub fraction: f64,
    /// Of the blast fraction as it was counted; none without decided cells.
    pub counted: Option<Standing>,
    /// Of the corrected one; none without its interval.
    pub corrected: Option<Standing>,
}

/// The share of blasts among the cells that were decided; none without such. Cells under review are
/// in neither.
#[must_use]
pub fn blast_fraction(tally: &Tally) -> Option<Share> {
    wilson(tally.all, tally.all + tally.hem)
}

impl Correction {
    /// Corrects the share of cells at or above the model's threshold, among all that it classified:
    /// what its sensitivity and specificity were measured on. What was decided, with its review
    /// band, plays no part. `counts` must have been counted at the threshold of `served`.
    #[must_use]
    pub fn of(counts: &SpecimenCounts, served: Option<&Served<'_>>) -> Self {
        let rates = match rates(counts, served) {
            Ok(rates) => rates,
            Err(missing) => {
                return Self { fraction: None, rates: None, missing: Some(missing) };
            }
        };
        let (sensitivity, specificity) = rates;
        let of = counts.tally.classified();
        let fraction = corrected(counts.at_or_above, of, &sensitivity, &specificity);
        let missing = match &fraction {
            None => Some(weak(&sensitivity, &specificity)),
            Some(Corrected { interval: None, .. }) => {
                Some(without_interval(&sensitivity, &specificity))
            }
            Some(_) => None,
        };
        Self { fraction, rates: Some(rates), missing }
    }
}

/// Where the fractions' intervals lie beside each of `flags`.
#[must_use]
pub fn flags(flags: &[f64], counted: Option<&Share>, correction: &Correction) -> Vec<Flag> {
    let counted = counted.map(|share| (share.lower, share.upper));
    let corrected = correction.fraction.and_then(|fraction| fraction.interval);
    let stand = |interval: Option<(f64, f64)>, flag| interval.map(|i| Standing::of(i, flag));
    flags
        .iter()
        .map(|&fraction| Flag {
            fraction,
            counted: stand(counted, fraction),
            corrected: stand(corrected, fraction),
        })
        .collect()
}

/// The one model that classified all of the cells, all of them cut out: only then are they alike.
fn one_model<'a>(
    counts: &SpecimenCounts,
    served: Option<&Served<'a>>,
) -> Result<Served<'a>, Missing> {
    let missing = |code, message: &str| Err(Missing { code, message: message.to_owned() });
    if counts.tally.classified() == 0 {
        return missing("no-cells", "no cell was classified");
    }
    if counts.from_fields > 0 {
        let message = format!(
            "{} of these cells come from fields of view: the model's errors were measured on segmented cells of one \
             scale and kind, and are not known for others",
            counts.from_fields
        );
        return Err(Missing { code: "from-fields", message });
    }
    let [model] = counts.models.as_slice() else {
        return missing(
            "several-models",
            "more than one model classified these cells, and each errs in its own way",
        );
    };
    let Some(served) = served else {
        return missing(
            "no-model",
            "no model is in service whose errors are known: ask again later",
        );
    };
    if served.digest != model {
        return missing(
            "other-model",
            "the model that classified these cells is no longer in service, and its errors are not known here",
        );
    }
    Ok(*served)
}

/// Sensitivity and specificity of the one model that classified the cells.
fn rates(counts: &SpecimenCounts, served: Option<&Served<'_>>) -> Result<(Rate, Rate), Missing> {
    let served = one_model(counts, served)?;
    let rate = |name: &str| {
        let by_subject = |metric: &&Metric| metric.name == name && metric.split == "subject";
        let metric = served.metrics.iter().find(by_subject)?;
        let sound = (0.0..=1.0).contains(&metric.value);
        sound.then_some(Rate {
            value: metric.value,
            interval: metric.interval,
            cells: metric.cells,
        })
    };
    match (rate("sensitivity"), rate("specificity")) {
        (Some(sensitivity), Some(specificity)) => Ok((sensitivity, specificity)),
        _ => Err(Missing {
            code: "not-measured",
            message: "the model's sensitivity and specificity were not measured on subjects that it had not seen"
                .to_owned(),
        }),
    }
}

fn weak(sensitivity: &Rate, specificity: &Rate) -> Missing {
    let message = format!(
        "sensitivity {:.3} and specificity {:.3} of the model add up to less than {:.1}: it tells too little to correct by",
        sensitivity.value,
        specificity.value,
        1.0 + LEAST_YOUDEN
    );
    Missing { code: "weak-model", message }
}

fn without_interval(sensitivity: &Rate, specificity: &Rate) -> Missing {
    let name = match (sensitivity.effective_cells(), specificity.effective_cells()) {
        (None, None) => "sensitivity and specificity have",
        (None, Some(_)) => "sensitivity has",
        _ => "specificity has",
    };
    let message = format!(
        "the model's {name} no interval, as where a single subject was measured: how far the fraction may be off is not known"
    );
    Missing { code: "no-interval", message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts() -> SpecimenCounts {
        SpecimenCounts {
            tally: Tally { all: 30, hem: 60, review: 10, rejected: 5 },
            at_or_above: 35,
            from_fields: 0,
            models: vec!["m".to_owned()],
            ..SpecimenCounts::default()
        }
    }

    fn metric(name: &str, value: f64, interval: Option<(f64, f64)>, split: &str) -> Metric {
        let (name, split) = (name.to_owned(), split.to_owned());
        Metric { name, value, interval, split, cells: 400, subjects: 9, siblings: None }
    }

    fn measured() -> Vec<Metric> {
        vec![
            metric("sensitivity", 0.5, Some((0.4, 0.6)), "image"),
            metric("sensitivity", 0.9, Some((0.85, 0.95)), "subject"),
            metric("specificity", 0.8, Some((0.7, 0.88)), "subject"),
        ]
    }

    fn corrected(counts: &SpecimenCounts, metrics: &[Metric]) -> Correction {
        Correction::of(counts, Some(&Served { digest: "m", metrics, persons: &[] }))
    }

    fn code(correction: &Correction) -> &'static str {
        correction.missing.as_ref().map_or("", |missing| missing.code)
    }

    #[test]
    fn the_correction_goes_by_what_the_rates_were_measured_on() {
        let correction = corrected(&counts(), &measured());
        assert_eq!(code(&correction), "");
        // (35 of 100 + 0.8 − 1) / (0.9 + 0.8 − 1); by decisions it would have been 30 of 90.
        let value = correction.fraction.unwrap().value;
        assert!((value - 0.15 / 0.7).abs() < 1e-12, "{value}");
    }

    #[test]
    fn what_is_missing_is_said_with_a_stable_word() {
        let metrics = measured();
        let change = |change: fn(&mut SpecimenCounts)| {
            let mut counts = counts();
            change(&mut counts);
            corrected(&counts, &metrics)
        };
        let none = change(|counts| counts.tally = Tally { rejected: 3, ..Tally::default() });
        assert_eq!(code(&none), "no-cells");
        assert_eq!(code(&change(|counts| counts.models.push("n".to_owned()))), "several-models");
        assert_eq!(code(&change(|counts| counts.models = vec!["n".to_owned()])), "other-model");
        assert_eq!(code(&Correction::of(&counts(), None)), "no-model");
        assert_eq!(code(&corrected(&counts(), &metrics[..2])), "not-measured");
        assert_eq!(code(&corrected(&counts(), &[])), "not-measured");
        let weak = [metrics[1].clone(), metric("specificity", 0.15, None, "subject")];
        assert_eq!(code(&corrected(&counts(), &weak)), "weak-model");
        // As where one healthy subject was measured: its bootstrap has no width.
        let narrow =
            [metrics[1].clone(), metric("specificity", 0.85, Some((0.85, 0.85)), "subject")];
        let told = corrected(&counts(), &narrow);
        assert_eq!(code(&told), "no-interval");
        assert!(told.fraction.is_some_and(|fraction| fraction.interval.is_none()));
        assert!(told.missing.unwrap().message.contains("specificity has no interval"));
    }

    #[test]
    fn a_flag_is_above_below_or_undecided_on_either_fraction() {
        let counts = counts();
        let share = blast_fraction(&counts.tally);
        let correction = corrected(&counts, &measured());
        let standing = |fraction: f64| {
            let flag = flags(&[fraction], share.as_ref(), &correction)[0];
            (flag.counted.unwrap().as_str(), flag.corrected.unwrap().as_str())
        };
        assert_eq!(standing(0.02), ("above", "above"));
        assert_eq!(standing(0.2), ("above", "undecided"));
        assert_eq!(standing(0.35), ("undecided", "undecided"));
        assert_eq!(standing(0.6), ("below", "below"));
        let nothing = Correction::of(&counts, None);
        assert_eq!(flags(&[0.2], None, &nothing)[0].counted, None);
        assert_eq!(flags(&[0.2], None, &nothing)[0].corrected, None);
    }
}
