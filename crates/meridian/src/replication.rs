//! `meridian replication`: how far the regions are with each other's images, from the command line.
//!
//! Owns how that is followed: it is asked for again and again, and what may pass, such as a region
//! that does not answer, ends nothing.

mod bars;
mod name;

use std::fmt::Display;
use std::time::Duration;

use http::Method;
use meridian_clock::Region;
use meridian_error::chain;
use serde::Serialize;

use crate::cli::{self, ReplicationVerb, Target};
use crate::exit::Exit;
use crate::management::{
    Client, ClientError, ImageReplication, OtherRegions, Replication, Skip, Skipped,
};
use crate::verbs::{client, print};
use bars::Bars;

pub(crate) use name::ImageName;

/// How often it is asked for what is followed.
const EVERY: Duration = Duration::from_millis(250);

/// Who is asked, and how the answer is shown.
struct Asked {
    client: Client,
    target: Target,
}

/// `meridian replication`
pub(crate) async fn run(options: cli::Replication) -> Result<(), Exit> {
    let asked = Asked {
        client: client(&options.target)?,
        target: options.target,
    };
    match options.verb {
        ReplicationVerb::Status { image, watch } => match (image, watch) {
            (None, false) => print(&asked.target, &asked.all().await?),
            (None, true) => asked.follow_all().await,
            (Some(image), false) => {
                let status = asked.image(&image).await;
                let status = status.map_err(|error| refused(&image, &error))?;
                print(&asked.target, &status)
            }
            (Some(image), true) => {
                let status = asked.until_complete(&image, &[], &mut None, true).await?;
                asked.conclude(&status)
            }
        },
        ReplicationVerb::Skip { region, shard } => {
            print(&asked.target, &asked.skip(region, shard).await?)
        }
        ReplicationVerb::Wait {
            image,
            regions,
            timeout,
        } => asked.wait(&image, &regions, timeout).await,
        ReplicationVerb::Remove { region } => {
            let path = format!("/v1/replication/regions/{region}");
            let left: OtherRegions = asked.client.call(Method::DELETE, &path).await?;
            print(&asked.target, &left)
        }
    }
}

fn refused(image: &ImageName, error: &ClientError) -> Exit {
    Exit::unsuccessful(format!("{image}: {}", chain(error)))
}

// === impl Asked ===

impl Asked {
    async fn all(&self) -> Result<Replication, ClientError> {
        self.client.call(Method::GET, "/v1/replication").await
    }

    async fn image(&self, image: &ImageName) -> Result<ImageReplication, ClientError> {
        self.client.call(Method::GET, &image.path()).await
    }

    /// Has a shard go on behind the record at which it is stopped.
    async fn skip(&self, region: Region, shard: u16) -> Result<Skipped, ClientError> {
        let region = region.to_string();
        let skip = Skip { region, shard };
        self.client
            .tell(Method::POST, "/v1/replication/skips", &skip)
            .await
    }

    /// Follows everything, until somebody ends it.
    async fn follow_all(&self) -> Result<(), Exit> {
        let (mut bars, mut last) = (Bars::new(), None);
        loop {
            match self.all().await {
                Ok(status) if bars.are_seen() => bars.show_all(&status),
                Ok(status) => self.print_change(&mut last, status)?,
                Err(ClientError::Later(_)) => {}
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Waits so long until an image is complete in these regions.
    async fn wait(
        &self,
        image: &ImageName,
        regions: &[Region],
        timeout: Duration,
    ) -> Result<(), Exit> {
        let mut last = None;
        let complete = self.until_complete(image, regions, &mut last, false);
        match tokio::time::timeout(timeout, complete).await {
            Ok(status) => self.conclude(&status?),
            Err(_) => {
                let known = last.map_or_else(
                    || "nothing is known of it yet".to_owned(),
                    |status| status.to_string(),
                );
                Err(Exit::late(format!(
                    "{image} is not complete everywhere after {}: {known}",
                    humantime::format_duration(timeout)
                )))
            }
        }
    }

    /// Follows an image until it is complete in these regions, or in all. With `tells`, says where
    /// nobody sees bars how far it is.
    async fn until_complete(
        &self,
        image: &ImageName,
        regions: &[Region],
        last: &mut Option<ImageReplication>,
        tells: bool,
    ) -> Result<ImageReplication, Exit> {
        let mut bars = Bars::new();
        loop {
            match self.image(image).await {
                Ok(status) => {
                    judge(&status, regions)?;
                    bars.show_image(&status);
                    if status.is_complete(regions) {
                        return Ok(status);
                    }
                    match tells && !bars.are_seen() {
                        true => self.print_change(last, status)?,
                        false => *last = Some(status),
                    }
                }
                Err(ClientError::Later(_)) => {}
                Err(error) => return Err(refused(image, &error)),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Prints what is not as it was, if anything is.
    fn print_change<T>(&self, last: &mut Option<T>, status: T) -> Result<(), Exit>
    where
        T: Serialize + Display + PartialEq,
    {
        if last.as_ref() != Some(&status) {
            print(&self.target, &status)?;
            *last = Some(status);
        }
        Ok(())
    }

    fn conclude(&self, status: &ImageReplication) -> Result<(), Exit> {
        print(&self.target, status)
    }
}

/// Whether the regions are there that are meant.
fn judge(status: &ImageReplication, regions: &[Region]) -> Result<(), Exit> {
    let known = || status.regions.iter().map(|row| row.region.as_str());
    let mut unknown = regions
        .iter()
        .filter(|it| !known().any(|name| name == it.as_str()));
    match unknown.next() {
        None => Ok(()),
        Some(region) => {
            let known: Vec<_> = known().collect();
            let known = known.join(", ");
            Err(Exit::misconfigured(format!(
                "--regions: there is no region {region}; there are {known}"
            )))
        }
    }
}
