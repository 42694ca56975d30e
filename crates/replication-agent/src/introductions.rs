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
use meridian_clients::replica::{Acquaintance, Meeting, Progress, Removal, Stance};
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
    /// What those said whom this region is behind.
    outdated: Mutex<BTreeMap<Region, Vec<Acquaintance>>>,
    is_copying: AtomicBool,
    /// When something came of an introduction last, or the agent began.
    lively: Mutex<Instant>,
}

/// A copy that goes on.
struct Copying<'i>(&'i Introductions);

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
            outdated: Mutex::default(),
            is_copying: AtomicBool::new(false),
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
        self.lively().elapsed() < LIVELY
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
            if self.is_known_to_be_outdated(&theirs) {
                outdated.insert(peer.region);
                continue;
            }
            let met = shell.ports.replica.meet(theirs.clone());
            match shell.in_time(met).await {
                Some(Ok(Meeting::Met)) => *self.lively() = Instant::now(),
                Some(Ok(Meeting::Known)) => {}
                Some(Ok(Meeting::Outdated)) => {
                    outdated.insert(peer.region);
                    self.outdated().insert(peer.region, theirs.stance.peers);
                }
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
        self.copy(shell, spawner, &here);
        let mut is_done = here.stance.removals.is_empty() && !here.stance.is_joining;
        for peer in &here.stance.peers {
            let theirs = self.said().get(&peer.region).cloned();
            is_done &= peer.is_open;
            let reason = reason(&here, peer.region, theirs.as_ref(), &outdated);
            self.explain(peer.region, reason.filter(|_| !peer.is_open));
        }
        let open = Open::of(&here.stance);
        let is_news = self.open.send_if_modified(|old| {
            let is_news = *old != open;
            *old = open;
            is_news
        });
        if is_news {
            // Another agent may have copied what this one is to fetch.
            shell.engine.tell(|agent, now| agent.search(now));
        }
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

    /// Copies what is to be copied, one region's state after the other's: of those that have forgotten what this
    /// region has never seen, and what others know of regions that were removed.
    fn copy(&self, shell: &Arc<Shell>, spawner: &Spawner, here: &Progress) {
        let mut peers = here.stance.peers.iter();
        let uncopied = peers.find(|peer| peer.is_open && peer.is_uncopied);
        let said = self.said();
        let mut removals = here.stance.removals.iter();
        let removal = removals.find(|removal| {
            let theirs = said.get(&removal.with);
            theirs.is_some_and(|theirs| is_due(here, &theirs.stance, removal))
        });
        drop(said);
        let (uncopied, removal) = (uncopied.map(|peer| peer.region), removal.copied());
        if here.stance.is_joining || (uncopied.is_none() && removal.is_none()) {
            return;
        }
        if !shell.crew.copies() {
            return;
        }
        if self.is_copying.swap(true, Ordering::Relaxed) {
            return;
        }
        let (shell, here) = (Arc::clone(shell), here.clone());
        spawner.spawn_child("replication.introductions.copy", async move {
            let _copying = Copying(&shell.introductions);
            let copied = match (uncopied, removal) {
                (Some(region), _) => shell.copy_anew(region).await,
                (None, Some(removal)) => level(&shell, &here, removal).await,
                (None, None) => Ok(()),
            };
            match copied {
                Ok(()) => shell.introductions.news.notify_one(),
                Err(error) => {
                    let error = chain(&*error);
                    tracing::warn!(
                        error,
                        "the state of a region that is to be met was not copied"
                    );
                }
            }
        });
    }

    /// Whether a region said the same when it was found to be outdated. Nothing but a new start changes that.
    fn is_known_to_be_outdated(&self, theirs: &Progress) -> bool {
        self.outdated().get(&theirs.region) == Some(&theirs.stance.peers)
    }

    fn outdated(&self) -> MutexGuard<'_, BTreeMap<Region, Vec<Acquaintance>>> {
        self.outdated.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lively(&self) -> MutexGuard<'_, Instant> {
        self.lively.lock().unwrap_or_else(PoisonError::into_inner)
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
        let open = stance.peers.iter();
        let open = open.filter(|peer| peer.is_open && !peer.is_uncopied);
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

impl Drop for Copying<'_> {
    fn drop(&mut self) {
        self.0.is_copying.store(false, Ordering::Relaxed);
    }
}

/// Brings in what another region knows of a removed one, or notes that it has done the same.
async fn level(shell: &Shell, here: &Progress, removal: Removal) -> Result<(), Failure> {
    let peer = shell.peer(removal.with);
    let peer =
        peer.ok_or("the settings do not name a region that may know more of a removed one")?;
    // What it said a while ago may not be so any more.
    let theirs = tokio::time::timeout(PATIENCE, peer.progress()).await??;
    if !is_due(here, &theirs.stance, &removal) {
        return Err("it is not removed everywhere any more".into());
    }
    if !removal.is_copied {
        shell.copy_cells(&**peer).await?;
    }
    let level = shell.ports.replica.level(removal);
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
    if theirs.stance.born.is_none() {
        // It has heard of nobody yet.
        return false;
    }
    let counts = theirs.stance.peers.iter();
    let counts = counts.clone().find(|it| it.region == here.region);
    let counts = counts.filter(|it| it.born.is_some() && it.born == here.stance.born);
    let is_accepted = counts.is_some_and(|it| it.accepted == Some(known.since));
    let is_open = known.accepted.is_some() && is_accepted;
    known.born != theirs.stance.born
        || known.accepted != counts.map(|it| it.since)
        || known.is_open != is_open
}

/// Whether the next step can be taken towards two regions' knowing the same of a removed one: to copy, once the
/// other one hears no more of it; and to have done with it, once that has copied, too.
fn is_due(here: &Progress, theirs: &Stance, removal: &Removal) -> bool {
    let mut waits = theirs.removals.iter();
    let waits =
        waits.any(|it| (it.removed, it.with) == (removal.removed, here.region) && !it.is_copied);
    let is_met = here.stance.peers.iter();
    let is_met = is_met
        .clone()
        .any(|it| it.region == removal.with && it.is_open);
    is_met && has_removed(theirs, removal) && !(removal.is_copied && waits)
}

/// Whether a region has removed another one, too, so that it hears no more of that.
fn has_removed(stance: &Stance, removal: &Removal) -> bool {
    let mut peers = stance.peers.iter();
    let still = peers.find(|it| it.region == removal.removed);
    // One that bears its name now is another one.
    still.is_none_or(|it| removal.born.is_some() && it.born > removal.born)
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
            "it has forgotten deletions that {own} has not merged, or has not merged all that {own} did, while it did not count on {own}: {own} must begin anew, with empty data directories of its metadata service"
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
    use meridian_clients::replica::Acquaintance;
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
            is_uncopied: false,
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
    fn regions_wait_for_each_other_until_they_know_the_same_of_a_removed_one() {
        let removal = |with: &str, is_copied| Removal {
            removed: region("asia"),
            born: Some(version(4)),
            with: region(with),
            is_copied,
        };
        let mut eu = knows("eu", Some(2), 10, Some(20));
        eu.is_open = true;
        let us = progress("us", 1, vec![eu]);
        let theirs = |born, removals| Stance {
            peers: vec![knows("asia", born, 1, None)],
            removals,
            ..Stance::default()
        };
        let gone = |removals| Stance {
            removals,
            ..Stance::default()
        };
        let copy = removal("eu", false);
        assert!(
            !is_due(&us, &theirs(Some(4), Vec::new()), &copy),
            "it is there still"
        );
        assert!(
            !is_due(&us, &theirs(None, Vec::new()), &copy),
            "perhaps it is"
        );
        assert!(
            is_due(&us, &theirs(Some(5), Vec::new()), &copy),
            "that is another one"
        );
        assert!(is_due(&us, &gone(vec![removal("us", false)]), &copy));
        let done = removal("eu", true);
        assert!(
            !is_due(&us, &gone(vec![removal("us", false)]), &done),
            "it copies still"
        );
        assert!(is_due(&us, &gone(vec![removal("us", true)]), &done));
        assert!(is_due(&us, &gone(Vec::new()), &done));
        let alone = progress("us", 1, Vec::new());
        assert!(
            !is_due(&alone, &gone(Vec::new()), &copy),
            "they have not met"
        );
    }
}
