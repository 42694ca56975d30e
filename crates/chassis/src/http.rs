//! How a process here serves HTTP.
//!
//! Owns everything between a listening socket and the service that answers: the accept loop,
//! limits on connections and on time, TLS, the guard against requests that two parsers could read
//! differently, who is asking, and the drain. Keeps the invariants that no client can hold
//! anything of ours for longer than the limits say, and that a service sees only requests with
//! one meaning. Leaves paths, identities and answers to the service.
//!
//! ```text
//! server      accept ── admission ── one task per connection
//! connection    TLS ── first bytes ── http1 or http2, run by driver with the times of pulse
//! guarded         bytes ── guard: the scanner ── hyper
//! reception         request ── method, origin ── RequestBody ── the service
//! ```

mod address;
mod admission;
mod alarm;
mod body;
mod config;
mod connection;
mod driver;
mod exchange;
mod guard;
mod guarded;
mod http1;
mod http2;
mod listener;
mod origin;
mod plain;
mod pulse;
mod reception;
mod refusal;
mod security;
mod server;
mod streams;
mod transport;

pub use address::{ListenAddress, ParseListenAddressError};
pub use body::{BodyError, RequestBody};
pub use config::{BodyRate, Http2Config, HttpConfig};
pub use guard::Violation;
pub use listener::{BindError, Listener, Peer};
pub use origin::Origin;
pub use plain::{PlainHttpError, check_plain};
pub use server::HttpServer;

/// How an HTTP/2 connection begins (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
