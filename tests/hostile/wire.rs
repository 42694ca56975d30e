//! A connection on which anything may be sent, and a reader of answers that trusts nobody.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Longer than every limit of the server that a test waits for.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// One connection.
pub(crate) struct Wire {
    stream: TcpStream,
    received: Vec<u8>,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

// === impl Wire ===

impl Wire {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, DEADLINE).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            received: Vec::new(),
        }
    }

    /// Sends all of it, unless the server has had enough before; then its answer tells why.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        match self.stream.write_all(bytes) {
            Err(error) if is_gone(&error) => {}
            sent => sent.unwrap(),
        }
    }

    /// Ends the sending direction.
    pub(crate) fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// The next answer, but for interim ones.
    pub(crate) fn reply(&mut self) -> Reply {
        loop {
            let reply = self.any_reply();
            if reply.status >= 200 {
                return reply;
            }
        }
    }

    /// The next answer, interim ones included. The answer to a `HEAD` has no body, which is only
    /// seen by the connection's end.
    pub(crate) fn any_reply(&mut self) -> Reply {
        let head = self.take_until(b"\r\n\r\n");
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap();
        let status = status
            .strip_prefix("HTTP/1.1 ")
            .unwrap()
            .split(' ')
            .next()
            .unwrap();
        let status: u16 = status.parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut reply = Reply {
            status,
            headers,
            body: Vec::new(),
        };
        if status >= 200 && status != 204 && status != 304 {
            let length = reply
                .header("content-length")
                .map(|text| text.parse().unwrap());
            reply.body = self.take(length);
        }
        reply
    }

    /// Whether the server ends the connection within a time, whatever it says before. The time
    /// that it took.
    pub(crate) fn ends_within(&mut self, limit: Duration) -> Option<Duration> {
        let began = Instant::now();
        loop {
            let left = limit.checked_sub(began.elapsed())?;
            self.stream
                .set_read_timeout(Some(left.max(Duration::from_millis(1))))
                .unwrap();
            match self.fill() {
                Ok(0) => return Some(began.elapsed()),
                Ok(_) => {}
                Err(error) if is_gone(&error) => return Some(began.elapsed()),
                Err(_) => return None,
            }
        }
    }

    /// What was received and not read as an answer.
    pub(crate) fn received(&self) -> &[u8] {
        &self.received
    }

    /// Reads until what was received is as `wanted` wants it; false if the connection ends first.
    pub(crate) fn receives(&mut self, wanted: impl Fn(&[u8]) -> bool) -> bool {
        while !wanted(&self.received) {
            if !matches!(self.fill(), Ok(1..)) {
                return false;
            }
        }
        true
    }

    /// So many bytes, or all that come before the end.
    fn take(&mut self, length: Option<usize>) -> Vec<u8> {
        while length.is_none_or(|length| self.received.len() < length) {
            match self.fill() {
                Ok(0) => break,
                Err(error) if is_gone(&error) => break,
                filled => drop(filled.unwrap()),
            }
        }
        let length = length.unwrap_or(usize::MAX).min(self.received.len());
        self.received.drain(..length).collect()
    }

    fn take_until(&mut self, end: &[u8]) -> String {
        loop {
            let found = self
                .received
                .windows(end.len())
                .position(|window| window == end);
            if let Some(at) = found {
                let head = self.received.drain(..at + end.len()).collect();
                return String::from_utf8(head).unwrap();
            }
            let filled = self.fill().unwrap();
            let so_far = String::from_utf8_lossy(&self.received);
            assert!(
                filled > 0,
                "the connection ended instead of an answer: {so_far:?}"
            );
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 16 * 1024];
        let length = self.stream.read(&mut buffer)?;
        self.received.extend_from_slice(&buffer[..length]);
        Ok(length)
    }
}

fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected
    )
}

// === impl Reply ===

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
