//! How the regions get to know each other, lose each other, and come back.

use meridian_clock::Region as RegionName;
use meridian_event::SHARDS;
use rand::RngExt as _;

use super::region::Region;
use super::world::World;
use crate::apply::guard::{self, Guard};
use crate::{Command, Introduction, Refusal, Reply, query};

impl World {
    /// Tells a region which other ones there are.
    pub(super) fn name(&mut self, at: usize, regions: &[usize]) -> Result<(), String> {
        let names = regions.iter().map(|it| self.regions[*it].name);
        let peers = Command::SetPeers(names.collect());
        self.say(at, peers).map(drop)
    }

    /// Tells every region of all others.
    pub(super) fn introduce(&mut self) -> Result<(), String> {
        let all = self.members();
        for at in &all {
            self.name(*at, &all)?;
        }
        Ok(())
    }

    /// The regions that are not gone.
    pub(super) fn members(&self) -> Vec<usize> {
        let all = 0..self.regions.len();
        all.filter(|at| Some(*at) != self.gone).collect()
    }

    /// A region hears how another one sees it, perhaps as that was a while ago.
    pub(super) fn meet(&mut self, at: usize) -> Result<(), String> {
        let from = self.random.random_range(0..self.regions.len());
        if from == at {
            return Ok(());
        }
        if let Some(said) = self.introduction(at, from) {
            self.introductions.push((at, said));
        }
        for (at, said) in std::mem::take(&mut self.introductions) {
            if self.random.random_bool(0.5) {
                self.say(at, Command::Meet(Box::new(said)))?;
            } else {
                self.introductions.push((at, said));
            }
        }
        Ok(())
    }

    /// All regions hear how the others see them, until there is nothing new to hear. Returns who was found to
    /// be outdated.
    pub(super) fn meet_all(&mut self) -> Result<Vec<RegionName>, String> {
        self.introductions.clear();
        loop {
            let (mut is_busy, mut outdated) = (false, Vec::new());
            for at in 0..self.regions.len() {
                for from in 0..self.regions.len() {
                    let Some(said) = self.introduction(at, from).filter(|_| at != from) else {
                        continue;
                    };
                    match self.say(at, Command::Meet(Box::new(said)))? {
                        Reply::Done { .. } => is_busy = true,
                        Reply::Refused(Refusal::Outdated(_)) => {
                            outdated.push(self.regions[at].name)
                        }
                        _ => {}
                    }
                }
            }
            if !is_busy {
                return Ok(outdated);
            }
        }
    }

    /// What a region says of itself, and of another one.
    fn introduction(&self, at: usize, from: usize) -> Option<Introduction> {
        let Region { store, name, .. } = &self.regions[from];
        let to = self.regions[at].name;
        let known = query::acquaintances(store).unwrap();
        let known = known.iter().find(|it| it.region == to);
        let merged = (0..SHARDS).map(|shard| {
            let cursor = query::cursor(store, to, shard).unwrap();
            cursor.map(|cursor| (cursor.epoch, cursor.seq))
        });
        Some(Introduction {
            region: *name,
            born: query::born(store).unwrap()?,
            counted: known.map(|it| it.counted),
            last: query::system(store).unwrap()?.last,
            floors: query::floors(store).unwrap(),
            merged: merged.collect(),
        })
    }

    /// Whether a region listens to another one.
    pub(super) fn is_open(&self, at: usize, from: usize) -> bool {
        if !guard::stands(Guard::StrangersAreIgnored) {
            return true;
        }
        if query::is_joining(&self.regions[at].store).unwrap() {
            return false;
        }
        let known = query::acquaintances(&self.regions[at].store).unwrap();
        let from = self.regions[from].name;
        known.iter().any(|it| it.region == from && it.is_open)
    }

    /// A further region comes. The others name it one after the other, while all goes on; when all have met, it
    /// copies the state of one of them.
    pub(super) fn join(&mut self, name: &str, from: usize) -> Result<(), String> {
        let at = self.regions.len();
        self.regions.push(Region::new(name));
        self.begin(at)?;
        let all = self.members();
        self.name(at, &all)?;
        let mut others = all.clone();
        others.pop();
        for other in others {
            self.steps(25)?;
            self.name(other, &all)?;
            self.meet(at)?;
        }
        self.steps(25)?;
        self.meet_all()?;
        self.copy_forgetful(at)?;
        self.copy(at, from)
    }

    /// Copies those whose events are not merged before.
    fn copy_forgetful(&mut self, at: usize) -> Result<(), String> {
        for known in query::acquaintances(&self.regions[at].store).unwrap() {
            let mut others = 0..self.regions.len();
            let other = others.find(|it| self.regions[*it].name == known.region);
            if let Some(other) = other.filter(|_| known.is_uncopied && known.is_open) {
                self.copy(at, other)?;
            }
        }
        Ok(())
    }

    /// The others remove a region, of which one of them knows all and others may know less, and become alike in
    /// what they know of it. It writes on, and nobody hears of that.
    pub(super) fn remove(&mut self, at: usize) -> Result<(), String> {
        let mut all = self.members();
        all.retain(|it| *it != at);
        let witness = all[self.random.random_range(0..all.len())];
        self.deliver_all(witness)?;
        self.gone = Some(at);
        for _ in 0..3 {
            self.push(at)?;
        }
        for other in &all {
            self.name(*other, &all)?;
            self.steps(12)?;
        }
        self.level(&all)
    }

    /// Regions become alike in what they know of a removed one, while all goes on.
    fn level(&mut self, all: &[usize]) -> Result<(), String> {
        let mut is_left = true;
        while is_left {
            is_left = false;
            for at in all {
                for removal in query::removals(&self.regions[*at].store).unwrap() {
                    is_left = true;
                    self.steps(6)?;
                    let with = all
                        .iter()
                        .find(|it| self.regions[**it].name == removal.with);
                    let with = *with.ok_or("a region is level with a stranger")?;
                    let here = self.regions[*at].name;
                    let theirs = query::removals(&self.regions[with].store).unwrap();
                    let mut theirs = theirs.iter();
                    let waits = theirs.any(|it| {
                        (it.removed, it.with) == (removal.removed, here) && !it.is_copied
                    });
                    if !removal.is_copied {
                        self.copy(*at, with)?;
                    } else if waits {
                        continue;
                    }
                    let level = Command::Level {
                        removed: removal.removed,
                        born: removal.born,
                        with: removal.with,
                        is_done: removal.is_copied,
                    };
                    self.say(*at, level)?;
                }
            }
        }
        Ok(())
    }

    /// Lets up to so many things happen.
    fn steps(&mut self, most: u32) -> Result<(), String> {
        for _ in 0..self.random.random_range(0..most) {
            self.step()?;
        }
        Ok(())
    }

    /// A region that was removed comes back as it was, and is named again.
    pub(super) fn return_as_it_was(&mut self) -> Result<bool, String> {
        let back = self.gone.take().ok_or("nobody is gone")?;
        self.introduce()?;
        let outdated = self.meet_all()?;
        let is_back = self
            .members()
            .iter()
            .all(|it| *it == back || self.is_open(*it, back));
        let mut others = self.members().into_iter().filter(|it| *it != back);
        let hears = others.any(|it| self.is_open(back, it));
        if hears && !is_back {
            // Some have forgotten more than others: it is back for those alone, until it is removed once more.
            self.remove(back)?;
            return Ok(false);
        }
        if is_back != outdated.is_empty() && guard::stands(Guard::StrangersAreIgnored) {
            return Err(format!(
                "{outdated:?} are outdated, and it is back: {is_back}"
            ));
        }
        if !is_back {
            self.gone = Some(back);
        }
        Ok(is_back)
    }
}
