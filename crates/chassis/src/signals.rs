//! The signals that ask a process to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Resolves at the first SIGTERM or SIGINT. A second one ends the process at once, with the exit
/// code that a shell expects of the signal.
///
/// The handlers are installed by the call, not by the first poll, so that a signal during start
/// is not lost. Where they cannot be installed the kernel's own answer to a signal stays in
/// force, which is to end the process.
pub fn signals() -> impl Future<Output = ()> + Send {
    let handlers = [SignalKind::terminate(), SignalKind::interrupt()].map(install);
    async move {
        let [Some(mut terminate), Some(mut interrupt)] = handlers else {
            return std::future::pending().await;
        };
        either(&mut terminate, &mut interrupt).await;
        insist(terminate, interrupt);
    }
}

fn install(kind: SignalKind) -> Option<Signal> {
    signal(kind)
        .inspect_err(|error| tracing::error!(%error, signal = kind.as_raw_value(), "no handler"))
        .ok()
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> SignalKind {
    tokio::select! {
        _ = terminate.recv() => SignalKind::terminate(),
        _ = interrupt.recv() => SignalKind::interrupt(),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this task ends the process; no supervisor can outlive it, and none may wait for it"
)]
fn insist(mut terminate: Signal, mut interrupt: Signal) {
    tokio::spawn(async move {
        let kind = either(&mut terminate, &mut interrupt).await;
        tracing::warn!("asked to stop a second time; ending at once");
        std::process::exit(128 + kind.as_raw_value());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_signal_that_arrives_before_the_first_poll_is_not_lost() {
        let stop = signals();
        let this = rustix::process::getpid();
        rustix::process::kill_process(this, rustix::process::Signal::TERM).unwrap();
        stop.await;
    }
}
