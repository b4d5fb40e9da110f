//! Luma and chroma → red, green and blue, as libjpeg's `jdcolor.c` rounds it.

/// Fractional bits of the constants.
const FRACTION: u32 = 16;
const HALF: i32 = 1 << (FRACTION - 1);

const fn fixed(value: f64) -> i32 {
    (value * (1 << FRACTION) as f64 + 0.5) as i32
}

const RED: i32 = fixed(1.402);
const GREEN_OF_BLUE: i32 = fixed(0.344_14);
const GREEN_OF_RED: i32 = fixed(0.714_14);
const BLUE: i32 = fixed(1.772);

pub(super) fn rgb([luma, blue, red]: [u8; 3]) -> [u8; 3] {
    let luma = i32::from(luma);
    let (blue, red) = (i32::from(blue) - 128, i32::from(red) - 128);
    let green = HALF - GREEN_OF_BLUE * blue - GREEN_OF_RED * red;
    let levels =
        [(RED * red + HALF) >> FRACTION, green >> FRACTION, (BLUE * blue + HALF) >> FRACTION];
    levels.map(|level| (luma + level).clamp(0, 255).cast_unsigned() as u8)
}

/// Two levels of 255 multiplied, rounded: what an ink lets through of what another one does.
pub(super) fn product(one: u8, other: u8) -> u8 {
    ((u16::from(one) * u16::from(other) + 127) / 255) as u8
}
