//! From sockets to connections that are known: listeners, TLS, and bounds on what is not even a
//! call yet.
//!
//! | bound | here |
//! |---|---|
//! | open connections, of all and of one address | `rpc.max_connections`, and three quarters of it |
//! | TLS handshakes under way, of all and of one address | 256, 32 |
//! | a handshake | 10 s |
//! | from the connection to the first 24 bytes of HTTP/2 | 10 s |

mod authority;
mod connection;
mod count;
mod incoming;
mod listen;
mod pem;
mod tls;

pub use connection::{Connection, Line};
pub(super) use connection::{MAX_CALLS, MAX_LONG_STREAMS};
pub use incoming::Incoming;
pub use listen::{ListenError, Listeners, UnixSocket};
pub use tls::{ServerKeys, TlsFiles};
