//! Trains the models that leukd serves.

pub mod network;
