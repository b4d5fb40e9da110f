//! Planes → pixels: chroma brought to the size of luma as libjpeg does by default (`jdsample.c`).
//!
//! Where a channel has half the columns, half the rows or both, each sample is a mean of its
//! nearest two, weighted 3 to 1 along each axis ("fancy up-sampling"). Elsewhere samples are
//! repeated.

use super::frame::{Component, Frame};
use super::{Transform, colour};
use crate::fault::Fault;

/// All channels of all pixels.
pub(super) fn interleave(mut frame: Frame, transform: Transform) -> Result<Vec<u8>, Fault> {
    if frame.is_progressive {
        frame.components.iter_mut().try_for_each(Component::finish)?;
    }
    let channels = frame.components.len();
    let mut samples = Vec::with_capacity(frame.width * frame.height * channels);
    let mut lines = vec![Vec::with_capacity(frame.width + 8); channels];
    for y in 0..frame.height {
        for (component, line) in frame.components.iter().zip(&mut lines) {
            line.clear();
            fill(component, (frame.across, frame.down), y, line);
        }
        match (&lines[..], transform) {
            ([grey], _) => samples.extend_from_slice(&grey[..frame.width]),
            ([a, b, c], _) => {
                let pixels = a[..frame.width].iter().zip(b).zip(c);
                let pixels = pixels.map(|((a, b), c)| [*a, *b, *c]);
                if transform == Transform::None {
                    samples.extend(pixels.flatten());
                } else {
                    samples.extend(pixels.flat_map(colour::rgb));
                }
            }
            ([a, b, c, d], _) => {
                let pixels = a[..frame.width].iter().zip(b).zip(c).zip(d);
                samples.extend(pixels.flat_map(|(((a, b), c), d)| {
                    let mut inks = [*a, *b, *c];
                    if transform == Transform::Ycck {
                        inks = colour::rgb(inks).map(|level| 255 - level);
                    }
                    [inks[0], inks[1], inks[2], *d]
                }));
            }
            _ => {}
        }
    }
    Ok(samples)
}

/// Row `y` of the picture, at least as wide as that.
fn fill(component: &Component, (across, down): (usize, usize), y: usize, line: &mut Vec<u8>) {
    let row = |y: usize| {
        let from = y.min(component.height - 1) * component.stride * 8;
        &component.samples[from..from + component.width]
    };
    let (wide, high) = (across / component.across, down / component.down);
    let smooth = component.width > 2;
    let near = row(y / high);
    // Of two rows between two samples each is nearer to its own: the upper one mixes in the row
    // above.
    let far = if y.is_multiple_of(2) { row((y / 2).saturating_sub(1)) } else { row(y / 2 + 1) };
    match (wide, high) {
        (1, 1) => line.extend_from_slice(near),
        (2, 1) if smooth => {
            let sums: Vec<u32> = near.iter().map(|sample| u32::from(*sample)).collect();
            mix(&sums, (1, 2), 2, line);
        }
        (1, 2) => {
            let bias = if y.is_multiple_of(2) { 1 } else { 2 };
            line.extend(
                near.iter().zip(far).map(|(near, far)| {
                    ((u32::from(*near) * 3 + u32::from(*far) + bias) >> 2) as u8
                }),
            );
        }
        (2, 2) if smooth => {
            let sums = near.iter().zip(far);
            let sums: Vec<u32> =
                sums.map(|(near, far)| u32::from(*near) * 3 + u32::from(*far)).collect();
            mix(&sums, (8, 7), 4, line);
        }
        _ => line.extend(near.iter().flat_map(|sample| std::iter::repeat_n(*sample, wide))),
    }
}

/// Two samples for each of `sums`, mixed with the neighbour on their side; `biases` round the left
/// and the right one.
fn mix(sums: &[u32], biases: (u32, u32), shift: u32, line: &mut Vec<u8>) {
    let last = sums.len() - 1;
    for (at, sum) in sums.iter().enumerate() {
        let (before, after) = (sums[at.saturating_sub(1)], sums[(at + 1).min(last)]);
        line.push(((sum * 3 + before + biases.0) >> shift) as u8);
        line.push(((sum * 3 + after + biases.1) >> shift) as u8);
    }
}
