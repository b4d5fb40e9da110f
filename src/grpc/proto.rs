//! The contract as generated from `proto/leukd/v1/`.
#![allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)]

tonic::include_proto!("leukd.v1");

/// The serialized `FileDescriptorSet` of the contract and what it imports, for reflection and JSON.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/leukd.v1.bin"));
