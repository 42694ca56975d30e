//! Standard output.
//!
//! Owns what becomes of a command whose output nobody takes: one whose reader has gone ends quietly, and
//! one whose output is lost, on a full disk, says so and fails. A server goes on without it.

use std::fmt::Display;
use std::io::{self, Write};

use crate::exit::Exit;

/// Prints a line.
///
/// # Errors
///
/// When it cannot be written; that is no failure if nobody reads it any more.
pub(crate) fn line(text: impl Display) -> Result<(), Exit> {
    text_to(&mut io::stdout().lock(), format_args!("{text}\n"))
}

/// Prints a text that has its line ends.
///
/// # Errors
///
/// As [`line`].
pub(crate) fn text(text: impl Display) -> Result<(), Exit> {
    text_to(&mut io::stdout().lock(), text)
}

/// Prints lines that a server can do without.
pub(crate) fn tell(lines: &[String]) {
    for text in lines {
        drop(line(text));
    }
}

fn text_to(out: &mut impl Write, text: impl Display) -> Result<(), Exit> {
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Exit::unread()),
        Err(error) => Err(Exit::unsuccessful(format!(
            "what was to be printed cannot be written to standard output: {error}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Refuses whatever is written.
    struct Refusing(io::ErrorKind);

    impl Write for Refusing {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_who_has_gone_is_no_failure_and_a_full_disk_is() {
        let put = |kind| text_to(&mut Refusing(kind), "text").unwrap_err();
        assert!(put(io::ErrorKind::BrokenPipe).is_quiet());
        assert!(!put(io::ErrorKind::StorageFull).is_quiet());
        let mut out = Vec::new();
        text_to(&mut out, "text").unwrap();
        assert_eq!(out, b"text");
    }
}
