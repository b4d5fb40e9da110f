//! Bytes → pixels → quality → input tensor. Pure functions, shared with the trainer.

pub mod name;
pub mod preprocess;
