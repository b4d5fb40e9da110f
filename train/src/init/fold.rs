//! What another network does otherwise than ours, moved into the weights.

use std::collections::BTreeMap;

use crate::network::{EPSILON, MEAN, STD, normalisation};

/// Differences below this are those of f32.
const SAME: f64 = 1e-5;

/// What the network that the weights were made for does otherwise than ours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Origin {
    /// Its stem sees pixel · scale + shift for red, green, blue; pixels from 0 to 255.
    pub scale: [f64; 3],
    /// See `scale`.
    pub shift: [f64; 3],
    /// ε of its batch normalisations.
    pub epsilon: f64,
    /// Whether it pads evenly on both sides rather than as TensorFlow's "same".
    pub even_padding: bool,
}

impl Default for Origin {
    /// Like ours.
    fn default() -> Self {
        Self {
            scale: std::array::from_fn(|channel| 1.0 / (255.0 * f64::from(STD[channel]))),
            shift: std::array::from_fn(|c| -f64::from(MEAN[c]) / f64::from(STD[c])),
            epsilon: EPSILON,
            even_padding: false,
        }
    }
}

impl Origin {
    /// Ours, but pixels over 0 to 1 are normalised with `mean` and `deviation`.
    #[must_use]
    pub fn normalising(mean: [f64; 3], deviation: [f64; 3]) -> Self {
        Self {
            scale: deviation.map(|deviation| 1.0 / (255.0 * deviation)),
            shift: std::array::from_fn(|channel| -mean[channel] / deviation[channel]),
            ..Self::default()
        }
    }

    /// For each input channel, factor and offset: its stem sees factor · ours + offset.
    fn beside_ours(&self) -> ([f64; 3], [f64; 3]) {
        let (scale, shift) = normalisation();
        let factor = std::array::from_fn(|c| self.scale[c] / f64::from(scale[c]));
        let offset = std::array::from_fn(|c| self.shift[c] - f64::from(shift[c]) * factor[c]);
        (factor, offset)
    }

    /// Changes `values`, by our names, so that our network computes with them what the other one
    /// did with the file's; returns what was done, in words.
    pub(super) fn fold(&self, values: &mut BTreeMap<String, Vec<f32>>) -> Vec<String> {
        let mut done = Vec::new();
        let (factor, offset) = self.beside_ours();
        let scaled = factor.iter().any(|factor| (factor - 1.0).abs() > SAME);
        let shifted = offset.iter().any(|offset| offset.abs() > SAME);
        if shifted {
            self.shift_stem(values, offset);
            done.push(format!(
                "the stem's running mean takes up another mean of the pixels (offsets {}); the \
                 last row and column differ, where the window looks over the border",
                list(offset)
            ));
        }
        if scaled {
            for (place, value) in values.get_mut("stem.kernel").into_iter().flatten().enumerate() {
                let channel = place / STEM_WINDOW % factor.len();
                *value = (f64::from(*value) * factor[channel]) as f32;
            }
            done.push(format!(
                "the stem's kernel takes up another deviation of the pixels (factors {})",
                list(factor)
            ));
        }
        if (self.epsilon / EPSILON - 1.0).abs() > SAME {
            let norms = self.rescale_gammas(values);
            done.push(format!(
                "γ of {norms} batch normalisations takes up ε {:e} in place of {EPSILON:e}",
                self.epsilon
            ));
        }
        done
    }

    /// With the file's own kernel: the convolution of a constant is the sum of its window.
    fn shift_stem(&self, values: &mut BTreeMap<String, Vec<f32>>, offset: [f64; 3]) {
        let window = STEM_WINDOW * offset.len();
        let Some(kernel) = values.get("stem.kernel") else { return };
        let constants: Vec<f64> = kernel
            .chunks(window)
            .map(|row| {
                let of = |(place, value): (usize, &f32)| {
                    f64::from(*value) * offset[place / STEM_WINDOW % offset.len()]
                };
                row.iter().enumerate().map(of).sum()
            })
            .collect();
        let means = values.get_mut("stem.norm.mean").into_iter().flatten();
        for (mean, constant) in means.zip(constants) {
            *mean = (f64::from(*mean) - constant) as f32;
        }
    }

    fn rescale_gammas(&self, values: &mut BTreeMap<String, Vec<f32>>) -> usize {
        let variances: Vec<(String, Vec<f32>)> = values
            .iter()
            .filter_map(|(name, values)| {
                let norm = name.strip_suffix(".variance")?;
                Some((format!("{norm}.gamma"), values.clone()))
            })
            .collect();
        for (gamma, variance) in &variances {
            let gammas = values.get_mut(gamma).into_iter().flatten();
            for (gamma, variance) in gammas.zip(variance) {
                let variance = f64::from(*variance);
                let factor = ((variance + EPSILON) / (variance + self.epsilon)).sqrt();
                *gamma = (f64::from(*gamma) * factor) as f32;
            }
        }
        variances.len()
    }
}

/// Numbers of one input channel in a row of the stem's kernel: 3×3.
const STEM_WINDOW: usize = 9;

fn list(numbers: [f64; 3]) -> String {
    numbers.map(|number| format!("{number:.4}")).join(", ")
}
