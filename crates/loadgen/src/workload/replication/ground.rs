//! The two places of a case, at work.

use std::ops::Range;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::arrivals::Arrivals;
use super::image::{LayeredImage, REPOSITORIES};
use super::path::Path;
use super::small;
use crate::client::CallError;
use crate::content::{Layer, Noise};
use crate::registry::Session;
use crate::server::Far;
use crate::workload::{LoadError, Site, Verified};

/// An image that has not arrived by then was brought by the first copy of the state, of which nothing is
/// told, or the regions have not found each other.
const PATIENCE: Duration = Duration::from_secs(3);
/// As many small images are read back.
const CHECKS: usize = 500;

/// Where images are pushed, and from where they come to the far place.
pub(super) struct Ground {
    pub(super) far: Far,
    pub(super) near: Session,
    pub(super) arrivals: Arrivals,
    next: u64,
}

/// The ground of a case, which is there once the case is prepared.
#[derive(Default)]
pub(super) struct Prepared(Option<Ground>);

// === impl Prepared ===

impl Prepared {
    pub(super) async fn open(&mut self, site: &Site, path: Path) -> Result<&mut Ground, LoadError> {
        Ok(self.0.insert(Ground::open(site, path).await?))
    }

    pub(super) fn get(&mut self) -> Result<&mut Ground, LoadError> {
        self.0.as_mut().ok_or(LoadError::NoFarPlace)
    }

    /// Has the connection to the near place be there when it is needed.
    pub(super) async fn ping(&mut self) -> Result<(), LoadError> {
        Ok(self.get()?.near.ping().await?)
    }
}

// === impl Ground ===

impl Ground {
    /// Puts the network between the places, and returns when images arrive over it.
    pub(super) async fn open(site: &Site, path: Path) -> Result<Self, LoadError> {
        let far = site.far.clone().ok_or(LoadError::NoFarPlace)?;
        far.wan.set(path.profile());
        let mut ground = Self {
            near: Session::open(&site.registry).await?,
            arrivals: Arrivals::begin(&far).await?,
            far,
            next: 1,
        };
        while !ground.first_arrives().await? {}
        Ok(ground)
    }

    async fn first_arrives(&mut self) -> Result<bool, LoadError> {
        let image = LayeredImage::new(self.number(), Vec::new());
        let number = self.push_from(0, &image).await?;
        let arrived = timeout(PATIENCE, self.arrivals.complete(number..number + 1)).await;
        self.arrivals.give_up();
        self.arrivals.close();
        match arrived {
            Ok(arrived) => Ok(arrived.map(|()| true)?),
            Err(_elapsed) => Ok(false),
        }
    }

    /// An image of one layer that no other has had.
    pub(super) fn image(&mut self, noise: &Noise, size: u64) -> LayeredImage {
        let number = self.number();
        LayeredImage::new(number, vec![Layer::new(noise, number, size)])
    }

    /// A number that no image has had.
    pub(super) fn number(&mut self) -> u64 {
        self.numbers(1).start
    }

    /// One whose image is in the same repository as that of the last one that this gave.
    pub(super) fn number_beside(&mut self) -> u64 {
        self.numbers(REPOSITORIES).start
    }

    /// So many of them.
    pub(super) fn numbers(&mut self, count: u64) -> Range<u64> {
        self.next += count;
        self.next - count..self.next
    }

    /// Pushes an image, less its layers before `first`, and waits until it has arrived.
    pub(super) async fn travel(
        &mut self,
        image: &LayeredImage,
        first: usize,
    ) -> Result<(), LoadError> {
        let number = self.push_from(first, image).await?;
        Ok(self.arrivals.complete(number..number + 1).await?)
    }

    /// Pushes it, and takes note of it.
    pub(super) async fn push_from(
        &mut self,
        first: usize,
        image: &LayeredImage,
    ) -> Result<u64, CallError> {
        image.push_from(first, &mut self.near).await?;
        self.arrivals.pushes().done(image.number, Instant::now());
        Ok(image.number)
    }

    /// Pulls images at the far place, while nothing comes from the near one.
    pub(super) async fn check(&self, images: &[LayeredImage]) -> Result<Verified, LoadError> {
        let mut session = self.far_alone().await?;
        for image in images {
            image.check(&mut session).await?;
        }
        self.far.wan.heal();
        let all = images.len() as u64;
        Ok(Verified {
            checked: all,
            of: all,
        })
    }

    /// The same of small images with these numbers, evenly spread.
    pub(super) async fn check_small(&self, numbers: &[u64]) -> Result<Verified, LoadError> {
        let mut session = self.far_alone().await?;
        let stride = numbers.len().div_ceil(CHECKS).max(1);
        let mut checked = 0;
        for number in numbers.iter().step_by(stride) {
            small::check(&mut session, *number).await?;
            checked += 1;
        }
        self.far.wan.heal();
        Ok(Verified {
            checked,
            of: numbers.len() as u64,
        })
    }

    /// A client there, where nothing can be had from elsewhere any more.
    pub(super) async fn far_alone(&self) -> Result<Session, CallError> {
        self.far.wan.cut();
        Session::open(&self.far.registry).await
    }
}
