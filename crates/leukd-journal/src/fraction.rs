//! Shares of cells, and what a count allows to be said of them. Arithmetic alone: 95 % intervals, a
//! share corrected for a model's measured errors, and on which side of a flag an interval lies.

/// The 97.5 % quantile of the standard normal distribution.
pub(crate) const Z: f64 = 1.959_963_984_540_054;

/// Below this sensitivity + specificity − 1 (Youden's index) a model tells so little that a
/// correction by it would multiply every error by more than ten.
pub const LEAST_YOUDEN: f64 = 0.1;

/// A share, 0 to 1, with the 95 % interval that its count allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// The share.
    pub value: f64,
    /// The interval's lower end.
    pub lower: f64,
    /// Its upper end.
    pub upper: f64,
}

/// A share with its 95 % score interval (Wilson 1927, "Probable Inference, the Law of Succession,
/// and Statistical Inference", without continuity correction). It takes the cells as independent.
/// None when there is nothing to count.
#[must_use]
pub fn wilson(hits: u64, of: u64) -> Option<Share> {
    if of == 0 {
        return None;
    }
    let (hits_of, n) = (real(hits), real(of));
    let value = hits_of / n;
    let scale = 1.0 + Z * Z / n;
    let middle = (value + Z * Z / (2.0 * n)) / scale;
    let half = Z / scale * (value * (1.0 - value) / n + Z * Z / (4.0 * n * n)).sqrt();
    // At the ends the formula gives 0 and 1 but for rounding.
    let lower = if hits == 0 { 0.0 } else { middle - half };
    let upper = if hits == of { 1.0 } else { middle + half };
    Some(Share { value, lower, upper })
}

/// A model's sensitivity or specificity as it was measured elsewhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// The rate, 0 to 1.
    pub value: f64,
    /// Its 95 % interval. One of no width says nothing, as of a bootstrap over a single subject.
    pub interval: Option<(f64, f64)>,
    /// On how many cells, of both classes, it was measured.
    pub cells: u64,
}

impl Rate {
    /// How many independent cells would have given so wide an interval (Kish's effective sample
    /// size): the rate was measured on cells of few subjects, which are alike. Never more than
    /// there were. None without an interval.
    #[must_use]
    pub fn effective_cells(&self) -> Option<f64> {
        let (lower, upper) = self.interval?;
        let deviation = (upper - lower) / (2.0 * Z);
        if deviation.is_nan() || deviation <= 0.0 {
            return None;
        }
        // Of the middle: at a rate of 1 the variance of the rate itself would be 0.
        let middle = f64::midpoint(lower, upper).clamp(0.0, 1.0);
        Some((middle * (1.0 - middle) / (deviation * deviation)).min(real(self.cells)))
    }
}

/// A share corrected for a model's errors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Corrected {
    /// The estimate, 0 to 1.
    pub value: f64,
    /// Its 95 % interval; none where one of the rates has none.
    pub interval: Option<(f64, f64)>,
}

/// Corrects a share of `hits` among `of` cells for the sensitivity and specificity of whoever
/// counted the hits: Rogan & Gladen 1978, "Estimating prevalence from the results of a screening
/// test", p = (q + Sp − 1) / (Se + Sp − 1), clamped to 0..1. The rates must have been measured on
/// what is counted here, at the same threshold.
///
/// The interval is that of Lang & Reiczigel 2014, "Confidence limits for prevalence of disease
/// adjusted for estimated sensitivity and specificity" (Preventive Veterinary Medicine 113):
/// pseudo-observations are added to all three shares, the deviation follows from the three
/// variances, and the middle is shifted. It carries the uncertainty of the count and of both rates,
/// whose [effective cells](Rate::effective_cells) stand for the sizes of their samples. It is
/// clamped to 0..1 and holds the estimate. A specimen whose cells are unlike those that the rates
/// were measured on is outside of all this.
///
/// None without cells, and where Se + Sp − 1 is below [`LEAST_YOUDEN`].
#[must_use]
pub fn corrected(hits: u64, of: u64, sensitivity: &Rate, specificity: &Rate) -> Option<Corrected> {
    let youden = sensitivity.value + specificity.value - 1.0;
    if of == 0 || youden.is_nan() || youden < LEAST_YOUDEN {
        return None;
    }
    let (hits, n) = (real(hits), real(of));
    let value = ((hits / n + specificity.value - 1.0) / youden).clamp(0.0, 1.0);
    let interval = limits(hits, n, sensitivity, specificity)
        .map(|(lower, upper)| (lower.clamp(0.0, value), upper.clamp(value, 1.0)));
    Some(Corrected { value, interval })
}

/// Lang & Reiczigel's limits, not clamped.
fn limits(hits: f64, n: f64, sensitivity: &Rate, specificity: &Rate) -> Option<(f64, f64)> {
    // A rate with the two pseudo-observations, and the variance of it.
    let with_two = |rate: &Rate| {
        let cells = rate.effective_cells()?;
        let value = (cells * rate.value + 1.0) / (cells + 2.0);
        Some((value, value * (1.0 - value) / (cells + 2.0)))
    };
    let (se, variance_se) = with_two(sensitivity)?;
    let (sp, variance_sp) = with_two(specificity)?;
    let square = Z * Z;
    let q = (hits + square / 2.0) / (n + square);
    let youden = se + sp - 1.0;
    if youden <= 0.0 {
        // So few cells that the pseudo-observations outweigh them: everything is possible.
        return Some((0.0, 1.0));
    }
    let p = ((q + sp - 1.0) / youden).clamp(0.0, 1.0);
    let variance =
        q * (1.0 - q) / (n + square) + p * p * variance_se + (1.0 - p) * (1.0 - p) * variance_sp;
    let half = Z * variance.sqrt() / youden;
    let middle = p + 2.0 * square * (p * variance_se - (1.0 - p) * variance_sp);
    Some((middle - half, middle + half))
}

/// Where an interval lies beside a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// All of it above.
    Above,
    /// Around it.
    Undecided,
    /// All of it below.
    Below,
}

impl Standing {
    /// Where the interval from `lower` to `upper` lies beside `flag`; an end on the flag is around
    /// it.
    #[must_use]
    pub fn of((lower, upper): (f64, f64), flag: f64) -> Self {
        if lower > flag {
            Self::Above
        } else if upper < flag {
            Self::Below
        } else {
            Self::Undecided
        }
    }

    /// The word of the contract.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::Undecided => "undecided",
            Self::Below => "below",
        }
    }
}

/// A count as a number to compute with: exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "counts of cells are far below 2^52")]
#[must_use]
pub const fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
