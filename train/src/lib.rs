//! Trains the models that leukd serves.

pub mod kernels;
pub mod network;
