//! What a panic does to a process.

use std::backtrace::Backtrace;
use std::panic::PanicHookInfo;

/// Makes every panic, on whichever thread, log itself and abort the process.
///
/// A panic is a bug, and the task that had it leaves its state half-changed: tokio would let the
/// process live without the task, and nobody would know. An abort is seen and restarted.
pub fn install() {
    std::panic::set_hook(Box::new(|info| {
        report(info, &Backtrace::force_capture());
        std::process::abort();
    }));
}

fn report(info: &PanicHookInfo<'_>, backtrace: &Backtrace) {
    let thread = std::thread::current();
    tracing::error!(
        message = info.payload_as_str().unwrap_or("a payload that is not text"),
        location = info.location().map(tracing::field::display),
        thread = thread.name(),
        %backtrace,
        "panic"
    );
}
