//! A progress bar for each region, on a terminal; where there is none, nobody sees them.

use std::collections::BTreeMap;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::management::{ImageReplication, RegionImage, Replication, ReplicationState};

const FORM: &str = "{prefix:<16} {bar:32} {binary_bytes:>12} of {binary_total_bytes:<12} {msg}";

/// The bars.
pub(super) struct Bars {
    all: MultiProgress,
    regions: BTreeMap<String, ProgressBar>,
}

// === impl Bars ===

impl Bars {
    pub(super) fn new() -> Self {
        Self {
            all: MultiProgress::new(),
            regions: BTreeMap::new(),
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
            let bar = self.bar(&row.region);
            bar.set_length(of);
            bar.set_position(here);
            let state = row.state.to_string();
            bar.set_message(row.reason.clone().unwrap_or(state));
        }
    }

    /// Shows how far this region is with every other one. A bar is as long as what was outstanding at
    /// most since it is watched.
    pub(super) fn show_all(&mut self, status: &Replication) {
        for peer in &status.peers {
            let left = peer.bytes_outstanding;
            let bar = self.bar(&peer.region);
            let length = bar.length().unwrap_or_default().max(left);
            bar.set_length(length);
            bar.set_position(length - left);
            let events = peer.events_behind;
            bar.set_message(format!("{}, {events} events to come", peer.state()));
        }
    }

    fn bar(&mut self, region: &str) -> &ProgressBar {
        let all = &self.all;
        self.regions.entry(region.to_owned()).or_insert_with(|| {
            let style = ProgressStyle::with_template(FORM);
            let style = style.expect("the form is one that we made");
            let bar = all.add(ProgressBar::new(0).with_style(style));
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
