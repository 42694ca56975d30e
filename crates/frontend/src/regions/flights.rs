//! Questions under way, each asked once.
//!
//! Keeps the invariants that an answer is handed to nobody who asked so much later that it could be too
//! old for him; and that a question lives as long as somebody waits for its answer, whoever asked first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use meridian_clients::regions::{RegionsApi, Resolved};
use meridian_clients::{ReadError, RepositoryPath};
use meridian_clock::Version;
use meridian_oci::Reference;
use tokio::time::Instant;

/// What is asked.
pub(super) type Question = (RepositoryPath, Reference, Option<Version>);

type Answer = Shared<BoxFuture<'static, Result<Resolved, ReadError>>>;

/// Questions under way.
#[derive(Default)]
pub(super) struct Flights {
    under_way: Mutex<HashMap<Question, Flight>>,
}

struct Flight {
    began: Instant,
    answer: Answer,
    /// How many wait for it.
    seats: usize,
}

/// A place among those who wait; given back when dropped, which may be before there is an answer.
struct Seat<'a> {
    flights: &'a Flights,
    question: Question,
    began: Instant,
    answer: Answer,
}

// === impl Flights ===

impl Flights {
    /// Waits for the answer to a question that was asked at most `age` ago, or is asked now; and says when.
    pub(super) async fn join(
        &self,
        api: &Arc<dyn RegionsApi>,
        question: Question,
        age: Duration,
    ) -> (Instant, Result<Resolved, ReadError>) {
        let seat = self.seat(api, question, age);
        (seat.began, seat.answer.clone().await)
    }

    fn seat(&self, api: &Arc<dyn RegionsApi>, question: Question, age: Duration) -> Seat<'_> {
        let mut under_way = self.locked();
        let serves = |it: &Flight| it.began.elapsed() <= age && it.answer.peek().is_none();
        if !under_way.get(&question).is_some_and(serves) {
            let flight = Flight {
                began: Instant::now(),
                answer: ask(Arc::clone(api), question.clone()),
                seats: 0,
            };
            under_way.insert(question.clone(), flight);
        }
        let flight = under_way.get_mut(&question);
        let flight = flight.expect("it was there, or was put there");
        flight.seats += 1;
        Seat {
            flights: self,
            began: flight.began,
            answer: flight.answer.clone(),
            question,
        }
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<Question, Flight>> {
        let under_way = self.under_way.lock();
        under_way.unwrap_or_else(PoisonError::into_inner)
    }
}

fn ask(api: Arc<dyn RegionsApi>, question: Question) -> Answer {
    let asked = async move {
        let (repository, reference, at_least) = &question;
        api.resolve(repository, reference, *at_least).await
    };
    asked.boxed().shared()
}

// === impl Seat ===

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut under_way = self.flights.locked();
        let Some(flight) = under_way.get_mut(&self.question) else {
            return;
        };
        // A question that became too old was replaced by one that has seats of its own.
        if !flight.answer.ptr_eq(&self.answer) {
            return;
        }
        flight.seats -= 1;
        if flight.seats == 0 {
            under_way.remove(&self.question);
        }
    }
}
