//! What is counted of other regions.

use meridian_chassis::metrics::{Grid, Metrics};
use meridian_clients::{ReadError, Stale};
use meridian_clock::Region;

/// Questions to other regions, and answers that depend on them.
pub(super) struct Counts {
    /// The labels, in the order of their places in the grid.
    regions: Vec<Region>,
    questions: Grid,
    answers: Grid,
}

/// What came of a question to other regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A region has it.
    Found,
    /// It is here now, all of it.
    Brought,
    /// It is nowhere, or some of it is.
    Absent,
    /// It was nowhere a moment ago, so nobody was asked.
    Remembered,
    /// Who may have it cannot be reached.
    Away,
    /// The question failed otherwise.
    Failed,
}

/// What was asked for that other regions change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Tag,
    List,
}

/// How it was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    /// From here, which is young enough.
    Fresh,
    /// After other regions were asked.
    Asked,
    /// From here, and that it may be old was said.
    Confessed,
    /// Not at all.
    Refused,
}

const OUTCOMES: [&str; 6] = ["found", "brought", "absent", "remembered", "away", "failed"];
const SUBJECTS: [&str; 2] = ["tag", "list"];
const ANSWERS: [&str; 4] = ["fresh", "asked", "confessed", "refused"];

// === impl Counts ===

impl Counts {
    pub(super) fn new(regions: impl Iterator<Item = Region>) -> Self {
        let regions: Vec<Region> = regions.collect();
        let names = regions.iter().map(|region| forever(region));
        // Whatever has no region, or one that is not in the settings, stands last.
        let labels: Vec<&'static str> = names.chain(["none"]).collect();
        Self {
            questions: Grid::new(["outcome", "region"], &OUTCOMES, Vec::leak(labels)),
            answers: Grid::new(["subject", "answer"], &SUBJECTS, &ANSWERS),
            regions,
        }
    }

    pub(super) fn register(&self, metrics: &Metrics) {
        let help = "Questions for what is not here, by what came of them and which region had it.";
        metrics.register("frontend_read_through", help, self.questions.family());
        let help = "Questions for what other regions change, by how they were answered.";
        metrics.register("frontend_freshness", help, self.answers.family());
    }

    pub(super) fn asked(&self, outcome: Outcome, region: Option<Region>) {
        let known = self.regions.iter().position(|it| Some(*it) == region);
        let column = known.unwrap_or(self.regions.len());
        self.questions.at(outcome as usize, column).inc();
    }

    pub(super) fn answered(&self, subject: Subject, answered: Answered) {
        self.answers.at(subject as usize, answered as usize).inc();
    }
}

/// Labels live as long as the process, and so do the few names of its regions.
fn forever(region: &Region) -> &'static str {
    String::leak(region.to_string())
}

// === impl Outcome ===

impl Outcome {
    pub(super) const fn of(error: Option<&ReadError>) -> Self {
        match error {
            // What must not be pulled was found.
            None | Some(ReadError::Locked) => Self::Found,
            Some(
                ReadError::RegistryUnknown
                | ReadError::RepositoryUnknown
                | ReadError::ManifestUnknown
                | ReadError::BlobUnknown,
            ) => Self::Absent,
            Some(ReadError::Unavailable { .. } | ReadError::DeadlineExceeded) => Self::Away,
            Some(ReadError::Internal { .. }) => Self::Failed,
        }
    }
}

// === impl Answered ===

/// From here, by what has to be said with it.
impl From<&Vec<Stale>> for Answered {
    fn from(behind: &Vec<Stale>) -> Self {
        match behind.is_empty() {
            true => Self::Fresh,
            false => Self::Confessed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_count_by_what_came_of_them_and_who_had_it() {
        let [us, asia] = ["us", "asia"].map(|name| name.parse().unwrap());
        let (counts, metrics) = (Counts::new([us].into_iter()), Metrics::default());
        counts.register(&metrics);
        counts.asked(Outcome::Found, Some(us));
        counts.asked(Outcome::Found, Some(us));
        counts.asked(Outcome::Found, Some(asia));
        counts.asked(Outcome::of(Some(&ReadError::DeadlineExceeded)), None);
        counts.answered(Subject::List, Answered::from(&Vec::new()));
        let text = metrics.text();
        for line in [
            "read_through_total{outcome=\"found\",region=\"us\"} 2",
            "read_through_total{outcome=\"found\",region=\"none\"} 1",
            "read_through_total{outcome=\"away\",region=\"none\"} 1",
            "freshness_total{subject=\"list\",answer=\"fresh\"} 1",
        ] {
            let line = format!("meridian_frontend_{line}");
            assert!(
                text.lines().any(|it| it == line),
                "`{line}` is not in:\n{text}"
            );
        }
    }
}
