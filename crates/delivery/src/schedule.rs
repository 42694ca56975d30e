//! When what failed is attempted again.

use std::time::Duration;

use crate::Config;
use crate::dice::Dice;
use crate::guard::{Guard, stands};

/// How long to wait after the `attempts`th attempt failed, if there is another one.
///
/// The wait of the list, a part of it left to chance; longer for a receiver that is busy. What the receiver
/// asks for counts from there up to twice that: it may slow deliveries down, and neither hasten them nor put
/// them off for ever.
pub(crate) fn wait(
    config: &Config,
    dice: &mut Dice,
    attempts: u8,
    is_busy: bool,
    asked: Option<Duration>,
) -> Option<Duration> {
    let next = if stands(Guard::AttemptsEnd) {
        usize::from(attempts)
    } else {
        usize::from(attempts).min(config.schedule.len() - 1)
    };
    let listed = dice.around(*config.schedule.get(next)?, config.jitter_percent);
    let least = if is_busy && stands(Guard::BusyWaits) {
        config.busy_wait
    } else {
        Duration::ZERO
    };
    let wait = listed.max(least);
    let heard = asked.filter(|_| stands(Guard::RetryAfterHeard));
    Some(heard.map_or(wait, |asked| asked.clamp(wait, wait * 2)))
}

/// A span in the unit of moments.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn after(attempts: u8, is_busy: bool, asked: Option<u64>) -> Option<Duration> {
        let config = Config {
            jitter_percent: 0,
            ..Config::default()
        };
        let asked = asked.map(Duration::from_secs);
        wait(&config, &mut Dice::new(7), attempts, is_busy, asked)
    }

    #[test]
    fn waits_follow_the_list_and_end_with_it() {
        let waits: Vec<_> = (1..=10)
            .map(|attempts| after(attempts, false, None))
            .collect();
        let expected = Config::default().schedule.into_iter().skip(1).map(Some);
        assert_eq!(waits, expected.chain([None]).collect::<Vec<_>>());
    }

    #[test]
    fn a_busy_receiver_is_left_alone_for_a_minute() {
        assert_eq!(after(1, true, None), Some(MINUTE));
        assert_eq!(after(2, true, None), Some(5 * MINUTE));
    }

    #[test]
    fn a_receiver_may_ask_for_up_to_twice_the_wait() {
        assert_eq!(after(2, false, Some(1)), Some(5 * MINUTE));
        assert_eq!(after(2, false, Some(420)), Some(7 * MINUTE));
        assert_eq!(after(2, false, Some(u64::MAX)), Some(10 * MINUTE));
        assert_eq!(after(1, true, Some(90)), Some(MINUTE * 3 / 2));
        assert_eq!(after(10, true, Some(90)), None);
    }

    proptest! {
        #[test]
        fn a_fifth_of_each_wait_is_left_to_chance(seed in any::<u64>(), attempts in 1_u8..10) {
            let config = Config::default();
            let listed = config.schedule[usize::from(attempts)];
            let wait = wait(&config, &mut Dice::new(seed), attempts, false, None).unwrap();
            prop_assert!(wait >= listed * 4 / 5 && wait <= listed * 6 / 5);
        }
    }
}
