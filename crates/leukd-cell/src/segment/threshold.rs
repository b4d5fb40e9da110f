//! Thresholds from a histogram alone.

/// Counts of values between two ends, in equal bins; values beyond an end count at it.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: Vec<f64>,
    from: f32,
    step: f32,
}

/// Fine enough for 8-bit pictures, and three classes are still found in well under 1 ms.
const BINS: usize = 128;

impl Histogram {
    pub(crate) fn new(from: f32, to: f32, values: impl Iterator<Item = f32>) -> Self {
        let mut histogram = Self { counts: vec![0.0; BINS], from, step: (to - from) / BINS as f32 };
        histogram.add(values);
        histogram
    }

    pub(crate) fn add(&mut self, values: impl Iterator<Item = f32>) {
        for value in values {
            let bin = super::plane::index((value - self.from) / self.step, BINS);
            self.counts[bin] += 1.0;
        }
    }

    pub(crate) fn total(&self) -> f64 {
        self.counts.iter().sum()
    }

    /// Square roots of the counts: a rare class weighs more beside a common one.
    pub(crate) fn evened(mut self) -> Self {
        self.counts.iter_mut().for_each(|count| *count = count.sqrt());
        self
    }

    /// The value below which `share` (0 to 1) of all values lie.
    pub(crate) fn quantile(&self, share: f64) -> f32 {
        let wanted = self.total() * share;
        let mut below = 0.0;
        for (bin, count) in self.counts.iter().enumerate() {
            if below + count >= wanted && *count > 0.0 {
                let within = ((wanted - below) / count).clamp(0.0, 1.0) as f32;
                return self.from + (bin as f32 + within) * self.step;
            }
            below += count;
        }
        self.edge(BINS)
    }

    /// The threshold that parts the values best in two.
    ///
    /// Otsu 1979, "A threshold selection method from gray-level histograms".
    pub(crate) fn otsu(&self) -> f32 {
        let (weights, moments) = self.sums();
        let last = BINS;
        let between =
            |cut: usize| part(&weights, &moments, 0, cut) + part(&weights, &moments, cut, last);
        let best = (1..last).max_by(|a, b| between(*a).total_cmp(&between(*b)));
        self.edge(best.unwrap_or(last / 2))
    }

    /// The two thresholds that part the values best in three (the same paper, section V).
    pub(crate) fn otsu_three(&self) -> (f32, f32) {
        let (weights, moments) = self.sums();
        let mut best = (f64::MIN, 1, 2);
        for low in 1..BINS - 1 {
            let first = part(&weights, &moments, 0, low);
            for high in low + 1..BINS {
                let rest =
                    part(&weights, &moments, low, high) + part(&weights, &moments, high, BINS);
                if first + rest > best.0 {
                    best = (first + rest, low, high);
                }
            }
        }
        (self.edge(best.1), self.edge(best.2))
    }

    fn edge(&self, bin: usize) -> f32 {
        self.from + bin as f32 * self.step
    }

    /// Counts and their first moments, summed up to each bin.
    fn sums(&self) -> (Vec<f64>, Vec<f64>) {
        let (mut weights, mut moments) = (vec![0.0], vec![0.0]);
        let (mut weight, mut moment) = (0.0, 0.0);
        for (bin, count) in self.counts.iter().enumerate() {
            weight += count;
            moment += count * bin as f64;
            weights.push(weight);
            moments.push(moment);
        }
        (weights, moments)
    }
}

/// What the bins `from..to` add to the variance between classes, but for a constant.
fn part(weights: &[f64], moments: &[f64], from: usize, to: usize) -> f64 {
    let weight = weights[to] - weights[from];
    if weight <= 0.0 { 0.0 } else { (moments[to] - moments[from]).powi(2) / weight }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_part_two_and_three_levels() {
        let levels = |counts: [usize; 3]| {
            [0.1_f32, 0.5, 0.9]
                .into_iter()
                .zip(counts)
                .flat_map(|(at, count)| (0..count).map(move |step| at + (step % 9) as f32 * 0.005))
        };
        let two = Histogram::new(0.0, 1.0, levels([900, 0, 300])).otsu();
        assert!(two > 0.14 && two < 0.91, "{two}");
        let (low, high) = Histogram::new(0.0, 1.0, levels([900, 500, 60])).evened().otsu_three();
        assert!(low > 0.14 && low < 0.51 && high > 0.53 && high < 0.91, "{low} {high}");
        let median = Histogram::new(0.0, 1.0, levels([100, 300, 100])).quantile(0.5);
        assert!((median - 0.52).abs() < 0.03, "{median}");
    }
}
