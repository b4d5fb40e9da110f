//! What the other network does otherwise is in the weights afterwards.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use leukd_train::init;
use leukd_train::network::{MEAN, Network, STD};

use crate::init::files::{
    self, IMAGENET_CONFIG, KerasPath, Kind, keras, keras_normalisation, keras2_full, keras2_notop,
    network, numbers, pixels, write_h5, write_safetensors,
};

/// Pixels that ours sees as another network sees `pixels`, which normalises with `mean` and
/// `deviation`.
fn seen_otherwise(pixels: &Tensor<4>, mean: [f32; 3], deviation: [f32; 3]) -> Tensor<4> {
    let channel =
        |values: [f32; 3]| Tensor::<1>::from_floats(values, &Device::flex()).reshape([1, 3, 1, 1]);
    let seen = (pixels.clone() / 255.0 - channel(mean)) / channel(deviation);
    (seen * channel(STD) + channel(MEAN)) * 255.0
}

/// Whether `started` says of pixels what `source` says of them as the other network saw them.
fn same(source: &Network, started: &Network, mean: [f32; 3], deviation: [f32; 3]) -> f32 {
    let expected = numbers(source.features(seen_otherwise(&pixels(48), mean, deviation)));
    let found = numbers(started.features(pixels(48)));
    expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn keras_file(
    folder: &Path,
    source: &Network,
    path: KerasPath,
    variance: [f32; 3],
    config: Option<&str>,
) -> (Network, init::Comparison) {
    let mut tensors = keras(source, path, false);
    tensors.extend(keras_normalisation(path, MEAN, variance));
    let file = folder.join("model.h5");
    write_h5(&file, &tensors, config);
    init::start(network(2), &file).unwrap()
}

#[test]
fn keras_second_rescaling_counts_where_the_file_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let source = network(1);
    let plain = IMAGENET_CONFIG.replace(
        r#"{"class_name": "Rescaling", "config": {"name": "rescaling_1""#,
        r#"{"class_name": "Other", "config": {"name": "rescaling_1""#,
    );
    assert_ne!(plain, IMAGENET_CONFIG);
    let roots = STD.map(f32::sqrt);
    let squares = STD.map(|std| std * std);
    let ones = [1.0; 3];
    // Path, variance in the file, configuration; then the deviation that the network divided by.
    let cases = [
        (keras2_full as KerasPath, STD, Some(IMAGENET_CONFIG), STD),
        (keras2_full, STD, Some(&plain), roots),
        (keras2_full, squares, Some(&plain), STD),
        (keras2_notop, STD, None, STD),
        (keras2_notop, squares, None, STD),
        (keras2_notop, ones, None, ones),
    ];
    for (index, (path, variance, config, deviation)) in cases.into_iter().enumerate() {
        let (started, comparison) = keras_file(folder.path(), &source, path, variance, config);
        let most = same(&source, &started, MEAN, deviation);
        assert!(most <= 3e-4, "case {index}: {most}");
        assert_eq!(comparison.folded.is_empty(), deviation == STD, "case {index}");
        assert_eq!(comparison.notes.is_empty(), config.is_some(), "an assumption is said");
        if deviation != STD {
            let unfolded = same(&source, &started, MEAN, STD);
            assert!(unfolded > 1e-2, "case {index} can fail: {unfolded}");
        }
    }
}

#[test]
fn a_rescaling_or_epsilon_that_nobody_knows_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let source = network(1);
    let mut tensors = keras(&source, keras2_full, false);
    tensors.extend(keras_normalisation(keras2_full, MEAN, STD));
    let file = folder.path().join("model.h5");
    for (from, to, says) in [
        (r#""scale": 0.00392156862745098"#, r#""scale": 0.5"#, "a Rescaling of scale 0.5"),
        (
            r#"{"class_name": "Dense""#,
            r#"{"class_name": "BatchNormalization", "config": {"epsilon": 0.5}}, {"class_name": "Dense""#,
            "several ε",
        ),
        ("{", "", "model_config is no JSON"),
    ] {
        let config = IMAGENET_CONFIG.replacen(from, to, 1);
        assert_ne!(config, IMAGENET_CONFIG);
        write_h5(&file, &tensors, Some(&config));
        let text = init::start(network(2), &file).unwrap_err().to_string();
        assert!(text.contains(says), "{says}: {text}");
    }
}

#[test]
fn pixels_normalised_otherwise_are_folded_where_metadata_or_config_say_so() {
    let source = network(1);
    let tensors = files::timm(&source);
    let other = [0.5, 0.4, 0.6];
    let mean = format!("{MEAN:?}");
    let std = format!("{other:?}");
    // In the file's own metadata.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    write_safetensors(&file, &tensors, &[("mean", &mean), ("std", &std)]);
    let (started, comparison) = init::start(network(2), &file).unwrap();
    assert!(same(&source, &started, MEAN, other) <= 3e-4);
    assert_eq!(comparison.folded.len(), 1);
    // In timm's config.json beside it, but only where that is a B3's.
    for (architecture, folds) in [("tf_efficientnet_b3", true), ("resnet50", false)] {
        write_safetensors(&file, &tensors, &[]);
        let config = format!(
            r#"{{"architecture": "{architecture}", "pretrained_cfg": {{"mean": {mean}, "std": {std}}}}}"#
        );
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        let (started, _) = init::start(network(2), &file).unwrap();
        let deviation = if folds { other } else { STD };
        assert!(same(&source, &started, MEAN, deviation) <= 3e-4, "{architecture}");
    }
}

#[test]
fn another_mean_is_exact_inside_the_border() {
    let source = network(1);
    let (mean, deviation) = ([0.5, 0.3, 0.7], [0.5, 0.25, 0.4]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    let texts = [format!("{mean:?}"), format!("{deviation:?}")];
    let metadata = [("mean", texts[0].as_str()), ("std", texts[1].as_str())];
    write_safetensors(&file, &files::timm(&source), &metadata);
    let (started, comparison) = init::start(network(2), &file).unwrap();
    assert!(comparison.folded.iter().any(|line| line.contains("the last row and column differ")));
    // One window of the stem, with its norm, by hand.
    let window: Vec<f32> = (0..27_u8).map(|place| f32::from(place) * 9.0 + 3.0).collect();
    let stem = |network: &Network, mean: [f32; 3], deviation: [f32; 3]| -> Vec<f32> {
        let parameters = network.parameters();
        let of = |name: &str| {
            parameters
                .iter()
                .find(|one| one.name() == format!("stem.{name}"))
                .unwrap()
                .values
                .clone()
        };
        let (kernel, gamma, beta) = (of("kernel"), of("norm.gamma"), of("norm.beta"));
        let (centre, variance) = (of("norm.mean"), of("norm.variance"));
        (0..gamma.len())
            .map(|o| {
                let sum: f32 = (0..27)
                    .map(|place| {
                        let channel = place / 9;
                        let seen = (window[place] / 255.0 - mean[channel]) / deviation[channel];
                        kernel[o * 27 + place] * seen
                    })
                    .sum();
                (sum - centre[o]) / (variance[o] + 1e-3).sqrt() * gamma[o] + beta[o]
            })
            .collect()
    };
    let theirs = stem(&source, mean, deviation);
    let ours = stem(&started, MEAN, STD);
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert!((theirs - ours).abs() <= 1e-5, "{theirs} {ours}");
    }
}

#[test]
fn timms_two_networks_of_the_same_names_are_told_apart() {
    let source = network(1);
    let folder = tempfile::tempdir().unwrap();
    // File name, metadata; then whether it is the one with PyTorch's ε and padding.
    let cases = [
        ("tf_efficientnet_b3_aa-84b4657e.safetensors", None, false),
        ("efficientnet_b3_ra2-cf984f9c.safetensors", None, true),
        ("model.safetensors", None, false),
        ("model.safetensors", Some(("architecture", "efficientnet_b3")), true),
    ];
    for (name, metadata, even) in cases {
        let file = folder.path().join(name);
        write_safetensors(&file, &Kind::TimmSafetensors.tensors(&source), metadata.as_slice());
        let (started, comparison) = init::start(network(2), &file).unwrap();
        let padding = comparison.notes.iter().any(|note| note.contains("31 pixels"));
        assert_eq!(padding, even, "{name} {metadata:?}");
        let kept = started.parameters() == source.parameters();
        let gamma = |network: &Network| {
            network.parameters().into_iter().find(|one| one.name() == "top.norm.gamma").unwrap()
        };
        assert!(!kept, "the head is not the file's");
        assert_eq!(gamma(&started) == gamma(&source), !even, "{name} {metadata:?}");
    }
}

#[test]
fn a_small_variance_keeps_its_function_under_the_other_epsilon() {
    // σ² far below 1e-3: no change of σ² alone could do it.
    let source = network(1).with_parameters(|parameter| {
        parameter.name().ends_with("norm.variance").then(|| vec![1e-4; parameter.values.len()])
    });
    let folder = tempfile::tempdir().unwrap();
    let kind = Kind::TorchvisionSafetensors;
    let (started, _) =
        init::start(network(2), &kind.write(folder.path(), &kind.tensors(&source))).unwrap();
    for (ours, theirs) in started.parameters().iter().zip(source.parameters()) {
        if ours.name().ends_with("norm.gamma") && !ours.layer.in_head() {
            for (ours, theirs) in ours.values.iter().zip(&theirs.values) {
                let at = |gamma: f32, epsilon: f32| gamma / (1e-4_f32 + epsilon).sqrt();
                assert!((at(*ours, 1e-3) / at(*theirs, 1e-5) - 1.0).abs() < 1e-5);
            }
        }
    }
}
