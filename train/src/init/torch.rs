//! State dicts of timm and torchvision, as safetensors or as PyTorch's own files.
//!
//! A pickle is parsed, never executed (`pytorch-reader`).

use std::collections::BTreeMap;
use std::path::Path;

use pytorch_reader::PytorchReader;
use safetensors::SafeTensors;
use serde_json::Value;

use super::error::InitError;
use super::fold::Origin;
use super::tensors::{Content, Format, LeftOut, Stored, decode, some};

/// ε of `torch.nn.BatchNorm2d`, which torchvision's B3 and timm's own `efficientnet_b3` keep.
const PYTORCH_EPSILON: f64 = 1e-5;

pub(super) fn read_safetensors(path: &Path, bytes: &[u8]) -> Result<Content, InitError> {
    let damaged = |error: safetensors::SafeTensorError| InitError::Damaged {
        path: path.to_owned(),
        kind: "a safetensors file",
        detail: error.to_string(),
    };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let stored = file
        .iter()
        .map(|(name, view)| {
            let values = decode(&format!("{:?}", view.dtype()), view.data());
            Stored { name: name.to_owned(), shape: view.shape().to_vec(), values }
        })
        .collect();
    let facts = Facts::of(path, |key| header.metadata().as_ref()?.get(key).cloned());
    sort(path, stored, facts)
}

pub(super) fn read_pytorch(path: &Path) -> Result<Content, InitError> {
    let damaged = |detail: String| InitError::Damaged {
        path: path.to_owned(),
        kind: "a PyTorch file",
        detail,
    };
    let file = PytorchReader::new(path).map_err(|error| damaged(error.to_string()))?;
    let mut stored = Vec::with_capacity(file.len());
    for (name, tensor) in file.tensors() {
        let bytes = tensor.read().map_err(|error| damaged(error.to_string()))?;
        let values = decode(&format!("{:?}", tensor.dtype()), &bytes);
        stored.push(Stored { name: name.clone(), shape: tensor.shape().to_vec(), values });
    }
    // The map has no order of its own.
    stored.sort_by(|a, b| a.name.cmp(&b.name));
    sort(path, stored, Facts::of(path, |_| None))
}

/// What the file and its surroundings say of the model besides its tensors.
struct Facts {
    /// timm's name of it, and who says so.
    architecture: Option<(String, &'static str)>,
    /// Mean and deviation of pixels over 0 to 1, and who says so.
    pixels: Option<([f64; 3], [f64; 3], &'static str)>,
}

impl Facts {
    /// In this order: the file's own metadata (`architecture`, `mean`, `std`), the `config.json`
    /// that timm's repositories keep beside `model.safetensors`, and, for the architecture alone,
    /// the file's name, as timm's releases have it (`tf_efficientnet_b3_aa-84b4657e.pth`).
    fn of(path: &Path, metadata: impl Fn(&str) -> Option<String>) -> Self {
        let beside = path
            .parent()
            .and_then(|folder| std::fs::read_to_string(folder.join("config.json")).ok())
            .and_then(|text| serde_json::from_str::<Value>(&text).ok())
            .filter(|config| config["architecture"].as_str().is_some_and(is_b3));
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let from_metadata =
            metadata("architecture").filter(|name| is_b3(name)).map(|name| (name, "its metadata"));
        let from_config = beside
            .as_ref()
            .and_then(|config| config["architecture"].as_str())
            .map(|name| (name.to_owned(), "config.json beside it"));
        let from_name = is_b3(&name).then_some((name, "its name"));
        let architecture = from_metadata.or(from_config).or(from_name);
        let own = |key| metadata(key).and_then(|text| three(&serde_json::from_str(&text).ok()?));
        let config = |key: &str| three(&beside.as_ref()?["pretrained_cfg"][key]);
        let pixels = match (own("mean"), own("std"), config("mean"), config("std")) {
            (Some(mean), Some(std), _, _) => Some((mean, std, "its metadata")),
            (_, _, Some(mean), Some(std)) => Some((mean, std, "config.json beside it")),
            _ => None,
        };
        Self { architecture, pixels }
    }

    fn origin(&self, format: Format, notes: &mut Vec<String>) -> Result<Origin, String> {
        let mut origin = match self.pixels {
            Some((mean, std, who)) => {
                if std.iter().any(|std| !std.is_finite() || *std <= 0.0) {
                    return Err(format!("the std {std:?} that {who} gives is impossible"));
                }
                notes.push(format!("pixels were normalised with {mean:?} and {std:?}, says {who}"));
                Origin::normalising(mean, std)
            }
            None => {
                notes.push(
                    "the file does not say how pixels were normalised: ImageNet's mean and \
                     deviation are assumed (timm's `ap` weights and its pruned ones had 0.5 and \
                     0.5: for those keep timm's config.json beside the file)"
                        .to_owned(),
                );
                Origin::default()
            }
        };
        let even = match (format, &self.architecture) {
            (Format::Torchvision, _) => true,
            (_, Some((name, who))) => {
                notes.push(format!("{name}, says {who}"));
                !name.contains("tf_efficientnet")
            }
            (_, None) => {
                notes.push(
                    "assumed to be tf_efficientnet_b3; timm's own efficientnet_b3 has the same \
                     names, but another padding and ε: for that keep timm's config.json beside \
                     the file, or its name in the file's"
                        .to_owned(),
                );
                false
            }
        };
        if even {
            origin.epsilon = PYTORCH_EPSILON;
            origin.even_padding = true;
            notes.push(
                "made for even padding, ours is TensorFlow's: at an even size its features are \
                 ours of a picture moved by 31 pixels, up to the border; fine-tune before use"
                    .to_owned(),
            );
        }
        Ok(origin)
    }
}

fn is_b3(name: &str) -> bool {
    name.contains("efficientnet_b3")
}

fn three(value: &Value) -> Option<[f64; 3]> {
    let numbers: Vec<f64> = value.as_array()?.iter().filter_map(Value::as_f64).collect();
    numbers.try_into().ok()
}

fn sort(path: &Path, stored: Vec<Stored>, facts: Facts) -> Result<Content, InitError> {
    let wrong = |problem: String| InitError::Layout { path: path.to_owned(), problem };
    // Of every name, what stands before the stem's: `state_dict.`, `module.`, nothing.
    let stems = [("conv_stem.weight", Format::Timm), ("features.0.0.weight", Format::Torchvision)];
    let mut found: Vec<(String, Format)> = Vec::new();
    for stored in &stored {
        for (stem, format) in stems {
            let prefix = stored.name.strip_suffix(stem);
            if let Some(prefix) = prefix.filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
            {
                found.push((prefix.to_owned(), format));
            }
        }
    }
    let (prefix, format) = match found.as_slice() {
        [one] => one.clone(),
        [] => {
            let names = some(stored.iter().map(|stored| stored.name.as_str()));
            return Err(wrong(format!(
                "none of its {} tensors is the stem of timm's EfficientNet (conv_stem.weight) or \
                 of torchvision's (features.0.0.weight): {names}; give the state dict of an \
                 EfficientNet-B3",
                stored.len()
            )));
        }
        several => {
            let names = some(several.iter().map(|(prefix, _)| prefix.as_str()));
            return Err(wrong(format!(
                "it holds several networks ({names}): save the state dict of one alone"
            )));
        }
    };
    let mut tensors = BTreeMap::new();
    let mut left_out = Vec::new();
    for stored in stored {
        let why = match stored.name.strip_prefix(&prefix) {
            None => Some("not part of the network's state dict"),
            Some(name) if name.starts_with("classifier.") => Some("the classifier is ours"),
            Some(name) if name.ends_with(".num_batches_tracked") => {
                Some("PyTorch's counter of batches")
            }
            Some(_) => None,
        };
        match why {
            Some(why) => left_out.push(LeftOut { name: stored.name, shape: stored.shape, why }),
            None => {
                let key = stored.name[prefix.len()..].to_owned();
                tensors.insert(key, stored);
            }
        }
    }
    let mut notes = Vec::new();
    let origin = facts.origin(format, &mut notes).map_err(wrong)?;
    Ok(Content { format, tensors, left_out, origin, notes })
}
