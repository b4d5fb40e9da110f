//! In full swing the way from bytes to tensor asks for no memory that grows with the picture.
//!
//! A binary of its own: its allocator counts.

use allocation_counter::{AllocationInfo, measure};
use image::RgbImage;
use leukd_cell::preprocess::{Filter, Layout, Preprocessing};
use leukd_cell::standardise::{Standardise, Targets};
use leukd_cell::synthetic::{self, Kind};
use leukd_cell::{Limits, Scratch, decode_with};

/// A cell in the middle of a black picture of this side, as a BMP.
fn capture(side: u32) -> Vec<u8> {
    let mut picture = RgbImage::new(side, side);
    let at = i64::from(side - 450) / 2;
    image::imageops::replace(&mut picture, &synthetic::cell(3, Kind::Blast), at, at);
    synthetic::bmp(&picture)
}

/// One capture's way, as a worker goes it.
fn way(bytes: &[u8], how: &Preprocessing) {
    Scratch::with(|scratch| {
        let picture = decode_with(scratch, bytes, &Limits::default()).unwrap();
        let tensor = how.tensor_with(scratch, &picture).unwrap();
        scratch.take_back(picture, tensor.data);
    });
}

/// What the second way of the same kind asks for.
fn in_full_swing(side: u32, how: &Preprocessing) -> AllocationInfo {
    let bytes = capture(side);
    way(&bytes, how);
    measure(|| way(&bytes, how))
}

#[test]
fn without_a_filter_only_the_networks_input_counts() {
    let nearest = Preprocessing { filter: Filter::Nearest, ..Preprocessing::b3() };
    for how in [
        nearest.clone(),
        Preprocessing { window: Some(320), ..nearest.clone() },
        Preprocessing { window: Some(1100), ..nearest.clone() },
        Preprocessing { layout: Layout::Nhwc, ..nearest },
    ] {
        for side in [450, 600, 1000] {
            // The resizer lists which column each of the input's takes.
            let asked = in_full_swing(side, &how);
            let column = size_of::<usize>() as u64;
            assert!(asked.bytes_total <= 224 * column, "{how:?} of {side}: {asked:?}");
        }
    }
}

#[test]
fn a_filter_asks_for_its_coefficients_alone() {
    // Some for each row and column, which grow with the side: for the whole picture a hundredth of
    // its bytes and less.
    for (side, most) in [(450, 100_000), (1000, 200_000)] {
        let asked = in_full_swing(side, &Preprocessing::b3());
        assert!(asked.bytes_total < most, "{side}: {asked:?}");
    }
    let windowed = Preprocessing { window: Some(320), size: 80, ..Preprocessing::b3() };
    let asked = [450, 600, 1000].map(|side| in_full_swing(side, &windowed).bytes_total);
    assert!(asked.iter().all(|bytes| *bytes == asked[0]), "{asked:?}");
}

#[test]
fn standardisation_asks_for_what_the_networks_input_needs() {
    let nearest = Preprocessing { filter: Filter::Nearest, size: 112, ..Preprocessing::b3() };
    let standardise = Some(Standardise::Luminance(Targets::levels(112)));
    let how = Preprocessing { window: Some(320), standardise, ..nearest };
    let asked = [450, 600, 1000].map(|side| in_full_swing(side, &how).bytes_total);
    assert!(asked.iter().all(|bytes| *bytes == asked[0]), "{asked:?}");
}
