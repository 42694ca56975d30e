//! A timer for deadlines that move often and hardly ever come.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep};

/// Rings at a deadline that may be another one each time it is asked for.
///
/// Setting a timer is what costs, so one that is set too early stays, and is set anew when it
/// rings. Nothing is allocated before the first deadline.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

// === impl Alarm ===

impl Alarm {
    /// Resolves when `deadline` has passed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_alarm_rings_at_the_deadline_of_its_last_poll() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for (asked, last) in [([5, 9, 20], 20), ([20, 9, 5], 5), ([9, 5, 20], 20)] {
            let mut alarm = Alarm::default();
            let began = Instant::now();
            let offset = began - start;
            let mut asked = asked.into_iter().map(|it| at(it) + offset);
            let mut deadline = asked.next().unwrap();
            std::future::poll_fn(|cx| {
                for next in asked.by_ref() {
                    assert!(alarm.poll(cx, deadline).is_pending());
                    deadline = next;
                }
                alarm.poll(cx, deadline)
            })
            .await;
            assert_eq!(began.elapsed(), Duration::from_secs(last));
        }
    }
}
