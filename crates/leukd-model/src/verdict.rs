//! What a model says of one capture: the words, and the way from P(all) to them.

use crate::band::Band;
use leukd_cell::figures::Figures;
use leukd_cell::words::{Label, ReasonCode};
use leukd_cell::{Decision, Reason};

/// Label and decision for one cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The likelier class.
    pub label: Label,
    /// What leukd suggests: never `Rejected`.
    pub decision: Decision,
    /// Why, where the decision is `Review`: doubts about the capture first, then at most one
    /// [`ReasonCode::LowConfidence`].
    pub reasons: Vec<Reason>,
}

/// All that is said of one capture.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Calibrated, 0 to 1, in the order of the manifest's labels; they add up to 1.
    pub probabilities: Vec<f64>,
    /// By P(all), the review band and the doubts.
    pub judgement: Judgement,
    /// What was measured.
    pub figures: Figures,
}

impl Judgement {
    /// By P(all) and the band alone.
    pub(super) fn of(band: &Band, all: f64) -> Self {
        let label = Label::likelier(all);
        let decision = band.decide(all);
        if decision != Decision::Review {
            return Self { label, decision, reasons: Vec::new() };
        }
        let (lower, upper) = band.in_force();
        let whose = if band.is_by_configuration(all) {
            "which the configuration leaves to a person (decision.review)"
        } else {
            "where the model is not sure"
        };
        let message = format!(
            "P(all) is {all:.3}, between {lower:.3} and {upper:.3}, {whose}: a person should look at this cell"
        );
        Self { label, decision, reasons: vec![Reason::new(ReasonCode::LowConfidence, message)] }
    }

    /// The same for a capture that may be none of the kind that the model was trained on: `review`,
    /// with these reasons first. Without a doubt nothing changes.
    #[must_use]
    pub fn doubted(self, doubts: Vec<Reason>) -> Self {
        if doubts.is_empty() {
            return self;
        }
        let reasons = [doubts, self.reasons].concat();
        Self { decision: Decision::Review, reasons, ..self }
    }

    /// Whether the capture may be none of the kind that the model was trained on.
    #[must_use]
    pub fn is_doubted(&self) -> bool {
        self.reasons.iter().any(|reason| reason.code != ReasonCode::LowConfidence)
    }
}
