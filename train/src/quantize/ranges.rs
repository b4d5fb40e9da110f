//! Which range what flows into each layer has, and the 256 levels that cover it.

use leukd_cell::preprocess::InputTensor;
use leukd_model::engine::{EngineError, Observer};
use leukd_model::onnx::ModelProto;

/// Bins of a histogram between the least and the largest number: a percentile is right to a 4,096th
/// of that.
const BINS: usize = 4096;

/// 256 levels at equal distances, 0 one of them: level = round(value / scale) + zero, cut to 0 to 255.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Levels {
    /// Greater than 0.
    pub(super) scale: f32,
    /// The level of 0.
    pub(super) zero: u8,
}

impl Levels {
    /// The levels that cover `low` to `high` and 0 (padding and black are 0, and must stay it).
    pub(super) fn covering(low: f32, high: f32) -> Self {
        let (low, high) = (low.min(0.0), high.max(0.0));
        let scale = (high - low) / 255.0;
        let scale = if scale >= f32::MIN_POSITIVE { scale } else { 1.0 };
        // From 0 to 255 by construction; the conversion cuts what rounding adds.
        #[expect(clippy::cast_sign_loss, reason = "-low / scale is not negative")]
        let zero = (-low / scale).round() as u8;
        Self { scale, zero }
    }
}

/// A histogram of everything that was seen of one tensor.
#[derive(Debug, Clone)]
struct Histogram {
    low: f32,
    high: f32,
    counts: Vec<u64>,
}

impl Histogram {
    fn new() -> Self {
        Self { low: f32::INFINITY, high: f32::NEG_INFINITY, counts: vec![0; BINS] }
    }

    fn widen(&mut self, values: &[f32]) {
        for value in values {
            self.low = self.low.min(*value);
            self.high = self.high.max(*value);
        }
    }

    #[expect(clippy::cast_sign_loss, reason = "no value lies below the least")]
    fn count(&mut self, values: &[f32]) {
        let width = self.high - self.low;
        let per_bin = if width > 0.0 { BINS as f32 / width } else { 0.0 };
        for value in values {
            let bin = ((value - self.low) * per_bin) as usize;
            self.counts[bin.min(BINS - 1)] += 1;
        }
    }

    /// The range outside which `100 − percentile` percent of the values lie on either side, to a
    /// bin outwards.
    fn range(&self, percentile: f64) -> (f32, f32) {
        let total: u64 = self.counts.iter().sum();
        let beyond = (total as f64 * (1.0 - percentile / 100.0)).max(0.0);
        let until = |counts: &mut dyn Iterator<Item = &u64>| {
            let mut seen = 0.0;
            counts
                .take_while(|count| {
                    seen += **count as f64;
                    seen <= beyond
                })
                .count()
        };
        let bin = (self.high - self.low) / BINS as f32;
        let low = self.low + bin * until(&mut self.counts.iter()) as f32;
        let high = self.high - bin * until(&mut self.counts.iter().rev()) as f32;
        (low, high)
    }
}

/// The levels of each tensor of `names`, in their order, from what `inputs` make of it: everything
/// between the percentiles `100 − percentile` and `percentile` of all its numbers in all pictures.
///
/// # Errors
///
/// Where the network cannot be compiled or run.
pub(super) fn levels(
    network: &ModelProto,
    names: &[String],
    inputs: &[InputTensor],
    percentile: f64,
) -> Result<Vec<Levels>, EngineError> {
    let mut histograms = vec![Histogram::new(); names.len()];
    let Some(first) = inputs.first() else { return Ok(Vec::new()) };
    // The graph's own input is no node's output: it is known without a run.
    let produced: Vec<usize> = (0..names.len())
        .filter(|index| {
            let mut nodes = network.graph.iter().flat_map(|graph| &graph.node);
            nodes.any(|node| node.output.contains(&names[*index]))
        })
        .collect();
    let observer = if produced.is_empty() {
        None
    } else {
        let names = produced.iter().map(|index| names[*index].clone()).collect();
        Some(Observer::compile(network, first.shape, names)?)
    };
    for step in [Histogram::widen, Histogram::count] {
        for input in inputs {
            let observed = observer.as_ref().map(|observer| observer.run(input)).transpose()?;
            for (index, tensor) in produced.iter().zip(observed.iter().flatten()) {
                step(&mut histograms[*index], &tensor.values);
            }
            for index in (0..names.len()).filter(|index| !produced.contains(index)) {
                step(&mut histograms[index], &input.data);
            }
        }
    }
    let covering = |histogram: &Histogram| {
        let (low, high) = histogram.range(percentile);
        Levels::covering(low, high)
    };
    Ok(histograms.iter().map(covering).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_hold_zero_exactly_and_reach_both_ends() {
        for (low, high) in [(-0.28, 6.0), (0.0, 255.0), (2.0, 3.0), (-5.0, -1.0)] {
            let levels = Levels::covering(low, high);
            let value = |level: u8| (f32::from(level) - f32::from(levels.zero)) * levels.scale;
            assert!(value(0) <= low.min(0.0) + levels.scale, "{low} {high}");
            assert!(value(255) >= high.max(0.0) - levels.scale, "{low} {high}");
            assert!(value(levels.zero).abs() < f32::EPSILON);
        }
        assert_eq!(Levels::covering(0.0, 0.0), Levels { scale: 1.0, zero: 0 });
    }

    #[test]
    fn a_percentile_leaves_the_rare_extreme_outside() {
        let mut values: Vec<f32> =
            (0..100_000_u32).map(|index| (index % 1000) as f32 / 1000.0).collect();
        values.push(4.0);
        let mut histogram = Histogram::new();
        histogram.widen(&values);
        histogram.count(&values);
        let (low, high) = histogram.range(99.99);
        assert!(low.abs() < 2e-3 && (0.99..1.01).contains(&high), "{low} {high}");
        assert_eq!(histogram.range(100.0), (0.0, 4.0));
    }
}
