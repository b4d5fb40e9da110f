//! The amount of each stain in a cell.

use super::{cell, level};

/// Optical density of each stain in red, green and blue: haematoxylin, eosin and a residue (Ruifrok
/// & Johnston 2001, "Quantification of histochemical staining by color deconvolution"). C-NMC's
/// stain is Jenner and Giemsa, for which no such matrix is published; its blue and its red dye lie
/// close to these.
const STAINS: [[f32; 3]; 3] = [[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]];

/// Multiplies the amount of each stain in every pixel that is not black (Tellez et al. 2018,
/// "Whole-slide mitosis detection in H&E breast histology using PHH3 as a reference", section
/// III-D: colour deconvolution, change, and back).
pub(super) fn change(pixels: &mut [u8], amounts: [f32; 3]) {
    let mixing = mixing(amounts);
    // Density of level v: −ln((v + 1) / 256), so that black has one.
    let densities: [f32; 256] = std::array::from_fn(|v| -((v as f32 + 1.0) / 256.0).ln());
    for pixel in cell(pixels) {
        let density: [f32; 3] = std::array::from_fn(|channel| densities[pixel[channel] as usize]);
        for (channel, sample) in pixel.iter_mut().enumerate() {
            let changed: f32 =
                density.iter().zip(&mixing).map(|(own, row)| own * row[channel]).sum();
            *sample = level(256.0 * (-changed).exp() - 1.0);
        }
    }
}

/// Densities in red, green, blue → amounts of stain → changed amounts → densities, as one matrix
/// for row vectors: `STAINS⁻¹ · diag(amounts) · STAINS`.
fn mixing(amounts: [f32; 3]) -> [[f32; 3]; 3] {
    let inverse = inverse(&STAINS);
    std::array::from_fn(|row| {
        std::array::from_fn(|column| {
            (0..3).map(|stain| inverse[row][stain] * amounts[stain] * STAINS[stain][column]).sum()
        })
    })
}

/// By cofactors.
fn inverse(m: &[[f32; 3]; 3]) -> [[f32; 3]; 3] {
    let cofactor = |row: usize, column: usize| {
        let at = |r: usize, c: usize| m[(row + r) % 3][(column + c) % 3];
        at(1, 1) * at(2, 2) - at(1, 2) * at(2, 1)
    };
    let determinant: f32 = (0..3).map(|column| m[0][column] * cofactor(0, column)).sum();
    std::array::from_fn(|row| std::array::from_fn(|column| cofactor(column, row) / determinant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stains_that_are_not_changed_give_the_picture_back() {
        let before: Vec<u8> = (0..=255).flat_map(|v: u8| [v, v / 2, 255 - v]).collect();
        let mut pixels = before.clone();
        change(&mut pixels, [1.0; 3]);
        for (now, then) in pixels.iter().zip(before) {
            assert!(now.abs_diff(then) <= 1);
        }
    }
}
