//! What a bench found: as a table, as JSON, as Markdown.
//!
//! Owns the summary of rows. A ratio is the median of the ratios of pairs, with its interval;
//! pairs that the gate dropped do not count, unless too few are left, and then the row says so.
//! Losses are printed like gains.

mod header;
mod markdown;
mod summary;
mod table;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;

pub(crate) use header::Header;
pub(crate) use table::write_row;

use crate::bench::{Outcome, Row};
use crate::canary::Song;
use crate::statistics::median;
use summary::{Line, lines};

/// A bench as far as it has come.
pub(crate) struct Report {
    header: Header,
    rows: Vec<Section>,
}

/// A row with its summary.
#[derive(Serialize)]
pub(crate) struct Section {
    #[serde(flatten)]
    row: Row,
    summary: Vec<Line>,
}

/// What is written.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    header: &'a Header,
    /// Where the servers' CPU time was read.
    cpu_source: &'static str,
    /// CPU seconds that SHA-256 of one GB takes here: the floor of every push.
    hash_s_per_gb: Option<f64>,
    rows: &'a [Section],
}

// === impl Report ===

impl Report {
    pub(crate) fn new(header: Header) -> Self {
        Self {
            header,
            rows: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, row: Row) {
        self.rows.push(Section {
            summary: lines(&row),
            row,
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether every row was measured and verified.
    pub(crate) fn is_whole(&self) -> bool {
        let verified = |section: &Section| matches!(section.row.outcome, Outcome::Verified(_));
        self.rows.iter().all(verified)
    }

    /// Writes `bench.json` and `bench.md` into `folder`, over those of earlier.
    pub(crate) fn save(&self, folder: &Path) -> io::Result<()> {
        let document = self.document();
        let mut json = BufWriter::new(File::create(folder.join("bench.json"))?);
        serde_json::to_writer_pretty(&mut json, &document)?;
        json.write_all(b"\n")?;
        json.flush()?;
        let mut page = BufWriter::new(File::create(folder.join("bench.md"))?);
        markdown::write(&mut page, &document)?;
        page.flush()
    }

    fn document(&self) -> Document<'_> {
        let pairs = || self.rows.iter().flat_map(|section| &section.row.pairs);
        let songs = pairs().flat_map(|pair| &pair.canaries);
        let mut hashes: Vec<f64> = songs.map(Song::hash_s_per_gb).collect();
        Document {
            header: &self.header,
            cpu_source: pairs().next().map_or("nowhere", |it| it.ours.cpu_source),
            hash_s_per_gb: median(&mut hashes),
            rows: &self.rows,
        }
    }
}
