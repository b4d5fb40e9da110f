//! A network → a file → another network of the same shape: the same outputs.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use leukd_cell::synthetic::{self, Kind as Cell};
use leukd_model::bundle;
use leukd_model::manifest::{Calibration, Precision};
use leukd_train::dataset::Split;
use leukd_train::evaluate::Prediction;
use leukd_train::export::{Facts, Naming, golden, graph, manifest, rounded};
use leukd_train::fit::State;
use leukd_train::init::{self, Format, InitError};
use leukd_train::network::{Network, Regularisation};
use leukd_train::recipe::{Kept, Recipe, Setting};
use toml::Value;

use crate::init::files::{KINDS, Kind, NARROW, difference, network, pixels};

/// What another program's network computes through ours: torchvision's ε stands in the variances.
fn as_ours(kind: Kind, source: &Network) -> Network {
    let torchvision = matches!(kind, Kind::TorchvisionSafetensors | Kind::TorchvisionPth);
    source.clone().with_parameters(|parameter| {
        let norm = parameter.name().ends_with("norm.variance") && !parameter.layer.in_head();
        let moved = || parameter.values.iter().map(|value| value + 1e-5 - 1e-3).collect();
        (torchvision && norm).then(moved)
    })
}

#[test]
fn every_kind_of_file_brings_the_function_that_it_was_written_for() {
    let folder = tempfile::tempdir().unwrap();
    let source = network(1);
    for kind in KINDS {
        let path = kind.write(folder.path(), &kind.tensors(&source));
        let other = network(2);
        assert!(difference(&source, &other, true) > 0.1, "two networks of other weights differ");
        let (started, comparison) = init::start(other.clone(), &path).unwrap_or_else(|error| {
            panic!("{kind:?}: {error}");
        });
        let most = difference(&as_ours(kind, &source), &started, kind.has_head());
        assert!(most <= 2e-4, "{kind:?}: {most}");
        assert!(comparison.fits() && comparison.missing.is_empty(), "{kind:?}");
        let head = usize::from(kind.has_head()) * 8;
        let backbone = source.parameters().len() - 8;
        assert_eq!(comparison.applied.len(), backbone + head, "{kind:?}");
        assert_eq!(comparison.at_random.len(), 8 - head, "{kind:?}");
        // What the file has no head for stays as it was.
        let heads = |network: &Network| -> Vec<_> {
            network.parameters().into_iter().filter(|one| one.layer.in_head()).collect()
        };
        assert_eq!(heads(&started) == heads(&other), !kind.has_head(), "{kind:?}");
    }
}

#[test]
fn what_is_left_out_is_named_with_its_shape_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let source = network(1);
    let left_out = |kind: Kind| -> BTreeMap<String, (Vec<usize>, &'static str)> {
        let path = kind.write(folder.path(), &kind.tensors(&source));
        let (_, comparison) = init::start(network(2), &path).unwrap();
        comparison.left_out.into_iter().map(|one| (one.name, (one.shape, one.why))).collect()
    };
    let timm = left_out(Kind::TimmSafetensors);
    assert_eq!(timm["classifier.bias"], (vec![5], "the classifier is ours"));
    assert_eq!(timm["bn1.num_batches_tracked"].0, Vec::<usize>::new());
    let torchvision = left_out(Kind::TorchvisionPth);
    assert_eq!(torchvision.len(), 2, "a .pth that this test writes has no counters");
    assert_eq!(torchvision["classifier.1.weight"].1, "the classifier is ours");
    let keras = left_out(Kind::Keras2Full);
    assert_eq!(keras.len(), 3);
    assert_eq!(keras["efficientnetb3/normalization/mean:0"].0, vec![3]);
}

#[test]
fn weights_come_onto_an_autodiff_device_ready_to_train() {
    let folder = tempfile::tempdir().unwrap();
    let path = Kind::TimmPth.write(folder.path(), &Kind::TimmPth.tensors(&network(1)));
    let device = Device::flex().autodiff();
    let fresh = Network::new(&NARROW, &Regularisation::default(), &device);
    let (started, _) = init::start(fresh, &path).unwrap();
    assert!(difference(&network(1), &started.valid(), false) <= 2e-4);
    let parameters = started.parameters();
    let trainable = parameters.iter().filter(|parameter| {
        !matches!(
            parameter.quantity,
            leukd_train::network::Quantity::Mean | leukd_train::network::Quantity::Variance
        )
    });
    let pixels = burn::tensor::Tensor::from_data(pixels(48).into_data(), &device);
    let grads = started.forward(pixels).powi_scalar(2).mean().backward();
    let grads = burn::optim::GradientsParams::from_grads(grads, &started);
    assert_eq!(grads.len(), trainable.count());
}

#[test]
fn a_state_dict_inside_a_training_checkpoint_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let source = network(1);
    let mut tensors = Kind::TimmPth.tensors(&source);
    for tensor in &mut tensors {
        tensor.name = format!("state_dict.module.{}", tensor.name);
    }
    let moments = crate::init::files::Named {
        name: "optimizer.state.0.exp_avg".to_owned(),
        shape: vec![2],
        values: vec![0.0; 2],
    };
    tensors.push(moments);
    let path = folder.path().join("checkpoint.pth");
    crate::init::files::write_pth(&path, &tensors);
    let (started, comparison) = init::start(network(2), &path).unwrap();
    assert!(difference(&source, &started, false) <= 2e-4);
    let optimizer =
        comparison.left_out.iter().find(|one| one.name == "optimizer.state.0.exp_avg").unwrap();
    assert_eq!(optimizer.why, "not part of the network's state dict");
}

fn recipe() -> Recipe {
    let settings = [
        ("network.width", Value::from(NARROW.width)),
        ("network.depth", Value::from(NARROW.depth)),
        ("network.hidden", Value::from(NARROW.hidden as i64)),
        ("input.size", Value::from(48)),
    ];
    let settings = settings.map(|(key, value)| Setting::flag("test", key, value));
    Recipe::read("modern", &settings).unwrap()
}

fn state() -> State {
    State::new(recipe(), &Split::of(vec![], vec![], vec![]))
}

pub(crate) fn write_bundle(network: &Network, precision: Precision, path: &Path) {
    let network = rounded(network.clone(), precision);
    let predictions: Vec<_> = (0..4_u8)
        .map(|index| Prediction {
            name: index.to_string(),
            area: 0,
            logits: [f64::from(index) - 1.5, 0.0],
            label: usize::from(index % 2 == 1),
            subject: index.to_string(),
        })
        .collect();
    let facts = Facts {
        naming: Naming { id: "test", data: "synthetic cells" },
        state: &state(),
        kept: Kept::Last,
        trained_at: "2026-01-01T00:00:00Z".to_owned(),
        precision,
        calibration: Calibration { temperature: 1.0, threshold: 0.5, review: (0.4, 0.6) },
        predictions: &predictions,
    };
    let picture = synthetic::cell(7, Cell::Blast);
    let golden =
        golden(&network, &recipe().preprocessing(), "seed 7".to_owned(), &picture).unwrap();
    let bytes =
        bundle::write(graph(&network, 48, precision), &manifest(&facts, vec![golden])).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_bundle_brings_what_its_precision_kept_of_the_weights() {
    let folder = tempfile::tempdir().unwrap();
    let source = network(1);
    for precision in [Precision::F32, Precision::F16, Precision::Int8] {
        let path = folder.path().join(format!("{precision:?}.onnx"));
        write_bundle(&source, precision, &path);
        let (started, comparison) = init::start(network(2), &path).unwrap();
        assert_eq!(comparison.format, Format::Bundle);
        assert_eq!(comparison.applied.len(), source.parameters().len());
        assert!(comparison.folded.is_empty(), "{:?}", comparison.folded);
        let kept = rounded(source.clone(), precision).parameters();
        assert_eq!(started.parameters(), kept, "{precision:?}: number for number");
    }
}

#[test]
fn a_run_brings_its_weights_from_its_folder_and_from_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let (last, best) = (network(1), network(3));
    let checkpoint = folder.path().join("checkpoint");
    std::fs::create_dir(&checkpoint).unwrap();
    last.clone().save_file(checkpoint.join("model.bpk")).unwrap();
    best.clone().save_file(folder.path().join("best-0001.bpk")).unwrap();
    std::fs::write(checkpoint.join("run.toml"), toml::to_string(&state()).unwrap()).unwrap();
    for (path, expected) in
        [(folder.path().to_owned(), last), (folder.path().join("best-0001.bpk"), best)]
    {
        let (started, comparison) = init::start(network(2), &path).unwrap();
        assert_eq!(comparison.format, Format::Run);
        assert_eq!(started.parameters(), expected.parameters());
    }
}

#[test]
fn a_run_of_another_width_is_refused_with_both_shapes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last.bpk");
    network(1).save_file(&path).unwrap();
    let wider = leukd_train::network::Architecture { hidden: 24, ..NARROW };
    let wider = Network::new(&wider, &Regularisation::default(), &Device::flex());
    let error = init::start(wider, &path).unwrap_err();
    assert!(matches!(error, InitError::Misfit(_)));
    let text = error.to_string();
    for part in ["head.hidden.weight", "our head.hidden.bias [24]", "16]", "Nothing was applied"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

/// h5py writes HDF5's oldest forms, as Keras does; hdf5-pure's own writer the newest.
#[test]
fn a_file_that_h5py_wrote_is_read_as_well() {
    let python = std::env::var("LEUKD_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let run = |arguments: &[&std::ffi::OsStr]| {
        std::process::Command::new(&python).arg("-c").args(arguments).output()
    };
    if !run(&["import h5py".as_ref()]).is_ok_and(|output| output.status.success()) {
        let missing = format!("{python} with h5py is not here");
        assert!(std::env::var("LEUKD_REQUIRE_PYTHON").as_deref() != Ok("1"), "{missing}");
        println!("skipped: {missing}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = network(1);
    let copy = "import h5py, sys\n\
        new = h5py.File(sys.argv[2], 'w')\n\
        old = h5py.File(sys.argv[1], 'r')\n\
        for name in old: old.copy(name, new)\n\
        def again(name, item):\n\
        \x20   for key, value in item.attrs.items():\n\
        \x20       del new[name].attrs[key]\n\
        \x20       new[name].attrs[key] = [text.encode() if isinstance(text, str) else text for text in value]\n\
        old.visititems(again)\n\
        for key, value in old.attrs.items(): new.attrs[key] = value\n";
    for kind in [Kind::Keras2Notop, Kind::Keras3Full] {
        let ours = kind.write(folder.path(), &kind.tensors(&source));
        let theirs = folder.path().join("h5py.h5");
        let output = run(&[copy.as_ref(), ours.as_os_str(), theirs.as_os_str()]).unwrap();
        let says = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{says}");
        // Superblock version 0, where ours has 2 or 3.
        assert_eq!(std::fs::read(&theirs).unwrap()[8], 0);
        let (started, comparison) = init::start(network(2), &theirs).unwrap();
        assert!(difference(&source, &started, kind.has_head()) <= 2e-4, "{kind:?}");
        assert!(comparison.folded.is_empty(), "{kind:?}: {:?}", comparison.folded);
    }
}
