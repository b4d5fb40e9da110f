//! Keras' HDF5 files: `save_weights("x.h5")` and `model.save("x.h5")`, of Keras 2 and 3.
//!
//! Both keep one group a layer. Keras 2 names a tensor `stem_conv/stem_conv/kernel:0`, Keras 3
//! `stem_conv/stem_conv/kernel`; in a nested model the outer group is the model's, as in
//! `efficientnetb3/stem_conv/kernel:0`; a layer of a `Sequential` is
//! `dense/sequential/dense/kernel`. The last two parts are always layer and variable: those count.

use std::collections::BTreeMap;
use std::path::Path;

use hdf5_pure::{AttrValue, DType, Dataset, File, Group};
use serde_json::Value;

use super::error::InitError;
use super::fold::Origin;
use super::tensors::{Content, Format, LeftOut, Stored, some};
use crate::network::{EPSILON, STD};

/// Groups within groups: no Keras model of this kind is nested deeper.
const DEEPEST: usize = 12;

pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<Content, InitError> {
    let damaged = |error: hdf5_pure::Error| InitError::Damaged {
        path: path.to_owned(),
        kind: "an HDF5 file",
        detail: error.to_string(),
    };
    let wrong = |problem: String| InitError::Layout { path: path.to_owned(), problem };
    let file = File::from_bytes(bytes.to_vec()).map_err(damaged)?;
    // The library reads on where it can; what is lost might be the configuration, on which the
    // pixels' scale depends. libhdf5 refuses such a file too.
    let end = file.superblock().eof_address;
    if end > bytes.len() as u64 {
        return Err(InitError::Damaged {
            path: path.to_owned(),
            kind: "an HDF5 file",
            detail: format!("it has {} bytes of {end}", bytes.len()),
        });
    }
    let root = file.root();
    let groups = root.groups().map_err(damaged)?;
    let full = groups.iter().any(|group| group == "model_weights");
    let holder = if full { root.group("model_weights").map_err(damaged)? } else { root.clone() };
    if !full && groups.iter().any(|group| group == "layers" || group.starts_with("_layer_")) {
        return Err(wrong(
            "Keras 3's .weights.h5, which numbers its layers rather than naming them; load it in \
             Keras and save it with model.save(\"model.h5\")"
                .to_owned(),
        ));
    }
    let mut found = Vec::new();
    collect(&holder, "", 0, &mut found).map_err(damaged)?;
    let order = strings(&holder, "layer_names").map_err(damaged)?;
    let config = match strings(&root, "model_config").map_err(damaged)?.as_slice() {
        [] => None,
        [text] => Some(
            serde_json::from_str(text)
                .map_err(|error| wrong(format!("its model_config is no JSON: {error}")))?,
        ),
        _ => return Err(wrong("its model_config is no single text".to_owned())),
    };
    let mut content = Sorted::of(found, &order).map_err(wrong)?;
    let origin = content.origin(config.as_ref()).map_err(wrong)?;
    let Sorted { tensors, left_out, notes, .. } = content;
    Ok(Content { format: Format::Keras, tensors, left_out, origin, notes })
}

/// Every dataset under `group`, with its path.
fn collect(
    group: &Group,
    path: &str,
    depth: usize,
    found: &mut Vec<Stored>,
) -> Result<(), hdf5_pure::Error> {
    for (name, dataset) in group.iter_datasets()? {
        found.push(stored(format!("{path}{name}"), &dataset)?);
    }
    if depth == DEEPEST {
        return Ok(());
    }
    for (name, group) in group.iter_groups()? {
        collect(&group, &format!("{path}{name}/"), depth + 1, found)?;
    }
    Ok(())
}

fn stored(name: String, dataset: &Dataset) -> Result<Stored, hdf5_pure::Error> {
    let sides = dataset.shape()?;
    let shape = sides.iter().map(|side| usize::try_from(*side).unwrap_or(usize::MAX)).collect();
    let values = match dataset.dtype()? {
        DType::F32 => Ok(dataset.read_f32()?),
        DType::F64 => Ok(dataset.read_f64()?.into_iter().map(|value| value as f32).collect()),
        other => Err(other.to_string()),
    };
    Ok(Stored { name, shape, values })
}

/// The texts of an attribute, which Keras divides into `name0`, `name1`, … where it is long.
fn strings(group: &Group, name: &str) -> Result<Vec<String>, hdf5_pure::Error> {
    let attributes = group.attrs()?;
    let texts = |name: &str| attributes.get(name).and_then(AttrValue::as_strings);
    if let Some(whole) = texts(name) {
        return Ok(whole.to_vec());
    }
    let parts = (0..).map_while(|part: u32| texts(&format!("{name}{part}")));
    Ok(parts.flatten().cloned().collect())
}

/// Layer and variable of a dataset's path.
fn last_two(path: &str) -> (&str, &str) {
    let (rest, variable) = path.rsplit_once('/').unwrap_or(("", path));
    let layer = rest.rsplit_once('/').map_or(rest, |(_, layer)| layer);
    // TensorFlow numbers a variable's outputs; there is only `:0`.
    let variable = variable.split_once(':').map_or(variable, |(variable, _)| variable);
    // Keras 3 calls a depthwise kernel a kernel.
    (layer, if variable == "depthwise_kernel" { "kernel" } else { variable })
}

/// Normalisation layers of Keras have a number behind where a program made several.
fn is_normalisation(layer: &str) -> bool {
    layer.strip_prefix("normalization").is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

fn in_backbone(layer: &str) -> bool {
    ["stem_", "top_"].iter().any(|part| layer.starts_with(part))
        || layer
            .strip_prefix("block")
            .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// The file's tensors by the plan's names.
#[derive(Default)]
struct Sorted {
    tensors: BTreeMap<String, Stored>,
    left_out: Vec<LeftOut>,
    notes: Vec<String>,
    mean: Option<Vec<f32>>,
    variance: Option<Vec<f32>>,
}

impl Sorted {
    fn of(found: Vec<Stored>, order: &[String]) -> Result<Self, String> {
        let mut sorted = Self::default();
        // Of every layer that is none of the backbone's: its tensors.
        let mut others: BTreeMap<String, Vec<(String, Stored)>> = BTreeMap::new();
        let all = some(found.iter().map(|stored| stored.name.as_str()));
        let total = found.len();
        for stored in found {
            let name = stored.name.clone();
            let (layer, variable) = last_two(&name);
            let left_out = |why| LeftOut { name: name.clone(), shape: stored.shape.clone(), why };
            if is_normalisation(layer) {
                sorted.left_out.push(left_out("the pixels' normalisation, which ours has fixed"));
                match variable {
                    "mean" => sorted.mean = stored.values.ok(),
                    "variance" => sorted.variance = stored.values.ok(),
                    _ => {}
                }
            } else if layer == "predictions" {
                sorted.left_out.push(left_out("the classifier is ours"));
            } else if in_backbone(layer) {
                sorted.insert(format!("{layer}/{variable}"), stored)?;
            } else {
                let place = others.entry(layer.to_owned()).or_default();
                place.push((variable.to_owned(), stored));
            }
        }
        if !sorted.tensors.contains_key("stem_conv/kernel") {
            return Err(format!(
                "an HDF5 file without the layer stem_conv of Keras' EfficientNet; it has {total} \
                 tensors{}{all}: give the file of an EfficientNetB3, saved with \
                 save_weights(\"x.h5\") or model.save(\"x.h5\")",
                if total > 0 { ": " } else { "" }
            ));
        }
        sorted.head(others, order)?;
        Ok(sorted)
    }

    /// The seed's head is one batch normalisation and two dense layers after the backbone,
    /// whatever their numbers; all else stays unexpected.
    fn head(
        &mut self,
        others: BTreeMap<String, Vec<(String, Stored)>>,
        order: &[String],
    ) -> Result<(), String> {
        let has = |tensors: &[(String, Stored)], variable: &str| {
            tensors.iter().any(|(name, _)| name == variable)
        };
        // By the model's own order; without it, dense comes before dense_1 and that before
        // dense_10.
        let place = |layer: &str| {
            let known = order.iter().position(|name| name == layer).unwrap_or(order.len());
            (known, layer.len(), layer.to_owned())
        };
        let mut dense: Vec<&String> = others
            .iter()
            .filter(|(_, tensors)| has(tensors, "kernel") && !has(tensors, "gamma"))
            .map(|(layer, _)| layer)
            .collect();
        dense.sort_by_key(|layer| place(layer));
        let norms: Vec<&String> = others
            .iter()
            .filter(|(_, tensors)| has(tensors, "gamma"))
            .map(|(layer, _)| layer)
            .collect();
        let mut names = BTreeMap::new();
        if let ([norm], [hidden, classes]) = (norms.as_slice(), dense.as_slice()) {
            names.insert((*norm).clone(), "head_norm");
            names.insert((*hidden).clone(), "head_hidden");
            names.insert((*classes).clone(), "head_classes");
        }
        for (layer, tensors) in others {
            let layer = names.get(&layer).copied().unwrap_or(&layer).to_owned();
            for (variable, stored) in tensors {
                self.insert(format!("{layer}/{variable}"), stored)?;
            }
        }
        Ok(())
    }

    fn insert(&mut self, key: String, stored: Stored) -> Result<(), String> {
        let name = stored.name.clone();
        match self.tensors.insert(key, stored) {
            None => Ok(()),
            Some(first) => Err(format!(
                "{} and {name} are the same layer twice: save one model alone",
                first.name
            )),
        }
    }

    /// What the stem sees, from the file's normalisation and its configuration.
    fn origin(&mut self, config: Option<&Value>) -> Result<Origin, String> {
        let epsilon = match config {
            Some(config) => epsilon(config)?,
            None => EPSILON,
        };
        let (Some(mean), Some(variance)) = (three(&self.mean), three(&self.variance)) else {
            self.notes.push(
                "the file says nothing of the pixels' normalisation: ImageNet's is assumed"
                    .to_owned(),
            );
            return Ok(Origin { epsilon, ..Origin::default() });
        };
        if variance.iter().any(|variance| !variance.is_finite() || *variance < 0.0) {
            return Err(format!("the variance {variance:?} of its normalisation is impossible"));
        }
        // As keras.layers.Normalization: √variance, but at least backend.epsilon().
        let divisor = variance.map(|variance| variance.sqrt().max(1e-7));
        let deviations = (0..3).all(|c| (variance[c] - f64::from(STD[c])).abs() < 1e-4);
        let second = match config {
            Some(config) => rescaling(config)?.unwrap_or([1.0; 3]),
            None if deviations => {
                self.notes.push(
                    "the file holds ImageNet's deviation as variance, as Keras' own weights do: \
                     Keras' second rescaling is assumed"
                        .to_owned(),
                );
                divisor.map(|divisor| 1.0 / divisor)
            }
            None => {
                self.notes.push(
                    "the file has no configuration: no second rescaling is assumed".to_owned(),
                );
                [1.0; 3]
            }
        };
        let scale = std::array::from_fn(|c| second[c] / (255.0 * divisor[c]));
        let shift = std::array::from_fn(|c| -mean[c] * second[c] / divisor[c]);
        Ok(Origin { scale, shift, epsilon, even_padding: false })
    }
}

fn three(values: &Option<Vec<f32>>) -> Option<[f64; 3]> {
    let values: &[f32; 3] = values.as_ref()?.as_slice().try_into().ok()?;
    Some(values.map(f64::from))
}

/// Every layer's configuration of the class, models within models included.
fn layers<'a>(config: &'a Value, class: &str, found: &mut Vec<&'a Value>) {
    match config {
        Value::Array(items) => items.iter().for_each(|item| layers(item, class, found)),
        Value::Object(fields) => {
            if fields.get("class_name").and_then(Value::as_str) == Some(class) {
                found.extend(fields.get("config"));
            }
            fields.values().for_each(|item| layers(item, class, found));
        }
        _ => {}
    }
}

/// The three factors of the second rescaling, where there is one.
fn rescaling(config: &Value) -> Result<Option<[f64; 3]>, String> {
    let mut found = Vec::new();
    layers(config, "Rescaling", &mut found);
    let mut second = None;
    for layer in found {
        let scale = layer.get("scale").unwrap_or(&Value::Null);
        let offset = layer.get("offset").unwrap_or(&Value::Null);
        let number = |value: &Value| value.as_f64();
        let unknown = || {
            format!(
                "its configuration has a Rescaling of scale {scale} and offset {offset}; only \
                 1/255 and the three factors of Keras' EfficientNet are understood"
            )
        };
        if offset.as_f64().is_some_and(|offset| offset != 0.0) {
            return Err(unknown());
        }
        match (number(scale), scale.as_array()) {
            (Some(scale), _) if (scale * 255.0 - 1.0).abs() < 1e-6 => {}
            (None, Some(factors)) if second.is_none() => {
                let factors: Vec<f64> = factors.iter().filter_map(number).collect();
                second = Some(<[f64; 3]>::try_from(factors).map_err(|_| unknown())?);
            }
            _ => return Err(unknown()),
        }
    }
    Ok(second)
}

/// ε of the batch normalisations: Keras' default and EfficientNet's is 1e-3.
fn epsilon(config: &Value) -> Result<f64, String> {
    let mut found = Vec::new();
    layers(config, "BatchNormalization", &mut found);
    let mut all = found.iter().filter_map(|layer| layer.get("epsilon")?.as_f64());
    let first = all.next().unwrap_or(EPSILON);
    if let Some(other) = all.find(|other| (other / first - 1.0).abs() > 1e-6) {
        return Err(format!("its batch normalisations have several ε ({first:e}, {other:e})"));
    }
    Ok(first)
}
