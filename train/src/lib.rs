//! Trains the models that leukd serves.
