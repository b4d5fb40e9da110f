//! Adamax follows Keras' published rule.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use burn::module::{Module, Param};
use burn::optim::{GradientsParams, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor};
use leukd_train::optim::Adamax;

fn values(tensor: Tensor<1>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Keras 3 writes the rule as: m ← m + (g − m)(1 − β₁); u ← max(β₂ u, |g|);
/// w ← w − (rate · m) / ((1 − β₁ᵗ)(u + ε)). The numbers were computed from it by hand in double
/// precision, for β 0.9 and 0.999, ε 1e-7, rate 0.01.
#[test]
fn adamax_gives_the_numbers_of_keras_rule() {
    let device = Device::flex();
    let gradients = [[0.5_f64, -2.0, 0.0], [0.25, 1.0, 1e-8], [-1.0, 0.0, 0.0]];
    let adamax = Adamax::keras();
    let mut weights = Tensor::<1>::from_floats([1.0, -1.0, 0.5], &device);
    let mut state = None;
    let (mut w, mut m, mut u) = ([1.0_f64, -1.0, 0.5], [0.0_f64; 3], [0.0_f64; 3]);
    for (step, gradient) in gradients.iter().enumerate() {
        let given = Tensor::<1>::from_floats(gradient.map(|g| g as f32), &device);
        (weights, state) = adamax.step(0.01, weights, given, state);
        let time = step as i32 + 1;
        for index in 0..3 {
            m[index] += (gradient[index] - m[index]) * 0.1;
            u[index] = (0.999 * u[index]).max(gradient[index].abs());
            w[index] -= 0.01 * m[index] / ((1.0 - 0.9_f64.powi(time)) * (u[index] + 1e-7));
        }
        for (ours, theirs) in values(weights.clone()).iter().zip(w) {
            assert!((f64::from(*ours) - theirs).abs() < 1e-6, "step {time}: {ours} {theirs}");
        }
    }
    // The first step moves every weight with a gradient by the rate, whatever the gradient's size.
    let first = adamax.step::<1>(
        0.01,
        Tensor::from_floats([1.0, 1.0], &device),
        Tensor::from_floats([3.0, -40.0], &device),
        None,
    );
    for (ours, theirs) in values(first.0).iter().zip([0.99_f32, 1.01]) {
        assert!((ours - theirs).abs() < 1e-6);
    }
}

#[derive(Module, Debug)]
struct One {
    weight: Param<Tensor<1>>,
}

#[test]
fn adamax_s_moments_survive_a_file() {
    let device = Device::flex().autodiff();
    let mut module = One { weight: Param::from_tensor(Tensor::from_floats([1.0, 2.0], &device)) };
    let mut optimizer = ModuleOptimizer::from(Adamax::keras());
    let step = |optimizer: &mut ModuleOptimizer, module: One, scale: f64| {
        let loss = module.weight.val().square().sum().mul_scalar(scale);
        let gradients = GradientsParams::from_grads(loss.backward(), &module);
        optimizer.step(0.1, module, gradients)
    };
    module = step(&mut optimizer, module, 1.0);
    module = step(&mut optimizer, module, -3.0);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("optimizer.bpk");
    optimizer.save(&path).unwrap();
    let mut restored = ModuleOptimizer::from(Adamax::keras()).load(&path).unwrap();
    let kept = module.clone();
    let on = values(step(&mut optimizer, module, 0.5).weight.val());
    let off = values(step(&mut restored, kept, 0.5).weight.val());
    assert_eq!(on, off);
}
