//! What the operator asks of a running registry.

use std::fmt::Display;

use http::Method;
use serde::Serialize;

use crate::cli::{self, Target};
use crate::config::default_data_dir;
use crate::exit::Exit;
use crate::management::{CheckReport, Client, Freed, Status, WouldFree};
use crate::process::admin_socket;
use crate::stdout;

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

/// `meridian check`
pub(crate) async fn check(options: cli::Check) -> Result<(), Exit> {
    let client = client(&options.target)?;
    let report: CheckReport = client.call(Method::POST, "/v1/checks").await?;
    // The verdict counts even if nobody reads the report.
    let printed = print(&options.target, &report);
    match report.passed {
        true => printed,
        false => Err(Exit::unsuccessful("the region has not passed its check")),
    }
}

/// Whoever speaks for the process that is meant.
pub(crate) fn client(target: &Target) -> Result<Client, Exit> {
    if let (Some(server), None) = (&target.server, &target.data_dir) {
        let files = (target.token_file.as_deref(), target.ca_file.as_deref());
        let client = Client::remote(server, files.0, files.1);
        return client.map_err(|error| Exit::misconfigured(meridian_error::chain(&error)));
    }
    let root = match &target.data_dir {
        Some(root) => root.clone(),
        None => default_data_dir()?,
    };
    Ok(Client::local(&admin_socket(&root)))
}

pub(crate) fn print<T: Serialize + Display>(target: &Target, answer: &T) -> Result<(), Exit> {
    if target.json {
        let json = serde_json::to_string_pretty(answer).map_err(|error| Exit::failed(&error))?;
        stdout::line(json)
    } else {
        stdout::line(answer)
    }
}
