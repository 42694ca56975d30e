//! The rows of the fault matrix, by the letter of their group, and for each a test.

mod arrival;
mod cache;
mod events;
mod group;
mod network;
mod processes;
mod regions;
mod store;
mod time;
mod topic;
mod webhooks;
