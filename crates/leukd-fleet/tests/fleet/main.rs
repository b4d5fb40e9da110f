//! The journal in a real PostgreSQL. Tests skip, saying so, where it is not installed.

mod access;
mod fencing;
mod figures;
mod fixtures;
mod forward;
mod oracle;
mod proxy;
mod recovery;
