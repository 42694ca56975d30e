//! Collection against pushes, mounts and late deletions, in every order.
//!
//! An exhaustive search over the real `apply`: clients, a collector that believes anything at any
//! time, also of what it takes for an orphan, a deleter that may be arbitrarily late, a proposal that
//! comes back from the dead, a disk that loses an object, and the clock. Every reachable state is checked: nothing acknowledged is lost, no physical deletion hits
//! an object that a blob names, and the invariants hold. Then each rule that is said to prevent
//! that is taken away, and the search must find what it prevented.

mod actors;
mod content;
mod search;
mod world;

use actors::Actor;
use search::{Search, search};
use world::World;

use crate::apply::guard::{Guard, lower};

use Actor::{Deleter, Ghost, Healer, Mounter, Remover, Reuser, Sweeper, Uploader};

/// Searches the interleavings of `actors`, of the collector, of the deleter and of the clock.
fn explore(actors: &[Actor], ticks: u8) -> Search {
    search(World::new(actors, ticks))
}

/// Returns in how many states nothing is wrong.
fn safe_states(actors: &[Actor], ticks: u8) -> usize {
    match explore(actors, ticks) {
        Search::Safe { states } => states,
        Search::Broken { why, trace } => panic!("{why}\nafter {trace:#?}"),
    }
}

#[test]
fn nothing_acknowledged_is_lost_in_any_order() {
    let states = safe_states(&[Reuser, Uploader, Mounter, Deleter], 2);
    assert!(states > 20_000, "only {states} states were reached");
}

#[test]
fn nor_when_a_put_comes_back_from_the_dead() {
    let states = safe_states(&[Reuser, Uploader, Ghost, Deleter], 2);
    assert!(states > 3_000, "only {states} states were reached");
}

#[test]
fn nor_when_clients_delete_what_others_rely_on() {
    let states = safe_states(&[Reuser, Mounter, Deleter, Remover], 2);
    assert!(states > 3_000, "only {states} states were reached");
}

#[test]
fn nor_when_anything_is_taken_for_an_orphan_at_any_time() {
    let states = safe_states(&[Reuser, Uploader, Sweeper, Deleter], 1);
    assert!(states > 20_000, "only {states} states were reached");
}

#[test]
fn nor_when_what_the_disk_lost_is_uploaded_again() {
    let states = safe_states(&[Healer, Sweeper, Deleter], 2);
    assert!(states > 2_000, "only {states} states were reached");
}

#[test]
fn without_any_of_its_rules_something_is_lost() {
    let all: &[(Guard, &[Actor])] = &[
        (Guard::LeavesPresent, &[Reuser, Deleter]),
        (Guard::NeededStays, &[Remover]),
        (Guard::LeaseRevives, &[Mounter, Deleter]),
        (Guard::ManifestRevives, &[Reuser, Deleter]),
        (Guard::JudgedAtCondemn, &[Deleter]),
        (Guard::JudgedAtRemove, &[Mounter, Deleter]),
        (Guard::NamedOnce, &[Uploader, Ghost, Deleter]),
        (Guard::DoomedIsSpent, &[Uploader, Sweeper]),
        (Guard::NamedIsKept, &[Sweeper]),
        (Guard::LostIsReplaced, &[Healer]),
    ];
    for (guard, actors) in all {
        let found = lower(*guard, || explore(actors, 2));
        assert!(
            matches!(found, Search::Broken { .. }),
            "nobody notices that {guard:?} is missing: {found:?}"
        );
        safe_states(actors, 2);
    }
}
