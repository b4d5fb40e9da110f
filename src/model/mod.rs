//! What classifies: bundle, engine, workers.

pub mod manifest;
