//! On a graphics card the kernels compute what they compute on the processor, forward and backward.
//!
//! Which card: `LEUKD_TEST_CARD=cuda`, `vulkan` or, as without it, `gl`, which may be Mesa's
//! software one. Where none was named and there is none each test says so and passes.
#![allow(clippy::print_stderr)]

use std::sync::OnceLock;

use burn::module::Module;
use burn::optim::{GradientsParams, Optimizer, SgdConfig};
use burn::tensor::activation::tanh;
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use leukd_train::fit::loss;
use leukd_train::kernels::{self, Geometry};
use leukd_train::network::{Architecture, Network, Parameter, Regularisation};
use leukd_train::optim::{AdamW, Average};
use leukd_train::recipe::Penalties;

fn found() -> Option<Device> {
    static FOUND: OnceLock<Option<Device>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let ready = || {
                let device = device();
                let _ = Tensor::<1>::ones([1], &device).into_data();
                device
            };
            // A card that was asked for by name must be there.
            match std::env::var_os("LEUKD_TEST_CARD") {
                Some(_) => Some(ready()),
                None => std::panic::catch_unwind(ready).ok(),
            }
        })
        .clone()
}

/// Without a name OpenGL's: Mesa's software Vulkan (22.3 at least) crashes on any kernel with
/// shared memory, burn's own matrix product among them.
fn device() -> Device {
    let name = std::env::var("LEUKD_TEST_CARD").unwrap_or_default();
    #[cfg(feature = "cuda")]
    if name == "cuda" {
        return Device::cuda(0);
    }
    #[cfg(feature = "vulkan")]
    {
        use cubecl::wgpu::{WgpuBackend, WgpuDevice};
        let backend = if name == "vulkan" { WgpuBackend::Vulkan } else { WgpuBackend::Gl };
        let card = WgpuDevice { kind: Default::default(), backend };
        Device::new(burn::backend::DispatchDevice::Cube(cubecl::Device::Wgpu(card)))
    }
    #[cfg(not(feature = "vulkan"))]
    panic!("no card was asked for: {name:?}")
}

/// The processor and the card, both with autodiff.
macro_rules! devices {
    () => {{
        let Some(card) = found() else {
            eprintln!("skipped: no graphics card");
            return;
        };
        (Device::flex().autodiff(), card.autodiff())
    }};
}

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.3, 1.0), device)
}

/// The same numbers on another device, as a leaf.
fn on<const D: usize>(x: &Tensor<D>, device: &Device) -> Tensor<D> {
    Tensor::from_data(x.clone().without_autodiff().into_data(), device).require_grad()
}

fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.without_autodiff().into_data().iter::<f32>().collect()
}

/// Within `tolerance` of the largest.
#[track_caller]
fn close<const D: usize>(what: &str, card: Tensor<D>, processor: Tensor<D>, tolerance: f32) {
    assert_eq!(card.dims(), processor.dims(), "{what}");
    let (card, processor) = (numbers(card), numbers(processor));
    let scale = processor.iter().fold(1.0_f32, |most, value| most.max(value.abs()));
    for (index, (card, processor)) in card.iter().zip(&processor).enumerate() {
        let apart = (card - processor).abs();
        assert!(apart <= tolerance * scale, "{what}: {card} for {processor} at {index}");
    }
}

/// A loss whose gradient differs at every place.
fn waves<const D: usize>(y: Tensor<D>) -> Tensor<1> {
    let count = y.shape().num_elements();
    let values: Vec<f32> = (0..count).map(|place| (place as f32 * 0.37).sin()).collect();
    let waves = Tensor::from_data(TensorData::new(values, y.dims()), &y.device());
    (tanh(y) * waves).sum()
}

const SHAPES: [(usize, usize, usize, usize, usize, usize); 8] = [
    (3, 1, 6, 5, 2, 3),
    (5, 1, 4, 4, 9, 5),
    (3, 2, 7, 8, 3, 2),
    (5, 2, 8, 8, 17, 4),
    (5, 1, 1, 2, 1, 1),
    (5, 2, 13, 11, 8, 7),
    (3, 1, 33, 37, 12, 2),
    (5, 1, 29, 31, 20, 1),
];

#[test]
fn depthwise() {
    let (processor, card) = devices!();
    for (kernel, stride, height, width, batch, channels) in SHAPES {
        let geometry = Geometry { kernel, stride, height, width };
        let x = random([channels, height, width, batch], &processor);
        let w = random([channels, kernel * kernel], &processor);
        let run = |device: &Device| {
            let (x, w) = (on(&x, device), on(&w, device));
            let y = kernels::depthwise(x.clone(), w.clone(), geometry);
            let grads = waves(y.clone()).backward();
            (y, x.grad(&grads).unwrap(), w.grad(&grads).unwrap())
        };
        let (ours, theirs) = (run(&card), run(&processor));
        close("y", ours.0, theirs.0, 1e-5);
        close("dx", ours.1, theirs.1, 1e-5);
        close("dw", ours.2, theirs.2, 1e-5);
        let plain = x.clone().without_autodiff();
        let device = card.clone().inner();
        let there = Tensor::from_data(plain.clone().into_data(), &device);
        close(
            "patches",
            kernels::patches(there, geometry),
            kernels::patches(plain.clone(), geometry),
            0.0,
        );
        let turned = Tensor::from_data(plain.clone().permute([3, 0, 1, 2]).into_data(), &device);
        close(
            "patches of a view",
            kernels::patches(turned.permute([1, 2, 3, 0]), geometry),
            kernels::patches(plain, geometry),
            0.0,
        );
    }
}

#[test]
fn normalisation() {
    let (processor, card) = devices!();
    for swish in [false, true] {
        for (channels, height, width, batch) in
            [(4, 3, 5, 6), (1, 1, 1, 3), (7, 9, 11, 4), (3, 57, 59, 12), (1100, 2, 2, 3)]
        {
            let x = random([channels, height, width, batch], &processor).mul_scalar(3.0) + 20.0;
            let gamma = random([channels], &processor);
            let beta = random([channels], &processor);
            let run = |device: &Device| {
                let (x, gamma, beta) = (on(&x, device), on(&gamma, device), on(&beta, device));
                let moments = kernels::moments(x.clone());
                let given = Tensor::from_inner(moments.clone());
                let y =
                    kernels::normalise(x.clone(), gamma.clone(), beta.clone(), given, 1e-3, swish);
                let grads = waves(y.clone()).backward();
                let gradients = [gamma.grad(&grads).unwrap(), beta.grad(&grads).unwrap()];
                (moments, y, x.grad(&grads).unwrap(), gradients)
            };
            let (ours, theirs) = (run(&card), run(&processor));
            close("moments", ours.0, theirs.0, 1e-5);
            close("y", ours.1, theirs.1, 1e-4);
            close("dx", ours.2, theirs.2, 1e-4);
            for (ours, theirs) in ours.3.into_iter().zip(theirs.3) {
                close("dgamma, dbeta", ours, theirs, 1e-4);
            }
        }
    }
}

#[test]
fn pool_and_gate() {
    let (processor, card) = devices!();
    for (channels, height, width, batch) in [
        (3, 4, 5, 7),
        (1, 1, 1, 1),
        (5, 13, 11, 8),
        (2, 40, 41, 12),
        (2, 3, 3, 1300),
        (2, 2, 2, 300),
    ] {
        let x = random([channels, height, width, batch], &processor);
        let gate = random([channels, batch], &processor);
        let run = |device: &Device| {
            let (x, gate) = (on(&x, device), on(&gate, device));
            let mean = kernels::pool(x.clone());
            let y = kernels::gate(x.clone(), gate.clone());
            let grads = (waves(mean.clone()) + waves(y.clone())).backward();
            (mean, y, x.grad(&grads).unwrap(), gate.grad(&grads).unwrap())
        };
        let (ours, theirs) = (run(&card), run(&processor));
        close("mean", ours.0, theirs.0, 1e-5);
        close("y", ours.1, theirs.1, 1e-6);
        close("dx", ours.2, theirs.2, 1e-5);
        close("dgate", ours.3, theirs.3, 1e-5);
    }
}

/// A mask for all channels, as stochastic depth has it: a view that repeats itself.
#[test]
fn gate_by_a_repeated_mask() {
    let (processor, card) = devices!();
    let x = random([3, 4, 5, 6], &processor);
    let mask = random([1, 6], &processor);
    let run = |device: &Device| {
        let mask = Tensor::<2>::from_data(mask.clone().into_data(), device);
        let x = on(&x, device);
        let grads = waves(kernels::gate(x.clone(), mask.expand([3, 6]))).backward();
        x.grad(&grads).unwrap()
    };
    close("dx", run(&card), run(&processor), 1e-5);
}

#[test]
fn product() {
    let (processor, card) = devices!();
    // TF32 keeps ten bits of mantissa.
    for (outward, inward, columns) in
        [(3, 5, 7), (24, 144, 1000), (144, 24, 5003), (1, 1, 1), (70, 33, 4096), (17, 40, 20_000)]
    {
        let kernel = random([outward, inward], &processor);
        let x = random([inward, columns], &processor);
        let run = |device: &Device| {
            let (kernel, x) = (on(&kernel, device), on(&x, device));
            let y = kernels::product(kernel.clone(), x.clone());
            let grads = waves(y.clone()).backward();
            (y, kernel.grad(&grads).unwrap(), x.grad(&grads).unwrap())
        };
        let (ours, theirs) = (run(&card), run(&processor));
        close("y", ours.0, theirs.0, 2e-3);
        close("dkernel", ours.1, theirs.1, 5e-3);
        close("dx", ours.2, theirs.2, 5e-3);
    }
}

#[test]
fn squeeze_and_excitation() {
    let (processor, card) = devices!();
    for (channels, squeezed, batch) in [(5, 2, 3), (144, 6, 40), (1, 1, 1), (33, 17, 300)] {
        let mean = random([channels, batch], &processor);
        let weights =
            [random([channels, squeezed], &processor), random([squeezed, channels], &processor)];
        let biases = [random([squeezed], &processor), random([channels], &processor)];
        let run = |device: &Device| {
            let mean = on(&mean, device);
            let weights = weights.each_ref().map(|weights| on(weights, device));
            let biases = biases.each_ref().map(|bias| on(bias, device));
            let layer = |index: usize| kernels::Dense {
                weights: weights[index].clone(),
                bias: Some(biases[index].clone()),
            };
            let gate = kernels::excite(mean.clone(), layer(0), layer(1));
            let grads = waves(gate.clone()).backward();
            let of = |bias: &Tensor<1>| bias.grad(&grads).unwrap();
            let biases = biases.each_ref().map(of);
            let of = |weights: &Tensor<2>| weights.grad(&grads).unwrap();
            let [reduce, expand] = weights.each_ref().map(of);
            ([gate, of(&mean), reduce, expand], biases)
        };
        let (ours, theirs) = (run(&card), run(&processor));
        for (ours, theirs) in ours.0.into_iter().zip(theirs.0) {
            close("gate, dmean, dweights", ours, theirs, 1e-5);
        }
        for (ours, theirs) in ours.1.into_iter().zip(theirs.1) {
            close("dbias", ours, theirs, 1e-5);
        }
    }
}

#[test]
fn running_statistics_and_blends() {
    let (processor, card) = devices!();
    let [a, b] = [random([37], &processor), random([37], &processor)];
    let moments = random([2, 37], &processor);
    let run = |device: &Device| {
        let device = device.clone().inner();
        let there = |x: &Tensor<1>| Tensor::from_data(x.clone().into_data(), &device);
        let moments = Tensor::from_data(moments.clone().into_data(), &device);
        let [mean, variance] = kernels::running([there(&a), there(&b)], &moments, 0.1);
        [mean, variance, kernels::blend(there(&a), there(&b), 0.97)]
    };
    for (ours, theirs) in run(&card).into_iter().zip(run(&processor)) {
        close("blend", ours, theirs, 1e-6);
    }
}

/// A step of a small network at the rate 1: its loss, then what became of it and of its average.
fn step(device: &Device, network: &Network) -> (f32, Vec<Parameter>) {
    let network = network.clone().to_device(&device.clone().inner()).train();
    let average = Average::new(network.valid(), 0.9, 0);
    let penalties = Penalties {
        kernel_l2: 0.016,
        activity_l1: 0.006,
        bias_l1: 0.006,
        label_smoothing: 0.0,
        mixup: 0.0,
    };
    let pixels: Vec<f32> = (0..6 * 3 * 64 * 64)
        .map(|place| 127.0 + 60.0 * ((place as f32 * 0.013).sin() + (place as f32 * 1.7).cos()))
        .collect();
    let pixels = Tensor::from_data(TensorData::new(pixels, [6, 3, 64, 64]), device);
    let targets = vec![1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0_f32];
    let targets = Tensor::from_data(TensorData::new(targets, [6, 2]), device);
    let output = network.head.forward(network.features(pixels));
    let loss = loss(&output, targets, &network.head.hidden, &penalties);
    let said = loss.clone().into_scalar::<f32>();
    let gradients = GradientsParams::from_grads(loss.backward(), &network);
    let network = SgdConfig::new().init().step(1.0, network, gradients);
    let average = average.update(&network, 1);
    let mut parameters = network.valid().parameters();
    parameters.extend(average.network().parameters());
    (said, parameters)
}

#[test]
fn a_whole_step() {
    let (processor, card) = devices!();
    processor.seed(7);
    let architecture = Architecture { width: 0.35, depth: 0.35, hidden: 16, classes: 2 };
    let regularisation = Regularisation {
        norm_momentum: 0.1,
        dropout: 0.0,
        drop_connect: 0.0,
        class_gain: 1.0,
        zero_residuals: false,
    };
    let network = Network::new(&architecture, &regularisation, &processor.clone().inner());
    let before = network.parameters();
    let (ours, theirs) = (step(&card, &network), step(&processor, &network));
    assert!((ours.0 - theirs.0).abs() < 1e-3, "{} for {}", ours.0, theirs.0);
    for (index, (ours, theirs)) in ours.1.iter().zip(&theirs.1).enumerate() {
        let name = ours.name();
        let before = &before[index % before.len()].values;
        let moves = theirs.values.iter().zip(before).map(|(after, before)| (after - before).abs());
        // TF32 and sums in another order.
        let tolerance = 0.02 * moves.fold(1e-4, f32::max);
        for (ours, theirs) in ours.values.iter().zip(&theirs.values) {
            assert!((ours - theirs).abs() <= tolerance, "{name}: {ours} for {theirs}");
        }
    }
}

#[test]
fn adamw_steps() {
    let (processor, card) = devices!();
    let weights = random([13, 21], &processor);
    let gradients: Vec<Tensor<2>> = (0..4).map(|_| random([13, 21], &processor)).collect();
    let run = |device: &Device| {
        let device = device.clone().inner();
        let there = |x: &Tensor<2>| Tensor::<2>::from_data(x.clone().into_data(), &device);
        let (mut weights, mut state) = (there(&weights), None);
        for gradient in &gradients {
            (weights, state) = AdamW::new(0.05).step(1e-2, weights, there(gradient), state);
        }
        let momentum = state.unwrap().0.momentum;
        assert_eq!(momentum.time, 4);
        [weights, momentum.moment_1, momentum.moment_2]
    };
    for (ours, theirs) in run(&card).into_iter().zip(run(&processor)) {
        close("adamw", ours, theirs, 1e-6);
    }
}
