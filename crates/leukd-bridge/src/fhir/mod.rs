//! FHIR R4: a round as a transaction Bundle, and the server that takes it.

mod bundle;
mod server;

pub use bundle::{Systems, encode};
pub use server::{Credentials, CredentialsError, Server};
