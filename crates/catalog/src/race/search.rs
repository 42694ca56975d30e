//! Every state that can be reached, breadth first, so that what is found is found by the shortest
//! way.

use std::collections::{BTreeSet, VecDeque};

use super::world::{Action, World};

/// What a search found.
#[derive(Debug)]
pub(super) enum Search {
    /// Nothing, in so many states.
    Safe { states: usize },
    /// Something that must not be, and the way to it.
    Broken { why: String, trace: Vec<Action> },
}

pub(super) fn search(begin: World) -> Search {
    // How each state was reached: from which other one, and by what.
    let mut ways: Vec<(usize, Option<Action>)> = vec![(0, None)];
    let mut seen = BTreeSet::from([begin.fingerprint()]);
    let mut frontier = VecDeque::from([(0, begin)]);
    while let Some((place, world)) = frontier.pop_front() {
        for action in world.actions() {
            let next = world.after(action);
            if !seen.insert(next.fingerprint()) {
                continue;
            }
            ways.push((place, Some(action)));
            if let Some(why) = next.wrong() {
                let trace = trace(&ways);
                return Search::Broken { why, trace };
            }
            frontier.push_back((ways.len() - 1, next));
        }
    }
    Search::Safe { states: seen.len() }
}

/// The way to the last state.
fn trace(ways: &[(usize, Option<Action>)]) -> Vec<Action> {
    let mut trace = Vec::new();
    let mut place = ways.len() - 1;
    while let (before, Some(action)) = ways[place] {
        trace.push(action);
        place = before;
    }
    trace.reverse();
    trace
}
