use super::*;
use crate::foreground::BLACK;
use crate::preprocess::{Layout, Preprocessing, Range};
use image::RgbImage;

const BACKGROUND: [u8; 3] = [BLACK, 0, BLACK - 1];

const METHODS: [Standardise; 3] = [
    Standardise::Channels(Targets::levels(0)),
    Standardise::Density(Targets::DENSITY),
    Standardise::Luminance(Targets::levels(90)),
];

fn with(standardise: Standardise) -> Preprocessing {
    Preprocessing { standardise: Some(standardise), ..Preprocessing::b3() }
}

/// A cell of uneven colours, `side` pixels square, on noisy black.
fn picture(side: u32) -> RgbImage {
    RgbImage::from_fn(side, side, |x, y| {
        let inside = x.abs_diff(side / 2).pow(2) + y.abs_diff(side / 2).pow(2) < side * side / 9;
        let texture = ((x * 7 + y * 13) % 23) as u8;
        image::Rgb(if inside {
            [70 + 2 * texture, 40 + texture, 90 + 3 * texture]
        } else {
            BACKGROUND
        })
    })
}

/// Each channel's numbers over the cell's pixels.
fn of_the_cell(picture: &RgbImage, planes: &[f32]) -> [Vec<f64>; 3] {
    let pixels = picture.as_raw().chunks_exact(3);
    let inside: Vec<bool> = pixels.map(is_foreground).collect();
    std::array::from_fn(|channel| {
        let plane = &planes[channel * inside.len()..(channel + 1) * inside.len()];
        let own = plane.iter().zip(&inside).filter(|(_, inside)| **inside);
        own.map(|(value, _)| f64::from(*value)).collect()
    })
}

fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / values.len() as f64).sqrt())
}

#[test]
fn every_channel_of_a_cell_comes_to_the_targets() {
    let picture = picture(90);
    let planes = with(METHODS[0]).numbers(&picture).data;
    for channel in of_the_cell(&picture, &planes) {
        let (mean, deviation) = mean_and_deviation(&channel);
        assert!((mean - 112.0).abs() < 1e-3 && (deviation - 36.0).abs() < 1e-3);
    }
    let planes = with(METHODS[1]).numbers(&picture).data;
    for channel in of_the_cell(&picture, &planes) {
        let densities: Vec<f64> =
            channel.iter().map(|level| -((level + 1.0) / 256.0).ln()).collect();
        let (mean, deviation) = mean_and_deviation(&densities);
        assert!((mean - 1.0).abs() < 1e-5 && (deviation - 0.3).abs() < 1e-5);
    }
}

#[test]
fn how_bright_a_cell_s_rim_is_does_not_change_what_its_interior_becomes() {
    let plain = picture(90);
    let cell: Vec<bool> = plain.pixels().map(|pixel| is_foreground(&pixel.0)).collect();
    let inside = interior::counted(plain.as_raw(), 4);
    let mut bright = plain.clone();
    for (pixel, _) in bright
        .pixels_mut()
        .zip(cell.iter().zip(&inside))
        .filter(|(_, (cell, inside))| **cell && !**inside)
    {
        pixel.0 = [250, 240, 230];
    }
    assert_ne!(plain, bright);
    for method in [
        Standardise::Channels(Targets::levels(90)),
        Standardise::Density(Targets { rim: 4, ..Targets::DENSITY }),
        Standardise::Luminance(Targets::levels(90)),
    ] {
        let [plain, bright] = [&plain, &bright].map(|own| with(method).numbers(own).data);
        let channels = plain.chunks(8100).zip(bright.chunks(8100));
        for (plain, bright) in channels {
            let own = plain.iter().zip(bright).zip(&inside).filter(|(_, inside)| **inside);
            assert!(own.into_iter().all(|((plain, bright), _)| plain == bright), "{method}");
        }
        assert_ne!(plain, bright);
        if let Standardise::Channels(targets) | Standardise::Luminance(targets) = method {
            let own: Vec<f64> = plain[..8100]
                .iter()
                .zip(&inside)
                .filter(|(_, inside)| **inside)
                .map(|(value, _)| f64::from(*value))
                .collect();
            let (mean, deviation) = mean_and_deviation(&own);
            assert!((mean - targets.mean).abs() < 1e-3, "{method}: {mean}");
            assert!((deviation - targets.deviation).abs() < 1e-3, "{method}: {deviation}");
        }
    }
}

#[test]
fn the_background_becomes_exactly_0_and_the_rest_stays_within_0_to_255() {
    let picture = picture(90);
    for method in METHODS {
        let wide = match method {
            Standardise::Channels(targets) => {
                Standardise::Channels(Targets { deviation: 128.0, ..targets })
            }
            Standardise::Density(targets) => {
                Standardise::Density(Targets { deviation: 3.0, ..targets })
            }
            Standardise::Luminance(interior) => {
                Standardise::Luminance(Targets { deviation: 128.0, ..interior })
            }
        };
        let planes = with(wide).numbers(&picture).data;
        for (place, pixel) in picture.as_raw().chunks_exact(3).enumerate() {
            let own = std::array::from_fn::<f32, 3, _>(|channel| planes[channel * 8100 + place]);
            assert!(is_foreground(pixel) || own == [0.0; 3]);
            assert!(own.iter().all(|value| (0.0..=255.0).contains(value)));
        }
        assert!(planes.contains(&255.0), "the bounds are reached");
    }
}

#[test]
fn two_stains_of_one_cell_give_one_tensor_under_channels() {
    let one = picture(90);
    // Level v of a channel becomes g · v + o, without rounding and within 8 bits.
    let mut other = one.clone();
    for pixel in other.pixels_mut().filter(|pixel| is_foreground(&pixel.0)) {
        let [red, green, blue] = pixel.0;
        pixel.0 = [2 * red + 3, 3 * green + 20, blue - 40];
    }
    let [one, other] = [&one, &other].map(|own| with(METHODS[0]).numbers(own).data);
    for (one, other) in one.iter().zip(&other) {
        assert!((one - other).abs() < 1e-3, "{one} {other}");
    }
}

#[test]
#[expect(clippy::cast_sign_loss, reason = "a level above 0")]
fn another_exposure_and_another_thickness_give_one_tensor_under_density_to_within_rounding() {
    let thin = picture(90);
    let mut thick = thin.clone();
    for sample in thick.pixels_mut().filter(|own| is_foreground(&own.0)).flat_map(|own| &mut own.0)
    {
        let density = density(usize::from(*sample));
        *sample = (256.0 * (-0.8 * density - 0.1).exp() - 1.0).round() as u8;
    }
    let [thin, thick] = [&thin, &thick].map(|own| with(METHODS[1]).numbers(own).data);
    for (thin, thick) in thin.iter().zip(&thick) {
        // A level of the fainter picture is up to 8 of these.
        assert!((thin - thick).abs() < 5.0, "{thin} {thick}");
    }
}

#[test]
fn a_picture_with_hardly_a_cell_stays_as_it_is() {
    let mut picture = RgbImage::from_pixel(90, 90, image::Rgb(BACKGROUND));
    let plain = Preprocessing::b3();
    for lit in 0..8 {
        assert_eq!(with(METHODS[0]).numbers(&picture), plain.numbers(&picture));
        picture.put_pixel(40 + lit, 40, image::Rgb([90, 80 + 3 * lit as u8, 120]));
    }
    picture.put_pixel(40, 50, image::Rgb([200, 80, 120]));
    assert_ne!(with(METHODS[0]).numbers(&picture), plain.numbers(&picture));
}

#[test]
fn a_channel_without_spread_is_not_blown_up() {
    let mut picture = RgbImage::from_pixel(60, 60, image::Rgb([100, 100, 100]));
    picture.put_pixel(9, 9, image::Rgb([101, 100, 100]));
    let planes = with(METHODS[0]).numbers(&picture).data;
    // One level is 18 at the most: 36 over the floor of 2.
    assert!(planes.iter().all(|value| (value - 112.0).abs() < 18.1));
}

#[test]
fn a_residual_moves_and_stretches_each_channel_about_the_targets() {
    let picture = picture(90);
    let residual = Residual { gain: [1.0, 1.1, 0.9], shift: [0.2, 0.0, -0.1] };
    let mut planes = Vec::new();
    with(METHODS[0]).append(picture.as_raw(), &residual, &mut planes);
    let expected = [(119.2, 36.0), (112.0, 39.6), (108.4, 32.4)];
    for (channel, (to, spread)) in of_the_cell(&picture, &planes).iter().zip(expected) {
        let (mean, deviation) = mean_and_deviation(channel);
        assert!((mean - to).abs() < 1e-3 && (deviation - spread).abs() < 1e-3);
    }
}

#[test]
fn order_and_range_of_the_tensor_change_nothing_of_what_is_standardised() {
    let picture = picture(30);
    let of =
        |layout, range| Preprocessing { layout, range, ..with(METHODS[0]) }.numbers(&picture).data;
    let (planes, pixels) = (of(Layout::Nchw, Range::Bytes), of(Layout::Nhwc, Range::Unit));
    for (place, value) in planes.iter().enumerate() {
        let (channel, place) = (place / 900, place % 900);
        assert!((value / 255.0 - pixels[place * 3 + channel]).abs() < 1e-6);
    }
}

#[test]
#[expect(clippy::cast_sign_loss, reason = "a level above 0")]
fn under_luminance_hue_is_lost_and_gain_and_offset_too() {
    let first = picture(90);
    let grey = |pixel: &image::Rgb<u8>| {
        let [red, green, blue] = pixel.0.map(f64::from);
        0.299 * red + 0.587 * green + 0.114 * blue
    };
    // The same cell in shades of grey, brighter and flatter.
    let second = RgbImage::from_fn(90, 90, |x, y| {
        let pixel = first.get_pixel(x, y);
        let level = (40.0 + 0.8 * grey(pixel)).round() as u8;
        image::Rgb(if is_foreground(&pixel.0) { [level; 3] } else { BACKGROUND })
    });
    let [one, other] = [&first, &second].map(|own| with(METHODS[2]).numbers(own).data);
    let most = one.iter().zip(&other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    // Rounding to half a level, stretched by 36 over a deviation of some 7.
    assert!(most < 4.0, "{most}");
    let count = one.len() / 3;
    assert!(one[..count] == one[count..2 * count] && one[..count] == one[2 * count..]);
    let (lightest, darkest) =
        one[..count].iter().fold((0.0_f32, 255.0_f32), |(most, least), own| {
            if *own > 0.0 { (most.max(*own), least.min(*own)) } else { (most, least) }
        });
    assert!(lightest - darkest > 36.0, "{darkest} to {lightest}");
}
