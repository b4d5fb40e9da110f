//! leukd watches a microscope's export folder, classifies each segmented white blood cell and
//! streams the results over gRPC.
//!
//! For Research Use Only. Not for use in diagnostic procedures.
//!
//! ARCHITECTURE.md draws the rooms below and says which may use which.

pub mod access;
pub mod cli;
pub mod condition;
pub mod config;
pub mod daemon;
pub mod drift;
pub mod grpc;
pub mod measure;
pub mod metrics;
pub mod page;
pub mod pipeline;
pub mod service;
pub mod specimen;
pub mod systemd;
pub mod telemetry;

pub use leukd_cell as cell;
pub use leukd_ingest as ingest;
pub use leukd_journal as journal;
pub use leukd_journal::{clock, fraction, result, review, score, signature, summary};
pub use leukd_model as model;
