//! Whether alerts, runbooks and dashboards speak of what there is.
//!
//! An alert is a file of rules with its name, and has a runbook with its name; metrics are those that the
//! sources register. That a running region shows them is for another test.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, ensure};

use super::{files, read, yaml};

const SECTIONS: [&str; 4] = ["## Meaning", "## Impact", "## Diagnosis", "## Mitigation"];
const SEVERITIES: [&str; 3] = ["info", "warning", "critical"];

/// Labels that look like metrics.
const LABELS: [&str; 1] = ["meridian_region"];

/// What Prometheus puts behind a name.
const SUFFIXES: [&str; 5] = ["_bucket", "_count", "_sum", "_total", "_info"];

pub(super) fn check(root: &Path) -> Result<()> {
    let mut faults = Vec::new();
    let deploy = root.join("deploy");
    let alerts = files(&deploy.join("alerts"), "yaml")?;
    let mut spoken = String::new();
    let mut names = BTreeSet::from(["README".to_owned()]);
    for file in &alerts {
        let name = stem(file);
        let rules = &yaml(file)?["groups"][0]["rules"];
        let rule = &rules[0];
        if rules.as_array().map(Vec::len) != Some(1) || rule["alert"] != *name {
            faults.push(format!("{name} is not the one alert of its file"));
        }
        if !SEVERITIES.contains(&rule["labels"]["severity"].as_str().unwrap_or_default()) {
            faults.push(format!("{name} has no severity"));
        }
        for annotation in ["summary", "description"] {
            if rule["annotations"][annotation]
                .as_str()
                .is_none_or(str::is_empty)
            {
                faults.push(format!("{name} has no {annotation}"));
            }
        }
        if !deploy.join(format!("alerts/tests/{name}.yaml")).is_file() {
            faults.push(format!("{name} has no test"));
        }
        spoken += rule["expr"].as_str().unwrap_or_default();
        spoken.push('\n');
        names.insert(name);
    }
    for file in files(&deploy.join("runbooks"), "md")? {
        let (name, text) = (stem(&file), read(&file)?);
        if !names.remove(&name) {
            faults.push(format!("the runbook {name} is of no alert"));
        }
        if name != "README" && !SECTIONS.iter().all(|section| text.contains(section)) {
            faults.push(format!("the runbook {name} lacks one of {SECTIONS:?}"));
        }
    }
    faults.extend(names.iter().map(|name| format!("{name} has no runbook")));
    for file in files(&deploy.join("dashboards"), "json")? {
        let text = read(&file)?;
        serde_json::from_str::<serde_json::Value>(&text)?;
        spoken += &text;
    }
    let sources = sources(&root.join("crates"))?;
    let metrics = metrics(&spoken);
    ensure!(
        metrics.len() > 30,
        "hardly a metric is spoken of: {metrics:?}"
    );
    let strange = metrics
        .into_iter()
        .filter(|metric| !is_registered(metric, &sources));
    faults.extend(strange.map(|metric| format!("no source registers {metric}")));
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

fn stem(file: &Path) -> String {
    file.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The names of metrics in a text.
fn metrics(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    words
        .filter(|word| word.starts_with("meridian_") && !LABELS.contains(word))
        .collect()
}

/// Whether the sources have the name, without what is put before and behind it.
fn is_registered(metric: &str, sources: &str) -> bool {
    let name = metric.trim_start_matches("meridian_");
    // Of each role that speaks gRPC.
    let noun = name.split_once("_grpc_").map(|(_, noun)| noun);
    let name = noun.unwrap_or(name);
    let bare = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix));
    [Some(name), bare]
        .into_iter()
        .flatten()
        .any(|name| sources.contains(&format!("\"{name}\"")))
}

/// All sources of our crates, without those of tests.
fn sources(folder: &Path) -> Result<String> {
    let mut all = String::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir()
            && path
                .file_name()
                .is_some_and(|it| it != "tests" && it != "xtask")
        {
            all += &sources(&path)?;
        } else if path.extension().is_some_and(|it| it == "rs") {
            all += &read(&path)?;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_found_and_labels_are_not() {
        let text =
            "max by (meridian_region) (rate(meridian_a_total{x=\"meridian\"}[5m])) > meridian_b";
        assert_eq!(
            metrics(text),
            BTreeSet::from(["meridian_a_total", "meridian_b"])
        );
    }

    #[test]
    fn a_metric_is_registered_under_its_bare_name() {
        let sources = r#"read("a_seconds", help); ("b", help); &name("calls")"#;
        let registered = [
            "meridian_a_seconds_bucket",
            "meridian_b_total",
            "meridian_blob_grpc_calls_total",
        ];
        for metric in registered {
            assert!(is_registered(metric, sources), "{metric}");
        }
        assert!(!is_registered("meridian_c", sources));
    }
}
