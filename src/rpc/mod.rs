//! The gRPC face. The only room that names `tonic::Status`.

pub mod proto;
