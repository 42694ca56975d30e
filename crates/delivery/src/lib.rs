#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod breaker;
mod config;
mod dice;
mod dispatcher;
mod effect;
mod egress;
mod endpoint;
mod format;
#[cfg(feature = "testing")]
pub mod guard;
#[cfg(not(feature = "testing"))]
mod guard;
mod lane;
mod meaning;
mod outcome;
mod request;
mod retry_after;
mod schedule;
mod shard;
mod sign;
mod slots;
mod subscription;

pub use config::{Config, ConfigFault};
pub use dispatcher::{Dispatcher, Load};
pub use effect::{Attempt, Effect, LogPage, Offered, Recorded};
pub use egress::{Blocked, Egress, EgressConfig};
pub use meaning::messages;
pub use outcome::Outcome;
pub use request::{Content, Request, Sender, request};
pub use retry_after::RetryAfter;
pub use sign::{ParseSigningSecretError, SigningSecret, SigningSecrets};
pub use subscription::Subscription;
