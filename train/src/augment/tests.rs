use leukd_cell::foreground::BLACK;
use leukd_cell::preprocess::Preprocessing;
use leukd_cell::standardise::{Standardise, Targets};
use leukd_cell::synthetic::{self, Kind};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;

const STILL: Augmentation = Augmentation {
    flip_horizontal: false,
    flip_vertical: false,
    quarter_turns: false,
    rotation: 0.0,
    scale: 0.0,
    appearance: 1.0,
    brightness: 0.0,
    colour: 0.0,
    contrast: 0.0,
    gamma: 0.0,
    stain: 0.0,
    residual: 0.0,
    flat: 0.0,
    grey: 0.0,
    blur: 0.0,
    bands: 0.0,
    sharpness: 0.0,
    noise: 0.0,
    erase: 0.0,
};

const EVERYTHING: Augmentation = Augmentation {
    flip_horizontal: true,
    flip_vertical: true,
    quarter_turns: true,
    rotation: 180.0,
    scale: 0.25,
    appearance: 0.9,
    brightness: 0.2,
    colour: 0.1,
    contrast: 0.3,
    gamma: 0.3,
    stain: 0.3,
    residual: 0.1,
    flat: 0.0,
    grey: 0.5,
    blur: 1.5,
    bands: 0.5,
    sharpness: 0.5,
    noise: 6.0,
    erase: 0.5,
};

/// As dark as background may be: not one level brighter, or it would count as a cell.
const BACKGROUND: [u8; 3] = [BLACK, BLACK - 1, BLACK];

/// A disc of a cell's colours on black.
fn disc(side: usize) -> Vec<u8> {
    let middle = (side as f32 - 1.0) / 2.0;
    (0..side * side)
        .flat_map(|place| {
            let (x, y) = ((place % side) as f32 - middle, (place / side) as f32 - middle);
            if x.hypot(y) < side as f32 / 4.0 { [150, 90, 170] } else { BACKGROUND }
        })
        .collect()
}

fn lit(pixels: &[u8]) -> usize {
    pixels.chunks(3).filter(|pixel| is_foreground(pixel)).count()
}

#[test]
fn each_augmentation_keeps_the_background_black_and_the_cell_its_size() {
    let side = 40;
    let pixels = disc(side);
    let each = [
        Augmentation { flip_horizontal: true, ..STILL },
        Augmentation { flip_vertical: true, ..STILL },
        Augmentation { quarter_turns: true, ..STILL },
        Augmentation { rotation: 180.0, ..STILL },
        Augmentation { brightness: 0.3, ..STILL },
        Augmentation { colour: 0.2, ..STILL },
        Augmentation { stain: 0.3, ..STILL },
        Augmentation { contrast: 0.5, brightness: 0.1, ..STILL },
        Augmentation { gamma: 0.5, ..STILL },
        Augmentation { grey: 1.0, ..STILL },
        Augmentation { blur: 3.0, rotation: 30.0, ..STILL },
        Augmentation { bands: 0.8, sharpness: 0.8, rotation: 30.0, ..STILL },
        Augmentation { noise: 10.0, ..STILL },
    ];
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for how in each {
        let mut changed = false;
        for _ in 0..20 {
            let varied = vary(&pixels, side, &how, &mut rng);
            // The disc's rim is blended when it is turned; beyond it nothing is lit.
            for (place, pixel) in varied.chunks(3).enumerate() {
                let (x, y) = ((place % side) as f32 - 19.5, (place / side) as f32 - 19.5);
                assert!(x.hypot(y) < 12.0 || !is_foreground(pixel), "{how:?} at {place}");
            }
            let (before, after) = (lit(&pixels) as f64, lit(&varied) as f64);
            assert!((after / before - 1.0).abs() < 0.25, "{how:?}: {before} {after}");
            changed |= varied != pixels;
        }
        // A disc looks the same from either side.
        let shape_alone = how.flip_horizontal || how.flip_vertical || how.quarter_turns;
        assert!(changed || shape_alone, "{how:?}");
    }
}

#[test]
fn magnification_and_erasing_alone_change_the_cell_s_area() {
    let (side, pixels) = (80, disc(80));
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut areas = |how: Augmentation| {
        let share = |_| lit(&vary(&pixels, side, &how, &mut rng)) as f64 / lit(&pixels) as f64;
        let shares: Vec<f64> = (0..60).map(share).collect();
        let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
        (least, shares.iter().copied().fold(0.0, f64::max))
    };
    let (least, most) = areas(Augmentation { scale: 0.5, ..STILL });
    assert!((0.4..0.55).contains(&least) && (1.9..2.4).contains(&most), "{least} {most}");
    let (least, most) = areas(Augmentation { erase: 1.0, ..STILL });
    assert!(least < 0.7 && most <= 1.0, "{least} {most}");
}

#[test]
fn whatever_is_chosen_the_background_is_exactly_0_after_standardisation() {
    let standardise = Some(Standardise::Channels(Targets::levels(0)));
    let preprocessing = Preprocessing { standardise, size: 64, ..Preprocessing::b3() };
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    for seed in 0..20 {
        let square = preprocessing.square(&synthetic::cell(seed, Kind::Blast)).unwrap();
        let varied = vary(square.as_raw(), 64, &EVERYTHING, &mut rng);
        let mut planes = Vec::new();
        preprocessing.append(&varied, &residual(&EVERYTHING, &mut rng), &mut planes);
        for (place, pixel) in varied.chunks(3).enumerate() {
            let numbers: [f32; 3] = std::array::from_fn(|channel| planes[channel * 4096 + place]);
            assert!(is_foreground(pixel) || numbers == [0.0; 3]);
        }
        assert!(planes.iter().any(|value| *value > 0.0));
    }
}

#[test]
fn nothing_asked_for_changes_nothing() {
    let pixels = disc(16);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    assert_eq!(vary(&pixels, 16, &STILL, &mut rng), pixels);
    assert_eq!(residual(&STILL, &mut rng), Residual::NONE);
    assert_eq!(rng, ChaCha8Rng::seed_from_u64(1), "and draws nothing");
}

#[test]
fn an_appearance_that_is_not_varied_is_the_cell_s_own() {
    let pixels = disc(16);
    let light = Augmentation { brightness: 0.9, noise: 9.0, ..STILL };
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for (appearance, expected) in [(0.0, 0..=0), (0.25, 15..=35), (1.0, 98..=100)] {
        let how = Augmentation { appearance, ..light };
        let varied = (0..100).filter(|_| vary(&pixels, 16, &how, &mut rng) != pixels).count();
        assert!(expected.contains(&varied), "{varied} of 100 at {appearance}");
    }
}

/// What a run drew before magnification, contrast and the rest existed it draws again when it goes
/// on.
#[test]
fn settings_of_0_draw_no_numbers_between_the_others() {
    let how = Augmentation {
        flip_horizontal: true,
        flip_vertical: true,
        quarter_turns: true,
        rotation: 15.0,
        brightness: 0.15,
        colour: 0.05,
        stain: 0.05,
        ..STILL
    };
    let (mut rng, mut by_hand) = (ChaCha8Rng::seed_from_u64(5), ChaCha8Rng::seed_from_u64(5));
    for _ in 0..10 {
        let _ = vary(&disc(12), 12, &how, &mut rng);
        let _ = residual(&how, &mut rng);
        let _: [bool; 2] = [by_hand.random(), by_hand.random()];
        let _: u8 = by_hand.random_range(0..4);
        // The angle; three stains; brightness; three channels.
        for spread in [0.26_f32, 0.05, 0.05, 0.05, 0.15, 0.05, 0.05, 0.05] {
            let _ = by_hand.random_range(-spread..=spread);
        }
        assert_eq!(rng, by_hand);
    }
}

#[test]
fn a_residual_lies_within_its_setting() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let drawn: Vec<Residual> = (0..200).map(|_| residual(&EVERYTHING, &mut rng)).collect();
    for Residual { gain, shift } in &drawn {
        assert!(gain.iter().all(|gain| (0.9..=1.1).contains(gain)));
        assert!(shift.iter().all(|shift| (-0.1..=0.1).contains(shift)));
    }
    assert!(drawn.iter().any(|own| own.gain[0] < 0.95 && own.shift[2] > 0.05));
}

#[test]
fn a_flat_cell_keeps_half_of_its_texture_at_the_most_and_its_place_about_the_mean() {
    let how = Augmentation { flat: 0.5, ..STILL };
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let drawn: Vec<Residual> = (0..400).map(|_| residual(&how, &mut rng)).collect();
    let flat = drawn.iter().filter(|own| **own != Residual::NONE).count();
    assert!((150..250).contains(&flat), "{flat}");
    for own in drawn.iter().filter(|own| **own != Residual::NONE) {
        assert!((0.0..=0.5).contains(&own.gain[0]) && own.gain == [own.gain[0]; 3]);
        assert_eq!(own.shift, [0.0; 3]);
    }
}

/// `cargo test --release -p leukd-train --lib -- --ignored --nocapture augment`
#[test]
#[ignore = "measures"]
fn what_a_picture_costs() {
    let standardise = Some(Standardise::Channels(Targets::levels(0)));
    let window = Some(320);
    let preprocessing = Preprocessing { standardise, window, ..Preprocessing::b3() };
    let square = preprocessing.square(&synthetic::cell(1, Kind::Blast)).unwrap().into_raw();
    println!("{} of {} pixels are the cell's", lit(&square), square.len() / 3);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let each = [
        ("nothing", STILL),
        ("turns", Augmentation { flip_horizontal: true, quarter_turns: true, ..STILL }),
        ("rotation and scale", Augmentation { rotation: 180.0, scale: 0.2, ..STILL }),
        ("stain", Augmentation { stain: 0.2, ..STILL }),
        ("light", Augmentation { brightness: 0.2, contrast: 0.2, gamma: 0.2, ..STILL }),
        ("grey", Augmentation { grey: 1.0, ..STILL }),
        ("blur", Augmentation { blur: 1.5, ..STILL }),
        ("bands", Augmentation { bands: 0.8, sharpness: 0.8, ..STILL }),
        ("noise", Augmentation { noise: 5.0, ..STILL }),
        ("erase", Augmentation { erase: 1.0, ..STILL }),
        ("everything", Augmentation { grey: 1.0, erase: 1.0, ..EVERYTHING }),
    ];
    for (name, how) in each {
        let started = std::time::Instant::now();
        for _ in 0..200 {
            std::hint::black_box(vary(&square, 224, &how, &mut rng));
        }
        println!("{name}: {:.3} ms", started.elapsed().as_secs_f64() * 5.0);
    }
    for standardise in [None, standardise, Some(Standardise::Density(Targets::DENSITY))] {
        let preprocessing = Preprocessing { standardise, ..preprocessing.clone() };
        let mut numbers = Vec::with_capacity(square.len());
        let started = std::time::Instant::now();
        for _ in 0..200 {
            numbers.clear();
            preprocessing.append(&square, &Residual::NONE, &mut numbers);
            std::hint::black_box(&numbers);
        }
        println!("numbers, {standardise:?}: {:.3} ms", started.elapsed().as_secs_f64() * 5.0);
    }
}
