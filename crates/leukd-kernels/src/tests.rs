//! Each kernel against its twin in plain f64, over odd shapes, steps and tails, on every
//! instruction set of this machine.

use proptest::prelude::*;
use rand::{Rng, SeedableRng};

use super::depthwise::{Depthwise, Planes};
use super::memory::{Buffer, block, parts, unblock};
use super::pointwise::{Input, Pointwise, Target};
use super::{
    BlockParts, Chain, Isa, Pool, Shape, StageParts, StemParts, Transposed, Weights, Window,
};

mod twins;

/// Numbers from a seed, −1 to 1.
struct Numbers(rand_chacha::ChaCha8Rng);

impl Numbers {
    fn new(seed: u64) -> Self {
        Self(rand_chacha::ChaCha8Rng::seed_from_u64(seed))
    }

    fn some(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.0.random_range(-1.0..1.0)).collect()
    }

    /// A kernel of `outputs` rows of `each` numbers, as training leaves them or as quantization
    /// does.
    fn weights(&mut self, outputs: usize, each: usize, bytes: bool) -> Weights {
        // So that a layer's results are about as large as its inputs.
        #[allow(clippy::cast_precision_loss)]
        let most = (3.0 / each as f32).sqrt();
        let mut kernel: Vec<f32> =
            self.some(outputs * each).into_iter().map(|weight| weight * most).collect();
        if bytes {
            for row in kernel.chunks_exact_mut(each) {
                let step = row.iter().fold(0.0_f32, |most, weight| most.max(weight.abs())) / 127.0;
                let factor = self.0.random_range(0.1..3.0_f32);
                row.iter_mut()
                    .for_each(|weight| *weight = (*weight / step).round() * step * factor);
            }
        }
        Weights { kernel, bias: self.some(outputs) }
    }
}

fn blocked(plain: &[f32], shape: Shape, isa: Isa) -> Buffer {
    let mut buffer = Buffer::zeros(shape.blocked(isa));
    block(plain, shape, isa, buffer.as_mut_slice());
    buffer
}

/// The largest difference, as a share of 1 and of the twin's greatest number.
fn apart(got: &[f32], twin: &[f64]) -> f64 {
    assert_eq!(got.len(), twin.len());
    let most = twin.iter().fold(1.0_f64, |most, number| most.max(number.abs()));
    got.iter()
        .zip(twin)
        .map(|(got, twin)| (f64::from(*got) - twin).abs() / most)
        .fold(0.0, f64::max)
}

const NEAR: f64 = 2e-6;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_pointwise_product_equals_its_twin(
        seed: u64, inputs in 1_usize..80, outputs in 1_usize..80, pixels in 1_usize..40,
        bytes: bool, gated: bool, residual: bool, silu: bool, gap in 0_usize..3,
    ) {
        let mut numbers = Numbers::new(seed);
        let weights = numbers.weights(outputs, inputs, bytes);
        let from = numbers.some(inputs * pixels);
        let added = residual.then(|| numbers.some(outputs * pixels));
        let gates = gated.then(|| numbers.some(inputs));
        let twin = twins::pointwise(&weights, &from, pixels, gates.as_deref(), added.as_deref(), silu);
        for isa in Isa::here() {
            let width = isa.width();
            let layer = Pointwise::new(isa, &weights.kernel, &weights.bias, inputs);
            prop_assert_eq!(layer.holds_bytes(), bytes || inputs == 1);
            let shape = |channels| Shape { channels, height: 1, width: pixels };
            let from = blocked(&from, shape(inputs), isa);
            let added = added.as_ref().map(|added| blocked(added, shape(outputs), isa));
            // Every pixel has a gap behind it, which must stay as it is.
            let place = |pixel: usize| u32::try_from(pixel * (gap + 1) * width).unwrap();
            let places: Vec<u32> = (0..pixels).map(place).collect();
            let plane = pixels * (gap + 1) * width;
            let mut to = Buffer::zeros(layer.vectors() * plane);
            to.as_mut_slice().fill(77.0);
            let input = Input {
                from: from.as_slice(),
                gates: gates.as_deref(),
                residual: added.as_ref().map(Buffer::as_slice),
                silu,
            };
            let mut panel = Buffer::default();
            for part in layer.parts() {
                let numbers = &mut to.as_mut_slice()[part.0 * plane..];
                layer.run(part, input, Target { numbers, block: plane, places: &places }, &mut panel);
            }
            let mut dense = Buffer::zeros(layer.vectors() * pixels * width);
            for (place, (from, to)) in to.as_slice().chunks_exact(width).zip(0..).map(|(from, at)| (at, (from, at / (gap + 1)))) {
                if place % (gap + 1) == 0 {
                    dense.as_mut_slice()[to * width..][..width].copy_from_slice(from);
                } else {
                    prop_assert!(from.iter().all(|number| *number == 77.0), "{isa}: a gap was written");
                }
            }
            let mut got = vec![0.0; outputs * pixels];
            unblock(dense.as_slice(), shape(outputs), isa, &mut got);
            prop_assert!(apart(&got, &twin) < NEAR, "{isa}: {}", apart(&got, &twin));
        }
    }

    #[test]
    fn weighted_sums_of_rows_equal_their_twin(
        seed: u64, rows in 1_usize..40, columns in 1_usize..200, bytes: bool, silent in 0.0..1.0_f64,
    ) {
        let mut numbers = Numbers::new(seed);
        let weights = numbers.weights(rows, columns, bytes).kernel;
        let mut factors = numbers.some(rows);
        factors.iter_mut().for_each(|factor| *factor *= f32::from(u8::from(!numbers.0.random_bool(silent))));
        let mut twin = vec![0.0; columns];
        for (row, factor) in weights.chunks_exact(columns).zip(&factors) {
            twin.iter_mut().zip(row).for_each(|(sum, weight)| *sum += f64::from(*weight) * f64::from(*factor));
        }
        for isa in Isa::here() {
            let matrix = Transposed::new(isa, &weights, columns);
            prop_assert_eq!(matrix.holds_bytes(), bytes || columns == 1);
            let off = apart(&matrix.sum(&factors), &twin);
            prop_assert!(off < NEAR, "{isa}: {off}");
        }
    }

    #[test]
    fn a_depthwise_convolution_equals_its_twin(
        seed: u64, channels in 1_usize..40, five: bool, two: bool,
        rows in 1_usize..12, columns in 1_usize..22, more in 0_usize..2,
    ) {
        let window = Window { side: if five { 5 } else { 3 }, stride: 1 + usize::from(two) };
        let side = |out: usize| (out - 1) * window.stride + window.side + more;
        let padded = [side(rows), side(columns)];
        let mut numbers = Numbers::new(seed);
        let weights = numbers.weights(channels, window.side * window.side, false);
        let shape = Shape { channels, height: padded[0], width: padded[1] };
        let from = numbers.some(channels * shape.pixels());
        let (twin, means) = twins::depthwise(&weights, &from, shape, window, [0, 0], [rows, columns]);
        for isa in Isa::here() {
            let layer = Depthwise::new(isa, &weights.kernel, &weights.bias, window);
            let out = Shape { channels, height: rows, width: columns };
            let mut to = Buffer::zeros(out.blocked(isa));
            let mut got_means = Buffer::zeros(out.blocks(isa) * isa.width());
            let planes = Planes { padded, output: [rows, columns] };
            let from = blocked(&from, shape, isa);
            layer.run((0, out.blocks(isa)), planes, from.as_slice(), to.as_mut_slice(), got_means.as_mut_slice());
            let mut got = vec![0.0; channels * out.pixels()];
            unblock(to.as_slice(), out, isa, &mut got);
            prop_assert!(apart(&got, &twin) < NEAR, "{isa}: {}", apart(&got, &twin));
            prop_assert!(apart(&got_means.as_slice()[..channels], &means) < NEAR, "{isa}: means");
        }
    }

    #[test]
    fn a_chain_of_all_stages_equals_its_twin(seed: u64) {
        let mut numbers = Numbers::new(seed);
        let sizes = Sizes::drawn(&mut numbers);
        let stages = network(&mut numbers, &sizes);
        let input = stages[0].input();
        let picture = numbers.some(input.channels * input.pixels());
        let twin = twins::chain(&stages, &picture);
        let larger = network(&mut numbers, &Sizes { sides: [40, 40], stem: Window { side: 3, stride: 1 }, wide: 50, ..sizes });
        for isa in Isa::here() {
            let chain = Chain::new(isa, &stages);
            let output = chain.output();
            let mut got = vec![0.0; output.channels * output.pixels()];
            chain.run(&picture, &mut got);
            prop_assert!(apart(&got, &twin) < 2e-5, "{isa}: {}: {sizes:?}", apart(&got, &twin));
            // The memory of a run does not show in the next.
            let another = Chain::new(isa, &larger);
            let nothing = vec![f32::NAN; another.input().channels * another.input().pixels()];
            let mut lost = vec![0.0; another.output().channels * another.output().pixels()];
            another.run(&nothing, &mut lost);
            prop_assert!(lost.iter().all(|number| number.is_nan()), "{isa}: a NaN was lost: {sizes:?}");
            let first = got.clone();
            chain.run(&picture, &mut got);
            prop_assert_eq!(first, got);
        }
    }

    #[test]
    fn parts_cover_everything_once(total in 0_usize..200, most in 1_usize..20) {
        let mut next = 0;
        for (first, count) in parts(total, most) {
            prop_assert_eq!(first, next);
            prop_assert!((1..=most).contains(&count));
            next += count;
        }
        prop_assert_eq!(next, total);
    }
}

#[derive(Debug, Clone, Copy)]
struct Sizes {
    sides: [usize; 2],
    channels: usize,
    stem: Window,
    before: [usize; 2],
    narrow: usize,
    wide: usize,
    hidden: usize,
    window: Window,
    expands: bool,
    squeezes: bool,
    bytes: bool,
    max: bool,
}

impl Sizes {
    /// Any that fit each other.
    fn drawn(numbers: &mut Numbers) -> Self {
        let mut upto = |least: usize, most: usize| numbers.0.random_range(least..=most);
        let stem = Window { side: upto(1, 7), stride: upto(1, 4) };
        let mut before = || upto(0, stem.side.min(3) - 1);
        Self {
            before: [before(), before()],
            sides: [upto(7, 24), upto(7, 24)],
            channels: upto(1, 4),
            stem,
            narrow: upto(1, 20),
            wide: upto(1, 40),
            hidden: upto(1, 9),
            window: Window { side: [3, 5][upto(0, 1)], stride: upto(1, 2) },
            expands: upto(0, 3) > 0,
            squeezes: upto(0, 3) > 0,
            bytes: upto(0, 1) > 0,
            max: upto(0, 1) > 0,
        }
    }
}

/// A stem, two blocks of which the second has a residual, a top and pooling.
fn network(numbers: &mut Numbers, sizes: &Sizes) -> Vec<StageParts> {
    let Sizes { sides, channels, stem, narrow, wide, hidden, bytes, .. } = *sizes;
    let mut stages = vec![StageParts::Stem(StemParts {
        input: Shape { channels, height: sides[0], width: sides[1] },
        output: sides.map(|side| side.div_ceil(stem.stride)),
        side: stem.side,
        stride: stem.stride,
        before: sizes.before,
        weights: numbers.weights(narrow, channels * stem.side * stem.side, bytes),
    })];
    let side = sizes.window.side;
    for (stride, residual) in [(sizes.window.stride, false), (1, true)] {
        let input = stages.last().unwrap().output();
        let wide = if sizes.expands { wide } else { input.channels };
        let output = [input.height, input.width].map(|side| side.div_ceil(stride));
        // More on one side than on the other, and not the same in both directions.
        let before = [0, 1].map(|_| numbers.0.random_range(0..side));
        let squeeze = sizes
            .squeezes
            .then(|| [numbers.weights(hidden, wide, bytes), numbers.weights(wide, hidden, bytes)]);
        let outputs = if residual { input.channels } else { narrow + 3 };
        stages.push(StageParts::Block(BlockParts {
            input,
            output,
            expand: sizes.expands.then(|| numbers.weights(wide, input.channels, bytes)),
            depthwise: numbers.weights(wide, side * side, bytes),
            window: Window { side, stride },
            before,
            squeeze,
            project: numbers.weights(outputs, wide, bytes),
            residual,
        }));
    }
    let input = stages.last().unwrap().output();
    stages.push(StageParts::Top(input, numbers.weights(wide, input.channels, bytes)));
    let input = stages.last().unwrap().output();
    stages.push(StageParts::Pool(input, if sizes.max { Pool::Max } else { Pool::Mean }));
    stages
}

/// Through the kernel that applies it: a product with one weight of 1.
fn silu_of(isa: Isa, x: f32) -> f32 {
    let layer = Pointwise::new(isa, &[1.0], &[0.0], 1);
    let mut from = Buffer::zeros(isa.width());
    from.as_mut_slice()[0] = x;
    let mut to = Buffer::zeros(isa.width());
    let target = Target { numbers: to.as_mut_slice(), block: isa.width(), places: &[0] };
    layer.run((0, 1), Input::of(from.as_slice(), true), target, &mut Buffer::default());
    to.as_slice()[0]
}

#[test]
fn silu_is_keras_to_two_millionths_over_its_whole_range() {
    for isa in Isa::here() {
        for step in -40_000..=40_000_i32 {
            let x = f64::from(step) * 1e-3;
            let twin = x / (1.0 + (-x).exp());
            #[allow(clippy::cast_possible_truncation)]
            let got = f64::from(silu_of(isa, x as f32));
            assert!(
                (got - twin).abs() <= 2e-6 * twin.abs() + 1e-11,
                "{isa}: {x}: {got}, not {twin}"
            );
        }
        assert_eq!(silu_of(isa, f32::INFINITY), f32::INFINITY, "{isa}");
        assert!(silu_of(isa, f32::NAN).is_nan(), "{isa}: a NaN must be seen at the end");
    }
}

#[test]
fn silu_of_a_very_negative_number_leaves_no_number_below_the_normal_range() {
    for isa in Isa::here() {
        for x in [-31.0, -90.0, -1e3, -1e6_f32] {
            let got = silu_of(isa, x).abs();
            assert!(got == 0.0 || got > 1e-20, "{isa}: {x}: {got:e}");
        }
    }
}

#[test]
fn pooling_and_gates_let_a_nan_through_wherever_it_stands() {
    for isa in Isa::here() {
        for (kind, place) in [Pool::Max, Pool::Mean]
            .into_iter()
            .flat_map(|kind| (0..9).map(move |place| (kind, place)))
        {
            let shape = Shape { channels: 1, height: 3, width: 3 };
            let chain = Chain::new(isa, &[StageParts::Pool(shape, kind)]);
            let mut picture = [1.0; 9];
            picture[place] = f32::NAN;
            let mut pooled = [0.0];
            chain.run(&picture, &mut pooled);
            assert!(pooled[0].is_nan(), "{isa}: {kind:?} forgets a NaN at {place}");
        }
        let gate = super::squeeze::Squeeze::new(
            isa,
            Pointwise::new(isa, &[1.0], &[0.0], 1),
            Pointwise::new(isa, &[1.0], &[f32::NAN], 1),
        );
        let [means, mut hidden, mut gates] = [0; 3].map(|_| Buffer::zeros(isa.width()));
        gate.run(
            means.as_slice(),
            hidden.as_mut_slice(),
            gates.as_mut_slice(),
            &mut Buffer::default(),
        );
        assert!(gates.as_slice()[0].is_nan(), "{isa}");
    }
}

#[test]
fn weights_off_any_grid_stay_f32_and_those_on_one_become_bytes() {
    for isa in Isa::here() {
        let on: Vec<f32> = [127.0, -3.0, 64.0, -127.0].iter().map(|byte| byte * 0.013).collect();
        assert!(Pointwise::new(isa, &on, &[0.0], 4).holds_bytes());
        let off = [1.0, 0.5, 1.0 / 3.0, 0.1];
        assert!(!Pointwise::new(isa, &off, &[0.0], 4).holds_bytes());
        // A channel that training has emptied.
        assert!(Pointwise::new(isa, &[0.0; 4], &[0.5], 4).holds_bytes());
        assert!(!Pointwise::new(isa, &[f32::NAN; 4], &[0.0], 4).holds_bytes());
    }
}

#[test]
fn a_panel_too_short_for_its_target_is_refused_before_anything_is_written() {
    let isa = Isa::best();
    let layer = Pointwise::new(isa, &[1.0], &[0.0], 1);
    let from = Buffer::zeros(isa.width());
    let mut to = Buffer::zeros(isa.width());
    to.as_mut_slice().fill(77.0);
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let place = u32::try_from(isa.width()).unwrap();
        let target = Target { numbers: to.as_mut_slice(), block: 0, places: &[place] };
        layer.run((0, 1), Input::of(from.as_slice(), false), target, &mut Buffer::default());
    }));
    assert!(refused.is_err());
    assert!(to.as_slice().iter().all(|number| *number == 77.0));
}
