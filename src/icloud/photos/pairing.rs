//! Joining masters and assets, across pages.
//!
//! A page brings all its masters, then all its assets, usually in pairs, but nobody promises
//! that. What finds no partner waits here for a later page. Both waiting rooms are bounded:
//! masters that wait too long are reported, and assets have their masters looked up.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::icloud::photos::answer::Entry;
use crate::icloud::photos::fields::Extras;
use crate::icloud::photos::record::{Half, Record, join};
use crate::model::asset::{Oddity, OddityKind, Page};

/// Most masters that wait for an asset: ten pages of nothing else.
const MASTERS_MAX: usize = 2000;

/// What a page held. Masters and assets count once each, however often they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) records: u64,
    pub(super) masters: u64,
    /// By name.
    pub(super) assets: HashSet<String>,
}

/// An asset whose master has not come yet.
struct Waiting {
    name: String,
    master: String,
    raw: Box<str>,
}

/// Records that found no partner yet, kept as text: a few at most, and read again when it comes.
#[derive(Default)]
pub(super) struct Pairing {
    masters: HashMap<String, Box<str>>,
    /// Names of waiting masters, oldest first; may name some that are gone.
    arrivals: VecDeque<String>,
    assets: Vec<Waiting>,
    /// Records were asked for their cameras: where one says nothing of it, there is none.
    asks_camera: bool,
}

/// Records of one answer, read.
struct Sorted<'a> {
    masters: Vec<Record<'a>>,
    /// Each once.
    assets: Vec<Record<'a>>,
}

/// A master of one answer.
struct Master<'r, 'a> {
    record: &'r Record<'a>,
    /// Whether an asset points to it.
    used: bool,
}

impl Pairing {
    /// For records that are asked for with these fields.
    pub(super) fn of(extras: Extras) -> Self {
        Self { asks_camera: extras.camera, ..Self::default() }
    }

    /// How many assets wait for their master.
    pub(super) fn waiting_assets(&self) -> usize {
        self.assets.len()
    }

    /// The masters that are waited for, each once.
    pub(super) fn wanted_masters(&self) -> Vec<String> {
        let mut seen = HashSet::new();
        self.assets.iter().map(|asset| &asset.master).filter(|name| seen.insert(*name)).cloned().collect()
    }

    /// Takes the records of one answer and adds to `page` what they complete.
    ///
    /// `place` names the answer, for records that have no name of their own.
    pub(super) fn take(&mut self, entries: Vec<Entry<'_>>, place: &str, now: i64, page: &mut Page) -> Tally {
        let records = entries.len() as u64;
        let (sorted, assets) = sort(entries, place, &mut page.oddities);
        let unused = |record| (Record::name(record), Master { record, used: false });
        let mut masters: HashMap<_, _> = sorted.masters.iter().map(unused).collect();
        for asset in &sorted.assets {
            let Some(master) = asset.master_name() else {
                let detail = "the asset names no master".to_owned();
                let record_name = asset.name().to_owned();
                page.oddities.push(Oddity { record_name, kind: OddityKind::MissingMaster, detail });
                continue;
            };
            if let Some(master) = masters.get_mut(master) {
                master.used = true;
                page.assets.push(join(asset, master.record, now, &mut page.oddities));
            } else if let Some(raw) = self.masters.remove(master) {
                if let Ok((_, master)) = Record::read(Entry::of(&raw), String::new) {
                    page.assets.push(join(asset, &master, now, &mut page.oddities));
                }
            } else {
                let (name, master) = (asset.name().to_owned(), master.to_owned());
                self.assets.push(Waiting { name, master, raw: asset.raw.into() });
            }
        }
        self.serve_waiting(&mut masters, now, page);
        self.keep_masters(&masters, page);
        if self.asks_camera {
            page.assets.iter_mut().for_each(|asset| {
                asset.camera.get_or_insert_default();
            });
        }
        Tally { records, masters: masters.len() as u64, assets }
    }

    /// Completes assets of earlier pages whose master has come, and forgets those that came again.
    fn serve_waiting(&mut self, masters: &mut HashMap<&str, Master<'_, '_>>, now: i64, page: &mut Page) {
        if self.assets.is_empty() {
            return;
        }
        self.assets.retain(|waiting| {
            let Some(master) = masters.get_mut(waiting.master.as_str()) else { return true };
            master.used = true;
            let twice = page.assets.iter().any(|asset| asset.name.as_str() == waiting.name);
            if !twice && let Ok((_, asset)) = Record::read(Entry::of(&waiting.raw), String::new) {
                page.assets.push(join(&asset, master.record, now, &mut page.oddities));
            }
            false
        });
    }

    /// Keeps masters without an asset, and reports the oldest when there are too many.
    fn keep_masters(&mut self, masters: &HashMap<&str, Master<'_, '_>>, page: &mut Page) {
        for (&name, master) in masters {
            if master.used {
                self.masters.remove(name);
            } else if self.masters.insert(name.to_owned(), master.record.raw.into()).is_none() {
                self.arrivals.push_back(name.to_owned());
            }
        }
        while self.arrivals.len() > MASTERS_MAX {
            let Some(name) = self.arrivals.pop_front() else { break };
            if self.masters.remove(&name).is_some() {
                page.oddities.push(orphan(name));
            }
        }
    }

    /// Gives up on the assets that wait for `masters`, for the reasons given by name.
    pub(super) fn give_up(&mut self, masters: &[String], reasons: &[Oddity], page: &mut Page) {
        self.assets.retain(|waiting| {
            if !masters.contains(&waiting.master) {
                return true;
            }
            let reason = reasons.iter().find(|oddity| oddity.record_name == waiting.master);
            let reason = reason.map_or("the look-up does not know it", |oddity| oddity.detail.as_str());
            page.oddities.push(Oddity {
                record_name: waiting.name.clone(),
                kind: OddityKind::MissingMaster,
                detail: format!("master {}: {reason}", waiting.master),
            });
            false
        });
    }

    /// Reports all masters that no asset came for.
    pub(super) fn finish(&mut self, page: &mut Page) {
        for name in std::mem::take(&mut self.arrivals) {
            if self.masters.remove(&name).is_some() {
                page.oddities.push(orphan(name));
            }
        }
    }
}

fn orphan(record_name: String) -> Oddity {
    let detail = "no asset points to this master".to_owned();
    Oddity { record_name, kind: OddityKind::OrphanMaster, detail }
}

/// Sorts the records of an answer, and gives the names of its assets.
fn sort<'a>(
    entries: Vec<Entry<'a>>,
    place: &str,
    oddities: &mut Vec<Oddity>,
) -> (Sorted<'a>, HashSet<String>) {
    let half = entries.len() / 2;
    let mut sorted = Sorted { masters: Vec::with_capacity(half), assets: Vec::with_capacity(half) };
    let mut seen = HashSet::with_capacity(half);
    for (index, entry) in entries.into_iter().enumerate() {
        match Record::read(entry, || format!("{place}, record {index}")) {
            Ok((Half::Master, master)) => sorted.masters.push(master),
            Ok((Half::Asset, asset)) => {
                if seen.insert(asset.name().to_owned()) {
                    sorted.assets.push(asset);
                }
            }
            Err(oddity) => oddities.push(oddity),
        }
    }
    (sorted, seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master(name: &str) -> String {
        let file = r#"{"value":{"fileChecksum":"AAEC","size":1},"type":"ASSETID"}"#;
        format!(r#"{{"recordName":"{name}","recordType":"CPLMaster","fields":{{"resOriginalRes":{file}}}}}"#)
    }

    fn asset(name: &str, master: &str) -> String {
        let reference = format!(r#"{{"value":{{"recordName":"{master}"}},"type":"REFERENCE"}}"#);
        format!(r#"{{"recordName":"{name}","recordType":"CPLAsset","fields":{{"masterRef":{reference}}}}}"#)
    }

    /// Takes a page and names what came of it.
    fn take(pairing: &mut Pairing, records: &[String]) -> String {
        let mut page = Page::default();
        pairing.take(records.iter().map(|raw| Entry::of(raw)).collect(), "page", 0, &mut page);
        assert_eq!(page.oddities, []);
        page.assets.iter().map(|asset| asset.name.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn halves_find_each_other_in_any_order_and_across_pages() {
        let mut pairing = Pairing::default();
        // One master for two assets, the second of them before it.
        assert_eq!(take(&mut pairing, &[asset("a2", "m1"), asset("a1", "m1"), master("m1")]), "a2 a1");
        assert_eq!(take(&mut pairing, &[master("m2"), asset("a3", "m3")]), "");
        assert_eq!(pairing.wanted_masters(), ["m3"]);
        assert_eq!(take(&mut pairing, &[asset("a4", "m2"), master("m3"), asset("a5", "m1")]), "a4 a3");
        // A page that comes again completes nothing twice, and leaves nobody behind.
        assert_eq!(take(&mut pairing, &[master("m1"), asset("a5", "m1")]), "a5");
        assert_eq!(pairing.waiting_assets(), 0);
        let mut page = Page::default();
        pairing.finish(&mut page);
        assert_eq!(page.oddities, []);
    }

    #[test]
    fn waiting_masters_are_bounded_and_reported() {
        let mut pairing = Pairing::default();
        let masters: Vec<_> = (0..=MASTERS_MAX).map(|number| master(&format!("m{number}"))).collect();
        let mut page = Page::default();
        pairing.take(masters.iter().map(|raw| Entry::of(raw)).collect(), "page", 0, &mut page);
        assert_eq!(page.oddities.len(), 1);
        pairing.finish(&mut page);
        assert_eq!(page.oddities.len(), MASTERS_MAX + 1);
        assert!(page.oddities.iter().all(|oddity| oddity.kind == OddityKind::OrphanMaster));
    }
}
