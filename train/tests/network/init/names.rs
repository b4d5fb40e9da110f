//! Names and shapes of the real files, spelled out.

use burn::tensor::Device;
use leukd_train::init::{Format, plan};
use leukd_train::network::{Architecture, Network, Regularisation};

fn b3(format: Format, ours: &str) -> (Option<String>, Vec<usize>) {
    let network = Network::new(&Architecture::B3, &Regularisation::default(), &Device::flex());
    let planned = plan(&network, format).into_iter().find(|planned| planned.ours == ours).unwrap();
    (planned.theirs, planned.their_shape)
}

#[test]
fn b3_asks_for_the_names_and_shapes_that_keras_timm_and_torchvision_give() {
    use Format::{Bundle, Keras, Run, Timm, Torchvision};
    let spelled: [(Format, &str, &str, &[usize]); 26] = [
        (Keras, "stem.kernel", "stem_conv/kernel", &[3, 3, 3, 40]),
        (Keras, "stem.norm.variance", "stem_bn/moving_variance", &[40]),
        (Keras, "block0.depthwise.kernel", "block1a_dwconv/kernel", &[3, 3, 40, 1]),
        (Keras, "block1.project.norm.gamma", "block1b_project_bn/gamma", &[24]),
        (Keras, "block2.expand.kernel", "block2a_expand_conv/kernel", &[1, 1, 24, 144]),
        (Keras, "block4.squeeze.reduce.bias", "block2c_se_reduce/bias", &[8]),
        (Keras, "block25.squeeze.expand.kernel", "block7b_se_expand/kernel", &[1, 1, 96, 2304]),
        (Keras, "block25.depthwise.norm.mean", "block7b_bn/moving_mean", &[2304]),
        (Keras, "top.kernel", "top_conv/kernel", &[1, 1, 384, 1536]),
        (Keras, "head.hidden.kernel", "head_hidden/kernel", &[1536, 256]),
        (Timm, "stem.kernel", "conv_stem.weight", &[40, 3, 3, 3]),
        (Timm, "block0.depthwise.kernel", "blocks.0.0.conv_dw.weight", &[40, 1, 3, 3]),
        (Timm, "block0.project.norm.beta", "blocks.0.0.bn2.bias", &[24]),
        (Timm, "block1.squeeze.reduce.kernel", "blocks.0.1.se.conv_reduce.weight", &[6, 24, 1, 1]),
        (Timm, "block2.expand.kernel", "blocks.1.0.conv_pw.weight", &[144, 24, 1, 1]),
        (Timm, "block25.project.norm.variance", "blocks.6.1.bn3.running_var", &[384]),
        (Timm, "top.norm.gamma", "bn2.weight", &[1536]),
        (Torchvision, "stem.norm.mean", "features.0.1.running_mean", &[40]),
        (Torchvision, "block0.squeeze.expand.bias", "features.1.0.block.1.fc2.bias", &[40]),
        (Torchvision, "block0.project.kernel", "features.1.0.block.2.0.weight", &[24, 40, 1, 1]),
        (Torchvision, "block2.depthwise.kernel", "features.2.0.block.1.0.weight", &[144, 1, 3, 3]),
        (Torchvision, "block25.project.norm.gamma", "features.7.1.block.3.1.weight", &[384]),
        (Torchvision, "top.kernel", "features.8.0.weight", &[1536, 384, 1, 1]),
        (Bundle, "logits.kernel", "logits.kernel", &[2, 256]),
        (Run, "block2.expand.kernel", "backbone.blocks.2.expand.kernel", &[144, 24]),
        (Run, "head.hidden.kernel", "head.hidden.weight", &[1536, 256]),
    ];
    for (format, ours, theirs, shape) in spelled {
        assert_eq!(b3(format, ours), (Some(theirs.to_owned()), shape.to_vec()), "{format} {ours}");
    }
    assert_eq!(b3(Timm, "logits.bias").0, None, "timm has no head of our kind");
}

#[test]
fn every_parameter_has_a_name_and_a_place_of_its_own_in_every_format() {
    let network = Network::new(&Architecture::B3, &Regularisation::default(), &Device::flex());
    let count = |network: &Network, format| {
        let planned = plan(network, format);
        let names: std::collections::BTreeSet<_> =
            planned.iter().filter_map(|planned| planned.theirs.clone()).collect();
        let ours: std::collections::BTreeSet<_> =
            planned.iter().map(|planned| planned.ours.clone()).collect();
        assert_eq!(ours.len(), planned.len());
        assert_eq!(names.len(), planned.iter().filter(|planned| planned.theirs.is_some()).count());
        (names.len(), planned.len())
    };
    // timm's file has 494 tensors of the backbone: 574 with 78 counters and the classifier's two.
    for format in [Format::Timm, Format::Torchvision] {
        assert_eq!(count(&network, format), (494, 502));
    }
    for format in [Format::Keras, Format::Bundle, Format::Run] {
        assert_eq!(count(&network, format), (502, 502));
    }
}
