//! What the published verifier of Standard Webhooks says of our signatures.

use meridian_clock::{Clock, SystemClock};
use meridian_delivery::{Content, Request, Sender, SigningSecret, SigningSecrets, request};
use meridian_event::webhook::{Action, Format};
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, proptest};
use standardwebhooks::Webhook;

use crate::meanings::{callback, message};

fn signed(secrets: &SigningSecrets, now: u64) -> Request {
    let message = message(Action::Push);
    let sender = Sender {
        host: "reg.example",
        agent: "Meridian/1",
    };
    request(
        Format::CloudEventsStructured,
        &callback(),
        Content::Message(&message),
        sender,
        Some(secrets),
        now,
    )
}

fn is_believed(secret: &SigningSecret, request: &Request) -> bool {
    let pairs = request.headers.iter();
    let headers = pairs.map(|(name, value)| {
        let name: http::HeaderName = name.parse().unwrap();
        (name, value.parse().unwrap())
    });
    let verifier = Webhook::new(secret.expose()).unwrap();
    verifier.verify(&request.body, &headers.collect()).is_ok()
}

proptest! {
    #[test]
    fn each_secret_in_force_verifies_and_no_other(
        keys in vec(vec(any::<u8>(), 24..=64), 3),
    ) {
        let [old, new, other] = [0, 1, 2].map(|n: usize| SigningSecret::of(&keys[n]).unwrap());
        let now = SystemClock.now_millis();
        let both = SigningSecrets { current: new.clone(), previous: vec![old.clone()] };
        let request = signed(&both, now);
        prop_assert!(is_believed(&new, &request) && is_believed(&old, &request));
        prop_assert!(!is_believed(&other, &request));
        let one = SigningSecrets { current: new.clone(), previous: Vec::new() };
        prop_assert!(is_believed(&new, &signed(&one, now)));
        prop_assert!(!is_believed(&old, &signed(&one, now)));
        // A request that is sent again later by somebody else is not believed.
        prop_assert!(!is_believed(&new, &signed(&one, now - 600_000)));
        let mut changed = signed(&one, now);
        changed.body.push(b' ');
        prop_assert!(!is_believed(&new, &changed));
    }
}
