//! Whether every sentence that the chart refuses values with is tried.
//!
//! The sentences stand in `_validate.tpl`, a line each; a test names the longest part of one that no value
//! fills in. That the test passes is for the unit tests to say.

use anyhow::{Result, ensure};

use super::{Ground, read};

const FILE: &str = "templates/_validate.tpl";
const TESTS: &str = "tests/refusals_test.yaml";

pub(super) fn check(ground: &Ground) -> Result<()> {
    let template = read(&ground.chart().join(FILE))?;
    let tests = unescaped(&read(&ground.chart().join(TESTS))?);
    let sentences: Vec<_> = sentences(&template).collect();
    ensure!(sentences.len() > 40, "{FILE} has lost its sentences");
    let untried: Vec<_> = sentences
        .iter()
        .filter(|sentence| !tests.contains(landmark(sentence)))
        .collect();
    ensure!(untried.is_empty(), "{TESTS} does not try {untried:#?}");
    Ok(())
}

/// Lines that are neither actions nor a comment.
fn sentences(template: &str) -> impl Iterator<Item = &str> {
    let mut is_comment = false;
    template.lines().filter(move |line| {
        is_comment |= line.starts_with("{{/*");
        let is_sentence = !is_comment && !line.starts_with("{{-") && !line.trim().is_empty();
        is_comment &= !line.contains("*/}}");
        is_sentence
    })
}

/// The longest part between actions.
fn landmark(sentence: &str) -> &str {
    let parts = sentence.split("{{").map(|part| {
        let behind = part.split_once("}}").map(|(_, behind)| behind);
        behind.unwrap_or(part).trim()
    });
    parts.max_by_key(|part| part.len()).unwrap_or(sentence)
}

/// As the patterns of the tests have it, without what makes them patterns.
fn unescaped(tests: &str) -> String {
    tests.replace("''", "'").replace('\\', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_what_is_neither_action_nor_comment() {
        let template = "{{/*\nabout\n*/}}\n{{- if .a }}\na is b: no.\n{{- end }}\n{{ .x }}.y is short: longer.\n";
        let found: Vec<_> = sentences(template).map(landmark).collect();
        assert_eq!(found, ["a is b: no.", ".y is short: longer."]);
    }
}
