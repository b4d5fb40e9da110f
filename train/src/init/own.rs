//! Our own files: a bundle, a run's folder, one of its weight files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::store::burn_pack::{self, Bytes, Reader};
use leukd_model::bundle::Bundle;
use leukd_model::onnx::TensorProto;
use leukd_model::onnx::tensor_proto::DataType;

use super::error::InitError;
use super::fold::Origin;
use super::tensors::{Content, Format, LeftOut, Stored, decode, some};
use crate::fit::Checkpoint;
use crate::recipe::Kept;

/// The last epoch's weights of the run in `folder`: those with which it would go on.
pub(super) fn weights_of_run(folder: &Path) -> Result<PathBuf, InitError> {
    let checkpoint = Checkpoint::open(folder);
    if !checkpoint.exists() {
        return Err(InitError::Kind {
            path: folder.to_owned(),
            found: "a folder without a run's checkpoint".to_owned(),
        });
    }
    // A state that cannot be read says so here rather than leaving weights of unknown origin.
    checkpoint.state()?;
    Ok(checkpoint.weights_file(Kept::Last)?)
}

pub(super) fn read_burnpack(path: &Path, bytes: &[u8]) -> Result<Content, InitError> {
    let damaged = |error: burn_pack::Error| InitError::Damaged {
        path: path.to_owned(),
        kind: "a .bpk file",
        detail: error.to_string(),
    };
    let reader = Reader::from_bytes(Bytes::from_bytes_vec(bytes.to_vec())).map_err(damaged)?;
    let mut tensors = BTreeMap::new();
    for tensor in reader.into_tensors().map_err(damaged)? {
        let name = tensor.name.clone();
        let shape = tensor.shape.iter().copied().collect();
        let values = decode(&format!("{:?}", tensor.dtype), &tensor.into_bytes().map_err(damaged)?);
        tensors.insert(name.clone(), Stored { name, shape, values });
    }
    if !tensors.contains_key("backbone.stem.kernel") {
        return Err(InitError::Layout {
            path: path.to_owned(),
            problem: format!(
                "no weights of a leukd-train run (they have backbone.stem.kernel): {}; give the \
                 run's folder, or its checkpoint/model.bpk",
                some(tensors.keys().map(String::as_str))
            ),
        });
    }
    let (left_out, notes, origin) = (Vec::new(), Vec::new(), Origin::default());
    Ok(Content { format: Format::Run, tensors, left_out, origin, notes })
}

pub(super) fn read_bundle(path: &Path, bytes: &[u8]) -> Result<Content, InitError> {
    // The bundle's messages begin with the path themselves.
    let bundle = Bundle::from_bytes(bytes, "the bundle").map_err(|error| InitError::Damaged {
        path: path.to_owned(),
        kind: "an ONNX file",
        detail: error.to_string(),
    })?;
    let graph = bundle.network().graph.as_ref();
    let mut tensors: BTreeMap<String, Stored> = graph
        .into_iter()
        .flat_map(|graph| &graph.initializer)
        .map(|tensor| (tensor.name.clone(), stored(tensor)))
        .collect();
    let wrong = |problem: String| InitError::Layout { path: path.to_owned(), problem };
    if !tensors.contains_key("stem.kernel") {
        return Err(wrong(format!(
            "a bundle, but none that leukd-train wrote (its tensors are {}): its network may be \
             any other",
            some(tensors.keys().map(String::as_str))
        )));
    }
    let mut left_out = Vec::new();
    let mut pixels = |name: &str| {
        let stored = tensors.remove(name)?;
        let why = "the pixels' normalisation, which ours has fixed";
        left_out.push(LeftOut { name: name.to_owned(), shape: stored.shape, why });
        let values: [f32; 3] = stored.values.ok()?.try_into().ok()?;
        Some(values.map(f64::from))
    };
    let scale = pixels("normalise.scale");
    let shift = pixels("normalise.shift");
    let (Some(scale), Some(shift)) = (scale, shift) else {
        return Err(wrong(
            "a bundle without normalise.scale and normalise.shift of three numbers each".to_owned(),
        ));
    };
    let origin = Origin { scale, shift, ..Origin::default() };
    Ok(Content { format: Format::Bundle, tensors, left_out, origin, notes: Vec::new() })
}

/// The bundle has checked that a tensor has the bytes of its shape, and expanded f16 and int8.
fn stored(tensor: &TensorProto) -> Stored {
    let values = match DataType::try_from(tensor.data_type) {
        Ok(DataType::Float) if tensor.raw_data.is_empty() => Ok(tensor.float_data.clone()),
        Ok(DataType::Float) => decode("F32", &tensor.raw_data),
        Ok(other) => Err(other.as_str_name().to_owned()),
        Err(_) => Err(format!("{}", tensor.data_type)),
    };
    let shape = tensor.dims.iter().map(|side| usize::try_from(*side).unwrap_or(0)).collect();
    Stored { name: tensor.name.clone(), shape, values }
}
