#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod attributes;
mod envelope;
mod id;
mod mark;
mod registry;
mod trace;
pub mod webhook;

pub use attributes::{Attributes, Setting, Target};
pub use envelope::{Envelope, Event, Leaf, Notice};
pub use id::{EventId, ParseEventIdError, SHARDS, shard_of};
pub use mark::Mark;
pub use registry::{ParseRegistryIdError, RegistryId};
pub use trace::{ParseTraceContextError, TraceContext};
