//! Bytes → completeness → pixels → measures → tensor.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod allocations;
mod bmp_kinds;
mod drawn;
mod jpeg_kinds;
mod kinds;
mod png_kinds;
mod promises;
mod tiff_kinds;
