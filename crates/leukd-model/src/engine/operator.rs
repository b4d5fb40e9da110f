//! A chain of fused stages as an operator of tract's.

use std::sync::Arc;

use tract_onnx::tract_core::internal::*;

use leukd_kernels::Chain;

/// Runs one picture, `[1, channels, height, width]`, through consecutive stages of a network.
#[derive(Debug, Clone)]
pub(super) struct FusedStages(Arc<Chain>);

impl FusedStages {
    pub(super) fn new(chain: Chain) -> Self {
        Self(Arc::new(chain))
    }
}

// Two chains are told apart by their place in memory: comparing weights would take long, and
// nothing asks for it.
impl PartialEq for FusedStages {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for FusedStages {}

impl Op for FusedStages {
    fn name(&self) -> StaticName {
        "FusedStages".into()
    }

    op_as_typed_op!();
}

impl EvalOp for FusedStages {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let output = self.0.output();
        let mut result = Tensor::zero::<f32>(&[1, output.channels, output.height, output.width])?;
        let from = input.try_as_plain_ram()?;
        self.0.run(from.as_slice::<f32>()?, result.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?);
        Ok(tvec!(result.into_tvalue()))
    }
}

impl TypedOp for FusedStages {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let (input, output) = (self.0.input(), self.0.output());
        let asked = [1, input.channels, input.height, input.width];
        ensure!(
            inputs.len() == 1
                && inputs[0].datum_type == f32::datum_type()
                && inputs[0].shape.as_concrete() == Some(&asked),
            "fused stages take f32 of shape {asked:?}"
        );
        Ok(tvec!(f32::fact([1, output.channels, output.height, output.width])))
    }

    as_op!();
}
