//! `meridian dev --regions`, as a child process.

use std::path::PathBuf;

use crate::registry::Client;
use crate::{Dev, DevBuilder};

/// Several regions of one process, which replicate each other.
#[derive(Debug)]
pub struct Regions {
    dev: Dev,
    /// Each region, and where it serves clients, in the order in which they were named.
    bases: Vec<(String, String)>,
}

// === impl Regions ===

impl Regions {
    /// Starts them with their data in `data_dir`, and `wan` between them if that is something, and
    /// waits until all serve.
    pub fn start(names: &[&str], data_dir: impl Into<PathBuf>, wan: Option<&str>) -> Self {
        let builder = DevBuilder::new(data_dir);
        let builder = match wan {
            Some(wan) => builder.arg("--wan").arg(wan),
            None => builder,
        };
        Self::start_with(builder, names)
    }

    /// Starts what `builder` would, as several regions, and waits until all serve.
    pub fn start_with(builder: DevBuilder, names: &[&str]) -> Self {
        let dev = builder.arg("--regions").arg(&names.join(",")).start();
        let mut bases = vec![(names[0].to_owned(), dev.base().to_owned())];
        for name in &names[1..] {
            let base = dev.place(&format!("region {name} listens"));
            bases.push(((*name).to_owned(), base));
        }
        Self { dev, bases }
    }

    /// Where a region serves, such as `http://127.0.0.1:41234`.
    pub fn base(&self, region: &str) -> &str {
        let found = self.bases.iter().find(|(name, _)| name == region);
        &found.expect("it was named").1
    }

    /// Where all of them serve.
    pub fn bases(&self) -> impl Iterator<Item = &str> {
        self.bases.iter().map(|(_, base)| base.as_str())
    }

    /// A client of a region.
    pub fn client(&self, region: &str) -> Client {
        Client::new(self.base(region))
    }

    /// The process.
    pub const fn process(&self) -> &Dev {
        &self.dev
    }

    /// Hands the process over.
    pub fn into_process(self) -> Dev {
        self.dev
    }
}
