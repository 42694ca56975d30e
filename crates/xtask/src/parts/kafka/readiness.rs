//! Asks a broker how many it knows that take requests: itself among them, when it is ready.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// A metadata request of version 5 about no topic: its key and version, a number that comes back, no
/// name of a client, an empty list, and that no topic is to be created.
const REQUEST: [u8; 15] = [0, 3, 0, 5, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 0, 0];

/// How many brokers take requests, as the one at `address` knows.
pub(super) fn brokers(address: &str) -> Result<usize> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    let length = u32::try_from(REQUEST.len())?;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(&REQUEST)?;
    // Length, the number, how long we are to pause, and how many brokers follow.
    let mut answer = [0; 16];
    stream.read_exact(&mut answer)?;
    let word = |at: usize| answer.get(at..at + 4).and_then(|it| it.try_into().ok());
    let word = |at: usize| word(at).map(u32::from_be_bytes).context("too short");
    ensure!(word(4)? == 7, "an answer to something else");
    Ok(usize::try_from(word(12)?)?)
}
