//! Whether values and schema have the same keys, and templates use them.
//!
//! A key that the schema takes and no template reads is the worst of all: it is set, and nothing happens.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Ground, files, read, yaml};

pub(super) fn check(ground: &Ground) -> Result<()> {
    let chart = ground.chart();
    let values = yaml(&chart.join("values.yaml"))?;
    let schema: Value = serde_json::from_str(&read(&chart.join("values.schema.json"))?)?;
    ensure!(
        schema["additionalProperties"] == false,
        "the root of the schema is open"
    );
    let mut faults = Vec::new();
    compare("", &values, &schema, &mut faults);
    let mut templates = String::new();
    for file in files(&chart.join("templates"), "tpl")?
        .into_iter()
        .chain(files(&chart.join("templates"), "yaml")?)
        .chain(files(&chart.join("templates/tests"), "yaml")?)
    {
        templates += &read(&file).with_context(|| file.display().to_string())?;
    }
    let words: BTreeSet<_> = templates
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .collect();
    unused("", &values, &words, &mut faults);
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

fn compare(path: &str, values: &Value, schema: &Value, faults: &mut Vec<String>) {
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    let Some(values) = values.as_object() else {
        return;
    };
    let is_closed = schema["additionalProperties"] == false;
    for (key, value) in values {
        let path = format!("{path}{key}");
        match properties.get(key) {
            Some(property) => {
                let described = property["description"].as_str();
                if described.is_none_or(str::is_empty) {
                    faults.push(format!("{path} is not described in the schema"));
                }
                compare(&format!("{path}."), value, property, faults);
            }
            None if is_closed => faults.push(format!("{path} is not in the schema")),
            None => {}
        }
    }
    // Probes may be left to those of all roles.
    let of_probes = path.ends_with("probes.");
    for key in properties.keys() {
        if !values.contains_key(key) && !of_probes {
            faults.push(format!(
                "{path}{key} is in the schema and not in values.yaml"
            ));
        }
    }
}

fn unused(path: &str, values: &Value, words: &BTreeSet<&str>, faults: &mut Vec<String>) {
    // What is passed on as it is.
    let open = [
        "probes",
        "resources",
        "podSecurityContext",
        "containerSecurityContext",
    ];
    for (key, value) in values.as_object().into_iter().flatten() {
        let path = format!("{path}{key}");
        if !words.contains(key.as_str()) && !path.starts_with("monitoring.dashboards.labels.") {
            faults.push(format!("{path} is used by no template"));
        }
        if !open.contains(&key.as_str())
            && !path.ends_with("issuerRef")
            && !path.ends_with(".labels")
        {
            unused(&format!("{path}."), value, words, faults);
        }
    }
}
