//! The inverse transform, as libjpeg's `jidctint.c` computes it: Loeffler, Ligtenberg and Moschytz
//! in integers. Another rounding would give other levels.

use super::block::{Block, Steps};

/// Fractional bits of the constants, and those that the first pass leaves in its results.
const FRACTION: u32 = 13;
const LEFT: u32 = 2;
/// libjpeg-turbo adds two values in 16 bits. Those of a picture stay below a quarter of this.
const MAX_VALUE: i64 = 16_383;

/// Writes the samples of `block`, whose rows stand `stride` bytes apart; false where its values are
/// beyond those of any picture, so that readers differ.
#[must_use]
pub(super) fn transform(block: &Block, steps: &Steps, to: &mut [u8], stride: usize) -> bool {
    let is_sane = |value: &i64| value.abs() <= MAX_VALUE;
    let mut columns = [0_i64; 64];
    for x in 0..8 {
        let value = |y: usize| i64::from(block[y * 8 + x]) * i64::from(steps[y * 8 + x]);
        // Most columns have nothing but their mean; the whole way gives the same.
        if (1..8).all(|y| block[y * 8 + x] == 0) {
            let mean = value(0) << LEFT;
            (0..8).for_each(|y| columns[y * 8 + x] = mean);
            continue;
        }
        let values = std::array::from_fn(value);
        if !values.iter().all(is_sane) {
            return false;
        }
        let done = one_dimension(values);
        (0..8).for_each(|y| columns[y * 8 + x] = round(done[y], FRACTION - LEFT));
    }
    if !columns.iter().all(is_sane) {
        return false;
    }
    for (y, row) in columns.as_chunks::<8>().0.iter().enumerate() {
        let done = one_dimension(*row);
        let line = &mut to[y * stride..y * stride + 8];
        for (to, value) in line.iter_mut().zip(done) {
            *to = (round(value, FRACTION + LEFT + 3) + 128).clamp(0, 255).cast_unsigned() as u8;
        }
    }
    true
}

const fn round(value: i64, bits: u32) -> i64 {
    (value + (1 << (bits - 1))) >> bits
}

/// Eight values, scaled by √8 and by 2^[`FRACTION`].
fn one_dimension(from: [i64; 8]) -> [i64; 8] {
    let common = (from[2] + from[6]) * 4433;
    let low = common - from[6] * 15137;
    let high = common + from[2] * 6270;
    let sum = (from[0] + from[4]) << FRACTION;
    let difference = (from[0] - from[4]) << FRACTION;
    let even = [sum + high, difference + low, difference - low, sum - high];

    let [a, b, c, d] = [from[7], from[5], from[3], from[1]];
    let shared = (a + c + b + d) * 9633;
    let outer = -(a + d) * 7373;
    let inner = -(b + c) * 20995;
    let left = shared - (a + c) * 16069;
    let right = shared - (b + d) * 3196;
    let odd = [
        d * 12299 + outer + right,
        c * 25172 + inner + left,
        b * 16819 + inner + right,
        a * 2446 + outer + left,
    ];
    std::array::from_fn(|at| if at < 4 { even[at] + odd[at] } else { even[7 - at] - odd[7 - at] })
}
