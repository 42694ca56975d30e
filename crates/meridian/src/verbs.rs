//! What the operator asks of a running registry.

use std::fmt::Display;

use http::Method;
use serde::Serialize;

use crate::admin::{Client, Freed, Status, WouldFree};
use crate::cli::{self, Target};
use crate::config::default_data_dir;
use crate::exit::Exit;
use crate::process::admin_socket;

/// `meridian gc`
pub(crate) async fn gc(options: cli::Gc) -> Result<(), Exit> {
    let client = client(&options.target)?;
    if options.dry_run {
        let path = "/v1/collections?dry_run=true";
        let would: WouldFree = client.call(Method::POST, path).await?;
        return print(&options.target, &would);
    }
    let freed: Freed = client.call(Method::POST, "/v1/collections").await?;
    print(&options.target, &freed)
}

/// `meridian status`
pub(crate) async fn status(options: cli::Status) -> Result<(), Exit> {
    let client = client(&options.target)?;
    let status: Status = client.call(Method::GET, "/v1/status").await?;
    print(&options.target, &status)
}

pub(crate) fn client(target: &Target) -> Result<Client, Exit> {
    let root = match &target.data_dir {
        Some(root) => root.clone(),
        None => default_data_dir()?,
    };
    Ok(Client::new(&admin_socket(&root)))
}

pub(crate) fn print<T: Serialize + Display>(target: &Target, answer: &T) -> Result<(), Exit> {
    if target.json {
        let json = serde_json::to_string_pretty(answer).map_err(|error| Exit::failed(&error))?;
        println!("{json}");
    } else {
        println!("{answer}");
    }
    Ok(())
}
