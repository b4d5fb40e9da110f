//! The gRPC face: it encodes the service for clients, and holds no rule of its own. The only room
//! that names `tonic::Status`.

mod calls;
mod classifier;
mod control;
pub mod convert;
mod deadline;
mod drift;
mod explainer;
mod guard;
mod meter;
mod methods;
mod opening;
mod oversize;
mod page;
pub mod proto;
mod results;
mod reviews;
mod server;
mod sign_off;
mod specimen;
mod status;
mod subscribe;
mod trace;
pub mod transport;

pub use calls::methods;
pub use opening::Opening;
pub use server::{Entrance, Health, ServeError, serve};
