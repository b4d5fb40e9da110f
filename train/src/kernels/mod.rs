//! The backbone's operations, forward and backward: loops of our own on the CPU, kernels of our own
//! on graphics cards, burn's operations where neither applies (bfloat16).
//!
//! burn's own convolution computes a depthwise kernel's gradient with one call a channel, and its
//! elementwise operations each cross the activations once. These cross them as seldom as the
//! mathematics allows, on the processor's widest vectors where arithmetic is what they wait for.
//! `train/PERFORMANCE.md` tells what that gives.
//!
//! Activations are `[channels, height, width, batch]`: every loop runs over the batch without
//! borders, and a 1×1 convolution is one matrix product.

mod arithmetic;
#[cfg(any(feature = "cuda", feature = "vulkan"))]
mod cube;
mod differentiable;
mod geometry;
mod ops;
pub mod portable;
mod processor;
mod updates;

pub use geometry::Geometry;
pub use ops::{Dense, depthwise, excite, gate, moments, normalise, patches, pool, product};
pub use updates::{AdamwStep, adamw, blend, running};
