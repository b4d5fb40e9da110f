//! The places of an activation: what of each channel stands where.

use std::hint::select_unpredictable;

use crate::engine::Activation;

/// Channels that are summed at once.
const LANES: usize = 8;

/// Each channel's greatest number and its first place, in the order of the channels.
pub(super) fn greatest(activation: &Activation) -> impl Iterator<Item = (usize, f32)> {
    let pixels = (activation.height * activation.width).max(1);
    activation.values.chunks_exact(pixels).map(|channel| {
        let (mut place, mut best) = (0, f32::NEG_INFINITY);
        for (at, value) in channel.iter().enumerate() {
            // Without a branch: where a channel's greatest number lies cannot be foreseen.
            let is_greater = *value > best;
            best = if is_greater { *value } else { best };
            place = select_unpredictable(is_greater, at, place);
        }
        (place, best)
    })
}

/// Each channel's mean.
pub(super) fn means(activation: &Activation) -> impl Iterator<Item = f32> {
    let pixels = activation.height * activation.width;
    #[expect(
        clippy::cast_precision_loss,
        reason = "an activation has thousands of places at the most"
    )]
    let share = pixels as f32;
    activation
        .values
        .chunks_exact(pixels.max(1))
        .map(move |channel| channel.iter().sum::<f32>() / share)
}

/// At each place, row-major, the sum over the channels of weight · number, by the number of places:
/// one weight a channel.
pub(super) fn weighted(activation: &Activation, weights: &[f32]) -> Vec<f64> {
    let (groups, rest) = channels(activation);
    let (group_weights, rest_weights) = weights.as_chunks();
    let mut map = vec![0.0; activation.height * activation.width];
    for (channels, weights) in groups.zip(group_weights) {
        add_weighted(&mut map, channels, weights);
    }
    for (channel, weight) in rest.zip(rest_weights) {
        add_weighted(&mut map, [channel], &[*weight]);
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "an activation has thousands of places at the most"
    )]
    let pixels = map.len() as f64;
    map.iter_mut().for_each(|value| *value /= pixels);
    map
}

fn add_weighted<const COUNT: usize>(
    map: &mut [f64],
    channels: [&[f32]; COUNT],
    weights: &[f32; COUNT],
) {
    for (place, sum) in map.iter_mut().enumerate() {
        let parts = channels.iter().zip(weights).map(|(channel, weight)| channel[place] * weight);
        *sum += f64::from(parts.sum::<f32>());
    }
}

/// The channels in groups, and those that are left.
fn channels(
    activation: &Activation,
) -> (impl Iterator<Item = [&[f32]; LANES]>, impl Iterator<Item = &[f32]>) {
    let pixels = (activation.height * activation.width).max(1);
    let groups = activation.values.chunks_exact(pixels * LANES);
    let rest = groups.remainder().chunks_exact(pixels);
    (groups.map(move |group| std::array::from_fn(|lane| &group[lane * pixels..][..pixels])), rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn groups_give_what_channels_give_one_by_one(
            count in 1_usize..40, height in 1_usize..4, width in 1_usize..5,
            levels in prop::collection::vec(-3_i8..3, 40 * 12), weights in prop::collection::vec(-1.0_f32..1.0, 40),
        ) {
            let pixels = height * width;
            let values: Vec<f32> = levels[..count * pixels].iter().map(|level| f32::from(*level)).collect();
            let channels: Vec<&[f32]> = values.chunks_exact(pixels).collect();
            let activation = Activation { values: values.clone(), height, width };
            let peaks: Vec<(usize, f32)> = greatest(&activation).collect();
            prop_assert_eq!(peaks.len(), count);
            for (channel, (place, value)) in channels.iter().zip(peaks) {
                let most = channel.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                prop_assert_eq!(value, most);
                prop_assert_eq!(Some(place), channel.iter().position(|value| *value == most), "the first of equals");
            }
            let map = weighted(&activation, &weights[..count]);
            for (place, got) in map.iter().enumerate() {
                let terms = channels.iter().zip(&weights).map(|(channel, weight)| f64::from(channel[place]) * f64::from(*weight));
                let sum = terms.sum::<f64>() / pixels as f64;
                prop_assert!((got - sum).abs() < 1e-5, "{got} {sum}");
            }
        }
    }
}
