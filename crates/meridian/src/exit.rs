//! How the process ends when it ends badly: one line that says what to change, and a code.

use std::io::{self, Write as _};
use std::process::ExitCode;

use meridian_chassis::config::{ConfigError, EXIT_CODE};
use meridian_error::{Classify, Code, chain};

use crate::management::ClientError;

/// The code of what took too long.
const LATE: u8 = 5;

/// An end that is not a success, or comes before all was said.
#[derive(Debug)]
pub(crate) struct Exit {
    code: u8,
    lines: Vec<String>,
}

/// Says what is wrong with the command line, or what was asked about it.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // Help goes to standard output and is no failure; nobody is left to tell if it cannot be written.
    drop(error.print());
    if error.use_stderr() {
        ExitCode::from(EXIT_CODE)
    } else {
        ExitCode::SUCCESS
    }
}

// === impl Exit ===

impl Exit {
    /// Settings, or what they name, are wrong.
    pub(crate) fn misconfigured(line: impl Into<String>) -> Self {
        Self {
            code: EXIT_CODE,
            lines: vec![line.into()],
        }
    }

    /// Several settings are wrong, each told in a line.
    pub(crate) const fn misconfigured_in(lines: Vec<String>) -> Self {
        Self {
            code: EXIT_CODE,
            lines,
        }
    }

    /// Something failed.
    pub(crate) fn failed(error: &dyn std::error::Error) -> Self {
        Self {
            code: 1,
            lines: vec![chain(error)],
        }
    }

    /// What was asked for has an answer, and that is no.
    pub(crate) fn unsuccessful(line: impl Into<String>) -> Self {
        Self {
            code: 1,
            lines: vec![line.into()],
        }
    }

    /// What was waited for has not come in time.
    pub(crate) fn late(line: impl Into<String>) -> Self {
        Self {
            code: LATE,
            lines: vec![line.into()],
        }
    }

    /// Nobody reads any more what is printed: an end without a word, and no failure.
    pub(crate) const fn unread() -> Self {
        Self {
            code: 0,
            lines: Vec::new(),
        }
    }

    /// Whether it is an end without a word.
    #[cfg(test)]
    pub(crate) fn is_quiet(&self) -> bool {
        self.code == 0 && self.lines.is_empty()
    }

    /// Something failed, or was refused for what the settings say: its class tells which.
    pub(crate) fn classified<E: Classify + 'static>(error: &E) -> Self {
        match error.code() {
            Code::InvalidArgument | Code::AlreadyExists | Code::Denied => {
                Self::misconfigured(chain(error))
            }
            _ => Self::failed(error),
        }
    }

    /// Prints why, and gives the code.
    pub(crate) fn report(self) -> ExitCode {
        for line in self.lines {
            // Nobody is left to tell if it cannot be written.
            drop(writeln!(io::stderr(), "meridian: {line}"));
        }
        ExitCode::from(self.code)
    }
}

impl From<ConfigError> for Exit {
    fn from(error: ConfigError) -> Self {
        Self {
            code: EXIT_CODE,
            lines: error.faults().iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<ClientError> for Exit {
    fn from(error: ClientError) -> Self {
        Self::failed(&error)
    }
}
