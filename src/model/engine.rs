//! The one file that names tract: an ONNX network, compiled for this processor.
//!
//! tract's ONNX front calls itself unstable: its version is pinned exactly, and nothing outside this
//! file sees more of it than [`mod@onnx`], the prost types of the ONNX format.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::prelude::*;

/// The ONNX format as prost messages.
pub use tract_onnx::pb as onnx;

use crate::cell::preprocess::InputTensor;

/// A compiled network. Shared between threads; each run has its own state.
///
/// A run makes a fresh state: beside the network itself (tens of milliseconds) that is nothing, and no
/// thread keeps a model alive that was swapped out.
#[derive(Debug, Clone)]
pub struct Engine {
    plan: Arc<TypedSimplePlan>,
    shape: [usize; 4],
    outputs: usize,
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
    /// Compiles `network` for one input of `shape` (f32) and one output of shape `[1, outputs]`.
    ///
    /// # Errors
    ///
    /// [`EngineError::Compile`] and [`EngineError::Shape`]. tract panics on some broken graphs; that is
    /// an error here too.
    pub fn compile(
        network: &onnx::ModelProto,
        shape: [usize; 4],
        outputs: usize,
    ) -> Result<Self, EngineError> {
        let plan = catch_unwind(AssertUnwindSafe(|| plan(network, shape, outputs)))
            .unwrap_or_else(|_| {
                Err(EngineError::Compile("its graph is inconsistent".to_owned()))
            })?;
        Ok(Self { plan, shape, outputs })
    }

    /// Runs one picture through the network.
    ///
    /// # Errors
    ///
    /// [`EngineError::Shape`] for an input of another shape, [`EngineError::Run`] and
    /// [`EngineError::NotFinite`].
    pub fn run(&self, input: &InputTensor) -> Result<Vec<f32>, EngineError> {
        if input.shape != self.shape {
            let what = format!("the input has shape {:?}, not {:?}", input.shape, self.shape);
            return Err(EngineError::Shape(what));
        }
        let failed = |error: TractError| EngineError::Run(format!("{error:#}"));
        let input = Tensor::from_shape(&input.shape, &input.data).map_err(failed)?;
        let results = self.plan.run(tvec!(input.into_tvalue())).map_err(failed)?;
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
        if values.iter().all(|value| value.is_finite()) {
            Ok(values)
        } else {
            Err(EngineError::NotFinite(values))
        }
    }
}

fn plan(
    network: &onnx::ModelProto,
    shape: [usize; 4],
    outputs: usize,
) -> Result<Arc<TypedSimplePlan>, EngineError> {
    let failed = |error: TractError| EngineError::Compile(format!("{error:#}"));
    // What the file says of shapes is left aside, so that a symbolic batch size does no harm: they
    // follow from the input's.
    let model = tract_onnx::onnx()
        .with_ignore_output_shapes(true)
        .with_ignore_output_types(true)
        .with_ignore_value_info(true)
        .model_for_proto_model(network)
        .map_err(failed)?;
    let (found_inputs, found_outputs) = (model.inputs.len(), model.outputs.len());
    if (found_inputs, found_outputs) != (1, 1) {
        let what =
            format!("it has {found_inputs} inputs and {found_outputs} outputs, not one each");
        return Err(EngineError::Shape(what));
    }
    let optimized = model
        .with_input_fact(0, f32::fact(shape).into())
        .and_then(InferenceModelExt::into_optimized)
        .map_err(failed)?;
    let fact = optimized.output_fact(0).map_err(failed)?;
    let fits =
        fact.shape.as_concrete() == Some(&[1, outputs]) && fact.datum_type == f32::datum_type();
    if !fits {
        return Err(EngineError::Shape(wrong_output(&format!("{fact:?}"), outputs)));
    }
    optimized.into_runnable().map_err(failed)
}

fn wrong_output(found: &str, outputs: usize) -> String {
    format!("its output is {found}, not f32 of shape [1, {outputs}]")
}
