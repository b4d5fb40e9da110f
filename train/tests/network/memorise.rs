//! A narrow network learns a handful of pictures by heart.

use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};
use leukd_cell::preprocess::Preprocessing;
use leukd_cell::synthetic::{self, Kind};
use leukd_train::fit::pixels;
use leukd_train::network::{Architecture, Network, Regularisation};

#[test]
fn a_narrow_network_memorises_sixteen_cells() {
    let device = Device::flex().autodiff();
    device.seed(4);
    let architecture = Architecture { width: 0.35, depth: 0.35, hidden: 32, classes: 2 };
    let regularisation = Regularisation {
        norm_momentum: 0.1,
        dropout: 0.0,
        drop_connect: 0.0,
        ..Regularisation::default()
    };
    let mut network = Network::new(&architecture, &regularisation, &device);
    let preprocessing = Preprocessing { size: 64, window: Some(320), ..Preprocessing::b3() };
    // Labels that no rule explains, so that only memory helps.
    let labels: Vec<usize> = (0..16).map(|index| usize::from(index % 3 == 0)).collect();
    let pictures: Vec<Vec<u8>> = (0..16)
        .map(|seed| {
            let kind = if seed % 2 == 0 { Kind::Blast } else { Kind::Normal };
            preprocessing.square(&synthetic::cell(seed, kind)).unwrap().into_raw()
        })
        .collect();
    let views: Vec<&[u8]> = pictures.iter().map(Vec::as_slice).collect();
    let targets: Vec<f32> =
        labels.iter().flat_map(|label| if *label == 0 { [1.0, 0.0] } else { [0.0, 1.0] }).collect();
    let targets = Tensor::<2>::from_data(TensorData::new(targets, [16, 2]), &device);
    let mut optimizer = AdamWConfig::new().init();
    for _ in 0..60 {
        let logits = network.forward(pixels(&views, &preprocessing, &device));
        let loss = (log_softmax(logits, 1) * targets.clone()).sum().neg().div_scalar(16.0);
        let grads = GradientsParams::from_grads(loss.backward(), &network);
        network = optimizer.step(3e-3, network, grads);
    }
    let logits =
        network.valid().forward(pixels(&views, &preprocessing, &Device::flex())).into_data();
    let logits: Vec<f32> = logits.iter::<f32>().collect();
    for (logits, label) in logits.chunks(2).zip(labels) {
        assert_eq!(usize::from(logits[1] > logits[0]), label);
    }
}
