//! `meridian health`: asks a probe of a process, for those who can only run a program.
//!
//! An image without a shell has no `curl`: what has to look at a container from within runs this.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use meridian_error::chain;

use crate::cli;
use crate::exit::Exit;
use crate::remote::Remote;
use crate::stdout;

/// `meridian health`
pub(crate) async fn run(options: cli::Health) -> Result<(), Exit> {
    let cli::Health {
        server,
        probe,
        ca_file,
        timeout,
    } = options;
    let remote = Remote::parse(&server, ca_file.as_deref());
    let remote = remote.map_err(|error| Exit::misconfigured(chain(&error)))?;
    let request = Request::get(probe.path()).body(Full::new(Bytes::new()));
    let request = request.map_err(|error| Exit::failed(&error))?;
    let answer = remote.send(request, timeout).await;
    let answer = answer.map_err(|error| Exit::unsuccessful(chain(&error)))?;
    let said = String::from_utf8_lossy(answer.body());
    match answer.status().is_success() {
        true => stdout::line(said.trim_end()),
        false => Err(Exit::unsuccessful(format!(
            "{}{}: {}: {}",
            server.trim_end_matches('/'),
            probe.path(),
            answer.status(),
            said.trim_end()
        ))),
    }
}
