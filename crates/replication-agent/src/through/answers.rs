//! Questions to all other regions at once.
//!
//! Owns how long is waited for whom. A region that was not heard of for a while is not waited for. As long
//! as nobody has said anything of use, every other one is, for a few times as long as otherwise: what is
//! unknown here may have been pushed there a moment ago. Once somebody has, only those are waited for that may know
//! better, and each of them for its own span.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use meridian_clients::ReadError;
use meridian_clients::peer::{PeerApi, PeerError};
use meridian_clock::Region;
use tokio::time::{Instant, timeout_at};

use super::unavailable;
use crate::shell::Shell;

/// What regions said, each by its name.
pub(crate) type Said<T> = Vec<(Region, T)>;

/// What the regions said that were asked.
#[derive(Debug)]
pub(crate) struct Answers<T> {
    pub(crate) said: Said<T>,
    /// Those that did not answer in time.
    pub(super) silent: Vec<Region>,
}

impl Shell {
    /// Asks all other regions. `span` is how long each of them is waited for in any case; and `longest`, as
    /// long as what the others said is of no use.
    pub(crate) async fn ask_all<T, F>(
        self: &Arc<Self>,
        longest: Duration,
        span: impl Fn(Region) -> Duration,
        is_of_use: impl Fn(&Said<T>) -> bool,
        ask: impl Fn(Arc<dyn PeerApi>) -> F,
    ) -> Answers<T>
    where
        F: Future<Output = Result<T, PeerError>>,
    {
        let peers = self.ports.peers.iter();
        let is_met = |region| self.introductions.is_open(region) || self.introductions.is_lively();
        let is_mute = |region| self.heads.is_deaf(region) || !is_met(region);
        let (deaf, heard): (Vec<_>, Vec<_>) = peers.partition(|it| is_mute(it.region));
        let asked = heard.iter().map(|it| {
            let (shell, region) = (Arc::clone(self), it.region);
            let answer = ask(Arc::clone(&it.api));
            (region, async move {
                shell.introductions.until_open(region).await;
                answer.await
            })
        });
        let mut answers = gather(asked, longest, span, is_of_use).await;
        answers.silent.extend(deaf.iter().map(|it| it.region));
        answers
    }
}

/// Gathers what those say who were asked, for `longest` at most.
async fn gather<T, F>(
    asked: impl Iterator<Item = (Region, F)>,
    longest: Duration,
    span: impl Fn(Region) -> Duration,
    is_of_use: impl Fn(&Said<T>) -> bool,
) -> Answers<T>
where
    F: Future<Output = Result<T, PeerError>>,
{
    let began = Instant::now();
    let (mut waiting, mut answers) = (Vec::new(), FuturesUnordered::new());
    for (region, answer) in asked {
        waiting.push(region);
        answers.push(async move { (region, answer.await) });
    }
    let (mut said, mut silent) = (Vec::new(), Vec::new());
    while !waiting.is_empty() {
        let most = match is_of_use(&said) {
            true => waiting.iter().map(|region| span(*region)).max(),
            false => None,
        };
        let end = began + most.map_or(longest, |most| most.min(longest));
        let Ok(Some((region, answer))) = timeout_at(end, answers.next()).await else {
            break;
        };
        waiting.retain(|it| *it != region);
        match answer {
            Ok(answer) => said.push((region, answer)),
            Err(error) => {
                tracing::debug!(%region, %error, "a region does not answer");
                silent.push(region);
            }
        }
    }
    silent.extend(waiting);
    Answers { said, silent }
}

// === impl Answers ===

impl<T> Answers<T> {
    /// Why there is no answer, when none of those who answered has one.
    pub(crate) fn lack(&self, unknown: ReadError) -> ReadError {
        match self.silent.first() {
            None => unknown,
            Some(region) => unavailable(*region),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const LONGEST: Duration = Duration::from_secs(5);
    const SPAN: Duration = Duration::from_millis(500);

    /// What is said of those who answer after so many milliseconds with a number, of which 0 is of no use;
    /// how long that took, and who was silent.
    async fn ask(regions: &[(&str, u64, u8)]) -> (Vec<u8>, Duration, usize) {
        let began = Instant::now();
        let asked = regions.iter().map(|(name, millis, answer)| {
            let answer = async move {
                sleep(Duration::from_millis(*millis)).await;
                Ok(*answer)
            };
            (name.parse().unwrap(), answer)
        });
        let is_of_use = |said: &Said<u8>| said.iter().any(|(_, answer)| *answer > 0);
        let answers = gather(asked, LONGEST, |_| SPAN, is_of_use).await;
        let said = answers.said.iter().map(|(_, answer)| *answer).collect();
        (said, began.elapsed(), answers.silent.len())
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[tokio::test(start_paused = true)]
    async fn who_may_know_is_waited_for_while_nobody_does() {
        let found = ask(&[("eu", 2_000, 7), ("us", 20, 0)]).await;
        assert_eq!(found, (vec![0, 7], millis(2_000), 0));
        let found = ask(&[("eu", 9_000, 7), ("us", 20, 0)]).await;
        assert_eq!(found, (vec![0], LONGEST, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn who_may_know_better_is_waited_for_not_so_long() {
        let found = ask(&[("eu", 2_000, 8), ("us", 20, 7)]).await;
        assert_eq!(found, (vec![7], SPAN, 1));
        let found = ask(&[("eu", 300, 8), ("us", 20, 7)]).await;
        assert_eq!(found, (vec![7, 8], millis(300), 0));
        // What comes late ends the waiting for those who are later.
        let found = ask(&[("eu", 3_000, 8), ("us", 2_000, 7), ("ap", 1, 0)]).await;
        assert_eq!(found, (vec![0, 7], millis(2_000), 1));
    }
}
