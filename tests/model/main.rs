//! A picture's way to a probability: preprocessing, engines, bundles and what lets them in.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/bounded.rs"]
mod bounded;

mod bench;
mod bundle;
mod diff;
mod discriminant;
mod field_decisions;
mod fused;
mod gate;
mod pool;
mod sign;
