//! What is said of an image, by what the regions say.

use meridian_oci::Algorithm;

use super::*;

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

fn version(millis: u64) -> Version {
    Version {
        millis,
        counter: 0,
        region: region("eu"),
    }
}

fn digest(name: &str) -> Digest {
    Digest::of(Algorithm::Sha256, name.as_bytes())
}

fn complete(millis: u64) -> ImageReport {
    ImageReport {
        version: version(millis),
        digest: Some(digest("image")),
        here: 100,
        of: 100,
        is_exposed: true,
        trouble: None,
    }
}

fn reports<const N: usize>(said: [(&str, Option<ImageReport>); N]) -> Reports {
    let said = said.into_iter();
    said.map(|(name, report)| (region(name), report)).collect()
}

fn states(reports: &Reports, reference: &str, at_least: Option<Version>) -> Vec<ImageState> {
    let meant = Meant::by(reports, &reference.parse().unwrap(), at_least).unwrap();
    let regions = ["asia", "eu", "us"].map(region);
    regions.map(|it| meant.state(reports.get(&it))).into()
}

#[test]
fn who_has_not_heard_of_the_newest_value_of_a_tag_is_pending() {
    let older = ImageReport {
        digest: Some(digest("older")),
        ..complete(1)
    };
    let reports = reports([("eu", Some(complete(2))), ("us", Some(older))]);
    use ImageState::{Complete, Pending, Unreachable};
    assert_eq!(
        states(&reports, "latest", None),
        [Unreachable, Complete, Pending]
    );
    let later = states(&reports, "latest", Some(version(3)));
    assert_eq!(later, [Unreachable, Pending, Pending]);
}

#[test]
fn a_copy_is_part_of_what_is_known_of_the_image_anywhere() {
    let copying = ImageReport {
        here: 0,
        of: 10,
        is_exposed: false,
        ..complete(2)
    };
    let failed = ImageReport {
        trouble: Some("nobody has it".to_owned()),
        ..copying
    };
    let reports = reports([
        ("asia", Some(failed)),
        ("eu", Some(complete(2))),
        ("us", Some(copying)),
    ]);
    let reason = "nobody has it".to_owned();
    assert_eq!(
        states(&reports, "latest", None),
        [
            ImageState::Failed { reason },
            ImageState::Complete,
            ImageState::Copying { here: 0, of: 100 }
        ]
    );
}

#[test]
fn a_manifest_is_the_same_however_often_it_was_put() {
    let reports = reports([
        ("asia", None),
        ("eu", Some(complete(2))),
        ("us", Some(complete(1))),
    ]);
    let name = digest("image").to_string();
    use ImageState::{Complete, Pending};
    assert_eq!(states(&reports, &name, None), [Pending, Complete, Complete]);
    let newer = states(&reports, &name, Some(version(2)));
    assert_eq!(newer, [Pending, Complete, Pending]);
}

#[test]
fn what_was_deleted_last_is_no_image() {
    let deleted = ImageReport {
        digest: None,
        ..complete(3)
    };
    let gone = reports([("eu", Some(complete(2))), ("us", Some(deleted.clone()))]);
    for reference in ["latest", &digest("image").to_string()] {
        let reference = reference.parse().unwrap();
        assert!(Meant::by(&gone, &reference, None).is_none());
        assert!(Meant::by(&reports([("eu", None)]), &reference, None).is_none());
    }
    let again = reports([("eu", Some(complete(4))), ("us", Some(deleted))]);
    use ImageState::{Complete, Pending, Unreachable};
    assert_eq!(
        states(&again, "latest", None),
        [Unreachable, Complete, Pending]
    );
}
