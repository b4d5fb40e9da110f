//! Trains the models that leukd serves.

pub mod augment;
mod card;
pub mod compute;
pub mod dataset;
pub mod discriminant;
pub mod evaluate;
pub mod export;
pub mod fields;
pub mod files;
pub mod fit;
pub mod init;
pub mod kernels;
pub mod network;
pub mod optim;
pub mod pool;
pub mod quantize;
pub mod recipe;
pub mod report;
pub mod ship;
pub mod storage;
