//! Each command's rules, by example. What must hold whatever happens is the histories'.

mod blob;
mod collect;
mod exposure;
mod held;
mod lock;
mod manifest;
mod meet;
mod notice;
mod outbox;
mod region;
mod remote;
mod repository;
mod request;
mod tag;
mod webhook;
