//! The suite: every API, over a matrix of data, by the rules of the next specification.
//!
//! All is switched on except sparse manifests, whose children are absent: this registry refuses them,
//! so that what it serves is complete.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::junit::Report;
use crate::process::Program;

const LIMIT: Duration = Duration::from_mins(5);
/// The only part that may be switched off.
const SPARSE: &str = "Sparse Manifests";
const ON: &[&str] = &[
    "OCI_API_PING",
    "OCI_API_PULL",
    "OCI_API_PUSH",
    "OCI_API_REFERRER",
    "OCI_API_BLOBS_ATOMIC",
    "OCI_API_BLOBS_DELETE",
    "OCI_API_BLOBS_DIGEST_HEADER",
    "OCI_API_BLOBS_MOUNT_ANONYMOUS",
    "OCI_API_BLOBS_UPLOAD_CANCEL",
    "OCI_API_MANIFESTS_ATOMIC",
    "OCI_API_MANIFESTS_DELETE",
    "OCI_API_MANIFESTS_DIGEST_HEADER",
    "OCI_API_MANIFESTS_TAG_PARAM",
    "OCI_API_TAGS_ATOMIC",
    "OCI_API_TAGS_DELETE",
    "OCI_API_TAGS_LIST",
    "OCI_DATA_IMAGE",
    "OCI_DATA_INDEX",
    "OCI_DATA_INDEX_LIST",
    "OCI_DATA_ARTIFACT",
    "OCI_DATA_SUBJECT",
    "OCI_DATA_SUBJECT_MISSING",
    "OCI_DATA_ARTIFACT_LIST",
    "OCI_DATA_SUBJECT_LIST",
    "OCI_DATA_DATA_FIELD",
    "OCI_DATA_NONDISTRIBUTABLE",
    "OCI_DATA_CUSTOM_FIELDS",
    "OCI_DATA_NO_LAYERS",
    "OCI_DATA_EMPTY_BLOB",
    "OCI_DATA_SHA512",
];

pub(super) fn run(suite: Program, address: &str, reports: &Path) -> Result<()> {
    let said = ON
        .iter()
        .fold(suite, |suite, name| suite.env(name, "true"))
        .dir(reports)
        .env("OCI_DATA_SPARSE", "false")
        .env("OCI_VERSION", "dev")
        .env("OCI_REGISTRY", address)
        .env("OCI_TLS", "disabled")
        .env("OCI_REPO1", "conformance/one")
        .env("OCI_REPO2", "conformance/two")
        .env("OCI_RESULTS_DIR", reports)
        .limit(LIMIT)
        .said()?;
    println!("{}", said.stdout);
    let results = reports.join("results.yaml");
    let results = fs::read_to_string(&results)
        .with_context(|| format!("no result file: {}\n{}", results.display(), said.stderr))?;
    let report = Report::read(&reports.join("junit.xml"))?;
    println!("{report}");
    report.verdict()?;
    ensure!(
        said.status.success(),
        "it says {}\n{}",
        said.status,
        said.stderr
    );
    judge(&statuses(&results))
}

/// Every API and every kind of data has passed: what the suite skips, the registry has refused.
fn judge(statuses: &BTreeMap<&str, &str>) -> Result<()> {
    ensure!(
        statuses.values().any(|status| *status == "Pass"),
        "nothing has passed: {statuses:?}"
    );
    for (part, status) in statuses {
        let good = match *status {
            "Pass" => true,
            "Disabled" => *part == SPARSE,
            _ => false,
        };
        ensure!(good, "{part}: {status}");
    }
    Ok(())
}

/// The lines `  part: status` below `apis:` and `data:`.
fn statuses(results: &str) -> BTreeMap<&str, &str> {
    let mut within = false;
    let mut statuses = BTreeMap::new();
    for line in results.lines() {
        match line.strip_prefix("  ") {
            None => within = matches!(line.trim_end(), "apis:" | "data:"),
            Some(entry) if within => statuses.extend(entry.split_once(": ")),
            Some(_) => {}
        }
    }
    statuses
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULTS: &str = "\
config:
  apis:
    ping: true
  version: dev
apis:
  Ping: Pass
  Blob anonymous mount: Pass
data:
  Image: Pass
  Sparse Manifests: Disabled
";

    #[test]
    fn all_parts_count_and_settings_do_not() {
        let statuses = statuses(RESULTS);
        assert_eq!(statuses.len(), 4);
        assert_eq!(statuses["Blob anonymous mount"], "Pass");
        judge(&statuses).unwrap();
    }

    #[test]
    fn what_failed_or_was_switched_off_or_is_missing_does_not_pass() {
        for (from, to) in [
            ("Image: Pass", "Image: FAIL"),
            ("Image: Pass", "Image: Error"),
            ("Image: Pass", "Image: Disabled"),
            ("Image: Pass", "Image: Unknown"),
            ("mount: Pass", "mount: Skip"),
        ] {
            let results = RESULTS.replace(from, to);
            judge(&statuses(&results)).unwrap_err();
        }
        judge(&statuses("")).unwrap_err();
    }
}
