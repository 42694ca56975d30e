//! Reads the report that the suite writes.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use roxmltree::{Document, Node};

#[derive(Debug)]
pub(super) struct Report {
    cases: Vec<Case>,
}

#[derive(Debug)]
struct Case {
    name: String,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Skipped,
    Failed,
    Error,
}

impl Report {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("the suite wrote no report: {}", path.display()))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self> {
        let document = Document::parse(text).context("the report is no XML")?;
        let cases = document
            .descendants()
            .filter(|node| node.has_tag_name("testcase"))
            .map(|case| Case {
                name: case.attribute("name").unwrap_or_default().to_owned(),
                outcome: outcome(case),
            });
        Ok(Self {
            cases: cases.collect(),
        })
    }

    /// Fails, with their names, when there is one that did not pass, or none that did.
    pub(super) fn verdict(&self) -> Result<()> {
        let failed: Vec<&str> = self
            .cases
            .iter()
            .filter(|case| matches!(case.outcome, Outcome::Failed | Outcome::Error))
            .map(|case| &*case.name)
            .collect();
        ensure!(failed.is_empty(), "did not pass:\n{}", failed.join("\n"));
        ensure!(self.count(Outcome::Passed) > 0, "nothing ran");
        Ok(())
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.cases
            .iter()
            .filter(|case| case.outcome == outcome)
            .count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped = self
            .cases
            .iter()
            .filter(|case| case.outcome == Outcome::Skipped);
        for case in skipped {
            writeln!(f, "skipped: {}", case.name)?;
        }
        write!(
            f,
            "conformance suite says: passed {}, failed {}, errors {}, skipped {}",
            self.count(Outcome::Passed),
            self.count(Outcome::Failed),
            self.count(Outcome::Error),
            self.count(Outcome::Skipped),
        )
    }
}

/// Tells by the elements below a case, which the format fixes; its attributes are each writer's own.
fn outcome(case: Node<'_, '_>) -> Outcome {
    let has = |tag: &str| case.children().any(|child| child.has_tag_name(tag));
    let status = case.attribute("status").unwrap_or("passed");
    match () {
        () if has("error") => Outcome::Error,
        () if has("failure") => Outcome::Failed,
        () if has("skipped") => Outcome::Skipped,
        () if status == "passed" => Outcome::Passed,
        () if status == "skipped" => Outcome::Skipped,
        () => Outcome::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(cases: &str) -> Report {
        Report::parse(&format!(
            "<testsuites><testsuite>{cases}</testsuite></testsuites>"
        ))
        .unwrap()
    }

    const PASSED: &str = r#"<testcase name="Pull a" status="passed"/>"#;

    #[test]
    fn passed_and_skipped_pass() {
        let report = report(&format!(
            r#"{PASSED}<testcase name="Push b" status="skipped"><skipped/></testcase>"#
        ));
        report.verdict().unwrap();
        assert_eq!(
            report.to_string(),
            "skipped: Push b\nconformance suite says: passed 1, failed 0, errors 0, skipped 1"
        );
    }

    #[test]
    fn what_did_not_pass_is_named() {
        for case in [
            r#"<testcase name="b" status="failed"><failure/></testcase>"#,
            r#"<testcase name="b"><failure/></testcase>"#,
            r#"<testcase name="b"><error/></testcase>"#,
            r#"<testcase name="b" status="panicked"/>"#,
        ] {
            let error = report(&format!("{PASSED}{case}")).verdict().unwrap_err();
            assert_eq!(error.to_string(), "did not pass:\nb");
        }
    }

    #[test]
    fn nothing_is_no_pass() {
        report("").verdict().unwrap_err();
        Report::parse("no xml").unwrap_err();
    }
}
