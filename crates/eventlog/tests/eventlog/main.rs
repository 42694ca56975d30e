//! Tests of the bodies from outside: the suite for each, and for the disk body crashes, damage,
//! retention and the golden bytes of its format.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod conformance;
mod crash;
mod damage;
mod folder;
mod golden;
mod retention;
mod windows;
