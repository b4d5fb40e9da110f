//! What training minimises.

use burn::nn::Linear;
use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

use crate::network::Output;
use crate::recipe::Penalties;

/// Mean cross-entropy of the logits against `targets` `[batch, classes]`, and the hidden layer's
/// penalties: `kernel_l2 · Σw² + bias_l1 · Σ|b| + activity_l1 · Σ|a| / batch`, as Keras adds those
/// of a `Dense` with `kernel_regularizer`, `bias_regularizer` and `activity_regularizer`.
#[must_use]
pub fn loss(
    output: &Output,
    targets: Tensor<2>,
    hidden: &Linear,
    penalties: &Penalties,
) -> Tensor<1> {
    let batch = output.logits.dims()[0] as f64;
    let mut loss = (log_softmax(output.logits.clone(), 1) * targets).sum().neg().div_scalar(batch);
    if penalties.kernel_l2 > 0.0 {
        loss = loss + hidden.weight.val().square().sum().mul_scalar(penalties.kernel_l2);
    }
    if let Some(bias) = hidden.bias.as_ref().filter(|_| penalties.bias_l1 > 0.0) {
        loss = loss + bias.val().abs().sum().mul_scalar(penalties.bias_l1);
    }
    if penalties.activity_l1 > 0.0 {
        // After ReLU nothing is negative.
        loss = loss + output.hidden.clone().sum().mul_scalar(penalties.activity_l1 / batch);
    }
    loss
}
