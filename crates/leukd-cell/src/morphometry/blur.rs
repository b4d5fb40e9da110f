//! Gaussian smoothing of a plane, zero beyond its border.

use crate::segment::plane::Plane;

/// Half the width of a kernel, in its standard deviations: 0.3 % of the weight lies beyond.
const REACH: f32 = 3.0;

/// `plane` smoothed by a Gaussian of this standard deviation, in pixels. Beyond the border lies 0.
pub(super) fn gaussian(plane: &Plane<f32>, deviation: f32) -> Plane<f32> {
    let kernel = kernel(deviation);
    let (width, height) = (plane.width, plane.height);
    let mut columns = Plane::filled(width, height, 0.0_f32);
    for y in 0..height {
        let row = &mut columns.values[y * width..(y + 1) * width];
        for (tap, weight) in kernel.iter().enumerate() {
            let Some(from) = (y + tap).checked_sub(kernel.len() / 2).filter(|y| *y < height) else {
                continue;
            };
            let source = &plane.values[from * width..(from + 1) * width];
            row.iter_mut().zip(source).for_each(|(sum, value)| *sum += weight * value);
        }
    }
    let mut smoothed = Plane::filled(width, height, 0.0_f32);
    let half = kernel.len() / 2;
    let mut padded = vec![0.0_f32; width + 2 * half];
    for y in 0..height {
        padded[half..half + width].copy_from_slice(&columns.values[y * width..(y + 1) * width]);
        let row = &mut smoothed.values[y * width..(y + 1) * width];
        for (tap, weight) in kernel.iter().enumerate() {
            let source = &padded[tap..tap + width];
            row.iter_mut().zip(source).for_each(|(sum, value)| *sum += weight * value);
        }
    }
    smoothed
}

/// Weights of one side and the other, with the middle; their sum is 1.
fn kernel(deviation: f32) -> Vec<f32> {
    let half = (REACH * deviation).round().max(1.0) as i32;
    let weight = |at: i32| (-0.5 * (at as f32 / deviation).powi(2)).exp();
    let sum: f32 = (-half..=half).map(weight).sum();
    (-half..=half).map(|at| weight(at) / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_becomes_the_gaussian_and_keeps_its_sum() {
        let mut point = Plane::filled(41, 33, 0.0);
        point.values[16 * 41 + 20] = 1.0;
        let smoothed = gaussian(&point, 2.0);
        let at = |dx: usize, dy: usize| smoothed.at(20 + dx, 16 + dy);
        assert!((smoothed.values.iter().sum::<f32>() - 1.0).abs() < 1e-4);
        assert!((at(0, 0) - 1.0 / (8.0 * std::f32::consts::PI)).abs() < 1e-4);
        assert!((at(2, 0) / at(0, 0) - (-0.5_f32).exp()).abs() < 1e-3);
        assert!((at(3, 0) - at(0, 3)).abs() < 1e-7);
    }
}
