//! Figures for Prometheus: `GET /metrics` on a listener of its own.
//!
//! Nothing is kept here. A scrape asks each room for what it counts or knows anyway, and writes it
//! down. No label's values come from clients, file names or patients' data: folders are those of
//! the configuration, all others are words of the program.

mod names;
mod page;
mod sample;
mod server;

pub use names::{Definition, Kind, METRICS};
pub use page::{OPEN_METRICS, PROMETHEUS};
pub use server::{serve, serve_page};
