//! `meridian replication`: how far the regions are with each other's images, from the command line.
//!
//! Owns how that is followed: it is asked for again and again, and what may pass, such as a region
//! that does not answer, ends nothing.

mod bars;
mod name;

use std::fmt::Display;
use std::time::Duration;

use http::Method;
use meridian_clock::{Region, Version};
use meridian_error::chain;
use serde::Serialize;
use tokio::time::Instant;

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

/// How long the first answer may take, however little time there is.
const ONCE: Duration = Duration::from_secs(10);

/// Who is asked, and how the answer is shown.
struct Asked {
    client: Client,
    target: Target,
}

/// What is followed.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    image: &'a ImageName,
    /// The value that is meant, or a newer one.
    version: Option<Version>,
    /// Where it is to be complete; everywhere, if none is named.
    regions: &'a [Region],
}

/// How it is followed, and what is known.
struct Followed<'a> {
    wanted: Wanted<'a>,
    bars: Bars,
    last: Option<ImageReplication>,
    /// Whether it is said where nobody sees bars.
    tells: bool,
}

/// `meridian replication`
pub(crate) async fn run(options: cli::Replication) -> Result<(), Exit> {
    let asked = Asked {
        client: client(&options.target)?,
        target: options.target,
    };
    match options.verb {
        ReplicationVerb::Status {
            image: None, watch, ..
        } => match watch {
            false => print(&asked.target, &asked.all().await?),
            true => asked.follow_all().await,
        },
        ReplicationVerb::Status {
            image: Some(image),
            version,
            watch,
        } => {
            let wanted = Wanted {
                image: &image,
                version,
                regions: &[],
            };
            let status = match watch {
                false => asked.image(wanted).await.map_err(|it| wanted.refused(it))?,
                true => {
                    asked
                        .until_complete(&mut Followed::new(wanted, true))
                        .await?
                }
            };
            print(&asked.target, &status)
        }
        ReplicationVerb::Skip { region, shard } => {
            print(&asked.target, &asked.skip(region, shard).await?)
        }
        ReplicationVerb::Wait {
            image,
            version,
            regions,
            timeout,
        } => {
            let wanted = Wanted {
                image: &image,
                version,
                regions: &regions,
            };
            asked.wait(wanted, timeout).await
        }
        ReplicationVerb::Remove { region } => {
            let path = format!("/v1/replication/regions/{region}");
            let left = asked.client.call(Method::DELETE, &path).await;
            let left: OtherRegions = left.map_err(|error| match error {
                // There is no such region.
                ClientError::Unknown(why) => Exit::misconfigured(why),
                error => error.into(),
            })?;
            print(&asked.target, &left)
        }
    }
}

// === impl Asked ===

impl Asked {
    async fn all(&self) -> Result<Replication, ClientError> {
        self.client.call(Method::GET, "/v1/replication").await
    }

    async fn image(&self, wanted: Wanted<'_>) -> Result<ImageReplication, ClientError> {
        let path = wanted.image.path(wanted.version);
        self.client.call(Method::GET, &path).await
    }

    /// Has a shard go on behind the record at which it is stopped.
    async fn skip(&self, region: Region, shard: u16) -> Result<Skipped, Exit> {
        let region = region.to_string();
        let skip = Skip { region, shard };
        let skipped = self
            .client
            .tell(Method::POST, "/v1/replication/skips", &skip);
        skipped.await.map_err(|error| match error {
            // There is no such region, or no such shard of it.
            ClientError::Malformed(why) => Exit::misconfigured(why),
            error => error.into(),
        })
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

    /// Waits so long until an image is complete. It is asked for once, however short that is.
    async fn wait(&self, wanted: Wanted<'_>, timeout: Duration) -> Result<(), Exit> {
        let deadline = Instant::now().checked_add(timeout);
        let mut followed = Followed::new(wanted, false);
        let first = tokio::time::timeout(timeout.max(ONCE), self.look(&mut followed)).await;
        if let Some(status) = first.unwrap_or(Ok(None))? {
            return print(&self.target, &status);
        }
        let complete = self.until_complete(&mut followed);
        let complete = match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, complete).await.ok(),
            None => Some(complete.await),
        };
        match complete {
            Some(status) => print(&self.target, &status?),
            None => Err(wanted.late(followed.last.as_ref(), timeout)),
        }
    }

    /// Follows an image until it is complete.
    async fn until_complete(&self, followed: &mut Followed<'_>) -> Result<ImageReplication, Exit> {
        loop {
            if let Some(status) = self.look(followed).await? {
                return Ok(status);
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Asks once. Returns the answer if the image is complete.
    async fn look(&self, followed: &mut Followed<'_>) -> Result<Option<ImageReplication>, Exit> {
        let wanted = followed.wanted;
        match self.image(wanted).await {
            Ok(status) => {
                judge(&status, wanted.regions)?;
                followed.bars.show_image(&status);
                if wanted.is_complete(&status) {
                    return Ok(Some(status));
                }
                match followed.tells && !followed.bars.are_seen() {
                    true => self.print_change(&mut followed.last, status)?,
                    false => followed.last = Some(status),
                }
                Ok(None)
            }
            Err(ClientError::Later(_)) => Ok(None),
            Err(error) => Err(wanted.refused(error)),
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
}

// === impl Wanted ===

impl Wanted<'_> {
    /// Whether it is complete where it is to be, and is what is meant: of a tag, a region that does not
    /// answer may know a newer value.
    fn is_complete(self, status: &ImageReplication) -> bool {
        status.is_complete(self.regions) && self.doubts(status).is_empty()
    }

    /// The regions that may know a newer value, if that is one that counts.
    fn doubts(self, status: &ImageReplication) -> Vec<&str> {
        match self.version.is_none() && self.image.is_tag() {
            true => status.silent(),
            false => Vec::new(),
        }
    }

    fn refused(self, error: ClientError) -> Exit {
        match error {
            ClientError::Malformed(why) => Exit::misconfigured(format!("{}: {why}", self.image)),
            error => Exit::unsuccessful(format!("{}: {}", self.image, chain(&error))),
        }
    }

    /// It took longer than this.
    fn late(self, last: Option<&ImageReplication>, timeout: Duration) -> Exit {
        let (image, timeout) = (self.image, humantime::format_duration(timeout));
        let Some(status) = last else {
            return Exit::late(format!(
                "{image} is not complete everywhere after {timeout}: nothing is known of it yet"
            ));
        };
        let doubts = self.doubts(status);
        let what = match status.is_complete(self.regions) {
            true => "may not be what was pushed last",
            false => "is not complete everywhere",
        };
        let mut line = format!("{image} {what} after {timeout}: {status}");
        if !doubts.is_empty() {
            let silent = doubts.join(", ");
            line.push_str(&format!(
                "\nno answer from {silent}, where a newer value of the tag may be known; --version says \
                 what to wait for, with `Meridian-Version` of the answer to the push"
            ));
        }
        Exit::late(line)
    }
}

// === impl Followed ===

impl<'a> Followed<'a> {
    fn new(wanted: Wanted<'a>, tells: bool) -> Self {
        Self {
            wanted,
            bars: Bars::new(),
            last: None,
            tells,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::management::{RegionImage, ReplicationState};

    fn status(states: &[(&str, ReplicationState)]) -> ImageReplication {
        let regions = states.iter().map(|(region, state)| RegionImage {
            region: (*region).to_owned(),
            state: *state,
            bytes_here: None,
            bytes_total: None,
            reason: None,
        });
        ImageReplication {
            registry: "default".to_owned(),
            repository: "app".to_owned(),
            reference: "latest".to_owned(),
            version: "5.0@eu".to_owned(),
            digest: None,
            bytes: 1,
            regions: regions.collect(),
        }
    }

    #[test]
    fn nobody_concludes_from_a_tag_that_a_silent_region_may_have_moved() {
        use ReplicationState::{Complete, Unreachable};
        let (tag, digest) = ("app", format!("app@sha256:{}", "a".repeat(64)));
        let (tag, digest) = (tag.parse().unwrap(), digest.parse().unwrap());
        let eu = ["eu".parse().unwrap()];
        let status = status(&[("eu", Complete), ("us", Unreachable)]);
        let wanted = |image, version| Wanted {
            image,
            version,
            regions: &eu,
        };
        assert!(!wanted(&tag, None).is_complete(&status));
        assert!(wanted(&tag, "5.0@eu".parse().ok()).is_complete(&status));
        assert!(wanted(&digest, None).is_complete(&status));
        let late = wanted(&tag, None).late(Some(&status), Duration::from_secs(8));
        let late = format!("{late:?}");
        assert!(late.contains("no answer from us"), "{late}");
        assert!(late.contains("--version"), "{late}");
    }
}
