//! `meridian dev` as its user meets it: the command line, the data directory, the ends.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod collection;
mod endings;
mod faults;
mod sessions;
