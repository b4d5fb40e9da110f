//! The loops as operations that burn differentiates.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, Backend, Dispatch, DispatchDevice, Flex, TensorMetadata, backend_extension,
};
use burn::tensor::{Device, Tensor, TensorData};

use super::math::{self, Geometry};
use super::portable;

type Flexible = FloatTensor<Flex>;

/// How a normalisation runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Normalisation {
    epsilon: f64,
    swish: bool,
}

/// What burn's dispatch routes to a backend.
#[backend_extension(Flex, Autodiff)]
pub(super) trait Kernels: Backend {
    /// See [`depthwise`].
    fn depthwise_same(
        x: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self>;
    /// See [`moments`].
    fn channel_moments(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// See [`normalise`].
    fn normalise_channels(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        moments: FloatTensor<Self>,
        how: Normalisation,
    ) -> FloatTensor<Self>;
    /// See [`pool`].
    fn pool_picture(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// See [`gate`].
    fn gate_channels(x: FloatTensor<Self>, gate: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Whether these kernels know the device: burn's Flex, with or without autodiff.
fn known(device: &Device) -> bool {
    matches!(device.clone().inner().as_dispatch(), DispatchDevice::Flex(_))
}

/// Depthwise convolution with "same" padding: `x` `[channels, height, width, batch]`, `kernel`
/// `[channels, k·k]` → `[channels, out height, out width, batch]`.
#[must_use]
pub fn depthwise(x: Tensor<4>, kernel: Tensor<2>, geometry: Geometry) -> Tensor<4> {
    if !known(&x.device()) {
        return portable::depthwise(x, kernel, geometry);
    }
    Tensor::from_dispatch(<Dispatch as Kernels>::depthwise_same(
        x.into_dispatch(),
        kernel.into_dispatch(),
        geometry,
    ))
}

/// Each channel's mean and variance over picture and batch, `[2, channels]`. No gradient goes
/// through it: [`normalise`] accounts for it.
#[must_use]
pub fn moments(x: Tensor<4>) -> Tensor<2> {
    if !known(&x.device()) {
        return portable::moments(x.without_autodiff());
    }
    Tensor::from_dispatch(<Dispatch as Kernels>::channel_moments(
        x.without_autodiff().into_dispatch(),
    ))
}

/// Batch normalisation by `moments`, then swish where asked. Its gradient is that of training:
/// the moments are taken to be those of `x`.
#[must_use]
pub fn normalise(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    moments: Tensor<2>,
    epsilon: f64,
    swish: bool,
) -> Tensor<4> {
    if !known(&x.device()) {
        return portable::normalise(x, gamma, beta, moments, epsilon, swish);
    }
    Tensor::from_dispatch(<Dispatch as Kernels>::normalise_channels(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        moments.into_dispatch(),
        Normalisation { epsilon, swish },
    ))
}

/// Mean over the picture: `[channels, height, width, batch]` → `[channels, batch]`.
#[must_use]
pub fn pool(x: Tensor<4>) -> Tensor<2> {
    if !known(&x.device()) {
        return portable::pool(x);
    }
    Tensor::from_dispatch(<Dispatch as Kernels>::pool_picture(x.into_dispatch()))
}

/// `x[c, y, x, b] · gate[c, b]`.
#[must_use]
pub fn gate(x: Tensor<4>, gate: Tensor<2>) -> Tensor<4> {
    if !known(&x.device()) {
        return portable::gate(x, gate);
    }
    Tensor::from_dispatch(<Dispatch as Kernels>::gate_channels(
        x.into_dispatch(),
        gate.into_dispatch(),
    ))
}

/// What a sliding window sees, zeros outside: `x` `[channels, height, width, batch]` →
/// `[channels·k·k, positions · batch]`. No gradient goes through it: input pixels have none.
#[must_use]
pub fn patches(x: Tensor<4>, geometry: Geometry) -> Tensor<2> {
    let device = x.device();
    if !known(&device) {
        return portable::patches(x, geometry);
    }
    let batch = x.dims()[3];
    // An f32 tensor always reads back as f32.
    let values = x.without_autodiff().into_data().iter::<f32>().collect::<Vec<_>>();
    let patches = math::patches(&values, geometry, batch);
    let (height, width) = geometry.output();
    let columns = height * width * batch;
    let rows = patches.len() / columns;
    Tensor::from_data(TensorData::new(patches, [rows, columns]), &device)
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Flexible {
    Flexible::from_data(TensorData::new(values, shape))
}

fn dense(tensor: Flexible) -> Flexible {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

impl Kernels for Flex {
    fn depthwise_same(x: Flexible, kernel: Flexible, geometry: Geometry) -> Flexible {
        let (x, kernel) = (dense(x), dense(kernel));
        let [channels, _, _, batch] = x.shape().dims();
        let (height, width) = geometry.output();
        let y = math::depthwise(x.storage(), kernel.storage(), geometry, batch);
        tensor(y, [channels, height, width, batch])
    }

    fn channel_moments(x: Flexible) -> Flexible {
        let x = dense(x);
        let [channels, ..] = x.shape().dims::<4>();
        tensor(math::moments(x.storage(), channels), [2, channels])
    }

    fn normalise_channels(
        x: Flexible,
        gamma: Flexible,
        beta: Flexible,
        moments: Flexible,
        how: Normalisation,
    ) -> Flexible {
        let (x, moments) = (dense(x), dense(moments));
        let y = math::normalise(
            x.storage(),
            gamma.storage(),
            beta.storage(),
            moments.storage(),
            how.epsilon,
            how.swish,
        );
        tensor(y, x.shape().dims::<4>())
    }

    fn pool_picture(x: Flexible) -> Flexible {
        let x = dense(x);
        let [channels, _, _, batch] = x.shape().dims();
        tensor(math::pool(x.storage(), channels, batch), [channels, batch])
    }

    fn gate_channels(x: Flexible, gate: Flexible) -> Flexible {
        let (x, gate) = (dense(x), dense(gate));
        let [channels, _, _, batch] = x.shape().dims();
        tensor(math::gate(x.storage(), gate.storage(), channels, batch), x.shape().dims::<4>())
    }
}

/// Runs `$forward` on the primitives; where a parent is tracked, remembers `$state` for
/// `$backward`.
macro_rules! tracked {
    ($backward:expr, $strategy:ty, [$($parent:expr),+], $state:expr, $output:expr) => {
        match $backward.prepare::<$strategy>([$($parent),+]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish($state, $output),
            OpsKind::UnTracked(prep) => prep.finish($output),
        }
    };
}

#[derive(Debug)]
struct Depthwise;

impl Backward<Flex, 2> for Depthwise {
    type State = (Flexible, Flexible, Geometry);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = dense(grads.consume::<Flex>(&ops.node));
        let (x, kernel, geometry) = ops.state;
        let shape: [usize; 4] = x.shape().dims();
        let (dx, dw) = math::depthwise_backward(
            x.storage(),
            kernel.storage(),
            dy.storage(),
            geometry,
            shape[3],
        );
        let [node_x, node_kernel] = ops.parents;
        if let Some(node) = node_x {
            grads.register::<Flex>(node.id, tensor(dx, shape));
        }
        if let Some(node) = node_kernel {
            grads.register::<Flex>(node.id, tensor(dw, kernel.shape().dims::<2>()));
        }
    }
}

#[derive(Debug)]
struct Normalise;

impl Backward<Flex, 3> for Normalise {
    type State = (Flexible, Flexible, Flexible, Flexible, Normalisation);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = dense(grads.consume::<Flex>(&ops.node));
        let (x, gamma, beta, moments, how) = ops.state;
        let (dx, dgamma, dbeta) = math::normalise_backward(
            x.storage(),
            gamma.storage(),
            beta.storage(),
            moments.storage(),
            how.epsilon,
            how.swish,
            dy.storage(),
        );
        let channels = dgamma.len();
        let [node_x, node_gamma, node_beta] = ops.parents;
        if let Some(node) = node_x {
            grads.register::<Flex>(node.id, tensor(dx, x.shape().dims::<4>()));
        }
        if let Some(node) = node_gamma {
            grads.register::<Flex>(node.id, tensor(dgamma, [channels]));
        }
        if let Some(node) = node_beta {
            grads.register::<Flex>(node.id, tensor(dbeta, [channels]));
        }
    }
}

#[derive(Debug)]
struct Pool;

impl Backward<Flex, 1> for Pool {
    type State = [usize; 4];

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = dense(grads.consume::<Flex>(&ops.node));
        let shape = ops.state;
        let [node] = ops.parents;
        if let Some(node) = node {
            let dx = math::pool_backward(dy.storage(), shape[1] * shape[2], shape[3]);
            grads.register::<Flex>(node.id, tensor(dx, shape));
        }
    }
}

#[derive(Debug)]
struct Gate;

impl Backward<Flex, 2> for Gate {
    type State = (Flexible, Flexible);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = dense(grads.consume::<Flex>(&ops.node));
        let (x, gate) = ops.state;
        let shape: [usize; 4] = x.shape().dims();
        let [channels, _, _, batch] = shape;
        let (dx, dgate) =
            math::gate_backward(x.storage(), gate.storage(), dy.storage(), channels, batch);
        let [node_x, node_gate] = ops.parents;
        if let Some(node) = node_x {
            grads.register::<Flex>(node.id, tensor(dx, shape));
        }
        if let Some(node) = node_gate {
            grads.register::<Flex>(node.id, tensor(dgate, [channels, batch]));
        }
    }
}

impl<C: CheckpointStrategy> Kernels for Autodiff<Flex, C> {
    fn depthwise_same(
        x: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        let (x, x_node) = x.into_parts();
        let (kernel, kernel_node) = kernel.into_parts();
        let (x, kernel) = (dense(x), dense(kernel));
        let y = Flex::depthwise_same(x.clone(), kernel.clone(), geometry);
        tracked!(Depthwise, C, [x_node, kernel_node], (x, kernel, geometry), y)
    }

    fn channel_moments(x: FloatTensor<Self>) -> FloatTensor<Self> {
        FloatTensor::<Self>::new(Flex::channel_moments(x.into_primitive()))
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
        let (x, moments) = (dense(x), dense(moments.into_primitive()));
        let y =
            Flex::normalise_channels(x.clone(), gamma.clone(), beta.clone(), moments.clone(), how);
        let state = (x, gamma, beta, moments, how);
        tracked!(Normalise, C, [x_node, gamma_node, beta_node], state, y)
    }

    fn pool_picture(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        let shape = x.shape().dims::<4>();
        let y = Flex::pool_picture(x);
        tracked!(Pool, C, [node], shape, y)
    }

    fn gate_channels(x: FloatTensor<Self>, gate: FloatTensor<Self>) -> FloatTensor<Self> {
        let (x, x_node) = x.into_parts();
        let (gate, gate_node) = gate.into_parts();
        let (x, gate) = (dense(x), dense(gate));
        let y = Flex::gate_channels(x.clone(), gate.clone());
        tracked!(Gate, C, [x_node, gate_node], (x, gate), y)
    }
}
