//! The CPU kernels compute what burn's own operations compute, forward and backward.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use burn::tensor::activation::{sigmoid, tanh};
use burn::tensor::module::{batch_norm_train, conv2d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Distribution, Tensor};
use leukd_train::kernels::{self, Geometry};

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device).require_grad()
}

#[track_caller]
fn close<const D: usize>(ours: Tensor<D>, theirs: Tensor<D>, tolerance: f32) {
    assert_eq!(ours.dims(), theirs.dims());
    let difference = (ours - theirs).abs().max().into_scalar::<f32>();
    assert!(difference <= tolerance, "differ by {difference}");
}

/// A loss whose gradient differs at every place.
fn loss<const D: usize>(y: Tensor<D>) -> Tensor<1> {
    let waves =
        Tensor::<1, burn::tensor::Int>::arange(0..y.shape().num_elements() as i64, &y.device());
    let waves = waves.float().mul_scalar(0.37).sin().reshape(y.dims());
    (tanh(y) * waves).sum()
}

#[test]
fn depthwise_agrees_with_burns_convolution() {
    let device = Device::flex().autodiff();
    device.seed(1);
    for (kernel, stride, height, width, batch) in
        [(3, 1, 6, 5, 2), (5, 1, 4, 4, 9), (3, 2, 7, 8, 3), (5, 2, 8, 8, 17), (5, 1, 1, 2, 1)]
    {
        let channels = 3;
        let x = random([channels, height, width, batch], &device);
        let w = random([channels, kernel * kernel], &device);
        let geometry = Geometry { kernel, stride, height, width };
        let ours = kernels::depthwise(x.clone(), w.clone(), geometry);
        let ((top, bottom), (left, right)) = geometry.padding();
        let theirs = conv2d(
            x.clone().permute([3, 0, 1, 2]),
            w.clone().reshape([channels, 1, kernel, kernel]),
            None,
            ConvOptions::new_with_padding(
                [stride, stride],
                [(top, bottom), (left, right)],
                [1, 1],
                channels,
            ),
        )
        .permute([1, 2, 3, 0]);
        close(ours.clone(), theirs.clone(), 1e-5);
        let (our_grads, their_grads) = (loss(ours).backward(), loss(theirs).backward());
        close(x.grad(&our_grads).unwrap(), x.grad(&their_grads).unwrap(), 1e-5);
        close(w.grad(&our_grads).unwrap(), w.grad(&their_grads).unwrap(), 1e-4);
    }
}

#[test]
fn normalisation_agrees_with_burns_batch_norm_and_swish() {
    let device = Device::flex().autodiff();
    device.seed(2);
    for swish in [false, true] {
        let x = random([4, 3, 5, 6], &device);
        let (gamma, beta) = (random([4], &device), random([4], &device));
        let moments = kernels::moments(x.clone());
        let ours = kernels::normalise(
            x.clone(),
            gamma.clone(),
            beta.clone(),
            Tensor::from_inner(moments.clone()),
            1e-3,
            swish,
        );
        let burns =
            batch_norm_train(x.clone().permute([3, 0, 1, 2]), gamma.clone(), beta.clone(), 1e-3);
        let z = burns.output.permute([1, 2, 3, 0]);
        let theirs = if swish { z.clone() * sigmoid(z) } else { z };
        let mean = burns.mean.reshape([1, 4]).without_autodiff();
        let variance = burns.variance.reshape([1, 4]).without_autodiff();
        close(moments, Tensor::cat(vec![mean, variance], 0), 1e-5);
        close(ours.clone(), theirs.clone(), 1e-5);
        let (our_grads, their_grads) = (loss(ours).backward(), loss(theirs).backward());
        close(x.grad(&our_grads).unwrap(), x.grad(&their_grads).unwrap(), 1e-5);
        close(gamma.grad(&our_grads).unwrap(), gamma.grad(&their_grads).unwrap(), 1e-4);
        close(beta.grad(&our_grads).unwrap(), beta.grad(&their_grads).unwrap(), 1e-4);
    }
}

#[test]
fn pool_and_gate_agree_with_burns_mean_and_product() {
    let device = Device::flex().autodiff();
    device.seed(3);
    let x = random([3, 4, 5, 7], &device);
    let ours = kernels::pool(x.clone());
    let theirs: Tensor<2> = x.clone().mean_dim(1).mean_dim(2).reshape([3, 7]);
    close(ours.clone(), theirs.clone(), 1e-5);
    let (our_grads, their_grads) = (loss(ours).backward(), loss(theirs).backward());
    close(x.grad(&our_grads).unwrap(), x.grad(&their_grads).unwrap(), 1e-5);

    let gate = random([3, 7], &device);
    let ours = kernels::gate(x.clone(), gate.clone());
    let theirs = x.clone() * gate.clone().reshape([3, 1, 1, 7]);
    close(ours.clone(), theirs.clone(), 1e-6);
    let (our_grads, their_grads) = (loss(ours).backward(), loss(theirs).backward());
    close(x.grad(&our_grads).unwrap(), x.grad(&their_grads).unwrap(), 1e-5);
    close(gate.grad(&our_grads).unwrap(), gate.grad(&their_grads).unwrap(), 1e-4);
}
