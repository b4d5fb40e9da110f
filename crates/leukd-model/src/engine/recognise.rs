//! Finds what the kernels compute in a network as tract reads it.
//!
//! It looks at the graph before tract's own simplification: there every convolution still is one,
//! its batch normalisation a product and a sum behind it. What is found leaves the graph, so that
//! tract need not simplify it.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{DimLike, ElementWiseMiniOp};
use tract_onnx::tract_core::ops::binary::{BinMiniOp, TypedBinOp};
use tract_onnx::tract_core::ops::cast::Cast;
use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat};
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::math::{Add, Div, Mul};
use tract_onnx::tract_core::ops::nn::{DataFormat, Reduce, Reducer, Sigmoid, Silu};

use leukd_kernels::{BlockParts, Pool, Shape, StageParts, StemParts, Weights, Window};

/// Most input channels of a first convolution: its windows are laid out one by one.
const MOST_STEM_CHANNELS: usize = 4;

/// Widest kernel that is looked at.
const MOST_SIDE: usize = 16;

/// Most numbers of a stage's planes, borders included: beyond, it is no picture that leukd serves
/// (a side of 2,048 with B3's 40 channels are 42 million).
const MOST_NUMBERS: usize = 1 << 28;

/// Stages that follow each other, with nothing else looking at what lies between them.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) stages: Vec<StageParts>,
    pub(super) from: OutletId,
    pub(super) to: OutletId,
}

/// A stage with the nodes that it replaces.
struct Stage {
    parts: StageParts,
    to: OutletId,
    nodes: Vec<usize>,
}

/// All chains of `model`, in the order of its nodes.
pub(super) fn chains(model: &TypedModel) -> Vec<Found> {
    let graph = Graph(model);
    let mut found: Vec<Found> = Vec::new();
    let mut taken = std::collections::HashSet::new();
    for node in &model.nodes {
        if taken.contains(&node.id) {
            continue;
        }
        let Some(&from) = node.inputs.first() else { continue };
        let first = if node.op_is::<Conv>() {
            graph.stage(from, node.id)
        } else if node.op_is::<Reduce>() && model.outputs.contains(&from) {
            // What is an output too ends the chain before it; its pooling begins one of its own.
            graph.pool(from, node.id)
        } else {
            None
        };
        let Some(first) = first else { continue };
        let mut chain = Found { stages: Vec::new(), from, to: from };
        let mut next = Some(first);
        while let Some(stage) = next {
            taken.extend(stage.nodes);
            chain.stages.push(stage.parts);
            chain.to = stage.to;
            next = graph.following(stage.to);
        }
        found.push(chain);
    }
    found
}

struct Graph<'a>(&'a TypedModel);

/// A convolution with what follows it without a bend: factors and summands of its output channels.
struct Affine<'a> {
    conv: &'a Conv,
    input: Shape,
    output: [usize; 2],
    /// Rows of zeros above, columns of zeros to the left.
    before: [usize; 2],
    weights: Weights,
    to: OutletId,
    nodes: Vec<usize>,
}

impl Affine<'_> {
    /// Side and step, where both are the same in both directions and nothing is skipped.
    fn window(&self) -> Option<Window> {
        let spec = &self.conv.pool_spec;
        let [side, other] = spec.kernel_shape[..] else { return None };
        let [stride, along] = [spec.stride(0), spec.stride(1)];
        let plain = side == other && stride == along && spec.dilations().iter().all(|by| *by == 1);
        plain.then_some(Window { side, stride })
    }

    /// Whether it is a 1×1 convolution of all channels to all.
    fn is_pointwise(&self) -> bool {
        self.conv.group == 1
            && self.window() == Some(Window { side: 1, stride: 1 })
            && self.output == [self.input.height, self.input.width]
    }
}

impl<'a> Graph<'a> {
    /// The stage that begins at `from` with the convolution `conv`.
    fn stage(&self, from: OutletId, conv: usize) -> Option<Stage> {
        self.stem(from, conv).or_else(|| self.block(from, conv)).or_else(|| self.top(from, conv))
    }

    /// The stage behind `from`, if nothing else looks at it.
    fn following(&self, from: OutletId) -> Option<Stage> {
        let users = self.users(from)?;
        if let [reduce] = users[..]
            && let Some(pool) = self.pool(from, reduce)
        {
            return Some(pool);
        }
        let conv = users.iter().find(|node| self.0.nodes[**node].op_is::<Conv>())?;
        let stage = self.block(from, *conv).or_else(|| self.top(from, *conv))?;
        users.iter().all(|user| stage.nodes.contains(user)).then_some(stage)
    }

    /// A first convolution of few channels, with SiLU.
    fn stem(&self, from: OutletId, conv: usize) -> Option<Stage> {
        let affine = self.affine(from, conv)?;
        let Window { side, stride } = affine.window()?;
        if affine.conv.group != 1 || affine.input.channels > MOST_STEM_CHANNELS {
            return None;
        }
        let (to, silu) = self.silu(affine.to)?;
        let Affine { input, output, before, weights, nodes, .. } = affine;
        let parts = StageParts::Stem(StemParts { input, output, side, stride, before, weights });
        Some(Stage { parts, to, nodes: [nodes, silu].concat() })
    }

    /// A 1×1 convolution with SiLU.
    fn top(&self, from: OutletId, conv: usize) -> Option<Stage> {
        let affine = self.affine(from, conv).filter(Affine::is_pointwise)?;
        let (to, silu) = self.silu(affine.to)?;
        let parts = StageParts::Top(affine.input, affine.weights);
        Some(Stage { parts, to, nodes: [affine.nodes, silu].concat() })
    }

    /// Global pooling, by the greatest number or the mean.
    fn pool(&self, from: OutletId, reduce: usize) -> Option<Stage> {
        let op = self.0.nodes[reduce].op_as::<Reduce>()?;
        let [1, channels, height, width] = self.sides(from)?[..] else { return None };
        let input = Shape { channels, height, width };
        let (kind, to, nodes) = if op.reducer == Reducer::Max && op.axes[..] == [2, 3] {
            (Pool::Max, reduce.into(), vec![reduce])
        } else {
            let (to, nodes) = self.mean(reduce, input.pixels())?;
            (Pool::Mean, to, nodes)
        };
        Some(Stage { parts: StageParts::Pool(input, kind), to, nodes })
    }

    /// An inverted-residual block.
    fn block(&self, from: OutletId, conv: usize) -> Option<Stage> {
        let first = self.affine(from, conv)?;
        let (input, mut nodes) = (first.input, Vec::new());
        let (expand, depthwise) = if first.is_pointwise() {
            let (wide, silu) = self.silu(first.to)?;
            nodes.extend(first.nodes);
            nodes.extend(silu);
            (Some(first.weights), self.only_affine(wide)?)
        } else {
            (None, first)
        };
        let window = depthwise.window().filter(|window| window.is_known())?;
        let channels = depthwise.input.channels;
        if depthwise.conv.group != channels || depthwise.weights.bias.len() != channels {
            return None;
        }
        nodes.extend(depthwise.nodes);
        let (wide, silu) = self.silu(depthwise.to)?;
        nodes.extend(silu);
        let pixels = depthwise.output[0] * depthwise.output[1];
        let (squeeze, gated) = match self.users(wide)?[..] {
            [_] => (None, wide),
            _ => {
                let (layers, gated, squeezed) = self.squeeze(wide, pixels)?;
                let [_, gates] = &layers;
                if gates.bias.len() != channels {
                    return None;
                }
                nodes.extend(squeezed);
                (Some(layers), gated)
            }
        };
        let project = self.only_affine(gated).filter(Affine::is_pointwise)?;
        if project.input.channels != channels {
            return None;
        }
        nodes.extend(project.nodes);
        let output = depthwise.output;
        let same =
            input.channels == project.weights.bias.len() && [input.height, input.width] == output;
        let sum = if same { self.sum(project.to, from) } else { None };
        nodes.extend(sum);
        let parts = StageParts::Block(BlockParts {
            input,
            output,
            expand,
            depthwise: depthwise.weights,
            window,
            before: depthwise.before,
            squeeze,
            project: project.weights,
            residual: sum.is_some(),
        });
        let to = sum.map_or(project.to, OutletId::from);
        Some(Stage { parts, to, nodes })
    }

    /// Squeeze and excitation of `wide`: its two layers, the gated activations, the nodes.
    fn squeeze(
        &self,
        wide: OutletId,
        pixels: usize,
    ) -> Option<([Weights; 2], OutletId, Vec<usize>)> {
        let users = self.users(wide)?;
        let reduce = *users.iter().find(|node| self.0.nodes[**node].op_is::<Reduce>())?;
        let gate = *users.iter().find(|node| **node != reduce)?;
        let (mean, mut nodes) = self.mean(reduce, pixels)?;
        let first = self.only_affine(mean).filter(Affine::is_pointwise)?;
        nodes.extend(first.nodes);
        let (hidden, silu) = self.silu(first.to)?;
        nodes.extend(silu);
        let second = self.only_affine(hidden).filter(Affine::is_pointwise)?;
        nodes.extend(second.nodes);
        let logistic = self.only_user(second.to)?;
        let is_logistic = element_wise::<Sigmoid>(&self.0.nodes[logistic]);
        let gates = OutletId::from(logistic);
        let is_product = self.only_user(gates) == Some(gate)
            && users.len() == 2
            && self.is_binary::<Mul>(gate, [wide, gates]);
        if !is_logistic || !is_product {
            return None;
        }
        nodes.extend([logistic, gate]);
        Some(([first.weights, second.weights], gate.into(), nodes))
    }

    /// The mean over all `pixels`, as tract writes it: a sum, then a quotient.
    fn mean(&self, reduce: usize, pixels: usize) -> Option<(OutletId, Vec<usize>)> {
        let op = self.0.nodes[reduce].op_as::<Reduce>()?;
        if op.reducer != Reducer::Sum || op.axes[..] != [2, 3] {
            return None;
        }
        let quotient = self.only_user(reduce.into())?;
        let node = &self.0.nodes[quotient];
        let [sum, by] = node.inputs[..] else { return None };
        let by = self.constant(by).filter(|by| by.len() == 1)?;
        #[allow(clippy::cast_precision_loss)]
        let count = pixels as f32;
        let is_mean = binary::<Div>(node) && sum == reduce.into() && by[0] == count;
        is_mean.then(|| (quotient.into(), vec![reduce, quotient]))
    }

    /// The node that adds `project` and `input`, where `project` serves nothing else.
    fn sum(&self, project: OutletId, input: OutletId) -> Option<usize> {
        self.only_user(project).filter(|node| self.is_binary::<Add>(*node, [project, input]))
    }

    /// `x · sigmoid(x)` of `from`, where it serves nothing else: the result and the nodes.
    fn silu(&self, from: OutletId) -> Option<(OutletId, Vec<usize>)> {
        let users = self.users(from)?;
        if let [only] = users[..] {
            return element_wise::<Silu>(&self.0.nodes[only]).then(|| (only.into(), vec![only]));
        }
        let logistic = *users.iter().find(|node| element_wise::<Sigmoid>(&self.0.nodes[**node]))?;
        let product = self.only_user(logistic.into())?;
        let is_silu = users.len() == 2
            && users.contains(&product)
            && self.is_binary::<Mul>(product, [from, logistic.into()]);
        is_silu.then(|| (product.into(), vec![logistic, product]))
    }

    /// The convolution behind `from`, if that is all that looks at it.
    fn only_affine(&self, from: OutletId) -> Option<Affine<'a>> {
        self.affine(from, self.only_user(from)?)
    }

    /// The f32 convolution `node` of `from`, of one picture, with the factors and summands behind
    /// it.
    fn affine(&self, from: OutletId, node: usize) -> Option<Affine<'a>> {
        let conv = self.0.nodes[node].op_as::<Conv>()?;
        let [input, kernel, bias] = self.0.nodes[node].inputs[..] else { return None };
        let spec = &conv.pool_spec;
        let plain = conv.q_params.is_none()
            && conv.kernel_fmt == KernelFormat::OIHW
            && spec.data_format == DataFormat::NCHW
            && spec.rank() == 2
            && input == from;
        if !plain {
            return None;
        }
        let [1, channels, height, width] = self.sides(from)?[..] else { return None };
        let outputs = conv.output_channels();
        let kernel = self.constant(kernel)?;
        let bias = self.for_channels(bias, outputs)?;
        let mut weights = Weights { kernel, bias };
        let mut nodes = vec![node];
        let mut to = OutletId::from(node);
        // At most a factor, then at most a summand: batch normalisation.
        if let Some((product, factors)) = self.with_constant::<Mul>(to, outputs) {
            let each = weights.kernel.len().checked_div(outputs).filter(|each| *each > 0)?;
            for (weights, factor) in weights.kernel.chunks_exact_mut(each).zip(&factors) {
                weights.iter_mut().for_each(|weight| *weight *= factor);
            }
            weights.bias.iter_mut().zip(&factors).for_each(|(bias, factor)| *bias *= factor);
            nodes.push(product);
            to = product.into();
        }
        if let Some((sum, summands)) = self.with_constant::<Add>(to, outputs) {
            weights.bias.iter_mut().zip(&summands).for_each(|(bias, summand)| *bias += summand);
            nodes.push(sum);
            to = sum.into();
        }
        let [rows, columns] = &spec.computed_padding(&[height, width])[..] else { return None };
        let output = [rows.convoluted, columns.convoluted];
        let before = [rows.pad_before, columns.pad_before];
        let input = Shape { channels, height, width };
        // A border as wide as the window makes outputs of nothing but zeros; beyond these bounds
        // sizes could not be added up.
        let sides = [channels, height, width, outputs, output[0], output[1]];
        let bordered = spec.kernel_shape.iter().zip([rows, columns]).all(|(side, padding)| {
            *side <= MOST_SIDE && padding.pad_before < *side && padding.pad_after < *side
        });
        let numbers = |channels: usize, [height, width]: [usize; 2]| {
            let side = |side: usize| side.checked_add(2 * MOST_SIDE);
            side(height)?.checked_mul(side(width)?)?.checked_mul(channels.checked_add(MOST_SIDE)?)
        };
        let fits = |numbers: Option<usize>| numbers.is_some_and(|numbers| numbers <= MOST_NUMBERS);
        if sides.contains(&0)
            || !bordered
            || !fits(numbers(channels, [height, width]))
            || !fits(numbers(outputs, output))
        {
            return None;
        }
        Some(Affine { conv, input, output, before, weights, to, nodes })
    }

    /// The node that takes `from` and a constant for each of `channels`, where `from` serves
    /// nothing else.
    fn with_constant<Operation: BinMiniOp>(
        &self,
        from: OutletId,
        channels: usize,
    ) -> Option<(usize, Vec<f32>)> {
        let node = self.only_user(from).filter(|node| binary::<Operation>(&self.0.nodes[*node]))?;
        let [one, other] = self.0.nodes[node].inputs[..] else { return None };
        let constant = if one == from { other } else { one };
        // Broadcast over rows and columns alone, or it is no factor of a channel.
        let sides = self.sides(constant)?;
        let by_channel = sides.iter().rev().enumerate().all(|(axis, side)| axis == 2 || *side == 1);
        let same = self.sides(node.into()) == self.sides(from);
        if !by_channel || !same {
            return None;
        }
        Some((node, self.for_channels(constant, channels)?))
    }

    /// A constant with one number for all channels, or one for each.
    fn for_channels(&self, outlet: OutletId, channels: usize) -> Option<Vec<f32>> {
        let numbers = self.constant(outlet)?;
        match numbers[..] {
            [number] => Some(vec![number; channels]),
            _ => (numbers.len() == channels).then_some(numbers),
        }
    }

    /// A constant's numbers, if they are f32.
    fn constant(&self, outlet: OutletId) -> Option<Vec<f32>> {
        let node = &self.0.nodes[outlet.node];
        if let Some(Cast { to: DatumType::F32 }) = node.op_as() {
            return self.constant(*node.inputs.first()?);
        }
        let tensor = self.0.outlet_fact(outlet).ok()?.konst.as_ref()?;
        Some(tensor.try_as_plain_ram().ok()?.as_slice::<f32>().ok()?.to_vec())
    }

    /// The sides of an f32 tensor of known shape.
    fn sides(&self, outlet: OutletId) -> Option<Vec<usize>> {
        let fact = self.0.outlet_fact(outlet).ok()?;
        let dims = fact.shape.iter().map(|dim| dim.to_usize().ok()).collect();
        (fact.datum_type == f32::datum_type()).then_some(dims)?
    }

    /// The nodes that take `outlet`; none where it leaves the network.
    fn users(&self, outlet: OutletId) -> Option<Vec<usize>> {
        if self.0.outputs.contains(&outlet) {
            return None;
        }
        let mut users: Vec<usize> =
            self.0.outlet_successors(outlet).iter().map(|inlet| inlet.node).collect();
        users.dedup();
        Some(users)
    }

    fn only_user(&self, outlet: OutletId) -> Option<usize> {
        match self.users(outlet)?[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Whether `node` is this operation on these two, in either order.
    fn is_binary<Operation: BinMiniOp>(&self, node: usize, of: [OutletId; 2]) -> bool {
        let node = &self.0.nodes[node];
        let [one, other] = of;
        binary::<Operation>(node)
            && (node.inputs[..] == [one, other] || node.inputs[..] == [other, one])
    }
}

fn binary<Operation: BinMiniOp>(node: &TypedNode) -> bool {
    node.op_as::<TypedBinOp>().is_some_and(|op| op.0.is::<Operation>())
}

fn element_wise<Operation: ElementWiseMiniOp>(node: &TypedNode) -> bool {
    node.op_as::<ElementWiseOp>().is_some_and(|op| op.0.is::<Operation>())
}
