use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::log_softmax;
use burn::tensor::*;
use leukd::cell::preprocess::*;
use leukd_train::dataset::*;
use leukd_train::fit::*;
use leukd_train::network::*;
fn v(n: &str, d: f64) -> f64 {
    std::env::var(n).map_or(d, |x| x.parse().unwrap())
}
fn main() {
    let device = Device::flex().autodiff();
    device.seed(4);
    let p = Preprocessing { size: v("SIZE", 64.) as u32, window: Some(320), ..Preprocessing::b3() };
    let mut r = Recipe::b3(p.clone());
    r.augment = v("AUG", 0.) > 0.;
    r.dropout = v("DROP", 0.45);
    r.drop_connect = v("DC", 0.);
    r.batch = v("BATCH", 32.) as usize;
    r.architecture.width = v("W", 0.5);
    r.architecture.depth = v("D", 0.5);
    let split = Dataset::read(std::path::Path::new("/tmp/mini"), &p)
        .unwrap()
        .split(&["2".into(), "H22".into()])
        .unwrap();
    let mut net = r.network(&device);
    let h = v("HEAD", 1.0);
    if h < 1.0 {
        net.head.classes.weight = burn::nn::Initializer::XavierUniform { gain: h }.init_with(
            [256, 2],
            Some(256),
            Some(2),
            &device,
        );
    }
    let z = v("ZG", 1.0);
    for b in &mut net.backbone.blocks {
        if b.residual && z < 1.0 {
            let n = b.project.norm.gamma.dims()[0];
            b.project.norm.gamma = burn::nn::Initializer::Constant { value: z }.init([n], &device);
        }
    }
    let mut opt =
        AdamWConfig::new().with_epsilon(v("EPS", 1e-5) as f32).with_weight_decay(0.01).init();
    let lr = v("LR", 1e-3);
    for e in 0..v("E", 12.) as u32 {
        let mut l = vec![];
        for b in Epoch::new(&r, &split, e) {
            let (x, t) = b.tensors(&r, &device);
            let y = net.forward(x);
            let n = y.dims()[0] as f64;
            let loss = (log_softmax(y, 1) * t).sum().neg().div_scalar(n);
            l.push(loss.clone().into_scalar::<f32>());
            let lr = lr * ((e as f64 * 4.0 + l.len() as f64) / v("WARM", 1.0)).min(1.0);
            let g = GradientsParams::from_grads(loss.backward(), &net);
            net = opt.step(lr, net, g);
        }
        println!("{e} {:.3} {l:.3?}", l.iter().sum::<f32>() / l.len() as f32);
    }
}
