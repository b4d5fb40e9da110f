//! Every tensor of a network under a stable name, to be read and replaced.
//!
//! The names and shapes are those of the bundle's ONNX graph (`export::graph`), so that one list
//! serves the export, weight files of other programs, and a reader of either.

use burn::module::{Param, RunningState};
use burn::nn::{BatchNorm, Linear};
use burn::tensor::{Tensor, TensorData};

use super::{ConvNorm, Network};

/// Where a block stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Over all blocks, from 0.
    pub index: usize,
    /// Its stage, 0 to 6.
    pub stage: usize,
    /// Its place in the stage, from 0.
    pub repeat: usize,
    /// Whether it has an expansion: all but the first stage's do.
    pub expands: bool,
}

/// A layer that has tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// 3×3 over the pixels, with its norm.
    Stem,
    /// A block's first 1×1, with its norm.
    Expand(Position),
    /// A block's k×k for each channel, with its norm.
    Depthwise(Position),
    /// The squeeze's first 1×1, with bias.
    Reduce(Position),
    /// The squeeze's second 1×1, with bias.
    Excite(Position),
    /// A block's last 1×1, with its norm.
    Project(Position),
    /// 1×1 after the blocks, with its norm.
    Top,
    /// The head's batch normalisation.
    HeadNorm,
    /// The head's hidden dense layer.
    Hidden,
    /// The head's logits.
    Classes,
}

impl Layer {
    /// Whether it belongs to the classifier rather than to the backbone.
    #[must_use]
    pub const fn in_head(self) -> bool {
        matches!(self, Self::HeadNorm | Self::Hidden | Self::Classes)
    }

    fn name(self) -> String {
        match self {
            Self::Stem => "stem".to_owned(),
            Self::Expand(at) => format!("block{}.expand", at.index),
            Self::Depthwise(at) => format!("block{}.depthwise", at.index),
            Self::Reduce(at) => format!("block{}.squeeze.reduce", at.index),
            Self::Excite(at) => format!("block{}.squeeze.expand", at.index),
            Self::Project(at) => format!("block{}.project", at.index),
            Self::Top => "top".to_owned(),
            Self::HeadNorm => "head".to_owned(),
            Self::Hidden => "head.hidden".to_owned(),
            Self::Classes => "logits".to_owned(),
        }
    }
}

/// Which of a layer's tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Of a convolution `[out, in / groups, k, k]`, of the head's dense layers `[out, in]`.
    Kernel,
    /// `[out]`.
    Bias,
    /// A norm's scale, `[channels]`.
    Gamma,
    /// A norm's shift, `[channels]`.
    Beta,
    /// A norm's running mean, `[channels]`.
    Mean,
    /// A norm's running variance, `[channels]`.
    Variance,
}

/// One tensor of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its layer.
    pub layer: Layer,
    /// What it is there.
    pub quantity: Quantity,
    /// As [`Quantity`] says.
    pub shape: Vec<usize>,
    /// Its numbers, row by row.
    pub values: Vec<f32>,
}

impl Parameter {
    /// `stem.kernel`, `block3.expand.norm.gamma`, `logits.bias`, …: unique in a network.
    #[must_use]
    pub fn name(&self) -> String {
        let quantity = match self.quantity {
            Quantity::Kernel => "kernel",
            Quantity::Bias => "bias",
            Quantity::Gamma => "norm.gamma",
            Quantity::Beta => "norm.beta",
            Quantity::Mean => "norm.mean",
            Quantity::Variance => "norm.variance",
        };
        format!("{}.{quantity}", self.layer.name())
    }
}

impl Network {
    /// Every tensor, in the order in which a picture passes them.
    #[must_use]
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut found = Vec::new();
        // The visit takes places that it could change; a clone shares its tensors.
        self.clone().visit_parameters(&mut |layer, quantity, shape, slot| {
            found.push(Parameter { layer, quantity, shape, values: slot.read() });
        });
        found
    }

    /// The network with other numbers wherever `replace` gives some for a [`Parameter`]: as many,
    /// in the same order. What has another length stays as it was. Devices and shapes stay.
    #[must_use]
    pub fn with_parameters(
        mut self,
        mut replace: impl FnMut(&Parameter) -> Option<Vec<f32>>,
    ) -> Self {
        self.visit_parameters(&mut |layer, quantity, shape, slot| {
            let parameter = Parameter { layer, quantity, shape, values: slot.read() };
            let length = parameter.values.len();
            if let Some(values) = replace(&parameter).filter(|values| values.len() == length) {
                slot.write(values);
            }
        });
        self
    }

    fn visit_parameters(&mut self, visit: &mut Visit<'_>) {
        let backbone = &mut self.backbone;
        convolution(Layer::Stem, &mut backbone.stem, visit);
        for (index, block) in backbone.blocks.iter_mut().enumerate() {
            let expands = block.expand.is_some();
            let at = Position { index, stage: block.stage, repeat: block.repeat, expands };
            if let Some(expand) = &mut block.expand {
                convolution(Layer::Expand(at), expand, visit);
            }
            convolution(Layer::Depthwise(at), &mut block.depthwise, visit);
            dense(Layer::Reduce(at), &mut block.squeeze.reduce, &[1, 1], visit);
            dense(Layer::Excite(at), &mut block.squeeze.expand, &[1, 1], visit);
            convolution(Layer::Project(at), &mut block.project, visit);
        }
        convolution(Layer::Top, &mut backbone.top, visit);
        norm(Layer::HeadNorm, &mut self.head.norm, visit);
        dense(Layer::Hidden, &mut self.head.hidden, &[], visit);
        dense(Layer::Classes, &mut self.head.classes, &[], visit);
    }
}

type Visit<'a> = dyn FnMut(Layer, Quantity, Vec<usize>, Slot<'_>) + 'a;

/// A place that holds a tensor.
enum Slot<'a> {
    /// Rows are output channels.
    Rows(&'a mut Param<Tensor<2>>),
    /// Columns are output channels.
    Columns(&'a mut Param<Tensor<2>>),
    Vector(&'a mut Param<Tensor<1>>),
    Running(&'a mut RunningState<Tensor<1>>),
}

impl Slot<'_> {
    fn read(&self) -> Vec<f32> {
        match self {
            Self::Rows(param) => numbers(param.val()),
            Self::Columns(param) => numbers(param.val().transpose()),
            Self::Vector(param) => numbers(param.val()),
            Self::Running(state) => numbers(state.value_sync()),
        }
    }

    fn write(self, values: Vec<f32>) {
        match self {
            Self::Rows(param) => {
                let old = param.val();
                let data = TensorData::new(values, old.dims());
                *param = Param::from_tensor(Tensor::from_data(data, &old.device()));
            }
            Self::Columns(param) => {
                let old = param.val();
                let [inward, outward] = old.dims();
                let mut columns = vec![0.0; values.len()];
                for (row, numbers) in values.chunks(inward.max(1)).enumerate() {
                    for (column, number) in numbers.iter().enumerate() {
                        columns[column * outward + row] = *number;
                    }
                }
                let data = TensorData::new(columns, [inward, outward]);
                *param = Param::from_tensor(Tensor::from_data(data, &old.device()));
            }
            Self::Vector(param) => {
                let old = param.val();
                let data = TensorData::new(values, old.dims());
                *param = Param::from_tensor(Tensor::from_data(data, &old.device()));
            }
            Self::Running(state) => {
                let old = state.value_sync();
                let data = TensorData::new(values, old.dims());
                *state = RunningState::new(Tensor::from_data(data, &old.device()));
            }
        }
    }
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.without_autodiff().into_data().iter::<f32>().collect()
}

fn convolution(layer: Layer, conv: &mut ConvNorm, visit: &mut Visit<'_>) {
    let [outward, columns] = conv.kernel.dims();
    let shape = vec![outward, columns / (conv.size * conv.size), conv.size, conv.size];
    visit(layer, Quantity::Kernel, shape, Slot::Rows(&mut conv.kernel));
    norm(layer, &mut conv.norm, visit);
}

fn norm(layer: Layer, norm: &mut BatchNorm, visit: &mut Visit<'_>) {
    let shape = norm.gamma.dims().to_vec();
    visit(layer, Quantity::Gamma, shape.clone(), Slot::Vector(&mut norm.gamma));
    visit(layer, Quantity::Beta, shape.clone(), Slot::Vector(&mut norm.beta));
    visit(layer, Quantity::Mean, shape.clone(), Slot::Running(&mut norm.running_mean));
    visit(layer, Quantity::Variance, shape, Slot::Running(&mut norm.running_var));
}

fn dense(layer: Layer, linear: &mut Linear, window: &[usize], visit: &mut Visit<'_>) {
    let [inward, outward] = linear.weight.dims();
    let shape = [&[outward, inward], window].concat();
    visit(layer, Quantity::Kernel, shape, Slot::Columns(&mut linear.weight));
    if let Some(bias) = &mut linear.bias {
        visit(layer, Quantity::Bias, vec![outward], Slot::Vector(bias));
    }
}
