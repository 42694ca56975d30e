//! The layers against a map that forgets nothing.

use std::ops::{Bound, ControlFlow};

use meridian_catalog::{MemoryStore, Read, Write};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::patience::Patience;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn open(folder: &std::path::Path) -> State {
    State::of(Store::open(folder, 1 << 20, &Patience::default()).unwrap()).unwrap()
}

fn scanned(
    read: &impl Read<Error: std::fmt::Debug>,
    from: &[u8],
    to: Bound<&[u8]>,
    most: usize,
) -> Pairs {
    let mut pairs = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        pairs.push((key.to_vec(), value.to_vec()));
        if pairs.len() == most {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    read.scan((Bound::Included(from), to), &mut visit).unwrap();
    pairs
}

fn key(rng: &mut SmallRng) -> Vec<u8> {
    format!("{:02}", rng.random_range(0..60)).into_bytes()
}

#[test]
fn layers_and_file_together_are_one_map() {
    for seed in 0..20 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let folder = tempfile::tempdir().unwrap();
        let mut state = open(folder.path());
        let mut model = MemoryStore::default();
        let mut flushed = model.clone();
        for _ in 0..60 {
            let earlier = (state.view(), model.clone());
            let mut draft = state.draft();
            for _ in 0..rng.random_range(0..8) {
                let key = key(&mut rng);
                if rng.random_bool(0.6) {
                    let value = rng.random::<u32>().to_le_bytes();
                    draft.put(&key, &value).unwrap();
                    model.put(&key, &value).unwrap();
                } else {
                    draft.remove(&key).unwrap();
                    model.remove(&key).unwrap();
                }
            }
            same(&draft, &model, &mut rng);
            state.publish(draft, Applied::default());
            same(&state.view(), &model, &mut rng);
            same(&earlier.0, &earlier.1, &mut rng);
            match rng.random_range(0..10) {
                0 => {
                    state.flush().unwrap();
                    flushed = model.clone();
                }
                1 => {
                    // A crash: what was not flushed is applied again from the log.
                    drop(earlier);
                    drop(state);
                    state = open(folder.path());
                    model = flushed.clone();
                }
                _ => {}
            }
            same(&state.view(), &model, &mut rng);
        }
    }
}

#[test]
fn a_view_beside_a_flush_sees_neither_less_nor_more() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path());
    let write = |from: u8| {
        let mut draft = state.draft();
        draft.put(b"a", &[from]).unwrap();
        draft.put(b"b", &[from]).unwrap();
        state.publish(draft, Applied::default());
    };
    write(0);
    std::thread::scope(|scope| {
        let flusher = scope.spawn(|| (0..50).for_each(|_| state.flush().unwrap()));
        let mut last = 0;
        for from in 1..=255 {
            write(from);
            let view = state.view();
            let seen = |key: &[u8]| view.get(key, |value| value[0]).unwrap().unwrap();
            assert_eq!(seen(b"a"), seen(b"b"));
            assert!(seen(b"a") >= last);
            last = seen(b"a");
        }
        flusher.join().unwrap();
    });
}

fn same(read: &impl Read<Error: std::fmt::Debug>, model: &MemoryStore, rng: &mut SmallRng) {
    let key = key(rng);
    let copy = |value: &[u8]| value.to_vec();
    assert_eq!(
        read.get(&key, copy).unwrap(),
        model.get(&key, copy).unwrap()
    );
    let most = rng.random_range(1..80);
    let end = b"50".as_slice();
    for to in [Bound::Unbounded, Bound::Excluded(end), Bound::Included(end)] {
        if key.as_slice() < end || to == Bound::Unbounded {
            assert_eq!(
                scanned(read, &key, to, most),
                scanned(model, &key, to, most)
            );
        }
    }
}
