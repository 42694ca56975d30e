//! Questions: what the state knows and misses, and what a peer has.

use std::collections::BTreeSet;
use std::sync::Arc;

use meridian_clients::replica::{Content, ContentKind, Presence};
use meridian_clock::Region;
use meridian_replication::{Body, Kind, Known, Page, Want};

use super::{Shell, content};

impl Shell {
    pub(super) async fn check(self: Arc<Self>, id: u64, wants: Vec<Want>) {
        let contents: Vec<_> = wants.iter().map(content).collect();
        let looked = self.in_time(self.ports.replica.look(&contents)).await;
        let answers = match looked {
            Some(Ok(presences)) => {
                let mut answers = Vec::with_capacity(wants.len());
                for (want, presence) in wants.iter().zip(presences) {
                    answers.push((want.body, self.known(want, presence).await));
                }
                answers
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "the state does not say what it has");
                Vec::new()
            }
            None => Vec::new(),
        };
        self.engine.tell(|agent, now| agent.known(now, id, answers));
    }

    /// What is known of a body; of one that is not here, also which parts are.
    async fn known(&self, want: &Want, presence: Presence) -> Known {
        Known::Absent {
            is_wanted: match presence {
                Presence::Here => return Known::Here,
                Presence::Wanted => true,
                Presence::Absent => false,
            },
            parts: self.spool.left(&want.body, want.size).await,
        }
    }

    pub(super) async fn scan(self: Arc<Self>, after: Option<Body>, limit: usize) {
        // Before it is known who else works, all that is missing would be this agent's.
        self.crew.until_known().await;
        let after = after.map(|body| (body.registry, body.digest));
        let wanted = self.in_time(self.ports.replica.wanted(after, limit)).await;
        let page = match wanted {
            Some(Ok(found)) => {
                let is_full = found.len() >= limit;
                let found: Vec<_> = found.into_iter().map(want).collect();
                let through = found.last().map(|want| want.body).filter(|_| is_full);
                // Of what is merely pointed at, nobody knows how long it is before its event comes.
                let is_known = |want: &Want| want.kind == Kind::Blob || want.size > 0;
                let is_ours = |want: &Want| self.crew.fetches(want.body.registry, &want.repository);
                let found = found.into_iter().filter(|it| is_known(it) && is_ours(it));
                let found = found.collect();
                Some(Page { found, through })
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "the state does not say what it misses");
                None
            }
            None => None,
        };
        self.engine
            .tell(|agent, now| agent.scanned(now, page.as_ref()));
    }

    pub(super) async fn ask(self: Arc<Self>, region: Region, wants: Vec<Want>) {
        let held = self.held(region, &wants).await;
        self.engine
            .tell(|agent, now| agent.answered(now, region, held.as_ref()));
    }

    async fn held(&self, region: Region, wants: &[Want]) -> Option<BTreeSet<Body>> {
        let contents: Vec<_> = wants.iter().map(content).collect();
        let asked = self.in_time(self.peer(region)?.holds(&contents)).await?;
        let held = asked
            .inspect_err(
                |error| tracing::debug!(%region, %error, "a region does not say what it has"),
            )
            .ok()?;
        let held = wants.iter().zip(held).filter(|(_, held)| held.is_some());
        Some(held.map(|(want, _)| want.body).collect())
    }
}

fn want(content: Content) -> Want {
    Want {
        body: Body {
            registry: content.registry,
            digest: content.leaf.digest,
        },
        kind: match content.kind {
            ContentKind::Manifest => Kind::Manifest,
            ContentKind::Blob => Kind::Blob,
        },
        size: content.leaf.size,
        repository: content.repository,
        holders: Vec::new(),
    }
}
