//! Lists of what a repository holds.

use meridian_catalog::query::{Held, Holding, Mark, Order, held};
use meridian_catalog::{Command, query};
use meridian_event::{Attributes, Target};
use meridian_oci::Reference;

use crate::stage::{Manifested, SETTINGS, Stage, image, index, repository, tag};

fn page(
    stage: &Stage,
    how: (Holding, Order),
    after: Option<&Mark>,
    limit: usize,
) -> Option<(Vec<String>, Option<Mark>)> {
    let held = held(
        &stage.store,
        stage.id(),
        &repository("a"),
        how,
        after,
        limit,
    );
    let Held { items, next } = held.unwrap()?;
    Some((items.iter().map(ToString::to_string).collect(), next))
}

/// All of a list, in pages of that length.
fn all(stage: &Stage, how: (Holding, Order), limit: usize) -> Vec<String> {
    let (mut items, mut mark) = (Vec::new(), None);
    loop {
        let (more, next) = page(stage, how, mark.as_ref(), limit).unwrap();
        items.extend(more);
        mark = next;
        if mark.is_none() {
            return items;
        }
    }
}

/// Tags `b`, `a` and `c`, put in this order, the last of them at another manifest.
fn tagged() -> Stage {
    let mut stage = Stage::new(SETTINGS);
    let other = stage.upload("a", 1);
    for (name, new) in [("b", image(&[])), ("a", image(&[])), ("c", image(&[other]))] {
        stage.now += 1_000;
        stage.push(new.tagged(&[name]));
    }
    stage
}

#[test]
fn tags_come_by_name_and_by_time_in_pages_of_any_length() {
    let stage = tagged();
    let first = image(&[]).digest;
    for limit in 1..5 {
        for (holding, order, expected) in [
            (Holding::Tags, Order::Name, &["a", "b", "c"][..]),
            (Holding::Tags, Order::Oldest, &["b", "a", "c"]),
            (Holding::Tags, Order::Newest, &["c", "a", "b"]),
            (Holding::TagsOf(first), Order::Name, &["a", "b"]),
            (Holding::TagsOf(first), Order::Newest, &["a", "b"]),
        ] {
            let found = all(&stage, (holding, order), limit);
            assert_eq!(found, expected, "{holding:?} {order:?} {limit}");
        }
    }
}

#[test]
fn manifests_come_without_those_that_went() {
    let mut stage = tagged();
    let [one, gone] = [1, 2].map(|number| image(&[stage.upload("a", number)]));
    let top = index(&[one.leaf()]);
    for new in [&gone, &top] {
        stage.now += 1_000;
        stage.push(new.clone());
    }
    stage.delete("a", gone.digest);
    let expected = [image(&[]).digest, one.digest, top.digest].map(|digest| digest.to_string());
    assert_eq!(
        all(&stage, (Holding::Manifests, Order::Oldest), 1),
        expected
    );
    let mut by_name = expected;
    by_name.sort();
    for limit in 1..5 {
        let found = all(&stage, (Holding::Manifests, Order::Name), limit);
        assert_eq!(found, by_name, "{limit}");
    }
}

#[test]
fn what_is_not_to_be_in_lists_is_in_none() {
    let mut stage = tagged();
    let hidden = Attributes {
        list: Some(false),
        ..Attributes::default()
    };
    stage.set("a", &Target::Tag(tag("a")), hidden);
    stage.set("a", &Target::Manifest(image(&[]).digest), hidden);
    assert_eq!(all(&stage, (Holding::Tags, Order::Newest), 10), ["c", "b"]);
    let of = Holding::TagsOf(image(&[]).digest);
    assert_eq!(all(&stage, (of, Order::Name), 10), ["b"]);
    assert_eq!(all(&stage, (Holding::Manifests, Order::Name), 10).len(), 1);
}

#[test]
fn a_list_by_time_goes_on_where_it_stood_whatever_was_put_since() {
    let mut stage = tagged();
    let how = (Holding::Tags, Order::Newest);
    let (items, next) = page(&stage, how, None, 2).unwrap();
    assert_eq!(items, ["c", "a"]);
    stage.now += 1_000;
    stage.push(image(&[]).tagged(&["a"]));
    assert_eq!(page(&stage, how, next.as_ref(), 2).unwrap().0, ["b"]);
    // Who names an item alone means its present place.
    let alone = |name: &str| Mark {
        after: Reference::Tag(tag(name)),
        at: None,
    };
    let (items, _) = page(&stage, how, Some(&alone("a")), 2).unwrap();
    assert_eq!(items, ["c", "b"]);
    assert_eq!(page(&stage, how, Some(&alone("x")), 2), None);
    let by_name = (Holding::Tags, Order::Name);
    assert_eq!(
        page(&stage, by_name, Some(&alone("x")), 2).unwrap().0,
        [""; 0]
    );
}

#[test]
fn what_is_too_much_is_not_put_in_order_of_time() {
    let mut stage = Stage::new(SETTINGS);
    let names: Vec<_> = (0..=query::MOST)
        .map(|number| format!("t{number}"))
        .collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let new = image(&[]).tagged(&names);
    stage.quietly(Command::PutManifest(Box::new(new)));
    assert_eq!(page(&stage, (Holding::Tags, Order::Newest), None, 5), None);
    stage.quietly(crate::stage::delete_tag("a", "t0", None));
    let (items, _) = page(&stage, (Holding::Tags, Order::Newest), None, 5).unwrap();
    assert_eq!(items.len(), 5);
    let (items, next) = page(&stage, (Holding::Tags, Order::Name), None, 5).unwrap();
    assert_eq!((items.len(), next.is_some()), (5, true));
}
