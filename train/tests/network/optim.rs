//! Adamax follows Keras' published rule.

use burn::module::{Module, Param};
use burn::optim::{GradientsParams, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor};
use leukd_train::optim::Adamax;

fn values(tensor: Tensor<1>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// What `keras.optimizers.Adamax(learning_rate=0.01)` of Keras 3.15.1 (β 0.9 and 0.999, ε 1e-7)
/// made of the weights 1, −1 and 0.5 with these gradients, step by step.
#[test]
fn adamax_gives_the_numbers_of_keras() {
    let device = Device::flex();
    let steps: [([f32; 3], [f32; 3]); 3] = [
        ([0.5, -2.0, 0.0], [0.99, -0.99, 0.5]),
        ([0.25, 1.0, 1e-8], [0.982_624_2, -0.987_892_6, 0.499_521_5]),
        ([-1.0, 0.0, 0.0], [0.983_989_5, -0.986_561_5, 0.499_219_6]),
    ];
    let adamax = Adamax::keras();
    let mut weights = Tensor::<1>::from_floats([1.0, -1.0, 0.5], &device);
    let mut state = None;
    for (step, (gradient, expected)) in steps.into_iter().enumerate() {
        let given = Tensor::<1>::from_floats(gradient, &device);
        (weights, state) = adamax.step(0.01, weights, given, state);
        for (ours, theirs) in values(weights.clone()).iter().zip(expected) {
            assert!((ours - theirs).abs() < 2e-7, "step {}: {ours} {theirs}", step + 1);
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
