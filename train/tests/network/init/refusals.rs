//! What is refused, and what the message says.

use std::path::Path;

use leukd_train::init::{self, InitError};

use crate::init::files::{KINDS, Kind, Named, network, zip};

fn refused(path: &Path) -> String {
    let before = network(2);
    let Err(error) = init::start(before, path) else {
        panic!("{} was not refused", path.display());
    };
    let text = error.to_string();
    assert!(text.contains(&path.display().to_string()), "the file is named: {text}");
    text
}

fn all(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} in: {text}");
    }
}

/// The file's own name of the first tensor that ends so.
fn find(tensors: &[Named], end: &str) -> usize {
    tensors.iter().position(|tensor| tensor.name.ends_with(end)).unwrap()
}

/// How each kind ends the name of the third block's expansion.
fn expansion(kind: Kind) -> &'static str {
    match kind {
        Kind::Keras2Notop | Kind::Keras2Full => "block3a_expand_conv/kernel:0",
        Kind::Keras3Full => "block3a_expand_conv/kernel",
        Kind::TimmSafetensors | Kind::TimmPth => "blocks.2.0.conv_pw.weight",
        Kind::TorchvisionSafetensors | Kind::TorchvisionPth => "features.3.0.block.0.0.weight",
    }
}

#[test]
fn a_missing_tensor_is_refused_by_name_and_shape() {
    let folder = tempfile::tempdir().unwrap();
    for kind in KINDS {
        let mut tensors = kind.tensors(&network(1));
        tensors.remove(find(&tensors, expansion(kind)));
        let path = kind.write(folder.path(), &tensors);
        let text = refused(&path);
        let theirs = expansion(kind).trim_end_matches(":0");
        all(
            &text,
            &["1 missing in the file", theirs, "block2.expand.kernel", "Nothing was applied"],
        );
    }
}

#[test]
fn a_wrong_shape_is_refused_with_both_names_and_shapes() {
    let folder = tempfile::tempdir().unwrap();
    for kind in KINDS {
        let mut tensors = kind.tensors(&network(1));
        let place = find(&tensors, expansion(kind));
        // As many numbers in another shape: a transposed kernel must not pass.
        tensors[place].shape.reverse();
        let (theirs, shape) = (tensors[place].name.clone(), format!("{:?}", tensors[place].shape));
        let path = kind.write(folder.path(), &tensors);
        let theirs = theirs.trim_start_matches("model_weights/");
        all(&refused(&path), &["1 that cannot be taken", theirs, &shape, "block2.expand.kernel"]);
    }
}

#[test]
fn an_unexpected_tensor_is_refused_by_name_and_shape() {
    let folder = tempfile::tempdir().unwrap();
    for kind in KINDS {
        let mut tensors = kind.tensors(&network(1));
        let place = find(&tensors, expansion(kind));
        let name =
            tensors[place].name.replace("block3a", "block3d").replace("2.0.conv", "2.3.conv");
        let name = name.replace("features.3.0", "features.3.3");
        assert_ne!(name, tensors[place].name);
        tensors.push(Named { name: name.clone(), shape: vec![2, 3], values: vec![0.5; 6] });
        let path = kind.write(folder.path(), &tensors);
        let name = name.trim_start_matches("model_weights/");
        all(&refused(&path), &["1 that no layer of ours takes", name, "[2, 3]"]);
    }
}

#[test]
fn a_head_of_another_kind_or_in_part_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for kind in [Kind::Keras2Full, Kind::Keras3Full] {
        // One dense layer straight after the backbone.
        let mut tensors = kind.tensors(&network(1));
        tensors.retain(|one| !one.name.contains("batch_norm") && !one.name.contains("dense_1"));
        let text = refused(&kind.write(folder.path(), &tensors));
        all(&text, &["2 that no layer of ours takes", "dense/"]);
        // The head without one of its biases.
        let mut tensors = kind.tensors(&network(1));
        tensors.retain(|one| !(one.name.contains("dense_1/") && one.name.contains("bias")));
        let text = refused(&kind.write(folder.path(), &tensors));
        all(&text, &["1 missing in the file", "logits.bias [2]"]);
    }
}

#[test]
fn numbers_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let kind = Kind::TimmSafetensors;
    for (end, value, says) in
        [("bn2.bias", f32::NAN, "NaN"), ("bn1.running_var", -0.5, "no variance is negative")]
    {
        let mut tensors = kind.tensors(&network(1));
        let place = find(&tensors, end);
        tensors[place].values[3] = value;
        let text = refused(&kind.write(folder.path(), &tensors));
        all(&text, &["1 that cannot be taken", end, "number 3 is", says]);
    }
}

#[test]
fn a_truncated_file_is_refused_wherever_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    for kind in KINDS {
        let whole = std::fs::read(kind.write(folder.path(), &kind.tensors(&network(1)))).unwrap();
        for thousandths in [20, 500, 999] {
            let path = folder.path().join("cut");
            let keep = whole.len() * thousandths / 1000;
            std::fs::write(&path, &whole[..keep]).unwrap();
            let text = refused(&path);
            assert!(text.contains("cannot be read") && text.contains("again"), "{kind:?}: {text}");
        }
    }
}

#[test]
fn a_damaged_byte_in_a_pytorch_file_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let kind = Kind::TimmPth;
    let path = kind.write(folder.path(), &kind.tensors(&network(1)));
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    std::fs::write(&path, bytes).unwrap();
    all(&refused(&path), &["a PyTorch file that cannot be read"]);
}

#[test]
fn what_is_no_weights_file_is_told_for_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let archive = zip(&[("model.weights.h5".to_owned(), vec![1, 2, 3])]);
    let cases: [(&str, &[u8], &str); 7] = [
        ("page.h5", b"<!DOCTYPE html><html><body>404</body></html>", "a web page"),
        ("empty.h5", b"", "the file is empty"),
        ("notes.pth", b"the weights are on the other disk\n", "plain text"),
        ("pointer.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("model.keras", &archive, "model.save(\"model.h5\")"),
        ("noise.onnx", &[0xff, 0xfe, 0, 1, 2], "no known kind of weights file"),
        ("model.onnx", &[8, 7, 0xff, 0xff], "an ONNX file that cannot be read"),
    ];
    for (name, bytes, says) in cases {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        all(&refused(&path), &[says]);
    }
    all(&refused(folder.path()), &["a folder without a run's checkpoint"]);
    all(&refused(&folder.path().join("nowhere.h5")), &["cannot be read"]);
}

#[test]
fn a_good_file_of_another_network_is_refused_with_some_of_its_names() {
    let folder = tempfile::tempdir().unwrap();
    let tensors = || {
        vec![Named {
            name: "layer1/conv/kernel:0".to_owned(),
            shape: vec![2],
            values: vec![0.5; 2],
        }]
    };
    let path = Kind::Keras2Notop.write(folder.path(), &tensors());
    all(&refused(&path), &["without the layer stem_conv", "layer1/conv/kernel:0"]);
    for kind in [Kind::TimmSafetensors, Kind::TimmPth] {
        let path = kind.write(folder.path(), &tensors());
        all(&refused(&path), &["conv_stem.weight", "features.0.0.weight", "layer1/conv/kernel:0"]);
    }
    let numbered = vec![Named {
        name: "layers/conv2d/vars/0".to_owned(),
        shape: vec![2],
        values: vec![0.5; 2],
    }];
    let path = Kind::Keras2Notop.write(folder.path(), &numbered);
    all(&refused(&path), &[".weights.h5", "model.save(\"model.h5\")"]);
}

#[test]
fn two_networks_in_one_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let kind = Kind::TimmPth;
    let mut tensors = Vec::new();
    for prefix in ["state_dict.", "state_dict_ema."] {
        tensors.extend(
            kind.tensors(&network(1))
                .into_iter()
                .map(|one| Named { name: format!("{prefix}{}", one.name), ..one }),
        );
    }
    let text = refused(&kind.write(folder.path(), &tensors));
    all(&text, &["several networks", "state_dict., state_dict_ema."]);
}

#[test]
fn a_refused_file_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let kind = Kind::TimmSafetensors;
    let mut tensors = kind.tensors(&network(1));
    tensors.remove(0);
    let path = kind.write(folder.path(), &tensors);
    // The stem is what a reader finds the names by; without another tensor it is found.
    let read = init::read(&path);
    assert!(matches!(read, Err(InitError::Layout { .. })), "the stem is missing");
    let mut tensors = kind.tensors(&network(1));
    tensors.remove(1);
    let read = init::read(&kind.write(folder.path(), &tensors)).unwrap();
    let network = network(2);
    let comparison = init::compare(&network, &read);
    assert!(!comparison.fits());
    assert_eq!(comparison.missing.len(), 1);
    assert!(matches!(init::apply(network, &read), Err(InitError::Misfit(_))));
}
