//! What quantization found, and what a form may cost.

use serde::Serialize;

/// What a form may cost at most, against f32 on the validation cells.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Gate {
    /// Of accuracy, in points (hundredths of 1).
    pub max_accuracy_loss: f64,
    /// Of sensitivity at the specificity that f32 has at its threshold, in points.
    pub max_sensitivity_loss: f64,
    /// Times f32's time a cell, beyond what two copies of f32 differ by.
    pub max_slowdown: f64,
}

impl Default for Gate {
    /// Half a point of accuracy, one point of sensitivity, one twentieth of the time.
    fn default() -> Self {
        Self { max_accuracy_loss: 0.5, max_sensitivity_loss: 1.0, max_slowdown: 1.05 }
    }
}

/// What was measured of f32 itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reference {
    /// SHA-256 of its file.
    pub digest: String,
    /// Its file's size.
    pub bytes: usize,
    /// How many validation cells.
    pub cells: usize,
    /// Of these, the share that is decided rightly at its temperature and threshold.
    pub accuracy: f64,
    /// Mean of sensitivity and specificity there.
    pub balanced_accuracy: f64,
    /// At the lowest threshold with the specificity below: what forms' sensitivity is compared
    /// with.
    pub sensitivity: f64,
    /// At its threshold.
    pub specificity: f64,
    /// A cell through the network, one thread: the median.
    pub milliseconds: f64,
    /// How far two copies of f32 differ in time, as a share of it: what timing is good for on this
    /// machine, now.
    pub timing_noise: f64,
    /// To read, compile and test the bundle.
    pub load_milliseconds: f64,
}

/// What was measured of one form. Changes are the form's figure less that of f32, as shares of 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measured {
    /// At f32's temperature and threshold.
    pub accuracy_change: f64,
    /// There too.
    pub balanced_accuracy_change: f64,
    /// Each at the lowest threshold with the specificity that f32 has at its own.
    pub sensitivity_change: f64,
    /// Cells that f32 decides as `hem` and the form as `all`.
    pub flips_to_all: usize,
    /// The other way.
    pub flips_to_hem: usize,
    /// Mean |Δ P(all)| over the cells.
    pub mean_difference: f64,
    /// The largest one.
    pub largest_difference: f64,
    /// A cell through the network, one thread: the median.
    pub milliseconds: f64,
    /// The median of its time over f32's on the same cell.
    pub slowdown: f64,
    /// To read, compile and test the bundle.
    pub load_milliseconds: f64,
}

/// Whether a form may be served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "reason", rename_all = "lowercase")]
pub enum Verdict {
    /// It keeps to the gate.
    Kept,
    /// It does not, or does not work at all: why.
    Refused(String),
}

/// One form.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// `f16`, `int8`, `int8-mse`, `int8-corrected` or `int8-full`.
    pub name: &'static str,
    /// Its file's size; 0 where none could be made.
    pub bytes: usize,
    /// Layers that were left in f32 altogether, worst first.
    pub kept_float: Vec<String>,
    /// None for a form that the engine cannot run. In JSON its fields are the row's own.
    #[serde(flatten)]
    pub measured: Option<Measured>,
    /// In JSON `verdict` and, where it is refused, `reason`.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// Everything that came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// f32 itself.
    pub reference: Reference,
    /// What was asked of the forms.
    pub gate: Gate,
    /// How many training cells the forms were calibrated on.
    pub calibration_cells: usize,
    /// One a form.
    pub rows: Vec<Row>,
    /// The row with the smallest file among those that are kept; of files as small to a hundredth,
    /// the one whose P(all) differs least from f32's on the mean. None where all were refused.
    pub winner: Option<usize>,
    /// One file a row, with what it cost in its manifest; empty where none could be made.
    #[serde(skip)]
    pub bundles: Vec<Vec<u8>>,
}

impl Outcome {
    /// The winner's file; none where f32 is to stay.
    #[must_use]
    pub fn winning_bundle(&self) -> Option<&[u8]> {
        self.winner.and_then(|index| self.bundles.get(index)).map(Vec::as_slice)
    }
}

impl Gate {
    /// Whether `measured` keeps to the gate; else every reason why not. `timing_noise` is
    /// [`Reference`]'s: what two copies of f32 differ by in time is held against no form.
    #[must_use]
    pub fn judge(&self, measured: &Measured, timing_noise: f64) -> Verdict {
        let mut reasons = Vec::new();
        let mut at_most = |what: &str, change: f64, most: f64| {
            let points = -change * 100.0;
            // What is no number passes no gate. A millionth of a point is rounding.
            if points.is_nan() || points > most + 1e-6 {
                reasons.push(format!("{what} falls by {points:.2} points; {most} are allowed"));
            }
        };
        at_most("accuracy", measured.accuracy_change, self.max_accuracy_loss);
        at_most("sensitivity", measured.sensitivity_change, self.max_sensitivity_loss);
        let slowdown = measured.slowdown;
        if slowdown.is_nan() || slowdown > self.max_slowdown + timing_noise {
            reasons.push(format!(
                "it takes {slowdown:.2} times f32's time; {} times is allowed (two copies of f32 \
                 differ by {timing_noise:.2})",
                self.max_slowdown
            ));
        }
        if reasons.is_empty() { Verdict::Kept } else { Verdict::Refused(reasons.join("; ")) }
    }
}
