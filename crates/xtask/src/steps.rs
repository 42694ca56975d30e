//! The steps of a long command: a heading each, and at the end what each took.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

#[derive(Default)]
pub(crate) struct Steps {
    taken: Vec<Step>,
}

struct Step {
    name: &'static str,
    took: Duration,
    passed: bool,
}

impl Steps {
    /// Takes a step. After one that fails, none should follow.
    pub(crate) fn take<T>(
        &mut self,
        name: &'static str,
        step: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        println!("\n=== {name}");
        let begun = Instant::now();
        let result = step();
        self.taken.push(Step {
            name,
            took: begun.elapsed(),
            passed: result.is_ok(),
        });
        result.context(name)
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<24}{:>9}", "step", "seconds")?;
        for step in &self.taken {
            let failed = if step.passed { "" } else { "  failed" };
            let seconds = step.took.as_secs_f64();
            writeln!(f, "{:<24}{seconds:>9.1}{failed}", step.name)?;
        }
        let total: Duration = self.taken.iter().map(|step| step.took).sum();
        write!(f, "{:<24}{:>9.1}", "total", total.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn the_table_shows_what_passed_and_what_did_not() {
        let mut steps = Steps::default();
        assert_eq!(steps.take("build", || Ok(7)).unwrap(), 7);
        let failed: Result<()> = steps.take("test", || bail!("no"));
        assert_eq!(format!("{:#}", failed.unwrap_err()), "test: no");
        let table = steps.to_string();
        let rows: Vec<Vec<&str>> = table
            .lines()
            .map(|row| row.split_whitespace().collect())
            .collect();
        assert_eq!(rows[0], ["step", "seconds"]);
        assert_eq!(rows[1], ["build", "0.0"]);
        assert_eq!(rows[2], ["test", "0.0", "failed"]);
        assert_eq!(rows[3], ["total", "0.0"]);
    }
}
