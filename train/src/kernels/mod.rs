//! The backbone's operations, forward and backward: loops of our own on the CPU, burn's operations on
//! any other device.
//!
//! burn's own convolution computes a depthwise kernel's gradient with one call a channel, and its
//! elementwise operations each cross the activations once. These cross them as seldom as the
//! mathematics allows: a training step of B3 takes a quarter of the time.
//!
//! Activations are `[channels, height, width, batch]`: every loop runs over the batch without
//! borders, and a 1×1 convolution is one matrix product.

mod math;
mod ops;
pub mod portable;

pub use math::Geometry;
pub use ops::{depthwise, gate, moments, normalise, patches, pool};
