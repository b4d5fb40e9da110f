//! The one folder that names tract: an ONNX network, compiled for this processor.
//!
//! tract's ONNX front calls itself unstable: its version is pinned exactly, and nothing outside
//! this folder sees more of it than [`mod@onnx`], the prost types of the ONNX format.

mod fuse;
mod kind;
mod operator;
mod recognise;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::prelude::*;

/// The ONNX format as prost messages.
pub use tract_onnx::pb as onnx;

pub use kind::{EngineKind, Fusion};
use operator::FusedStages;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::source::TypedSource;

use leukd_cell::preprocess::InputTensor;
use leukd_kernels::{Isa, upper};

/// A compiled network. Shared between threads; each run has its own state.
///
/// A run makes a fresh state: beside the network itself (tens of milliseconds) that is nothing, and
/// no thread keeps a model alive that was swapped out.
#[derive(Debug, Clone)]
pub struct Engine {
    plan: Arc<TypedSimplePlan>,
    shape: [usize; 4],
    outputs: usize,
    bends: Vec<String>,
    looks_inside: bool,
    fusion: Fusion,
}

/// What a network gives for one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Its outputs.
    pub outputs: Vec<f32>,
    /// The inner tensor that [`Engine::compile_with`] was asked for; none where it was asked for
    /// none.
    pub activation: Option<Activation>,
    /// The further tensors that it was asked for, in that order.
    pub bends: Vec<Vec<f32>>,
}

/// A tensor `[1, channels, height, width]` as a run left it.
#[derive(Debug, Clone, PartialEq)]
pub struct Activation {
    /// Channel by channel, row-major.
    pub values: Vec<f32>,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// Why a network cannot be compiled or run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The graph does not compile.
    #[error("the network cannot be compiled: {0}")]
    Compile(String),
    /// The graph has not one input and one output of the right shape.
    #[error("the network does not fit its manifest: {0}")]
    Shape(String),
    /// A run failed.
    #[error("the network failed: {0}")]
    Run(String),
    /// An output is infinite or no number.
    #[error("the network's outputs are not finite: {0:?}")]
    NotFinite(Vec<f32>),
}

impl Engine {
    /// Compiles `network` for one input of `shape` (f32) and one output of shape `[1, outputs]`, on
    /// the operators that `kind` names.
    ///
    /// # Errors
    ///
    /// [`EngineError::Compile`] and [`EngineError::Shape`]. tract panics on some broken graphs;
    /// that is an error here too.
    pub fn compile(
        network: &onnx::ModelProto,
        shape: [usize; 4],
        outputs: usize,
        kind: EngineKind,
    ) -> Result<Self, EngineError> {
        let (plan, fusion) = guarded(|| plan(network, shape, outputs, 0, kind))?;
        Ok(Self { plan, shape, outputs, bends: Vec::new(), looks_inside: false, fusion })
    }

    /// [`Engine::compile`], with the tensor `activation` and those named in `bends` as further
    /// outputs.
    ///
    /// # Errors
    ///
    /// As [`Engine::compile`], and [`EngineError::Shape`] where that tensor is not f32 of shape
    /// `[1, channels, height, width]`.
    pub fn compile_with(
        network: &onnx::ModelProto,
        activation: &str,
        bends: &[String],
        shape: [usize; 4],
        outputs: usize,
        kind: EngineKind,
    ) -> Result<Self, EngineError> {
        let network = network_with(network, &[&[activation.to_owned()], bends].concat())?;
        let (plan, fusion) = guarded(|| plan(&network, shape, outputs, 1 + bends.len(), kind))?;
        Ok(Self { plan, shape, outputs, bends: bends.to_vec(), looks_inside: true, fusion })
    }

    /// What of the network runs on leukd's own operators.
    #[must_use]
    pub const fn fusion(&self) -> &Fusion {
        &self.fusion
    }

    /// Runs one picture through the network.
    ///
    /// # Errors
    ///
    /// [`EngineError::Shape`] for an input of another shape, [`EngineError::Run`] and
    /// [`EngineError::NotFinite`].
    pub fn run(&self, input: &InputTensor) -> Result<Answer, EngineError> {
        check_input(input, self.shape)?;
        let failed = |error: TractError| EngineError::Run(format!("{error:#}"));
        let results = results(&self.plan, input)?;
        let output =
            results.first().ok_or_else(|| EngineError::Run("it gave nothing".to_owned()))?;
        if output.shape() != [1, self.outputs] {
            return Err(EngineError::Shape(wrong_output(
                &format!("{:?}", output.shape()),
                self.outputs,
            )));
        }
        let view = output.to_plain_array_view::<f32>().map_err(failed)?;
        let values: Vec<f32> = view.iter().copied().collect();
        if !values.iter().all(|value| value.is_finite()) {
            return Err(EngineError::NotFinite(values));
        }
        let activation = match results.get(1).filter(|_| self.looks_inside) {
            Some(tensor) => {
                let Observed { shape, values } = observed("the last activation", tensor)?;
                let [1, _, height, width] = shape[..] else {
                    return Err(EngineError::Shape(wrong_activation(&format!("{shape:?}"))));
                };
                Some(Activation { values, height, width })
            }
            None => None,
        };
        let inner = self.bends.iter().zip(results.iter().skip(2));
        let bends = inner
            .map(|(name, tensor)| observed(name, tensor).map(|seen| seen.values))
            .collect::<Result<_, _>>()?;
        Ok(Answer { outputs: values, activation, bends })
    }
}

/// The fastest instructions that leukd's own operators could use on this machine: `avx512`, `avx2`
/// or `portable`.
#[must_use]
pub fn instructions() -> String {
    Isa::best().to_string()
}

/// A network compiled to show what goes on inside it: some of its inner tensors, for one picture.
///
/// For those who calibrate or explain a network. Nothing is served from it: as each tensor that is
/// looked at must be stored, less of the network can be fused than in [`Engine`], and rounding may
/// differ.
#[derive(Debug, Clone)]
pub struct Observer {
    plan: Arc<TypedSimplePlan>,
    shape: [usize; 4],
    names: Vec<String>,
}

/// One inner tensor, as a run left it.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// Its sides, the batch of 1 among them.
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Vec<f32>,
}

impl Observer {
    /// Compiles `network` for one input of `shape` (f32), with the tensors `names` as its outputs,
    /// in that order. What none of them needs is left out.
    ///
    /// # Errors
    ///
    /// [`EngineError::Compile`], for a name that no node gives too, and [`EngineError::Shape`] for
    /// a network that has not one input.
    pub fn compile(
        network: &onnx::ModelProto,
        shape: [usize; 4],
        names: Vec<String>,
    ) -> Result<Self, EngineError> {
        let mut network = network_with(network, &names)?;
        if let Some(graph) = &mut network.graph {
            graph.output.drain(..graph.output.len() - names.len());
        }
        let plan = guarded(|| {
            let model = parsed(&network)?;
            if model.inputs.len() != 1 {
                let what = format!("it has {} inputs, not one", model.inputs.len());
                return Err(EngineError::Shape(what));
            }
            optimized(model, shape, EngineKind::Stock)?.0.into_runnable().map_err(uncompiled)
        })?;
        Ok(Self { plan, shape, names })
    }

    /// Runs one picture through the network; one tensor a name, in their order.
    ///
    /// # Errors
    ///
    /// [`EngineError::Shape`] for an input of another shape, [`EngineError::Run`], for a tensor
    /// that is not f32 too, and [`EngineError::NotFinite`].
    pub fn run(&self, input: &InputTensor) -> Result<Vec<Observed>, EngineError> {
        check_input(input, self.shape)?;
        let tensors = results(&self.plan, input)?;
        self.names.iter().zip(tensors).map(|(name, tensor)| observed(name, &tensor)).collect()
    }
}

/// `network` with these inner tensors as further outputs, behind its own.
fn network_with(
    network: &onnx::ModelProto,
    names: &[String],
) -> Result<onnx::ModelProto, EngineError> {
    let mut network = network.clone();
    if let Some(graph) = &mut network.graph {
        let known: std::collections::HashSet<&str> =
            graph.node.iter().flat_map(|node| &node.output).map(String::as_str).collect();
        if let Some(unknown) = names.iter().find(|name| !known.contains(name.as_str())) {
            return Err(EngineError::Compile(format!("no node gives {unknown:?}")));
        }
        let output =
            |name: &String| onnx::ValueInfoProto { name: name.clone(), ..Default::default() };
        graph.output.extend(names.iter().map(output));
    }
    Ok(network)
}

fn observed(name: &str, tensor: &Tensor) -> Result<Observed, EngineError> {
    let failed = |error: TractError| EngineError::Run(format!("{name}: {error:#}"));
    let values = tensor
        .try_as_plain_ram()
        .and_then(|plain| plain.as_slice::<f32>().map(<[f32]>::to_vec))
        .map_err(failed)?;
    if let Some(value) = values.iter().find(|value| !value.is_finite()) {
        return Err(EngineError::NotFinite(vec![*value]));
    }
    Ok(Observed { shape: tensor.shape().to_vec(), values })
}

fn check_input(input: &InputTensor, shape: [usize; 4]) -> Result<(), EngineError> {
    if input.shape == shape {
        return Ok(());
    }
    Err(EngineError::Shape(format!("the input has shape {:?}, not {shape:?}", input.shape)))
}

fn results(plan: &Arc<TypedSimplePlan>, input: &InputTensor) -> Result<TVec<TValue>, EngineError> {
    let failed = |error: TractError| EngineError::Run(format!("{error:#}"));
    let input = Tensor::from_shape(&input.shape, &input.data).map_err(failed)?;
    let run = || plan.run(tvec!(input.into_tvalue())).map_err(failed);
    let panicked = |_| Err(EngineError::Run("an operator gave up on it".to_owned()));
    let results = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(panicked);
    upper::clear();
    results
}

/// tract panics on some broken graphs.
fn guarded<T>(work: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(EngineError::Compile("its graph is inconsistent".to_owned())))
}

fn uncompiled(error: TractError) -> EngineError {
    EngineError::Compile(format!("{error:#}"))
}

fn parsed(network: &onnx::ModelProto) -> Result<InferenceModel, EngineError> {
    // What the file says of shapes is left aside, so that a symbolic batch size does no harm: they
    // follow from the input's.
    tract_onnx::onnx()
        .with_ignore_output_shapes(true)
        .with_ignore_output_types(true)
        .with_ignore_value_info(true)
        .model_for_proto_model(network)
        .map_err(uncompiled)
}

fn optimized(
    model: InferenceModel,
    shape: [usize; 4],
    kind: EngineKind,
) -> Result<(TypedModel, Fusion), EngineError> {
    let model = model
        .with_input_fact(0, f32::fact(shape).into())
        .and_then(InferenceModelExt::into_typed)
        .map_err(uncompiled)?;
    let (model, fusion) = match kind {
        EngineKind::Fused => fused(model),
        EngineKind::Stock => (model, Fusion::default()),
    };
    Ok((model.into_optimized().map_err(uncompiled)?, fusion))
}

/// `model` with leukd's operators in it. Where they cannot take their place, which is a defect, it
/// stays as it was: tract's own operators serve every network.
fn fused(model: TypedModel) -> (TypedModel, Fusion) {
    let mut changed = model.clone();
    let outcome = guarded(|| fuse::fuse(&mut changed, Isa::best()).map_err(uncompiled));
    match outcome {
        Ok(fusion) => (changed, fusion),
        Err(error) => {
            tracing::warn!("the network runs on tract's operators alone, more slowly: {error}");
            (model, Fusion::default())
        }
    }
}

fn plan(
    network: &onnx::ModelProto,
    shape: [usize; 4],
    outputs: usize,
    inside: usize,
    kind: EngineKind,
) -> Result<(Arc<TypedSimplePlan>, Fusion), EngineError> {
    let model = parsed(network)?;
    let own = model.outputs.len() - inside;
    if (model.inputs.len(), own) != (1, 1) {
        let what = format!("it has {} inputs and {own} outputs, not one each", model.inputs.len());
        return Err(EngineError::Shape(what));
    }
    let (optimized, mut fusion) = optimized(model, shape, kind)?;
    if inside > 0 {
        let fact = optimized.output_fact(1).map_err(uncompiled)?;
        let is_picture = fact.shape.as_concrete().is_some_and(|sides| sides.len() == 4);
        if !is_picture || fact.datum_type != f32::datum_type() {
            return Err(EngineError::Shape(wrong_activation(&format!("{fact:?}"))));
        }
    }
    let fact = optimized.output_fact(0).map_err(uncompiled)?;
    let fits =
        fact.shape.as_concrete() == Some(&[1, outputs]) && fact.datum_type == f32::datum_type();
    if !fits {
        return Err(EngineError::Shape(wrong_output(&format!("{fact:?}"), outputs)));
    }
    let of_tracts = |node: &&TypedNode| {
        !(node.op_is::<FusedStages>() || node.op_is::<Const>() || node.op_is::<TypedSource>())
    };
    fusion.others = optimized.nodes.iter().filter(of_tracts).count();
    Ok((optimized.into_runnable().map_err(uncompiled)?, fusion))
}

fn wrong_output(found: &str, outputs: usize) -> String {
    format!("its output is {found}, not f32 of shape [1, {outputs}]")
}

fn wrong_activation(found: &str) -> String {
    format!("its last activation is {found}, not f32 of shape [1, channels, height, width]")
}
