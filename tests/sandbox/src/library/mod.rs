//! The library: zones of assets, made from a seed and changed by hand.
//!
//! Promises: the same options give the same records, names and bytes; a change bumps the zone's
//! history, so that sync tokens serve it as a delta. How records travel is left to
//! [`crate::cloudkit`].

mod album;
mod build;
mod change;
mod handle;
mod item;
mod odd;
mod record;
mod truth;
mod view;
mod zone;

pub use album::TruthAlbum;
pub use change::Change;
pub use handle::LibraryHandle;
pub use item::{Kind, Rendition};
pub use truth::TruthFile;

pub(crate) use album::relation;
pub(crate) use build::Press;
pub(crate) use odd::Side;
pub(crate) use record::{Record, Wanted};
pub(crate) use view::{ALBUM, View};
pub(crate) use zone::{Database, Entry, Event, Origin, Zone};

use crate::checksum;
use crate::media::Content;
use crate::options::Options;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Names one version of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileKey {
    pub(crate) zone: u32,
    pub(crate) entry: u32,
    pub(crate) rendition: Rendition,
    /// Zero for what editing does not change.
    pub(crate) edits: u32,
}

impl FileKey {
    fn new(zone: u32, entry: u32, rendition: Rendition, edits: u32) -> Self {
        Self { zone, entry, rendition, edits: if rendition.is_on_asset() { edits } else { 0 } }
    }
}

/// What a record states about the bytes of a file.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// The checksum, as raw bytes.
    pub(crate) checksum: Arc<[u8]>,
    pub(crate) size_bytes: u64,
}

/// Checksums computed so far. They are all that is kept of a file.
#[derive(Debug, Default)]
pub(crate) struct Checksums {
    form: checksum::ChecksumForm,
    wrong: Option<Rendition>,
    known: Mutex<HashMap<FileKey, Facts>>,
}

impl Checksums {
    fn of(&self, key: FileKey, content: impl FnOnce() -> Content) -> Facts {
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return known.clone();
        }
        // Not under the lock: a large video takes a while.
        let content = content();
        let mut checksum = checksum::of(&content, self.form);
        if self.wrong == Some(key.rendition) {
            checksum.iter_mut().skip(1).for_each(|byte| *byte = !*byte);
        }
        let checksum = checksum.into();
        let facts = Facts { checksum, size_bytes: content.len() };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, facts.clone());
        facts
    }
}

/// Where a record name leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) side: Side,
    pub(crate) entry: u32,
}

/// Own assets that also lie in the shared library.
const OWN_SHARED: u32 = 2;

/// All zones of the account.
#[derive(Debug)]
pub(crate) struct Library {
    pub(crate) zones: Vec<Zone>,
    pub(crate) checksums: Checksums,
    views: Mutex<Views>,
    masters: Mutex<MasterNames>,
}

/// The entries of each view of each zone that was asked for.
type Views = HashMap<(u32, View), Arc<[u32]>>;

/// Master names are checksums, so finding one means having computed it.
#[derive(Debug, Default)]
struct MasterNames {
    known: HashMap<(u32, String), u32>,
    /// Per zone: entries from here on have not been looked at by a full walk.
    walked_to: HashMap<u32, u32>,
}

impl Library {
    pub(crate) fn new(options: &Options) -> Self {
        let mut primary = Zone::new(0, "PrimarySync".into(), Database::Private, options.assets, options);
        if options.large_video_mb.is_some() {
            primary.push(Entry::new(Origin::Added(Kind::LargeVideo, item::Item::newest_ms() + 1_000)));
        }
        if options.odd_records {
            primary.push_odd();
        }
        let mut zones = vec![primary];
        if options.shared_zone {
            let id = crate::noise::derive(options.seed, &[10]);
            let name = format!("SharedSync-{:08X}-5A11-4C0D-9E77-{:012X}", id >> 32, id & 0xffff_ffff_ffff);
            let others = (options.assets / 5).max(3);
            let mut shared = Zone::new(1, name, Database::Shared, others, options);
            for place in 0..OWN_SHARED.min(options.assets) {
                shared.push(Entry::new(Origin::Own(place)));
            }
            zones.push(shared);
        }
        let checksums = Checksums {
            form: options.checksum_form,
            wrong: options.wrong_checksums,
            known: Mutex::default(),
        };
        Self { zones, checksums, views: Mutex::default(), masters: Mutex::default() }
    }

    pub(crate) fn zone_at(&self, number: u32) -> Option<&Zone> {
        self.zones.get(number as usize)
    }

    /// The zone of a name in a database.
    pub(crate) fn zone(&self, database: Database, name: &str) -> Option<&Zone> {
        self.zones.iter().find(|zone| zone.database == database && zone.name == name)
    }

    /// The file an address names, if its entry was not purged.
    pub(crate) fn content(&self, key: &FileKey, options: &Options) -> Option<Content> {
        let zone = self.zone_at(key.zone)?;
        let entry = zone.entries.get(key.entry as usize).filter(|entry| !entry.is_purged)?;
        let item = zone.item(key.entry, options);
        let edits = if key.rendition.is_on_asset() { key.edits } else { entry.edits() };
        let file = item.files(edits).into_iter().find(|file| file.rendition == key.rendition)?;
        Some(item.content(&file, edits))
    }

    /// Finds the record of a name.
    pub(crate) fn find(&self, zone: &Zone, name: &str, press: &Press<'_>) -> Option<Found> {
        if let Some(entry) = zone.asset_number(name, press.options.seed) {
            return Some(Found { side: Side::Asset, entry });
        }
        let key = (zone.number, name.to_owned());
        let mut masters = self.masters.lock().unwrap_or_else(PoisonError::into_inner);
        if !masters.known.contains_key(&key) {
            let from = masters.walked_to.get(&zone.number).copied().unwrap_or(0);
            let to = u32::try_from(zone.entries.len()).unwrap_or(u32::MAX);
            for at in (from..to).filter(|at| zone.master_of(*at) == *at) {
                masters.known.insert((zone.number, press.master_name(zone, at)), at);
            }
            masters.walked_to.insert(zone.number, to);
        }
        masters.known.get(&key).map(|entry| Found { side: Side::Master, entry: *entry })
    }

    /// Remembers the name of a master that was served, so that finding it again is cheap.
    pub(crate) fn remember(&self, zone: u32, name: &str, entry: u32) {
        let mut masters = self.masters.lock().unwrap_or_else(PoisonError::into_inner);
        masters.known.insert((zone, name.to_owned()), entry);
    }

    /// The record a find led to, if it is still there.
    pub(crate) fn record(
        &self,
        zone: &Zone,
        found: Found,
        press: &Press<'_>,
        wanted: &Wanted,
    ) -> Option<Record> {
        if zone.entry(found.entry).is_purged {
            return None;
        }
        match found.side {
            Side::Master => press.master(zone, found.entry, wanted),
            Side::Asset => press.asset(zone, found.entry, wanted),
        }
    }
}
