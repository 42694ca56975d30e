//! What is going on, for whoever waits.

use std::io::Write;

/// Writes lines to standard error, or nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    pub(crate) shown: bool,
}

// === impl Progress ===

impl Progress {
    pub(crate) fn say(self, line: std::fmt::Arguments<'_>) {
        if self.shown {
            // Progress that cannot be shown must not stop the work.
            let _lost = writeln!(std::io::stderr(), "{line}");
        }
    }
}
