//! Trains the models that leukd serves.

pub mod augment;
pub mod dataset;
pub mod evaluate;
pub mod export;
pub mod fit;
pub mod init;
pub mod kernels;
pub mod network;
