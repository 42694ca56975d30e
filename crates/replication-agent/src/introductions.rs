//! Getting to know the other regions.
//!
//! Owns the way by which each region learns how the others see it: what they say of themselves comes with every
//! answer of how far they are, and goes into the state here when it says something new. Keeps the promise that
//! nothing is asked of a region, and merged, before both count on each other. The rules stand in the catalog;
//! the state judges again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use meridian_chassis::Spawner;
use meridian_clients::replica::{CursorAt, Meeting, Progress, Removal, Stance};
use meridian_clock::Region;
use meridian_error::chain;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::shell::Shell;

/// How often the state is asked whom it knows, when nobody says anything new.
const EVERY: Duration = Duration::from_secs(5);
/// The same, while somebody is not met.
const SOON: Duration = Duration::from_secs(1);
/// The same, for a while after something came of it, and how long that while is. A region that starts takes
/// pushes once it has met the others, which takes them three rounds.
const AT_ONCE: Duration = Duration::from_millis(100);
const LIVELY: Duration = Duration::from_secs(3);

/// How long one that is not met is waited for, so that it holds up no other one for longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Who is known.
pub(crate) struct Introductions {
    /// What each region said last.
    said: Mutex<BTreeMap<Region, Progress>>,
    news: Notify,
    open: watch::Sender<Open>,
    /// Why others are not met.
    reasons: Mutex<BTreeMap<Region, String>>,
    is_levelling: AtomicBool,
    /// When something came of an introduction last, or the agent began.
    lively: Mutex<Instant>,
}

/// To whom this region listens.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Open {
    /// The state has heard of no others: it forgets nothing, and whoever is asked may answer.
    All,
    Only(BTreeSet<Region>),
}

// === impl Introductions ===

impl Introductions {
    pub(crate) fn new() -> Self {
        Self {
            said: Mutex::default(),
            news: Notify::new(),
            open: watch::Sender::new(Open::Only(BTreeSet::new())),
            reasons: Mutex::default(),
            is_levelling: AtomicBool::new(false),
            lively: Mutex::new(Instant::now()),
        }
    }

    /// Takes in what a region says.
    pub(crate) fn hear(&self, progress: Progress) {
        let region = progress.region;
        let mut said = self.said();
        let old = said.insert(region, progress);
        let is_news = old.is_none_or(|old| !says_the_same(&old.stance, &said[&region].stance));
        drop(said);
        if is_news {
            self.news.notify_one();
        }
    }

    /// Whether this region listens to another one.
    pub(crate) fn is_open(&self, region: Region) -> bool {
        self.open.borrow().is_to(region)
    }

    /// Waits until this region listens to another one.
    pub(crate) async fn until_open(&self, region: Region) {
        let mut open = self.open.subscribe();
        // It ends with this value only.
        let _ended = open.wait_for(|open| open.is_to(region)).await;
    }

    /// Whether regions that are not met will be in a moment, as far as anybody can tell.
    pub(crate) fn is_lively(&self) -> bool {
        let lively = self.lively.lock().unwrap_or_else(PoisonError::into_inner);
        lively.elapsed() < LIVELY
    }

    /// Why this region does not listen to another one, if it does not.
    pub(crate) fn reason(&self, region: Region) -> Option<String> {
        let reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        reasons.get(&region).cloned()
    }

    /// Introduces until it is stopped.
    pub(crate) async fn run(shell: Arc<Shell>, spawner: Spawner, stop: CancellationToken) {
        loop {
            let introductions = &shell.introductions;
            let is_done = introductions.introduce(&shell, &spawner).await;
            let wait = match (is_done, introductions.is_lively()) {
                (true, _) => EVERY,
                (false, true) => AT_ONCE,
                (false, false) => SOON,
            };
            let news = tokio::time::timeout(wait, introductions.news.notified());
            if stop.run_until_cancelled(news).await.is_none() {
                return;
            }
        }
    }

    /// Tells the state what others say. Returns whether all are met.
    async fn introduce(&self, shell: &Arc<Shell>, spawner: &Spawner) -> bool {
        let Some(mut here) = own(shell).await else {
            return false;
        };
        let mut outdated = BTreeSet::new();
        let closed = here.stance.peers.iter().filter(|peer| !peer.is_open);
        join_all(closed.map(|peer| self.ask(shell, peer.region))).await;
        for peer in here.stance.peers.clone() {
            let Some(theirs) = self.said().get(&peer.region).cloned() else {
                continue;
            };
            if !is_news(&here, &theirs) {
                continue;
            }
            let met = shell.ports.replica.meet(peer.region, theirs.stance);
            match shell.in_time(met).await {
                Some(Ok(Meeting::Known)) => {
                    let mut lively = self.lively.lock().unwrap_or_else(PoisonError::into_inner);
                    *lively = Instant::now();
                }
                Some(Ok(Meeting::Outdated)) => drop(outdated.insert(peer.region)),
                Some(Err(error)) => {
                    let region = peer.region;
                    tracing::debug!(%region, %error, "the state does not get to know a region");
                }
                None => {}
            }
        }
        if let Some(now) = own(shell).await {
            here = now;
        }
        self.level(shell, spawner, &here);
        let mut is_done = here.stance.removals.is_empty() && !here.stance.is_joining;
        for peer in &here.stance.peers {
            let theirs = self.said().get(&peer.region).cloned();
            is_done &= peer.is_open;
            let reason = reason(&here, peer.region, theirs.as_ref(), &outdated);
            self.explain(peer.region, reason.filter(|_| !peer.is_open));
        }
        let open = Open::of(&here.stance);
        self.open
            .send_if_modified(|old| std::mem::replace(old, open) != *old);
        is_done
    }

    /// Asks a region how it sees the others, without waiting until it is asked how far it is.
    async fn ask(&self, shell: &Shell, region: Region) {
        let Some(peer) = shell.peer(region) else {
            return;
        };
        match tokio::time::timeout(PATIENCE, peer.progress()).await {
            Ok(Ok(progress)) if progress.region == region => {
                drop(self.said().insert(region, progress));
            }
            Ok(Err(error)) => {
                tracing::debug!(%region, %error, "a region does not say whom it knows");
            }
            _ => {}
        }
    }

    /// Brings in what others know of regions that were removed, one after the other.
    fn level(&self, shell: &Arc<Shell>, spawner: &Spawner, here: &Progress) {
        let said = self.said().clone();
        let mut removals = here.stance.removals.iter();
        let next = removals.find_map(|removal| {
            let theirs = said.get(&removal.with)?;
            has_removed(&theirs.stance, removal).then_some((*removal, theirs.clone()))
        });
        let Some((removal, theirs)) = next else {
            return;
        };
        if self.is_levelling.swap(true, Ordering::Relaxed) {
            return;
        }
        let (shell, here) = (Arc::clone(shell), here.clone());
        spawner.spawn_child("replication.level", async move {
            let Removal { removed, with, .. } = removal;
            if let Err(error) = level(&shell, &here, &theirs, removal).await {
                let error = chain(&*error);
                tracing::warn!(%removed, %with, error, "what a region knows of a removed one was not copied");
            }
            shell.introductions.is_levelling.store(false, Ordering::Relaxed);
            shell.introductions.news.notify_one();
        });
    }

    /// Notes why a region is not met, and says so once.
    fn explain(&self, region: Region, reason: Option<String>) {
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        if reasons.get(&region) == reason.as_ref() {
            return;
        }
        match reason {
            Some(reason) => {
                tracing::warn!(%region, reason, "this region and another one have not met");
                reasons.insert(region, reason);
            }
            None => {
                tracing::info!(%region, "this region and another one have met");
                reasons.remove(&region);
            }
        }
    }

    fn said(&self) -> MutexGuard<'_, BTreeMap<Region, Progress>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Open ===

impl Open {
    fn of(stance: &Stance) -> Self {
        if stance.peers.is_empty() {
            return Self::All;
        }
        if stance.is_joining {
            return Self::Only(BTreeSet::new());
        }
        let open = stance.peers.iter().filter(|peer| peer.is_open);
        Self::Only(open.map(|peer| peer.region).collect())
    }

    fn is_to(&self, region: Region) -> bool {
        match self {
            Self::All => true,
            Self::Only(regions) => regions.contains(&region),
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn level(
    shell: &Shell,
    here: &Progress,
    theirs: &Progress,
    removal: Removal,
) -> Result<(), Failure> {
    if !knows_all(&here.cursors, &theirs.cursors, removal.removed) {
        let Some(peer) = shell.peer(removal.with) else {
            return Err("the settings do not name it".into());
        };
        shell.copy_cells(&**peer).await?;
    }
    let level = shell.ports.replica.level(removal.removed, removal.with);
    level.await.map_err(Into::into)
}

async fn own(shell: &Shell) -> Option<Progress> {
    match shell.in_time(shell.ports.replica.progress()).await? {
        Ok(progress) => Some(progress),
        Err(error) => {
            tracing::debug!(%error, "the state does not say whom it knows");
            None
        }
    }
}

/// Whether what a region says differs in what others are to know of it. Its last version always does.
fn says_the_same(one: &Stance, other: &Stance) -> bool {
    one.born == other.born && one.peers == other.peers && one.is_joining == other.is_joining
}

/// Whether a region says something that the state here does not know.
fn is_news(here: &Progress, theirs: &Progress) -> bool {
    let known = here.stance.peers.iter();
    let Some(known) = known.clone().find(|it| it.region == theirs.region) else {
        return false;
    };
    let counts = theirs.stance.peers.iter();
    let counts = counts.clone().find(|it| it.region == here.region);
    let counts = counts.filter(|it| it.born.is_some() && it.born == here.stance.born);
    let is_accepted = counts.is_some_and(|it| it.accepted == Some(known.since));
    let is_open = known.accepted.is_some() && is_accepted;
    known.born != theirs.stance.born
        || known.accepted != counts.map(|it| it.since)
        || known.is_open != is_open
}

/// Whether a region has removed another one, too, so that it hears no more of that.
fn has_removed(stance: &Stance, removal: &Removal) -> bool {
    let mut peers = stance.peers.iter();
    let still = peers.find(|it| it.region == removal.removed);
    still.is_none_or(|it| it.born != removal.born)
}

/// Whether all that another region knows of a removed one is merged here, by the events of that.
fn knows_all(here: &[CursorAt], theirs: &[CursorAt], removed: Region) -> bool {
    let mut theirs = theirs.iter().filter(|it| it.origin == removed);
    theirs.all(|it| {
        let mut here = here.iter();
        let mine = here.find(|mine| (mine.origin, mine.shard) == (it.origin, it.shard));
        mine.is_some_and(|mine| mine.place >= it.place)
    })
}

/// Why a region is not met, and what to do.
fn reason(
    here: &Progress,
    region: Region,
    theirs: Option<&Progress>,
    outdated: &BTreeSet<Region>,
) -> Option<String> {
    let own = here.region;
    let Some(theirs) = theirs else {
        return Some("it has not answered yet".to_owned());
    };
    if outdated.contains(&region) {
        return Some(format!(
            "while {own} was removed there, it has forgotten deletions that {own} has not merged: begin anew here, with empty data directories of the metadata service"
        ));
    }
    let mut peers = theirs.stance.peers.iter();
    match peers.find(|it| it.region == own) {
        None => Some(format!(
            "it does not count on {own}: name {own}, [regions], in the settings of the metadata service there"
        )),
        Some(_) => Some(format!("it has not accepted {own} yet")),
    }
}

#[cfg(test)]
mod tests {
    use meridian_clients::replica::{Acquaintance, Place};
    use meridian_clock::Version;

    use super::*;

    fn region(name: &str) -> Region {
        name.parse().unwrap()
    }

    fn version(millis: u64) -> Version {
        Version {
            millis,
            counter: 0,
            region: region("eu"),
        }
    }

    fn knows(name: &str, born: Option<u64>, since: u64, accepted: Option<u64>) -> Acquaintance {
        Acquaintance {
            region: region(name),
            born: born.map(version),
            since: version(since),
            accepted: accepted.map(version),
            is_open: false,
        }
    }

    fn progress(name: &str, born: u64, peers: Vec<Acquaintance>) -> Progress {
        Progress {
            region: region(name),
            heads: Vec::new(),
            cursors: Vec::new(),
            stance: Stance {
                born: Some(version(born)),
                peers,
                ..Stance::default()
            },
        }
    }

    #[test]
    fn what_the_state_knows_is_no_news() {
        let us = progress("us", 1, vec![knows("eu", Some(2), 10, Some(20))]);
        assert!(!is_news(
            &us,
            &progress("eu", 2, vec![knows("us", Some(1), 20, None)])
        ));
        let news = [
            // It began anew.
            progress("eu", 3, vec![knows("us", Some(1), 20, None)]),
            // It has accepted.
            progress("eu", 2, vec![knows("us", Some(1), 20, Some(10))]),
            // It counts anew, or not at all, or on one that bore the name before.
            progress("eu", 2, vec![knows("us", Some(1), 21, None)]),
            progress("eu", 2, Vec::new()),
            progress("eu", 2, vec![knows("us", Some(9), 20, None)]),
        ];
        for (nth, theirs) in news.iter().enumerate() {
            assert!(is_news(&us, theirs), "{nth}");
        }
        assert!(
            !is_news(&us, &progress("asia", 5, Vec::new())),
            "not named here"
        );
    }

    #[test]
    fn one_that_has_no_others_listens_to_all() {
        let open = Open::of(&progress("us", 1, Vec::new()).stance);
        assert!(open.is_to(region("eu")));
        let mut joining = progress("us", 1, vec![knows("eu", None, 1, None)]).stance;
        assert!(!Open::of(&joining).is_to(region("eu")));
        joining.peers[0].is_open = true;
        assert!(Open::of(&joining).is_to(region("eu")));
        joining.is_joining = true;
        assert!(
            !Open::of(&joining).is_to(region("eu")),
            "others are to come"
        );
    }

    #[test]
    fn a_removed_region_is_level_when_nobody_knows_more() {
        let at = |shard, seq| CursorAt {
            origin: region("asia"),
            shard,
            place: Place { epoch: 1, seq },
        };
        assert!(knows_all(&[at(1, 5)], &[at(1, 5)], region("asia")));
        assert!(!knows_all(&[at(1, 5)], &[at(1, 6)], region("asia")));
        assert!(!knows_all(&[at(1, 5)], &[at(2, 1)], region("asia")));
        assert!(
            knows_all(&[], &[at(2, 1)], region("eu")),
            "others are not removed"
        );
        let removal = Removal {
            removed: region("asia"),
            born: Some(version(4)),
            with: region("eu"),
        };
        let still = progress("eu", 2, vec![knows("asia", Some(4), 1, None)]);
        assert!(!has_removed(&still.stance, &removal));
        let anew = progress("eu", 2, vec![knows("asia", Some(5), 1, None)]);
        assert!(has_removed(&anew.stance, &removal));
    }
}
