//! http
mod guard;
pub use guard::Violation;
