//! Starting weights: another program's file, or our own, into a
//! [`Network`](crate::network::Network).
//!
//! | format | file | what it brings |
//! |---|---|---|
//! | Keras | `.h5` by `save_weights` or `model.save`, Keras 2 or 3 | backbone; the seed's head where it has one |
//! | timm | `.safetensors`, `.pth`, `.pt` of `tf_efficientnet_b3` or `efficientnet_b3` | backbone |
//! | torchvision | the same of `efficientnet_b3` | backbone |
//! | bundle | `.onnx` that `leukd-train` wrote, f32, f16 or int8 | everything |
//! | run | a run's folder (its last epoch), or one `.bpk` of it | everything |
//!
//! A file is read by its content, not by its name. [`read`] gives named tensors, [`plan()`] says
//! which of them each of our parameters takes and how it is laid out, [`compare`] holds the two
//! against each other, [`apply`] does it or refuses: a backbone is applied whole or not at all, and
//! a tensor that nobody expects is an error, because the file then describes another network.
//!
//! # What differs between the programs
//!
//! - **Layout.** Keras keeps convolutions `[k, k, in, out]`, depthwise ones `[k, k, channels, 1]`
//!   and dense layers `[in, out]`; PyTorch and ONNX `[out, in / groups, k, k]` and `[out, in]`.
//! - **ε of batch normalisation.** Ours, Keras' and `tf_efficientnet_b3`'s is 1e-3; torchvision's
//!   B3 and timm's own `efficientnet_b3` have 1e-5. γ is multiplied by
//!   √((σ² + 1e-3) / (σ² + ε)): the same function, exactly, for every σ². (A change of σ² alone
//!   could not do it for σ² below 1e-3.)
//! - **Padding.** torchvision and timm's own `efficientnet_b3` pad evenly; ours is TensorFlow's
//!   "same". At an even input the five stride-2 windows of theirs begin 1, 2, 4, 8 and 16 pixels
//!   further up and left: their network is ours on a picture moved by 31 pixels right and down, up
//!   to the border. No change of weights mends that, so they are kept as they are and it is said.
//!   The border reaches far: with random weights, at 224 pixels, the features of a cell on black
//!   correlate 0.73 with ours, and 0.86 after the move (`tests/parity`). Fine-tune before use.
//! - **Pixels.** Ours are normalised with ImageNet's mean and deviation inside the network. Where a
//!   file says that its network saw other numbers, the difference goes into the stem: the
//!   deviation's into the kernel, exactly; the mean's into the norm's running mean, exactly but for
//!   the last row and column, where the window looks over the border.
//!
//! # Keras' second rescaling
//!
//! The files of `weights="imagenet"` hold the standard *deviation* in their normalisation layer's
//! `variance` (tensorflow/tensorflow issue 49930), so that the layer divides by √deviation. Since
//! then `keras/applications/efficientnet.py` adds, with those weights only, a second
//! `Rescaling([1 / √deviation])`; together they divide by the deviation, as ours does. So both the
//! file's own mean and variance and the presence of that layer count:
//!
//! | file | second rescaling |
//! |---|---|
//! | full model with a `Rescaling` of three factors in its configuration | those factors |
//! | full model without | none: it was trained so |
//! | weights alone, variance = ImageNet's deviation | assumed, as Keras does on loading them |
//! | weights alone, any other variance | none |

mod apply;
mod comparison;
mod error;
mod fold;
mod keras;
mod own;
mod plan;
mod read;
mod tensors;
mod torch;

pub use apply::{apply, compare, start};
pub use comparison::{Comparison, Match, Mismatch, Missing, NAMED_DIGITS, Unexpected};
pub use error::InitError;
pub use fold::Origin;
pub use plan::{Layout, Planned, plan};
pub use read::read;
pub use tensors::{Format, LeftOut, Stored, Tensors};
