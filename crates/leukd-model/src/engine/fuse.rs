//! Puts leukd's operators in the place of what they compute.

use std::collections::HashMap;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{TractResult, ensure};

use super::kind::Fusion;
use super::operator::FusedStages;
use super::recognise;
use leukd_kernels::{Chain, Isa, StageParts};

/// Replaces all chains of stages of `model`, and tells how many there were.
///
/// # Errors
///
/// tract's, where the graph that results would be inconsistent.
pub(super) fn fuse(model: &mut TypedModel, isa: Isa) -> TractResult<Fusion> {
    let mut fusion = Fusion::default();
    // A chain may begin where another has ended: at the node that took its end's place.
    let mut moved = HashMap::new();
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
        let from = moved.get(&found.from).copied().unwrap_or(found.from);
        let from = patch.tap_model(model, from)?;
        let to = patch.wire_node(format!("{name}.fused"), operator, &[from])?;
        patch.shunt_outside(model, found.to, to[0])?;
        // The patch adds one node, the next; its name may not stay what it is here.
        let node = model.nodes.len();
        patch.apply(model)?;
        let placed = model.nodes.get(node).is_some_and(|node| node.op_is::<FusedStages>());
        ensure!(placed, "the fused stages did not take their place");
        moved.insert(found.to, OutletId::from(node));
    }
    Ok(fusion)
}
