//! The arithmetic as operations that burn dispatches and differentiates, once for every backend.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, backend_extension};

use super::Geometry;
use super::arithmetic::{Arithmetic, Normalisation, extents};

/// What burn's dispatch routes to a backend.
#[backend_extension(Flex, Cube: cfg(any(feature = "cuda", feature = "vulkan")), Autodiff)]
pub(super) trait Kernels: Backend {
    /// See [`super::depthwise`].
    fn depthwise_same(
        x: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self>;
    /// See [`super::moments`].
    fn channel_moments(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// See [`super::normalise`].
    fn normalise_channels(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        moments: FloatTensor<Self>,
        how: Normalisation,
    ) -> FloatTensor<Self>;
    /// See [`super::pool`].
    fn pool_picture(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// See [`super::gate`].
    fn gate_channels(x: FloatTensor<Self>, gate: FloatTensor<Self>) -> FloatTensor<Self>;
    /// See [`super::patches`].
    fn window_patches(x: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self>;
    /// See [`super::product`].
    fn kernel_product(kernel: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl<B: Arithmetic> Kernels for B {
    fn depthwise_same(
        x: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        B::depthwise(x, kernel, geometry)
    }

    fn channel_moments(x: FloatTensor<Self>) -> FloatTensor<Self> {
        B::moments(x)
    }

    fn normalise_channels(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        moments: FloatTensor<Self>,
        how: Normalisation,
    ) -> FloatTensor<Self> {
        B::normalise(x, gamma, beta, moments, how)
    }

    fn pool_picture(x: FloatTensor<Self>) -> FloatTensor<Self> {
        B::pool(x)
    }

    fn gate_channels(x: FloatTensor<Self>, gate: FloatTensor<Self>) -> FloatTensor<Self> {
        B::gate(x, gate)
    }

    fn window_patches(x: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self> {
        B::patches(x, geometry)
    }

    fn kernel_product(kernel: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self> {
        B::product(kernel, x)
    }
}

/// Where a parent is tracked, remembers `$state` for `$backward`.
macro_rules! tracked {
    ($backward:expr, $backend:ty, $strategy:ty, [$($parent:expr),+], $state:expr, $output:expr) => {
        match Backward::<$backend, _>::prepare::<$strategy>($backward, [$($parent),+])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish($state, $output),
            OpsKind::UnTracked(prep) => prep.finish($output),
        }
    };
}

#[derive(Debug)]
struct Depthwise;

impl<B: Arithmetic> Backward<B, 2> for Depthwise {
    type State = (FloatTensor<B>, FloatTensor<B>, Geometry);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = B::dense(grads.consume::<B>(&ops.node));
        let (x, kernel, geometry) = ops.state;
        let (dx, dkernel) = B::depthwise_backward(x, kernel, dy, geometry);
        let [node_x, node_kernel] = ops.parents;
        if let Some(node) = node_x {
            grads.register::<B>(node.id, dx);
        }
        if let Some(node) = node_kernel {
            grads.register::<B>(node.id, dkernel);
        }
    }
}

#[derive(Debug)]
struct Normalise;

impl<B: Arithmetic> Backward<B, 3> for Normalise {
    type State = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, Normalisation);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = B::dense(grads.consume::<B>(&ops.node));
        let (x, gamma, beta, moments, how) = ops.state;
        let gradients = B::normalise_backward(x, gamma, beta, moments, dy, how);
        let [node_x, node_gamma, node_beta] = ops.parents;
        if let Some(node) = node_x {
            grads.register::<B>(node.id, gradients.x);
        }
        if let Some(node) = node_gamma {
            grads.register::<B>(node.id, gradients.gamma);
        }
        if let Some(node) = node_beta {
            grads.register::<B>(node.id, gradients.beta);
        }
    }
}

#[derive(Debug)]
struct Pool;

impl<B: Arithmetic> Backward<B, 1> for Pool {
    type State = [usize; 4];

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = B::dense(grads.consume::<B>(&ops.node));
        let [node] = ops.parents;
        if let Some(node) = node {
            grads.register::<B>(node.id, B::pool_backward(dy, ops.state));
        }
    }
}

#[derive(Debug)]
struct Gate;

impl<B: Arithmetic> Backward<B, 2> for Gate {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = B::dense(grads.consume::<B>(&ops.node));
        let (x, gate) = ops.state;
        let [node_x, node_gate] = ops.parents;
        let (dx, dgate) = B::gate_backward(x, gate, dy, node_gate.is_some());
        if let Some(node) = node_x {
            grads.register::<B>(node.id, dx);
        }
        if let (Some(node), Some(dgate)) = (node_gate, dgate) {
            grads.register::<B>(node.id, dgate);
        }
    }
}

#[derive(Debug)]
struct Product;

impl<B: Arithmetic> Backward<B, 2> for Product {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = grads.consume::<B>(&ops.node);
        let (kernel, x) = ops.state;
        let [node_kernel, node_x] = ops.parents;
        if let Some(node) = node_kernel {
            grads.register::<B>(node.id, B::product_backward_kernel(x, dy.clone()));
        }
        if let Some(node) = node_x {
            grads.register::<B>(node.id, B::product_backward_x(kernel, dy));
        }
    }
}

impl<B: Arithmetic, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    fn depthwise_same(
        x: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        let (x, x_node) = x.into_parts();
        let (kernel, kernel_node) = kernel.into_parts();
        let (x, kernel) = (B::dense(x), B::dense(kernel));
        let y = B::depthwise(x.clone(), kernel.clone(), geometry);
        tracked!(Depthwise, B, C, [x_node, kernel_node], (x, kernel, geometry), y)
    }

    fn channel_moments(x: FloatTensor<Self>) -> FloatTensor<Self> {
        FloatTensor::<Self>::new(B::moments(x.into_primitive()))
    }

    fn normalise_channels(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        moments: FloatTensor<Self>,
        how: Normalisation,
    ) -> FloatTensor<Self> {
        let (x, x_node) = x.into_parts();
        let (gamma, gamma_node) = gamma.into_parts();
        let (beta, beta_node) = beta.into_parts();
        let (x, moments) = (B::dense(x), B::dense(moments.into_primitive()));
        let y = B::normalise(x.clone(), gamma.clone(), beta.clone(), moments.clone(), how);
        let state = (x, gamma, beta, moments, how);
        tracked!(Normalise, B, C, [x_node, gamma_node, beta_node], state, y)
    }

    fn pool_picture(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        let shape = extents(&x);
        let y = B::pool(x);
        tracked!(Pool, B, C, [node], shape, y)
    }

    fn gate_channels(x: FloatTensor<Self>, gate: FloatTensor<Self>) -> FloatTensor<Self> {
        let (x, x_node) = x.into_parts();
        let (gate, gate_node) = gate.into_parts();
        let (x, gate) = (B::dense(x), B::dense(gate));
        let y = B::gate(x.clone(), gate.clone());
        tracked!(Gate, B, C, [x_node, gate_node], (x, gate), y)
    }

    fn window_patches(x: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self> {
        FloatTensor::<Self>::new(B::patches(x.into_primitive(), geometry))
    }

    fn kernel_product(kernel: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self> {
        let (kernel, kernel_node) = kernel.into_parts();
        let (x, x_node) = x.into_parts();
        let y = B::product(kernel.clone(), x.clone());
        tracked!(Product, B, C, [kernel_node, x_node], (kernel, x), y)
    }
}
