//! A walk through a library, page by page.
//!
//! Pages are asked for by rank, newest first. A page's rank follows from the one before: as many
//! assets as came are done. When in doubt the walk steps short rather than far: a record that
//! comes twice is stored once, and one that was stepped over is lost.
//!
//! Ranks shift while the library changes. So each page is asked for one rank early: if its first
//! asset is the last one of the page before, nothing moved. If no asset is known, some were
//! deleted and others moved up into ranks that are done: the walk goes back. A page shorter than
//! others is asked for once more as soon as there turns out to be something behind it.
//!
//! What is added during the walk may be missed. The sync token of the first page is the point
//! from which it can be asked for. So nothing is asked for ahead of that page ([`Listing::look_ahead`]):
//! a page that is older than the token could hide a change that the token no longer tells.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::icloud::Client;
use crate::icloud::error::Error;
use crate::icloud::http::now;
use crate::icloud::photos::ahead::Ahead;
use crate::icloud::photos::answer::Entry;
use crate::icloud::photos::lookup::LOOKUP_NAMES_MAX;
use crate::icloud::photos::pairing::{Pairing, Tally};
use crate::icloud::photos::read_records;
use crate::icloud::wire;
use crate::model::asset::{Asset, Oddity, OddityKind, Page, Zone};

/// Records on a page: the most that the service gives. Two records make an asset.
pub(super) const PAGE_RECORDS: u32 = 200;
/// Ranks on a full page.
const PAGE_RANKS: u64 = 100;
/// How many empty pages in a row are seen when the service counts more than came: one, the same
/// once more, and five behind it.
const GAPS_SEEN_MAX: u32 = 6;
/// How often in a row the very same page may come, before the service counts as one that ignores
/// the rank and would go on for ever.
const REPEATS_MAX: u32 = 4;
/// How many pages in a row the walk goes back to find an asset that it knows. A thousand assets
/// deleted between two pages is no walk any more, but another library.
const BACKS_MAX: u32 = 10;
/// How often the walk goes back from one rank. Records that cannot be read look like a list that has
/// shifted, each time it comes by: without a limit it would go round for ever.
const LOST_AT_MAX: u32 = 3;
pub(super) const ENDPOINT: &str = "records/query";

/// The list that a walk goes through. What is deleted stands in neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Index {
    /// Everything that is not hidden.
    Visible,
    /// Everything that is.
    Hidden,
}

impl Index {
    /// Its name when it is listed.
    pub(super) fn listed(self) -> &'static str {
        match self {
            Self::Visible => "CPLAssetAndMasterByAssetDateWithoutHiddenOrDeleted",
            Self::Hidden => "CPLAssetAndMasterHiddenByAssetDate",
        }
    }

    /// Its name when it is counted.
    pub(super) fn counted(self) -> &'static str {
        match self {
            Self::Visible => "CPLAssetByAssetDateWithoutHiddenOrDeleted",
            Self::Hidden => "CPLAssetHiddenByAssetDate",
        }
    }
}

/// An enumeration of one library. It owns its place, so it can be moved to a task of its own
/// that asks for the next page while the last one is being stored.
pub struct Listing {
    client: Client,
    zone: Zone,
    index: Index,
    ahead: Ahead,
    rank: u64,
    phase: Phase,
    pairing: Pairing,
    /// The page before the current rank, and the names of all assets on it.
    before: Option<Step>,
    known: HashSet<String>,
    /// The names of the assets that the last page handed out.
    handed: HashSet<String>,
    /// The rank whose page overlapped more than it should, and was asked for again.
    doubted: Option<u64>,
    backs: u32,
    /// Assets on the fullest page so far.
    fullest: u64,
    /// Ranks that were gone back to.
    rechecked: HashSet<u64>,
    /// Ranks from which the walk went back, and how often.
    lost_at: HashMap<u64, u32>,
    gap: Option<Gap>,
    last_page: u64,
    repeats: u32,
    count: Option<u64>,
}

/// One page of the walk: where it began and what came.
#[derive(Clone, Copy, Debug)]
struct Step {
    rank: u64,
    assets: u64,
}

/// A run of empty pages.
#[derive(Clone, Copy, Debug)]
struct Gap {
    /// The rank of the first of them.
    from: u64,
    /// How many there were.
    pages: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// More pages may come.
    Walking,
    /// All pages came; partners that are missing are looked up.
    Ending,
    /// Nothing is left.
    Ended,
}

impl Client {
    /// Begins an enumeration of a library, from its newest asset.
    #[must_use]
    pub fn listing(&self, zone: &Zone, index: Index) -> Listing {
        Listing {
            client: self.clone(),
            zone: zone.clone(),
            index,
            ahead: Ahead::new(self.clone(), zone.clone(), index),
            rank: 0,
            phase: Phase::Walking,
            pairing: Pairing::of(self.extras()),
            before: None,
            known: HashSet::new(),
            handed: HashSet::new(),
            doubted: None,
            backs: 0,
            fullest: 0,
            rechecked: HashSet::new(),
            lost_at: HashMap::new(),
            gap: None,
            last_page: 0,
            repeats: 0,
            count: None,
        }
    }
}

impl Listing {
    /// How far the walk has come, in assets.
    #[must_use]
    pub fn rank(&self) -> u64 {
        self.rank
    }

    /// Allows to ask for pages before they are needed, in a list of about `count` assets.
    ///
    /// Call after the first page has come.
    pub fn look_ahead(&mut self, count: u64) {
        self.ahead.allow(count);
    }

    /// Fetches the next page; `None` when the library is through.
    ///
    /// The last pages may hold no asset that is new, only oddities. After an error the listing
    /// stands where it was, and may be asked again.
    /// # Errors
    /// [`Error`]; nothing is lost by it.
    pub async fn next(&mut self) -> Result<Option<Page>, Error> {
        if self.pairing.waiting_assets() >= LOOKUP_NAMES_MAX {
            return self.look_up_masters().await.map(Some);
        }
        let mut slipped = false;
        while self.phase == Phase::Walking {
            let mut page = Page::default();
            let fetched = match self.fetch(&mut page).await {
                // A page that breaks off is a slip the first time, and an error the second.
                Err(Error::Malformed { .. }) if !slipped => {
                    slipped = true;
                    continue;
                }
                fetched => fetched?,
            };
            match fetched {
                Fetched::Records => return Ok(Some(page)),
                Fetched::Nothing => self.after_an_empty_page().await?,
            }
        }
        if self.phase == Phase::Ended {
            return Ok(None);
        }
        if self.pairing.waiting_assets() > 0 {
            return self.look_up_masters().await.map(Some);
        }
        self.phase = Phase::Ended;
        let mut page = Page::default();
        self.pairing.finish(&mut page);
        Ok(Some(page).filter(|page| !page.oddities.is_empty()))
    }

    /// Fetches the page at the current rank and steps behind it.
    async fn fetch(&mut self, page: &mut Page) -> Result<Fetched, Error> {
        let is_behind_a_gap = self.gap.is_some_and(|gap| gap.from < self.rank);
        let start = if is_behind_a_gap { self.rank } else { self.rank.saturating_sub(1) };
        // Full pages that share one asset with the one before.
        let stride = self.fullest.saturating_sub(1);
        let answer = self.ahead.page(start, stride).await?;
        let text = wire::text_of(&answer);
        let answer = read_records(ENDPOINT, &text)?;
        let records = answer.records.ok_or_else(|| malformed("no records"))?;

        // Nothing is awaited from here on: a page is taken wholly or not at all.
        if records.is_empty() {
            return Ok(Fetched::Nothing);
        }
        self.count_repeats(&records)?;
        let mut taken = Page { sync_token: answer.sync_token.name().map(str::to_owned), ..Page::default() };
        let tally = self.pairing.take(records, &format!("rank {start}"), now(), &mut taken);
        let is_handed = |asset: &Asset| self.handed.contains(asset.name.as_str());
        if start < self.rank
            && tally.records <= 2
            && tally.assets.len() == 1
            && tally.assets.is_subset(&self.known)
            && taken.assets.iter().all(is_handed)
        {
            return Ok(Fetched::Nothing);
        }
        *page = taken;
        // What overlaps was handed out with the page before; what waited for its master was not.
        let handed = page.assets.iter().map(|asset| asset.name.0.clone()).collect();
        page.assets.retain(|asset| !self.handed.contains(asset.name.as_str()));
        page.oddities.retain(|oddity| !self.handed.contains(&oddity.record_name));
        self.handed = handed;
        if let Some(gap) = self.gap.take().filter(|gap| gap.from < self.rank) {
            page.oddities.push(Oddity {
                record_name: format!("rank {}", gap.from),
                kind: OddityKind::Malformed,
                detail: format!("the service gave empty pages up to rank {}, and more behind", self.rank),
            });
        }
        self.step(start, tally);
        Ok(Fetched::Records)
    }

    /// Moves behind the page that came from rank `start`, or back if something is wrong with it.
    fn step(&mut self, start: u64, tally: Tally) {
        let assets = tally.assets.len() as u64;
        self.fullest = self.fullest.max(assets);
        if start < self.rank && !self.known.is_empty() {
            let overlap = tally.assets.intersection(&self.known).count();
            let lost_at = self.lost_at.entry(self.rank).or_default();
            if overlap == 0 && start > 0 && self.backs < BACKS_MAX && *lost_at < LOST_AT_MAX {
                *lost_at += 1;
                self.backs += 1;
                self.rank = self.rank.saturating_sub(PAGE_RANKS).max(1);
                return;
            }
            // More is known than one asset: the list grew, or this is an older page once more.
            if overlap > 1 && self.backs == 0 && self.doubted != Some(self.rank) {
                self.doubted = Some(self.rank);
                return;
            }
        }
        self.backs = 0;
        if self.before.is_some_and(|before| before.assets < self.fullest && self.go_back_to(before)) {
            return;
        }
        self.before = Some(Step { rank: self.rank, assets });
        self.rank = (start + advance(&tally)).max(self.rank + 1);
        self.known = tally.assets;
    }

    /// Goes back to a page that may have been incomplete, unless that was done already.
    fn go_back_to(&mut self, step: Step) -> bool {
        if !self.rechecked.insert(step.rank) {
            return false;
        }
        self.rank = step.rank;
        self.before = None;
        self.known.clear();
        true
    }

    /// Ends a walk through pages that are all the same.
    fn count_repeats(&mut self, records: &[Entry<'_>]) -> Result<(), Error> {
        let mut digest = DefaultHasher::new();
        records
            .iter()
            .for_each(|entry| entry.name().unwrap_or_else(|| name_part(entry.raw)).hash(&mut digest));
        let digest = digest.finish();
        self.repeats = if digest == self.last_page { self.repeats + 1 } else { 0 };
        self.last_page = digest;
        if self.repeats < REPEATS_MAX { Ok(()) } else { Err(malformed("the same page again and again")) }
    }

    /// Decides whether an empty page is the end, a slip or a gap.
    ///
    /// If the service counts more than came, the last page is asked for again, then this one, and
    /// then those behind it.
    async fn after_an_empty_page(&mut self) -> Result<(), Error> {
        if self.count.is_none() {
            // The number is only asked for here: it lags behind, and most walks need it once.
            self.count = match self.client.count_of(&self.zone, self.index).await {
                Ok(count) => Some(count),
                // A zone that cannot be counted is probed like one that counts more.
                Err(Error::Malformed { .. } | Error::Server { .. }) => Some(u64::MAX),
                Err(error) => return Err(error),
            };
        }
        if self.count.is_some_and(|count| self.rank >= count) {
            self.phase = Phase::Ending;
            return Ok(());
        }
        if self.before.is_some_and(|before| self.go_back_to(before)) {
            return Ok(());
        }
        let mut gap = self.gap.unwrap_or(Gap { from: self.rank, pages: 0 });
        gap.pages += 1;
        match gap.pages {
            1 => {}
            2..=GAPS_SEEN_MAX => self.rank += PAGE_RANKS,
            _ => self.phase = Phase::Ending,
        }
        self.gap = Some(gap);
        Ok(())
    }

    /// Looks up masters that assets wait for; what remains missing is reported.
    async fn look_up_masters(&mut self) -> Result<Page, Error> {
        let mut names = self.pairing.wanted_masters();
        names.truncate(LOOKUP_NAMES_MAX);
        let answer = self.client.look_up_raw(&self.zone, &names, self.client.extras()).await?;
        let text = wire::text_of(&answer);
        let answer = read_records("records/lookup", &text)?;
        let mut page = Page::default();
        self.pairing.take(answer.records.unwrap_or_default(), "look-up", now(), &mut page);
        let reasons = std::mem::take(&mut page.oddities);
        self.pairing.give_up(&names, &reasons, &mut page);
        // What went wrong with the masters stands in the reasons; the rest is about assets.
        page.oddities.extend(reasons.into_iter().filter(|oddity| !names.contains(&oddity.record_name)));
        Ok(page)
    }
}

/// What came of asking for a page.
enum Fetched {
    Records,
    /// Nothing, or nothing but the asset that the page before ended with.
    Nothing,
}

fn malformed(detail: &str) -> Error {
    Error::Malformed { endpoint: ENDPOINT, detail: detail.to_owned() }
}

/// How many ranks a page covered: rather too few than too many.
fn advance(tally: &Tally) -> u64 {
    match (tally.assets.len() as u64, tally.masters) {
        (0, 0) => tally.records.div_ceil(2),
        (0, masters) => masters,
        (assets, _) => assets,
    }
}

/// What tells a record that cannot be read from others, and stays when its URLs change.
fn name_part(record: &str) -> &str {
    let from = record.find("\"recordName\"").unwrap_or(0);
    let end = record[from..].char_indices().nth(80).map_or(record.len(), |(end, _)| from + end);
    &record[from..end]
}
