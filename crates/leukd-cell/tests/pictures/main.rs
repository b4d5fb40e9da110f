//! Bytes → completeness → pixels → measures → tensor.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod allocations;
mod kinds;
mod promises;
