//! The web page for haematologists and technicians: screens over the service, on a listener of its
//! own. The only room that names HTML.
//!
//! The browser gets one shell and a few modules, and asks for JSON. The shell says nothing about
//! any patient, so that it needs no session: a cookie of `SameSite=Strict` does not come along when
//! somebody follows a link from a mail.
//!
//! | file | what |
//! |---|---|
//! | `server.rs` | connections: bounds, time limits, the end |
//! | `routes.rs` | the one table of paths with their scopes |
//! | `guard.rs` | every call passes it: host, origin, caller, scope |
//! | `sessions.rs` | a token that was pasted once → a cookie |
//! | `headers.rs` | what every answer carries; who may ask at all |
//! | `assets.rs`, `assets/` | the shell, modules and style, inside the binary |
//! | `read.rs`, `write.rs`, `pictures.rs` | what is asked for, changed and looked at |
//! | `csv.rs` | a specimen's cells as a file |
//! | `plots/` | what a model was measured at, as SVG |
//! | `live.rs` | events as they are stored |
//! | `encode.rs` | domain words → JSON |
//! | `problem.rs` | errors → JSON that the page can show |

mod assets;
mod body;
mod csv;
mod encode;
mod guard;
mod headers;
mod live;
mod pictures;
mod plots;
mod problem;
mod query;
mod read;
mod routes;
mod score;
mod server;
mod sessions;
mod shared;
mod sign_off;
mod timed;
mod write;

pub use server::{Page, serve};
