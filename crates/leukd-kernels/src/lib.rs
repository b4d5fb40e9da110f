//! An EfficientNet's arithmetic for one picture at a time: f32, one thread, no allocation between
//! its first and its last stage once a thread's memory has grown.
//!
//! This crate is the one place where `unsafe` is allowed: each block of it says why it is sound.
//! The kernels know nothing of tract or ONNX: [`Chain`] takes plain numbers and gives plain
//! numbers. Each kernel is written once over `lanes::Lanes` and compiled for every instruction set;
//! the processor's is looked up when a network is compiled ([`Isa`]).
//!
//! Activations lie in blocks of channels ([`memory::Shape`]), so that nothing is packed between two
//! products; bias, SiLU and residual are applied while a product's results are in registers; an
//! expanded panel goes straight into the padded planes of the depthwise convolution that follows
//! it.
#![allow(unsafe_code)]

mod activation;
mod block;
mod chain;
mod depthwise;
mod isa;
mod lanes;
mod memory;
mod panels;
mod pointwise;
mod pool;
mod product;
mod squeeze;
mod stem;
#[cfg(test)]
mod tests;
mod transposed;
pub mod upper;

pub use block::{BlockParts, Weights};
pub use chain::{Chain, StageParts};
pub use depthwise::Window;
pub use isa::Isa;
pub use memory::Shape;
pub use pool::Pool;
pub use stem::StemParts;
pub use transposed::Transposed;
