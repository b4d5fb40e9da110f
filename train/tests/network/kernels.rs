//! The CPU kernels compute what burn's own operations compute, forward and backward.

use burn::tensor::activation::{sigmoid, tanh};
use burn::tensor::module::{batch_norm_train, conv2d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Distribution, Tensor};
use leukd_train::kernels::{self, Geometry, portable};

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

/// On any other device burn's own operations compute the network; here both run on one device.
#[test]
fn the_portable_operations_agree_with_the_kernels_forward_and_backward() {
    let device = Device::flex().autodiff();
    device.seed(4);
    for (kernel, stride, height, width, batch) in
        [(3, 1, 6, 5, 2), (5, 1, 4, 4, 3), (3, 2, 7, 8, 3), (5, 2, 8, 8, 5), (5, 1, 1, 2, 1)]
    {
        let x = random([3, height, width, batch], &device);
        let w = random([3, kernel * kernel], &device);
        let geometry = Geometry { kernel, stride, height, width };
        let ours = kernels::depthwise(x.clone(), w.clone(), geometry);
        let theirs = portable::depthwise(x.clone(), w.clone(), geometry);
        close(ours.clone(), theirs.clone(), 1e-5);
        let (our_grads, their_grads) = (loss(ours).backward(), loss(theirs).backward());
        close(x.grad(&our_grads).unwrap(), x.grad(&their_grads).unwrap(), 1e-5);
        close(w.grad(&our_grads).unwrap(), w.grad(&their_grads).unwrap(), 1e-4);
        let plain = x.clone().without_autodiff();
        close(kernels::patches(plain.clone(), geometry), portable::patches(plain, geometry), 0.0);
    }
    let x = random([4, 3, 5, 6], &device);
    let (gamma, beta) = (random([4], &device), random([4], &device));
    let moments = kernels::moments(x.clone());
    close(moments.clone(), portable::moments(x.clone().without_autodiff()), 1e-5);
    for swish in [false, true] {
        let moments = Tensor::from_inner(moments.clone());
        let (g, b) = (gamma.clone(), beta.clone());
        let ours =
            kernels::normalise(x.clone(), g.clone(), b.clone(), moments.clone(), 1e-3, swish);
        let theirs = portable::normalise(x.clone(), g, b, moments, 1e-3, swish);
        close(ours.clone(), theirs.clone(), 1e-5);
        let (our_grads, their_grads) = (loss(ours).backward(), loss(theirs).backward());
        for tensor in [&gamma, &beta] {
            close(tensor.grad(&our_grads).unwrap(), tensor.grad(&their_grads).unwrap(), 1e-4);
        }
        close(x.grad(&our_grads).unwrap(), x.grad(&their_grads).unwrap(), 1e-5);
    }
    let gate = random([4, 6], &device);
    close(kernels::gate(x.clone(), gate.clone()), portable::gate(x.clone(), gate), 1e-6);
    close(kernels::pool(x.clone()), portable::pool(x), 1e-5);
}

/// A part of a larger tensor shares its numbers, and where the outputs were put together their
/// gradients are such parts.
#[test]
fn parts_of_larger_tensors_are_computed_as_themselves() {
    let device = Device::flex().autodiff();
    device.seed(5);
    let geometry = Geometry { kernel: 3, stride: 1, height: 4, width: 5 };
    let x = random([6, 4, 5, 7], &device);
    let (gamma, beta) = (random([6], &device), random([6], &device));
    let w = random([6, 9], &device);
    let gate = random([6, 7], &device);
    let parts = |ours: bool| {
        let part = |from: usize| {
            let x = x.clone().narrow(0, from, 3);
            let (gamma, beta) = (gamma.clone().narrow(0, from, 3), beta.clone().narrow(0, from, 3));
            let (w, gate) = (w.clone().narrow(0, from, 3), gate.clone().narrow(0, from, 3));
            if ours {
                let moments = Tensor::from_inner(kernels::moments(x.clone()));
                let z = kernels::normalise(x.clone(), gamma, beta, moments, 1e-3, true);
                let pooled = kernels::pool(x.clone());
                let y = kernels::depthwise(x.clone(), w, geometry);
                (z, y, kernels::gate(x, gate), pooled)
            } else {
                let moments = Tensor::from_inner(portable::moments(x.clone().without_autodiff()));
                let z = portable::normalise(x.clone(), gamma, beta, moments, 1e-3, true);
                let pooled = portable::pool(x.clone());
                let y = portable::depthwise(x.clone(), w, geometry);
                (z, y, portable::gate(x, gate), pooled)
            }
        };
        let (first, second) = (part(0), part(3));
        let whole = [
            Tensor::cat(vec![first.0, second.0], 0),
            Tensor::cat(vec![first.1, second.1], 0),
            Tensor::cat(vec![first.2, second.2], 0),
        ];
        (whole, Tensor::cat(vec![first.3, second.3], 0))
    };
    let ((ours, our_pool), (theirs, their_pool)) = (parts(true), parts(false));
    let all = |whole: &[Tensor<4>; 3], pooled: &Tensor<2>| {
        let each = whole.iter().map(|y| loss(y.clone()));
        each.fold(loss(pooled.clone()), |sum, own| sum + own).backward()
    };
    let (our_grads, their_grads) = (all(&ours, &our_pool), all(&theirs, &their_pool));
    for (ours, theirs) in ours.into_iter().zip(theirs) {
        close(ours, theirs, 1e-5);
    }
    close(our_pool, their_pool, 1e-5);
    close(x.grad(&our_grads).unwrap(), x.grad(&their_grads).unwrap(), 2e-5);
    close(w.grad(&our_grads).unwrap(), w.grad(&their_grads).unwrap(), 1e-4);
    close(gate.grad(&our_grads).unwrap(), gate.grad(&their_grads).unwrap(), 1e-4);
    close(gamma.grad(&our_grads).unwrap(), gamma.grad(&their_grads).unwrap(), 1e-4);
    close(beta.grad(&our_grads).unwrap(), beta.grad(&their_grads).unwrap(), 1e-4);
}
