//! Puts leukd's operators in the place of what they compute.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::TractResult;

use super::kind::Fusion;
use super::operator::FusedStages;
use super::recognise;
use crate::model::kernels::{Chain, Isa, StageParts};

/// Replaces all chains of stages of `model`, and tells how many there were.
///
/// # Errors
///
/// tract's, where the graph that results would be inconsistent.
pub(super) fn fuse(model: &mut TypedModel, isa: Isa) -> TractResult<Fusion> {
    let mut fusion = Fusion::default();
    for found in recognise::chains(model) {
        for stage in &found.stages {
            match stage {
                StageParts::Stem(_) => fusion.stems += 1,
                StageParts::Block(_) => fusion.blocks += 1,
                StageParts::Top(..) => fusion.tops += 1,
                StageParts::Pool(..) => {}
            }
        }
        fusion.isa = isa.to_string();
        let name = model.node(found.to.node).name.clone();
        let operator = FusedStages::new(Chain::new(isa, &found.stages));
        let mut patch = TypedModelPatch::new("fused stages");
        let from = patch.tap_model(model, found.from)?;
        let to = patch.wire_node(format!("{name}.fused"), operator, &[from])?;
        patch.shunt_outside(model, found.to, to[0])?;
        patch.apply(model)?;
    }
    Ok(fusion)
}
