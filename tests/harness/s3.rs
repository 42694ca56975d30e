//! S3 for tests: a server, and a way to it on which things go wrong.

mod faithful;
mod proxy;
mod server;

pub use proxy::{Call, Fault, S3Proxy};
pub use server::{ACCESS_KEY, S3Server, SECRET_KEY};
