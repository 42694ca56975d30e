//! What must not be taken: the rows of the list of hostile input that concern manifests.

mod descriptors;
mod json;
mod kind;

use super::*;
use crate::{ErrorCode, ParseDigestError};
use meridian_error::{Classify, Code};

use ParseManifestError as E;

fn refusal(content_type: Option<&str>, body: &str) -> E {
    match parse(content_type, body) {
        Ok(_) => panic!("accepted {content_type:?} {body:.400}"),
        Err(error) => error,
    }
}

fn layer(index: usize, fault: DescriptorFault) -> E {
    let list = "layers";
    let place = DescriptorPlace::Entry { list, index };
    E::Descriptor { place, fault }
}

/// The text of an image into whose object, configuration or first layer `insert` is put.
fn image_with(at: &str, insert: &str) -> String {
    let body = image().to_string();
    let object = match at {
        "top" => 0,
        name => body.find(&format!("\"{name}\":")).unwrap(),
    };
    let (before, after) = body.split_at(object + body[object..].find('{').unwrap() + 1);
    format!("{before}{insert},{after}")
}
