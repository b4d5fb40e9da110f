//! The network: its parts against their references, and what leaves for the daemon.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod export;
mod init;
mod kernels;
#[cfg(any(feature = "cuda", feature = "vulkan"))]
mod kernels_gpu;
mod memorise;
mod network;
mod optim;
mod quantize;
