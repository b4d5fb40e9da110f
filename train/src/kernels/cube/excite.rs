//! Squeeze-and-excitation's two small dense layers, from the pictures' means to the gate.
//!
//! burn's operations would take some twenty launches for it, each with next to nothing to do; these
//! take two forward and five back.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Cube, backend_extension};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::{UNITS, empty, narrow, sides, spread};

/// `mean` `[channels, batch]`, `reduce` `[channels, squeezed]` and its bias, then swish, `expand`
/// `[squeezed, channels]` and its bias, then sigmoid: `[channels, batch]`.
#[backend_extension(Cube, Autodiff)]
pub(in super::super) trait Excite: Backend {
    /// The gate.
    fn excite(
        mean: FloatTensor<Self>,
        reduce: FloatTensor<Self>,
        reduce_bias: FloatTensor<Self>,
        expand: FloatTensor<Self>,
        expand_bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// What follows a sum over a dense layer's inputs.
const NOTHING: u32 = 0;
/// Adds a bias.
const BIAS: u32 = 1;
/// Adds a bias, then sigmoid.
const SIGMOID: u32 = 2;
/// Times swish's slope at what the layer before said.
const SLOPE: u32 = 3;

#[cube]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// `y[i, b] = Σₖ weights[i, k] · x[k, b]`, then `after`. A cube makes one row, or a block of it, of
/// `y`: `rows` × `columns` units, the columns along the batch, the rows sharing the sum.
#[cube(launch)]
fn dense_kernel(
    weights: &[f32],
    x: &[f32],
    // The bias, `[i]`, or what the layer before said, `[i, b]`.
    extra: &[f32],
    y: &mut [f32],
    length: usize,
    // Between neighbours in the weights: along `i`, along `k`.
    stride_i: usize,
    stride_k: usize,
    batch: usize,
    columns: usize,
    rows: usize,
    #[comptime] swish: bool,
    #[comptime] after: u32,
    #[comptime] units: usize,
) {
    let unit = UNIT_POS as usize;
    let row = unit / columns;
    let lane = CUBE_POS_Y as usize * columns + unit % columns;
    let i = CUBE_POS_X as usize;
    let mut own = f32::new(0.0);
    if row < rows && lane < batch {
        let mut k = row;
        while k < length {
            let mut value = x[k * batch + lane];
            if swish {
                value *= sigmoid(value);
            }
            own += weights[i * stride_i + k * stride_k] * value;
            k += rows;
        }
    }
    let mut shared = Shared::<[f32]>::new_slice(units);
    shared[unit] = own;
    sync_cube();
    if row == 0 && lane < batch {
        let mut sum = shared[unit];
        for next in 1..rows {
            sum += shared[next * columns + unit];
        }
        if comptime!(after == BIAS || after == SIGMOID) {
            sum += extra[i];
        }
        if comptime!(after == SIGMOID) {
            sum = sigmoid(sum);
        }
        if comptime!(after == SLOPE) {
            let z = extra[i * batch + lane];
            let s = sigmoid(z);
            sum *= s * (1.0 + z * (1.0 - s));
        }
        y[i * batch + lane] = sum;
    }
}

/// The gradient before the sigmoid, given that after it and the sigmoid.
#[cube(launch)]
fn before_sigmoid_kernel(dgate: &[f32], gate: &[f32], dz: &mut [f32], count: usize) {
    if ABSOLUTE_POS < count {
        let s = gate[ABSOLUTE_POS];
        dz[ABSOLUTE_POS] = dgate[ABSOLUTE_POS] * s * (1.0 - s);
    }
}

/// `weights[i, j] = Σ_b x[i, b] · dy[j, b]` and `bias[j] = Σ_b dy[j, b]`: a unit for each weight.
#[cube(launch)]
fn gradients_kernel(
    x: &[f32],
    dy: &[f32],
    weights: &mut [f32],
    bias: &mut [f32],
    count: usize,
    outward: usize,
    batch: usize,
    #[comptime] swish: bool,
) {
    if ABSOLUTE_POS < count {
        let i = ABSOLUTE_POS / outward;
        let j = ABSOLUTE_POS % outward;
        let mut sum = f32::new(0.0);
        let mut total = f32::new(0.0);
        for lane in 0..batch {
            let mut value = x[i * batch + lane];
            if swish {
                value *= sigmoid(value);
            }
            let gradient = dy[j * batch + lane];
            sum += value * gradient;
            total += gradient;
        }
        weights[ABSOLUTE_POS] = sum;
        if i == 0 {
            bias[j] = total;
        }
    }
}

/// A dense layer's weights as a launch takes them.
struct Weights<'a> {
    values: &'a CubeTensor,
    /// Results, terms of each.
    shape: [usize; 2],
    /// Between neighbours along each.
    strides: [usize; 2],
}

impl<'a> Weights<'a> {
    /// Of a layer with `values` `[in, out]`, forward.
    fn forward(values: &'a CubeTensor) -> Self {
        let [inward, outward] = sides(values);
        Self { values, shape: [outward, inward], strides: [1, outward] }
    }

    /// Backward: from the outputs' gradients to the inputs'.
    fn backward(values: &'a CubeTensor) -> Self {
        let [inward, outward] = sides(values);
        Self { values, shape: [inward, outward], strides: [outward, 1] }
    }
}

fn dense(
    weights: &Weights<'_>,
    x: &CubeTensor,
    extra: &CubeTensor,
    swish: bool,
    after: u32,
) -> CubeTensor {
    let [_, batch] = sides(x);
    let [results, length] = weights.shape;
    let y = empty(x, [results, batch]);
    let columns = batch.min(UNITS as usize);
    dense_kernel::launch(
        &x.client,
        CubeCount::Static(narrow(results), narrow(batch.div_ceil(columns)), 1),
        CubeDim::new_1d(UNITS),
        weights.values.clone().into_buffer_arg(),
        x.clone().into_buffer_arg(),
        extra.clone().into_buffer_arg(),
        y.clone().into_buffer_arg(),
        length,
        weights.strides[0],
        weights.strides[1],
        batch,
        columns,
        UNITS as usize / columns,
        swish,
        after,
        UNITS as usize,
    );
    y
}

/// Gradients of a layer's weights `[in, out]` and bias.
fn gradients(x: &CubeTensor, dy: &CubeTensor, swish: bool) -> (CubeTensor, CubeTensor) {
    let ([inward, batch], [outward, _]) = (sides(x), sides(dy));
    let (weights, bias) = (empty(x, [inward, outward]), empty(x, [outward]));
    let (cubes, dim) = spread(x, inward * outward);
    gradients_kernel::launch(
        &x.client,
        cubes,
        dim,
        x.clone().into_buffer_arg(),
        dy.clone().into_buffer_arg(),
        weights.clone().into_buffer_arg(),
        bias.clone().into_buffer_arg(),
        inward * outward,
        outward,
        batch,
        swish,
    );
    (weights, bias)
}

/// What the backward pass needs of the forward one.
#[derive(Debug, Clone)]
struct Said {
    mean: CubeTensor,
    reduce: CubeTensor,
    expand: CubeTensor,
    /// The first layer's output before its swish.
    squeezed: CubeTensor,
    gate: CubeTensor,
}

fn forward(
    mean: CubeTensor,
    reduce: CubeTensor,
    reduce_bias: &CubeTensor,
    expand: CubeTensor,
    expand_bias: &CubeTensor,
) -> Said {
    let [mean, reduce, expand] = [mean, reduce, expand].map(into_contiguous);
    let squeezed = dense(&Weights::forward(&reduce), &mean, reduce_bias, false, BIAS);
    let gate = dense(&Weights::forward(&expand), &squeezed, expand_bias, true, SIGMOID);
    Said { mean, reduce, expand, squeezed, gate }
}

impl Excite for Cube {
    fn excite(
        mean: FloatTensor<Self>,
        reduce: FloatTensor<Self>,
        reduce_bias: FloatTensor<Self>,
        expand: FloatTensor<Self>,
        expand_bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        forward(mean, reduce, &reduce_bias, expand, &expand_bias).gate
    }
}

#[derive(Debug)]
struct Excitation;

impl Backward<Cube, 5> for Excitation {
    type State = Said;

    fn backward(
        self,
        ops: Ops<Self::State, 5>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dgate = into_contiguous(grads.consume::<Cube>(&ops.node));
        let Said { mean, reduce, expand, squeezed, gate } = ops.state;
        let dz = empty(&gate, sides(&gate));
        let count = sides(&gate).iter().product();
        let (cubes, dim) = spread(&gate, count);
        let client = gate.client.clone();
        before_sigmoid_kernel::launch(
            &client,
            cubes,
            dim,
            dgate.into_buffer_arg(),
            gate.into_buffer_arg(),
            dz.clone().into_buffer_arg(),
            count,
        );
        let (dexpand, dexpand_bias) = gradients(&squeezed, &dz, true);
        let dsqueezed = dense(&Weights::backward(&expand), &dz, &squeezed, false, SLOPE);
        let (dreduce, dreduce_bias) = gradients(&mean, &dsqueezed, false);
        let dmean = dense(&Weights::backward(&reduce), &dsqueezed, &mean, false, NOTHING);
        let found = [dmean, dreduce, dreduce_bias, dexpand, dexpand_bias];
        for (node, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = node {
                grads.register::<Cube>(node.id, gradient);
            }
        }
    }
}

impl<C: CheckpointStrategy> Excite for Autodiff<Cube, C> {
    fn excite(
        mean: FloatTensor<Self>,
        reduce: FloatTensor<Self>,
        reduce_bias: FloatTensor<Self>,
        expand: FloatTensor<Self>,
        expand_bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (mean, mean_node) = mean.into_parts();
        let (reduce, reduce_node) = reduce.into_parts();
        let (reduce_bias, reduce_bias_node) = reduce_bias.into_parts();
        let (expand, expand_node) = expand.into_parts();
        let (expand_bias, expand_bias_node) = expand_bias.into_parts();
        let said = forward(mean, reduce, &reduce_bias, expand, &expand_bias);
        let gate = said.gate.clone();
        let nodes = [mean_node, reduce_node, reduce_bias_node, expand_node, expand_bias_node];
        match Excitation.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(said, gate),
            OpsKind::UnTracked(prep) => prep.finish(gate),
        }
    }
}
