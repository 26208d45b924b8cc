//! A zone: its assets, what happened to each, and the history that sync tokens point into.

use super::album::Album;
use super::item::{Item, Kind};
use super::odd::{self, Oddity};
use crate::noise;
use crate::options::Options;
use serde_json::{Value, json};

/// Apple's record names are random UUIDs: an odd factor scatters the numbers of entries, and its inverse gathers
/// them.
const SCRAMBLE: u32 = 0x9e37_79b1;
const UNSCRAMBLE: u32 = 0x0e8b_2f51;

/// The database a zone lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    Private,
    Shared,
}

/// Where an entry's item comes from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// The generator, by its place in the library.
    Generated(u32),
    /// Added by hand: a kind and a moment.
    Added(Kind, i64),
    /// An asset of the primary library that its owner also put here: the same master name in two zones.
    Own(u32),
    /// An item of another zone, as it was when it came here.
    Kept(Box<Item>),
    /// A further asset on the master of another entry.
    Twin(u32),
    /// An asset with an oddity.
    Odd(Box<Oddity>),
}

/// One asset and what happened to it since.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) origin: Origin,
    pub(crate) is_deleted: bool,
    pub(crate) is_hidden: bool,
    pub(crate) is_favorite: bool,
    pub(crate) is_purged: bool,
    /// Edits since the start; see [`Entry::edits`].
    pub(crate) edits: u32,
    /// They were undone.
    pub(crate) is_reverted: bool,
    /// Another file name, of the master.
    pub(crate) filename: Option<String>,
    /// Another date.
    pub(crate) dated_ms: Option<i64>,
    /// Changes since the start; the change tag tells them apart.
    pub(crate) changes: u32,
}

impl Entry {
    pub(crate) fn new(origin: Origin) -> Self {
        Self {
            origin,
            is_deleted: false,
            is_hidden: false,
            is_favorite: false,
            is_purged: false,
            edits: 0,
            is_reverted: false,
            filename: None,
            dated_ms: None,
            changes: 0,
        }
    }

    /// The edits that show.
    pub(crate) fn edits(&self) -> u32 {
        if self.is_reverted { 0 } else { self.edits }
    }
}

/// One step of a zone's history.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// An asset: one of its records, or both.
    Entry { entry: u32, asset: bool, master: bool },
    /// An album made by hand, by its place.
    Album(usize),
    /// Whether an asset lies in such an album.
    Member { album: usize, entry: u32 },
}

/// A library: the primary one, or a shared one.
#[derive(Debug)]
pub(crate) struct Zone {
    /// Its place among the zones; part of every seed.
    pub(crate) number: u32,
    pub(crate) name: String,
    pub(crate) owner: &'static str,
    pub(crate) database: Database,
    pub(crate) entries: Vec<Entry>,
    pub(crate) history: Vec<Event>,
    pub(crate) albums: Vec<Album>,
    /// Tokens of an older generation are void.
    pub(crate) token_generation: u32,
}

impl Zone {
    /// A zone with `assets` generated assets.
    pub(crate) fn new(number: u32, name: String, database: Database, assets: u32, options: &Options) -> Self {
        let owner = if database == Database::Shared { "_93b7c0de41aa" } else { "_5a4d8b0c6e1f" };
        let mut zone = Self {
            number,
            name,
            owner,
            database,
            entries: Vec::new(),
            history: Vec::new(),
            albums: Vec::new(),
            token_generation: 0,
        };
        for at in 0..assets {
            let mut entry = Entry::new(Origin::Generated(at));
            let seed = noise::derive(options.seed, &[u64::from(number), 6, u64::from(at)]);
            entry.is_favorite = seed.is_multiple_of(11);
            zone.push(entry);
        }
        zone
    }

    /// Appends an entry and says so in the history.
    pub(crate) fn push(&mut self, entry: Entry) -> u32 {
        let at = u32::try_from(self.entries.len()).expect("a library has fewer than four billion assets");
        let master = !matches!(entry.origin, Origin::Twin(_));
        self.entries.push(entry);
        self.history.push(Event::Entry { entry: at, asset: true, master });
        at
    }

    /// Adds one entry per oddity, and a twin.
    pub(crate) fn push_odd(&mut self) {
        for oddity in odd::all() {
            self.push(Entry::new(Origin::Odd(Box::new(oddity))));
        }
        if !self.entries.is_empty() {
            self.push(Entry::new(Origin::Twin(0)));
        }
    }

    /// What the generator says about an entry.
    pub(crate) fn item(&self, at: u32, options: &Options) -> Item {
        let number = u64::from(self.number);
        let seed = noise::derive(options.seed, &[number, 7, u64::from(at)]);
        let entry = self.entry(at);
        let mut item = match &entry.origin {
            Origin::Generated(place) => Item::generate(options, number, *place),
            Origin::Own(place) => Item::generate(options, 0, *place),
            Origin::Added(kind, captured_ms) => {
                Item::new(*kind, seed, *captured_ms, 5_000 + at % 4_000, options)
            }
            Origin::Kept(item) => (**item).clone(),
            Origin::Twin(of) => self.item(*of, options),
            Origin::Odd(oddity) => {
                let captured_ms = Item::newest_ms() - i64::from(at) * 60_000;
                Item::new(oddity.kind, seed, captured_ms, 9_000 + at % 999, options)
            }
        };
        if let Some(filename) = &entry.filename {
            item.filename.clone_from(filename);
        }
        item.dated_ms = entry.dated_ms.or(item.dated_ms);
        item
    }

    pub(crate) fn is_primary(&self) -> bool {
        self.number == 0
    }

    pub(crate) fn entry(&self, at: u32) -> &Entry {
        &self.entries[at as usize]
    }

    /// The entry whose master this entry's asset points to.
    pub(crate) fn master_of(&self, at: u32) -> u32 {
        match self.entry(at).origin {
            Origin::Twin(of) => of,
            _ => at,
        }
    }

    /// `zoneID` as every record carries it.
    pub(crate) fn id(&self) -> Value {
        json!({"zoneName": self.name, "ownerRecordName": self.owner, "zoneType": "REGULAR_CUSTOM_ZONE"})
    }

    /// The record name of an asset: the entry's number scrambled into a UUID, so that it can be
    /// found again without a table.
    pub(crate) fn asset_name(&self, at: u32, seed: u64) -> String {
        let key = noise::derive(seed, &[u64::from(self.number), 8]);
        let head = at.wrapping_mul(SCRAMBLE) ^ (key >> 32) as u32;
        let tail = noise::derive(key, &[u64::from(at)]);
        let (b, c) = ((tail >> 48) & 0xffff, (tail >> 36) & 0xfff);
        format!(
            "{head:08X}-{b:04X}-4{c:03X}-{:04X}-{:012X}",
            0x8000 | (key & 0x3fff),
            tail & 0xffff_ffff_ffff
        )
    }

    /// Undoes [`Zone::asset_name`].
    pub(crate) fn asset_number(&self, name: &str, seed: u64) -> Option<u32> {
        let key = noise::derive(seed, &[u64::from(self.number), 8]);
        let head = u32::from_str_radix(name.get(..8)?, 16).ok()? ^ (key >> 32) as u32;
        let at = head.wrapping_mul(UNSCRAMBLE);
        ((at as usize) < self.entries.len() && self.asset_name(at, seed) == name).then_some(at)
    }
}
