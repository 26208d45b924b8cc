//! Changing the library, as a person with a phone would.

use super::item::Item;
use super::zone::{Entry, Event, Origin};
use super::{Kind, Library, Side, TruthFile};
use crate::state::State;
use std::sync::Arc;

/// Changes the library of a running sandbox; every call is one step of its history.
#[derive(Clone, Debug)]
pub struct LibraryHandle {
    state: Arc<State>,
}

impl LibraryHandle {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// Adds an asset to the primary library, newer than all others, and returns its record name.
    pub fn add_asset(&self, kind: Kind) -> String {
        self.state.add_asset(kind)
    }

    /// Edits an asset: new bytes in its edited rendition, the master unchanged.
    /// Returns false if there is no such asset; so do all calls below.
    pub fn edit_asset(&self, asset_record: &str) -> bool {
        self.state.change_asset(asset_record, false, |entry| entry.edits += 1)
    }

    /// Moves an asset to Recently Deleted.
    pub fn delete_asset(&self, asset_record: &str) -> bool {
        self.state.change_asset(asset_record, true, |entry| entry.is_deleted = true)
    }

    /// Takes an asset back out of Recently Deleted.
    pub fn restore_asset(&self, asset_record: &str) -> bool {
        self.state.change_asset(asset_record, true, |entry| entry.is_deleted = false)
    }

    /// Removes an asset for good; only tombstones are left.
    pub fn purge(&self, asset_record: &str) -> bool {
        self.state.change_asset(asset_record, true, |entry| entry.is_purged = true)
    }

    /// Marks an asset as a favourite, or no longer.
    pub fn set_favorite(&self, asset_record: &str, is_favorite: bool) -> bool {
        self.state.change_asset(asset_record, false, |entry| entry.is_favorite = is_favorite)
    }

    /// Hides an asset.
    pub fn hide(&self, asset_record: &str) -> bool {
        self.state.change_asset(asset_record, false, |entry| entry.is_hidden = true)
    }

    /// Shows a hidden asset again.
    pub fn unhide(&self, asset_record: &str) -> bool {
        self.state.change_asset(asset_record, false, |entry| entry.is_hidden = false)
    }

    /// Record names of the primary library's assets, in the order they came to be.
    pub fn assets(&self) -> Vec<String> {
        self.state.asset_names()
    }
}

impl State {
    pub(crate) fn add_asset(&self, kind: Kind) -> String {
        self.change_library(|library| {
            let zone = &mut library.zones[0];
            let newer_ms = i64::try_from(zone.history.len()).unwrap_or(0) * 1_000;
            let at = zone.push(Entry::new(Origin::Added(kind, Item::newest_ms() + 3_600_000 + newer_ms)));
            zone.asset_name(at, self.options.seed)
        })
    }

    /// Changes an asset of any zone; false if there is none of that name.
    pub(crate) fn change_asset(
        &self,
        asset_record: &str,
        with_master: bool,
        change: impl FnOnce(&mut Entry),
    ) -> bool {
        let seed = self.options.seed;
        self.change_library(|library| {
            let mut zones = library.zones.iter();
            let found = zones.find_map(|zone| Some((zone.number, zone.asset_number(asset_record, seed)?)));
            found.is_some_and(|(zone, entry)| library.change(zone, entry, with_master, change))
        })
    }

    pub(crate) fn asset_names(&self) -> Vec<String> {
        let library = self.library();
        let zone = &library.zones[0];
        let count = u32::try_from(zone.entries.len()).unwrap_or(u32::MAX);
        let held = (0..count).filter(|at| !zone.entry(*at).is_purged);
        held.map(|at| zone.asset_name(at, self.options.seed)).collect()
    }

    pub(crate) fn truth(&self) -> Vec<TruthFile> {
        let library = self.library();
        library.truth(&self.press(&library, ""))
    }
}

impl Library {
    /// Changes one entry and says so in the history; false if it was purged.
    fn change(&mut self, zone: u32, entry: u32, with_master: bool, change: impl FnOnce(&mut Entry)) -> bool {
        let zone = &mut self.zones[zone as usize];
        let held = &mut zone.entries[entry as usize];
        if held.is_purged {
            return false;
        }
        change(held);
        held.changes += 1;
        let with_master = with_master && !matches!(held.origin, Origin::Twin(_));
        zone.history.push(Event { entry, with_master });
        true
    }

    /// The change a client asked for by `records/modify`.
    pub(crate) fn modify(&mut self, zone: u32, found: super::Found, field: &str, is_set: bool) -> bool {
        let with_master = found.side == Side::Master || field == "isDeleted";
        self.change(zone, found.entry, with_master, |entry| match field {
            "isDeleted" => entry.is_deleted = is_set,
            "isHidden" => entry.is_hidden = is_set,
            "isFavorite" => entry.is_favorite = is_set,
            _ => {}
        })
    }
}
