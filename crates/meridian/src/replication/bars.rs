//! A progress bar for each region, on a terminal; where there is none, nobody sees them.

use std::collections::BTreeMap;

use indicatif::{BinaryBytes, MultiProgress, ProgressBar, ProgressStyle};

use crate::management::{
    ImageReplication, RegionImage, Replication, ReplicationPeer, ReplicationState,
};

const FORM: &str = "{prefix:<16} {bar:32} {msg}";

/// How long every bar is.
const LENGTH: u64 = 1_000;

/// The bars.
pub(super) struct Bars {
    all: MultiProgress,
    regions: BTreeMap<String, ProgressBar>,
    /// How many bytes were outstanding of each region at most.
    most: BTreeMap<String, u64>,
}

// === impl Bars ===

impl Bars {
    pub(super) fn new() -> Self {
        Self {
            all: MultiProgress::new(),
            regions: BTreeMap::new(),
            most: BTreeMap::new(),
        }
    }

    /// Whether there is a terminal.
    pub(super) fn are_seen(&self) -> bool {
        !self.all.is_hidden()
    }

    /// Shows how far an image is in every region.
    pub(super) fn show_image(&mut self, status: &ImageReplication) {
        for row in &status.regions {
            let (here, of) = extent(row, status.bytes);
            let is_done = row.state == ReplicationState::Complete;
            let state = row.reason.clone().unwrap_or_else(|| row.state.to_string());
            let bar = self.bar(&row.region);
            bar.set_position(filled(here, of, is_done));
            bar.set_message(format!("{} {state}", bytes(here, of)));
        }
    }

    /// Shows how far this region is with every other one. A bar is as long as what was outstanding at
    /// most since it is watched.
    pub(super) fn show_all(&mut self, status: &Replication) {
        for peer in &status.peers {
            let left = peer.bytes_outstanding;
            let most = self.most.entry(peer.region.clone()).or_default();
            *most = left.max(*most);
            let (here, of) = (*most - left, *most);
            let (state, events) = (peer.state(), peer.events_behind);
            let incomplete = match status.incomplete_images {
                0 => String::new(),
                images => format!(", {images} images incomplete"),
            };
            let bar = self.bar(&peer.region);
            bar.set_position(filled(here, of, is_even(peer, status.incomplete_images)));
            bar.set_message(format!(
                "{} {state}, {events} events to come{incomplete}",
                bytes(here, of)
            ));
        }
    }

    fn bar(&mut self, region: &str) -> &ProgressBar {
        let all = &self.all;
        self.regions.entry(region.to_owned()).or_insert_with(|| {
            let style = ProgressStyle::with_template(FORM);
            let style = style.expect("the form is one that we made");
            let bar = all.add(ProgressBar::new(LENGTH).with_style(style));
            bar.set_prefix(region.to_owned());
            bar
        })
    }
}

/// How many bytes of an image are in a region, and of how many.
fn extent(row: &RegionImage, bytes: u64) -> (u64, u64) {
    let of = row.bytes_total.unwrap_or(bytes);
    let here = match row.state {
        ReplicationState::Complete => of,
        _ => row.bytes_here.unwrap_or_default(),
    };
    (here.min(of), of)
}

/// Whether nothing is outstanding. Of images that are incomplete nobody says from where the rest comes.
fn is_even(peer: &ReplicationPeer, incomplete_images: u64) -> bool {
    let left = [
        peer.events_behind,
        peer.bodies_outstanding,
        peer.bytes_outstanding,
        incomplete_images,
    ];
    left == [0; 4]
}

/// How much of a bar is filled: all of it only when it is done.
fn filled(here: u64, of: u64, is_done: bool) -> u64 {
    if is_done {
        return LENGTH;
    }
    let part = u128::from(here) * u128::from(LENGTH) / u128::from(of.max(1));
    let part = u64::try_from(part).unwrap_or(LENGTH);
    // One of its 32 places is empty.
    part.min(LENGTH - LENGTH / 32)
}

/// How many bytes are there, and of how many, in two columns; nothing while nobody knows of any.
fn bytes(here: u64, of: u64) -> String {
    match of {
        0 => format!("{:28}", ""),
        _ => {
            let (here, of) = (BinaryBytes(here).to_string(), BinaryBytes(of).to_string());
            format!("{here:>12} of {of:<12}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_full_only_when_nothing_is_outstanding() {
        assert_eq!(filled(0, 0, true), LENGTH);
        assert_eq!(filled(0, 0, false), 0);
        assert_eq!(filled(5, 10, false), LENGTH / 2);
        assert!(filled(10, 10, false) < LENGTH);
        assert!(filled(u64::MAX, 1, false) < LENGTH);
        assert_eq!(bytes(0, 0).trim(), "");
        assert_eq!(bytes(1_024, 2_048).trim(), "1.00 KiB of 2.00 KiB");
    }
}
