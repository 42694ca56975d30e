//! Rows of rules, and what is told of those that an answer breaks.

use std::fmt::{Display, Write};

use harness::Answer;

use crate::expected::{self, Expected};
use crate::server::Registry;
use crate::wire::Request;

/// So many rows that differ tell enough.
const SHOWN: usize = 25;

/// Rules of one section of the protocol. When it goes out of scope, it fails the test if any of
/// its rows differed.
pub(crate) struct Table<'a> {
    registry: &'a Registry,
    section: &'static str,
    rows: usize,
    differences: Vec<String>,
}

// === impl Table ===

impl<'a> Table<'a> {
    pub(crate) const fn new(registry: &'a Registry, section: &'static str) -> Self {
        Self {
            registry,
            section,
            rows: 0,
            differences: Vec::new(),
        }
    }

    /// One rule: this request gets this answer.
    pub(crate) async fn row(
        &mut self,
        rule: impl Display,
        request: Request,
        expected: Expected,
    ) -> Answer {
        let answer = self.registry.ask(&request).await;
        self.rows += 1;
        let mut found = expected::universal(&request, &answer);
        found.extend(expected.differences(&answer));
        if !found.is_empty() {
            let found = found.join("\n      ");
            self.differences
                .push(format!("{rule}\n      {request}\n      {found}"));
        }
        answer
    }

    /// One rule about answers that were given before.
    pub(crate) fn must<T: PartialEq + std::fmt::Debug>(
        &mut self,
        rule: impl Display,
        found: T,
        expected: T,
    ) {
        self.rows += 1;
        if found != expected {
            self.differences
                .push(format!("{rule}\n      {found:?} instead of {expected:?}"));
        }
    }

    /// What differed so far, forgotten by the table.
    fn take(&mut self) -> Option<String> {
        if self.differences.is_empty() {
            return None;
        }
        let (differing, rows) = (self.differences.len(), self.rows);
        let mut text = format!("{differing} of {rows} rows differ: {}", self.section);
        for difference in self.differences.drain(..).take(SHOWN) {
            write!(text, "\n    - {difference}").unwrap();
        }
        if differing > SHOWN {
            write!(text, "\n    - and {} more", differing - SHOWN).unwrap();
        }
        Some(text)
    }
}

impl Drop for Table<'_> {
    fn drop(&mut self) {
        #[expect(clippy::print_stderr, reason = "the log of a test")]
        {
            eprintln!("{} rows of {}", self.rows, self.section);
            match self.take() {
                Some(told) if std::thread::panicking() => eprintln!("{told}"),
                Some(told) => panic!("{told}"),
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expected::{is, refused};
    use crate::wire::{get, head};

    /// A row that cannot fail proves nothing: each part of an expectation is broken once here.
    #[tokio::test]
    async fn a_row_that_differs_is_told_with_its_rule_its_section_and_the_difference() {
        let registry = Registry::start().await;
        let mut table = registry.table("the section");
        let unknown = format!("/v2/{}/tags/list", registry.repository("nowhere"));
        for (request, expected, told) in [
            (get("/v2/"), is(204), "status 200 instead of 204"),
            (get("/v2/"), is(200).body("{ }"), "body of 2 bytes"),
            (get("/v2/"), is(200).json(serde_json::json!([])), "body {}"),
            (
                get("/v2/"),
                is(200).header("Content-Type", "text/html"),
                "Content-Type is \"application/json\" instead of \"text/html\"",
            ),
            (
                get("/v2/"),
                is(200).header("Link", "<x>"),
                "Link is absent instead of \"<x>\"",
            ),
            (
                get("/v2/"),
                is(200).without("Content-Type"),
                "Content-Type is \"application/json\" instead of absent",
            ),
            (
                get("/v2/"),
                is(200).holds("Content-Type", "a number", |value| {
                    value.parse::<u64>().is_ok()
                }),
                "Content-Type is \"application/json\" instead of a number",
            ),
            (
                get(unknown.clone()),
                refused(404, "BLOB_UNKNOWN"),
                "code \"NAME_UNKNOWN\" instead of \"BLOB_UNKNOWN\"",
            ),
            (head(unknown), is(200), "status 404 instead of 200"),
        ] {
            table.row("the rule", request, expected).await;
            let text = table.take().unwrap_or_default();
            for part in ["1 of ", "the section", "the rule", " /v2/", told] {
                assert!(text.contains(part), "{part:?} is not in {text:?}");
            }
        }
        table.must("the rule", 1, 2);
        let text = table.take().unwrap_or_default();
        assert!(text.contains("1 instead of 2"), "{text:?}");
        table.row("the rule", get("/v2/"), is(200).body("{}")).await;
        assert_eq!(table.take(), None);
    }

    #[tokio::test]
    #[should_panic(expected = "1 of 1 rows differ: the section")]
    async fn a_table_with_a_difference_fails_its_test() {
        let registry = Registry::start().await;
        let mut table = registry.table("the section");
        table.row("the rule", get("/v2/"), is(201)).await;
    }
}
