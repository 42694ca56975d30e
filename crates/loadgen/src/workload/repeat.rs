//! Cases that send prebuilt requests again and again.
//!
//! Owns the loop and the choice of the next request: all requests are built, and their answers'
//! status known, before the first block. Leaves to a [`Source`] what the requests are and how
//! their answers are checked.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Case, LoadError, Manner, Measures, Site, Verified};
use crate::client::CallError;
use crate::drive::{Block, Worker, drive};
use crate::registry::{Session, Template};
use crate::sample::Sample;

/// What a case repeats.
#[async_trait]
pub(super) trait Source: Send + Sync {
    /// Puts the data there if need be, and builds the requests.
    async fn deck(&self) -> Result<Deck, CallError>;

    /// Compares what the registry answers, body included, with what was put there.
    async fn check(&self, session: &mut Session) -> Result<Verified, CallError>;
}

/// Requests to draw from.
#[derive(Clone)]
pub(super) struct Deck {
    pub(super) templates: Arc<[Template]>,
    pub(super) draw: Draw,
}

#[derive(Clone)]
pub(super) enum Draw {
    Uniform,
    Zipf(Arc<Zipf>),
}

/// Zipf's law with exponent 1: the n-th is drawn 1/n as often as the first.
pub(super) struct Zipf {
    cumulated: Vec<f64>,
}

/// How one case differs from another.
#[derive(Clone)]
pub(super) struct Repeat {
    pub(super) name: String,
    pub(super) connections: u32,
    pub(super) wanted: StatusCode,
    pub(super) open_loop: bool,
    pub(super) source: Arc<dyn Source>,
}

/// One case.
pub(super) struct Repeats {
    site: Site,
    repeat: Repeat,
    deck: Option<Deck>,
    clients: Vec<Client>,
}

struct Client {
    session: Session,
    deck: Deck,
    wanted: StatusCode,
    random: ChaCha8Rng,
}

// === impl Repeats ===

impl Repeats {
    pub(super) fn case(site: &Site, repeat: Repeat) -> Box<dyn Case> {
        Box::new(Self {
            site: site.clone(),
            repeat,
            deck: None,
            clients: Vec::new(),
        })
    }
}

#[async_trait]
impl Case for Repeats {
    fn name(&self) -> String {
        self.repeat.name.clone()
    }

    fn manner(&self) -> Manner {
        Manner {
            open_loop: self.repeat.open_loop,
            limit: Duration::from_secs(3600),
            ..Manner::of(Measures::Operations)
        }
    }

    async fn prepare(&mut self) -> Result<(), LoadError> {
        self.deck = Some(self.repeat.source.deck().await?);
        Ok(())
    }

    async fn arm(&mut self) -> Result<(), LoadError> {
        let Some(deck) = &self.deck else {
            return Ok(());
        };
        for number in self.clients.len()..self.repeat.connections as usize {
            self.clients.push(Client {
                session: Session::open(&self.site.registry).await?,
                deck: deck.clone(),
                wanted: self.repeat.wanted,
                random: ChaCha8Rng::seed_from_u64(number as u64),
            });
        }
        for client in &mut self.clients {
            client.session.ping().await?;
        }
        Ok(())
    }

    async fn fire(&mut self, block: &Block) -> Result<Sample, LoadError> {
        Ok(drive(&mut self.clients, block).await?)
    }

    async fn verify(&mut self) -> Result<Verified, LoadError> {
        let mut session = Session::open(&self.site.registry).await?;
        Ok(self.repeat.source.check(&mut session).await?)
    }
}

// === impl Client ===

impl Worker for Client {
    async fn step(&mut self) -> Result<u64, CallError> {
        let template = self.deck.draw(&mut self.random);
        self.session
            .repeat(template, self.wanted, "a repeated request")
            .await
    }
}

// === impl Deck ===

impl Deck {
    fn draw(&self, random: &mut ChaCha8Rng) -> &Template {
        let number = match (&self.templates[..], &self.draw) {
            ([_], _) => 0,
            (templates, Draw::Uniform) => random.random_range(0..templates.len()),
            (templates, Draw::Zipf(zipf)) => zipf.draw(random).min(templates.len() - 1),
        };
        &self.templates[number]
    }
}

// === impl Zipf ===

impl Zipf {
    pub(super) fn over(count: u32) -> Self {
        let mut sum = 0.0;
        let cumulated = (1..=count)
            .map(|rank| {
                sum += 1.0 / f64::from(rank);
                sum
            })
            .collect();
        Self { cumulated }
    }

    fn draw(&self, random: &mut ChaCha8Rng) -> usize {
        let all = self.cumulated.last().copied().unwrap_or(0.0);
        let point = random.random::<f64>() * all;
        self.cumulated.partition_point(|sum| *sum <= point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_drawn_about_ten_times_as_often_as_the_tenth() {
        let zipf = Zipf::over(1000);
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut drawn = vec![0_u32; 1000];
        for _ in 0..200_000 {
            drawn[zipf.draw(&mut random)] += 1;
        }
        let ratio = f64::from(drawn[0]) / f64::from(drawn[9]);
        assert!((9.0..11.0).contains(&ratio), "{ratio}");
        assert!(drawn.iter().filter(|count| **count > 0).count() > 900);
    }
}
