//! Weight files of a network in other programs' names and layouts, written by other rules than the
//! reader's: a table of names, and loops over indices.

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use leukd_train::network::{Architecture, Network, Parameter, Regularisation};
use rand::{Rng, SeedableRng};

pub(crate) use crate::init::writers::{Named, write_h5, write_pth, write_safetensors, zip};

/// One block in each of the first three stages, two in each of the next three, one in the last.
pub(crate) const NARROW: Architecture =
    Architecture { width: 0.35, depth: 0.35, hidden: 16, classes: 2 };

/// Stage and repeat of each of its blocks.
const PLACES: [(usize, usize); 10] =
    [(0, 0), (1, 0), (2, 0), (3, 0), (3, 1), (4, 0), (4, 1), (5, 0), (5, 1), (6, 0)];

/// A network whose every tensor differs from what a network begins with, and whose running
/// statistics are those of some pixels, so that these reach its outputs.
pub(crate) fn network(seed: u64) -> Network {
    let device = Device::flex().autodiff();
    device.seed(seed);
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let follow = Regularisation {
        norm_momentum: 1.0,
        dropout: 0.0,
        drop_connect: 0.0,
        ..Regularisation::default()
    };
    let network = Network::new(&NARROW, &follow, &device).with_parameters(|parameter| {
        let name = parameter.name();
        let (low, high) = if name.ends_with("gamma") {
            (0.6, 1.4)
        } else if name.ends_with("kernel") {
            let inputs: usize = parameter.shape[1..].iter().product();
            let bound = (3.0 / inputs as f32).sqrt();
            (-bound, bound)
        } else {
            (-0.3, 0.3)
        };
        Some(parameter.values.iter().map(|_| random.random_range(low..high)).collect())
    });
    let _ = network.forward(noise(8, 48, seed, &device));
    network.valid()
}

/// Not the device's generator: other tests draw from it meanwhile.
fn noise(batch: usize, side: usize, seed: u64, device: &Device) -> Tensor<4> {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let shape = [batch, 3, side, side];
    let values: Vec<f32> =
        (0..shape.iter().product()).map(|_| random.random_range(0.0..255.0)).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

pub(crate) fn pixels(side: usize) -> Tensor<4> {
    noise(2, side, 99, &Device::flex())
}

pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// The most that two networks' features and logits differ over some pixels, and that features vary.
pub(crate) fn difference(a: &Network, b: &Network, with_head: bool) -> f32 {
    let most = |a: Vec<f32>, b: Vec<f32>| {
        a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0_f32, f32::max)
    };
    let features = numbers(a.features(pixels(48)));
    let (first, second) = features.split_at(features.len() / 2);
    let spread = most(first.to_vec(), second.to_vec());
    assert!(spread > 0.1, "a network that says the same of both pictures: {spread}");
    let mut found = most(features, numbers(b.features(pixels(48))));
    if with_head {
        found = found.max(most(numbers(a.forward(pixels(48))), numbers(b.forward(pixels(48)))));
    }
    found
}

/// Layer (`stem`, `block3.expand`, …) and quantity (`kernel`, `norm.gamma`, …) of our name.
fn split(name: &str) -> (&str, &str) {
    let at = name.find(".norm.").or_else(|| name.rfind('.')).unwrap();
    (&name[..at], &name[at + 1..])
}

fn block(layer: &str) -> Option<(usize, &str)> {
    let (number, part) = layer.strip_prefix("block")?.split_once('.')?;
    Some((number.parse().ok()?, part))
}

/// `[layer, variable]` in Keras 2's names; of the head's layers, those that a program's first
/// model of this kind has.
pub(crate) fn keras_name(ours: &str) -> [String; 2] {
    let (layer, quantity) = split(ours);
    let variable = match quantity {
        "norm.gamma" => "gamma",
        "norm.beta" => "beta",
        "norm.mean" => "moving_mean",
        "norm.variance" => "moving_variance",
        "kernel" if layer.ends_with("depthwise") => "depthwise_kernel",
        other => other,
    };
    let norm = quantity.starts_with("norm.");
    let name = match layer {
        "stem" | "top" => format!("{layer}_{}", if norm { "bn" } else { "conv" }),
        "head" => "batch_normalization".to_owned(),
        "head.hidden" => "dense".to_owned(),
        "logits" => "dense_1".to_owned(),
        block_layer => {
            let (index, part) = block(block_layer).unwrap();
            let (stage, repeat) = PLACES[index];
            let part = match (part, norm) {
                ("expand", false) => "expand_conv",
                ("expand", true) => "expand_bn",
                ("depthwise", false) => "dwconv",
                ("depthwise", true) => "bn",
                ("squeeze.reduce", _) => "se_reduce",
                ("squeeze.expand", _) => "se_expand",
                ("project", false) => "project_conv",
                ("project", true) => "project_bn",
                other => panic!("{other:?}"),
            };
            format!("block{}{}_{part}", stage + 1, ["a", "b", "c"][repeat])
        }
    };
    [name, variable.to_owned()]
}

/// Keras' layout: the window first, output channels last.
fn keras_layout(parameter: &Parameter) -> (Vec<usize>, Vec<f32>) {
    let name = parameter.name();
    let values = &parameter.values;
    match parameter.shape.as_slice() {
        [outward, one, height, width] if name.contains("depthwise") => {
            assert_eq!(*one, 1);
            let mut laid = vec![f32::NAN; values.len()];
            for channel in 0..*outward {
                for place in 0..height * width {
                    laid[place * outward + channel] = values[channel * height * width + place];
                }
            }
            (vec![*height, *width, *outward, 1], laid)
        }
        [outward, inward, height, width] => {
            let mut laid = vec![f32::NAN; values.len()];
            for o in 0..*outward {
                for i in 0..*inward {
                    for place in 0..height * width {
                        laid[(place * inward + i) * outward + o] =
                            values[(o * inward + i) * height * width + place];
                    }
                }
            }
            (vec![*height, *width, *inward, *outward], laid)
        }
        [outward, inward] => {
            let mut laid = vec![f32::NAN; values.len()];
            for o in 0..*outward {
                for i in 0..*inward {
                    laid[i * outward + o] = values[o * inward + i];
                }
            }
            (vec![*inward, *outward], laid)
        }
        other => (other.to_vec(), values.clone()),
    }
}

/// The path of a tensor, from `layer` and `variable`.
pub(crate) type KerasPath = fn(&str, &str) -> String;

/// Keras 2's weights alone: `stem_conv/stem_conv/kernel:0`.
pub(crate) fn keras2_notop(layer: &str, variable: &str) -> String {
    format!("{layer}/{layer}/{variable}:0")
}

/// Keras 2's full model: the backbone is a model within the model.
pub(crate) fn keras2_full(layer: &str, variable: &str) -> String {
    let group = if of_the_head(layer) { layer } else { "efficientnetb3" };
    format!("model_weights/{group}/{layer}/{variable}:0")
}

/// Keras 3's: no `:0`, a depthwise kernel is a kernel, and a `Sequential` names its layers.
pub(crate) fn keras3_full(layer: &str, variable: &str) -> String {
    let variable = if variable == "depthwise_kernel" { "kernel" } else { variable };
    if of_the_head(layer) {
        format!("model_weights/{layer}/sequential/{layer}/{variable}")
    } else {
        format!("model_weights/efficientnetb3/{layer}/{variable}")
    }
}

fn of_the_head(layer: &str) -> bool {
    layer.starts_with("batch_normalization") || layer.starts_with("dense")
}

pub(crate) fn keras(network: &Network, path: KerasPath, head: bool) -> Vec<Named> {
    network
        .parameters()
        .iter()
        .filter(|parameter| head || !parameter.layer.in_head())
        .map(|parameter| {
            let [layer, variable] = keras_name(&parameter.name());
            let (shape, values) = keras_layout(parameter);
            Named { name: path(&layer, &variable), shape, values }
        })
        .collect()
}

/// The normalisation layer's tensors.
pub(crate) fn keras_normalisation(
    path: KerasPath,
    mean: [f32; 3],
    variance: [f32; 3],
) -> Vec<Named> {
    let name = |variable: &str| path("normalization", variable);
    vec![
        Named { name: name("mean"), shape: vec![3], values: mean.to_vec() },
        Named { name: name("variance"), shape: vec![3], values: variance.to_vec() },
        Named { name: name("count"), shape: vec![], values: vec![0.0] },
    ]
}

/// timm's names.
fn timm_name(ours: &str) -> Option<String> {
    let (layer, quantity) = split(ours);
    let layer = match (layer, quantity.starts_with("norm.")) {
        ("stem", false) => "conv_stem".to_owned(),
        ("stem", true) => "bn1".to_owned(),
        ("top", false) => "conv_head".to_owned(),
        ("top", true) => "bn2".to_owned(),
        ("head" | "head.hidden" | "logits", _) => return None,
        (block_layer, norm) => {
            let (index, part) = block(block_layer).unwrap();
            let (stage, repeat) = PLACES[index];
            let name = match (part, norm, stage) {
                ("squeeze.reduce", ..) => "se.conv_reduce",
                ("squeeze.expand", ..) => "se.conv_expand",
                ("depthwise", false, _) => "conv_dw",
                ("depthwise", true, 0) => "bn1",
                ("project", false, 0) => "conv_pw",
                ("project", true, 0) => "bn2",
                ("expand", false, _) => "conv_pw",
                ("expand", true, _) => "bn1",
                ("depthwise", true, _) => "bn2",
                ("project", false, _) => "conv_pwl",
                ("project", true, _) => "bn3",
                other => panic!("{other:?}"),
            };
            format!("blocks.{stage}.{repeat}.{name}")
        }
    };
    Some(format!("{layer}.{}", torch_quantity(quantity)))
}

fn torchvision_name(ours: &str) -> Option<String> {
    let (layer, quantity) = split(ours);
    let norm = quantity.starts_with("norm.");
    let second = usize::from(norm);
    let layer = match layer {
        "stem" => format!("features.0.{second}"),
        "top" => format!("features.8.{second}"),
        "head" | "head.hidden" | "logits" => return None,
        block_layer => {
            let (index, part) = block(block_layer).unwrap();
            let (stage, repeat) = PLACES[index];
            let name = match (part, stage) {
                ("depthwise", 0) => format!("0.{second}"),
                ("squeeze.reduce", 0) => "1.fc1".to_owned(),
                ("squeeze.expand", 0) => "1.fc2".to_owned(),
                ("project", 0) => format!("2.{second}"),
                ("expand", _) => format!("0.{second}"),
                ("depthwise", _) => format!("1.{second}"),
                ("squeeze.reduce", _) => "2.fc1".to_owned(),
                ("squeeze.expand", _) => "2.fc2".to_owned(),
                ("project", _) => format!("3.{second}"),
                other => panic!("{other:?}"),
            };
            format!("features.{}.{repeat}.block.{name}", stage + 1)
        }
    };
    Some(format!("{layer}.{}", torch_quantity(quantity)))
}

fn torch_quantity(quantity: &str) -> &'static str {
    match quantity {
        "kernel" | "norm.gamma" => "weight",
        "bias" | "norm.beta" => "bias",
        "norm.mean" => "running_mean",
        "norm.variance" => "running_var",
        other => panic!("{other}"),
    }
}

fn torch(network: &Network, name: fn(&str) -> Option<String>, classifier: &str) -> Vec<Named> {
    let mut tensors: Vec<Named> = network
        .parameters()
        .into_iter()
        .filter_map(|parameter| {
            let name = name(&parameter.name())?;
            Some(Named { name, shape: parameter.shape, values: parameter.values })
        })
        .collect();
    let classes = 5;
    let channels =
        network.parameters().iter().find(|p| p.name() == "top.norm.beta").unwrap().shape[0];
    tensors.push(Named {
        name: format!("{classifier}.weight"),
        shape: vec![classes, channels],
        values: vec![0.5; classes * channels],
    });
    tensors.push(Named {
        name: format!("{classifier}.bias"),
        shape: vec![classes],
        values: vec![0.1; classes],
    });
    tensors
}

pub(crate) fn timm(network: &Network) -> Vec<Named> {
    torch(network, timm_name, "classifier")
}

pub(crate) fn torchvision(network: &Network) -> Vec<Named> {
    torch(network, torchvision_name, "classifier.1")
}

/// Every kind of file that holds tensors, of the same network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Keras2Notop,
    Keras2Full,
    Keras3Full,
    TimmSafetensors,
    TimmPth,
    TorchvisionSafetensors,
    TorchvisionPth,
}

pub(crate) const KINDS: [Kind; 7] = [
    Kind::Keras2Notop,
    Kind::Keras2Full,
    Kind::Keras3Full,
    Kind::TimmSafetensors,
    Kind::TimmPth,
    Kind::TorchvisionSafetensors,
    Kind::TorchvisionPth,
];

impl Kind {
    pub(crate) fn has_head(self) -> bool {
        matches!(self, Self::Keras2Full | Self::Keras3Full)
    }

    pub(crate) fn tensors(self, network: &Network) -> Vec<Named> {
        let mean = [0.485, 0.456, 0.406];
        let deviation = [0.229, 0.224, 0.225];
        let keras = |path: KerasPath| {
            let mut tensors = keras(network, path, self.has_head());
            tensors.extend(keras_normalisation(path, mean, deviation));
            tensors
        };
        match self {
            Self::Keras2Notop => keras(keras2_notop),
            Self::Keras2Full => keras(keras2_full),
            Self::Keras3Full => keras(keras3_full),
            Self::TimmSafetensors | Self::TimmPth => timm(network),
            Self::TorchvisionSafetensors | Self::TorchvisionPth => torchvision(network),
        }
    }

    /// Writes `tensors` in `folder`.
    pub(crate) fn write(self, folder: &Path, tensors: &[Named]) -> PathBuf {
        let path = folder.join(format!("{self:?}{}", self.extension()));
        match self {
            Self::Keras2Notop => write_h5(&path, tensors, None),
            Self::Keras2Full | Self::Keras3Full => write_h5(&path, tensors, Some(IMAGENET_CONFIG)),
            Self::TimmSafetensors | Self::TorchvisionSafetensors => {
                write_safetensors(&path, tensors, &[("format", "pt")]);
            }
            Self::TimmPth | Self::TorchvisionPth => write_pth(&path, tensors),
        }
        path
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Keras2Notop | Self::Keras2Full | Self::Keras3Full => ".h5",
            Self::TimmSafetensors | Self::TorchvisionSafetensors => ".safetensors",
            Self::TimmPth | Self::TorchvisionPth => ".pth",
        }
    }
}

/// What matters of the configuration that Keras writes for `weights="imagenet"`.
pub(crate) const IMAGENET_CONFIG: &str = r#"{"class_name": "Sequential", "config": {"layers": [
  {"class_name": "Functional", "config": {"name": "efficientnetb3", "layers": [
    {"class_name": "Rescaling", "config": {"name": "rescaling", "scale": 0.00392156862745098, "offset": 0.0}},
    {"class_name": "Normalization", "config": {"name": "normalization", "mean": null, "variance": null}},
    {"class_name": "Rescaling", "config": {"name": "rescaling_1",
      "scale": [2.0896918976428642, 2.1128856368212916, 2.1081851067789197], "offset": 0.0}},
    {"class_name": "BatchNormalization", "config": {"name": "stem_bn", "epsilon": 0.001}}]}},
  {"class_name": "Dense", "config": {"name": "dense", "units": 256}}]}}"#;
